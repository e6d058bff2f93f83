"""CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER, on a machine that NVML tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fake_nvml import Gpu, MigInstance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.gpu.conftest import Report

SPLIT = Gpu(
    "NVIDIA A100",
    uuid="GPU-cccccccc-1111-2222-3333-444444444444",
    pci="0000:03:00",
    mig=[
        MigInstance("NVIDIA A100 MIG 1g.10gb", 9856, uuid="MIG-dddddddd-1", gpu_instance=7),
        MigInstance("NVIDIA A100 MIG 3g.40gb", 40192, uuid="MIG-eeeeeeee-2", gpu_instance=2),
    ],
)
# In the order of the PCI bus; NVML tells them the other way round.
MACHINE = [
    SPLIT,
    Gpu("NVIDIA L4", uuid="GPU-bbbbbbbb-1111-2222-3333-444444444444", pci="0000:02:00"),
    Gpu("NVIDIA A10G", uuid="GPU-aaaaaaaa-1111-2222-3333-444444444444", pci="0000:01:00"),
]


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ("0", "a"),
        ("1,0", "ba"),
        ("GPU-bbbbbbbb-1111-2222-3333-444444444444", "b"),
        ("GPU-bb,GPU-a", "ba"),
        ("GPU-bb,0", "ba"),
        ("MIG-eeeeeeee-2", "e"),
        ("MIG-d", "d"),
        ("MIG-GPU-cccccccc-1111-2222-3333-444444444444/2/0", "e"),
        ("0,MIG-d", "d"),
        ("2", "cde"),
        ("0,9,1", "a"),
        ("0,0", ""),
        ("GPU-", ""),
        ("9" * 5000, ""),
        ("\u0663\u00b2,0", ""),
    ],
)
def test_cuda_visible_devices_by_index_uuid_and_mig_uuid(read: Callable[..., Report], value: str, left: str) -> None:
    report = read(*MACHINE, variables={"CUDA_VISIBLE_DEVICES": value})
    assert [device["uuid"].split("-")[1][0] for device in report["devices"]] == list(left)


DIFFERENT = [Gpu("NVIDIA A10G"), Gpu("NVIDIA L4")]
ALIKE = [Gpu("NVIDIA A10G"), Gpu("NVIDIA A10G", mig=[MigInstance("NVIDIA A10G MIG 1g", 9856)])]


@pytest.mark.parametrize("variables", [{}, {"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}, {"CUDA_DEVICE_ORDER": "pci"}])
def test_cuda_device_order_that_cuda_alone_knows_is_noted_with_its_remedy(
    read: Callable[..., Report], variables: Mapping[str, str]
) -> None:
    for value in ("0", "1", "1,0", "GPU-00000000,1"):
        (note,) = read(*DIFFERENT, variables={"CUDA_VISIBLE_DEVICES": value, **variables})["notes"]
        assert "PCI order here" in note
        assert "export CUDA_DEVICE_ORDER=PCI_BUS_ID" in note


@pytest.mark.parametrize(
    ("gpus", "variables"),
    [
        (DIFFERENT, {}),
        (DIFFERENT, {"CUDA_VISIBLE_DEVICES": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}),
        (DIFFERENT, {"CUDA_VISIBLE_DEVICES": "GPU-00000001"}),
        (DIFFERENT, {"CUDA_VISIBLE_DEVICES": ""}),
        (DIFFERENT, {"CUDA_VISIBLE_DEVICES": "GPU-ffff,0"}),
        (ALIKE, {"CUDA_VISIBLE_DEVICES": "0"}),
        (ALIKE[:1], {"CUDA_VISIBLE_DEVICES": "0"}),
    ],
)
def test_cuda_device_order_is_not_noted_where_it_changes_nothing(
    read: Callable[..., Report], gpus: list[Gpu], variables: Mapping[str, str]
) -> None:
    assert read(*gpus, variables=variables)["notes"] == []
