"""What a language model takes beside its weights while it writes: the keys and values of its tokens, and its sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spacerun.memory.term import Span, Term

if TYPE_CHECKING:
    from spacerun.memory.config import Shape
    from spacerun.memory.sizes import Sizes

# What a prompt has where the code does not say: a short question, a page of instructions, a conversation.
_PROMPT: Final = (64, 512, 2048)
_ANSWER: Final = 256
_CACHE_SOURCE: Final = "huggingface.co/blog/llama31, 'KV Cache': 2 · layers · heads · head size · tokens · bytes"
_SUMS_SOURCE: Final = "transformers, eager attention and float32 logits of the whole prompt"


def tokens(sizes: Sizes) -> tuple[int, int, int]:
    """Tokens of prompt and answer together: few, usual, the most that the code allows."""
    usual, largest = sizes.usual("max_new_tokens", "max_tokens"), sizes.largest("max_new_tokens", "max_tokens")
    if not usual:
        # `max_length` counts the prompt too; `n_ctx` and `max_model_len` reserve all at once.
        whole = sizes.usual("max_length", "n_ctx", "max_model_len")
        if whole:
            return min(_PROMPT[0] + 64, whole), whole, sizes.largest("max_length", "n_ctx", "max_model_len")
        usual = largest = _ANSWER
    return _PROMPT[0] + min(usual, 64), _PROMPT[1] + usual, _PROMPT[2] + largest


def cache(of: str, shape: Shape, sizes: Sizes, *, element_bytes: int) -> Term | None:
    """Keys and values of all tokens (`of` is the model).

    Args:
        of: The model.
        shape: Its shape.
        sizes: What the code asks for.
        element_bytes: Bytes of one number: those of the type that is computed in.
    """
    if not shape.layers or not shape.kv_width:
        return None
    each = shape.kv_width * element_bytes
    sequences = _sequences(sizes)
    rows = []
    for count, several in zip(tokens(sizes), sequences, strict=True):
        windowed = min(count, shape.window) if shape.window else count
        kept = (shape.layers - shape.windowed_layers) * count + shape.windowed_layers * windowed
        rows.append(kept * each * several)
    usual = tokens(sizes)[1]
    beams = f" × {sequences[1]} sequences" if sequences[1] > 1 else ""
    window = f", {shape.windowed_layers} of them with a window of {shape.window}" if shape.windowed_layers else ""
    formula = (
        f"{shape.layers} layers{window} × {shape.kv_width} numbers × {element_bytes} bytes × {usual} tokens{beams}"
    )
    return Term("cache", of, Span(*rows), formula, _CACHE_SOURCE)


def sums(of: str, shape: Shape, sizes: Sizes, *, element_bytes: int) -> Term:
    """What is computed with while the prompt is read: attention, feed-forward layer, logits."""
    rows = []
    for prompt, count in zip(_PROMPT, _sequences(sizes), strict=True):
        logits = prompt * shape.vocabulary * (element_bytes + 4)
        attention = shape.heads * prompt * prompt * (element_bytes + 4)
        inner = prompt * (3 * shape.inner + 4 * shape.width) * element_bytes
        rows.append((logits + attention + inner) * count)
    formula = (
        f"a prompt of {_PROMPT[1]} tokens: logits of {shape.vocabulary} words, {shape.heads} attention heads, "
        f"feed-forward {shape.inner}"
    )
    return Term("activations", of, Span(*rows), formula, _SUMS_SOURCE)


def _sequences(sizes: Sizes) -> tuple[int, int, int]:
    """Sequences that are written side by side: one, as a rule, at most."""
    return 1, sizes.usual("num_beams", "batch_size") or 1, sizes.largest("num_beams", "batch_size") or 1
