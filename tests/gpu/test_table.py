"""The table for people: wide, narrow, in a pipe, and whatever the names hold."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import fake_nvml
from tests.fake_nvml import Gpu, MigInstance, Process

if TYPE_CHECKING:
    from collections.abc import Callable

    Show = Callable[..., str]

_SHOW = """
from spacerun.console import stdout_console
from spacerun.gpu.devices import read_devices
from spacerun.gpu.table import DeviceTable
stdout_console().print(DeviceTable(read_devices()))
"""

MACHINE = [
    Gpu(
        "NVIDIA A10G",
        used_mib=12600,
        utilization=97,
        temperature=61,
        power_watts=60.9,
        power_limit_watts=150,
        processes=[Process(os.getpid(), 12288), Process(2**31 - 7, None)],
    ),
    Gpu(
        "NVIDIA RTX PRO 6000 Blackwell Workstation Edition",
        97887,
        97000,
        "12.0",
        utilization=100,
        temperature=104,
        power_watts=1199.6,
        power_limit_watts=1200,
    ),
    Gpu(
        "NVIDIA A100-SXM4-80GB",
        81920,
        40000,
        mig=[MigInstance("NVIDIA A100-SXM4-80GB MIG 1g.10gb", 9856, 9000, processes=[Process(os.getpid(), 30)])],
    ),
    Gpu("NVIDIA GB10", fails={"memory": fake_nvml.NOT_SUPPORTED}, temperature=35, power_watts=11.17),
]


@pytest.fixture
def show(machine: Callable[..., dict[str, str]]) -> Show:
    def run(*gpus: Gpu, columns: int | None = None, **variables: str) -> str:
        environment = machine(*gpus) | variables | ({"COLUMNS": str(columns)} if columns else {})
        done = subprocess.run(
            [sys.executable, "-c", _SHOW], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def _squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("columns", [40, 60, 75, 76, 80, 109, 110, 120])
def test_table_fits_40_80_and_120_columns(show: Show, columns: int) -> None:
    out = show(*MACHINE, columns=columns)
    assert max(map(len, out.splitlines())) <= columns
    devices, processes, remarks = out.split("\n\n")
    for word in ("A10G", "61 °C", "97 %", "61 / 150 W", "12.3 / 22.5 GiB", "10.2 GiB"):
        assert word in devices
    for word in ("Blackwell", "Edition", "104 °C", "100 %", "1200 / 1200 W", "94.7 / 95.6 GiB", "887.0 MiB", "2:0"):
        assert word in devices
    assert "…" not in devices
    for word in (str(os.getpid()), "12.0 GiB", "30.0 MiB", str(2**31 - 7), "—"):
        assert word in processes
    assert "can be used." in remarks


@pytest.mark.parametrize("columns", [80, 120])
def test_the_columns_stand_as_in_gpustat(show: Show, columns: int) -> None:
    header, first, *_ = show(*MACHINE[:1], columns=columns).splitlines()[1:]
    names = ["GPU", "Name", "Temp", "Util", "Power", "Memory", "Free"]
    assert [header.index(name) for name in names] == sorted(header.index(name) for name in names)
    assert re.match(r"0 +A10G +61 °C +97 % +61 / 150 W ", first)


@pytest.mark.parametrize("columns", [80, 120])
def test_what_the_driver_does_not_tell_is_a_dash(show: Show, columns: int) -> None:
    gpus = [
        Gpu("unknown", fails=dict.fromkeys(("memory", "utilization", "cc"), fake_nvml.NO_PERMISSION)),
        Gpu("limit", power_limit_watts=150),
        Gpu("power", power_watts=60),
    ]
    unknown, limit, power = show(*gpus, columns=columns).splitlines()[2:]
    dashes = unknown.replace("░", "").split()[2:]
    assert dashes == ["—"] * (6 if columns == 120 else 5)
    assert "— / 150 W" in limit
    assert re.search(r" 60 W\b", power)


def test_a_narrow_terminal_leaves_out_what_is_not_known(show: Show) -> None:
    gpu = Gpu("unknown", fails=dict.fromkeys(("memory", "utilization", "cc"), fake_nvml.NO_PERMISSION))
    assert [line.split() for line in show(gpu, columns=40).splitlines()[1:]] == [["0", "unknown"]]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_unified_memory_is_labelled(show: Show, columns: int) -> None:
    out = show(MACHINE[3], Gpu(), columns=columns)
    assert "GPU 0 shares the machine's memory (unified)" in _squeezed(out)
    assert "GPU 1 shares" not in _squeezed(out)


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_gpu_in_mig_mode_shows_no_free_memory_but_its_instances_do(show: Show, columns: int) -> None:
    devices = show(MACHINE[2], columns=columns).split("\n\n")[0]
    parent, instance = devices.split("0:0")
    assert "40.9 GiB" not in parent
    assert "39.1 / 80.0 GiB" in parent
    assert "856.0 MiB" in instance


def test_what_is_to_be_known_is_a_remark(show: Show) -> None:
    out = show(Gpu("NVIDIA A10G"), Gpu("NVIDIA L4"), CUDA_VISIBLE_DEVICES="1")
    assert "Hidden by CUDA_VISIBLE_DEVICES: GPU 0." in out
    assert "export CUDA_DEVICE_ORDER=PCI_BUS_ID" in out


@pytest.mark.parametrize("columns", [40, 80, None])
def test_names_from_a_stranger_are_text(show: Show, columns: int | None) -> None:
    out = show(Gpu("\x1b[31m[bold]evil[/bold][/red]\x07" + "x" * 60), columns=columns)
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[bold]evil[/bold][/red]xxx" in "".join(out.split())


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_an_ascii_output_gets_ascii(show: Show, columns: int) -> None:
    out = show(*MACHINE, Gpu("NVIDIA Ünïcode"), columns=columns, PYTHONIOENCODING="ascii")
    assert out.isascii()
    assert max(map(len, out.splitlines())) <= columns
    for word in ("61 C", "?n?code", "#" if columns == 120 else "-"):
        assert word in out


def test_a_pipe_gets_one_line_per_device_without_escapes_and_lines(show: Show) -> None:
    out = show(*MACHINE)
    assert not re.search("[\x1b\u2500-\u257f]", out)
    assert any("Blackwell Workstation Edition" in line and "1200 / 1200 W" in line for line in out.splitlines())


def test_a_console_that_shows_colours_colours_the_memory(show: Show) -> None:
    out = show(*MACHINE, FORCE_COLOR="1")
    red = re.compile("\x1b\\[31m *887.0 MiB")
    assert red.search(out)
    assert "\x1b" not in show(*MACHINE, FORCE_COLOR="1", NO_COLOR="1", TERM="dumb")


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_hundreds_of_processes_are_listed_by_their_memory(show: Show, columns: int) -> None:
    pids = [2**31 - 9 - count for count in range(300)]
    gpus = [Gpu(processes=[Process(pid, 1 + at) for at, pid in enumerate(pids)]) for _ in range(2)]
    processes = show(*gpus, columns=columns).split("\n\n")[1]
    shown = [int(pid) for pid in re.findall(r"\b2147\d{6}\b", processes)]
    assert shown == pids[::-1] * 2
