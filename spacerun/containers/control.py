"""A container that runs: its processes, where it listens, and its end. The engine is asked by the container's name."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from spacerun.containers.build import client_variables
from spacerun.containers.engine import ask
from spacerun.containers.run import inspect_argv, remove_argv, stop_argv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import psutil

    from spacerun.containers.run import Container

# Between what the kernel and what the engine take for the beginning of a process.
_SAME_SECONDS: Final = 10.0
_REMOVE_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True)
class State:
    """What an engine tells of a container that runs.

    Attributes:
        pid: Its first process, as this machine counts; None where the engine runs in another one.
        published: Address and port of this machine at which its port is published, or None.
    """

    pid: int | None
    published: tuple[str, int] | None


def state(container: Container) -> State | None:
    """What the engine tells; None where the container does not run."""
    status, said = ask(inspect_argv(container))
    if status:
        return None
    try:
        return read_state(json.loads(said)[0], container.app_port)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def read_state(document: Mapping[str, Any], app_port: int) -> State | None:
    """The state in an engine's answer to `inspect`."""
    if not document["State"]["Running"]:
        return None
    pid = document["State"]["Pid"]
    bindings = (document["NetworkSettings"].get("Ports") or {}).get(f"{app_port}/tcp") or ()
    published = next(((row["HostIp"] or "0.0.0.0", int(row["HostPort"])) for row in bindings), None)  # noqa: S104
    return State(pid if _is_here(pid, document["State"]["StartedAt"]) else None, published)


def processes(container: Container) -> list[psutil.Process]:
    """The living processes of the container, its first one at the head; none where they are another machine's."""
    told = state(container)
    return family_of(told) if told else []


def family_of(told: State) -> list[psutil.Process]:
    """The living processes of a container of which the engine told `told`."""
    import psutil

    if told.pid is None:
        return []
    try:
        first = psutil.Process(told.pid)
        return [first, *first.children(recursive=True)]
    except psutil.Error:
        return []


def end(container: Container, grace: float, hurry: Callable[[], bool] = lambda: False) -> bool:
    """End the container and remove it.

    Args:
        container: The container.
        grace: How long it may take to end by itself, in seconds.
        hurry: Whether not to wait for that any longer.

    Returns:
        Whether it is gone; False where its engine does not answer.
    """
    with suppress(OSError):
        stopping = subprocess.Popen(
            stop_argv(container, grace),
            env=client_variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + grace + _REMOVE_SECONDS
        while stopping.poll() is None and not hurry() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        if stopping.poll() is None:
            stopping.kill()
            stopping.wait()
    return remove(container)


def remove(container: Container) -> bool:
    """End the container at once and remove it; whether it is gone."""
    status, _ = ask(remove_argv(container), seconds=_REMOVE_SECONDS)
    return status == 0 or ask(inspect_argv(container))[0] != 0


def _is_here(pid: int, started: str) -> bool:
    """Whether a process id that an engine tells is this machine's: engines of macOS and Windows run in another one."""
    import psutil

    if sys.platform != "linux" or pid <= 0:
        return False
    try:
        # RFC 3339 with nanoseconds, which `fromisoformat` takes from Python 3.11 on.
        began = datetime.fromisoformat(f"{started[:19]}+00:00").timestamp()
        return abs(psutil.Process(pid).create_time() - began) < _SAME_SECONDS
    except (ValueError, psutil.Error):
        return False
