"""How many bytes the weights of a model take in memory, part by part."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from spacerun.memory.forms import BYTES, Form, form_of
from spacerun.memory.libraries import default_dtype
from spacerun.memory.term import Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spacerun.checkpoints.tensors import Tensor
    from spacerun.memory.libraries import Period
    from spacerun.memory.model import Model, Part

# On cards that cannot compute with four bits, transformers unpacks them to bfloat16 ("MXFP4", quantizer_mxfp4.py).
_UNPACKED: Final = 4
# T5 overflows in float16, so this layer stays in float32 (transformers, `T5PreTrainedModel._keep_in_fp32_modules`).
_T5: Final = frozenset({"t5", "mt5", "umt5", "longt5", "switch_transformers"})
_T5_KEPT: Final = r"\.wo\.weight$"
_MASK_DIMENSIONS: Final = (0, 4)
# Parts of a pipeline that it may be told to do without (diffusers, `DiffusionPipeline.from_pretrained`).
_OPTIONAL: Final = frozenset({"safety_checker", "image_encoder"})


@dataclass(frozen=True)
class Weights:
    """What one part of a model takes.

    Attributes:
        part: Its name.
        bytes: How much memory.
        parameters: How many parameters it has; 0 where that is unknown.
        form: How they are kept, for people.
        largest: Bytes of its largest tensor.
        exact: Whether every tensor was read, and the code says how they are kept.
    """

    part: str
    bytes: Span
    parameters: int
    form: str
    largest: int
    exact: bool


def weights_of(model: Model, period: Period) -> tuple[Weights, ...]:
    """What each part of `model` takes in memory; none where its files are not known."""
    given = set(model.load.given)
    return tuple(
        _of_part(model, part, period) for part in model.parts if part.name not in given or model.load.subfolder
    )


def _of_part(model: Model, part: Part, period: Period) -> Weights:
    precision, default = model.load.precision, default_dtype(model.load, period)
    form = _prequantized(part.config) or form_of(precision, default)
    if part.config.get("model_type") in _T5 and (form.linear is not None or form.dtype == "float16"):
        form = replace(form, kept=_T5_KEPT)
    rows = [_bytes(part, form)]
    if precision.dtype == "unknown":
        rows += [_bytes(part, replace(form, dtype=dtype, linear=None)) for dtype in ("float16", "float32")]
        form = replace(form, name="a type that only running tells")
    expected = rows[0]
    unpacked = _UNPACKED if _method(part.config) == "mxfp4" else 1
    low = 0 if part.name in _OPTIONAL else min(rows)
    tensors = list(_tensors(part))
    return Weights(
        part.name,
        Span(low, expected, max(rows) * unpacked),
        sum(tensor.parameters for tensor in tensors),
        form.name or "as stored",
        max((form.bytes_of(tensor) for tensor in tensors), default=expected),
        exact=bool(tensors) and all(c.tensors for c in part.files.values()) and precision.dtype != "unknown",
    )


def _bytes(part: Part, form: Form) -> int:
    read = sum(form.bytes_of(tensor) for tensor in _tensors(part))
    unread = sum(contents.size_bytes for contents in part.files.values() if not contents.tensors)
    stored = str(part.config.get("torch_dtype") or part.config.get("dtype") or "")
    return read + form.bytes_unread(unread, stored if stored in BYTES else form.dtype or "float32")


def _tensors(part: Part) -> list[Tensor]:
    """Each tensor once, without those that are saved and not loaded."""
    found = {tensor.name: tensor for contents in part.files.values() for tensor in contents.tensors}
    return [tensor for tensor in found.values() if not _is_left_out(tensor)]


def _is_left_out(tensor: Tensor) -> bool:
    """Whether it is a mask or a table of frequencies that old releases of transformers saved, or is training's."""
    mask = tensor.name.endswith((".bias", ".masked_bias")) and len(tensor.shape) in _MASK_DIMENSIONS
    return mask or tensor.name.endswith("rotary_emb.inv_freq") or tensor.name.startswith("optimizer")


def _prequantized(config: Mapping[str, Any]) -> Form | None:
    """The form of a checkpoint that was quantized before it was stored: the code cannot choose it any more."""
    method = _method(config)
    if method is None:
        return None
    dtype = str(config.get("torch_dtype") or config.get("dtype"))
    return Form(dtype if dtype in BYTES else "float16", name=f"as quantized ({method})")


def _method(config: Mapping[str, Any]) -> str | None:
    quantization = config.get("quantization_config")
    method = quantization.get("quant_method") if isinstance(quantization, dict) else None
    return method if isinstance(method, str) else None
