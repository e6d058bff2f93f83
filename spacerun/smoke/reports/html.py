"""What came of a run as one page: nothing is loaded and nothing runs, so that it can be kept, mailed and published."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun.paths import write_atomic
from spacerun.smoke.reports import words
from spacerun.smoke.reports.baseline import describe
from spacerun.smoke.reports.markup import badge, bullets, escaped
from spacerun.smoke.reports.sections import Pictures, section
from spacerun.smoke.reports.times import picture

if TYPE_CHECKING:
    from spacerun.smoke.reports.baseline import Comparison
    from spacerun.smoke.result import Report, Result, Status

_STYLE: Final = Path(__file__).with_name("page.css")
_ORDER: Final[tuple[Status, ...]] = ("failed", "network", "not_run", "partial", "passed")
_OPEN: Final = 10  # sections that are open at first, if no more have failed


def write_html(report: Report, folder: Path, baseline: Comparison | None = None) -> Path:
    """Write a report as `index.html`, with the screenshots in it, but for those that are too large.

    Args:
        report: What came of it.
        folder: Where to; it is made if needed.
        baseline: What differs from an earlier run.

    Returns:
        The page.

    Raises:
        OSError: It cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "index.html"
    write_atomic(page, _document(report, folder, baseline).encode("utf-8", "replace"))
    return page


def _document(report: Report, folder: Path, baseline: Comparison | None) -> str:
    # Those with which something is wrong come first.
    results = sorted(enumerate(report.results), key=lambda entry: _ORDER.index(entry[1].status))
    style = _STYLE.read_text(encoding="utf-8")
    parts = [_header(report, has_changes=baseline is not None), _changes(baseline) if baseline else ""]
    if results:
        parts += [_table(results), f'<h2 id="durations">Durations</h2>{picture(results)}', _sections(results, folder)]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">{_policy(style)}'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<title>{escaped(_headline(report))} · spacerun smoke-test</title><style>{style}</style></head>\n"
        f"<body>{chr(10).join(parts)}\n{_footer()}</body></html>\n"
    )


def _policy(style: str) -> str:
    """Forbids all but this style sheet and pictures: should a text ever get past its escaping, it stays dead."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    rules = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
    )
    return f'<meta http-equiv="Content-Security-Policy" content="{rules}">'


def _headline(report: Report) -> str:
    count = len(report.results)
    if count == 1:
        return f"{words.name(report.results[0])} {words.verdict(report.results[0])}"
    spaces = f"{count} Spaces"
    if failed := report.count("failed"):
        return f"{failed} of {spaces} failed"
    if report.interrupted or report.count("not_run"):
        return f"{count - report.count('not_run')} of {spaces} tested"
    if network := report.count("network"):
        return f"{network} of {spaces} met a network fault"
    if partial := report.count("partial"):
        return f"No fault in {spaces}; {partial} not tested all the way"
    return f"All {spaces} passed" if count else "No Space was tested"


def _header(report: Report, *, has_changes: bool) -> str:
    shares = {status: report.count(status) for status in reversed(_ORDER) if report.count(status)}
    rectangles, begin = [], 0.0
    for status, count in shares.items():
        width = 100 * count / len(report.results)
        rectangles.append(f'<rect class="{status}" x="{begin:.4g}%" width="{width:.4g}%" height="100%"/>')
        begin += width
    bar = f'<svg class="proportion" aria-hidden="true">{"".join(rectangles)}</svg>' if rectangles else ""
    places = {"changes": "Since the earlier run"} if has_changes else {}
    places |= {"spaces": "Spaces", "durations": "Durations", "each": "Each Space"} if report.results else {}
    links = "".join(f'<li><a href="#{place}">{title}</a></li>' for place, title in places.items())
    return (
        f'<header><p class="tool">spacerun smoke-test</p><h1>{escaped(_headline(report))}</h1>{bar}'
        f"<p>{escaped(words.totals(report))}"
        f'<span class="quiet"> · began {escaped(words.began(report.started_at))} UTC</span></p></header>'
        f'<nav aria-label="On this page"><ul>{links}</ul></nav>'
    )


def _changes(baseline: Comparison) -> str:
    told = "".join(
        f"<div><h4>{escaped(heading)}</h4>{bullets(entries)}</div>" for heading, entries in describe(baseline)
    )
    return f'<h2 id="changes">Since the earlier run</h2><div class="card changes">{told}</div>'


def _table(results: list[tuple[int, Result]]) -> str:
    """All Spaces. The roles are said, for the style sheet lays the rows out otherwise where there is little room."""
    rows = "".join(_row(number, result) for number, result in results)
    classes = {"Result": "", "Space": "", "SDK": "wide", "Proven to": "wide", "Time": "number"}
    headings = "".join(
        f'<th role="columnheader" scope="col" class="{kind}">{title}</th>' for title, kind in classes.items()
    )
    return (
        '<h2 id="spaces">Spaces</h2><div class="card"><table role="table" class="spaces" aria-labelledby="spaces">'
        f'<thead role="rowgroup"><tr role="row">{headings}</tr></thead>'
        f'<tbody role="rowgroup">{rows}</tbody></table></div>'
    )


def _row(number: int, result: Result) -> str:
    reason = words.reason(result)
    why = f'<p class="why">{escaped(reason)}</p>' if reason else ""
    took = words.took(result.seconds) if result.status != "not_run" else words.NOTHING
    cells = (("wide", escaped(words.sdk(result))), ("wide", escaped(words.proven(result))), ("number", took))
    return (
        f'<tr role="row" class="{result.status}"><td role="cell">{badge(result)}</td><th role="rowheader" scope="row">'
        f'<a class="name" href="#s-{number}">{escaped(words.name(result))}</a>{why}</th>'
        + "".join(f'<td role="cell" class="{kind}">{told}</td>' for kind, told in cells)
        + "</tr>"
    )


def _sections(results: list[tuple[int, Result]], folder: Path) -> str:
    pictures = Pictures(folder)
    opens = sum(result.status == "failed" for _, result in results) <= _OPEN
    told = (
        section(number, result, pictures, is_open=len(results) == 1 or (opens and result.status == "failed"))
        for number, result in results
    )
    return '<h2 id="each">Each Space</h2>' + "\n".join(told)


def _footer() -> str:
    from spacerun import __version__

    return f"<footer>Written by spacerun {escaped(__version__)}.</footer>"
