"""Measures in a thread of its own what an app takes of its GPUs, and keeps the most in the ledger."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final, Literal

from spacerun.gpu.usage import metering
from spacerun.memory import ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from spacerun.app.spec import AppSpec
    from spacerun.gpu.usage import Meter

# PyTorch keeps what it once took ("CUDA semantics", memory management), so that a peak is seen after it is over.
_OFTEN_SECONDS: Final = 1.0
_SELDOM_SECONDS: Final = 5.0
_OFTEN_FOR: Final = 300
# What is kept is written anew only when it grew by this much: a disk is no place for every sample.
_GROWN: Final = 1.01
# What a display or another program may come to hold meanwhile; less than that is not taken for the app's.
_NOISE: Final = 64 * 1024**2


class GpuMemoryWatch:
    """Watches one app.

    Args:
        spec: The app; without GPUs nothing is watched.
        belongs: Whether a process id is one of the app's.
    """

    def __init__(self, spec: AppSpec, belongs: Callable[[int], bool]) -> None:
        self._spec = spec
        self._belongs = belongs
        self._done = threading.Event()
        self._written = 0

    def start(self) -> None:
        """Begin, before the app does: what others hold by now is not the app's."""
        if self._spec.gpus and self._spec.estimate:
            threading.Thread(target=self._run, name="GPU memory", daemon=True).start()

    def stop(self) -> None:
        """Stop."""
        self._done.set()

    def _run(self) -> None:
        with metering(self._spec.gpus) as meter:
            if meter is None:
                return
            ledger.tidy()
            earlier = ledger.of(self._spec.id)
            self._written = earlier.peak_bytes if earlier else 0  # in a life before
            before, samples = meter.used(), 0
            while not self._done.wait(_OFTEN_SECONDS if samples < _OFTEN_FOR else _SELDOM_SECONDS):
                samples += 1
                self._sample(meter, before)

    def _sample(self, meter: Meter, before: int) -> None:
        import psutil

        seen = meter.held()
        own = {pid: used for pid, used in seen.items() if self._belongs(pid)}
        told = [used for used in own.values() if used is not None]
        if own and len(told) == len(own):
            self._note(sum(told), "processes")
        elif (own or not any(map(psutil.pid_exists, seen))) and (grown := meter.used() - before) > _NOISE:
            # In a container NVML tells process ids of the host, if any; under WSL and MIG often no memory of each.
            self._note(grown, "device")

    def _note(self, held: int, how: Literal["processes", "device"]) -> None:
        spec, estimate = self._spec, self._spec.estimate
        if estimate is None or held < self._written * _GROWN:
            return
        self._written = held
        ledger.keep(
            ledger.Entry(
                app=spec.id,
                space=spec.space,
                revision=spec.revision,
                signature=estimate["signature"],
                device=estimate["device"],
                peak_bytes=held,
                how=how,
                low_bytes=estimate["low_bytes"],
                expected_bytes=estimate["expected_bytes"],
                high_bytes=estimate["high_bytes"],
                measured_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            )
        )
