"""What a test asks and tells while it runs, wherever that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from spacerun.progress import Progress
    from spacerun.smoke.job import Job
    from spacerun.smoke.result import Result


@dataclass(frozen=True)
class Need:
    """GPU memory that an app takes once it is started.

    Attributes:
        gpus: UUIDs of the GPUs that it may have.
        bytes: What it takes at most, in bytes; None where that is not known: then it wants a GPU for itself.
        together: Whether it wants all of `gpus`, each for itself.
    """

    gpus: tuple[str, ...]
    bytes: int | None = None
    together: bool = False


class Desk(Protocol):
    """Where a test asks for what tests share, and tells how far it is."""

    @property
    def progress(self) -> Progress:
        """Told of the stages."""

    def lease(self, need: Need) -> tuple[str, ...]:
        """Wait until there is room for `need`; UUIDs of the GPUs that are kept for it until `give_back`."""

    def give_back(self) -> None:
        """What was leased is free again."""

    def uses(self, kind: str, name: str) -> None:
        """Tell of something on the disk that the test makes or uses: an `environment`, a `model`, an `image`, ….

        Nobody removes it before the test is over.
        """

    def line(self, text: str) -> None:
        """A line of the app's log, made printable."""


class Executor(Protocol):
    """Where tests run: on this machine (`local`), or on others; what is tested, and in what order, others decide."""

    def run(self, job: Job, desk: Desk) -> Result:
        """Test one Space, and return once nothing of it runs any more; called in several threads.

        A test that takes longer than `job.seconds`, without what it waits for leases, is ended.
        """

    def stop(self) -> None:
        """End all tests that run, which then return what is known of them; none is begun any more."""
