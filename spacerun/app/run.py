"""Starting an app, looking after it, and ending all of it: the same code in the foreground and detached."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from spacerun import exec_bound
from spacerun.app import ports, processes, readiness, registry, share
from spacerun.app.gpu_memory import GpuMemoryWatch
from spacerun.app.log import AppLog
from spacerun.app.spec import AppRecord
from spacerun.errors import AppCrashedError, ShareError, SpacerunError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    import psutil

    from spacerun.app.spec import AppSpec, Status

_TAIL_LINES = 15
_TEND_SECONDS = 5.0
_LOOPBACK = ("127.", "::1", "::ffff:127.")


def supervise(
    spec: AppSpec,
    environment: Mapping[str, str],
    *,
    on_line: Callable[[str], None],
    on_ready: Callable[[AppRecord], None],
    on_warning: Callable[[str], None],
    on_answer: Callable[[AppRecord], None] = lambda _: None,
) -> int:
    """Start an app, wait until it answers and its share link is proven, and stay until it ends.

    However this ends, by itself, by an error, by SIGINT, SIGTERM or SIGHUP, no process of the app is left. A second
    signal ends them at once.

    Args:
        spec: What to start.
        environment: All environment variables of the app. Never written to disk.
        on_line: Called with each line of the app's log, made printable; from another thread.
        on_ready: Called once it answers, and the share link is proven or has failed.
        on_warning: Called with a sentence that the user should see.
        on_answer: Called as soon as it answers on this machine.

    Returns:
        The app's exit status, 128 + N where signal N ended it; 0 where `stop` did.

    Raises:
        AppCrashedError: It ended before it answered.
        AppTimeoutError: It did not answer in time.
        ProbeError: It answers, but not soundly.
        ShareError: There is no share link, and `spec.require_share` is set.
        KeyboardInterrupt: A signal asked for the end; everything is ended.
    """
    with registry.supervising(spec.id), _Signals() as signals:
        app = _App(spec, environment, on_line)
        status: Status = "failed"
        try:
            try:
                app.start()
                answer = readiness.wait_until_answers(spec, members=app.members, log=app.log, check=app.check)
                app.answered(answer, on_warning)
                on_answer(app.record)
                app.share(answer, on_warning)
                on_ready(app.record)
                code = app.wait(answer.listener.port)
                status = "ended" if code == 0 else "crashed"
            finally:
                signals.ending = True
        except KeyboardInterrupt:
            status = "stopped"
            raise
        except SpacerunError as error:
            status = "crashed" if isinstance(error, AppCrashedError) else "failed"
            error.stage = error.stage or "start"
            error.data = {"log": str(app.log.path), **error.data}
            raise
        finally:
            app.end(lambda: signals.hurry, on_warning)
            if registry.stop_requested(spec.id):
                status = "stopped"
            app.note(status=status, exit_code=app.exit_status)
            ports.release_port(spec.port)
    return 0 if status == "stopped" else code


class _App:
    """One app: its process, its log, its record."""

    def __init__(self, spec: AppSpec, environment: Mapping[str, str], on_line: Callable[[str], None]) -> None:
        self.spec = spec
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
        self._gpu_memory = GpuMemoryWatch(spec, self._belongs)
        folder = registry.run_folder(spec.id)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.log = AppLog(folder / "app.log", self._take_line)
        self.record = AppRecord(
            id=spec.id,
            space=spec.space,
            revision=spec.revision,
            sdk=spec.sdk,
            status="starting",
            pid=None,
            started=None,
            supervisor_pid=os.getpid(),
            supervisor_started=processes.created(os.getpid()),
            port=spec.port,
            url=None,
            share_url=None,
            log=str(self.log.path),
            exit_code=None,
            started_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            directory=spec.directory,
        )

    def note(self, **changes: object) -> None:
        """Change the record, here and on disk."""
        self.record = replace(self.record, **changes)  # type: ignore[arg-type]
        registry.save(self.record)

    def start(self) -> None:
        """Start the process in a session of its own."""
        import psutil

        self._strangers = frozenset(child.pid for child in psutil.Process().children(recursive=True))
        self.note()  # before the process is: whoever finds it must find out whose it is
        processes.adopt_orphans()
        self._gpu_memory.start()
        bound = (sys.executable, "-I", "-S", exec_bound.__file__, str(os.getpid()))
        try:
            self._process = subprocess.Popen(
                [*(bound if sys.platform == "linux" else ()), *self.spec.command],
                cwd=self.spec.directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise AppCrashedError(f"The app could not be started: {error}.") from error
        assert self._process.stdout is not None  # noqa: S101 - narrows the type: it is a pipe
        descriptor = os.dup(self._process.stdout.fileno())
        self._process.stdout.close()
        self._pump = threading.Thread(target=self.log.pump, args=(descriptor,), name="app log", daemon=True)
        self._pump.start()
        self.note(pid=self._process.pid, started=processes.created(self._process.pid))

    def members(self) -> list[psutil.Process]:
        """All living processes of the app."""
        return processes.family(self._hook, session=self._session(), adopted=True, strangers=self._strangers)

    def _belongs(self, pid: int) -> bool:
        return processes.belongs(pid, self._hook, session=self._session())

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
        if self._listener_error:
            raise self._listener_error
        code = self._process.poll() if self._process else None
        if code is None or time.monotonic() < self._background_until:
            return
        # frpc outlives its Gradio; it serves nothing by itself.
        if code == 0 and any(not _name(process).startswith("frpc") for process in self.members()):
            self._background_until = time.monotonic() + 1.0
            return
        raise self._crash(code)

    def answered(self, answer: readiness.Answer, on_warning: Callable[[str], None]) -> None:
        """Note where it answers, and say what is not as asked."""
        listener = answer.listener
        changes: dict[str, object] = {"status": "running", "port": listener.port, "url": answer.url}
        if self._process and self._process.poll() is not None:
            changes |= {"pid": listener.pid, "started": processes.created(listener.pid)}
        self.note(**changes)
        if listener.port != self.spec.port:
            on_warning(f"The app listens on port {listener.port}, not on {self.spec.port} as asked.")
        if not listener.bound.startswith(_LOOPBACK) and self.spec.host.startswith((*_LOOPBACK, "localhost")):
            on_warning(f"The app listens on {listener.bound}: whoever can reach this machine can use it.")

    def share(self, answer: readiness.Answer, on_warning: Callable[[str], None]) -> None:
        """Prove the share link, if one is wanted."""
        if not self.spec.share:
            return
        link = share.resolve(self._watch, expected=answer.gradio, check=self.check)
        if link.url:
            self.note(share_url=link.url)
        elif self.spec.require_share:
            raise ShareError(
                f"The app answers, but has no share link: {link.reason}.",
                hint=f"Without --require-share it runs all the same, at {answer.url}.",
                stage="share",
                data={"url": answer.url},
            )
        else:
            on_warning(f"No share link: {link.reason}. The app runs at {answer.url}.")

    def wait(self, port: int) -> int:
        """Wait until the app ends, or, where it went to the background, until nothing of it listens on `port`."""
        assert self._process is not None  # noqa: S101 - narrows the type: it was started
        next_tending = 0.0
        while (code := self._process.poll()) is None:
            if self._listener_error:
                raise self._listener_error
            if time.monotonic() >= next_tending:
                self._tend()
                next_tending = time.monotonic() + _TEND_SECONDS
            time.sleep(0.2)
        while code == 0 and any(listener.port == port for listener in readiness.listeners(self.members())):
            self._tend()
            time.sleep(1.0)
        return processes.exit_status(code)

    def end(self, hurry: Callable[[], bool], on_warning: Callable[[str], None]) -> None:
        """End all its processes, and take what they wrote last."""
        self._gpu_memory.stop()
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

    def _crash(self, code: int) -> AppCrashedError:
        if self._pump:
            self._pump.join(1.0)
        lines = self.log.tail(_TAIL_LINES)
        how = processes.describe_exit(code)
        if registry.stop_requested(self.spec.id):
            how = "stopped on request"
        return AppCrashedError(
            f"The app ended before it answered ({how}).",
            hint="\n".join(["Its last lines:", *lines] if lines else ["It wrote nothing."]),
            data={"exit_status": processes.exit_status(code), "last_lines": lines},
        )


class _Signals:
    """SIGINT, SIGTERM and SIGHUP interrupt once; while the app is being ended, another one means: at once."""

    def __init__(self) -> None:
        self.ending = False
        self.hurry = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> _Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) != signal.SIG_IGN:  # `nohup`, or a shell's background job
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.ending:
            self.hurry = True
            return
        self.ending = True
        raise KeyboardInterrupt


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
