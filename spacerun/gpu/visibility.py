"""CUDA_VISIBLE_DEVICES, read as CUDA reads it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spacerun.gpu.devices import Device

# What CUDA takes for a UUID, or for the start of one.
UUID = re.compile(r"(GPU|MIG)-[\w/-]+")


def visible(devices: Sequence[Device], value: str | None) -> tuple[Device, ...]:
    """The devices that a program sees under `CUDA_VISIBLE_DEVICES=value`, in its order.

    As CUDA reads it ("CUDA Environment Variables" of the CUDA programming guide; "CUDA Device Enumeration" of the
    MIG user guide): entries after the first that names no device are ignored, a device named twice leaves none, a
    UUID may be cut short as long as it is unique, and beside a MIG instance nothing else is seen. Indexes count in
    PCI order; see `order_note`. A GPU in MIG mode brings its instances.

    Args:
        devices: All devices of the machine.
        value: The variable's value; None where it is not set.
    """
    if value is None:
        return tuple(devices)
    chosen = [device for _, device in _entries(devices, value)]
    if len(set(chosen)) < len(chosen):
        return ()
    instance = next((device for device in chosen if device.is_mig_instance), None)
    if instance:
        return (instance,)
    return tuple(found for device in chosen for found in (device, *instances(devices, device)))


def order_note(devices: Sequence[Device], value: str, order: str | None) -> str | None:
    """What to know about the indexes in `CUDA_VISIBLE_DEVICES=value`; None where there is nothing to know.

    CUDA counts in the order of the PCI bus under `CUDA_DEVICE_ORDER=PCI_BUS_ID` only; by default it counts "from
    fastest to slowest using a simple heuristic" ("CUDA Environment Variables" of the CUDA programming guide), which
    cannot be foreseen where the models differ. GPUs of one model stay in the order of the bus.

    Args:
        devices: All devices of the machine.
        value: The value of CUDA_VISIBLE_DEVICES.
        order: The value of CUDA_DEVICE_ORDER; None where it is not set.
    """
    models = {device.name for device in devices if not device.is_mig_instance}
    by_index = any(entry.isdecimal() for entry, _ in _entries(devices, value))
    if order == "PCI_BUS_ID" or len(models) < 2 or not by_index:  # noqa: PLR2004 - models that differ
        return None
    return (
        "CUDA_VISIBLE_DEVICES is read in PCI order here, but CUDA itself counts the fastest GPU first, and these are "
        "of different models. To make CUDA count the same: export CUDA_DEVICE_ORDER=PCI_BUS_ID"
    )


def named(devices: Sequence[Device], entry: str) -> Device | None:
    """The one device that an entry of the variable names: an index, a UUID or the start of one.

    Args:
        devices: Those to choose from.
        entry: `1`, `GPU-8932f937`, `MIG-…` or, as for drivers before R470, `MIG-GPU-…/1/2`.
    """
    if re.fullmatch(r"\d{1,9}", entry):
        matches = [device for device in devices if device.index == int(entry) and not device.is_mig_instance]
    elif legacy := re.fullmatch(r"MIG-(GPU-[^/]+)/(\d+)/(\d+)", entry):
        uuid, *instance = legacy.groups()
        matches = [
            device
            for device in devices
            if device.mig
            and (device.mig.parent or "").startswith(uuid)
            and [str(device.mig.gpu_instance), str(device.mig.compute_instance)] == instance
        ]
    elif UUID.match(entry):
        matches = [device for device in devices if device.uuid.startswith(entry)]
    else:
        matches = []
    return matches[0] if len(matches) == 1 else None


def instances(devices: Sequence[Device], parent: Device) -> list[Device]:
    """The MIG instances of a GPU among `devices`."""
    return [device for device in devices if device.mig and device.mig.parent == parent.uuid]


def _entries(devices: Sequence[Device], value: str) -> list[tuple[str, Device]]:
    """What CUDA_VISIBLE_DEVICES names, entry by entry, up to the first that names no device."""
    found: list[tuple[str, Device]] = []
    for entry in map(str.strip, value.split(",")):
        device = named(devices, entry)
        if device is None:
            break
        found.append((entry, device))
    return found
