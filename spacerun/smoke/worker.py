"""The process in which one Space is tested: `python -m spacerun.smoke.worker`.

A process of its own, for what one Space does to it (memory, a crash) then happens to no other, and it can be ended at
any moment. The job comes by standard input, as one line of JSON; what the test asks and tells goes by standard output,
one JSON object of one member a line; what it is answered comes by standard input again.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TextIO

from spacerun.children import end_with
from spacerun.crash_log import write_crash_log
from spacerun.progress import SilentProgress
from spacerun.smoke.asking import options_from_json
from spacerun.smoke.job import Job
from spacerun.smoke.testing import Test

if TYPE_CHECKING:
    from types import FrameType

    from spacerun.smoke.desk import Need

_UPDATE_SECONDS: Final = 0.5


def main() -> None:
    """Test the Space that standard input names."""
    incoming, outgoing = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what a library prints is no part of the conversation
    threading.Thread(target=end_with, args=(os.getppid(),), name="parent", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    job = Job.from_json(json.loads(incoming.readline()))
    desk = PipeDesk(incoming, outgoing, verbose=job.verbose)
    test = Test(job, options_from_json(job), desk, desk.progress.warnings)
    try:
        result = test.run()
    except KeyboardInterrupt:
        result = test.given_up()
    except Exception as error:  # noqa: BLE001 - a bug of ours is told like any other failure
        result = test.crashed(error, write_crash_log("smoke-test", error))
    desk.tell(result=result.to_json())


class PipeDesk:
    """The desk of a test in another process than whoever runs it; see `spacerun.smoke.desk.Desk`.

    Args:
        incoming: Where answers come from.
        outgoing: Where everything else goes.
        verbose: Whether the lines of the app's log are told, too.
    """

    def __init__(self, incoming: TextIO, outgoing: TextIO, *, verbose: bool) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._lock = threading.Lock()
        self._verbose = verbose
        self.progress = PipeProgress(self)

    def tell(self, **message: Any) -> None:  # noqa: ANN401 - JSON
        """Send a message."""
        with self._lock:
            self._outgoing.write(json.dumps(message) + "\n")

    def lease(self, need: Need) -> tuple[str, ...]:
        """See `Desk`."""
        self.progress.note("It waits until enough GPU memory is left to it.")
        self.tell(lease={"gpus": need.gpus, "bytes": need.bytes, "together": need.together})
        answer = self._incoming.readline()
        gpus = tuple(json.loads(answer)["gpus"]) if answer else ()
        if not gpus:
            raise KeyboardInterrupt  # the run is given up, or nobody is there any more
        return gpus

    def give_back(self) -> None:
        """See `Desk`."""
        self.tell(give_back=[])

    def uses(self, kind: str, name: str) -> None:
        """See `Desk`."""
        self.tell(uses=[kind, name])

    def line(self, text: str) -> None:
        """See `Desk`."""
        if self._verbose:
            self.tell(line=[text])


class PipeProgress(SilentProgress):
    """Tells the desk of the stages, and keeps the warnings."""

    def __init__(self, desk: PipeDesk) -> None:
        super().__init__()
        self._desk = desk
        self._next_update = 0.0

    def start(self, stage: str, text: str) -> None:
        """See `Progress`."""
        self._desk.tell(start=[stage, text])

    def update(self, stage: str, text: str, done: int | None = None, total: int | None = None) -> None:
        """See `Progress`; not more often than anybody looks."""
        if time.monotonic() >= self._next_update:
            self._next_update = time.monotonic() + _UPDATE_SECONDS
            self._desk.tell(update=[stage, text, done, total])

    def finish(self, stage: str, text: str, seconds: float) -> None:
        """See `Progress`."""
        self._desk.tell(finish=[stage, text, seconds])

    def note(self, text: str) -> None:
        """See `Progress`."""
        self._desk.tell(note=[text])

    def warn(self, text: str) -> None:
        """See `Progress`."""
        super().warn(text)
        self._desk.tell(warn=[text])


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
