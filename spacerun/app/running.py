"""One life of an app: its process, its log, its record, from the start to the sweep."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from spacerun.app import processes, readiness, registry, share
from spacerun.app.crash import crashed
from spacerun.app.doors import LOOPBACK
from spacerun.app.gpu_memory import GpuMemoryWatch
from spacerun.app.idle import IdleWatch
from spacerun.app.log import AppLog
from spacerun.app.spec import new_record
from spacerun.containers import control
from spacerun.errors import AppCrashedError, ShareError
from spacerun.memory.host import oom_kills
from spacerun.source.hook_files import forget_launched

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

    import psutil

    from spacerun.app.answer import Answer
    from spacerun.app.doors import Doors
    from spacerun.app.spec import AppSpec

_TAIL_LINES = 15
_TEND_SECONDS = 5.0
_LOOKS = 3  # between the listing of processes and that of descendants, one may have become another


class Over(Exception):  # noqa: N818 - wanted, not wrong
    """An app is to be ended; the text says why, as a sentence."""


class Again(Exception):  # noqa: N818
    """An app is to be ended and started again."""


class Life:
    """One life of an app: its process, its log, its record.

    Args:
        spec: What to start.
        environment: Its variables.
        on_line: Called with each line of its log.
        doors: The ways to it, in all of its lives.

    Attributes:
        was_ready: Whether whoever waits for it was told that it runs, in this life or in one before.
    """

    def __init__(
        self, spec: AppSpec, environment: Mapping[str, str], on_line: Callable[[str], None], doors: Doors
    ) -> None:
        self.spec = spec
        self._doors = doors
        self._hook = registry.hook_folder(spec.id)
        self._environment = _marked(environment, str(self._hook))
        self._watch = share.ShareWatch(environment, self._hook)
        self._on_line = on_line
        self._listener_error: Exception | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pump: threading.Thread | None = None
        self._strangers: frozenset[int] = frozenset()
        self._descendants: list[tuple[int, float]] = []
        self._background_until = 0.0
        self.was_ready = False
        self._next_tending = 0.0
        self._memory_bytes = 0
        self._oom_kills = oom_kills()
        self._gpu_memory = GpuMemoryWatch(spec, self._belongs)
        folder = registry.run_folder(spec.id)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.log = AppLog(folder / "app.log", self._take_line)
        self.record = new_record(spec, self.log.path, processes.created(os.getpid()))

    def next(self, reason: str | None) -> Life:
        """The next life of the same app, which is noted already."""
        life = Life(self.spec, self._environment, self._on_line, self._doors)
        life.was_ready = self.was_ready
        life.note(reason=reason, restarts=self.record.restarts + 1)
        return life

    def note(self, **changes: object) -> None:
        """Change the record, here and on disk."""
        self.record = replace(self.record, **changes)  # type: ignore[arg-type]
        registry.save(self.record)

    def is_ready(self) -> None:
        """Note that whoever waits for it need not wait any longer."""
        self.was_ready = True
        self.note(ready=True)

    def start(self) -> None:
        """Start the process in a session of its own."""
        import psutil

        self._strangers = frozenset(child.pid for child in psutil.Process().children(recursive=True))
        self.note()  # before the process is: whoever finds it must find out whose it is
        forget_launched(self._hook)
        processes.adopt_orphans()
        self._gpu_memory.start()
        try:
            self._process, descriptor = processes.spawn(
                self.spec.command, directory=self.spec.directory, environment=self._environment
            )
        except OSError as error:
            raise AppCrashedError(f"The app could not be started: {error}.") from error
        self._pump = threading.Thread(target=self.log.pump, args=(descriptor,), name="app log", daemon=True)
        self._pump.start()
        self.note(pid=self._process.pid, started=processes.created(self._process.pid))

    def members(self) -> list[psutil.Process]:
        """All living processes of the app."""
        return processes.family(self._hook, session=self._session(), adopted=True, strangers=self._strangers)

    def _belongs(self, pid: int) -> bool:
        inside = control.processes(self.spec.container) if self.spec.container else ()
        return processes.belongs(pid, self._hook, session=self._session()) or any(one.pid == pid for one in inside)

    def _session(self) -> int | None:
        """Id of the session that the app was started in, while it is known to be its own."""
        import psutil

        session = self._process.pid if self._process else None
        if self._process and self._process.poll() is not None and psutil.pid_exists(self._process.pid):
            return None  # another process got the number
        return session

    def check(self) -> None:
        """Raise if there is nothing to wait for any more.

        An app that goes to the background ends with status 0 and lives on in its children.
        """
        self._heed()
        code = self._process.poll() if self._process else None
        if code is None or time.monotonic() < self._background_until:
            return
        if code == 0 and any(self._has_company() for _ in range(_LOOKS)):
            self._background_until = time.monotonic() + 1.0
            return
        raise self.crash(code)

    def _has_company(self) -> bool:
        """Whether other processes of it live than frpc, which outlives its Gradio, and serves nothing by itself."""
        return any(not _name(process).startswith("frpc") for process in self.members())

    def answered(self, answer: Answer, on_warning: Callable[[str], None]) -> None:
        """Note where it answers, and say what is not as asked."""
        listener, url = answer.listener, self._doors.open(answer)
        changes: dict[str, object] = {"status": "running", "port": urlsplit(url).port, "url": url}
        changes["reach"] = self._doors.who(answer, None)
        if self._process and self._process.poll() is not None:
            changes |= {"pid": listener.pid, "started": processes.created(listener.pid)}
        self.note(**changes)
        if urlsplit(answer.url).port != urlsplit(url).port and self.spec.gate is None:
            on_warning(f"Gradio's launch() is not what serves this app: a login page stands before it, at {url}.")
        if listener.port != self.spec.port:
            who = listener.program
            on_warning(f"The app listens on port {listener.port}, not on {self.spec.port} as asked: {who} does.")
        if not listener.bound.startswith(LOOPBACK) and self.spec.host.startswith(LOOPBACK):
            on_warning(f"The app listens on {listener.bound}: whoever can reach this machine can use it.")

    def share(self, answer: Answer, on_warning: Callable[[str], None]) -> None:
        """Make and prove the share link, if one is wanted."""
        if not self.spec.share:
            return
        link = self._doors.share(self._watch, answer, self.check)
        if link.url:
            self.note(share_url=link.url, reach=self._doors.who(answer, link.url))
        elif self.spec.require_share:
            raise ShareError(
                f"The app answers, but has no share link: {link.reason}.",
                hint=f"Without --require-share it runs all the same, at {self.record.url}.",
                stage="share",
                data={"url": self.record.url},
            )
        else:
            on_warning(f"No share link: {link.reason}. The app runs at {self.record.url}.")

    def died_of_sharing(self) -> bool:
        """Whether it crashed over its share link; the next life is then without the one that Gradio makes."""
        return self._doors.without_gradios_link(self.log.recent)

    def wait(self, port: int) -> int:
        """Wait until the app ends, or, where it went to the background, until nothing of it listens on `port`.

        Returns:
            Its exit status as `subprocess` gives it.

        Raises:
            Over: Nobody uses it.
            Again: It is to be started again.
        """
        assert self._process is not None  # noqa: S101 - narrows the type: it was started
        idle = IdleWatch(port, self.spec.idle_seconds) if self.spec.idle_seconds else None
        while self._lives(port):
            self._heed()
            if idle and (reason := idle.look()):
                raise Over(reason)
            time.sleep(0.2)
        return self._process.poll() or 0

    def _lives(self, port: int) -> bool:
        assert self._process is not None  # noqa: S101 - narrows the type: it was started
        code = self._process.poll()
        if code is None or time.monotonic() < self._background_until:
            return True
        self._background_until = time.monotonic() + 1.0
        return code == 0 and any(listener.port == port for listener in readiness.listeners_of(self.spec, self.members))

    def _heed(self) -> None:
        """Look after its processes, and raise if whoever listens to the log fails, or somebody asked for a restart."""
        if self._listener_error:
            raise self._listener_error
        if registry.restart_requested(self.spec.id):
            raise Again
        if time.monotonic() >= self._next_tending:
            self._tend()
            self._next_tending = time.monotonic() + _TEND_SECONDS

    def end(self, hurry: Callable[[], bool], on_warning: Callable[[str], None]) -> None:
        """End all its processes, and take what they wrote last."""
        self._gpu_memory.stop()
        if self.spec.container and self._process:
            # First: what its engine does not end it takes for running still.
            control.end(self.spec.container, processes.GRACE_SECONDS, hurry)
        left = processes.end(self.members, hurry=hurry)
        if left:
            pids = ", ".join(str(process.pid) for process in left)
            on_warning(f"These processes of the app cannot be ended, even by SIGKILL: {pids}.")
        self._tend()
        self._drain()

    @property
    def exit_status(self) -> int | None:
        """Exit status of the main process, once it ended."""
        code = self._process.poll() if self._process else None
        return None if code is None else processes.exit_status(code)

    def _tend(self) -> None:
        if self._process:
            living = processes.tend(except_pid=self._process.pid, strangers=self._strangers)
            self._memory_bytes = max(self._memory_bytes, processes.memory_bytes(pid for pid, _ in living))
            if living != self._descendants:
                self._descendants = living
                registry.note_descendants(self.spec.id, living)

    def _take_line(self, line: str) -> None:
        self._watch.see(line)
        if self._listener_error:
            return
        try:
            self._on_line(line)
        except Exception as error:  # noqa: BLE001 - the pipe must be emptied whatever the listener does
            self._listener_error = error

    def _drain(self) -> None:
        if self._pump:
            self._pump.join(2.0)  # a process that left the family may hold the pipe open
            if not self._pump.is_alive():
                self.log.close()

    def crash(self, code: int) -> AppCrashedError:
        """How it ended, from its exit status as `subprocess` gives it, and the last that it wrote."""
        if self._pump:
            self._pump.join(1.0)
        return crashed(
            code,
            answered=self.record.url is not None,
            on_request=registry.stop_requested(self.spec.id),
            lines=self.log.tail(_TAIL_LINES),
            memory_bytes=self._memory_bytes,
            oom_kills=oom_kills() - self._oom_kills,
        )


def _marked(environment: Mapping[str, str], hook: str) -> dict[str, str]:
    """`environment` with `hook` in PYTHONPATH, by which every process of the app is known."""
    path = environment.get("PYTHONPATH", "")
    if hook in path.split(os.pathsep):
        return dict(environment)
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, (hook, path)))}


def _name(process: psutil.Process) -> str:
    import psutil

    try:
        return process.name()
    except psutil.Error:
        return ""
