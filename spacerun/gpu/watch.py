"""The GPUs again and again: redrawn in place on a terminal, one reading below the other elsewhere."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.text import Text

from spacerun.console import can_redraw
from spacerun.gpu import nvml
from spacerun.gpu.table import DeviceTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console, RenderableType

    from spacerun.gpu.devices import DeviceReport


def watch(
    read: Callable[[], DeviceReport],
    console: Console,
    interval_seconds: float,
    *,
    until: Callable[[DeviceReport], bool] | None = None,
) -> DeviceReport:
    """Show the GPUs until the user ends it. A reading without devices shows the driver's problem, and it goes on.

    Args:
        read: Takes a reading, as `spacerun.gpu.devices.read_devices` does.
        console: Where to show it; a terminal that can redraw gets a single table, everything else one after another.
        interval_seconds: Pause between two readings.
        until: Asked after each reading whether that was the last one; None goes on forever.

    Returns:
        The last reading.

    Raises:
        KeyboardInterrupt: Ctrl-C. The last table is left on the screen, and the cursor below it.
    """
    with nvml.kept_open(), _screen(console) as show:
        while True:
            report = read()
            show(_reading(report, interval_seconds))
            if until is not None and until(report):
                return report
            time.sleep(interval_seconds)


@contextmanager
def _screen(console: Console) -> Iterator[Callable[[RenderableType], None]]:
    if not can_redraw(console):
        yield lambda reading: console.print(reading, "")
        return
    with Live(console=console, auto_refresh=False) as live:

        def redraw(reading: RenderableType) -> None:
            with _undisturbed():
                live.update(reading, refresh=True)

        yield redraw


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait: over half a table, Live would go up by the lines of a whole one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _reading(report: DeviceReport, interval_seconds: float) -> Group:
    now = datetime.now(tz=timezone.utc).astimezone().isoformat(" ", "seconds")
    parts: list[RenderableType] = [Text(f"{now}  every {interval_seconds:g} s, until Ctrl-C", style="dim")]
    if report.problem:
        parts.append(Text(f"{report.problem.message} {report.problem.remedy}", style="yellow"))
    if report.devices:
        parts.append(DeviceTable(report))
    return Group(*parts)
