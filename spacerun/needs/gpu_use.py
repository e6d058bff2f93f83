"""Whether a Space needs a GPU: whether CUDA is used where no question about it has been asked before.

Read as for a machine without one, so that what stands behind `torch.cuda.is_available()` is out of the way already.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spacerun.needs.changes import OFFLOADS
from spacerun.needs.precision import precision_of
from spacerun.needs.values import Const, External, Mapping, Values, texts
from spacerun.source.scopes import called_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.needs.flow import Flow
    from spacerun.needs.reach import Reach
    from spacerun.source.scopes import Use

# Without a GPU each of these raises (torch.cuda, "Device management").
_CALLS: Final = re.compile(
    r"torch\.cuda\.(?:set_device|synchronize|get_device_name|get_device_properties|get_device_capability|mem_get_info|"
    r"current_device|Stream|memory_allocated|ipc_collect|FloatTensor|HalfTensor)|"
    r"vllm\.(?:.*\.)?LLM|(?:auto_gptq|awq|exllamav2|flash_attn|bitsandbytes|xformers|unsloth)\..*"
)
_DEVICES: Final = ("device", "device_type", "device_map", "map_location", "main_device", "torch_device")
# Functions whose first argument is a device.
_TAKES_DEVICE: Final = frozenset({"to", "device", "autocast", "Generator", "set_default_device"})
_ASKED: Final = re.compile(r"cuda|gpu|device|bf16|fp16|half", re.IGNORECASE)


@dataclass(frozen=True)
class GpuUse:
    """One use of CUDA that nothing guards; `place` is `file:line`, `what` the use as it is written."""

    place: str
    what: str


def find_gpu_uses(flow: Flow, reach: Reach) -> tuple[GpuUse, ...]:
    """The uses of CUDA that would fail on a machine without a GPU.

    Args:
        flow: The code, read as for a machine without a GPU.
        reach: Which of it may run.
    """
    found: dict[str, GpuUse] = {}
    for use in reach.calls():
        call = use.expression
        if not isinstance(call, ast.Call) or _is_guarded(flow, use):
            continue
        for what in _uses(flow, use, call):
            place = f"{use.scope.file}:{call.lineno}"
            found.setdefault(place, GpuUse(place, what))
    return tuple(found.values())


def _is_guarded(flow: Flow, use: Use) -> bool:
    """Whether a failure is handled, or a condition that cannot be told has to do with the machine."""
    scopes = flow.project.scopes(use.scope.file)
    if scopes is None or scopes.in_try(use):
        return True
    tests = (scopes.tests.get(block) for block in use.blocks)
    return any(
        test and flow.decide(test[0]) is None and _ASKED.search(ast.unparse(test[0].expression)) for test in tests
    )


def _uses(flow: Flow, use: Use, call: ast.Call) -> Iterator[str]:
    name = called_name(call)
    functions = flow.values(use.of(call.func))
    outside = [function.name for function in functions if isinstance(function, External)]
    if (name == "cuda" and not outside) or name in OFFLOADS:  # which moves parts to the GPU, one after another
        yield f".{name}()"
    if any(_CALLS.fullmatch(function) for function in outside):
        yield f"{outside[0]}()"
    for argument in call.args[:2] if name in _TAKES_DEVICE else ():
        if text := _cuda(flow.values(use.of(argument))):
            yield f'{name}("{text}")'
    for keyword in call.keywords:
        yield from _keyword(flow, use, keyword)
    method = precision_of(flow, use, None).method if name in {"from_pretrained", "pipeline"} else None
    if method and method.startswith("bitsandbytes"):
        yield method


def _keyword(flow: Flow, use: Use, keyword: ast.keyword) -> Iterator[str]:
    if keyword.arg in _DEVICES and (text := _cuda(flow.values(use.of(keyword.value)))):
        yield f"{keyword.arg}={text}"
    if keyword.arg == "attn_implementation" and "flash_attention_2" in texts(flow.values(use.of(keyword.value))):
        yield 'attn_implementation="flash_attention_2"'


def _cuda(values: Values) -> str | None:
    """The CUDA device that `values` surely name, if they do."""
    inner = [item for value in values if isinstance(value, Mapping) for item in value.values()]
    rows = [_is_cuda(value) for value in (*values, *inner) if not isinstance(value, Mapping)]
    if not rows or not all(rows):
        return None
    return next(filter(None, rows))


def _is_cuda(value: object) -> str | None:
    if isinstance(value, Const) and isinstance(value.value, str) and value.value.partition(":")[0] == "cuda":
        return value.value
    if isinstance(value, Const) and isinstance(value.value, int) and not isinstance(value.value, bool):
        return str(value.value) if value.value >= 0 else None
    return None
