"""What models that are neither language models nor diffusion pipelines take beside their weights, and CUDA itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spacerun.memory.term import Span, Term

if TYPE_CHECKING:
    from spacerun.memory.config import Shape
    from spacerun.memory.sizes import Sizes

_MIB: Final = 1024**2
# PyTorch with its first tensor on the GPU: 250 to 600 MiB since CUDA loads kernels lazily (11.7), 723 MiB in 2020
# (discuss.pytorch.org/t/73021), 1343 MB on a V100 with CUDA 11.2 (transformers, "Model training anatomy").
_CONTEXT: Final = Span(250 * _MIB, 600 * _MIB, 1343 * 10**6)
# Parts of the weights in 16 bits. Fitted to faster-whisper's table, large-v2 and -v3, distil and turbo, float16 and
# int8: 0.9 to 1.4 GB above the weights (github.com/SYSTRAN/faster-whisper). What openai/whisper's README asks for lies
# within.
_SPEECH: Final = (0.2, 0.35, 1.0)
# Texts and tokens at once: one short; some of a paragraph; a full batch of sentence-transformers' `encode`.
_TEXTS: Final = ((1, 128), (8, 256), (32, 512))
# "Add up to 20 %" (accelerate, "Model memory estimator", after EleutherAI's "Transformer Math 101").
SHARE: Final = 0.2
_LEAST: Final = 64 * _MIB


def context() -> Term:
    """CUDA's own memory, and that of its libraries, in each process that uses a GPU."""
    return Term(
        "context",
        "",
        _CONTEXT,
        "CUDA, cuBLAS, cuDNN and their kernels in one process",
        "discuss.pytorch.org/t/73021; transformers docs, 'Model training anatomy'",
    )


def speech(of: str, parameters: int) -> Term:
    """Recognition of half a minute of speech at a time, with beam search."""
    low, usual, high = (round(part * 2 * parameters) for part in _SPEECH)
    formula = f"{_SPEECH[1]} × {parameters} parameters × 2 bytes"
    return Term("activations", of, Span(low, usual, high), formula, "fitted to faster-whisper's README, 'Benchmark'")


def texts(of: str, shape: Shape, sizes: Sizes, *, element_bytes: int) -> Term:
    """An encoder that reads several texts at once."""
    rows = []
    for default, length in _TEXTS:
        several = sizes.usual("batch_size") or default
        inner = several * length * (8 * shape.width + 2 * shape.inner)
        rows.append((inner + several * shape.heads * length * length) * element_bytes)
    span = Span(rows[0], max(rows[:2]), max(rows))
    formula = f"{_TEXTS[1][0]} texts of {_TEXTS[1][1]} tokens through layers of {shape.width} and {shape.inner}"
    return Term("activations", of, span, formula, "transformers: hidden states, feed-forward layer, attention scores")


def any_other(of: str, weights: int) -> Term:
    """A model of which no more is known."""
    span = Span(_LEAST // 2, max(_LEAST, round(SHARE * weights)), max(1024 * _MIB, weights))
    return Term(
        "activations", of, span, "a fifth of the weights", "accelerate docs, 'Model memory estimator': add up to 20 %"
    )
