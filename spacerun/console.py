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
# Where lines cannot be redrawn, a stage that runs on gets a line of its own after the first pause, and each pause
# until the next is twice as long, up to the last: half an hour of downloading is no wall of lines.
_FIRST_PAUSE_SECONDS = 10.0
_LAST_PAUSE_SECONDS = 60.0


def in_notebook() -> bool:
    """Whether this process is a Jupyter kernel, or was started from a cell of one, as `!command` is.

    There is a pseudo-terminal then, but nobody who could answer a question, and cursor movements end up as clutter in
    the cell. jupyter_client sets `JPY_PARENT_PID` (`launcher.py`); ipykernel, whoever starts it, chooses matplotlib's
    backend (`kernelapp.py`).
    """
    return "JPY_PARENT_PID" in os.environ or "inline" in os.environ.get("MPLBACKEND", "")


def cell_output() -> TextIO | None:
    """Where a cell of this kernel shows plain text, as its standard error looks like a failure; else None."""
    return sys.stdout if type(sys.stdout).__module__.startswith("ipykernel.") else None


def can_redraw(console: Console) -> bool:
    """Whether progress may be redrawn in place: a real terminal, no cell of a notebook and no CI log.

    Every larger CI service sets `CI`.
    """
    return console.is_terminal and not console.is_dumb_terminal and not in_notebook() and "CI" not in os.environ


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave a reader that went away (`| head`) to the command; rich would exit with 1."""
        raise  # noqa: PLE0704 - called while the error is handled


def _console(file: TextIO | None = None, *, stderr: bool = False, width: int | None = None) -> Console:
    """A console. In a notebook it writes plain text, whatever ipykernel says by `FORCE_COLOR`."""
    plain = False if in_notebook() else None
    return _Console(
        file=file,
        stderr=stderr,
        width=width,
        highlight=False,
        soft_wrap=stderr,  # progress is lines, results are tables
        force_terminal=plain,
        force_jupyter=plain,
    )


class ConsoleProgress:
    """Shows stages as they run; see `spacerun.progress.Progress`. Keeps the warnings for the JSON document.

    Args:
        quiet: Show warnings only.
        verbose: Show what the tools underneath say.
        file: Where to; default: standard error.
    """

    def __init__(self, *, quiet: bool = False, verbose: bool = False, file: TextIO | None = None) -> None:
        self.console = _console(file, stderr=True)
        self.warnings: list[str] = []
        self.verbose = verbose
        self._quiet = quiet
        self._running: dict[str, str] = {}
        self._pauses: dict[str, tuple[float, float]] = {}  # when a stage last had a line, and the pause until the next
        self._lock = threading.RLock()
        self._status: Status | None = None
        self._hidden_until = 0.0
        self._redraw = can_redraw(self.console) and not quiet

    def start(self, stage: str, text: str) -> None:
        """Show that `stage` runs."""
        with self._lock:
            self._running[stage] = text
            self._pauses[stage] = time.monotonic(), _FIRST_PAUSE_SECONDS
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
            told = line if line.startswith(stage) else f"{stage}: {line}"
            self._running[stage] = line
            if self.verbose and news:
                self._line(Text(f"  {told}", style="dim"))
            elif self._redraw:
                self._show()
            elif not self._quiet and self._is_due(stage):
                self._line(Text(f"  {told}", style="dim"))

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

    def show(self, text: Text) -> None:
        """Show a line with colours of its own."""
        if not self._quiet:
            self._line(text)

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

    def _is_due(self, stage: str) -> bool:
        """Whether it is time for another line on `stage`; then the next is due later."""
        said, pause = self._pauses[stage]
        due = time.monotonic() - said > pause
        if due:
            self._pauses[stage] = time.monotonic(), min(2 * pause, _LAST_PAUSE_SECONDS)
        return due

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
    """The console for results. In a pipe and in a notebook it is as wide as the text, so that nothing is cut."""
    fits = "COLUMNS" in os.environ or (sys.stdout.isatty() and not in_notebook())
    return _console(width=None if fits else 200)
