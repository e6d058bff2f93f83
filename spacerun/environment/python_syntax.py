"""For which Pythons a Space's source is written: parsed, never run."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spacerun.environment.python import DEFAULT_PYTHON, find_installed
from spacerun.environment.uv import clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_DEFAULT: Final = (3, int(DEFAULT_PYTHON.partition(".")[2]))
_MAX_BYTES: Final = 2 << 20
_MAX_FILES: Final = 300
_SECONDS: Final = 30
# Python 3.12 let the expressions in an f-string hold its own quotes, backslashes, comments and line breaks (PEP 701).
# Its own parser takes them whatever `feature_version` says.
_FREE_FSTRINGS: Final = (3, 12)
_PARSE: Final = "import ast, sys; ast.parse(sys.stdin.buffer.read())"


@dataclass(frozen=True)
class Parses:
    """A source that does not parse everywhere.

    Attributes:
        file: Its name, relative to the Space.
        minors: Minor versions of Python 3 that parse it, and all others that have to.
    """

    file: str
    minors: frozenset[int]


def minors_that_parse(root: Path, entry: str, candidates: Iterable[int]) -> Parses | None:
    """The Pythons that can read the app's code, or None if the default can.

    Only where the default cannot, installed Pythons are asked, each in a process of its own (`-I`, source on standard
    input). A file that none can read says nothing.

    Args:
        root: The Space's files.
        entry: The app's file relative to `root`.
        candidates: Minor versions to choose from.
    """
    odd = [(name, source) for name, source in _sources(root, entry) if not _parses_by_default(source)]
    if not odd:
        return None
    minors = frozenset(candidates) - {_DEFAULT[1]}
    named = ""
    for name, source in odd:
        able = frozenset(minor for minor in minors if _parses_on(minor, source))
        if able:
            minors, named = able, named or name
    return Parses(named, minors) if named else None


def _sources(root: Path, entry: str) -> Iterator[tuple[str, bytes]]:
    """The app's file, and the Space's own modules that are imported from there on."""
    waiting, seen = [entry], {entry}
    while waiting and len(seen) < _MAX_FILES:
        name = waiting.pop()
        source = _read(root, name)
        if source is None:
            continue
        yield name, source
        for imported in _imported(root, name, source):
            if imported not in seen:
                seen.add(imported)
                waiting.append(imported)


def _read(root: Path, name: str) -> bytes | None:
    path = root / name
    try:
        if not path.resolve().is_relative_to(root.resolve()) or not path.is_file() or path.stat().st_size > _MAX_BYTES:
            return None
        return path.read_bytes()
    except OSError:
        return None


def _imported(root: Path, name: str, source: bytes) -> Iterator[str]:
    tree = _parsed(source)
    if tree is None:
        return
    package = name.split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
            base: list[str] = []
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            modules = [node.module] if node.module else []
            modules += [f"{node.module}.{alias.name}" if node.module else alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            parts = [*base, *module.split(".")]
            for length in range(1, len(parts) + 1):
                stem = "/".join(parts[:length])
                yield from (found for found in (f"{stem}.py", f"{stem}/__init__.py") if (root / found).is_file())


def _parsed(source: bytes, version: tuple[int, int] | None = None) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source, feature_version=version)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _parses_by_default(source: bytes) -> bool:
    if _parsed(source, _DEFAULT) is None:
        return False
    return sys.version_info < _FREE_FSTRINGS or not _has_free_fstring(source)


def _has_free_fstring(source: bytes) -> bool:
    # Names of tokens instead of `token.FSTRING_START`, which this file's oldest Python does not have.
    quotes: list[str] = []
    try:
        for item in tokenize.tokenize(io.BytesIO(source).readline):
            kind = tokenize.tok_name[item.type]
            if quotes and _breaks_out(kind, item.string, quotes):
                return True
            if kind == "FSTRING_START":
                quotes.append(item.string.lstrip("fFrRbBuU"))
            elif kind == "FSTRING_END":
                quotes.pop()
    except (tokenize.TokenError, SyntaxError, UnicodeError):
        return False
    return False


def _breaks_out(kind: str, text: str, quotes: list[str]) -> bool:
    """Whether a token inside of f-strings with these quotes is one that Python 3.11 refuses."""
    if kind == "COMMENT":
        return True
    if kind == "NL":
        return len(quotes[-1]) == 1
    if kind not in {"STRING", "FSTRING_START"}:
        return False
    return "\\" in text or any(quote in text for quote in quotes)


def _parses_on(minor: int, source: bytes) -> bool:
    if minor == sys.version_info.minor:
        return _parsed(source) is not None
    interpreter = find_installed(f"3.{minor}")
    if interpreter is None:
        # What is not here can only be judged by its grammar; it is downloaded if it is chosen.
        return minor < sys.version_info.minor and _parsed(source, (3, minor)) is not None
    done = subprocess.run(
        [interpreter.path, "-I", "-c", _PARSE],
        input=source,
        env=clean_environment(),
        capture_output=True,
        timeout=_SECONDS,
        check=False,
    )
    return done.returncode == 0
