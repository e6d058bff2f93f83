"""The watch mode, in a pipe and on a real terminal."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import random
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests import fake_nvml
from tests.fake_nvml import Gpu, Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Machine = Callable[..., dict[str, str]]

# Watches for as many readings as told, or until Ctrl-C.
_WATCH = """
import fcntl, sys, termios
from spacerun.console import stdout_console
from spacerun.gpu.devices import read_devices
from spacerun.gpu.watch import watch

if sys.stdin.isatty():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # whose Ctrl-C is ours
seen = []

def enough(report):
    seen.append(report)
    return len(seen) == int(sys.argv[1])

try:
    last = watch(read_devices, stdout_console(), float(sys.argv[2]), until=enough)
    assert last is seen[-1]
except KeyboardInterrupt:
    sys.exit(130)
print("after")
"""
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d  every [\d.]+ s")


# Draws all the time, a table that grows and shrinks; Ctrl-C begins anew.
_BUSY = """
import itertools
from spacerun.console import stdout_console
from spacerun.gpu.devices import Device, DeviceReport, GpuProcess
from spacerun.gpu.watch import watch

lengths = itertools.cycle([1, 30])

def read():
    processes = tuple(GpuProcess(pid, 1, "x") for pid in range(next(lengths)))
    return DeviceReport((Device(0, "GPU-0", "NVIDIA A10G", 1, 1, 0, processes=processes),))

for time in itertools.count(1):
    try:
        watch(read, stdout_console(), 0.001)
    except KeyboardInterrupt:
        print("end", time)
"""


def _command(readings: int, interval: float = 0.05, script: str = _WATCH) -> list[str]:
    return [sys.executable, "-c", script, str(readings), str(interval)]


class Screen:
    """A terminal of which rich's Live uses little: moves by line, erasing, and the cursor shown or not."""

    def __init__(self) -> None:
        self.lines, self.row, self.column, self.has_cursor, self.raw = [""], 0, 0, True, ""
        self._decoder, self._begun = codecs.getincrementaldecoder("utf-8")(), ""

    def feed(self, data: bytes) -> None:
        text = self._decoder.decode(data)
        self.raw += text
        whole, self._begun = re.fullmatch(r"(.*?)(\x1b[^A-Za-z]*)?", self._begun + text, re.DOTALL).groups("")
        for part in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|[^\x1b]", whole):
            if part == "\r":
                self.column = 0
            elif part == "\n":
                self.row += 1
                self.lines += [""] * (self.row + 1 - len(self.lines))
            elif not part.startswith("\x1b"):
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + part + line[self.column + 1 :]
                self.column += 1
            elif part == "\x1b[2K":
                self.lines[self.row] = ""
            elif part in {"\x1b[?25l", "\x1b[?25h"}:
                self.has_cursor = part.endswith("h")
            elif move := re.fullmatch(r"\x1b\[(\d*)A", part):
                self.row -= int(move[1] or 1)
                assert self.row >= 0, "what stood above is written over"
            else:
                assert part.endswith("m"), part

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Terminal:
    """A process on a terminal."""

    def __init__(self, process: subprocess.Popen[bytes], keyboard: int) -> None:
        self.process, self.screen, self._keyboard = process, Screen(), keyboard

    def press(self, keys: bytes) -> None:
        os.write(self._keyboard, keys)

    def until(self, condition: Callable[[Screen], bool]) -> Screen:
        """The screen, as soon as something is to be seen on it."""
        deadline = time.monotonic() + 60
        while not condition(self.screen):
            assert time.monotonic() < deadline, self.screen.text
            if select.select([self._keyboard], [], [], 0.1)[0]:
                try:
                    self.screen.feed(os.read(self._keyboard, 2**20))
                except OSError:  # the process has ended
                    assert condition(self.screen), self.screen.text
        return self.screen


@contextmanager
def _on_a_terminal(
    environment: Mapping[str, str],
    readings: int = 10**6,
    rows: int = 40,
    interval: float = 0.05,
    script: str = _WATCH,
) -> Iterator[Terminal]:
    keyboard, screen = pty.openpty()
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
    process = subprocess.Popen(
        _command(readings, interval, script),
        env=environment,
        stdin=screen,
        stdout=screen,
        stderr=screen,
        start_new_session=True,
    )
    os.close(screen)
    try:
        yield Terminal(process, keyboard)
    finally:
        process.kill()
        process.wait()
        os.close(keyboard)


