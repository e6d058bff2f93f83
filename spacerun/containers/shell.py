"""A line of shell taken apart, as far as it is a list of plain commands."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_JOINS: Final = frozenset({"&&", ";", "\n"})
_BEYOND: Final = re.compile(r"\$\(|`|\$\{[^}:]*[^}:A-Za-z0-9_]")
_VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?::?-([^{}]*))?\}|([A-Za-z_]\w*))")


class BeyondError(ValueError):
    """More than plain commands; the text shows what."""


def commands(line: str) -> list[list[str]]:
    """The commands of `line`, each a list of words, run one after the other.

    Raises:
        BeyondError: It pipes, redirects, branches or computes.
    """
    if match := _BEYOND.search(line):
        raise BeyondError(line[match.start() :][:40])
    found: list[list[str]] = [[]]
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>()\n")
        lexer.whitespace = " \t\r"
        lexer.whitespace_split = True
        lexer.commenters = ""
        for word in lexer:
            if word in _JOINS or not word.strip("\n;"):
                found.append([])
            elif set(word) <= set(";&|<>()"):
                raise BeyondError(word)
            else:
                found[-1].append(word)
    except ValueError as error:
        raise error if isinstance(error, BeyondError) else BeyondError(str(error)) from None
    return [command for command in found if command]


def expanded(word: str, variables: Mapping[str, str]) -> str:
    """`word` with `$NAME`, `${NAME}` and `${NAME:-default}` replaced by the values in `variables`."""
    return _VARIABLE.sub(lambda found: variables.get(found[1] or found[3]) or found[2] or "", word)
