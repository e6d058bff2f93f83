"""In which form weights are in memory: bytes for each parameter, by type and by method of quantization."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from spacerun.checkpoints.tensors import Tensor
    from spacerun.needs.precision import Precision

BYTES: Final = {
    "float64": 8.0,
    "float32": 4.0,
    "float16": 2.0,
    "bfloat16": 2.0,
    "float8": 1.0,
    "int8": 1.0,
    "int4": 0.5,
}
# What the file formats call the types that can be cast to another; all others stay as they are stored.
FLOATS: Final = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
# Bits beside the weights themselves: one float32 for 64 weights; with double quantization one byte for 64, and one
# float32 for 256 of these (QLoRA, arXiv 2305.14314, section 3).
_FOUR_BIT: Final = 4 / 8 + 4 / 64
_FOUR_BIT_DOUBLE: Final = 4 / 8 + 1 / 64 + 4 / (64 * 256)
# Scale and zero point in 16 bits for a group of 128, the usual group (GPTQ, AWQ, quanto, torchao).
_GROUPED: Final = (2 + 2) / 128
# Layers that are not linear, though their weights have two dimensions.
_EMBEDDING: Final = re.compile(r"embed(?!ding_proj)|wte\.|wpe\.|shared\.weight|relative_attention_bias|emb\.weight")
# Output layers, which quantization leaves alone (transformers, `get_keys_to_not_convert`).
_HEAD: Final = re.compile(
    r"(?:^|\.)(?:lm_head|embed_out|output_projection)\.weight$|^(?:proj_out|output|score)\.weight$"
)
_MATRIX: Final = 2


@dataclass(frozen=True)
class Form:
    """How weights are kept.

    Attributes:
        dtype: Type of what is not quantized; None: as it is stored.
        linear: Bytes for each parameter of a linear layer, where these are quantized; None otherwise.
        row: Bytes for each row of such a layer beside that.
        name: For people.
        kept: Names of layers that stay in float32, as a pattern; None for none.
    """

    dtype: str | None
    linear: float | None = None
    row: int = 0
    name: str = ""
    kept: str | None = None

    def bytes_of(self, tensor: Tensor) -> int:
        """Bytes of memory that `tensor` takes."""
        stored = FLOATS.get(tensor.dtype)
        if stored is None:
            return tensor.stored_bytes  # packed by whoever quantized the checkpoint, or indexes
        if self.kept and re.search(self.kept, tensor.name):
            return int(tensor.parameters * BYTES["float32"])
        if self.linear is not None and is_linear(tensor):
            return int(tensor.parameters * self.linear) + tensor.shape[0] * self.row
        return int(tensor.parameters * BYTES[self.dtype or stored])

    def bytes_unread(self, stored_bytes: int, stored: str) -> int:
        """Bytes of memory that weights take of which only the size of their file is known, and the type in it."""
        each = self.linear if self.linear is not None else BYTES[self.dtype or stored]
        return int(stored_bytes / BYTES[stored] * each)


def is_linear(tensor: Tensor) -> bool:
    """Whether it is the weight of a layer that is quantized: linear, no embedding, not the output layer."""
    return (
        len(tensor.shape) == _MATRIX
        and tensor.name.endswith(".weight")
        and not _EMBEDDING.search(tensor.name)
        and not _HEAD.search(tensor.name)
    )


def form_of(precision: Precision, default: str | None) -> Form:
    """How weights are kept under what the code says.

    Args:
        precision: What it says.
        default: The type that its library loads in if it says nothing; None: as stored.
    """
    if precision.method and precision.method.startswith("bitsandbytes"):
        rest = precision.compute if precision.compute == "float32" else "float16"
        if precision.dtype == "int8":
            return Form(rest, 1.0, 4, "8-bit (bitsandbytes)")  # and a float32 for each row: its largest value
        each = _FOUR_BIT_DOUBLE if precision.double else _FOUR_BIT
        kind = precision.method.rpartition("-")[2]
        return Form(rest, each, 0, f"4-bit ({kind}{', double quantization' if precision.double else ''})")
    if precision.method in {"gptq", "awq", "hqq", "quanto", "torchao", "eetq", "aqlm"} and precision.dtype in BYTES:
        each = BYTES[precision.dtype] + (_GROUPED if precision.dtype == "int4" else 0)
        return Form(None, each, 0, f"{precision.dtype} ({precision.method})")
    if precision.dtype in BYTES:
        return (
            Form(precision.dtype, name=precision.dtype)
            if precision.dtype not in {"int8", "int4"}
            else Form("float16", BYTES[precision.dtype], 0, precision.dtype)
        )
    if precision.dtype == "auto" or default is None:
        return Form(None, name="as stored")
    return Form(default, name=default)
