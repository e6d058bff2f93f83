"""The GPUs for people: a table that fits the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from spacerun.text import size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from spacerun.gpu.devices import Device, DeviceReport, GpuProcess

_GIB = 1024**3
_BAR_CELLS = 10
# From so many columns there is room for the bar and the compute capability; below so many, for no table at all.
_WIDE, _NARROW = 110, 76
# Memory that is almost full, and half full, in the colours of gpustat and nvitop.
_FULL, _HALF = 0.9, 0.5
_LONGEST_USER = 16


@dataclass(frozen=True)
class _Signs:
    """What stands for what, in the characters that the output can show."""

    ascii_only: bool

    @property
    def unknown(self) -> str:
        return "-" if self.ascii_only else "—"

    @property
    def celsius(self) -> str:
        return "C" if self.ascii_only else "°C"

    @property
    def bar(self) -> tuple[str, str]:
        return ("#", ".") if self.ascii_only else ("█", "░")

    def text(self, words: str, style: str = "") -> Text:
        """Words of a stranger. As Text: a name may be markup."""
        return Text(words.encode("ascii", "replace").decode() if self.ascii_only else words, style=style)

    def line(self, words: str) -> Text:
        """Likewise, on one line: what has no room is cut off."""
        text = self.text(words)
        text.no_wrap, text.overflow = True, "crop" if self.ascii_only else "ellipsis"
        return text


class DeviceTable:
    """The devices of a report, beneath them the processes that hold their memory, and what else there is to know.

    Laid out as gpustat does: index, name, temperature, utilization, power, memory. Fits any console from 40 columns.
    """

    def __init__(self, report: DeviceReport) -> None:
        self.report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        report, signs = self.report, _Signs(options.ascii_only)
        is_narrow = options.max_width < _NARROW
        yield _headline(report, signs)
        yield _list(report, signs) if is_narrow else _devices(report, signs, is_wide=options.max_width >= _WIDE)
        if any(device.processes for device in report.devices):
            yield ""
            yield _process_list(report, signs) if is_narrow else _processes(report, signs)
        remarks = [Text(remark, style="dim") for remark in _remarks(report)]
        if remarks:
            yield Group("", *remarks)


def _headline(report: DeviceReport, signs: _Signs) -> Text:
    return signs.text(f"Driver {report.driver or signs.unknown}  CUDA {report.cuda or signs.unknown}", style="bold")


def _devices(report: DeviceReport, signs: _Signs, *, is_wide: bool) -> Table:
    table = _table()
    table.add_column("GPU", style="cyan", no_wrap=True)
    table.add_column("Name", overflow="fold")
    for name in ("Temp", "Util", "Power"):
        table.add_column(name, justify="right", no_wrap=True)
    if is_wide:
        table.add_column("Compute", justify="right", no_wrap=True)
        table.add_column("Memory", no_wrap=True)
    table.add_column("Used" if is_wide else "Memory used", justify="right", no_wrap=True)
    table.add_column("Free", justify="right", no_wrap=True)
    for device in report.devices:
        known = [_temperature(device, signs), _utilization(device), _power(device, signs)]
        cells: list[RenderableType] = [device.label, _name(report, device, signs), *(k or signs.unknown for k in known)]
        if is_wide:
            cells += [device.compute_capability or signs.unknown, _bar(device, signs)]
        cells += [_used(device) or signs.unknown, _free(device) or signs.unknown]
        table.add_row(*cells, style="dim" if device.is_mig_parent else None)
    return table


def _list(report: DeviceReport, signs: _Signs) -> Table:
    """The devices one below the other, without what is not known of them."""
    grid = _grid()
    for device in report.devices:
        readings = filter(None, (_temperature(device, signs), _utilization(device), _power(device, signs)))
        free = _free(device)
        memory = Text("  ").join(filter(None, (Text(_used(device)), free and free + Text(" free"))))
        lines = filter(None, (_name(report, device, signs), Text("  ".join(readings)), memory))
        grid.add_row(device.label, Text("\n").join(lines), style="dim" if device.is_mig_parent else None)
    return grid


def _processes(report: DeviceReport, signs: _Signs) -> Table:
    table = _table()
    table.add_column("GPU", style="cyan", no_wrap=True)
    table.add_column("PID", justify="right", no_wrap=True)
    table.add_column("User", no_wrap=True, max_width=_LONGEST_USER)
    table.add_column("Memory", justify="right", no_wrap=True)
    table.add_column("Command")
    for label, process in _by_memory(report):
        user = signs.line(process.user or signs.unknown)
        table.add_row(label, str(process.pid), user, _held(process, signs), signs.line(_command(process, signs)))
    return table


def _process_list(report: DeviceReport, signs: _Signs) -> Table:
    """The processes on two lines each."""
    grid = _grid()
    grid.add_row("", Text("Processes", style="bold"))
    for label, process in _by_memory(report):
        who = signs.line(f"{process.pid}  {_held(process, signs)}  {process.user or signs.unknown}")
        grid.add_row(label, Group(who, signs.line(_command(process, signs))))
    return grid


def _by_memory(report: DeviceReport) -> Iterator[tuple[str, GpuProcess]]:
    for device in report.devices:
        for process in sorted(device.processes, key=lambda process: -(process.used_bytes or 0)):
            yield device.label, process


def _remarks(report: DeviceReport) -> Iterator[str]:
    for device in report.devices:
        if device.is_mig_parent:
            yield f"GPU {device.label} is split into MIG instances: only these can be used."
        if device.memory_kind == "unified":
            yield f"GPU {device.label} shares the machine's memory (unified): free is what the system has available."
    if report.hidden:
        yield f"Hidden by CUDA_VISIBLE_DEVICES: GPU {', '.join(device.label for device in report.hidden)}."
    yield from report.notes


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="cyan", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _name(report: DeviceReport, device: Device, signs: _Signs) -> Text:
    """The product without the maker, which is always the same; a MIG instance without its GPU's name too."""
    name = device.name
    if device.mig and device.mig.parent:
        parents = [parent.name for parent in report.devices if parent.uuid == device.mig.parent]
        name = name.removeprefix(parents[0]).strip() if parents else name
        name = f"  {name}" if parents else name
    return signs.text(name.removeprefix("NVIDIA "))


