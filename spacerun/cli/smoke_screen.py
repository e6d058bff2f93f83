"""How a running smoke test is shown."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from spacerun.text import one_line

if TYPE_CHECKING:
    from spacerun.console import ConsoleProgress
    from spacerun.progress import Progress
    from spacerun.smoke.job import Job
    from spacerun.smoke.result import Result


class Screen:
    """See `spacerun.smoke.suite.Listener`.

    Args:
        progress: The screen.
        alone: Whether only one Space is tested: then its stages are shown, else one line for each Space.
    """

    def __init__(self, progress: ConsoleProgress, *, alone: bool) -> None:
        self._progress = progress
        self._alone = alone

    def began(self, job: Job) -> Progress:
        """See `Listener`."""
        if self._alone:
            return self._progress
        self._progress.start(job.space, f"{one_line(job.space, 60)}: …")
        return _OneOfMany(self._progress, job.space)

    def line(self, job: Job, text: str) -> None:
        """See `Listener`."""
        self._progress.log(text if self._alone else f"{one_line(job.space, 60)} | {text}", sys.stderr)

    def ended(self, job: Job, result: Result) -> None:
        """See `Listener`."""
        if not self._alone:
            from spacerun.smoke.reports.terminal import line

            self._progress.finish(job.space, "", 0.0)
            self._progress.show(line(result))


class _OneOfMany:
    """The progress of one of several Spaces: what it does at the moment, and its warnings where all is shown."""

    def __init__(self, progress: ConsoleProgress, space: str) -> None:
        self._progress = progress
        self._space = space

    def start(self, stage: str, text: str) -> None:
        self.update(stage, text)

    def update(self, stage: str, text: str, done: int | None = None, total: int | None = None) -> None:  # noqa: ARG002
        self._progress.update(self._space, f"{one_line(self._space, 60)}: {text}", done, total)

    def finish(self, stage: str, text: str, seconds: float) -> None:
        pass

    def note(self, text: str) -> None:
        if self._progress.verbose:
            self._progress.note(f"{one_line(self._space, 60)}: {text}")

    def warn(self, text: str) -> None:
        self.note(text)
