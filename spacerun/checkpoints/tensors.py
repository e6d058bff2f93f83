"""Tensors as they are stored, and what lies in one file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# Bits of one element (https://github.com/huggingface/safetensors, safetensors/src/tensor.rs, `Dtype::bitsize`).
# C128 is PyTorch's alone.
BITS: Final[Mapping[str, int]] = {
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
    "C128": 128,
}
# The type of a tensor of which only its bytes are known: its shape is then their number.
UNKNOWN: Final = "?"
# The most dimensions that PyTorch allows (c10/core/DimVector.h and ATen's TensorIterator).
_MOST_DIMENSIONS: Final = 64
_BEYOND: Final = 2**63
_LONGEST_DTYPE: Final = 40


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as it is stored.

    Attributes:
        name: As in the file; parts of a nested name are joined by dots.
        dtype: In the spelling of safetensors (`F16`, `BF16`, `F8_E4M3`, `I8`), of ggml for a GGUF file (`Q4_K`, but
            `F16` and `BF16` there too), or `?`.
        shape: Elements in each dimension, the one that lies closest in memory last.
        stored_bytes: How many bytes of the file are its own.

    Raises:
        ValueError: On construction, for what no tensor can be.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    stored_bytes: int

    def __post_init__(self) -> None:
        if not is_shape(self.shape) or not is_count(self.stored_bytes):
            raise ValueError("a tensor has an impossible shape or size")
        if not isinstance(self.name, str) or not isinstance(self.dtype, str) or len(self.dtype) > _LONGEST_DTYPE:
            raise ValueError("a tensor has an impossible name or type")

    @property
    def parameters(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Contents:
    """What lies in one file.

    Attributes:
        size_bytes: Of the file.
        tensors: Those in it; empty where its format does not tell.
        facts: Of a GGUF file: `general.architecture`, and what its metadata say of that architecture, without its name
            (`block_count`, `attention.head_count_kv`: a number, or a list with one for each layer); `vocab_size`.

    Raises:
        ValueError: On construction, if the tensors take more bytes than the file has.
    """

    size_bytes: int
    tensors: tuple[Tensor, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not is_count(self.size_bytes) or sum(tensor.stored_bytes for tensor in self.tensors) > self.size_bytes:
            raise ValueError("its tensors take more bytes than it has")

    def to_json(self) -> dict[str, Any]:
        """For the memory of what was read."""
        rows = [[tensor.name, tensor.dtype, list(tensor.shape), tensor.stored_bytes] for tensor in self.tensors]
        return {"size_bytes": self.size_bytes, "tensors": rows, "facts": dict(self.facts)}

    @classmethod
    def from_json(cls, value: Any) -> Contents:  # noqa: ANN401
        """The inverse of `to_json`.

        Raises:
            ValueError: `value` is nothing that it returns.
        """
        try:
            rows = value["tensors"]
            tensors = tuple(Tensor(name, dtype, tuple(shape), stored) for name, dtype, shape, stored in rows)
            return cls(value["size_bytes"], tensors, dict(value["facts"].items()))
        except (TypeError, KeyError, AttributeError):
            raise ValueError("no contents of a file") from None


def is_shape(value: object) -> bool:
    """Whether `value` can be the shape of a tensor: a tuple of few counts."""
    return isinstance(value, tuple) and len(value) <= _MOST_DIMENSIONS and all(map(is_count, value))


def is_count(value: object) -> bool:
    """Whether `value` can be a number of elements or of bytes."""
    return type(value) is int and 0 <= value < _BEYOND


def overlap(spans: list[tuple[int, int]]) -> bool:
    """Whether any two of the spans, each from its first byte to the one after its last, share a byte."""
    spans = sorted(span for span in spans if span[0] < span[1])
    return any(before[1] > after[0] for before, after in pairwise(spans))
