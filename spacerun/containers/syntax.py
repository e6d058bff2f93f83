"""A Dockerfile taken apart into instructions (Dockerfile reference: format, parser directives, here-documents)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LARGEST: Final = 256 * 1024
"""Bytes of a Dockerfile that are read."""

_DIRECTIVE: Final = re.compile(r"#\s*([a-zA-Z]+)\s*=\s*(\S+)\s*")
_INSTRUCTION: Final = re.compile(r"\s*([A-Za-z]+)(?:\s+(.*))?", re.DOTALL)
_FLAG: Final = re.compile(r"\s*--([a-z][a-z-]*)(?:=(\S+))?(?=\s|\Z)")
_HEREDOC: Final = re.compile(r"<<(-?)\s*([\"']?)([A-Za-z0-9_.]+)\2")
_TAKES_HEREDOCS: Final = frozenset({"RUN", "COPY", "ADD"})
_VARIABLE: Final = re.compile(r"\\(\$)|\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::([-+])([^{}]*))?\}|([A-Za-z_][A-Za-z0-9_]*))")


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        name: In capitals: `RUN`.
        text: What follows it, with continued lines joined, without comments and flags.
        flags: Its flags in order, without the dashes: `("mount", "type=cache,target=/root/.cache")`.
        heredocs: Contents of its here-documents.
        line: Line on which it begins, from 1.
    """

    name: str
    text: str
    flags: tuple[tuple[str, str], ...] = ()
    heredocs: tuple[str, ...] = ()
    line: int = 0

    def values(self, flag: str) -> tuple[str, ...]:
        """The values of all its flags of that name."""
        return tuple(value for name, value in self.flags if name == flag)


def read_instructions(text: str) -> Iterator[Instruction]:
    """The instructions of a Dockerfile; what is none is left out, and an engine will say so."""
    lines = text.lstrip("\ufeff").replace("\r\n", "\n").split("\n")
    escape = _escape(lines)
    number = 0
    while number < len(lines):
        first = number
        logical, number = _logical_line(lines, number, escape)
        match = _INSTRUCTION.fullmatch(logical)
        if match is None:
            continue
        name, rest = match[1].upper(), match[2] or ""
        heredocs = []
        if name in _TAKES_HEREDOCS:
            for dash, _, word in _HEREDOC.findall(rest):
                content, number = _heredoc(lines, number, word, tabs=bool(dash))
                heredocs.append(content)
        flags, rest = _flags(rest)
        yield Instruction(name, rest.strip(), flags, tuple(heredocs), first + 1)


def substitute(text: str, variables: Mapping[str, str]) -> str:
    """`text` with `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}` replaced, as in all but RUN and CMD."""

    def value(match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        found = variables.get(match[2] or match[5], "")
        if match[3] == "+":
            return match[4] if found else ""
        return found or match[4] or "" if match[3] == "-" else found

    return _VARIABLE.sub(value, text)


def _escape(lines: list[str]) -> str:
    """The character that continues a line: a parser directive may change it, before anything else."""
    for line in lines:
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None:
            break
        if match[1].lower() == "escape" and match[2] in {"`", "\\"}:
            return match[2]
    return "\\"


def _logical_line(lines: list[str], number: int, escape: str) -> tuple[str, int]:
    """The line at `number` with those that continue it, and the number of the line after them."""
    parts: list[str] = []
    while number < len(lines):
        line = lines[number]
        number += 1
        # Comments, and by old habit empty lines, may stand between continued ones.
        if line.lstrip().startswith("#") or (parts and not line.strip()):
            if not parts:
                return "", number
            continue
        stripped = line.rstrip()
        if not stripped.endswith(escape):
            parts.append(line)
            break
        parts.append(stripped[:-1])
    return "".join(parts), number


def _heredoc(lines: list[str], number: int, word: str, *, tabs: bool) -> tuple[str, int]:
    content = []
    while number < len(lines):
        line = lines[number].lstrip("\t") if tabs else lines[number]
        number += 1
        if line == word:
            break
        content.append(line)
    return "\n".join(content), number


def _flags(text: str) -> tuple[tuple[tuple[str, str], ...], str]:
    flags = []
    while match := _FLAG.match(text):
        flags.append((match[1], match[2] or ""))
        text = text[match.end() :]
    return tuple(flags), text
