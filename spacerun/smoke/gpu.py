"""Whether the memory of the GPUs is free again once an app has ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spacerun.gpu.processes import identify
from spacerun.gpu.usage import metering
from spacerun.smoke.result import Check
from spacerun.text import size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A driver frees the memory of a process shortly after its end.
_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.25
# What a display may come to hold meanwhile; see `app/gpu_memory.py`.
_NOISE: Final = 64 * 2**20


@dataclass(frozen=True)
class Held:
    """What is held of some GPUs at one time.

    Attributes:
        uuids: The GPUs.
        used: Bytes that anybody holds.
        by_process: Bytes that each process holds, by its id; None where the driver does not say.
    """

    uuids: tuple[str, ...]
    used: int
    by_process: dict[int, int | None]


def held(uuids: Sequence[str]) -> Held | None:
    """What is held of the GPUs with these UUIDs now; None for no GPUs, and where the driver does not answer."""
    if not uuids:
        return None
    with metering(uuids) as meter:
        return Held(tuple(uuids), meter.used(), meter.held()) if meter else None


def check_returned(before: Held) -> Check:
    """Whether an app that this process ran gave back the memory of its GPUs; waits 10 s for it at most.

    What other processes came to hold meanwhile is not counted. The app's have ended by now, and those that outlived it
    are descendants of this process, which adopts what its children leave.

    Args:
        before: What was held before the app was started.
    """
    until = time.monotonic() + _SECONDS
    while True:
        now = held(before.uuids)
        if now is None:
            return Check("gpu-memory", ok=True, detail="the driver no longer answers", skipped=True)
        changes = _changes(before, now)
        left = now.used - before.used - sum(change or 0 for change in changes.values())
        if left <= _NOISE or time.monotonic() > until:
            break
        time.sleep(_POLL_SECONDS)
    took = {pid: change for pid, change in changes.items() if change and change > _NOISE}
    others = f"; others took {size(sum(took.values()))} meanwhile: {_named(took)}" if took else ""
    if left <= _NOISE:
        return Check("gpu-memory", ok=True, detail=f"{size(now.used)} in use, {size(before.used)} before{others}")
    if untold := [pid for pid, change in changes.items() if change is None]:
        detail = f"the driver does not say how much others hold: {_named(untold)}"
        return Check("gpu-memory", ok=True, detail=detail, skipped=True)
    own = _named(_descendants(now.by_process))
    by = f", held by {own}" if own else " by whom the driver does not name"
    return Check("gpu-memory", ok=False, detail=f"{size(left)} not given back after {_SECONDS:.0f} s{by}{others}")


def _changes(before: Held, now: Held) -> dict[int, int | None]:
    """How many bytes more each process holds that is not the app's; None where the driver does not say."""
    own = _descendants(now.by_process)
    changes: dict[int, int | None] = {}
    for pid in {*before.by_process, *now.by_process} - own:
        earlier, used = before.by_process.get(pid, 0), now.by_process.get(pid, 0)
        changes[pid] = None if used is None or earlier is None else used - earlier
    return changes


def _descendants(pids: Iterable[int]) -> set[int]:
    import psutil

    return {child.pid for child in psutil.Process().children(recursive=True)}.intersection(pids)


def _named(pids: Iterable[int]) -> str:
    processes = (identify(pid, None) for pid in sorted(pids))
    return ", ".join(f"{process.name or 'a process not to be seen from here'} ({process.pid})" for process in processes)
