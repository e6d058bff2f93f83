"""How the running apps are: whether they answer, and the memory they take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from spacerun.app import http, registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spacerun.app.spec import AppRecord

_ASK_SECONDS = 2.0


@dataclass(frozen=True)
class AppHealth:
    """An app and how it is.

    Attributes:
        record: The app.
        health: `starting`, `answers` (HTTP 200 on its URL) or `silent`.
        uptime_seconds: Time since it was started, in seconds.
        memory_bytes: Resident memory of all its processes, in bytes; pages that they share count for each.
    """

    record: AppRecord
    health: Literal["starting", "answers", "silent"]
    uptime_seconds: float
    memory_bytes: int

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return {
            **self.record.to_json(),
            "health": self.health,
            "uptime_seconds": round(self.uptime_seconds, 1),
            "memory_bytes": self.memory_bytes,
        }


def survey(records: Sequence[AppRecord]) -> list[AppHealth]:
    """How each of the apps in `records` is; they are asked at the same time."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(_examine, records))


def _examine(record: AppRecord) -> AppHealth:
    return AppHealth(
        record=record,
        health=_health(record),
        uptime_seconds=max(0.0, time.time() - record.started) if record.started else 0.0,
        memory_bytes=_memory(record),
    )


def _health(record: AppRecord) -> Literal["starting", "answers", "silent"]:
    if record.url is None:
        return "starting"
    parts = urlsplit(record.url)
    reply = http.ask(parts.hostname or "", parts.port or 80, seconds=_ASK_SECONDS)
    return "answers" if reply and reply.status == 200 else "silent"  # noqa: PLR2004 - OK


def _memory(record: AppRecord) -> int:
    import psutil

    total = 0
    for process in registry.processes_of(record):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total
