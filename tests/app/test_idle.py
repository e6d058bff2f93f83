"""An app that nobody uses is stopped; what counts as use."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from typing import NamedTuple

import psutil
import pytest

from spacerun.app import http, registry, supervise
from spacerun.app.health import survey
from spacerun.app.idle import IdleWatch, can_tell
from spacerun.text import duration, parse_duration
from tests.app.conftest import wait_for

PORT = 7860


class Address(NamedTuple):
    ip: str
    port: int


class Connection(NamedTuple):
    status: str
    laddr: Address
    raddr: Address | tuple[()]
    pid: int | None = None


APP = Address("127.0.0.1", PORT)


def connection(status, local, remote=()):
    return Connection(status, Address(*local), Address(*remote) if remote else ())


class Machine:
    """Connections and a clock to look at."""

    def __init__(self, seconds=60.0):
        self.now = 0.0
        self.connections = []
        self.watch = IdleWatch(PORT, seconds, connections=self._list, clock=lambda: self.now)

    def _list(self):
        if isinstance(self.connections, Exception):
            raise self.connections
        return self.connections

    def after(self, seconds, *connections):
        """Why the app is stopped after so many seconds with these connections."""
        self.connections = list(connections)
        for _ in range(int(seconds)):
            self.now += 1
            if reason := self.watch.look():
                return reason
        return None


LISTENING = connection("LISTEN", APP)
VISITOR = Address("127.0.0.1", 50000)
REMOTE = Address("192.0.2.7", 40000)


def test_nobody():
    reason = "Nobody used it for 1 min, so it was stopped (--idle-timeout)."
    machine = Machine()
    assert machine.after(59, LISTENING) is None
    assert machine.after(6, LISTENING) == reason


@pytest.mark.parametrize(
    "one",
    [
        connection("ESTABLISHED", APP, REMOTE),
        connection("ESTABLISHED", APP, VISITOR),
        connection("ESTABLISHED", VISITOR, APP),
        connection("ESTABLISHED", ("::ffff:127.0.0.1", PORT), ("::ffff:127.0.0.1", 50000)),
    ],
)
def test_an_open_connection_is_use_as_long_as_it_lasts(one):
    machine = Machine()
    assert machine.after(500, LISTENING, one) is None
    assert machine.after(66, LISTENING)


@pytest.mark.parametrize("end", [(APP, REMOTE), (VISITOR, APP)])
@pytest.mark.parametrize("status", ["TIME_WAIT", "FIN_WAIT2", "CLOSE_WAIT"])
def test_a_closed_connection_is_use_once(status, end):
    machine = Machine()
    machine.after(50, LISTENING)
    # It stays to be seen, and is over all the same.
    assert machine.after(55, LISTENING, connection(status, *end)) is None
    assert machine.after(10, LISTENING, connection(status, *end))


@pytest.mark.parametrize(
    "one",
    [
        connection("ESTABLISHED", (http.ASKER, 50000), APP),
        connection("TIME_WAIT", APP, (http.ASKER, 50000)),
        connection("TIME_WAIT", ("::ffff:127.0.0.1", PORT), (f"::ffff:{http.ASKER}", 50000)),
        connection("ESTABLISHED", ("127.0.0.1", 7861), VISITOR),  # of another app
        connection("ESTABLISHED", ("192.0.2.1", 50000), ("192.0.2.9", PORT)),  # the user's own, to another machine
        connection("ESTABLISHED", ("192.0.2.1", 50000), ("203.0.113.5", 7000)),  # a tunnel without visitors
    ],
)
def test_what_spacerun_asks_and_what_others_do_is_no_use(one):
    assert Machine().after(66, LISTENING, one)


def test_what_cannot_be_told_is_taken_for_use():
    machine = Machine()
    machine.after(50, LISTENING)
    machine.connections = psutil.AccessDenied()
    machine.now += 30
    assert machine.watch.look() is None
    assert machine.after(55, LISTENING) is None


def test_linux_tells():
    assert can_tell()


@pytest.mark.parametrize(
    ("text", "seconds", "told"),
    [("90s", 90, "90 s"), ("30m", 1800, "30 min"), ("2h", 7200, "2 h"), ("1h30m", 5400, "1 h 30 min"),
     ("1d", 86400, "1 d"), ("0.5s", 0.5, "0.5 s"), ("1.5h", 5400, "1 h 30 min")],
)  # fmt: skip
def test_durations(text, seconds, told):
    assert parse_duration(text) == seconds
    assert duration(seconds) == told


@pytest.mark.parametrize("text", ["", "30", "m", "-5m", "5 minutes", "0s", "1m1h", "nan", "1e9s"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError):  # noqa: PT011 - it says nothing but the text
        parse_duration(text)


def test_an_app_that_nobody_uses_is_stopped_and_says_so(space, listener):
    app = space("answers", idle_seconds=1.5)
    supervise(app.spec, app.environment, **listener.callbacks())
    record = registry.load(app.spec.id)
    assert record.status == "stopped"
    assert record.reason == "Nobody used it for 1.5 s, so it was stopped (--idle-timeout)."
    assert listener.warnings == [record.reason]
    assert app.leftovers() == []


@pytest.mark.parametrize("how", ["open page", "short requests"])
def test_an_app_in_use_goes_on(space, foreground, how):
    app = space("answers", idle_seconds=1.2)
    run = foreground(app)
    run.read_until("READY")
    url = registry.load(app.spec.id).url
    until = time.monotonic() + 3
    if how == "open page":
        with socket.create_connection(("127.0.0.1", app.spec.port)):
            time.sleep(3)
    while time.monotonic() < until:
        urllib.request.urlopen(url).read()
        time.sleep(0.3)
    assert run.process.poll() is None
    assert run.wait() == 0


def test_looking_how_it_is_does_not_keep_it(space, foreground):
    app = space("answers", idle_seconds=1.2)
    run = foreground(app)
    run.read_until("READY")
    record = registry.load(app.spec.id)
    over = threading.Event()

    def watch():
        while not over.wait(0.2):
            survey([record])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        assert run.wait(10) == 0
    finally:
        over.set()
        thread.join()


def test_the_tunnel_of_a_share_link_does_not_keep_it(space, foreground):
    """A client of a tunnel holds a connection to its server, and to the app only while a visitor asks."""
    app = space("tunneled", idle_seconds=1.2, TUNNEL=space("answers").spec.port, FORWARD=1)
    run = foreground(app)
    run.read_until("READY")
    with socket.create_connection(("127.0.0.1", int(app.environment["TUNNEL"]))) as visitor:
        visitor.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert visitor.recv(100).startswith(b"HTTP/1.0 200")
        # http.server closes after its answer: this is a tunnel without requests
        wait_for(lambda: run.process.poll() is not None)
    assert run.wait() == 0
