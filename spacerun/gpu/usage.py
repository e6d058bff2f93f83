"""How much GPU memory an app holds, asked again and again at little cost."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Meter:
    """Asks NVML, which stays open meanwhile, for the memory of some devices."""

    def __init__(self, handles: Sequence[Any]) -> None:
        self._handles = handles

    def held(self) -> dict[int, int | None]:
        """Bytes of the devices that each process holds, by its id; None where the driver does not say."""
        found: dict[int, int | None] = {}
        for handle in self._handles:
            # A program that draws as well is in both of NVML's lists, but this one has all that compute.
            for process in _processes(handle):
                before, used = found.get(process.pid, 0), process.usedGpuMemory
                found[process.pid] = None if before is None or used is None else before + used
        return found

    def used(self) -> int:
        """Bytes of the devices that anybody holds."""
        import pynvml

        answers = (_quiet(pynvml.nvmlDeviceGetMemoryInfo, handle) for handle in self._handles)
        return sum(memory.used for memory in answers if memory)


@contextmanager
def metering(uuids: Sequence[str]) -> Iterator[Meter | None]:
    """A meter for the devices with these UUIDs; None where NVML has none of them.

    Args:
        uuids: NVML's `GPU-…` or `MIG-…`.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        found = [_quiet(pynvml.nvmlDeviceGetHandleByUUID, uuid) for uuid in uuids]
        handles = [handle for handle in found if handle is not None]
        yield Meter(handles) if handles else None
    finally:
        _quiet(pynvml.nvmlShutdown)


def _processes(handle: Any) -> Sequence[Any]:  # noqa: ANN401 - NVML's handles are opaque
    import pynvml

    # The second version first: drivers 535.43 to 535.86 changed the structure of the third.
    found = _quiet(pynvml.nvmlDeviceGetComputeRunningProcesses_v2, handle)
    return found or _quiet(pynvml.nvmlDeviceGetComputeRunningProcesses_v3, handle) or ()


def _quiet(call: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - NVML is untyped
    """The answer, or None where the driver has none."""
    import pynvml

    try:
        return call(*arguments)
    except pynvml.NVMLError:
        return None
