"""The machine itself: GPUs and disk."""

from __future__ import annotations

from concurrent.futures import TimeoutError as OutOfTime
from typing import Final

from spacerun.doctor import Check, in_background
from spacerun.environment.uv import free_bytes
from spacerun.paths import home, tree_bytes
from spacerun.text import one_line, size

# An environment with the CUDA wheels of PyTorch takes about this much.
_ENOUGH_BYTES: Final = 5 << 30
_COUNTING_SECONDS: Final = 2.0


def gpu() -> Check:
    """The GPUs and their driver, as NVML tells them."""
    from spacerun.gpu.devices import read_devices

    report = read_devices()
    problem = report.problem
    if not report.devices:
        return Check("gpu", "remark", problem.message if problem else "none", problem.remedy if problem else None)
    devices = ", ".join(
        f"{device.label} {one_line(device.name)}"
        + (f" ({size(device.free_bytes)} free)" if device.free_bytes is not None else "")
        for device in report.devices
    )
    detail = f"{devices}; driver {report.driver or 'unknown'}, CUDA up to {report.cuda or 'unknown'}"
    if problem:
        return Check("gpu", "remark", f"{detail}. {problem.message}", problem.remedy)
    return Check("gpu", "ok", detail)


def disk() -> Check:
    """Free space where spacerun stores things, and what it uses there."""
    folders = {"data": home().data, "cache": home().cache}
    free = {name: free_bytes(folder) for name, folder in folders.items()}
    told = [f"{size(left)} free for {name} in {folders[name]}" for name, left in free.items() if left is not None]
    detail = "; ".join([*told, f"spacerun uses {_used()}"])
    if any(left is not None and left < _ENOUGH_BYTES for left in free.values()):
        detail += f"; a Space with PyTorch takes about {size(_ENOUGH_BYTES)}"
        return Check("disk", "remark", detail, "spacerun prune")
    return Check("disk", "ok", detail)


def _used() -> str:
    data, cache = home().data, home().cache
    roots = [data] if cache.is_relative_to(data) else [data, cache]
    counting = in_background(lambda: sum(map(tree_bytes, roots)))
    try:
        return size(counting.result(timeout=_COUNTING_SECONDS))
    except OutOfTime:
        return "more than can be counted quickly (spacerun list counts it)"
