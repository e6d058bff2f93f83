"""Tests on this machine: a process for each."""

from __future__ import annotations

import json
import signal
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spacerun.app import registry
from spacerun.errors import ExitCode
from spacerun.smoke.desk import Need
from spacerun.smoke.nursery import Nursery
from spacerun.smoke.result import Result
from spacerun.text import duration, one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.smoke.desk import Desk
    from spacerun.smoke.job import Job

_POLL_SECONDS: Final = 0.2
_GRACE_SECONDS: Final = 30.0  # in which a worker ends what it started, and itself
_SAID_LINES: Final = 8


class Local:
    """See `spacerun.smoke.desk.Executor`; a context manager."""

    def __init__(self) -> None:
        self._nursery = Nursery()
        self._tests: set[_Running] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, job: Job, desk: Desk) -> Result:
        """See `Executor`."""
        with self._lock:
            if self._stopped:
                return not_run(job)
            test = _Running(job, desk, self._nursery)
            self._tests.add(test)
        try:
            return test.follow()
        finally:
            with self._lock:
                self._tests.discard(test)

    def stop(self) -> None:
        """See `Executor`."""
        with self._lock:
            self._stopped = True
            tests = list(self._tests)
        for test in tests:
            test.end("stopped")

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *_: object) -> None:
        self._nursery.close()


class _Running:
    """A test that runs in a process of its own."""

    def __init__(self, job: Job, desk: Desk, nursery: Nursery) -> None:
        self._job = job
        self._desk = desk
        folder = Path(job.artefacts)
        folder.mkdir(parents=True, exist_ok=True)
        self._said = folder / "worker.log"
        with self._said.open("wb") as said:
            self._worker = nursery.start(said)
        self._began = time.monotonic()
        self._waited = 0.0
        self._waits = False
        self._ended: str | None = None
        self._asked_at = 0.0
        self._over = threading.Event()
        self._stages: list[str] = []

    def follow(self) -> Result:
        """Hand on what it asks and tells until it is over."""
        threading.Thread(target=self._watch, name="time limit", daemon=True).start()
        result = None
        try:
            self._send(self._job.to_json())
            for message in self._messages():
                if "result" in message:
                    result = Result.from_json(message["result"])
                else:
                    self._take(message)
        finally:
            self._over.set()
            self._worker.close()
        if result is None:
            registry.reap_orphans()  # it was killed, and could not end what it had started
        return self._told(result)

    def end(self, why: str) -> None:
        """Ask it to end, because it is `stopped` or its time is over (`timeout`)."""
        if self._ended is None:
            self._ended, self._asked_at = why, time.monotonic()
            self._worker.signal(signal.SIGTERM)

    def _messages(self) -> Iterator[dict[str, Any]]:
        for line in self._worker.outgoing:
            yield json.loads(line)

    def _take(self, message: dict[str, Any]) -> None:
        ((name, told),) = message.items()
        match name:
            case "lease":
                self._lease(Need(**told))
            case "give_back":
                self._desk.give_back()
            case "uses":
                self._desk.uses(*told)
            case "line":
                self._desk.line(*told)
            case "start" | "update" | "finish" | "note" | "warn":
                self._note_stage(name, told[0])
                getattr(self._desk.progress, name)(*told)

    def _note_stage(self, event: str, stage: str) -> None:
        if event == "start":
            self._stages.append(stage)
        elif event == "finish" and stage in self._stages:
            self._stages.remove(stage)

    def _lease(self, need: Need) -> None:
        began, self._waits = time.monotonic(), True
        gpus = self._desk.lease(need)
        self._waited += time.monotonic() - began
        self._waits = False
        self._send({"gpus": gpus})

    def _send(self, message: dict[str, Any]) -> None:
        with suppress(BrokenPipeError):
            self._worker.incoming.write(json.dumps(message) + "\n")
            self._worker.incoming.flush()

    def _watch(self) -> None:
        """End it when its time is over, and kill it where it does not end."""
        while not self._over.wait(_POLL_SECONDS):
            now = time.monotonic()
            if not self._waits and now - self._began - self._waited > self._job.seconds:
                self.end("timeout")
            if self._ended and now - self._asked_at > _GRACE_SECONDS:
                self._worker.signal(signal.SIGKILL)

    def _told(self, result: Result | None) -> Result:
        known = result or not_run(self._job)
        seconds = round(time.monotonic() - self._began, 3)
        if self._ended == "stopped":
            return replace(known, status="not_run", ok=False, message=not_run(self._job).message, seconds=seconds)
        if self._ended == "timeout":
            stage = self._stages[-1] if self._stages else None
            return replace(
                known,
                status="failed",
                ok=False,
                exit_code=int(ExitCode.TIMEOUT),
                stage=stage,
                message=f"It was not done after {duration(self._job.seconds)}, so its test was ended.",
                hint="Give it more time: --space-timeout SECONDS",
                seconds=seconds,
            )
        if result is None:
            return replace(
                known,
                status="failed",
                exit_code=int(ExitCode.INTERNAL),
                message="The process that tested it ended unexpectedly.",
                hint=self._last_words(),
                seconds=seconds,
            )
        return result

    def _last_words(self) -> str:
        said = printable(self._said.read_text("utf-8", "replace")).strip().splitlines()[-_SAID_LINES:]
        if not said:
            return "It was killed: by the kernel, perhaps, for want of main memory. Fewer at once take less: --jobs 1"
        return "\n".join([f"What it said is in {self._said}:", *(one_line(line, 300) for line in said)])


def not_run(job: Job) -> Result:
    """The result of a Space that was not tested."""
    return Result(
        space=job.space,
        ok=False,
        proven=None,
        exit_code=int(ExitCode.INTERRUPTED),
        seconds=0.0,
        status="not_run",
        message="It was not tested: the run ended before.",
    )
