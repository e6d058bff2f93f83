"""The driver asked through NVML (nvidia-ml-py), field by field: what it does not tell is None."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from spacerun.gpu import problems
from spacerun.gpu.devices import Device, DeviceReport, GpuProcess, Mig
from spacerun.gpu.processes import identify
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spacerun.gpu.problems import DriverProblem


def read() -> DeviceReport:
    """All devices of the machine, whatever CUDA_VISIBLE_DEVICES says; see `spacerun.gpu.devices.read_devices`."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return DeviceReport(devices=(), problem=_init_problem(error))
    try:
        return _read()
    except pynvml.NVMLError as error:
        return DeviceReport(devices=(), problem=_init_problem(error))
    finally:
        _attempt(pynvml.nvmlShutdown)


@contextmanager
def kept_open() -> Iterator[None]:
    """For as long as this lasts, `read` need not start NVML, which takes seconds where the GPUs sleep."""
    import pynvml

    _, error = _attempt(pynvml.nvmlInit)
    try:
        yield
    finally:
        if not error:
            _attempt(pynvml.nvmlShutdown)


def _read() -> DeviceReport:
    import pynvml

    version = _ask(pynvml.nvmlSystemGetCudaDriverVersion)
    devices: list[Device] = []
    silent: list[tuple[int, Exception]] = []
    for index, (handle, lost) in enumerate(_handles_in_pci_order()):
        found, error = (None, lost) if lost else _attempt(_gpu, handle, index)
        devices += found or []
        silent += [(index, error)] if error else []
    return DeviceReport(
        devices=tuple(devices),
        driver=one_line(_ask(pynvml.nvmlSystemGetDriverVersion) or "") or None,
        cuda=f"{version // 1000}.{version % 1000 // 10}" if version else None,
        problem=_device_problem(devices, silent),
    )


def _handles_in_pci_order() -> list[tuple[Any, Exception | None]]:
    """For each GPU its handle, or None and the error.

    NVML does not promise an order (nvml.h, nvmlDeviceGetHandleByIndex). It keeps to that of the PCI bus so far, so
    where one GPU does not tell its place, NVML's order stands.
    """
    import pynvml

    handles = [_attempt(pynvml.nvmlDeviceGetHandleByIndex, index) for index in range(pynvml.nvmlDeviceGetCount())]
    places = [() if error else _place(handle) for handle, error in handles]
    if not all(places):
        return handles
    return [handles[at] for at in sorted(range(len(handles)), key=lambda at: places[at] or ())]


def _place(handle: Any) -> tuple[int, ...]:  # noqa: ANN401 - as above
    import pynvml

    pci, error = _attempt(pynvml.nvmlDeviceGetPciInfo, handle)
    return () if error else (pci.domain, pci.bus, pci.device)


def _gpu(handle: Any, index: int) -> list[Device]:  # noqa: ANN401 - NVML's handles are opaque
    """The GPU, followed by its MIG instances.

    Raises:
        NVMLError: The GPU does not answer at all.
    """
    import pynvml

    memory = _memory(handle, may_be_unified=True)
    mode = _ask(pynvml.nvmlDeviceGetMigMode, handle)
    split = bool(mode and mode[0] == pynvml.NVML_DEVICE_MIG_ENABLE)
    capability = _ask(pynvml.nvmlDeviceGetCudaComputeCapability, handle)
    utilization = _ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
    pci = _ask(lambda: pynvml.nvmlDeviceGetPciInfo(handle).busId)
    gpu = Device(
        index=index,
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        name=one_line(_ask(pynvml.nvmlDeviceGetName, handle) or "NVIDIA GPU"),
        total_bytes=memory.total,
        free_bytes=memory.free,
        used_bytes=memory.used,
        utilization=utilization.gpu if utilization else None,
        processes=() if split else _processes(handle),
        compute_capability=".".join(map(str, capability)) if capability else None,
        mig=Mig("parent") if split else None,
        memory_kind=memory.kind,
        reserved_bytes=memory.reserved,
        temperature=_temperature(handle),
        power_watts=_watts(pynvml.nvmlDeviceGetPowerUsage, handle),
        power_limit_watts=_watts(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle),
        pci=one_line(pci or "") or None,
    )
    return [gpu, *_mig_instances(handle, gpu)] if split else [gpu]


def _mig_instances(parent_handle: Any, parent: Device) -> list[Device]:  # noqa: ANN401 - as above
    import pynvml

    instances: list[Device] = []
    for position in range(_ask(pynvml.nvmlDeviceGetMaxMigDeviceCount, parent_handle) or 0):
        handle = _ask(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, parent_handle, position)
        uuid = handle and _ask(pynvml.nvmlDeviceGetUUID, handle)
        if not uuid:
            continue
        memory = _memory(handle, may_be_unified=False)
        mig = Mig(
            "instance",
            parent=parent.uuid,
            ordinal=len(instances),
            gpu_instance=_ask(pynvml.nvmlDeviceGetGpuInstanceId, handle),
            compute_instance=_ask(pynvml.nvmlDeviceGetComputeInstanceId, handle),
        )
        instances.append(
            replace(
                parent,
                uuid=uuid,
                name=one_line(_ask(pynvml.nvmlDeviceGetName, handle) or f"{parent.name} MIG"),
                total_bytes=memory.total,
                free_bytes=memory.free,
                used_bytes=memory.used,
                utilization=None,
                processes=_processes(handle),
                mig=mig,
                reserved_bytes=memory.reserved,
                temperature=None,
                power_watts=None,
                power_limit_watts=None,
            )
        )
    return instances


