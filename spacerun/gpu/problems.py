"""Why a GPU cannot be used, in one sentence each, with what mends it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

ProblemKind = Literal[
    "library_not_found",
    "driver_not_loaded",
    "version_mismatch",
    "no_permission",
    "gpu_lost",
    "driver_error",
    "no_devices",
    "hidden",
    "mig_without_instance",
]

_NVIDIA_PCI_VENDOR = "0x10de"
_DISPLAY_CONTROLLER_CLASS = "0x03"
_LAUNCH_ON_CPU = "a Space that can do without runs with: spacerun launch SPACE --gpu none"
_GPUS_INTO_CONTAINER = (
    "Start the container with its GPUs: docker run --gpus all … (needs the NVIDIA Container Toolkit on the host); in "
    "Kubernetes, ask for them in the pod: resources: limits: nvidia.com/gpu: 1"
)


@dataclass(frozen=True)
class DriverProblem:
    """Why there is no GPU, or why one of several is missing.

    Attributes:
        kind: What it is, for programs.
        message: What happened and why, as one sentence.
        remedy: What mends it, with the command where there is one.
    """

    kind: ProblemKind
    message: str
    remedy: str


@dataclass(frozen=True)
class Machine:
    """What decides which remedy is the right one.

    Attributes:
        macos: The operating system is macOS.
        wsl: It is Linux within Windows.
        tegra: It is a Jetson, whose GPU is no card on the PCI bus.
        container: This process runs in a container.
        card: An NVIDIA display controller is on the PCI bus.
        module: The NVIDIA kernel module is loaded.
    """

    macos: bool = False
    wsl: bool = False
    tegra: bool = False
    container: bool = False
    card: bool = False
    module: bool = False


def look(root: Path = Path("/")) -> Machine:
    """Look at the machine, without asking the driver.

    Args:
        root: Folder that stands for `/`.
    """
    return Machine(
        macos=platform.system() == "Darwin",
        wsl="microsoft" in _text(root / "proc/version").lower(),
        tegra=(root / "etc/nv_tegra_release").exists()
        or _text(root / "sys/devices/soc0/family").lower().startswith("tegra"),
        container=(root / ".dockerenv").exists()
        or (root / "run/.containerenv").exists()
        or "KUBERNETES_SERVICE_HOST" in os.environ,
        card=any(_is_nvidia_card(device) for device in root.glob("sys/bus/pci/devices/*")),
        module=(root / "proc/driver/nvidia/version").exists(),
    )


def of_error(code: int, reason: str, machine: Machine) -> DriverProblem:
    """Why NVML did not start.

    Args:
        code: NVML's error code (nvml.h, nvmlReturn_enum).
        reason: NVML's words for it.
        machine: Where it happened.
    """
    import pynvml

    by_machine = {
        pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: no_library,
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED: not_loaded,
        pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: mismatch,
        pynvml.NVML_ERROR_NO_PERMISSION: no_permission,
    }
    if code in by_machine:
        return by_machine[code](machine)
    if code == pynvml.NVML_ERROR_GPU_IS_LOST:
        return lost()
    if code == pynvml.NVML_ERROR_FUNCTION_NOT_FOUND:
        return too_old()
    return driver_error(reason, machine)


def no_library(machine: Machine) -> DriverProblem:
    """`libnvidia-ml.so.1`, a part of every NVIDIA driver for Linux, is not there."""
    if machine.macos:
        message, remedy = "macOS has no NVIDIA driver, so no GPU for CUDA.", f"No remedy here; {_LAUNCH_ON_CPU}"
    elif machine.wsl:
        message = "Windows shares no NVIDIA driver with this WSL: libnvidia-ml.so.1 was not found."
        remedy = (
            "Install NVIDIA's driver in Windows, none in WSL, then in Windows: wsl --shutdown. If "
            "/usr/lib/wsl/lib has the library: export LD_LIBRARY_PATH=/usr/lib/wsl/lib"
        )
    elif machine.tegra and machine.container:
        message = "This container was started without access to the Jetson's GPU."
        remedy = "Start it with NVIDIA's runtime: docker run --runtime nvidia …"
    elif machine.tegra:
        message = "This Jetson has no NVML (libnvidia-ml.so.1), which came with JetPack 6."
        remedy = "Update to JetPack 6 or newer: https://developer.nvidia.com/embedded/jetpack"
    elif machine.container and (machine.module or machine.card):
        message = "The machine has an NVIDIA GPU, but this container was started without access to it."
        remedy = _GPUS_INTO_CONTAINER
    elif machine.module:
        message = "The NVIDIA driver is loaded, but its library libnvidia-ml.so.1 was not found."
        remedy = (
            "Install the libraries of the version that /proc/driver/nvidia/version names, or point at them: "
            "export LD_LIBRARY_PATH=FOLDER"
        )
    elif machine.card:
        message = "This machine has an NVIDIA GPU, but no NVIDIA driver: libnvidia-ml.so.1 was not found."
        remedy = (
            "Install the driver and reboot; on Ubuntu: sudo ubuntu-drivers install; "
            "elsewhere see https://www.nvidia.com/drivers"
        )
    else:
        message = "No NVIDIA GPU was found: no driver (libnvidia-ml.so.1) and no NVIDIA card on the PCI bus."
        remedy = f"Use a machine with an NVIDIA GPU; {_LAUNCH_ON_CPU}"
    return DriverProblem("library_not_found", message, remedy)


def not_loaded(machine: Machine) -> DriverProblem:
    """The library is there, the kernel module is not."""
    if machine.container:
        remedy = _GPUS_INTO_CONTAINER
    else:
        remedy = (
            "Load it: sudo modprobe nvidia. If that fails (often after a kernel update, or because of Secure "
            "Boot), install the driver anew for this kernel; sudo dmesg | grep -i nvidia tells why."
        )
    return DriverProblem(
        "driver_not_loaded", "The NVIDIA driver is installed, but it is not loaded in the kernel.", remedy
    )


def mismatch(machine: Machine) -> DriverProblem:
    """Library and kernel module are of different versions."""
    return DriverProblem(
        "version_mismatch",
        "The NVIDIA driver in the kernel and its library are of different versions, as after an update of the "
        "driver without a reboot.",
        "Stop the container and start it anew." if machine.container else "Reboot: sudo reboot",
    )


def no_permission(machine: Machine) -> DriverProblem:
    """The device files exist but this user may not open them."""
    return DriverProblem(
        "no_permission",
        "The NVIDIA driver refuses this user access to the GPU.",
        _GPUS_INTO_CONTAINER
        if machine.container
        else "See who may use it: ls -l /dev/nvidia*. Join that group, mostly: sudo usermod -aG video $USER, then "
        "log in anew.",
    )


def lost() -> DriverProblem:
    """A GPU fell off the bus, so that the driver as a whole refuses to start."""
    return DriverProblem(
        "gpu_lost",
        "The driver has lost the GPU: it does not answer on the PCI bus any more.",
        "Reboot: sudo reboot. What happened: sudo dmesg | grep -i xid (heat, power supply and seating are the "
        "usual causes).",
    )


def unavailable(gpus: Sequence[tuple[int, str]]) -> DriverProblem:
    """Some GPUs do not answer, though the driver does.

    Args:
        gpus: Index and NVML's words for each.
    """
    each = ", ".join(f"GPU {index} ({reason})" for index, reason in gpus)
    return DriverProblem(
        "gpu_lost",
        f"Not every GPU answers the driver: {each}.",
        "Reboot: sudo reboot. What happened: sudo dmesg | grep -i xid",
    )


def driver_error(reason: str, machine: Machine) -> DriverProblem:
    """The driver does not answer, for a reason without a remedy of its own.

    Within a container that is mostly a container which lost its GPUs while it ran, as after `systemctl daemon-reload`
    on the host (https://github.com/NVIDIA/nvidia-docker/issues/1730).
    """
    return DriverProblem(
        "driver_error",
        f"The NVIDIA driver does not answer ({reason}).",
        "Start the container anew: it may have lost its GPUs while it ran. Otherwise see whether nvidia-smi works on "
        "the host."
        if machine.container
        else "See whether NVIDIA's own tool works: nvidia-smi. If not: sudo reboot, then install the driver anew.",
    )


def garbled(machine: Machine) -> DriverProblem:
    """The driver answers with bytes that are no text, as 555.85 does in WSL."""
    return DriverProblem(
        "driver_error",
        "The NVIDIA driver answers with garbled text, so that no GPU can be told from another.",
        "Update NVIDIA's driver in Windows, then in Windows: wsl --shutdown"
        if machine.wsl
        else "Install another version of the driver; on Ubuntu: sudo ubuntu-drivers install",
    )


def too_old() -> DriverProblem:
    """The driver lacks a function that every driver since 2018 has."""
    return DriverProblem(
        "driver_error",
        "The NVIDIA driver is too old to be asked for its GPUs.",
        "Install a newer driver; on Ubuntu: sudo ubuntu-drivers install; elsewhere see https://www.nvidia.com/drivers",
    )


def no_devices(machine: Machine) -> DriverProblem:
    """The driver works and lists no GPU."""
    if machine.container:
        remedy = _GPUS_INTO_CONTAINER
    else:
        remedy = (
            "See whether the card is on the PCI bus: lspci -d 10de: ; if it is, sudo dmesg | grep -i nvidia tells "
            f"why the driver leaves it out; {_LAUNCH_ON_CPU}"
        )
    return DriverProblem("no_devices", "The NVIDIA driver works, but it lists no GPU.", remedy)


def hidden(count: int, value: str) -> DriverProblem:
    """CUDA_VISIBLE_DEVICES leaves none of the machine's GPUs.

    Args:
        count: How many GPUs the machine has.
        value: The variable's value.
    """
    gpus = "the machine's only GPU" if count == 1 else f"all {count} GPUs of this machine"
    return DriverProblem(
        "hidden", f'CUDA_VISIBLE_DEVICES="{value}" hides {gpus}.', "Show them: unset CUDA_VISIBLE_DEVICES"
    )


def mig_without_instance(index: int) -> DriverProblem:
    """GPU `index` is in MIG mode and no instance was made: CUDA cannot use it."""
    return DriverProblem(
        "mig_without_instance",
        f"GPU {index} is in MIG mode without a MIG instance, so no program can use it.",
        f"Make one: sudo nvidia-smi mig -i {index} -lgip, then sudo nvidia-smi mig -i {index} -cgi PROFILE -C; "
        f"or end MIG mode: sudo nvidia-smi -i {index} -mig 0",
    )


def _is_nvidia_card(device: Path) -> bool:
    return _text(device / "vendor").strip() == _NVIDIA_PCI_VENDOR and _text(device / "class").startswith(
        _DISPLAY_CONTROLLER_CLASS
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
