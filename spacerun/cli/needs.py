"""How what a Space loads and needs is shown to people."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

from spacerun.needs.access import Access
from spacerun.text import one_line, size

if TYPE_CHECKING:
    from rich.table import Table

    from spacerun.needs.models import ModelNeed
    from spacerun.planning import Needed
    from spacerun.stages import Located

_MOST: Final = 40
_SHOWN: Final = 6
_ACCESS: Final = {
    Access.PUBLIC: ("public", "green"),
    Access.GATED: ("gated", "yellow"),
    Access.MISSING: ("missing or private", "red"),
    Access.UNKNOWN: ("unknown", "dim"),
}
_HABITS: Final = {
    "data": "Hub's folders",
    "download": "Downloads by itself",
    "install": "Installs while it runs",
    "port": "Port in the code",
    "oauth": "Hugging Face login",
    "zero-gpu": "Made for ZeroGPU",
    "submodule": "Submodule",
    "shell": "Warning: runs in a shell what a visitor types",
}


def need_rows(located: Located) -> dict[str, str]:
    """What the code needs beside models, by what it is called."""
    needs = located.needs
    rows = {}
    if needs.gpu_uses:
        first, *others = needs.gpu_uses
        more = f", and {len(others)} more" if others else ""
        rows["Needs a GPU"] = f"yes: {first.what} ({first.place}){more}"
    variables = [
        f"{row.name} ({row.places[0]}{', required' if row.required else ''})"
        for row in needs.variables
        if row.secret or row.required
    ]
    if variables:
        rows["Secrets"] = ", ".join(variables)
    for kind, habits in groupby(sorted(needs.habits, key=lambda habit: habit.kind), key=lambda habit: habit.kind):
        shown = [f"{one_line(habit.text, 80)} ({habit.place})" for habit in habits]
        left = [f"and {len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []
        rows[_HABITS[kind]] = "\n".join([*shown[:_SHOWN], *left])
    if needs.sizes:
        rows["Sizes"] = ", ".join(f"{name} up to {value}" for name, value in needs.sizes.items())
    unknown = [load.place for load in needs.loads if load.id is None]
    if unknown:
        rows["Models unknown"] = f"only running tells what is loaded at {', '.join(unknown[:_SHOWN])}"
    return rows


def model_rows(needed: Needed) -> Table:
    """The models as a table: what, how, who may read it, where the code says so."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Model", "As", "Download", "Access", "Named in"):
        table.add_column(column, overflow="fold")
    models = needed.located.models
    for need in models[:_MOST]:
        access, style = _ACCESS[need.access] if need.on_hub else (need.load.kind if need.load else "", "dim")
        if need.on_hub and need.found and need.found.readable and need.access is not Access.PUBLIC:
            access += ", yours may read it"
        table.add_row(
            Text(one_line(need.id, 120)), Text(_how(need), style="dim"), _download(need), Text(access, style=style),
            Text(one_line(", ".join(need.sources), 120), style="dim"),
        )  # fmt: skip
        others = needed.suggestions.get(need.replaces or need.id)
        if others:
            replacement = f"--replace-model {need.replaces or need.id}={others[0]}"
            table.add_row(Text(one_line(f"try {replacement}", 200), style="cyan"))
    if len(models) > _MOST:
        table.add_row(Text(f"and {len(models) - _MOST} more", style="dim"))
    return table


def _download(need: ModelNeed) -> str:
    return "" if need.download_bytes is None else size(need.download_bytes)


def _how(need: ModelNeed) -> str:
    load = need.load
    if load is None:
        return "not seen in the code"
    if load.role == "remote":
        return "runs elsewhere"
    parts = [
        f"in place of {need.replaces}" if need.replaces else "",
        "adapter" if load.role == "adapter" else "",
        "" if load.precision.dtype in {"default", "unknown"} else load.precision.dtype,
        load.precision.method or "",
        load.file or load.subfolder or "",
        f"{load.offload} offload" if load.offload else load.device or "",
        "one of several" if load.choice else "",
    ]
    return one_line(", ".join(filter(None, parts)), 100)
