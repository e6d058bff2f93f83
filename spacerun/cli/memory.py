"""How memory estimates and measurements are shown to people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spacerun.stages.fitting import ranged, told
from spacerun.text import one_line, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType
    from rich.table import Table

    from spacerun.checking import Answer
    from spacerun.memory.estimate import Estimate
    from spacerun.memory.ledger import Entry

_CONFIDENCE = {
    "given": "as given",
    "measured": "measured here before",
    "high": "every weight was read, and how it is loaded",
    "medium": "which of several is loaded is chosen while it runs",
    "low": "a part of it is assumed",
    "none": "nothing is known",
}
_FORMS = {"auto": "as stored", "default": "its library's default"}


def answer_rows(answer: Answer) -> Iterator[RenderableType]:
    """What was found out, line by line."""
    from rich.text import Text

    estimate = answer.fit.estimate
    known = [row for row in answer.models if row["weights_bytes"]]
    if known:
        yield _models(known)
        yield ""
    if estimate.terms:
        yield Text(f"GPU memory: {ranged(estimate.bytes)}, {_CONFIDENCE[estimate.confidence]}")
    if answer.measured:
        yield Text(f"Measured {size(answer.measured.peak_bytes)} here on {answer.measured.measured_at[:10]}")
    if estimate.host.expected:
        yield Text(f"Main memory: {ranged(estimate.host)} of weights")
    for line in (*estimate.unknown, *estimate.notes, *answer.hints):
        yield Text(one_line(line, 300), style="dim")
    if answer.error is None:
        yield Text(told(answer.fit), style="bold")


def terms_lines(estimate: Estimate) -> Iterator[RenderableType]:
    """Every summand with its formula and source."""
    from rich.padding import Padding
    from rich.text import Text

    for term in estimate.terms:
        name = f"{term.kind}{', ' + term.of if term.of else ''}"
        yield Text.assemble((one_line(name, 100), "bold"), f"  {ranged(term.bytes)}")
        yield Padding(Text.assemble(one_line(term.formula, 400), (f"\n{term.source}", "dim")), (0, 0, 0, 4))
    yield Text.assemble(("together", "bold"), f"  {ranged(estimate.bytes)}")
    yield ""


def ledger_table(entries: Sequence[Entry]) -> Table:
    """What was measured beside what had been estimated."""
    from rich.text import Text

    table = _table("Measured", "Space", "GPU", "Took", "Estimated", "Off by", right=(3, 4, 5))
    for entry in entries:
        within = entry.low_bytes <= entry.peak_bytes <= entry.high_bytes
        table.add_row(
            entry.measured_at[:16].replace("T", " "),
            Text(one_line(entry.space, 60)),
            Text(one_line(entry.device, 40)),
            size(entry.peak_bytes),
            size(entry.expected_bytes),
            Text(f"{entry.error:+.0%}", style="green" if within else "yellow"),
        )
    return table


def _models(rows: Sequence[dict[str, Any]]) -> Table:
    from rich.text import Text

    table = _table("Model", "As", "Weights", right=(2,))
    for row in rows:
        form = row.get("quantization") or row["dtype"]
        told = _FORMS.get(form, str(form))
        table.add_row(Text(one_line(row["id"], 80)), Text(one_line(told, 40)), size(row["weights_bytes"]))
    return table


def _table(*columns: str, right: tuple[int, ...] = ()) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position in right else "left", overflow="fold")
    return table
