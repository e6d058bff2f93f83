"""The GPUs of this machine, and which of them an app gets."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from spacerun.errors import NoGpuError, UsageError
from spacerun.gpu import visibility
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spacerun.gpu.problems import DriverProblem

STAGE = "check-gpu"


@dataclass(frozen=True)
class GpuProcess:
    """A process that holds memory of a GPU.

    Attributes:
        pid: Process id as the driver tells it; inside a container usually the host's.
        used_bytes: GPU memory it holds; None where the driver does not say (WSL, MIG without permission).
        name: Name of the program; None where the process cannot be seen from here.
        user: Who runs it; None likewise.
        command: Its command line as one printable line without secrets; None likewise, and where it has none.
    """

    pid: int
    used_bytes: int | None
    name: str | None
    user: str | None = None
    command: str | None = None


@dataclass(frozen=True)
class Mig:
    """What a device has to do with Multi-Instance GPU.

    A GPU in MIG mode (`role` is `parent`) cannot be used itself, so its free memory is no one's: its instances are
    devices of their own.

    Attributes:
        role: `parent` or `instance`.
        parent: UUID of the GPU that the instance is a part of.
        ordinal: Number of the instance among those of its GPU, from 0, as in `0:1`.
        gpu_instance: NVML's GPU instance ID.
        compute_instance: NVML's compute instance ID.
    """

    role: Literal["parent", "instance"]
    parent: str | None = None
    ordinal: int | None = None
    gpu_instance: int | None = None
    compute_instance: int | None = None


@dataclass(frozen=True)
class Device:
    """A GPU or a MIG instance. None stands for what the driver does not tell.

    Attributes:
        index: Place in the order of the PCI bus, as under `CUDA_DEVICE_ORDER=PCI_BUS_ID`; a MIG instance has its
            GPU's.
        uuid: NVML's `GPU-…` or `MIG-…`.
        name: Name of the product.
        total_bytes: Memory.
        free_bytes: Memory that a new process can get now.
        used_bytes: Memory held by processes; from drivers before R510 with what the driver keeps for itself.
        utilization: Share of the last sample period in which a kernel ran, in percent.
        processes: Processes that hold memory of it.
        compute_capability: `8.6`, for example.
        mig: None for a GPU without MIG mode.
        memory_kind: `unified` where the GPU has no memory of its own but shares the machine's.
        reserved_bytes: Memory that the driver keeps for itself; told since R510.
        temperature: Of the GPU's die, in °C.
        power_watts: What the board draws; since Ampere the mean of the last second.
        power_limit_watts: What it may draw.
        pci: Place on the PCI bus, `00000000:01:00.0` for example; a MIG instance has its GPU's.
    """

    index: int
    uuid: str
    name: str
    total_bytes: int | None
    free_bytes: int | None
    used_bytes: int | None
    utilization: int | None = None
    processes: tuple[GpuProcess, ...] = ()
    compute_capability: str | None = None
    mig: Mig | None = None
    memory_kind: Literal["dedicated", "unified"] = "dedicated"
    reserved_bytes: int | None = None
    temperature: int | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    pci: str | None = None

    @property
    def is_mig_parent(self) -> bool:
        """Whether only its MIG instances can be used."""
        return self.mig is not None and self.mig.role == "parent"

    @property
    def is_mig_instance(self) -> bool:
        """Whether it is a part of a GPU."""
        return self.mig is not None and self.mig.role == "instance"

    @property
    def label(self) -> str:
        """What `--gpu` takes: `0`, or `0:1` for the second MIG instance of GPU 0."""
        return f"{self.index}:{self.mig.ordinal}" if self.mig and self.is_mig_instance else str(self.index)


@dataclass(frozen=True)
class DeviceReport:
    """What the driver says.

    Attributes:
        devices: The devices that CUDA_VISIBLE_DEVICES leaves, in its order; without it all, in PCI order.
        driver: Version of the driver, `550.54.14` for example.
        cuda: Newest CUDA that the driver supports, `12.4` for example.
        problem: Why there is no device, or why one of several cannot be used.
        hidden: The devices that CUDA_VISIBLE_DEVICES leaves out.
        notes: What else the reader has to know, a sentence or two each.
    """

    devices: tuple[Device, ...]
    driver: str | None = None
    cuda: str | None = None
    problem: DriverProblem | None = None
    hidden: tuple[Device, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The part `devices, driver, cuda` of the machine output."""
        return {
            "devices": [asdict(device) for device in self.devices],
            "driver": self.driver,
            "cuda": self.cuda,
        }

    def error(self) -> NoGpuError:
        """The error for whoever needs a GPU when there is none to use."""
        if self.problem is None:
            return NoGpuError("No GPU was chosen.", hint="Choose one: --gpu auto", stage=STAGE, data=self.to_json())
        return NoGpuError(self.problem.message, hint=self.problem.remedy, stage=STAGE, data=self.to_json())


