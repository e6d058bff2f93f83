"""The GPUs for people: a table that fits the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from spacerun.text import size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from spacerun.gpu.devices import Device, DeviceReport

_GIB = 1024**3
_BAR_CELLS = 10
# Below this many columns the bar and the compute capability give way to the name.
_WIDE = 96
# Memory that is almost full, and half full, in the colours of gpustat and nvitop.
_FULL, _HALF = 0.9, 0.5
_UNKNOWN = "-"


class DeviceTable:
    """The devices of a report, and beneath them the processes that hold their memory."""

    def __init__(self, report: DeviceReport) -> None:
        self.report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        report = self.report
        yield _headline(report)
        yield _devices(report, wide=options.max_width >= _WIDE, ascii_only=options.ascii_only)
        if any(device.processes for device in report.devices):
            yield ""
            yield _processes(report)
        remarks = list(_remarks(report))
        if remarks:
            yield Group("", *remarks)


def _headline(report: DeviceReport) -> Text:
    parts = [f"Driver {report.driver or _UNKNOWN}", f"CUDA {report.cuda or _UNKNOWN}"]
    return Text("  ".join(parts), style="bold")


def _devices(report: DeviceReport, *, wide: bool, ascii_only: bool) -> Table:
    table = _table()
    table.add_column("GPU", style="cyan", no_wrap=True)
    table.add_column("Name", overflow="fold")
    if wide:
        table.add_column("Compute", justify="right", no_wrap=True)
        table.add_column("Memory", no_wrap=True)
    table.add_column("Used" if wide else "Memory used", justify="right", no_wrap=True)
    table.add_column("Free", justify="right", no_wrap=True)
    table.add_column("Util", justify="right", no_wrap=True)
    for device in report.devices:
        cells: list[RenderableType] = [device.label, _name(report, device)]
        if wide:
            cells += [device.compute_capability or _UNKNOWN, _bar(device, ascii_only=ascii_only)]
        cells += [_used(device), _free(device), _percent(device.utilization)]
        table.add_row(*cells, style="dim" if device.is_mig_parent else None)
    return table


def _processes(report: DeviceReport) -> Table:
    table = _table()
    table.add_column("GPU", style="cyan", no_wrap=True)
    table.add_column("PID", justify="right", no_wrap=True)
    table.add_column("Process", overflow="fold")
    table.add_column("Memory", justify="right", no_wrap=True)
    for device in report.devices:
        for process in sorted(device.processes, key=lambda process: -(process.used_bytes or 0)):
            used = _UNKNOWN if process.used_bytes is None else size(process.used_bytes)
            # As Text: a process names itself, and may do so in markup.
            table.add_row(device.label, str(process.pid), Text(process.name or _UNKNOWN), used)
    return table


def _remarks(report: DeviceReport) -> Iterator[Text]:
    for device in report.devices:
        if device.is_mig_parent:
            yield _remark(f"GPU {device.label} is split into MIG instances: only these can be used.")
        if device.memory_kind == "unified":
            yield _remark(
                f"GPU {device.label} shares the machine's memory (unified): free is what the system has available."
            )
    if report.hidden:
        labels = ", ".join(device.label for device in report.hidden)
        yield _remark(f"Hidden by CUDA_VISIBLE_DEVICES: GPU {labels}.")


def _remark(text: str) -> Text:
    return Text(text, style="dim")


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def _name(report: DeviceReport, device: Device) -> Text:
    """The product without the maker, which is always the same; a MIG instance without its GPU's name too."""
    name = device.name
    if device.mig and device.mig.parent:
        parents = [parent.name for parent in report.devices if parent.uuid == device.mig.parent]
        name = name.removeprefix(parents[0]).strip() if parents else name
        name = f"  {name}" if parents else name
    return Text(name.removeprefix("NVIDIA "))


def _used(device: Device) -> str:
    if device.used_bytes is None or device.total_bytes is None:
        return _UNKNOWN
    return f"{device.used_bytes / _GIB:.1f} / {device.total_bytes / _GIB:.1f} GiB"


def _free(device: Device) -> Text:
    if device.is_mig_parent:
        return Text(_UNKNOWN)
    return Text(_UNKNOWN) if device.free_bytes is None else Text(size(device.free_bytes), style=_colour(device))


def _percent(value: int | None) -> str:
    return _UNKNOWN if value is None else f"{value} %"


def _bar(device: Device, *, ascii_only: bool) -> Text:
    if device.total_bytes is None or device.free_bytes is None or device.is_mig_parent:
        return Text("")
    filled = round(_share(device) * _BAR_CELLS)
    full, empty = ("#", ".") if ascii_only else ("█", "░")
    return Text.assemble((full * filled, _colour(device)), (empty * (_BAR_CELLS - filled), "dim"))


def _colour(device: Device) -> str:
    share = _share(device)
    return "red" if share >= _FULL else "yellow" if share >= _HALF else "green"


def _share(device: Device) -> float:
    """The part of the memory that a new process cannot have."""
    if not device.total_bytes or device.free_bytes is None:
        return 0.0
    return 1 - device.free_bytes / device.total_bytes
