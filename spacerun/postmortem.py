"""Why an app ended: known breakages, and for memory the figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun.app.log import last_lines
from spacerun.diagnosis import explain
from spacerun.memory import ledger
from spacerun.memory.cards import that_fit
from spacerun.memory.host import available_bytes, total_bytes
from spacerun.text import one_line, size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spacerun.app.spec import AppSpec
    from spacerun.diagnosis import Finding
    from spacerun.errors import SpacerunError
    from spacerun.gpu.devices import Device

_LOG_LINES: Final = 200
_MOST_ADVICE: Final = 3
_MOST_CARDS: Final = 3
_GPU_MEMORY, _KILLED = "gpu-memory", "killed"
# What holds less of a GPU than this is no reason why the memory did not suffice.
_NOTABLE: Final = 256 * 1024**2


def findings(error: SpacerunError) -> tuple[Finding, ...]:
    """What is known about a failure, from what it says itself and from the log of the app."""
    log = error.data.get("log")
    return explain(last_lines(Path(log), _LOG_LINES) if isinstance(log, str) else [], error)


def explainer(spec: AppSpec) -> Callable[[SpacerunError], None]:
    """What to call with a crash of the app: it adds the cause and what helps."""

    def add(error: SpacerunError) -> None:
        annotate(error, findings(error), spec)

    return add


def annotate(error: SpacerunError, found: Sequence[Finding], spec: AppSpec | None) -> None:
    """Add what is known to the words of a failure, and to its data.

    Args:
        error: The failure.
        found: What is known about it.
        spec: The app, if it came so far that there was one.
    """
    error.data = {**error.data, "diagnosis": [finding.to_json() for finding in found]}
    if not found:
        return
    first = found[0]
    error.message = f"{error.message.rstrip('.')}: {first.cause}."
    more = list(_memory(first, error, spec)) if spec else []
    error.hint = "\n".join(filter(None, [f"What helps: {first.remedy} ({first.source})", *more, error.hint]))


def _memory(finding: Finding, error: SpacerunError, spec: AppSpec) -> Iterator[str]:
    if finding.id == _GPU_MEMORY:
        yield from _gpu_memory(spec)
    elif finding.id == _KILLED:
        yield from _main_memory(error, spec)


def _gpu_memory(spec: AppSpec) -> Iterator[str]:
    """What the app was expected to take, what it held, what is free now, and what would make it take less."""
    from spacerun.gpu.devices import read_devices

    entry, estimate = ledger.of(spec.id), spec.estimate or {}
    told = []
    if expected := estimate.get("expected_bytes"):
        low, high = size(estimate["low_bytes"]), size(estimate["high_bytes"])
        told.append(f"it was expected to take about {size(expected)} of GPU memory ({low} to {high})")
    if entry:
        told.append(f"it held {size(entry.peak_bytes)} at its most")
    if told:
        sentence = " and ".join(told)
        yield f"{sentence[0].upper()}{sentence[1:]}."
    devices = [device for device in read_devices().devices if device.uuid in spec.gpus]
    for device in devices:
        yield _device(device)
    yield from list(estimate.get("advice") or ())[:_MOST_ADVICE]
    yield from _larger_cards(devices)


def _device(device: Device) -> str:
    """What is free of a GPU, and who holds the rest: the app itself has ended by now."""
    free = "an unknown amount" if device.free_bytes is None else size(device.free_bytes)
    total = "" if device.total_bytes is None else f" of {size(device.total_bytes)}"
    holders = [
        f"process {process.pid} ({one_line(process.name or 'unknown', 40)}) holds {size(process.used_bytes)}"
        for process in sorted(device.processes, key=lambda process: -(process.used_bytes or 0))
        if process.used_bytes and process.used_bytes >= _NOTABLE
    ]
    others = "".join(f"; {holder}" for holder in holders[:2])
    return f"Without it, GPU {device.label} ({one_line(device.name, 40)}) has {free}{total} free{others}."


def _larger_cards(devices: Sequence[Device]) -> Iterator[str]:
    if len(devices) == 1 and devices[0].total_bytes:
        names = "; ".join(card.name for card in that_fit(devices[0].total_bytes)[:_MOST_CARDS])
        if names:
            yield f"Cards with more memory: {names}."


def _main_memory(error: SpacerunError, spec: AppSpec) -> Iterator[str]:
    """What the app held of main memory, what there is, and whether the kernel says that it ended it."""
    held, expected = error.data.get("memory_bytes"), (spec.estimate or {}).get("host_bytes")
    if error.data.get("oom_kills"):
        yield "The kernel ended a process because memory ran out (oom_kill in /proc/vmstat)."
    else:
        yield "The kernel counts no process that it ended for memory meanwhile: somebody else may have killed it."
    told = [f"it was expected to keep {size(expected)} of weights there"] if expected else []
    told += [f"it held {size(held)} at its most, as far as was seen"] if held else []
    there = (
        f"Of main memory there are {size(total_bytes())}, of which {size(available_bytes())} are available without it"
    )
    yield "; ".join([there, *told]) + "."
