"""What is known of one Space, as a section of the page."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun.smoke.reports import words
from spacerun.smoke.reports.markup import badge, block, bullets, escaped
from spacerun.text import size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.smoke.result import Check, Result

_TAIL_LINES: Final = 60
_LISTED: Final = 50  # warnings, complaints of the browser, …
_DETAIL: Final = 600
# A larger picture, and those that would make the page too large to open, are files beside it.
_EMBEDDED: Final = 2 * 1024**2
_ALL_EMBEDDED: Final = 64 * 1024**2
_FORMATS: Final = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp"}


class Pictures:
    """The screenshots of a page: in it while they are small, else beside it.

    Args:
        folder: Where the page is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._embedded = 0

    def address(self, file: Path, number: int) -> str | None:
        """What `src` is for the picture of Space `number`; None where there is no picture in `file`."""
        try:
            with file.open("rb") as stream:
                content = stream.read(_EMBEDDED + 1)
            kind = next((kind for magic, kind in _FORMATS.items() if content.startswith(magic)), None)
            if kind is None:
                return None
            if len(content) > _EMBEDDED or self._embedded + len(content) > _ALL_EMBEDDED:
                return self._beside(file, f"screenshot-{number}.{kind}")
        except OSError:
            return None
        self._embedded += len(content)
        return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"

    def _beside(self, file: Path, name: str) -> str:
        target = self._folder / name
        if not (target.exists() and target.samefile(file)):
            shutil.copyfile(file, target)
        return name


def section(number: int, result: Result, pictures: Pictures, *, is_open: bool) -> str:
    """The section of one Space, closed unless `is_open`; its address is `#s-NUMBER`."""
    facts = [words.sdk(result), f"proven to {words.proven(result)}" if result.proven else "", _time(result)]
    told = " · ".join(escaped(fact) for fact in facts if fact and fact != words.NOTHING)
    return (
        f'<details class="card {result.status}"{" open" if is_open else ""}>'
        f'<summary>{badge(result)} <h3>{escaped(words.name(result))}</h3> <span class="quiet">{told}</span></summary>'
        f'<div class="body" id="s-{number}">{"".join(_body(number, result, pictures))}</div></details>'
    )


def _time(result: Result) -> str:
    return words.took(result.seconds) if result.status != "not_run" else ""


def _body(number: int, result: Result, pictures: Pictures) -> Iterator[str]:
    """What went wrong first, then what was seen, then the particulars."""
    if reason := words.reason(result, 2000):
        fault = " fault" if result.status == "failed" else ""
        yield f'<p class="message{fault}">{escaped(reason, 2000)}</p>'
    if hint := words.hint(result):
        yield "<h4>What helps</h4>" + block(hint)
    for known in result.diagnosis:
        yield _diagnosis(known)
    if result.checks or result.stages:
        layout = "columns" if result.checks and result.stages else "alone" if result.stages else ""
        yield f'<div class="{layout}">{_checks(result)}{_stages(result)}</div>'
    if result.screenshot:
        yield _picture(number, result, pictures)
    if result.log or result.tail:
        yield _log(result)
    for heading, texts in (
        ("Warnings", result.warnings),
        ("Tried again", result.retries),
        ("The browser complained", result.console),
    ):
        if texts:
            yield _list(heading, texts)
    yield _particulars(result)


def _diagnosis(known: dict[str, str]) -> str:
    source = known.get("source", "")
    # Any other scheme could be a program: `javascript:`.
    link = f'<a href="{escaped(source)}" rel="noreferrer">{escaped(source)}</a>' if _is_web(source) else escaped(source)
    return (
        f"<h4>A known breakage</h4><dl><dt>Cause</dt><dd>{escaped(known.get('cause', ''))}</dd>"
        f"<dt>Remedy</dt><dd>{escaped(known.get('remedy', ''))}</dd><dt>Source</dt><dd>{link}</dd></dl>"
    )


def _is_web(address: str) -> bool:
    return address.startswith("https://")


def _checks(result: Result) -> str:
    rows = "".join(_check(check) for check in result.checks)
    return f'<div><h4>Checks</h4><table aria-label="Checks"><tbody>{rows}</tbody></table></div>' if rows else ""


def _check(check: Check) -> str:
    kind, sign, word = ("good", "✓", "sound") if check.ok else ("bad", "✗", "failed")
    if check.skipped:
        kind, sign, word = "none", words.NOTHING, "skipped"
    detail = escaped(check.detail, _DETAIL)
    told = f"skipped: {detail}" if check.skipped else detail
    took = words.took(check.seconds) if check.seconds >= 0.05 else ""  # noqa: PLR2004 - less reads as 0 s
    return (
        f'<tr><td class="mark {kind}" aria-label="{word}">{sign}</td>'
        f'<th scope="row" class="step">{escaped(check.name, 120)}</th><td>{told}</td>'
        f'<td class="number quiet">{took}</td></tr>'
    )


def _stages(result: Result) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escaped(stage, 60)}</th><td class="number">{words.took(seconds)}</td></tr>'
        for stage, seconds in result.stages.items()
    )
    return f'<div><h4>Stages</h4><table aria-label="Stages"><tbody>{rows}</tbody></table></div>' if rows else ""


def _picture(number: int, result: Result, pictures: Pictures) -> str:
    address = pictures.address(Path(result.screenshot or ""), number)
    name = escaped(words.name(result))
    if address is None:
        return f'<h4>Screenshot</h4><p class="quiet">There is no picture in {escaped(result.screenshot or "")}.</p>'
    return (
        f'<h4>Screenshot</h4><figure><img src="{address}" alt="The page of {name} in a browser" loading="lazy">'
        f"<figcaption>{escaped(result.screenshot or '')}</figcaption></figure>"
    )


def _log(result: Result) -> str:
    tail = words.lines(result.tail, _TAIL_LINES)
    shown = block(tail) if tail else '<p class="quiet">It is empty.</p>'
    where = f'<p class="quiet">All of it: <code>{escaped(result.log)}</code></p>' if result.log else ""
    return f"<h4>The end of its log</h4>{shown}{where}"


def _list(heading: str, texts: tuple[str, ...]) -> str:
    rest = len(texts) - _LISTED
    shown = [*texts[:_LISTED], *([f"and {rest} more"] if rest > 0 else [])]
    return f"<h4>{heading}</h4>{bullets(shown)}"


def _particulars(result: Result) -> str:
    facts = {
        "Revision": f"<code>{escaped(result.revision)}</code>" if result.revision else "",
        "GPU memory": escaped(_memory(result)),
        "Began": f"{escaped(words.began(result.started_at))} UTC" if result.started_at else "",
        "Exit code": str(result.exit_code),
    }
    rows = "".join(f"<dt>{name}</dt><dd>{told}</dd>" for name, told in facts.items() if told)
    return f"<h4>Particulars</h4><dl>{rows}</dl>"


def _memory(result: Result) -> str:
    expected, peak = result.memory.get("expected_bytes"), result.memory.get("peak_bytes")
    told = [f"{size(expected)} expected"] if expected else []
    told += [f"{size(peak)} at most"] if peak else []
    gpus = ", ".join(str(gpu) for gpu in result.memory.get("gpus") or ())
    return ", ".join(told) + (f" on {gpus}" if gpus else "") if told else gpus