def _temperature(device: Device, signs: _Signs) -> str:
    return "" if device.temperature is None else f"{device.temperature} {signs.celsius}"


def _utilization(device: Device) -> str:
    return "" if device.utilization is None else f"{device.utilization} %"


def _power(device: Device, signs: _Signs) -> str:
    if device.power_watts is None and device.power_limit_watts is None:
        return ""
    drawn = signs.unknown if device.power_watts is None else f"{device.power_watts:.0f}"
    return f"{drawn} W" if device.power_limit_watts is None else f"{drawn} / {device.power_limit_watts:.0f} W"


def _used(device: Device) -> str:
    if device.used_bytes is None or device.total_bytes is None:
        return ""
    return f"{device.used_bytes / _GIB:.1f} / {device.total_bytes / _GIB:.1f} GiB"


def _free(device: Device) -> Text | None:
    if device.is_mig_parent or device.free_bytes is None:
        return None
    return Text(size(device.free_bytes), style=_colour(device))


def _held(process: GpuProcess, signs: _Signs) -> str:
    return signs.unknown if process.used_bytes is None else size(process.used_bytes)


def _command(process: GpuProcess, signs: _Signs) -> str:
    return process.command or process.name or signs.unknown


def _bar(device: Device, signs: _Signs) -> Text:
    if device.total_bytes is None or device.free_bytes is None or device.is_mig_parent:
        return Text("")
    filled = round(_share(device) * _BAR_CELLS)
    full, empty = signs.bar
    return Text.assemble((full * filled, _colour(device)), (empty * (_BAR_CELLS - filled), "dim"))


def _colour(device: Device) -> str:
    share = _share(device)
    return "red" if share >= _FULL else "yellow" if share >= _HALF else "green"


def _share(device: Device) -> float:
    """The part of the memory that a new process cannot have."""
    if not device.total_bytes or device.free_bytes is None:
        return 0.0
    return 1 - device.free_bytes / device.total_bytes
