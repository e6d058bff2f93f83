"""Many launches, ended in every way: of none of them anything is left, and spacerun itself stays small."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import psutil
import pytest

from spacerun.app import launch_detached, registry
from spacerun.app.health import survey
from tests.app.conftest import free_port, wait_for
from tests.command import carriers

AT_ONCE = 4


@dataclass(frozen=True)
class Ending:
    """A way in which an app ends, and what its record says afterwards."""

    name: str
    detached: bool
    status: str
    program: str = "answers"


ENDINGS = (
    Ending("ctrl-c", detached=False, status="stopped", program="worker"),
    Ending("ctrl-c twice", detached=False, status="stopped", program="stubborn"),
    Ending("sigterm", detached=False, status="stopped", program="daemon"),
    Ending("sighup", detached=False, status="stopped", program="three_processes"),
    Ending("stop", detached=False, status="stopped"),
    Ending("stop", detached=True, status="stopped", program="worker"),
    Ending("kill of spacerun", detached=False, status="crashed", program="worker"),
    Ending("kill of spacerun", detached=True, status="crashed", program="three_processes"),
    Ending("crash", detached=True, status="crashed", program="relapsing"),
    Ending("crash", detached=False, status="crashed", program="relapsing"),
)


def end(way, record, run):
    """End an app in this way, and wait until whoever looked after it is gone."""
    supervisor = psutil.Process(record.supervisor_pid)
    match way.name:
        case "stop":
            registry.stop(record)
        case "crash":
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{record.url}/crash", timeout=5).read()
        case "kill of spacerun":
            supervisor.kill()
        case _:
            number = {"sigterm": signal.SIGTERM, "sighup": signal.SIGHUP}.get(way.name, signal.SIGINT)
            supervisor.send_signal(number)
            if way.name == "ctrl-c twice":
                time.sleep(0.3)
                supervisor.send_signal(number)
    if run:
        run.wait(30)
    wait_for(lambda: not registry.supervised(record), 30)


def launch_and_end(way, space, foreground, marker):
    app = space(way.program, MARKER=marker, CONTROLLER_PORT=free_port())
    run = None
    if way.detached:
        record = launch_detached(app.spec, app.environment)
    else:
        run = foreground(app)
        run.read_until("READY")
        record = registry.load(app.spec.id)
    if way.name == "kill of spacerun":  # a process without a mark is found again once it was noted
        noted = registry.run_folder(app.spec.id) / "descendants.json"
        count = {"worker": 3, "three_processes": 4}[way.program]
        wait_for(lambda: noted.exists() and noted.read_text().count("[") == count + 1)
    assert carriers(marker)
    end(way, record, run)
    return app, way


def check(count, space, foreground):
    marker = secrets.token_hex(16)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ways = list(islice(cycle(ENDINGS), count))
        done = [pool.submit(launch_and_end, way, space, foreground, marker) for way in ways]
        ended = [one.result() for one in done]
    registry.reap_orphans()  # as every command does
    assert carriers(marker) == []
    assert [app.leftovers() for app, _ in ended] == [[]] * count
    assert [registry.load(app.spec.id).status for app, _ in ended] == [way.status for _, way in ended]
    assert registry.records(active=True) == []


def test_ten_launches_ended_in_all_ways_leave_no_process(space, foreground):
    check(len(ENDINGS), space, foreground)


@pytest.mark.slow
def test_fifty_launches_ended_in_all_ways_leave_no_process(space, foreground, monkeypatch):
    monkeypatch.setattr(registry, "_KEPT", 100)
    check(50, space, foreground)


def test_controller_worker_and_page_of_one_program_are_one_app(space, foreground):
    app = space("three_processes", CONTROLLER_PORT=free_port())
    run = foreground(app)
    # The controller listens first, and is not the page.
    assert run.read_until("READY").split()[2] == f"http://127.0.0.1:{app.spec.port}"
    record = registry.load(app.spec.id)
    assert len(app.leftovers()) == 4
    (health,) = survey([record])
    alone = psutil.Process(record.pid).memory_info().rss
    assert health.memory_bytes > 3 * alone
    assert registry.stop(record).status == "stopped"
    assert run.wait() == 0
    assert app.leftovers() == []


def test_a_space_that_binds_0_0_0_0_7862_itself(space, foreground):
    with socket.socket() as probe:
        try:
            probe.bind(("0.0.0.0", 7862))
            port = 7862
        except OSError:
            port = free_port()
    app = space("other_port", OTHER_PORT=port, HOST="0.0.0.0")
    run = foreground(app)
    assert run.read_until("READY").split()[2] == f"http://127.0.0.1:{port}"
    warnings = [line for line in run.lines if line.startswith("WARNING")]
    assert any(f"on port {port}, not on {app.spec.port} as asked: other_port.py (" in line for line in warnings)
    assert any("0.0.0.0" in line for line in warnings)
    assert registry.load(app.spec.id).port == port


def peak(pid):
    """The most main memory that a process ever held, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("detached", "megabytes"),
    [
        (True, 50),
        pytest.param(True, 1000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)]),
        pytest.param(False, 1000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)]),
    ],
)
def test_the_memory_of_spacerun_does_not_grow_with_the_log(space, foreground, detached, megabytes):
    app = space("chatter", MEGABYTES=megabytes)
    run = None
    if detached:
        launch_detached(app.spec, app.environment)
    else:
        run = foreground(app)
        run.read_until("READY")
    record = registry.load(app.spec.id)
    before = peak(record.supervisor_pid)
    Path(f"{app.witness}.go").touch()
    done = Path(f"{app.witness}.done")
    if run:
        while not done.exists():
            os.read(run.process.stdout.fileno(), 2**20)
    wait_for(done.exists, 1000)
    after = peak(record.supervisor_pid)
    kept = sum(file.stat().st_size for file in registry.run_folder(app.spec.id).glob("app.log*"))
    registry.stop(record)
    print(f"{megabytes} MB of log: {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB after, {kept / 1e6:.1f} MB kept")
    assert after - before < 16 * 2**20
    assert min(megabytes * 0.99e6, 20e6) < kept <= 40 * 2**20