@dataclass(frozen=True)
class _Memory:
    total: int | None
    free: int | None
    used: int | None
    kind: Literal["dedicated", "unified"] = "dedicated"
    reserved: int | None = None


def _memory(handle: Any, *, may_be_unified: bool) -> _Memory:  # noqa: ANN401 - as above
    """Memory in bytes.

    The second version of the structure does not count what the driver keeps for itself as used; drivers before R510
    have the first only. GPUs without memory of their own (GB10, for example) answer NotSupported, or nothing but
    zeros.
    """
    import pynvml

    memory = _ask(pynvml.nvmlDeviceGetMemoryInfo, handle, version=pynvml.nvmlMemory_v2)
    reserved = memory.reserved if memory else None
    if memory is None:
        memory, error = _attempt(pynvml.nvmlDeviceGetMemoryInfo, handle)
        _raise_if_lost(error)
        if isinstance(error, pynvml.NVMLError_NotSupported) and may_be_unified:
            return _system_memory()
        if error:
            return _Memory(None, None, None)
    if not memory.total and may_be_unified:
        return _system_memory()
    return _Memory(memory.total, memory.free, memory.used, reserved=reserved)


def _system_memory() -> _Memory:
    import psutil

    memory = psutil.virtual_memory()
    return _Memory(memory.total, memory.available, memory.total - memory.available, "unified")


def running(handle: Any, kind: Literal["Compute", "Graphics"]) -> dict[int, int | None]:  # noqa: ANN401 - as above
    """Bytes that each process of a kind holds of a device, by its id; None where the driver does not say.

    The second version of the functions comes first: the third has its structure in some drivers of R535 (535.43 to
    535.86) and the second's in all others.

    Args:
        handle: NVML's handle of the device.
        kind: Which of NVML's lists; a program that draws and computes is in both.

    Raises:
        NVMLError: The GPU is lost.
    """
    names = [f"nvmlDeviceGet{kind}RunningProcesses_v{version}" for version in (2, 3)]
    return {process.pid: process.usedGpuMemory for process in _ask_first(names, handle) or ()}


def _processes(handle: Any) -> tuple[GpuProcess, ...]:  # noqa: ANN401 - as above
    """Compute and graphics processes, each once."""
    compute, graphics = running(handle, "Compute"), running(handle, "Graphics")
    used = {**compute, **graphics, **compute}
    return tuple(identify(pid, used_bytes) for pid, used_bytes in used.items())


def _temperature(handle: Any) -> int | None:  # noqa: ANN401 - as above
    """In °C. The first function is to go with CUDA 14; drivers before R570 lack the second."""
    import pynvml

    names = ("nvmlDeviceGetTemperature", "nvmlDeviceGetTemperatureV")
    celsius: int | None = _ask_first(names, handle, pynvml.NVML_TEMPERATURE_GPU)
    return celsius


def _watts(call: Callable[..., Any], handle: Any) -> float | None:  # noqa: ANN401 - as above
    milliwatts = _ask(call, handle)
    return None if milliwatts is None else milliwatts / 1000


def _ask(call: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401 - NVML is untyped
    """The answer, or None where the driver has none; a GPU that is lost answers nothing and is an error."""
    answer, error = _attempt(call, *arguments, **keywords)
    _raise_if_lost(error)
    return answer


def _ask_first(names: Sequence[str], *arguments: Any) -> Any:  # noqa: ANN401 - as above
    """The answer of the first of these functions that this nvidia-ml-py and this driver have."""
    import pynvml

    calls = (getattr(pynvml, name, None) for name in names)
    answers = (_ask(call, *arguments) for call in calls if call)
    return next((answer for answer in answers if answer is not None), None)


def _attempt(call: Callable[..., Any], *arguments: Any, **keywords: Any) -> tuple[Any, Exception | None]:  # noqa: ANN401 - as above
    """The answer and None, or None and the error.

    Some drivers for WSL (555.85, for example) fill strings with bytes that are no text.
    """
    import pynvml

    try:
        return call(*arguments, **keywords), None
    except (pynvml.NVMLError, UnicodeDecodeError) as error:
        return None, error


def _raise_if_lost(error: Exception | None) -> None:
    import pynvml

    if isinstance(error, (pynvml.NVMLError_GpuIsLost, pynvml.NVMLError_ResetRequired)):
        raise error


def _init_problem(error: Any) -> DriverProblem:  # noqa: ANN401 - an NVMLError, untyped
    return problems.of_error(error.value, one_line(str(error)), problems.look())


def _device_problem(devices: Sequence[Device], silent: Sequence[tuple[int, Any]]) -> DriverProblem | None:
    import pynvml

    if silent and all(isinstance(error, pynvml.NVMLError_NoPermission) for _, error in silent):
        return problems.no_permission(problems.look())
    if silent and all(isinstance(error, UnicodeDecodeError) for _, error in silent):
        return problems.garbled(problems.look())
    if silent:
        return problems.unavailable([(index, one_line(str(error))) for index, error in silent])
    if not devices:
        return problems.no_devices(problems.look())
    parents = {device.mig.parent for device in devices if device.mig}
    empty = [device.index for device in devices if device.is_mig_parent and device.uuid not in parents]
    return problems.mig_without_instance(empty[0]) if empty else None
