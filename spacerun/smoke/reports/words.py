"""What all reports say in the same words: how a Space did, why no better, and what the run came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spacerun.text import duration, one_line, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spacerun.smoke.result import Check, Report, Result, Status

SIGNS: Final[dict[Status, str]] = {"passed": "✓", "partial": "◐", "failed": "✗", "network": "↯", "not_run": "—"}
"""One character for each status; each tells without its colour."""

NOTHING: Final = "—"
"""Stands for what is not known, or not there."""

_SENTENCE: Final = 500  # characters of a message, for a report that shows many
_NAME: Final = 200  # characters of a Space's name; a path may be long


def name(result: Result) -> str:
    """The Space, as a line that is safe to show."""
    return one_line(result.space, _NAME) or "(no name)"


def sdk(result: Result) -> str:
    """Its SDK and version; a dash where they are not known."""
    return one_line(result.sdk, 40) or NOTHING


def proven(result: Result) -> str:
    """How far it is proven to work; a dash for not at all."""
    return one_line(result.proven or "", 40) or NOTHING


def verdict(result: Result) -> str:
    """How it did, in a few words that no other status shares: `passed`, `proven to imports`, `failed at start`."""
    where = f" at {one_line(result.stage, 40)}" if result.stage else ""
    words: dict[Status, str] = {
        "passed": "passed",
        "partial": f"proven to {proven(result)}" if result.proven else "not proven",
        "failed": f"failed{where}",
        "network": f"network fault{where}",
        "not_run": "not run",
    }
    return words[result.status]


def reason(result: Result, limit: int = _SENTENCE) -> str:
    """What is wrong with it, or why it was tested no further; empty for one that passed."""
    if result.status == "passed":
        return ""
    text = result.limit if result.status == "partial" else result.message or result.limit
    return one_line(text, limit)


def failed_checks(result: Result) -> tuple[Check, ...]:
    """The checks that found something wrong."""
    return tuple(check for check in result.checks if not check.ok)


def lines(texts: Sequence[str], most: int, width: int = 400) -> tuple[str, ...]:
    """The last `most` of some lines, made printable, each of at most `width` characters."""
    return tuple(_line(text, width) for text in texts[-most:])


def hint(result: Result, most: int = 12) -> tuple[str, ...]:
    """What helps, line by line."""
    return tuple(_line(text, _SENTENCE) for text in result.hint.splitlines()[:most] if text.strip())


def took(seconds: float) -> str:
    """A time span for people, to a tenth of a second."""
    return duration(round(seconds, 1))


def began(moment: str) -> str:
    """`2026-03-02T08:15:00+00:00` for people: `2026-03-02 08:15`; such times are UTC."""
    return one_line(moment[:16].replace("T", " "))


def totals(report: Report) -> str:
    """What the run came to, as a line: `8 passed, 1 proven to imports, 3 failed, in 3 min 12 s`."""
    time = took(report.seconds)
    how = f"interrupted after {time}" if report.interrupted else f"in {time}"
    return ", ".join([*counts(report), how]) if report.results else f"no Space was tested, {how}"


def counts(report: Report) -> list[str]:
    """How many Spaces did how, in words; none of which there is none."""
    networks = report.count("network")
    counted = [
        (report.count("passed"), "passed"),
        *_partial(report),
        (report.count("failed"), "failed"),
        (networks, "network fault" if networks == 1 else "network faults"),
        (report.count("not_run"), "not run"),
    ]
    return [f"{count} {word}" for count, word in counted if count]


def _partial(report: Report) -> list[tuple[int, str]]:
    """How many came how far, of those that this machine did not let go all the way."""
    words = [verdict(result) for result in report.results if result.status == "partial"]
    return [(words.count(word), word) for word in dict.fromkeys(words)]


def _line(text: str, width: int) -> str:
    line = printable(text).replace("\n", " ").expandtabs(4).rstrip()
    return line if len(line) <= width else line[: width - 1] + "…"
