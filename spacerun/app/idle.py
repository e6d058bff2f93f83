"""Whether anybody uses an app, told by the connections to its port."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from spacerun.app.http import ASKER
from spacerun.errors import UsageError
from spacerun.text import duration, one_line, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# The kernel shows a closed connection for 60 s (Linux, TCP_TIMEWAIT_LEN).
_LOOK_SECONDS: Final = 5.0
_LOOPBACK: Final = ("127.", "::1")


class IdleWatch:
    """Watches the port of one app.

    A connection that is open counts as use, and so does one that was closed since the last look: whichever end closed
    first still shows it, so that a short request is not missed if that end is on this machine. A page that is open in
    a browser keeps a connection from Gradio 4 on (its heartbeat) and with Streamlit; Gradio 3 connects at each click.

    What spacerun itself asks does not count (`http.ASKER`). Nor does a tunnel without visitors: its client connects
    to the app for a visitor's requests only, and keeps that connection for a minute more (frp, `vhost/http.go`).

    Args:
        port: The port.
        seconds: After how many seconds without use the app is idle.
        connections: Lists the connections of this machine, like `psutil.net_connections`.
        clock: Tells the time, in seconds.
    """

    def __init__(
        self,
        port: int,
        seconds: float,
        *,
        connections: Callable[[], Iterable[Any]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._seconds = seconds
        self._connections = connections or _connections
        self._clock = clock
        self._used = clock()
        self._next_look = clock()
        self._closed: set[object] = set()

    def look(self) -> str | None:
        """Why to stop the app, as a sentence, once nobody used it for long enough; to be called often."""
        if self._clock() < self._next_look:
            return None
        self._next_look = self._clock() + min(_LOOK_SECONDS, self._seconds / 4)
        is_open = False
        closed: set[object] = set()
        for one in self._listed():
            if self._is_use(one):
                is_open = is_open or one.status == "ESTABLISHED"
                closed.add((one.laddr, one.raddr))
        if is_open or closed - self._closed:
            self._used = self._clock()
        self._closed = closed
        if self._clock() - self._used < self._seconds:
            return None
        return f"Nobody used it for {duration(self._seconds)}, so it was stopped (--idle-timeout)."

    def _listed(self) -> Iterable[Any]:
        import psutil

        try:
            return self._connections()
        except (psutil.Error, OSError):  # whom nobody can tell about is taken for a user
            self._used = self._clock()
            return ()

    def _is_use(self, one: Any) -> bool:  # noqa: ANN401 - psutil's tuples differ by version
        """Whether a connection is, or was, one of a user to the app, seen from either end."""
        if one.status == "LISTEN" or not (one.laddr and one.raddr):
            return False
        if ASKER in {_plain(one.laddr.ip), _plain(one.raddr.ip)}:
            return False
        # The other end of a connection to another machine's port of that number is none of the app's.
        asking = one.raddr.port == self._port and _plain(one.raddr.ip).startswith(_LOOPBACK)
        return one.laddr.port == self._port or asking


def idle_seconds(text: str | None) -> float | None:
    """The seconds of `--idle-timeout`.

    Raises:
        UsageError: `text` is no time span, or this system does not tell who is connected.
    """
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        message = f"{one_line(text, 40)!r} is not a time span."
        raise UsageError(message, hint="Write it as 90s, 30m, 2h or 1h30m: --idle-timeout 30m") from error
    if not can_tell():
        raise UsageError(
            "This system does not tell who is connected to the app.", hint="Leave out --idle-timeout, or run as root."
        )
    return seconds


def can_tell() -> bool:
    """Whether this system tells about connections; macOS tells the administrator only."""
    import psutil

    try:
        _connections()
    except (psutil.Error, OSError):
        return False
    return True


def _connections() -> Iterable[Any]:
    import psutil

    return psutil.net_connections("tcp")


def _plain(address: str) -> str:
    return address.removeprefix("::ffff:")
