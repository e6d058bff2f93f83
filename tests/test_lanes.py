"""Stages beside each other: the first failure stops the others, and nothing outlives the program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from spacerun import children
from spacerun.errors import FetchError
from spacerun.lanes import Lanes, each
from spacerun.progress import SilentProgress, StageClock

if TYPE_CHECKING:
    from concurrent.futures import Future

ROOT = Path(__file__).parents[1]


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def wait_until_dead(*pids: int) -> None:
    deadline = time.monotonic() + 5
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "a child is left running"
        time.sleep(0.02)


def test_lanes_run_beside_each_other_and_are_waited_for() -> None:
    meet = threading.Barrier(2, timeout=5)
    with Lanes() as lanes:
        results = [lanes.run(meet.wait) for _ in range(2)]
    assert sorted(result.result() for result in results) == [0, 1]


def test_a_lane_may_wait_for_another() -> None:
    with Lanes() as lanes:
        first = lanes.run(lambda: 20)
        second = lanes.run(lambda: first.result() + 1)
    assert second.result() == 21


def sleep_in_a_child(started: list[int]) -> None:
    # A grandchild as well: git-lfs starts programs of its own.
    script = "sleep 60 & echo $!; wait"
    with children.child(["sh", "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        started.extend((process.pid, int(process.stdout.readline())))
        process.wait()
        raise FetchError("stopped")


def test_the_first_failure_stops_the_children_of_all_others() -> None:
    started: list[int] = []

    def fail() -> None:
        while len(started) < 2:
            time.sleep(0.01)
        raise FetchError("the reason")

    def run() -> None:
        with Lanes() as lanes:
            lanes.run(lambda: sleep_in_a_child(started))
            lanes.run(fail)

    began = time.monotonic()
    with pytest.raises(FetchError, match="the reason"):
        run()
    assert time.monotonic() - began < 5
    wait_until_dead(*started)


def test_a_failure_in_the_block_itself_stops_the_children() -> None:
    started: list[int] = []

    def run() -> None:
        with Lanes() as lanes:
            lanes.run(lambda: sleep_in_a_child(started))
            while len(started) < 2:
                time.sleep(0.01)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run()
    wait_until_dead(*started)


def test_a_failure_is_none_of_the_business_of_other_lanes() -> None:
    started: list[subprocess.Popen[bytes]] = []

    def sleep() -> None:
        with children.child(["sleep", "60"]) as process:
            started.append(process)
            process.wait()

    def fail() -> None:
        with Lanes() as others:
            others.run(lambda: 1 / 0)

    with Lanes() as lanes:
        lanes.run(sleep)
        while not started:
            time.sleep(0.01)
        with pytest.raises(ZeroDivisionError):
            fail()
        assert started[0].poll() is None
        children.kill(started[0])


def test_lanes_that_were_stopped_start_nothing_more() -> None:
    stopped = threading.Event()
    inner: list[Future[object]] = []

    def work() -> None:
        with Lanes() as within:
            inner.append(within.run(lambda: stopped.wait(5) and children.start(["sleep", "60"])))

    def run() -> None:
        with Lanes() as lanes:
            lanes.run(work)
            while not inner:
                time.sleep(0.01)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run()
    stopped.set()
    assert isinstance(inner[0].exception(5), children.StoppedError)


INTERRUPTED = """
import subprocess, sys, time
from spacerun import children
from spacerun.lanes import Lanes, each
def work():
    with children.child(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE) as process:
        print(process.pid, int(process.stdout.readline()), flush=True)
        process.wait()
        time.sleep(60)  # a lane that does not end by itself
with Lanes() as lanes:
    lanes.run(work)
"""
BOUND = """
import subprocess, sys, time
from spacerun import children
with children.child(children.bound("/bin/sleep", "60")) as process:
    print(process.pid, flush=True)
    process.wait()
"""


@pytest.mark.parametrize(("script", "how"), [(INTERRUPTED, signal.SIGINT), (BOUND, signal.SIGKILL)])
def test_an_interruption_and_a_kill_leave_nothing_running(script: str, how: signal.Signals) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
    )
    try:
        assert program.stdout
        pids = [int(word) for word in program.stdout.readline().split()]
        assert all(is_alive(pid) for pid in pids)
        time.sleep(0.1)  # exec of what is bound
        os.kill(program.pid, how)
        program.wait(timeout=10)
        wait_until_dead(*pids)
    finally:
        program.kill()
        program.communicate()


def test_a_child_has_a_session_of_its_own_and_no_input() -> None:
    with children.child(["sh", "-c", "cat; ps -o sid= -p $$"], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert int(process.stdout.read()) == process.pid != os.getsid(0)


def test_a_child_left_running_is_killed_at_the_end_of_the_block() -> None:
    with children.child(["sleep", "60"]) as process:
        assert is_alive(process.pid)
    assert process.returncode == -signal.SIGKILL


def test_a_stage_knows_its_time_and_its_failures() -> None:
    clock = StageClock(SilentProgress())
    with clock.stage("find", "finding") as stage:
        stage.text = "found"
        time.sleep(0.05)
    assert 0.04 < clock.seconds["find"] < 2
    with pytest.raises(FetchError) as raised, clock.stage("clone", "cloning"):
        raise FetchError("no")
    assert raised.value.stage == "clone"
    with pytest.raises(FetchError) as inner, clock.stage("environment", "making"):
        raise FetchError("no", stage="lfs")
    assert inner.value.stage == "lfs"
    assert set(clock.seconds) == {"find", "clone", "environment"}


def test_each_keeps_the_order_and_does_no_more_at_once_than_asked() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01 * (number % 3))
        with lock:
            running -= 1
        return number * number

    assert each(work, range(30), 4) == [number * number for number in range(30)]
    assert 2 <= most <= 4
    assert each(work, (), 4) == []


def test_each_does_what_it_may_at_once() -> None:
    meet = threading.Barrier(3, timeout=5)
    assert sorted(each(lambda _: meet.wait(), range(3), 8)) == [0, 1, 2]


def test_the_first_that_fails_is_raised_at_once_and_no_other_is_begun() -> None:
    begun: list[int] = []
    blocked = threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        if number == 1:
            raise FetchError("the reason")
        blocked.wait(20)

    began = time.monotonic()
    with pytest.raises(FetchError, match="the reason"):
        each(work, range(100), 3)
    assert time.monotonic() - began < 2
    blocked.set()
    time.sleep(0.1)
    assert len(begun) <= 4


SILENT = """
import sys, time
from spacerun.lanes import each
try:
    each(lambda n: (print(n, flush=True), time.sleep(60)), range(100), 2)
finally:
    print("out", flush=True)
"""


def test_an_interruption_waits_for_no_work_of_each() -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", SILENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
    )
    try:
        assert program.stdout
        assert {program.stdout.readline() for _ in range(2)} == {"0\n", "1\n"}
        program.send_signal(signal.SIGINT)
        began = time.monotonic()
        rest, _ = program.communicate(timeout=20)
        assert rest == "out\n"
        assert time.monotonic() - began < 3
    finally:
        program.kill()
        program.communicate()
