"""Temperature, power, memory, place on the bus and processes, as drivers of all kinds tell them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil
import pytest

from tests import fake_nvml
from tests.fake_nvml import Gpu, MigInstance, Process

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.gpu.conftest import Report

MIB = 1024**2
GARBAGE = b"\xf8\xff\xfe".decode(errors="surrogateescape")


def test_temperature_and_power_where_supported_else_unknown(read: Callable[..., Report]) -> None:
    told, untold = read(Gpu(temperature=61, power_watts=60.861, power_limit_watts=150), Gpu())["devices"]
    assert (told["temperature"], told["power_watts"], told["power_limit_watts"]) == (61, 60.861, 150.0)
    assert (untold["temperature"], untold["power_watts"], untold["power_limit_watts"]) == (None, None, None)


def test_zero_degrees_and_zero_watts_are_known(read: Callable[..., Report]) -> None:
    (device,) = read(Gpu(temperature=0, power_watts=0, power_limit_watts=0))["devices"]
    assert (device["temperature"], device["power_watts"], device["power_limit_watts"]) == (0, 0.0, 0.0)


def test_temperature_of_a_driver_that_has_the_newer_function_only(read: Callable[..., Report]) -> None:
    gpu = Gpu(temperature=61, fails={"temperature_v1": fake_nvml.FUNCTION_NOT_FOUND})
    assert read(gpu)["devices"][0]["temperature"] == 61
    assert read(gpu, old_driver=True)["devices"][0]["temperature"] is None


def test_reserved_memory_is_told_by_the_second_struct_only(read: Callable[..., Report]) -> None:
    assert read(Gpu(), reserved_mib=300)["devices"][0]["reserved_bytes"] == 300 * MIB
    assert read(Gpu(), reserved_mib=300, old_driver=True)["devices"][0]["reserved_bytes"] is None
    assert read(Gpu(fails={"memory": fake_nvml.NOT_SUPPORTED}))["devices"][0]["reserved_bytes"] is None


def test_a_mig_instance_has_no_temperature_and_power_but_its_gpus_place(read: Callable[..., Report]) -> None:
    gpu = Gpu(temperature=61, power_watts=60, power_limit_watts=150, pci="0000:3b:00", mig=[MigInstance("1g", 9856)])
    parent, instance = read(gpu)["devices"]
    assert (parent["temperature"], parent["power_watts"], parent["power_limit_watts"]) == (61, 60.0, 150.0)
    assert (instance["temperature"], instance["power_watts"], instance["power_limit_watts"]) == (None, None, None)
    assert instance["pci"] == parent["pci"] == "00000000:3B:00.0"


def test_a_mig_instance_has_reserved_memory_of_its_own(read: Callable[..., Report]) -> None:
    gpu = Gpu(mig=[MigInstance("1g", 9856)], fails={"memory": fake_nvml.NO_PERMISSION})
    parent, instance = read(gpu, reserved_mib=30)["devices"]
    assert (parent["reserved_bytes"], instance["reserved_bytes"]) == (None, 30 * MIB)


def test_a_jetson_tells_its_name_and_nothing_else(read: Callable[..., Report]) -> None:
    unsupported = dict.fromkeys(
        ("memory", "pci", "utilization", "temperature", "power", "limit", "cc", "mig", "processes"),
        fake_nvml.NOT_SUPPORTED,
    )
    (device,) = read(Gpu("Orin (nvgpu)", fails=unsupported))["devices"]
    assert device["name"] == "Orin (nvgpu)"
    assert device["memory_kind"] == "unified"
    assert device["total_bytes"] == psutil.virtual_memory().total
    fields = ("pci", "utilization", "temperature", "power_watts", "compute_capability", "mig", "reserved_bytes")
    assert all(device[field] is None for field in fields)


@pytest.mark.parametrize("options", [{}, {"wide_v3": True}, {"old_driver": True}])
def test_all_processes_are_told_by_drivers_of_every_structure(
    read: Callable[..., Report], options: dict[str, Any]
) -> None:
    expected = [(2**31 - 9 - count, (count + 1) * MIB) for count in range(5)]
    gpu = Gpu(processes=[Process(pid, used // MIB) for pid, used in expected])
    (device,) = read(gpu, **options)["devices"]
    assert [(process["pid"], process["used_bytes"]) for process in device["processes"]] == expected


def test_sixteen_gpus_with_hundreds_of_processes_are_told_one_by_one(read: Callable[..., Report]) -> None:
    pids = [[2**31 - 9 - 40 * gpu - count for count in range(40)] for gpu in range(16)]
    report = read(*(Gpu(f"NVIDIA {gpu}", processes=[Process(pid, 1) for pid in pids[gpu]]) for gpu in range(16)))
    assert [device["name"] for device in report["devices"]] == [f"NVIDIA {gpu}" for gpu in range(16)]
    assert [[process["pid"] for process in device["processes"]] for device in report["devices"]] == pids


def test_a_name_that_is_no_text_is_unknown(read: Callable[..., Report]) -> None:
    report = read(Gpu(GARBAGE, temperature=50), driver=GARBAGE)
    (device,) = report["devices"]
    assert (device["name"], device["temperature"]) == ("NVIDIA GPU", 50)
    assert report["driver"] is None


def test_a_uuid_that_is_no_text_leaves_nothing_to_name_the_gpu_by(read: Callable[..., Report]) -> None:
    report = read(Gpu(uuid=GARBAGE))
    assert report["devices"] == []
    assert "garbled text" in report["problem"]["message"]
    assert report["problem"]["remedy"]
    assert [device["index"] for device in read(Gpu(uuid=GARBAGE), Gpu())["devices"]] == [1]


def test_names_from_the_driver_are_one_printable_line(read: Callable[..., Report]) -> None:
    report = read(Gpu("\x1b[31mNVIDIA\x1b[0m\x07 [bold]A\u202e10G " + "x" * 80), driver="550\x1b]0;title\x07.54\r\n")
    assert report["devices"][0]["name"].startswith("NVIDIA [bold]A10G xxx")
    assert report["driver"] == "550.54"


def test_the_process_that_asks_is_told_with_user_and_command(read: Callable[..., Report]) -> None:
    me = psutil.Process(os.getpid())
    (process,) = read(Gpu(processes=[Process(me.pid, 400)]))["devices"][0]["processes"]
    assert process["user"] == me.username()
    assert process["command"].split()[0] == me.cmdline()[0]
