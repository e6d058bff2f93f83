"""Which Python a Space is to run on where nobody says so, and why."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from spacerun.environment.python import DEFAULT_PYTHON, check_version
from spacerun.environment.python_syntax import minors_that_parse
from spacerun.environment.uv import STAGE
from spacerun.errors import PackagesError, UsageError
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_DEFAULT_MINOR: Final = int(DEFAULT_PYTHON.partition(".")[2])
# Minor versions of Python 3, the nearest to the default first.
_PREFERRED: Final = (10, 11, 9, 12, 8, 13, 7, 14, 6)
# When most packages with compiled code had wheels for it: about three months after its release (PEP 619, 664, 693, 719,
# 745). Before, each of them is built from source, if it can be at all.
_WHEELS_SINCE: Final = {10: "2022-01-01", 11: "2023-01-01", 12: "2024-01-01", 13: "2025-01-01", 14: "2026-01-01"}
_EXTENSION_TAG = re.compile(r"\.cpython-3(?P<minor>\d{1,2})[a-z]?-[^.]*linux[^.]*\.so$")
_MAX_FILES: Final = 20_000
# Tags that a wheel for this machine may carry. macOS is best effort: its wheels' tags are not told apart.
_PLATFORM = re.compile(rf"any|linux_.*|(many|musl)linux.*_{re.escape(platform.machine())}|macosx_.*")


@dataclass(frozen=True)
class PythonChoice:
    """A Python version, and what speaks for it.

    Attributes:
        version: To the minor (`3.10`) or to the patch.
        required: Whether the card or the user asked for it.
        why: What decided, as a phrase.
        fallbacks: Minor versions that serve as well where nobody asked, best first.
    """

    version: str
    required: bool
    why: str
    fallbacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Published:
    """For which Pythons there are files of one version of a package.

    Attributes:
        wheels: Minor versions of Python 3 that a wheel fits, on this machine.
        sources: Those that a source distribution admits.
    """

    wheels: frozenset[int] = frozenset()
    sources: frozenset[int] = frozenset()

    @property
    def minors(self) -> frozenset[int]:
        """The Pythons that have a wheel; if none has, those that can build one."""
        return self.wheels or self.sources


@dataclass(frozen=True)
class Hints:
    """What speaks for one Python or another, besides the card and the files' names.

    Attributes:
        entry: The app's file, relative to the Space; it and the Space's modules that it imports must parse.
        pinned: What is published of each requirement that names one version, by that requirement.
    """

    entry: str | None = None
    pinned: Mapping[str, Published] = field(default_factory=dict)


NO_HINTS: Final = Hints()


@dataclass(frozen=True)
class _Rule:
    """Something that leaves only some Pythons."""

    minors: frozenset[int]
    why: str


def choose_python(
    root: Path,
    *,
    card: str | None,
    override: str | None,
    gradio: str | None,
    hints: Hints = NO_HINTS,
    day: str | None = None,
) -> PythonChoice:
    """The Python of the Space in `root`.

    What the user says wins over what the card says. Otherwise it is 3.10, as on Hugging Face from 2023-07 to 2026,
    unless something the Space asks for does not exist for 3.10; then it is the nearest for which it does.

    Args:
        root: The Space's files.
        card: Python version as the card writes it, as text, or None.
        override: Python version that the user asks for, or None.
        gradio: Exact version of Gradio; None for the newest, empty where the Space has nothing to do with it.
        hints: What else speaks for one or another.
        day: The day that packages are taken from, ISO 8601; None for today.

    Raises:
        PackagesError: The card names no Python version.
        UsageError: The user names none.
    """
    if override is not None:
        try:
            return PythonChoice(check_version(override), required=True, why="asked for with --python")
        except PackagesError as error:
            raise UsageError(error.message, hint="Give it like --python 3.10.", stage=STAGE) from None
    if card:
        return PythonChoice(check_version(card), required=True, why="python_version in README.md")
    possible = frozenset(_PREFERRED)
    reasons: list[str] = []
    for rule in (*_rules(root, gradio, hints), _of_day(day)):
        left = possible & rule.minors
        # A contradiction is left for uv to explain, or for the app to fail on: what counts more comes first.
        if not left:
            continue
        if _DEFAULT_MINOR in possible and _DEFAULT_MINOR not in left:
            reasons.append(rule.why)
        possible = left
    best, *others = (f"3.{minor}" for minor in _PREFERRED if minor in possible)
    return PythonChoice(best, required=False, why="; ".join(reasons) or "the default", fallbacks=tuple(others))


def _rules(root: Path, gradio: str | None, hints: Hints) -> Iterator[_Rule]:
    if gradio != "":
        yield _of_gradio(gradio)
    yield from _of_extensions(root)
    for text, published in hints.pinned.items():
        yield _Rule(published.wheels | published.sources, f"{one_line(text, 60)} is published for no Python 3.10")
    if hints.entry and (parses := minors_that_parse(root, hints.entry, _PREFERRED)):
        yield _Rule(parses.minors, f"{one_line(parses.file, 60)} is not Python 3.10 but {_span(parses.minors)}")
    # A wheel is worth more than a promise to build one, but not more than all of the above.
    for text, published in hints.pinned.items():
        yield _Rule(published.minors, f"{one_line(text, 60)} has no wheel for Python 3.10")


def _of_gradio(version: str | None) -> _Rule:
    # Requires-Python of each series; and what it imports although it says nothing of it: 3.x distutils, gone in 3.12,
    # 4.x and 5.0 to 5.3 audioop, gone in 3.13 (later ones require audioop-lts).
    major, minor = (int(part) for part in (*(version or "99").split("."), "0")[:2])
    if major < 4:  # noqa: PLR2004
        least, most = (8 if (major, minor) >= (3, 36) else 7), 11
    elif (major, minor) < (5, 4):
        least, most = (8 if major < 5 else 10), 12  # noqa: PLR2004
    else:
        least, most = 10, max(_PREFERRED)
    return _Rule(frozenset(range(least, most + 1)), f"Gradio {version} does not run on Python 3.10")


def _of_day(day: str | None) -> _Rule:
    """The Pythons for which there were wheels on `day`."""
    late = {minor for minor, since in _WHEELS_SINCE.items() if day and day < since}
    return _Rule(frozenset(_PREFERRED) - late, f"Python 3.10 was too new on {day}")


def _of_extensions(root: Path) -> Iterator[_Rule]:
    import os

    found: dict[int, str] = {}
    seen = 0
    for _, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if match := _EXTENSION_TAG.search(name):
                found.setdefault(int(match["minor"]), name)
        seen += len(names)
        if seen > _MAX_FILES:
            break
    if found:
        yield _Rule(frozenset(found), f"{one_line(next(iter(found.values())), 60)} is built for {_span(found)}")


def published(files: Iterable[tuple[str, str | None]]) -> Published:
    """What `files` of one version are for.

    Args:
        files: Name of each, and what the index says of the Pythons that it is for (`>=3.8`), if it says so.
    """
    wheels, sources = set[int](), set[int]()
    for name, requires in files:
        if not name.endswith(".whl"):
            sources |= _admitted(requires)
        elif tagged := _tagged(name):
            wheels |= _admitted(requires) & tagged
    return Published(frozenset(wheels), frozenset(sources))


def _tagged(name: str) -> frozenset[int] | None:
    """The Pythons that the wheel `name` fits on this machine; None if the name is no wheel's."""
    parts = name.removesuffix(".whl").split("-")
    return _fitting("-".join(parts[-3:])) if len(parts) in {5, 6} else None


