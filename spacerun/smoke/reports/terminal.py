"""What came of a run, for people: on a terminal, in a pipe and in the log of a CI service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spacerun.smoke.reports import words
from spacerun.smoke.reports.baseline import describe
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.text import Text

    from spacerun.smoke.reports.baseline import Comparison
    from spacerun.smoke.result import Check, Report, Result, Status

_STYLES: Final[dict[Status, str]] = {
    "passed": "green",
    "partial": "yellow",
    "failed": "red",
    "network": "magenta",
    "not_run": "dim",
}
_WORDS: Final[dict[Status, str]] = {
    "passed": "passed",
    "partial": "partial",
    "failed": "failed",
    "network": "network",
    "not_run": "not run",
}
# For an output that has no other characters.
_ASCII: Final = str.maketrans({"✓": "+", "◐": "~", "✗": "x", "↯": "!", "—": "-", "→": ">", "│": "|", "…": "."})
_HEADINGS: Final = ("Result", "Space", "SDK", "Proven to", "Seconds")
_GAP: Final = "  "
_NARROWEST_NAME: Final = 20
_TAIL_LINES: Final = 8
_BLOCKS: Final = 25  # failed Spaces that are told at length; the other reports have all
_DETAIL: Final = 300
_WIDEST_STEP: Final = 30
_GOOD: Final = ("✓", "green")
_BAD: Final = ("✗", "red bold")


def table(report: Report, baseline: Comparison | None = None) -> RenderableType:
    """What came of a run: a table, what is wrong with those that failed, and a line of totals.

    Of one Space alone its stages and checks are told instead of a table. What a Space says is made printable, and its
    log stands behind a bar: at the beginning of a line it could be a command to the runner of a CI service.

    Args:
        report: What came of it.
        baseline: What differs from an earlier run.
    """
    return _Told(report, baseline)


def line(result: Result) -> Text:
    """How one Space did, as a line, for a run that goes on."""
    from rich.text import Text

    style, reason = _STYLES[result.status], words.reason(result, _DETAIL)
    return Text.assemble(
        (f"{words.SIGNS[result.status]} ", style),
        (words.name(result), "bold"),
        (f" {words.verdict(result)}", style),
        (_in(result.seconds, result), "dim"),
        f": {reason}" if reason else "",
    )


@dataclass(frozen=True)
class _Pen:
    """Writes lines that fit the output, in the characters that it can show, without blanks at their ends."""

    console: Console
    options: ConsoleOptions

    @property
    def width(self) -> int:
        return self.options.max_width

    def text(self, *parts: str | tuple[str, str]) -> Text:
        from rich.text import Text

        text = Text.assemble(*parts)
        if self.options.ascii_only:
            text.plain = text.plain.translate(_ASCII).encode("ascii", "replace").decode()
        return text

    def line(self, *parts: str | tuple[str, str]) -> Text:
        """What has no room is cut off."""
        text = self.text(*parts)
        text.no_wrap, text.overflow = True, "crop" if self.options.ascii_only else "ellipsis"
        return text

    def hanging(self, beginning: Text, *parts: str | tuple[str, str]) -> Iterator[Text]:
        """What has no room beside `beginning` goes on below, where it began."""
        indentation = beginning.cell_len
        wrapped = self.text(*parts).wrap(self.console, max(self.width - indentation, _NARROWEST_NAME))
        for number, line in enumerate(wrapped):
            whole = beginning + line if number == 0 else self.text(" " * indentation) + line
            whole.rstrip()
            yield whole

    def indented(self, *parts: str | tuple[str, str]) -> Iterator[Text]:
        """What has no room goes on below, indented as well."""
        return self.hanging(self.text("  "), *parts)


@dataclass(frozen=True)
class _Told:
    """A report for `rich`, which knows the width and the characters of the output only when it is shown."""

    report: Report
    baseline: Comparison | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        pen, results = _Pen(console, options), self.report.results
        if len(results) == 1:
            yield from _steps(results[0], pen)
        elif results:
            yield from _rows(results, pen)
        failed = [result for result in results if result.status == "failed"]
        for result in failed[:_BLOCKS]:
            yield ""
            yield from _block(result, pen)
        if len(failed) > _BLOCKS:
            yield ""
            yield from pen.hanging(pen.text(), f"{len(failed) - _BLOCKS} more failed: they are in the table above.")
        if self.baseline:
            yield ""
            yield from _changes(self.baseline, pen)
        if results:
            yield ""
        yield from _ending(self.report, pen)


def _rows(results: tuple[Result, ...], pen: _Pen) -> Iterator[Text]:
    """A row for each Space, and under it, with all the width there is, why it did no better."""
    from rich.cells import cell_len

    rows = [_cells(result) for result in results]
    widths = [max(cell_len(row[column]) for row in (_HEADINGS, *rows)) for column in range(len(_HEADINGS))]
    others = sum(widths) - widths[1] + len(_GAP) * (len(widths) - 1)
    widths[1] = max(_NARROWEST_NAME, min(widths[1], pen.width - others))
    yield pen.line((_row(_HEADINGS, widths), "bold"))
    for result, row in zip(results, rows, strict=True):
        told, style = _row(row, widths), _STYLES[result.status]
        yield pen.line((told[: widths[0]], style), told[widths[0] :])
        why = _why(result)
        if result.status == "failed":  # more is told below
            yield pen.line("  ", (why, style))
        elif why:
            yield from pen.indented((why, "dim"))


def _cells(result: Result) -> tuple[str, ...]:
    status = f"{words.SIGNS[result.status]} {_WORDS[result.status]}"
    return status, words.name(result), words.sdk(result), words.proven(result), f"{result.seconds:.1f}"


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    from rich.cells import set_cell_size

    status, space, sdk, proven, seconds = cells
    texts = (status, _shortened(space, widths[1]), sdk, proven)
    padded = [set_cell_size(text, width) for text, width in zip(texts, widths, strict=False)]
    return _GAP.join([*padded, f"{seconds:>{widths[-1]}}"])


def _shortened(space: str, width: int) -> str:
    """Cut in the middle: those of one owner differ at the end, and so do folders."""
    if len(space) <= width:
        return space
    end = (width - 1) // 2
    return f"{space[: width - 1 - end]}…{space[-end:]}"


def _why(result: Result) -> str:
    reason = words.reason(result)
    if result.status == "partial":
        return f"{words.verdict(result)}: {reason}"
    return f"at {one_line(result.stage, 40)}: {reason}" if result.stage and reason else reason


def _steps(result: Result, pen: _Pen) -> Iterator[Text]:
    """What was looked at of one Space, and the stage that failed; its other stages were told as they went by."""
    failed = [(_BAD, result.stage, "")] if result.stage and result.status in {"failed", "network"} else []
    rows = [*((_check_sign(check), check.name, _detail(check)) for check in result.checks), *failed]
    width = min(max((len(one_line(name)) for _, name, _ in rows), default=0), _WIDEST_STEP)
    for sign, title, told in rows:
        beginning = pen.text(sign, " ", (f"{one_line(title, _WIDEST_STEP):<{width}}", "bold"), _GAP)
        yield from pen.hanging(beginning, told)


def _check_sign(check: Check) -> tuple[str, str]:
    if check.skipped:
        return "—", "dim"
    return _GOOD if check.ok else _BAD


def _detail(check: Check) -> str:
    detail = one_line(check.detail, _DETAIL)
    return f"skipped: {detail}" if check.skipped else detail


def _block(result: Result, pen: _Pen) -> Iterator[Text]:
    """What is wrong with a Space, what helps, and the end of its log."""
    yield from pen.hanging(pen.text(("✗ ", "red bold")), (f"{words.name(result)} {words.verdict(result)}", "bold"))
    yield from pen.indented(words.reason(result))
    for check in words.failed_checks(result):
        told = f"{check.name}: {check.detail}"
        if not result.message.startswith(told):  # the message begins with the first of them
            yield from pen.hanging(pen.text("  ", ("✗ ", "red")), one_line(told, _DETAIL))
    for known in result.diagnosis:
        yield from pen.indented(one_line(f"{known.get('cause', '')}: {known.get('remedy', '')}", _DETAIL))
    for line in words.hint(result):
        yield from pen.hanging(pen.text("  ", ("→ ", "cyan")), line)
    for line in words.lines(result.tail, _TAIL_LINES):
        yield pen.line(("  │ ", "dim"), (line, "dim"))
    if result.log:
        yield from pen.hanging(pen.text("  ", ("log: ", "dim")), one_line(result.log, 1000))


def _changes(baseline: Comparison, pen: _Pen) -> Iterator[Text]:
    for heading, entries in describe(baseline):
        if len(entries) == 1:
            yield from pen.hanging(pen.text((f"{heading}: ", "bold")), entries[0])
        else:
            yield pen.text((f"{heading}:", "bold"))
            for entry in entries:
                yield from pen.indented(entry)


def _in(seconds: float, result: Result) -> str:
    return f", in {words.took(seconds)}" if result.status != "not_run" else ""


def _ending(report: Report, pen: _Pen) -> Iterator[Text]:
    """The totals; of one Space alone, how it did."""
    if len(report.results) != 1:
        yield from pen.hanging(pen.text(), (words.totals(report), "green bold" if report.ok else "red bold"))
        return
    result = report.results[0]
    style = f"{_STYLES[result.status]} bold"
    level = f", proven to {words.proven(result)}" if result.status in {"passed", "failed"} and result.proven else ""
    told = f"{words.name(result)} {words.verdict(result)}{level}{_in(report.seconds, result)}"
    yield from pen.hanging(pen.text((f"{words.SIGNS[result.status]} ", style)), (told, style))
    if result.status != "failed" and (reason := words.reason(result)):  # of one that failed it is told above
        yield from pen.indented(reason)
