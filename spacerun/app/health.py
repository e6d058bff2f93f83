"""How the apps are: whether they answer, and what they take of the machine."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from spacerun.app import http, processes, registry
from spacerun.gpu.usage import metering
from spacerun.lanes import each

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psutil

    from spacerun.app.spec import AppRecord

_ASK_SECONDS = 2.0
_AT_ONCE = 8
_CPU_SECONDS = 0.3  # over which the use of the CPU is told
# Any of these shows that the app is there; the second asks for a password.
_ANSWERS = frozenset({200, 401})
# The inode of the first PID namespace (Linux, include/uapi/linux/nsfs.h, PROC_PID_INIT_INO).
_FIRST_NAMESPACE = "pid:[4026531836]"


@dataclass(frozen=True)
class AppHealth:
    """An app and how it is.

    Attributes:
        record: The app.
        health: `starting`, `answers` (HTTP 200 or 401 on its URL) or `silent`; None once it has ended.
        uptime_seconds: Time since it was started, in seconds; 0 once it has ended.
        memory_bytes: Resident memory of all its processes, in bytes; pages that they share count for each.
        cpu_percent: What they use of the CPU at the moment; 100 is one core.
        gpu_memory_bytes: What they hold of the GPUs' memory, in bytes; None where it has no GPU, and where the driver
            does not tell: inside a container it knows processes by other ids, under WSL none.
    """

    record: AppRecord
    health: Literal["starting", "answers", "silent"] | None
    uptime_seconds: float
    memory_bytes: int
    cpu_percent: float
    gpu_memory_bytes: int | None

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return {
            **self.record.to_json(),
            "health": self.health,
            "uptime_seconds": round(self.uptime_seconds, 1),
            "memory_bytes": self.memory_bytes,
            "cpu_percent": round(self.cpu_percent, 1),
            "gpu_memory_bytes": self.gpu_memory_bytes,
        }


def survey(records: Sequence[AppRecord]) -> list[AppHealth]:
    """How each of the apps in `records` is; they are asked at the same time."""
    return each(_examine, records, _AT_ONCE)


def _examine(record: AppRecord) -> AppHealth:
    if not record.active:
        return AppHealth(record, None, 0.0, 0, 0.0, None)
    living = registry.processes_of(record)
    began, before = time.monotonic(), _cpu_seconds(living)
    health = _health(record)
    time.sleep(max(0.0, began + _CPU_SECONDS - time.monotonic()))
    used = sum(seconds - before.get(pid, seconds) for pid, seconds in _cpu_seconds(living).items())
    pids = [process.pid for process in living]
    return AppHealth(
        record=record,
        health=health,
        uptime_seconds=max(0.0, time.time() - record.started) if record.started else 0.0,
        memory_bytes=processes.memory_bytes(pids),
        cpu_percent=100 * used / (time.monotonic() - began),
        gpu_memory_bytes=_gpu_memory(record, pids),
    )


def _health(record: AppRecord) -> Literal["starting", "answers", "silent"]:
    if record.url is None:
        return "starting"
    parts = urlsplit(record.url)
    reply = http.ask(parts.hostname or "", parts.port or 80, seconds=_ASK_SECONDS)
    return "answers" if reply and reply.status in _ANSWERS else "silent"


def _cpu_seconds(living: Sequence[psutil.Process]) -> dict[int, float]:
    import psutil

    seconds = {}
    for process in living:
        with suppress(psutil.Error):
            times = process.cpu_times()
            seconds[process.pid] = times.user + times.system
    return seconds


def _gpu_memory(record: AppRecord, pids: Sequence[int]) -> int | None:
    spec = registry.load_spec(record.id)
    if spec is None or not spec.gpus:
        return None
    with metering(spec.gpus) as meter:
        held = meter.held() if meter else {}
    own = [held[pid] for pid in pids if pid in held]
    told = [used for used in own if used is not None]
    if own:
        return sum(told) if len(told) == len(own) else None
    # That the driver names others, by ids that mean the same here, is what tells that it would name these.
    return 0 if held and _has_drivers_ids() else None


def _has_drivers_ids() -> bool:
    """Whether process ids mean the same to the driver as here, which they do outside of containers."""
    try:
        return str(Path("/proc/self/ns/pid").readlink()) == _FIRST_NAMESPACE
    except OSError:
        return False
