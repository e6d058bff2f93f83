"""How a stage reports what it does, without knowing who listens."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator


_TICK_SECONDS = 0.5


class Progress(Protocol):
    """Receives the progress of stages; may be called from several threads."""

    def start(self, stage: str, text: str) -> None:
        """Stage `stage` begins; `text` says what it does, in the present participle."""

    def update(self, stage: str, text: str, done: int | None = None, total: int | None = None) -> None:
        """Show `text`, and `done` of `total` bytes where known."""

    def finish(self, stage: str, text: str, seconds: float) -> None:
        """Stage `stage` is done after `seconds`; `text` says what came out."""

    def note(self, text: str) -> None:
        """A line the user should see; nothing is wrong."""

    def warn(self, text: str) -> None:
        """A line the user should see; something is not as expected. Also lands in `warnings` of the JSON."""


class SilentProgress:
    """Collects warnings and shows nothing."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def start(self, stage: str, text: str) -> None:
        """Ignore it."""

    def update(self, stage: str, text: str, done: int | None = None, total: int | None = None) -> None:
        """Ignore it."""

    def finish(self, stage: str, text: str, seconds: float) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def warn(self, text: str) -> None:
        """Keep it, as it would be shown."""
        self.warnings.append(one_line(text, 2000))


class StageClock:
    """Times the stages of one run. `seconds` maps each stage that is over to its duration."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, text: str) -> Iterator[StageResult]:
        """Run one stage; an error that passes through learns in which stage it happened, and the stage is timed."""
        from spacerun.errors import SpacerunError

        self.progress.start(name, text)
        began = time.monotonic()
        result = StageResult()
        try:
            yield result
        except SpacerunError as error:
            error.stage = error.stage or name
            self.seconds[name] = round(time.monotonic() - began, 3)
            raise
        self.record(name, result.text, time.monotonic() - began)

    def record(self, name: str, text: str, seconds: float) -> None:
        """A stage that took `seconds` is done; `text` says what came out of it."""
        self.seconds[name] = round(seconds, 3)
        self.progress.finish(name, text, self.seconds[name])


@contextmanager
def ticking(progress: Progress, stage: str, text: str) -> Iterator[None]:
    """Say again and again that `stage` still runs, for as long as the block does."""
    done = threading.Event()

    def tick() -> None:
        while not done.wait(_TICK_SECONDS):
            progress.update(stage, text)

    threading.Thread(target=tick, daemon=True).start()
    try:
        yield
    finally:
        done.set()


class StageResult:
    """Where a stage leaves the sentence that says what came out of it."""

    def __init__(self) -> None:
        self.text = ""
