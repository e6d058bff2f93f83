"""What is read from the driver, through the real nvidia-ml-py and a fake library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from tests import fake_nvml
from tests.fake_nvml import Gpu, MigInstance, Process
from tests.gpu.conftest import _READ, clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.gpu.conftest import Report

MIB = 1024**2
A10G = "GPU-00000000-1111-2222-3333-444444444444"


def test_two_gpus_are_told_field_by_field_as_in_the_contract(read: Callable[..., Report]) -> None:
    report = read(
        Gpu("NVIDIA A10G", 23028, 512, "8.6", utilization=37, temperature=61, power_watts=60.86, power_limit_watts=150),
        Gpu("NVIDIA H100 80GB HBM3", 81559, 40000, "9.0"),
        driver="535.161.08",
        cuda=12020,
        reserved_mib=300,
    )
    assert report["driver"] == "535.161.08"
    assert report["cuda"] == "12.2"
    assert report["problem"] is None
    assert report["devices"][0] == {
        "index": 0,
        "uuid": A10G,
        "name": "NVIDIA A10G",
        "total_bytes": 23028 * MIB,
        "free_bytes": (23028 - 512 - 300) * MIB,
        "used_bytes": 512 * MIB,
        "utilization": 37,
        "processes": [],
        "compute_capability": "8.6",
        "mig": None,
        "memory_kind": "dedicated",
        "reserved_bytes": 300 * MIB,
        "temperature": 61,
        "power_watts": 60.86,
        "power_limit_watts": 150.0,
        "pci": "00000000:01:00.0",
    }
    assert [device["name"] for device in report["devices"]] == ["NVIDIA A10G", "NVIDIA H100 80GB HBM3"]
    assert report["devices"][1]["compute_capability"] == "9.0"


def test_index_follows_the_pci_bus_and_not_the_order_of_nvml(read: Callable[..., Report]) -> None:
    report = read(
        Gpu("third", pci="0001:02:00"), Gpu("second", pci="0000:c1:00"), Gpu("first", pci="0000:0a:00", used_mib=7)
    )
    assert [(device["index"], device["name"]) for device in report["devices"]] == [
        (0, "first"),
        (1, "second"),
        (2, "third"),
    ]
    assert report["devices"][0]["used_bytes"] == 7 * MIB


def test_a_gpu_that_hides_its_pci_place_leaves_nvmls_order(read: Callable[..., Report]) -> None:
    report = read(
        Gpu("first", pci="0000:c1:00"), Gpu("second", pci="0000:0a:00", fails={"pci": fake_nvml.NOT_SUPPORTED})
    )
    assert [device["name"] for device in report["devices"]] == ["first", "second"]


def test_processes_have_names_where_they_can_be_seen_and_are_listed_once(read: Callable[..., Report]) -> None:
    me = os.getpid()
    out_of_sight = 2**31 - 7
    (device,) = read(Gpu(processes=[Process(me, 400), Process(out_of_sight, None), Process(me, 400, graphics=True)]))[
        "devices"
    ]
    seen, unseen = device["processes"]
    assert (seen["pid"], seen["used_bytes"], seen["name"]) == (me, 400 * MIB, psutil.Process(me).name())
    assert unseen == {"pid": out_of_sight, "used_bytes": None, "name": None, "user": None, "command": None}


def test_mig_instances_are_devices_of_their_own_beside_their_parent(read: Callable[..., Report]) -> None:
    pid = os.getpid()
    report = read(
        Gpu(
            "NVIDIA A100-SXM4-80GB",
            81920,
            40000,
            "8.0",
            mig=[
                MigInstance("NVIDIA A100-SXM4-80GB MIG 1g.10gb", 9856, 9000, gpu_instance=7, uuid="MIG-aaaa"),
                MigInstance(
                    "NVIDIA A100-SXM4-80GB MIG 3g.40gb", 40192, 37, gpu_instance=2, processes=[Process(pid, 30)]
                ),
            ],
        ),
        Gpu("NVIDIA A10G"),
    )
    parent, first, second, other = report["devices"]
    assert parent["mig"]["role"] == "parent"
    assert [first["index"], second["index"], other["index"]] == [0, 0, 1]
    assert first["uuid"] == "MIG-aaaa"
    assert first["mig"] == {
        "role": "instance",
        "parent": parent["uuid"],
        "ordinal": 0,
        "gpu_instance": 7,
        "compute_instance": 0,
    }
    assert (first["total_bytes"], first["free_bytes"]) == (9856 * MIB, 856 * MIB)
    assert second["mig"]["ordinal"] == 1
    assert second["compute_capability"] == "8.0"
    assert second["utilization"] is None
    assert [process["pid"] for process in second["processes"]] == [pid]
    assert other["mig"] is None
    assert report["problem"] is None


def test_mig_mode_without_an_instance_is_a_problem_with_its_command(read: Callable[..., Report]) -> None:
    report = read(Gpu(), Gpu("NVIDIA A100", mig=[]))
    assert len(report["devices"]) == 2
    assert report["problem"]["kind"] == "mig_without_instance"
    assert "GPU 1" in report["problem"]["message"]
    assert "nvidia-smi -i 1 -mig 0" in report["problem"]["remedy"]


@pytest.mark.parametrize("gpu", [Gpu(fails={"memory": fake_nvml.NOT_SUPPORTED}), Gpu(total_mib=0, used_mib=0)])
def test_unified_memory_is_the_systems_and_labelled(read: Callable[..., Report], gpu: Gpu) -> None:
    (device,) = read(gpu)["devices"]
    assert device["memory_kind"] == "unified"
    assert device["total_bytes"] == psutil.virtual_memory().total
    assert 0 < device["free_bytes"] <= device["total_bytes"]
    assert device["used_bytes"] == device["total_bytes"] - device["free_bytes"]


def test_an_old_driver_is_read_through_the_first_memory_structure(read: Callable[..., Report]) -> None:
    (device,) = read(Gpu(processes=[Process(1, 5)]), old_driver=True, reserved_mib=300)["devices"]
    assert device["free_bytes"] == (23028 - 512 - 300) * MIB
    assert device["used_bytes"] == (512 + 300) * MIB
    assert [process["pid"] for process in device["processes"]] == [1]
    assert device["mig"] is None


@pytest.mark.parametrize(
    ("query", "field", "value"),
    [
        ("memory", "free_bytes", None),
        ("utilization", "utilization", None),
        ("temperature", "temperature", None),
        ("power", "power_watts", None),
        ("limit", "power_limit_watts", None),
        ("pci", "pci", None),
        ("cc", "compute_capability", None),
        ("processes", "processes", []),
        ("mig", "mig", None),
        ("name", "name", "NVIDIA GPU"),
    ],
)
def test_a_field_that_the_driver_refuses_is_empty_and_the_others_are_there(
    read: Callable[..., Report], query: str, field: str, value: object
) -> None:
    gpu = Gpu(
        processes=[Process(1, 5)],
        utilization=9,
        temperature=40,
        power_watts=30,
        power_limit_watts=70,
        fails={query: fake_nvml.NO_PERMISSION},
    )
    report = read(gpu)
    (device,) = report["devices"]
    assert device[field] == value
    others = {"total_bytes", "utilization", "compute_capability", "name", "processes", "temperature", "pci"} - {field}
    if query == "memory":
        others.remove("total_bytes")
    assert all(device[other] for other in others)
    assert report["problem"] is None


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (fake_nvml.DRIVER_NOT_LOADED, "driver_not_loaded", "not loaded"),
        (fake_nvml.LIB_RM_VERSION_MISMATCH, "version_mismatch", "different versions"),
        (fake_nvml.NO_PERMISSION, "no_permission", "refuses this user"),
        (fake_nvml.GPU_IS_LOST, "gpu_lost", "lost the GPU"),
        (fake_nvml.FUNCTION_NOT_FOUND, "driver_error", "too old"),
        (fake_nvml.UNKNOWN, "driver_error", "Unknown Error"),
    ],
)
def test_a_driver_that_does_not_start_is_told_not_raised(
    read: Callable[..., Report], code: int, kind: str, said: str
) -> None:
    report = read(Gpu(), fail_init=code)
    assert report["devices"] == []
    assert report["problem"]["kind"] == kind
    assert said in report["problem"]["message"]


def test_no_library_is_told_not_raised(no_library: dict[str, str]) -> None:
    environment = clean_environment() | no_library
    done = subprocess.run(
        [sys.executable, "-c", _READ], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    report = json.loads(done.stdout)
    assert report["devices"] == []
    assert report["driver"] is report["cuda"] is None
    assert report["problem"]["kind"] == "library_not_found"


def test_a_driver_without_gpus_is_told(read: Callable[..., Report]) -> None:
    report = read()
    assert report["devices"] == []
    assert report["driver"] == "550.54.14"
    assert report["problem"]["kind"] == "no_devices"


@pytest.mark.parametrize("query", ["handle", "uuid", "memory", "utilization", "temperature", "power", "processes"])
def test_a_lost_gpu_is_left_out_and_the_others_keep_their_index(read: Callable[..., Report], query: str) -> None:
    report = read(Gpu(fails={query: fake_nvml.GPU_IS_LOST}), Gpu("NVIDIA L4"))
    assert [(device["index"], device["name"]) for device in report["devices"]] == [(1, "NVIDIA L4")]
    assert report["problem"]["kind"] == "gpu_lost"
    assert "GPU 0 (GPU is lost)" in report["problem"]["message"]


def test_a_gpu_without_permission_is_not_called_lost(read: Callable[..., Report]) -> None:
    report = read(Gpu(fails={"handle": fake_nvml.NO_PERMISSION}))
    assert report["devices"] == []
    assert report["problem"]["kind"] == "no_permission"


def test_cuda_visible_devices_limits_and_orders_the_report(read: Callable[..., Report]) -> None:
    gpus = [Gpu("zero"), Gpu("one"), Gpu("two")]
    report = read(*gpus, variables={"CUDA_VISIBLE_DEVICES": "2,0"})
    assert [(device["index"], device["name"]) for device in report["devices"]] == [(2, "two"), (0, "zero")]
    assert report["hidden"] == ["1"]
    assert report["problem"] is None


@pytest.mark.parametrize("value", ["", "-1", "NoDevFiles", "7"])
def test_cuda_visible_devices_that_leaves_none_is_the_problem(read: Callable[..., Report], value: str) -> None:
    report = read(Gpu(), Gpu(), variables={"CUDA_VISIBLE_DEVICES": value})
    assert report["devices"] == []
    assert report["hidden"] == ["0", "1"]
    assert report["problem"]["kind"] == "hidden"
    assert f'CUDA_VISIBLE_DEVICES="{value}" hides all 2 GPUs' in report["problem"]["message"]


def test_memory_that_changes_is_read_anew_each_time(nvml_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "nvml"
    code = (
        "from spacerun.gpu.devices import read_devices\n"
        "while input():\n"
        "    print(*[device.free_bytes for device in read_devices().devices], flush=True)\n"
    )
    environment = clean_environment() | fake_nvml.environment(nvml_folder, [Gpu()], file=file)
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def free() -> list[int]:
            process.stdin.write("again\n")
            process.stdin.flush()
            return [int(word) // MIB for word in process.stdout.readline().split()]

        assert free() == [23028 - 512]
        fake_nvml.change(file, [Gpu(used_mib=20000)])
        assert free() == [23028 - 20000]
        fake_nvml.change(file, [Gpu(used_mib=20000), Gpu(total_mib=1000, used_mib=0)])
        assert free() == [23028 - 20000, 1000]
        process.stdin.write("\n")


def test_two_processes_that_build_at_once_both_get_a_library_that_loads(tmp_path: Path, nvml_folder: Path) -> None:
    code = f"from pathlib import Path; from tests import fake_nvml; print(fake_nvml.build(Path({str(tmp_path)!r})))"
    builders = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for builder in builders:
        out, error = builder.communicate(timeout=60)
        assert builder.returncode == 0, error
        assert out.strip() == str(tmp_path / "new" / "libnvidia-ml.so.1")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["libnvidia-ml.so.1"]
    done = subprocess.run(
        [sys.executable, "-c", _READ],
        env=clean_environment() | fake_nvml.environment(tmp_path, [Gpu()]),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)["devices"][0]["uuid"] == A10G
