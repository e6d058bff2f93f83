"""The screen: progress on standard error, results on standard output; for terminals, pipes, notebooks and CI logs."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.text import Text

from spacerun.text import one_line, size

if TYPE_CHECKING:
    from rich.status import Status

# After a line of the app's log the running line stays away for a moment: a busy log is progress enough.
_QUIET_SECONDS = 0.5
# A stage that runs longer than this without a word gets a line of its own where lines cannot be redrawn.
_PLAIN_UPDATE_SECONDS = 10.0


def can_redraw(console: Console) -> bool:
    """Whether progress may be redrawn in place: a real terminal, not a notebook cell and not a CI log.

    A Jupyter kernel runs `!command` under a pseudo-terminal and sets `JPY_PARENT_PID` (jupyter_client,
    `launcher.py`); cursor movements end up as clutter in the cell. Every larger CI service sets `CI`.
    """
    return console.is_terminal and not console.is_dumb_terminal and not os.environ.keys() & {"JPY_PARENT_PID", "CI"}


class ConsoleProgress:
    """Shows stages as they run; see `spacerun.progress.Progress`. Keeps the warnings for the JSON document."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.warnings: list[str] = []
        self.verbose = verbose
        self._quiet = quiet
        self._running: dict[str, str] = {}
        self._said: dict[str, float] = {}
        self._lock = threading.RLock()
        self._status: Status | None = None
        self._hidden_until = 0.0
        self._redraw = can_redraw(self.console) and not quiet

    def start(self, stage: str, text: str) -> None:
        """Show that `stage` runs."""
        with self._lock:
            self._running[stage] = text
            self._said[stage] = time.monotonic()
            self._show()

    def update(self, stage: str, text: str, done: int | None = None, total: int | None = None) -> None:
        """Show how far `stage` has come."""
        line = one_line(text)
        if done is not None:
            line += f" {size(done)}" + (f" of {size(total)}" if total else "")
        with self._lock:
            if stage not in self._running:
                return
            news = line != self._running[stage] and done is None
            self._running[stage] = line
            if self.verbose and news:
                self._line(Text(f"  {stage}: {line}", style="dim"))
            elif self._redraw:
                self._show()
            elif not self._quiet and time.monotonic() - self._said[stage] > _PLAIN_UPDATE_SECONDS:
                self._said[stage] = time.monotonic()
                self._line(Text(f"  {stage}: {line}", style="dim"))

    def finish(self, stage: str, text: str, seconds: float) -> None:
        """Show what came out of `stage`."""
        with self._lock:
            self._running.pop(stage, None)
            if text and not self._quiet:
                took = f" {seconds:.1f} s" if seconds >= 0.05 else ""  # noqa: PLR2004 - shorter reads as 0.0 s
                self._line(Text.assemble(("✓ ", "green"), (f"{stage:<12}", "bold"), one_line(text), (took, "dim")))
            self._show()

    def note(self, text: str) -> None:
        """Show a line."""
        if not self._quiet:
            self._line(Text(one_line(text, 2000)))

    def warn(self, text: str) -> None:
        """Show a warning and keep it."""
        text = one_line(text, 2000)
        self.warnings.append(text)
        self._line(Text.assemble(("! ", "yellow bold"), text))

    def log(self, line: str, stream: TextIO) -> None:
        """Write a line of the app's log to `stream`, which may be the same terminal."""
        with self._lock:
            self._hide()
            self._hidden_until = time.monotonic() + _QUIET_SECONDS
            stream.write(line + "\n")
            stream.flush()

    def close(self) -> None:
        """Take the running line off the screen: what follows owns the terminal."""
        with self._lock:
            self._running.clear()
            self._hide()

    def _line(self, text: Text) -> None:
        with self._lock:
            self.console.print(text)

    def _show(self) -> None:
        if not self._redraw or time.monotonic() < self._hidden_until:
            return
        if not self._running:
            self._hide()
            return
        width = max(20, self.console.width - 4)
        line = " · ".join(self._running.values())
        line = line if len(line) <= width else line[: width - 1] + "…"
        if self._status is None:
            self._status = self.console.status(Text(line), spinner="dots")
            self._status.start()
        else:
            self._status.update(Text(line))

    def _hide(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None


def stdout_console() -> Console:
    """The console for results. In a pipe it is as wide as the text, so that nothing is cut."""
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return Console(highlight=False)
    return Console(highlight=False, width=200)