def read_devices() -> DeviceReport:
    """Ask the driver for the GPUs, and leave those that CUDA_VISIBLE_DEVICES allows.

    Never raises for a machine without a GPU or with a broken driver: `problem` says what is wrong.
    """
    from spacerun.gpu import nvml, problems

    report = nvml.read()
    value = os.environ.get("CUDA_VISIBLE_DEVICES")
    if value is None or not report.devices:
        return report
    shown = visibility.visible(report.devices, value)
    hidden = tuple(device for device in report.devices if device not in shown)
    note = visibility.order_note(report.devices, value, os.environ.get("CUDA_DEVICE_ORDER"))
    report = replace(report, devices=shown, hidden=hidden, notes=(note,) if note else ())
    if shown:
        return report
    whole = sum(not device.is_mig_instance for device in hidden)
    return replace(report, problem=problems.hidden(whole, one_line(value)))


def select(report: DeviceReport, choice: str) -> tuple[Device, ...]:
    """The devices that an app gets.

    Args:
        report: What the driver says.
        choice: `auto` (all whole GPUs; on a machine with MIG instances only, the one with the most free memory),
            `none`, or a comma-separated list of indexes, `INDEX:INSTANCE` and UUIDs. The index of a GPU in MIG
            mode stands for its instance with the most free memory.

    Returns:
        The devices, to be passed on by `cuda_visible_devices`; none for `none`, and for `auto` where there is none.

    Raises:
        UsageError: `choice` is none of these, or names a device that is not there, hidden or named twice.
        NoGpuError: A device is asked for where there is none, or it has no MIG instance to use.
    """
    if choice == "none":
        return ()
    if choice == "auto":
        whole = tuple(device for device in report.devices if device.mig is None)
        return whole or _freest(device for device in report.devices if device.is_mig_instance)
    entries = [entry.strip() for entry in choice.split(",")]
    if not all(re.fullmatch(r"\d+(:\d+)?", entry) or visibility.UUID.fullmatch(entry) for entry in entries):
        raise UsageError(
            f"--gpu {one_line(choice)} is neither auto, none, a list of indexes nor a UUID.",
            hint="For example: --gpu auto, --gpu none, --gpu 0,1; spacerun check-gpu lists the GPUs.",
        )
    if not report.devices:
        raise report.error()
    chosen = tuple(_usable(report, _asked(report, entry)) for entry in entries)
    if len(set(chosen)) < len(chosen):
        raise UsageError(f"--gpu {choice} names a GPU twice.", hint="Name each once.")
    if len(chosen) > 1 and any(device.is_mig_instance for device in chosen):
        raise UsageError(
            f"--gpu {choice}: beside a MIG instance CUDA lets a program use no other device.",
            hint=f"Name one of them: --gpu {chosen[0].label}",
        )
    return chosen


def cuda_visible_devices(devices: Sequence[Device]) -> str:
    """The value of CUDA_VISIBLE_DEVICES under which a program sees `devices`, in this order; empty for none.

    A UUID of no form that CUDA takes gives way to the index.
    """
    return ",".join(device.uuid if visibility.UUID.fullmatch(device.uuid) else str(device.index) for device in devices)


def _asked(report: DeviceReport, entry: str) -> Device:
    def find(devices: Sequence[Device]) -> Device | None:
        of_label = [device for device in devices if device.label == entry]
        return of_label[0] if of_label else visibility.named(devices, entry)

    device = find(report.devices)
    if device is None and find(report.hidden):
        raise UsageError(
            f"GPU {entry} is hidden by CUDA_VISIBLE_DEVICES.",
            hint=f"Choose from {_labels(report)}, or show all: unset CUDA_VISIBLE_DEVICES",
        )
    if device is None:
        raise UsageError(
            f"There is no GPU {entry} on this machine, or the name fits several.",
            hint=f"Choose from {_labels(report)}; spacerun check-gpu lists them.",
        )
    return device


def _usable(report: DeviceReport, device: Device) -> Device:
    if not device.is_mig_parent:
        return device
    instances = _freest(visibility.instances(report.devices, device))
    if not instances:
        from spacerun.gpu import problems

        problem = problems.mig_without_instance(device.index)
        raise NoGpuError(problem.message, hint=problem.remedy, stage=STAGE, data=report.to_json())
    return instances[0]


def _freest(devices: Iterable[Device]) -> tuple[Device, ...]:
    return tuple(sorted(devices, key=lambda device: -(device.free_bytes or 0)))[:1]


def _labels(report: DeviceReport) -> str:
    return ", ".join(device.label for device in report.devices)
