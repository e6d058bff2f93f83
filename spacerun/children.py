"""Child processes that do a stage's work in some thread, and that can all be stopped at once."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_running: set[subprocess.Popen[bytes]] = set()
_running_lock = threading.Lock()


def start(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401
    """Start a child process in a session of its own; it ends by itself, by `kill` or by `stop_all`.

    In its own session no prompt of it reaches the terminal, and its whole group can be ended.

    Args:
        command: Program and arguments.
        **options: Further arguments of `subprocess.Popen`; standard input is closed.
    """
    process: subprocess.Popen[bytes] = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, **options
    )
    with _running_lock:
        _running.add(process)
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
        _running.discard(process)


def stop_all() -> None:
    """Kill every child that runs in some thread, so that those threads end with an error at once."""
    with _running_lock:
        running = list(_running)
    for process in running:
        kill(process)


# The threads that would do it are daemonic: they do not outlive the main thread, a child in its own session does.
atexit.register(stop_all)
