"""Where an app in a container listens: its processes are its engine's, not the supervisor's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spacerun.app.answer import Listener
from spacerun.containers import control

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import psutil

    from spacerun.containers.run import Container


def listeners(container: Container, sockets_of: Callable[[Iterable[psutil.Process]], list[Listener]]) -> list[Listener]:
    """Where the app answers from.

    Its engine tells to which port of this machine its own is published. On this machine's network there is no such
    port, and what its processes listen on counts.

    Args:
        container: The container.
        sockets_of: Lists what processes listen on.
    """
    told = control.state(container)
    if told is None:
        return []
    if container.network == "own":
        return [Listener(*told.published, told.pid or 0)] if told.published else []
    return sockets_of(control.family_of(told)) or _on(container.app_port, told.pid or 0)


def _on(port: int, pid: int) -> list[Listener]:
    """What listens on `port` of this machine: of another user's processes only this can be told.

    It was free before the container was started.
    """
    import psutil

    try:
        sockets = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return []
    found = (s.laddr for s in sockets if s.status == psutil.CONN_LISTEN and s.laddr and s.laddr.port == port)
    return [Listener(address.ip, port, pid) for address in found]
