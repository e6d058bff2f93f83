"""In which form weights are in memory: what a load call says, and what is done to the model afterwards."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from spacerun.needs.values import Const, External, Made, Mapping, Unknown, Values, plain, texts

if TYPE_CHECKING:
    from spacerun.needs.flow import Flow
    from spacerun.needs.values import Frame
    from spacerun.source.scopes import Use

# torch, numpy and transformers call the same types by several names.
_DTYPES: Final = {
    "float16": "float16", "half": "float16", "fp16": "float16", "f16": "float16",
    "bfloat16": "bfloat16", "bf16": "bfloat16",
    "float32": "float32", "float": "float32", "fp32": "float32",
    "float64": "float64", "double": "float64",
    "int8": "int8", "qint8": "int8", "uint8": "int8",
    "float8_e4m3fn": "float8", "float8_e5m2": "float8", "fp8": "float8", "float8": "float8", "qfloat8": "float8",
    "int4": "int4", "qint4": "int4", "uint4": "int4",
    "auto": "auto",
}  # fmt: skip
# CTranslate2's quantization types (docs "Quantization").
_COMPUTE: Final = re.compile(r"(int8|int16|float16|bfloat16|float32)(?:_\w+)?|default|auto")
_BITS: Final = re.compile(r"(?:^|[^0-9])([248])[-_ ]?(?:bit|b\b)?", re.IGNORECASE)
_CONFIGS: Final = ("quantization_config", "bnb_config", "bitsandbytes_config")


@dataclass(frozen=True)
class Precision:
    """In which form weights are in memory.

    Attributes:
        dtype: `float32`, `float16`, `bfloat16`, `float8`, `int8`, `int4`; `auto`: that of the checkpoint; `default`:
            the code says nothing; `unknown`: it says something that cannot be told.
        method: How they are quantized: `bitsandbytes-8bit`, `bitsandbytes-nf4`, `bitsandbytes-fp4`, `gptq`, …
        double: Whether the constants of that are quantized again (bitsandbytes "nested quantization").
        compute: The type computed in, where weights are quantized.
    """

    dtype: str = "default"
    method: str | None = None
    double: bool = False
    compute: str | None = None


def dtype_of(values: Values) -> str | None:
    """The one type that `values` name; None where they name none, `unknown` where that cannot be told."""
    found = {_dtype(value) for value in values}
    if not found or found == {None}:
        return None
    named = found - {None}
    return named.pop() if len(named) == 1 and len(found) == 1 else "unknown"


def _dtype(value: Any) -> str | None:  # noqa: ANN401 - one of Value
    if isinstance(value, External):
        return _DTYPES.get(value.name.rpartition(".")[2].lower(), "unknown")
    if isinstance(value, Const):
        if value.value is None:
            return None
        return _DTYPES.get(str(value.value).rpartition(".")[2].lower(), "unknown")
    return "unknown"


def precision_of(flow: Flow, use: Use, frame: Frame | None) -> Precision:
    """What the load call `use` itself says."""
    quantized = _quantized(flow, use, frame)
    given = flow.arguments(use, frame, "torch_dtype", "dtype", "precision")
    if given is None:
        given = _in_model_kwargs(flow, use, frame, "torch_dtype", "dtype")
    dtype = dtype_of(given) if given is not None else None
    if quantized:
        return replace(quantized, compute=quantized.compute or dtype)
    if dtype is None and (compute := flow.arguments(use, frame, "compute_type")) is not None:
        found = {match[1] or "default" for text in texts(compute) if (match := _COMPUTE.fullmatch(text))}
        dtype = found.pop() if len(found) == 1 else "unknown"
    return Precision(dtype or "default")


def _quantized(flow: Flow, use: Use, frame: Frame | None) -> Precision | None:
    for bits, dtype, method in ((4, "int4", "bitsandbytes-fp4"), (8, "int8", "bitsandbytes-8bit")):
        name = f"load_in_{bits}bit"
        given = flow.arguments(use, frame, name)
        if given is None:
            given = _in_model_kwargs(flow, use, frame, name)
        if given is not None and True in plain(given):
            return Precision(dtype, method)
    config = flow.arguments(use, frame, *_CONFIGS)
    if config is None:
        config = _in_model_kwargs(flow, use, frame, *_CONFIGS)
    for value in config or ():
        if isinstance(value, Made):
            return _of_config(flow, value)
        if isinstance(value, Mapping):
            return _of_mapping(value)
        if isinstance(value, Unknown):
            return Precision("unknown", "unknown")
    return None


def _of_config(flow: Flow, config: Made) -> Precision | None:
    """`BitsAndBytesConfig(…)` and its like (transformers and diffusers, "Quantization")."""
    name = config.name.rpartition(".")[2]

    def asks(*names: str, at: int | None = None) -> Values:
        return flow.arguments(config.call, config.frame, *names, at=at) or ()

    if name == "BitsAndBytesConfig":
        if True in plain(asks("load_in_4bit")):
            kind = texts(asks("bnb_4bit_quant_type"))
            method = f"bitsandbytes-{kind[0] if kind else 'fp4'}"
            double = True in plain(asks("bnb_4bit_use_double_quant"))
            return Precision("int4", method, double=double, compute=dtype_of(asks("bnb_4bit_compute_dtype")))
        if True in plain(asks("load_in_8bit", at=0)):
            return Precision("int8", "bitsandbytes-8bit")
        return None
    if name in {"GPTQConfig", "AwqConfig", "HqqConfig", "EetqConfig", "AqlmConfig", "QuantoConfig", "TorchAoConfig"}:
        bits = [value for value in plain(asks("bits", "nbits", at=0)) if value in {2, 3, 4, 8}]
        kinds = texts(asks("weights", "weights_dtype", "quant_type", at=0))
        found = _BITS.search(kinds[0]) if kinds else None
        width = bits[0] if bits else int(found[1]) if found else 4 if name in {"GPTQConfig", "AwqConfig"} else 8
        is_float = bool(kinds) and "float8" in kinds[0]
        return Precision("float8" if is_float else f"int{width}", name.removesuffix("Config").lower())
    return Precision("unknown", name)


def _of_mapping(config: Mapping) -> Precision | None:
    for bits in (4, 8):
        if True in plain(config.get(f"load_in_{bits}bit") or ()):
            return Precision(f"int{bits}", "bitsandbytes-fp4" if bits == 4 else "bitsandbytes-8bit")  # noqa: PLR2004
    return None


def _in_model_kwargs(flow: Flow, use: Use, frame: Frame | None, *names: str) -> Values | None:
    """`pipeline(…, model_kwargs={…})` hands these on."""
    for value in flow.arguments(use, frame, "model_kwargs") or ():
        for name in names if isinstance(value, Mapping) else ():
            if (held := value.get(name)) is not None:  # type: ignore[union-attr]
                return held
    return None
