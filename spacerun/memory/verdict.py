"""Whether a Space fits the GPUs of this machine as they are now, and which of them it gets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from spacerun.gpu.devices import select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spacerun.gpu.devices import Device, DeviceReport
    from spacerun.memory.estimate import Estimate


class Verdict(str, Enum):
    """What becomes of a Space here.

    `fits`: what it takes at most is free. `tight`: what it most likely takes is free. `too_small`: that is not.
    """

    NOT_NEEDED = "not_needed"
    FITS = "fits"
    TIGHT = "tight"
    TOO_SMALL = "too_small"
    NO_GPU = "no_gpu"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Fit:
    """A verdict, and what follows from it.

    Attributes:
        verdict: The verdict.
        estimate: What the Space takes.
        gpus: The devices that it gets, in the order in which it sees them.
        free_bytes: What is free on them for it; None where that is unknown, or there are none.
    """

    verdict: Verdict
    estimate: Estimate
    gpus: tuple[Device, ...] = ()
    free_bytes: int | None = None

    def to_json(self) -> dict[str, Any]:
        """`verdict` and `required` in the JSON document."""
        return {
            "verdict": self.verdict.value,
            "required": self.estimate.to_json(),
            "used": [device.uuid for device in self.gpus],
            "free_bytes": self.free_bytes,
        }


def judge(estimate: Estimate, report: DeviceReport, choice: str, *, needs_gpu: bool) -> Fit:
    """Compare what a Space takes with what is free, and choose its devices.

    Args:
        estimate: What it takes.
        report: The devices of this machine.
        choice: `--gpu`: `auto` takes the device with the most free memory, and all of them where the code spreads
            its weights and one is not enough, or where nothing is known.
        needs_gpu: Whether it uses CUDA unconditionally.

    Raises:
        UsageError: `choice` names no device that can be used.
        NoGpuError: `choice` names a device and there is none.
    """
    together = select(report, choice)
    single = together[:1]
    if choice == "auto":
        # Programs take the first device that they see; a GPU in MIG mode is used through its instances.
        together = _freest_first(together)
        single = _freest_first([device for device in report.devices if not device.is_mig_parent])[:1]
    if not single:
        return Fit(Verdict.NO_GPU if needs_gpu else Verdict.NOT_NEEDED, estimate)
    if not estimate.uses_gpu:
        unclear = bool(estimate.unknown) or needs_gpu
        return Fit(Verdict.UNKNOWN if unclear else Verdict.NOT_NEEDED, estimate, together)
    alone = _against(estimate, single)
    if estimate.spread and alone.verdict is not Verdict.FITS:
        return _against(estimate, together)
    if alone.verdict is Verdict.UNKNOWN or choice != "auto":
        return replace(alone, gpus=together)
    return alone


def _against(estimate: Estimate, devices: Sequence[Device]) -> Fit:
    """The verdict for devices that the weights are spread over."""
    free = [device.free_bytes for device in devices if device.free_bytes is not None]
    if len(free) < len(devices) or not free:
        return Fit(Verdict.UNKNOWN, estimate, tuple(devices))
    needed = estimate.bytes
    # CUDA takes its own on each of them.
    context = sum(term.bytes.expected for term in estimate.terms if term.kind == "context")
    room = sum(free) - context * (len(free) - 1)
    if needed.expected > room:
        # What is known is too much already, whatever the rest takes.
        verdict = Verdict.TOO_SMALL if not estimate.unknown or needed.low > room else Verdict.UNKNOWN
    elif estimate.unknown:
        verdict = Verdict.UNKNOWN
    else:
        verdict = Verdict.FITS if needed.high <= room else Verdict.TIGHT
    return Fit(verdict, estimate, tuple(devices), room)


def _freest_first(devices: Sequence[Device]) -> tuple[Device, ...]:
    return tuple(sorted(devices, key=lambda device: -(device.free_bytes or 0)))
