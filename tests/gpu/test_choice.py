"""Which devices a program sees, and which an app gets."""

from __future__ import annotations

import pytest

from spacerun.errors import NoGpuError, UsageError
from spacerun.gpu.devices import Device, DeviceReport, Mig, cuda_visible_devices, select
from spacerun.gpu.problems import Machine, no_library
from spacerun.gpu.visibility import visible

GIB = 1024**3


def gpu(index: int, uuid: str, free: int = 10, mig: Mig | None = None) -> Device:
    return Device(index, uuid, "NVIDIA", 24 * GIB, free * GIB, (24 - free) * GIB, mig=mig)


ZERO = gpu(0, "GPU-18ef14e9-dec6-1d7e-1284-3010c6ce98b1")
ONE = gpu(1, "GPU-849d5a8d-610e-eeea-1fd4-81ff44a23794")
TWO = gpu(2, "GPU-84000000-610e-eeea-1fd4-81ff44a23794")
GPUS = (ZERO, ONE, TWO)

PARENT = gpu(3, "GPU-3eb79704-1571-707c-aee8-f43ce747313d", free=23, mig=Mig("parent"))
SMALL = gpu(3, "MIG-d184f67c-c95f-5ef2-a935-195bd0094fbd", free=4, mig=Mig("instance", PARENT.uuid, 0, 13, 0))
LARGE = gpu(3, "MIG-37b51284-1df4-5451-979d-3231ccb0822e", free=9, mig=Mig("instance", PARENT.uuid, 1, 5, 1))
SPLIT = (PARENT, SMALL, LARGE)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, GPUS),
        ("0", (ZERO,)),
        ("2,0", (TWO, ZERO)),
        (" 1 , 2 ", (ONE, TWO)),
        ("", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("0,-1,1", (ZERO,)),
        ("0,9,1", (ZERO,)),
        ("1,1", ()),
        (ONE.uuid, (ONE,)),
        (f"{TWO.uuid},{ZERO.uuid}", (TWO, ZERO)),
        ("GPU-18", (ZERO,)),
        ("GPU-84", ()),
        ("GPU-849", (ONE,)),
        ("GPU-ffff,0", ()),
        (f"{ZERO.uuid},0", ()),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(value: str | None, expected: tuple[Device, ...]) -> None:
    assert visible(GPUS, value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (SMALL.uuid, (SMALL,)),
        ("MIG-37b5", (LARGE,)),
        (f"{LARGE.uuid},{SMALL.uuid}", (LARGE,)),
        (f"0,{SMALL.uuid}", (SMALL,)),
        (f"MIG-{PARENT.uuid}/13/0", (SMALL,)),
        ("MIG-GPU-3eb79704/5/1", (LARGE,)),
        ("MIG-GPU-3eb79704/6/1", ()),
        ("3", SPLIT),
        (f"0,{PARENT.uuid}", (ZERO, *SPLIT)),
    ],
)
def test_cuda_visible_devices_names_mig_instances(value: str, expected: tuple[Device, ...]) -> None:
    assert visible((ZERO, *SPLIT), value) == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", ()),
        ("auto", GPUS),
        ("1", (ONE,)),
        ("2,0", (TWO, ZERO)),
        ("2, 0", (TWO, ZERO)),
        (ONE.uuid, (ONE,)),
        ("GPU-849,0", (ONE, ZERO)),
    ],
)
def test_a_choice_of_whole_gpus(choice: str, expected: tuple[Device, ...]) -> None:
    assert select(DeviceReport(GPUS), choice) == expected


@pytest.mark.parametrize(
    ("devices", "choice", "expected"),
    [
        (SPLIT, "auto", (LARGE,)),
        ((ZERO, *SPLIT), "auto", (ZERO,)),
        (SPLIT, "3", (LARGE,)),
        (SPLIT, "3:0", (SMALL,)),
        (SPLIT, SMALL.uuid, (SMALL,)),
        (SPLIT, PARENT.uuid, (LARGE,)),
        ((PARENT,), "auto", ()),
    ],
)
def test_the_memory_of_a_gpu_in_mig_mode_is_never_chosen_but_its_instances(
    devices: tuple[Device, ...], choice: str, expected: tuple[Device, ...]
) -> None:
    assert select(DeviceReport(devices), choice) == expected


@pytest.mark.parametrize("choice", ["", "all", "0;1", "-1", "0,", "cuda:0", "gpu-18", "0 1", "auto,0"])
def test_a_choice_that_is_no_choice_is_a_usage_error_with_an_example(choice: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(DeviceReport(GPUS), choice)
    assert "--gpu auto" in (caught.value.hint or "")


@pytest.mark.parametrize("choice", ["7", "GPU-ffff", "GPU-84", "0:1", "0,7"])
def test_a_gpu_that_is_not_there_is_a_usage_error_that_lists_those_that_are(choice: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(DeviceReport(GPUS), choice)
    assert "0, 1, 2" in (caught.value.hint or "")


def test_a_hidden_gpu_is_not_taken() -> None:
    report = DeviceReport((ONE,), hidden=(ZERO, TWO))
    assert select(report, "auto") == (ONE,)
    for choice in ("0", ZERO.uuid, "GPU-18"):
        with pytest.raises(UsageError, match="hidden by CUDA_VISIBLE_DEVICES"):
            select(report, choice)


def test_a_gpu_named_twice_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="twice"):
        select(DeviceReport(GPUS), f"0,{ZERO.uuid}")


def test_a_mig_instance_goes_with_no_other_device() -> None:
    with pytest.raises(UsageError, match="beside a MIG instance"):
        select(DeviceReport((ZERO, *SPLIT)), "0,3")


def test_without_a_gpu_auto_and_none_go_on_and_an_index_fails_with_the_drivers_problem() -> None:
    problem = no_library(Machine(card=True))
    report = DeviceReport((), problem=problem)
    assert select(report, "auto") == select(report, "none") == ()
    with pytest.raises(NoGpuError) as caught:
        select(report, "0")
    assert caught.value.message == problem.message
    assert caught.value.hint == problem.remedy
    assert caught.value.data == {"devices": [], "driver": None, "cuda": None}


def test_mig_mode_without_an_instance_has_nothing_to_give() -> None:
    with pytest.raises(NoGpuError, match="without a MIG instance"):
        select(DeviceReport((PARENT,)), "3")


def test_what_is_passed_on_is_read_back_as_the_same_devices() -> None:
    for chosen in ((TWO, ZERO), (ONE,), ()):
        assert visible(GPUS, cuda_visible_devices(chosen)) == chosen
    assert visible(SPLIT, cuda_visible_devices((LARGE,))) == (LARGE,)
    assert cuda_visible_devices((TWO, ZERO)) == f"{TWO.uuid},{ZERO.uuid}"


def test_a_device_without_a_uuid_as_cuda_takes_it_is_passed_on_by_its_index() -> None:
    assert cuda_visible_devices((gpu(0, "1833c8b5-aadc-5300"),)) == "0"
    assert cuda_visible_devices((gpu(0, "GPU-18\x1b[31m"), ONE)) == f"0,{ONE.uuid}"
