"""The processes of an app: starting them, finding all of them, and ending all of them.

Three nets, as each has holes: the session that the app was started in (left by `setsid`), the start-up hook's folder
in the environment (cleared by some daemons), and orphans that the kernel hands to the supervisor (subreaper).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from spacerun.children import bound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import psutil

GRACE_SECONDS = 5.0
"""How long processes may take to end after SIGTERM."""

_KILL_SECONDS = 10.0
_SAME_PROCESS_SECONDS = 2.0  # the kernel's boot time, from which creation times are computed, drifts with NTP
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


def spawn(
    command: Sequence[str], *, directory: str | Path, environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a program in a session of its own, which the kernel ends with the thread that calls this.

    Args:
        command: Absolute path of the program, then its arguments.
        directory: Its working folder.
        environment: All of its variables.

    Returns:
        The process, and the descriptor from which what it writes is to be read; the caller closes it.

    Raises:
        OSError: It cannot be started.
    """
    process = subprocess.Popen(
        bound(*command),
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None  # noqa: S101 - narrows the type: it is a pipe
    descriptor = os.dup(process.stdout.fileno())
    process.stdout.close()
    return process, descriptor


def adopt_orphans() -> None:
    """Let the kernel hand orphaned descendants of this process to it instead of to init (Linux only)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def created(pid: int) -> float:
    """Creation time of process `pid` in seconds since the epoch; 0.0 if it is gone."""
    import psutil

    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


def is_same(pid: int | None, started: float | None) -> bool:
    """Whether process `pid` lives and is the one that was created at `started`."""
    import psutil

    if pid is None or started is None:
        return False
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < _SAME_PROCESS_SECONDS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def family(
    hook: Path, *, session: int | None, adopted: bool, strangers: frozenset[int] = frozenset()
) -> list[psutil.Process]:
    """All living processes of an app.

    Args:
        hook: Its start-up hook folder.
        session: Id of the session that it was started in, if known to be its own still.
        adopted: Whether descendants of this process count. Those in this process's own session never do: the app was
            started in another one, and nothing can move back.
        strangers: Process ids that do not belong to it.
    """
    import psutil

    name, own_session = str(hook), os.getsid(0)
    descendants = {child.pid for child in psutil.Process().children(recursive=True)} if adopted else set()
    found = []
    for process in _others():
        if process.pid in strangers:
            continue
        process_session = _session(process.pid)
        is_descendant = process.pid in descendants and process_session != own_session
        if is_descendant or (session is not None and process_session == session) or _carries(process, name):
            found.append(process)
    return [process for process in found if _living(process)]


def belongs(pid: int, hook: Path, *, session: int | None) -> bool:
    """Whether process `pid` belongs to an app, by its session or its environment; see `family`."""
    import psutil

    try:
        process = psutil.Process(pid)
    except psutil.Error:
        return False
    return (session is not None and _session(pid) == session) or _carries(process, str(hook))


def end(
    find: Callable[[], Iterable[psutil.Process]],
    *,
    grace: float = GRACE_SECONDS,
    hurry: Callable[[], bool] = lambda: False,
) -> list[psutil.Process]:
    """End all processes that `find` finds, again and again until it finds none: SIGTERM, and after `grace` SIGKILL.

    Args:
        find: Lists the living processes; called repeatedly, so that one forked meanwhile is found too.
        grace: Seconds between SIGTERM and SIGKILL.
        hurry: Whether to send SIGKILL now.

    Returns:
        What even SIGKILL did not end within ten seconds (a process stuck in a driver).
    """
    began = time.monotonic()
    asked: set[int] = set()
    while found := list(find()) or list(find()):  # one look may miss a process that is just going to the background
        waited = time.monotonic() - began
        if waited > grace + _KILL_SECONDS:
            return found
        kill = waited >= grace or hurry()
        for process in found:
            if kill or process.pid not in asked:
                asked.add(process.pid)
                _signal(process, signal.SIGKILL if kill else signal.SIGTERM)
        time.sleep(0.05)
    return []


def tend(*, except_pid: int, strangers: frozenset[int]) -> list[tuple[int, float]]:
    """Collect the exit statuses of orphans that were handed to this process, so that they do not stay zombies.

    Args:
        except_pid: The child whose status `subprocess` collects.
        strangers: Process ids that do not belong to the app.

    Returns:
        Process id and creation time of each living descendant of this process that belongs to the app.
    """
    import psutil

    own_session = os.getsid(0)
    living = []
    for child in psutil.Process().children(recursive=True):
        if child.pid in strangers or _session(child.pid) == own_session:
            continue
        if _living(child):
            living.append((child.pid, child.create_time()))
        elif child.pid != except_pid:
            with contextlib.suppress(ChildProcessError):  # some other process's child
                os.waitpid(child.pid, os.WNOHANG)
    return living


def memory_bytes(pids: Iterable[int]) -> int:
    """Main memory that processes hold, in bytes; pages that they share count for each."""
    import psutil

    total = 0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            total += psutil.Process(pid).memory_info().rss
    return total


def describe_exit(code: int) -> str:
    """How a process ended, in words, from `subprocess`'s return code (negative: the signal)."""
    if code >= 0:
        return f"exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    meaning = {
        "SIGKILL": "most often the kernel's answer to memory running out",
        "SIGSEGV": "a native library read memory that is not its own",
        "SIGILL": "a native library uses instructions that this CPU lacks",
        "SIGABRT": "a native library gave up",
        "SIGBUS": "often a full /dev/shm or a truncated file",
    }.get(name)
    return f"killed by {name}, {meaning}" if meaning else f"killed by {name}"


def exit_status(code: int) -> int:
    """The exit status that a shell would show for `subprocess`'s return code."""
    return code if code >= 0 else 128 - code


def _others() -> Iterable[psutil.Process]:
    import psutil

    return (process for process in psutil.process_iter() if process.pid != os.getpid())


def _carries(process: psutil.Process, text: str) -> bool:
    import psutil

    try:
        return any(text in value for value in process.environ().values())
    except (psutil.Error, OSError):
        return False


def _living(process: psutil.Process) -> bool:
    import psutil

    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    import psutil

    try:
        process.send_signal(number)  # checks that the pid was not reused
    except psutil.Error:
        return
