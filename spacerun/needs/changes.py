"""What the code does to a model after it is loaded: its type, its device, what lies in main memory meanwhile."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from spacerun.needs.precision import dtype_of
from spacerun.needs.values import Const, External, Made, Mapping, Values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.needs.flow import Flow
    from spacerun.needs.reach import Reach
    from spacerun.source.scopes import Use

_DTYPES: Final = {"half": "float16", "bfloat16": "bfloat16", "float": "float32", "double": "float64"}
OFFLOADS: Final = {
    "enable_model_cpu_offload": "model",
    "enable_sequential_cpu_offload": "sequential",
    "enable_group_offload": "group",
}
# Calls that make a pipeline, or the model beneath it, take less memory.
_SAVERS: Final = frozenset({
    "enable_attention_slicing", "enable_vae_slicing", "enable_vae_tiling", "enable_slicing", "enable_tiling",
    "enable_xformers_memory_efficient_attention", "enable_memory_efficient_attention", "enable_forward_chunking",
    "gradient_checkpointing_enable", "enable_layerwise_casting",
})  # fmt: skip
_INTERESTING: Final = frozenset({*_DTYPES, *OFFLOADS, *_SAVERS, "to", "cuda", "cpu", "set_default_dtype"})
_DEEPEST: Final = 6


@dataclass(frozen=True)
class Change:
    """What is done to one model."""

    dtype: str | None = None
    device: str | None = None
    offload: str | None = None
    memory: tuple[str, ...] = ()


class Changes:
    """Answers what is done to the model that a call loads, to the pipeline around it included."""

    def __init__(self, flow: Flow, reach: Reach) -> None:
        self._flow = flow
        self._found: dict[int, Change] = {}
        self._default: str | None = None
        for use in reach.calls():
            call = use.expression
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _INTERESTING:
                self._read(use, call, call.func)

    def of(self, load: Use) -> Change:
        """What is done to what the call `load` gives."""
        change = self._found.get(id(load.expression), Change())
        return replace(change, dtype=change.dtype or self._default)

    def _read(self, use: Use, call: ast.Call, function: ast.Attribute) -> None:
        if function.attr == "set_default_dtype":
            self._default = dtype_of(self._flow.values(use.of(call.args[0]))) if call.args else None
            return
        change = self._change(use, call, function.attr)
        if change != Change():
            for made in self._models(self._flow.values(use.of(function.value)), 0):
                self._found[id(made.call.expression)] = _joined(self._found.get(id(made.call.expression)), change)

    def _change(self, use: Use, call: ast.Call, name: str) -> Change:
        if name in _DTYPES:
            return Change(dtype=_DTYPES[name])
        if name in OFFLOADS:
            return Change(offload=OFFLOADS[name])
        if name in _SAVERS:
            return Change(memory=(name,))
        if name in {"cuda", "cpu"}:
            return Change(device=name)
        given = [self._flow.values(use.of(argument)) for argument in call.args if not isinstance(argument, ast.Starred)]
        given += [self._flow.values(use.of(keyword.value)) for keyword in call.keywords if keyword.arg]
        dtypes = [dtype for values in given if _is_dtype(values) and (dtype := dtype_of(values))]
        devices = [device for values in given if (device := device_in(values))]
        return Change(dtype=dtypes[0] if dtypes else None, device=devices[0] if devices else None)

    def _models(self, values: Values, depth: int) -> Iterator[Made]:
        """What was loaded, and the parts that were put into it when it was."""
        for value in values:
            if not isinstance(value, Made) or depth > _DEEPEST:
                continue
            yield value
            call = value.call.expression
            for node in (
                (*call.args, *(keyword.value for keyword in call.keywords)) if isinstance(call, ast.Call) else ()
            ):
                if isinstance(node, ast.Name | ast.Attribute | ast.Call):
                    yield from self._models(self._flow.values(value.call.of(node), value.frame), depth + 1)


def device_in(values: Values) -> str | None:
    """`cuda` or `cpu`, if `values` name one of them."""
    for value in values:
        if isinstance(value, Mapping) and (inner := device_in(value.values())):
            return inner  # `device_map={"": "cpu"}`
        if not isinstance(value, Const):
            continue
        if isinstance(value.value, int) and not isinstance(value.value, bool):
            return "cuda" if value.value >= 0 else "cpu"  # `pipeline(device=0)`; -1 is the CPU
        if isinstance(value.value, str) and value.value.partition(":")[0] in {"cuda", "cpu"}:
            return value.value.partition(":")[0]
    return None


def _is_dtype(values: Values) -> bool:
    return any(isinstance(value, External) for value in values)


def _joined(before: Change | None, change: Change) -> Change:
    if before is None:
        return change
    return Change(
        dtype=change.dtype or before.dtype,
        device="cuda" if "cuda" in {before.device, change.device} else change.device or before.device,
        offload=before.offload or change.offload,
        memory=tuple(dict.fromkeys((*before.memory, *change.memory))),
    )