def test_watch_prints_snapshots_into_a_pipe(machine: Machine) -> None:
    done = subprocess.run(
        _command(3),
        env=machine(Gpu(processes=[Process(os.getpid(), 5)])),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    before, *snapshots = re.split(f"(?={_TIME.pattern})", done.stdout)
    assert (before, len(snapshots)) == ("", 3)
    for snapshot in snapshots:
        _, driver, header, first, *_ = snapshot.splitlines()
        assert driver.startswith("Driver 550.54.14")
        assert header.startswith("GPU  Name")
        assert first.startswith("0    A10G")
        assert str(os.getpid()) in snapshot


def test_a_snapshot_in_a_pipe_is_there_before_the_next_reading(machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "nvml"
    with subprocess.Popen(
        _command(3, 1), env=machine(Gpu(used_mib=1024), file=file), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        first = [process.stdout.readline() for _ in range(4)]
        fake_nvml.change(file, [Gpu(used_mib=2048)])
        rest = process.stdout.read()
    assert "1.0 / 22.5 GiB" in first[3]
    assert "2.0 / 22.5 GiB" in rest


def test_watch_redraws_in_a_terminal(machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "nvml"
    with _on_a_terminal(machine(Gpu(used_mib=1024), file=file)) as terminal:
        screen = terminal.until(lambda screen: "1.0 / 22.5 GiB" in screen.text)
        assert not screen.has_cursor
        fake_nvml.change(file, [Gpu(used_mib=2048, processes=[Process(os.getpid(), 5)]), Gpu("NVIDIA L4")])
        terminal.until(lambda screen: "L4" in screen.text and "Command" in screen.text)
        assert "2.0 / 22.5 GiB" in screen.text
        assert "1.0 / 22.5 GiB" not in screen.text
        fake_nvml.change(file, [Gpu(used_mib=3072)])
        terminal.until(lambda screen: "3.0 / 22.5 GiB" in screen.text and "L4" not in screen.text)
        assert len(_TIME.findall(screen.text)) == 1
        assert screen.text.count("Driver 550.54.14") == 1
        assert "Command" not in screen.text


def test_ctrl_c_ends_the_watch_and_leaves_the_last_table_and_the_cursor(machine: Machine) -> None:
    with _on_a_terminal(machine(Gpu()), interval=30) as terminal:
        terminal.until(lambda screen: screen.lines[-1].endswith("22.0 GiB"))
        terminal.press(b"\x03")
        screen = terminal.until(lambda screen: screen.has_cursor)
        assert terminal.process.wait(60) == 130
    assert len(_TIME.findall(screen.text)) == 1
    assert "A10G" in screen.text
    assert (screen.column, screen.lines[screen.row]) == (0, "")
    assert "Traceback" not in screen.text
    assert "^C" not in screen.text


@pytest.mark.slow
def test_ctrl_c_while_the_table_is_drawn_leaves_a_whole_one_and_nothing_else(machine: Machine) -> None:
    times = 15
    with _on_a_terminal(machine(), script=_BUSY) as terminal:
        for time_ in range(1, times + 1):
            begun = len(_TIME.findall(terminal.screen.raw))
            terminal.until(lambda screen, begun=begun: len(_TIME.findall(screen.raw)) > begun + 2)
            until = time.monotonic() + random.uniform(0, 0.05)
            terminal.until(lambda _, until=until: time.monotonic() > until)
            terminal.process.send_signal(signal.SIGINT)
            screen = terminal.until(lambda screen, time_=time_: f"end {time_}\n" in screen.text)
    assert len(_TIME.findall(screen.text)) == times
    assert screen.text.count("Driver") == times


@pytest.mark.parametrize("rows", [10, 40])
def test_more_processes_than_lines_stay_on_one_screen_while_it_runs(machine: Machine, rows: int) -> None:
    gpu = Gpu(processes=[Process(2**31 - 9 - count, 1) for count in range(100)])
    with _on_a_terminal(machine(gpu), rows=rows) as terminal:
        screen = terminal.until(lambda screen: len(_TIME.findall(screen.raw)) > 3)
        assert len(screen.lines) <= rows
        assert len(_TIME.findall(screen.text)) == 1


def test_a_reading_that_fails_is_told_and_the_next_goes_on(machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "nvml"
    with _on_a_terminal(machine(Gpu(), file=file)) as terminal:
        terminal.until(lambda screen: "A10G" in screen.text)
        fake_nvml.change(file, [Gpu(fails={"handle": fake_nvml.GPU_IS_LOST})])
        screen = terminal.until(lambda screen: "GPU 0 (GPU is lost)" in screen.text and "A10G" not in screen.text)
        assert "sudo reboot" in screen.text
        fake_nvml.change(file, [Gpu()])
        terminal.until(lambda screen: "A10G" in screen.text and "lost" not in screen.text)


def test_a_watch_that_starts_without_a_driver_shows_the_gpus_once_it_is_there(machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "nvml"
    with _on_a_terminal(machine(Gpu(), fail_init=fake_nvml.DRIVER_NOT_LOADED, file=file)) as terminal:
        terminal.until(lambda screen: "not loaded in the kernel" in screen.text)
        fake_nvml.change(file, [Gpu()])
        terminal.until(lambda screen: "A10G" in screen.text and "not loaded" not in screen.text)


def test_nvml_stays_open_between_two_readings(machine: Machine, tmp_path: Path) -> None:
    # A driver that would not start again goes on for who has it open.
    file = tmp_path / "nvml"
    with _on_a_terminal(machine(Gpu(), file=file)) as terminal:
        terminal.until(lambda screen: "A10G" in screen.text)
        fake_nvml.change(file, [Gpu("NVIDIA L4")], fail_init=fake_nvml.LIB_RM_VERSION_MISMATCH)
        screen = terminal.until(lambda screen: "A10G" not in screen.text and "Name" in screen.text)
        assert "L4" in screen.text


def test_one_lost_gpu_of_two_is_told_beside_the_other(machine: Machine) -> None:
    gpus = [Gpu(fails={"handle": fake_nvml.GPU_IS_LOST}), Gpu("NVIDIA L4")]
    done = subprocess.run(_command(1), env=machine(*gpus), capture_output=True, text=True, timeout=60, check=True)
    assert "GPU 0 (GPU is lost)" in done.stdout
    assert "L4" in done.stdout


@pytest.mark.parametrize("variable", ["CI", "JPY_PARENT_PID"])
def test_a_log_and_a_notebook_get_snapshots_although_they_are_terminals(machine: Machine, variable: str) -> None:
    with _on_a_terminal(machine(Gpu()) | {variable: "1"}, readings=2) as terminal:
        screen = terminal.until(lambda screen: "after" in screen.text)
        assert terminal.process.wait(60) == 0
    assert len(_TIME.findall(screen.text)) == 2
    assert "\x1b[?25l" not in screen.raw
