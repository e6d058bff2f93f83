"""Many tests: which one next, how often, and what they share."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from spacerun.smoke.cards import Cards
from spacerun.smoke.local import Local, not_run
from spacerun.smoke.pruning import Pruner
from spacerun.smoke.result import Report
from spacerun.smoke.runs import begun

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spacerun.progress import Progress
    from spacerun.smoke.cards import Lease
    from spacerun.smoke.desk import Executor, Need
    from spacerun.smoke.job import Job
    from spacerun.smoke.result import Result
    from spacerun.smoke.runs import Run

_POLL_SECONDS: Final = 0.1
_PORT_TRIES: Final = 10
_PORT_SECONDS: Final = 20.0
_PAUSES: Final = (5.0, 20.0, 60.0)  # before it is tried again after a network fault, in seconds


@dataclass(frozen=True)
class Settings:
    """How a suite is run.

    Attributes:
        at_once: How many Spaces are tested at the same time.
        retries: How often a Space is tested again after a network fault.
        fail_fast: Whether the first Space that fails ends the run.
        prune_after: Whether what a test brought to this disk is removed after it.
    """

    at_once: int = 1
    retries: int = 2
    fail_fast: bool = False
    prune_after: bool = False


class Listener(Protocol):
    """Told how a suite goes on; called in several threads."""

    def began(self, job: Job) -> Progress:
        """A test begins; who is told of its stages."""

    def line(self, job: Job, text: str) -> None:
        """A line of its app's log, made printable."""

    def ended(self, job: Job, result: Result) -> None:
        """A test is over."""


def smoke_test(
    jobs: Sequence[Job],
    settings: Settings,
    listener: Listener,
    *,
    resume: bool = False,
    executor: Executor | None = None,
) -> Report:
    """Test Spaces.

    Args:
        jobs: What is to be tested.
        settings: How.
        listener: Told how it goes on.
        resume: Whether to take over the results of the last run of the same jobs, if that was interrupted.
        executor: Where they run; default: on this machine.

    Raises:
        RefusedError: The same run is under way.
    """
    with begun(jobs, resume=resume) as run:
        if executor:
            return Suite(run, jobs, executor, settings, listener).test()
        with Local() as here:
            return Suite(run, jobs, here, settings, listener).test()


class Suite:
    """One run of many tests.

    Args:
        run: What is kept of it.
        jobs: The tests, in the order in which they are begun.
        executor: Where they run.
        settings: How.
        listener: Who is told.
    """

    def __init__(
        self, run: Run, jobs: Sequence[Job], executor: Executor, settings: Settings, listener: Listener
    ) -> None:
        self._run = run
        self._jobs = jobs
        self._executor = executor
        self._settings = settings
        self._listener = listener
        self._cards = Cards()
        self._pruner = Pruner() if settings.prune_after else None
        self._results: dict[int, Result] = dict(run.earlier())
        self._waiting = deque(number for number in range(len(jobs)) if number not in self._results)
        self._stopped = threading.Event()
        self._over = threading.Condition()
        self._ends = 0
        self._insisting = threading.Lock()
        self._failure: BaseException | None = None

    def test(self) -> Report:
        """Run all tests; interrupted, it ends those that run, and tells what is known."""
        began, started_at = time.monotonic(), datetime.now(timezone.utc).isoformat(timespec="seconds")
        threads = [
            threading.Thread(target=self._work, name=f"smoke test {number}", daemon=True)
            for number in range(min(self._settings.at_once, len(self._waiting)))
        ]
        interrupted = False
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            try:
                threads[0].join(_POLL_SECONDS)
                time.sleep(0 if threads[0].is_alive() else _POLL_SECONDS)
            except KeyboardInterrupt:
                if interrupted:
                    raise  # asked for twice: those that run are ended by the end of this process
                interrupted = True
                self._stop()
        if self._failure:
            raise self._failure
        results = tuple(self._results.get(number) or not_run(job) for number, job in enumerate(self._jobs))
        if not interrupted:
            self._run.finish()
        return Report(results, round(time.monotonic() - began, 3), started_at, interrupted)

    def _stop(self) -> None:
        self._stopped.set()
        self._waiting.clear()
        self._executor.stop()

    def _work(self) -> None:
        while self._waiting:
            try:
                number = self._waiting.popleft()
            except IndexError:  # another thread was quicker
                return
            try:
                self._test_one(number)
            except BaseException as error:  # noqa: BLE001 - raised again by whoever waits for all
                self._failure = error
                self._stop()

    def _test_one(self, number: int) -> None:
        job = replace(self._jobs[number], artefacts=str(self._run.artefacts(number)))
        desk = _Desk(job, self._cards, self._pruner, self._listener, self._stopped.is_set)
        result = self._tried(job, desk)
        self._results[number] = result
        self._run.keep(number, result)
        self._listener.ended(job, result)
        if self._pruner:
            self._pruner.done(job.artefacts)
        if self._settings.fail_fast and result.status == "failed":
            self._stop()

    def _tried(self, job: Job, desk: _Desk) -> Result:
        """The result of a test, which is made again where the network failed."""
        retries: list[str] = []
        while True:
            result = self._on_a_free_port(job, desk)
            left = self._settings.retries - len(retries)
            if result.status != "network" or left <= 0 or self._stopped.is_set():
                return replace(result, retries=tuple(retries))
            retries.append(f"{result.stage}: {result.message}")
            pause = _PAUSES[min(len(retries), len(_PAUSES)) - 1]
            desk.progress.warn(f"{job.space}: {result.message} It is tried again in {pause:.0f} s.")
            self._stopped.wait(pause)

    def _on_a_free_port(self, job: Job, desk: _Desk) -> Result:
        """The result of a test, which is made again where another had the port that its code insists on."""
        before = self._ends
        result = self._once(job, desk)
        for _ in range(_PORT_TRIES if self._settings.at_once > 1 else 0):
            if not result.port_taken or self._stopped.is_set():
                break
            with self._insisting:
                with self._over:  # its own end is one
                    self._over.wait_for(partial(self._have_ended_since, before + 1), _PORT_SECONDS)
                before = self._ends
                result = self._once(job, desk)
        return result

    def _have_ended_since(self, count: int) -> bool:
        return self._ends > count

    def _once(self, job: Job, desk: _Desk) -> Result:
        desk.progress = self._listener.began(job)
        try:
            return self._executor.run(job, desk)
        finally:
            desk.give_back()
            with self._over:
                self._ends += 1
                self._over.notify_all()


class _Desk:
    """The desk of one test; see `spacerun.smoke.desk.Desk`."""

    progress: Progress

    def __init__(
        self, job: Job, cards: Cards, pruner: Pruner | None, listener: Listener, given_up: Callable[[], bool]
    ) -> None:
        self._job = job
        self._cards = cards
        self._pruner = pruner
        self._listener = listener
        self._given_up = given_up
        self._lease: Lease | None = None

    def lease(self, need: Need) -> tuple[str, ...]:
        self._lease = self._cards.take(need, self._given_up)
        return self._lease.gpus if self._lease else ()

    def give_back(self) -> None:
        if self._lease:
            self._cards.give_back(self._lease)
            self._lease = None

    def uses(self, kind: str, name: str) -> None:
        if self._pruner:
            self._pruner.uses(self._job.artefacts, kind, name)

    def line(self, text: str) -> None:
        self._listener.line(self._job, text)
