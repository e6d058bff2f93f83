"""How much GPU memory an app holds, asked again and again at little cost."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from spacerun.gpu import nvml

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
            for pid, used in (_quiet(nvml.running, handle, "Compute") or {}).items():
                before = found.get(pid, 0)
                found[pid] = None if before is None or used is None else before + used
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


def _quiet(call: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - NVML is untyped
    """The answer, or None where the driver has none."""
    import pynvml

    try:
        return call(*arguments)
    except pynvml.NVMLError:
        return None
