"""What to do where memory does not suffice, most useful first."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from spacerun.memory.cards import that_fit
from spacerun.memory.estimate import estimate
from spacerun.needs.precision import Precision
from spacerun.text import one_line, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from spacerun.gpu.devices import Device, DeviceReport
    from spacerun.memory.estimate import Estimate, Setting
    from spacerun.memory.model import Model
    from spacerun.memory.verdict import Fit
    from spacerun.needs.load import Load

_SWITCH: Final = re.compile(r"(?:load|in|use)?_?(?:4|8)_?bits?|quanti[sz]e|low_?(?:v?ram|mem)", re.IGNORECASE)
_MOST_PROCESSES: Final = 2
_MOST_CARDS: Final = 3
_QUANTIZABLE: Final = frozenset({"transformers", "diffusers", "peft"})
# Those that take most first: they change least.
_FORMS: Final = {
    "load_in_8bit=True": Precision("int8", "bitsandbytes-8bit"),
    "load_in_4bit=True": Precision("int4", "bitsandbytes-nf4"),
}
_OFFLOADS: Final = {"enable_model_cpu_offload": "model", "enable_sequential_cpu_offload": "sequential"}


@dataclass(frozen=True)
class Case:
    """What advice is given on.

    Attributes:
        fit: The verdict.
        report: The devices.
        models: What the Space loads.
        setting: Under which assumptions memory was estimated.
        command: What the user would type to launch it.
        variables: Environment variables that the code reads.
    """

    fit: Fit
    report: DeviceReport
    models: Sequence[Model] = ()
    setting: Setting | None = None
    command: str = "spacerun launch SPACE"
    variables: Sequence[str] = ()


def advice(case: Case) -> tuple[str, ...]:
    """What would make a Space fit that does not, one sentence each, the most useful first."""
    return (
        *_other_devices(case),
        *_processes(case),
        *_switches(case),
        *_smaller_forms(case),
        *_offloading(case),
        *_cpu(case),
        *which_cards(case.fit.estimate),
    )


def if_it_runs_out(case: Case) -> tuple[str, ...]:
    """What would make a Space take less that was thought to fit, one sentence each, the most useful first."""
    return (*_switches(case), *_smaller_forms(case), *_offloading(case), *_cpu(case))


def _other_devices(case: Case) -> Iterator[str]:
    """A device that was not chosen, or is hidden."""
    needed = case.fit.estimate.bytes.expected
    chosen = {device.uuid for device in case.fit.gpus}
    for device in case.report.devices:
        if device.uuid not in chosen and not device.is_mig_parent and (device.free_bytes or 0) >= needed:
            free = size(device.free_bytes or 0)
            yield f"GPU {device.label} ({device.name}) has {free} free: {case.command} --gpu {device.label}"
    for device in case.report.hidden:
        if not device.is_mig_parent and (device.free_bytes or 0) >= needed:
            yield (
                f"GPU {device.label} ({device.name}) has {size(device.free_bytes or 0)} free and is hidden: "
                f"unset CUDA_VISIBLE_DEVICES"
            )


def _processes(case: Case) -> Iterator[str]:
    """Who holds what is missing."""
    missing = case.fit.estimate.bytes.expected - (case.fit.free_bytes or 0)
    for device in case.fit.gpus:
        holders = sorted(device.processes, key=lambda process: -(process.used_bytes or 0))
        for process in holders[:_MOST_PROCESSES]:
            if process.used_bytes and process.used_bytes >= missing / _MOST_PROCESSES:
                enough = "; without it the Space fits" if process.used_bytes >= missing else ""
                yield (
                    f"Process {process.pid} ({one_line(process.name or 'unknown', 60)}) holds "
                    f"{size(process.used_bytes)} of GPU {device.label}{enough}. If it is yours: kill {process.pid}"
                )


def _switches(case: Case) -> Iterator[str]:
    for name in case.variables:
        if _SWITCH.search(name):
            yield f"The code reads {one_line(name, 60)}, which may make it take less: {case.command} --env {name}=1"


def _smaller_forms(case: Case) -> Iterator[str]:
    """What quantization would do, where the code says nothing of it."""
    largest = _largest(case, lambda load: load.precision.method is None)
    if largest is None or largest.load.library not in _QUANTIZABLE:
        return
    changes = {argument: replace(largest.load, precision=precision) for argument, precision in _FORMS.items()}
    for argument, taken in _first_that_fits(case, largest, changes):
        yield (
            f"With {argument} at {largest.load.place} it takes about {size(taken)}: edit it in a clone of yours "
            f"({case.command} --dir DIR), and add bitsandbytes (--with bitsandbytes)."
        )


def _offloading(case: Case) -> Iterator[str]:
    """What `enable_model_cpu_offload` would do."""
    pipeline = _largest(case, lambda load: load.library == "diffusers" and not load.offload)
    if pipeline is None:
        return
    changes = {call: replace(pipeline.load, offload=kind) for call, kind in _OFFLOADS.items()}
    for call, taken in _first_that_fits(case, pipeline, changes):
        yield (
            f'With .{call}() after {pipeline.load.place}, in place of .to("cuda"), it takes about '
            f"{size(taken)}: edit it in a clone of yours ({case.command} --dir DIR)."
        )


def _first_that_fits(case: Case, model: Model, changes: Mapping[str, Load]) -> Iterator[tuple[str, int]]:
    """The first way to load `model` otherwise with which the Space fits, if one does, and what it then takes."""
    if case.setting is None or case.fit.free_bytes is None:
        return
    for name, load in changes.items():
        changed = [replace(model, load=load) if one is model else one for one in case.models]
        taken = estimate(changed, case.setting).bytes.expected
        if taken <= case.fit.free_bytes:
            yield name, taken
            return


def _cpu(case: Case) -> Iterator[str]:
    if case.setting is not None and not case.setting.needs_gpu:
        yield f"It runs without a GPU too, slowly: {case.command} --gpu none"


def which_cards(needed: Estimate) -> Iterator[str]:
    """Which common cards have enough."""
    span = needed.bytes
    if not span.expected:
        return
    fitting = that_fit(span.expected)[:_MOST_CARDS]
    if fitting:
        names = "; ".join(card.name + (" (tight)" if card.usable_bytes < span.high else "") for card in fitting)
        yield f"Cards that have enough: {names}."
    else:
        yield f"No single card has {size(span.expected)}."


def _largest(case: Case, wanted: Callable[[Load], bool]) -> Model | None:
    costs = case.fit.estimate.weights
    rows = [model for model in case.models if wanted(model.load) and costs.get(model.id)]
    return max(rows, key=lambda model: costs[model.id], default=None)


def devices_told(devices: Sequence[Device]) -> str:
    """Devices for people: `GPU 0 (NVIDIA A10G)`."""
    return ", ".join(f"GPU {device.label} ({one_line(device.name, 40)})" for device in devices)