# A project like numpy has thousands of files with a few hundred tags.
@lru_cache(maxsize=4096)
def _fitting(tags: str) -> frozenset[int]:
    from packaging.tags import parse_tag

    try:
        known = parse_tag(tags)
    except ValueError:  # an index holds names that no installer takes
        return frozenset()
    return frozenset(
        minor for tag in known if _PLATFORM.fullmatch(tag.platform) for minor in _of_tag(tag.interpreter, tag.abi)
    )


def _of_tag(interpreter: str, abi: str) -> Iterator[int]:
    match = re.fullmatch(r"(?P<kind>cp|py)3(?P<minor>\d{1,2})?", interpreter)
    if not match or abi.endswith("t"):
        return
    least = int(match["minor"] or 0)
    exact = match["kind"] == "cp" and abi not in {"abi3", "none"}
    yield from (minor for minor in _PREFERRED if (minor == least if exact else minor >= least))


@lru_cache(maxsize=256)
def _admitted(requires: str | None) -> frozenset[int]:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        wanted = SpecifierSet(requires or "")
    except InvalidSpecifier:
        return frozenset(_PREFERRED)
    # A patch release that nothing exceeds, so that `>=3.8.1` admits 3.8; and the first one for `<=3.11`.
    return frozenset(
        minor for minor in _PREFERRED if wanted.contains(f"3.{minor}.99") or wanted.contains(f"3.{minor}.0")
    )


def _span(minors: Iterable[int]) -> str:
    ordered = sorted(minors)
    if len(ordered) > 1 and ordered[-1] == max(_PREFERRED):
        return f"Python 3.{ordered[0]} or later"
    return "Python " + ", ".join(f"3.{minor}" for minor in ordered)
