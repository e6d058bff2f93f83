"""Child processes that do a stage's work in some thread, and that can be stopped from another one."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_POLL_SECONDS = 0.2


class Family:
    """The children of one piece of work, whatever threads it is done in; another one's are none of its business.

    Work belongs to the family that it was started in by `contextvars` (see `entered`), and a family to the one that it
    was made in: whoever stops that, stops this.
    """

    def __init__(self) -> None:
        self._around = _family.get()
        self._stopped = False

    @contextmanager
    def entered(self) -> Iterator[None]:
        """What is started in the block belongs to this family."""
        token = _family.set(self)
        try:
            yield
        finally:
            _family.reset(token)

    @property
    def stopped(self) -> bool:
        """Whether its work is over: no child of it is started any more."""
        return self._stopped or (self._around is not None and self._around.stopped)

    def stop(self) -> None:
        """Kill its children, so that the threads that wait for them end with an error at once."""
        self._stopped = True
        with _running_lock:
            mine = [process for process, family in _running.items() if family and family.stopped]
        for process in mine:
            kill(process)


class StoppedError(Exception):
    """The work was given up meanwhile; nobody waits for this."""


def check() -> None:
    """Raise `StoppedError` where the work that this thread does was given up."""
    family = _family.get()
    if family and family.stopped:
        raise StoppedError


_family: ContextVar[Family | None] = ContextVar("family", default=None)
_running: dict[subprocess.Popen[bytes], Family | None] = {}
_running_lock = threading.Lock()


def start(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401
    """Start a child process in a session of its own; it ends by itself, by `kill`, or with its family.

    In its own session no prompt of it reaches the terminal, and its whole group can be ended.

    Args:
        command: Program and arguments.
        **options: Further arguments of `subprocess.Popen`; standard input is closed.

    Raises:
        StoppedError: Its family was stopped.
    """
    with _running_lock:  # held until it is registered: a stop comes before it or finds it
        check()
        process: subprocess.Popen[bytes] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, start_new_session=True, **options
        )
        _running[process] = _family.get()
    return process


@contextmanager
def child(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[bytes]]:  # noqa: ANN401
    """A child process as `start` makes it, killed with its children when the block is left while it runs."""
    process = start(command, **options)
    try:
        yield process
    finally:
        kill(process)
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def own_module(name: str, *arguments: str) -> list[str]:
    """A command that runs a module of spacerun.

    By `python -m` the working folder would come first on `sys.path`, and any file in it, a Space's perhaps, could stand
    in for a module of ours; `-P`, which keeps it off, is there since Python 3.11.

    Args:
        name: Full name of the module.
        *arguments: Its arguments.
    """
    run = (
        f"import sys; sys.path = [p for p in sys.path if p]; import runpy; runpy.run_module({name!r}, None, '__main__')"
    )
    return [sys.executable, "-c", run, *arguments]


def end_with(parent: int) -> None:
    """End as by SIGTERM once the process that started this one is gone, however that ended.

    The kernel could send that signal itself (PR_SET_PDEATHSIG), but it does so when the thread that started this
    process ends. And a pipe would stay open in whatever the parent forks.
    """
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def bound(program: str, *arguments: str) -> list[str]:
    """A command that the kernel (Linux) ends when the thread that starts it ends, also by `kill -9`.

    Args:
        program: Absolute path.
        *arguments: Its arguments.
    """
    if sys.platform != "linux":
        return [program, *arguments]
    from spacerun import exec_bound

    return [sys.executable, "-I", "-S", exec_bound.__file__, str(os.getpid()), program, *arguments]


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill `process`, the leader of its session, and its group; nothing if it has ended."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with _running_lock:
        _running.pop(process, None)


def stop_all() -> None:
    """Kill every child that runs in some thread."""
    with _running_lock:
        running = list(_running)
    for process in running:
        kill(process)


# The threads that would do it are daemonic: they do not outlive the main thread, a child in its own session does.
atexit.register(stop_all)
