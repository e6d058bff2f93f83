"""What a failure means: known breakages as data (`known.toml`), found in the words that an app or uv left."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacerun import toml
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spacerun.errors import SpacerunError

_TABLE = Path(__file__).with_name("known.toml")
# A traceback within an exception group is indented behind bars.
_INDENTED = r"[\s|]*"
_LINE_CHARACTERS = 2000  # of one line, against patterns that would take their time


@dataclass(frozen=True)
class Breakage:
    """A known breakage; see `known.toml` for the meaning of each field."""

    id: str
    pattern: re.Pattern[str]
    beside: re.Pattern[str] | None
    cause: str
    remedy: str
    source: str
    packages: tuple[str, ...] = ()
    python: str | None = None
    climbs: bool = False
    general: bool = False


@dataclass(frozen=True)
class Finding:
    """A known breakage, found.

    Attributes:
        id: Which one.
        cause: What happened and why.
        remedy: What helps.
        source: Where it is documented.
        packages: Requirements that mend it when they are added.
        python: A Python version that mends it, or None.
        climbs: Whether another choice of packages may mend it.
        module: The module that is missing, or None.
    """

    id: str
    cause: str
    remedy: str
    source: str
    packages: tuple[str, ...] = ()
    python: str | None = None
    climbs: bool = False
    module: str | None = None

    def to_json(self) -> dict[str, str]:
        """An entry of `diagnosis` in the JSON document."""
        return {"id": self.id, "cause": self.cause, "remedy": self.remedy, "source": self.source}


@lru_cache(maxsize=1)
def known() -> tuple[Breakage, ...]:
    """All known breakages, the most telling first."""
    return tuple(_breakage(entry) for entry in toml.parse(_TABLE.read_text(encoding="utf-8"))["breakage"])


def explain(log_lines: Iterable[str], error: SpacerunError | None = None) -> tuple[Finding, ...]:
    """What is known about a failure, the most telling first; empty where nothing is.

    Args:
        log_lines: The last lines of the app's log.
        error: The failure itself; its message, and what uv said or its script raised, count like lines of the log.
    """
    lines = [line[:_LINE_CHARACTERS] for line in log_lines]
    if error:
        lines += [error.message[:_LINE_CHARACTERS]]
        said = "\n".join(str(error.data.get(key, "")) for key in ("uv", "raised"))
        lines += [line[:_LINE_CHARACTERS] for line in said.splitlines()]
    found: dict[Breakage, Finding] = {}
    for line in lines:
        for breakage in known():
            match = breakage.pattern.match(line)
            if match and (breakage.beside is None or any(map(breakage.beside.search, lines))):
                found[breakage] = _finding(breakage, match)
                break
    telling = [breakage for breakage in known() if breakage in found and not breakage.general]
    return tuple(found[breakage] for breakage in telling or [b for b in known() if b in found])


def _breakage(entry: dict[str, Any]) -> Breakage:
    beside = entry.get("beside")
    return Breakage(
        **entry
        | {
            "pattern": re.compile(_INDENTED + entry["pattern"]),
            "beside": re.compile(beside) if beside else None,
            "packages": tuple(entry.get("packages", ())),
        }
    )


def _finding(breakage: Breakage, match: re.Match[str]) -> Finding:
    words = {name: one_line(word, 80) for name, word in match.groupdict().items() if word}
    return Finding(
        id=breakage.id,
        cause=breakage.cause.format_map(_Words(words)),
        remedy=breakage.remedy.format_map(_Words(words)),
        source=breakage.source,
        packages=breakage.packages,
        python=breakage.python,
        climbs=breakage.climbs,
        module=words.get("module"),
    )


class _Words(dict[str, str]):
    """The groups of a match; one that took no part reads as what it is."""

    def __missing__(self, name: str) -> str:
        return f"(unknown {name})"
