"""GPU memory given out to tests by what they take of it, so that never two models are on a card that fits one."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spacerun.gpu.devices import read_devices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spacerun.gpu.devices import Device
    from spacerun.smoke.desk import Need

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Lease:
    """GPUs that are kept for one test.

    Attributes:
        gpus: Their UUIDs.
        bytes: What it takes of them at most, in bytes; None for a GPU that it has for itself.
    """

    gpus: tuple[str, ...]
    bytes: int | None


class Cards:
    """The GPUs of one machine.

    What is free of a card is read while nobody has a lease on it: afterwards nobody can tell what the driver calls used
    from what a lease is still going to use.

    Args:
        devices: Reads the GPUs.
    """

    def __init__(self, devices: Callable[[], Sequence[Device]] = lambda: read_devices().devices) -> None:
        self._devices = devices
        self._leases: list[Lease] = []
        self._free: dict[str, int] = {}
        self._changed = threading.Condition()

    def take(self, need: Need, given_up: Callable[[], bool]) -> Lease | None:
        """Wait until there is room; None once nobody needs it any more.

        Something that no card has room for gets one for itself: whether that does is not decided here.
        """
        with self._changed:
            while not given_up():
                gpus = self._room(need)
                if gpus:
                    lease = Lease(gpus, None if need.together else need.bytes)
                    if not self._fits(lease):
                        lease = Lease(gpus, None)
                    self._leases.append(lease)
                    return lease
                self._changed.wait(_POLL_SECONDS)
        return None

    def give_back(self, lease: Lease) -> None:
        """What was leased is free again."""
        with self._changed:
            self._leases.remove(lease)
            self._changed.notify_all()

    def _room(self, need: Need) -> tuple[str, ...]:
        """The GPUs that `need` gets now; none where it has to wait."""
        self._look()
        if need.together:
            return need.gpus if not any(self._on(gpu) for gpu in need.gpus) else ()
        shared = [gpu for gpu in need.gpus if need.bytes is not None and self._left(gpu) >= need.bytes]
        empty = [gpu for gpu in need.gpus if not self._on(gpu)]
        # A card that is partly taken first: what wants one for itself finds one the sooner.
        best = sorted(shared, key=self._left) or sorted(empty, key=self._left, reverse=True)
        return tuple(best[:1])

    def _look(self) -> None:
        for device in self._devices():
            if not self._on(device.uuid):
                self._free[device.uuid] = device.free_bytes or 0

    def _on(self, gpu: str) -> list[Lease]:
        return [lease for lease in self._leases if gpu in lease.gpus]

    def _left(self, gpu: str) -> int:
        """Bytes of a GPU that nobody has a lease on; -1 where somebody has it for himself."""
        taken = [lease.bytes for lease in self._on(gpu)]
        if None in taken:
            return -1
        return self._free.get(gpu, 0) - sum(bytes_ for bytes_ in taken if bytes_ is not None)

    def _fits(self, lease: Lease) -> bool:
        return lease.bytes is not None and all(self._left(gpu) >= lease.bytes for gpu in lease.gpus)
