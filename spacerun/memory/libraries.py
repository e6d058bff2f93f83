"""What libraries do where the code says nothing: in which type they load weights, and whether on the GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from spacerun.needs.load import Load

# The first release of transformers that loads weights in the type they are stored in, not in float32
# (huggingface/transformers, MIGRATION_GUIDE_V5.md), and the first whose pipelines take the GPU unasked
# (4.47.0, `Pipeline.__init__`).
_STORED_TYPE: Final = ("2026-01-26", (5, 0))
_PIPELINES_ON_GPU: Final = ("2024-12-05", (4, 47))
# Libraries that keep weights as they are stored: their files are made for them.
_AS_STORED: Final = frozenset({
    "llama_cpp", "ctransformers", "faster-whisper", "onnxruntime", "vllm", "auto_gptq", "awq", "keras", "other",
})  # fmt: skip
# Libraries that take a GPU unasked where there is one.
_ON_GPU: Final = frozenset({
    "sentence-transformers", "faster-whisper", "whisper", "clip", "vllm", "auto_gptq", "awq", "ultralytics", "keras",
    "unsloth",
})  # fmt: skip


@dataclass(frozen=True)
class Period:
    """Of when the packages of a Space are.

    Attributes:
        date: The day they are taken from, as `2023-03-20`; None for today.
        transformers: Version of transformers that is pinned, to the minor; None where none is.
    """

    date: str | None = None
    transformers: tuple[int, int] | None = None

    def has(self, change: tuple[str, tuple[int, int]]) -> bool:
        """Whether its transformers has a change that came on a day, in a version."""
        day, version = change
        if self.transformers is not None:
            return self.transformers >= version
        return self.date is None or self.date[:10] >= day


def default_dtype(load: Load, period: Period) -> str | None:
    """The type that weights are loaded in where the code names none; None for that in which they are stored."""
    if load.library in _AS_STORED or (load.file or "").endswith(".gguf"):
        return None
    if load.library == "clip" and load.device != "cpu":
        return "float16"  # clip.load converts on a GPU (openai/CLIP, clip/clip.py)
    if load.library in {"transformers", "sentence-transformers", "peft"} and period.has(_STORED_TYPE):
        return None
    return "float32"


def is_on_gpu(load: Load, period: Period, *, needs_gpu: bool) -> tuple[bool, bool]:
    """Whether its weights are likely on the GPU, and whether they may be, on a machine that has one.

    Args:
        load: The load call.
        period: Of when the packages are.
        needs_gpu: Whether the code uses CUDA unconditionally.
    """
    if load.role == "remote" or load.device == "cpu":
        return False, False
    if load.device or load.offload or (load.precision.method and load.library not in {"llama_cpp", "ctransformers"}):
        return True, True
    if load.library in {"llama_cpp", "ctransformers"}:
        return False, False  # without n_gpu_layers all layers stay in main memory
    if load.library in _ON_GPU or (load.function == "pipeline" and period.has(_PIPELINES_ON_GPU)):
        return True, True
    return needs_gpu, True
