"""When an app answers: HTTP 200 on `/` from a port of its own processes, and what its SDK asks beyond that.

A log line proves nothing: three known ways in which packages drift apart leave a process that printed its URL and
serves errors. Another program may hold port 7860. And the app may listen elsewhere than it was asked to.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from spacerun import sdks
from spacerun.app import contained, http
from spacerun.app.answer import Listener
from spacerun.errors import AppTimeoutError, ProbeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import psutil

    from spacerun.app.answer import Answer
    from spacerun.app.log import AppLog
    from spacerun.app.spec import AppSpec

_POLL_SECONDS = 0.25  # how often to look
_SETTLE_SECONDS = 0.5  # what the log gets within this time after our own request counts as its echo
_OTHER_PORT_SECONDS = 3.0  # another port than asked counts once it answered this long: the asked one may be next
_ERROR_PAGE_SECONDS = 30.0
_GROWTH_SECONDS = 10.0  # how often the watched folders are measured


def listeners(processes: Iterable[psutil.Process]) -> list[Listener]:
    """The TCP sockets that `processes` listen on."""
    import psutil

    found = set()
    for process in processes:
        try:
            # psutil 6 renamed `connections`
            connections = getattr(process, "net_connections", None) or process.connections
            sockets = [c for c in connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr]
        except (psutil.Error, OSError):
            continue
        found |= {Listener(socket.laddr[0], socket.laddr[1], process.pid) for socket in sockets}
    return sorted(found, key=lambda listener: (listener.port, listener.bound))


def listeners_of(spec: AppSpec, members: Callable[[], list[psutil.Process]]) -> list[Listener]:
    """Where the app `spec` listens, whose processes `members` lists."""
    return contained.listeners(spec.container, listeners) if spec.container else listeners(members())


def wait_until_answers(
    spec: AppSpec,
    *,
    members: Callable[[], list[psutil.Process]],
    log: AppLog,
    check: Callable[[], None],
) -> Answer:
    """Wait until the app answers.

    Args:
        spec: The app.
        members: Lists its processes.
        log: Its log.
        check: Called all the time; raises when waiting has become pointless.

    Raises:
        AppTimeoutError: It did not answer in `spec.timeout_seconds`, in which neither log nor watched folders grew.
        ProbeError: It answers, but not soundly.
    """
    judge = sdks.of(spec.sdk).judge(spec)
    clock = _Clock(spec, log)
    error_page = _ErrorPage(log)
    other_since = time.monotonic()
    while True:
        check()
        ports = sorted(listeners_of(spec, members), key=lambda listener: listener.port != spec.port)
        statuses = _ask_each(ports, check)
        answering = next((listener for listener, status in statuses if status == 200), None)  # noqa: PLR2004
        if answering is None:
            other_since = time.monotonic()
        elif answering.port == spec.port or time.monotonic() - other_since >= _OTHER_PORT_SECONDS:
            answer = judge(answering)
            if answer:
                return answer
        if ports:
            _pause(_SETTLE_SECONDS, check)
        busy = clock.tick(check, ports)
        failing = next((status for _, status in statuses if status >= 500), None)  # noqa: PLR2004
        error_page.note(None if answering or busy else failing)


def _ask_each(ports: list[Listener], check: Callable[[], None]) -> list[tuple[Listener, int]]:
    """The status of the page of each listener that speaks HTTP, up to the first that answers 200."""
    statuses = []
    for listener in ports:
        reply = http.ask(listener.host, listener.port)
        check()
        if reply:
            statuses.append((listener, reply.status))
            if reply.status == 200:  # noqa: PLR2004
                break
    return statuses


class _Clock:
    """Time spent waiting, without that in which the log or a watched folder grew."""

    def __init__(self, spec: AppSpec, log: AppLog) -> None:
        self._spec = spec
        self._log = log
        self._spent = 0.0
        self._since = time.monotonic()
        self._grown = False
        self._interval = min(_GROWTH_SECONDS, spec.timeout_seconds / 4)
        self._watched = _extent(spec.watch)
        self._next_measure = 0.0

    def tick(self, check: Callable[[], None], ports: list[Listener]) -> bool:
        """Let a moment pass in which no request of ours is under way.

        The log counts only then, for many servers log each request, and asking must not keep the clock standing.

        Returns:
            Whether the app wrote something in it.
        """
        before = self._log.total
        _pause(_POLL_SECONDS, check)
        busy = self._log.total != before
        self._measure(busy=busy)
        if self._spent >= self._spec.timeout_seconds:
            raise _timeout(self._spec, ports)
        return busy

    def _measure(self, *, busy: bool) -> None:
        self._grown = self._grown or busy
        now = time.monotonic()
        if now - self._since < self._interval:
            return
        if now >= self._next_measure:
            watched = _extent(self._spec.watch)
            # A cache of a hundred thousand files must not keep this process busy.
            self._next_measure = now + 10 * (time.monotonic() - now)
            self._grown = self._grown or watched != self._watched
            self._watched = watched
        if not self._grown:
            self._spent += now - self._since
        self._since, self._grown = now, False


class _ErrorPage:
    """Notices a page that answers nothing but server errors while the app does nothing else."""

    def __init__(self, log: AppLog) -> None:
        self._log = log
        self._since: float | None = None

    def note(self, status: int | None) -> None:
        """Take the error status of the page, or None where there is hope; raises once it failed for long enough."""
        now = time.monotonic()
        if status is None:
            self._since = None
            return
        if self._since is None:
            self._since = now
        if now - self._since >= _ERROR_PAGE_SECONDS:
            raise ProbeError(
                f"The app listens, but its page answers {status} and nothing else.",
                hint="Often packages have drifted apart since the Space was made. Its last lines:\n"
                + "\n".join(self._log.tail(15)),
            )


def _timeout(spec: AppSpec, ports: list[Listener]) -> AppTimeoutError:
    where = ", ".join(f"{listener.bound}:{listener.port}" for listener in ports)
    listening = f"It listens on {where}, but no page comes from there." if where else "It listens on no port."
    return AppTimeoutError(
        f"The app did not answer within {spec.timeout_seconds:.0f} s. {listening}",
        hint=f"Look at its log: spacerun logs {spec.id}; give it more time with --timeout SECONDS.",
    )


def _pause(seconds: float, check: Callable[[], None]) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))
        check()


def _extent(folders: Iterable[str]) -> tuple[int, int]:
    """Bytes on disk below `folders`, and the latest change there: different while something is downloaded."""
    total, latest = 0, 0
    for root in folders:
        for folder, _, names in os.walk(root):
            for name in names:
                try:
                    status = os.lstat(os.path.join(folder, name))  # noqa: PTH118
                except OSError:
                    continue
                total += status.st_blocks
                latest = max(latest, status.st_mtime_ns)
    return total, latest
