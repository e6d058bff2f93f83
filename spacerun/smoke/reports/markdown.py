"""What came of a run as Markdown, for the summary of a GitHub job."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from spacerun.smoke.reports import words
from spacerun.smoke.reports.baseline import describe
from spacerun.text import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.smoke.reports.baseline import Comparison
    from spacerun.smoke.result import Report, Result

_SIGNS: Final = {"passed": "✅", "partial": "◐", "failed": "❌", "network": "⚡", "not_run": "—"}
_TAIL_LINES: Final = 30
_DETAIL: Final = 500
# All that Markdown may read as more than itself; and what GitHub makes links of: `@name`, `#1`, `https:`, `www.`.
_PUNCTUATION: Final = re.compile(r"[\\`*_\[\]()#.!|~^$@:&<>]")
_CUT: Final = "\n\n> More was left out: GitHub shows no more than 1 MiB. The HTML report has all of it.\n"


def summary(report: Report, baseline: Comparison | None, limit: int) -> str:
    """A report as Markdown of at most `limit` bytes in UTF-8: what has no room is left out, and that is said.

    The totals come first, then what differs from an earlier run, a table, and of each Space that failed the end of
    its log, folded. No text of a Space is more than text there: no link, picture, mention, HTML or cell of a table.
    """
    room = limit - len(_CUT.encode())
    pieces: list[str] = []
    for piece in _pieces(report, baseline):
        room -= len(piece.encode())
        if room < 0:
            return "".join([*pieces, _CUT]) if limit > len(_CUT.encode()) else ""
        pieces.append(piece)
    return "".join(pieces)


def text(told: str, limit: int = _DETAIL) -> str:
    """A stranger's text as one line of Markdown that is shown as it is."""
    return _quoted(one_line(told, limit))


def _pieces(report: Report, baseline: Comparison | None) -> Iterator[str]:
    """The parts, none of which leaves the Markdown before it open."""
    yield f"### Smoke test: {text(words.totals(report))}\n\n"
    if baseline:
        for heading, entries in describe(baseline):
            yield f"- **{text(heading)}**: {', '.join(text(entry) for entry in entries)}\n"
        yield "\n"
    if report.results:
        yield "| Result | Space | SDK | Proven to | Seconds | |\n| --- | --- | --- | --- | ---: | --- |\n"
    for result in report.results:
        yield _row(result)
    yield "\n"
    for result in report.results:
        if result.status in {"failed", "network"}:
            yield _details(result)


def _row(result: Result) -> str:
    cells = (
        f"{_SIGNS[result.status]} {text(words.verdict(result))}",
        text(words.name(result)),
        text(words.sdk(result)),
        text(words.proven(result)),
        f"{result.seconds:.1f}",
        text(words.reason(result)),
    )
    return "| " + " | ".join(cells) + " |\n"


def _details(result: Result) -> str:
    """One block of HTML without an empty line, in which Markdown would begin anew."""
    told = [words.reason(result), *(f"✗ {check.name}: {check.detail}" for check in words.failed_checks(result))]
    told += [f"{known.get('cause', '')}: {known.get('remedy', '')}" for known in result.diagnosis]
    lines = [one_line(line, _DETAIL) for line in told] + [f"→ {line}" for line in words.hint(result)]
    parts = "<br>".join(_quoted(line) for line in lines if line)
    tail = "\n".join(_quoted(line) or "&#32;" for line in words.lines(result.tail, _TAIL_LINES))
    log = f"<pre>{tail}</pre>" if tail else ""
    heading = f"{words.name(result)} {words.verdict(result)}"
    return f"<details><summary>{_quoted(heading)}</summary><p>{parts}</p>{log}</details>\n\n"


def _quoted(told: str) -> str:
    """Text in which neither Markdown nor GitHub finds more than text, be it among Markdown or among HTML."""
    return _PUNCTUATION.sub(_reference, printable(told))


def _reference(found: re.Match[str]) -> str:
    # A numeric reference is never markup (CommonMark, "Entity and numeric character references"). But cmark-gfm looks
    # for addresses after it has read those (`autolink.c`, `postprocess_text`), in texts that no tag interrupts.
    return f"&#{ord(found[0])};" + ("<!-- -->" if found[0] == "@" else "")
