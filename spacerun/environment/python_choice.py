"""Which Python a Space is to run on where nobody says so, and why."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass, field
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
class PublishedFile:
    """A file of a package index.

    Attributes:
        name: Its file name.
        requires_python: What the index says of the Pythons that it is for, as in `>=3.8`; None where it says nothing.
    """

    name: str
    requires_python: str | None = None


@dataclass(frozen=True)
class Hints:
    """What speaks for one Python or another, besides the card and the files' names.

    Attributes:
        entry: The app's file, relative to the Space; it and the Space's modules that it imports must parse.
        pinned: The files published for each requirement that names one version, by that requirement.
    """

    entry: str | None = None
    pinned: Mapping[str, tuple[PublishedFile, ...]] = field(default_factory=dict)


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
) -> PythonChoice:
    """The Python of the Space in `root`.

    What the user says wins over what the card says. Otherwise it is 3.10, as on Hugging Face from 2023-07 to 2026,
    unless something the Space asks for does not exist for 3.10; then it is the nearest for which it does.

    Args:
        root: The Space's files.
        card: Python version as the card writes it, as text, or None.
        override: Python version that the user asks for, or None.
        gradio: Exact version of Gradio, where one is asked for.
        hints: What else speaks for one or another.

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
    for rule in _rules(root, gradio, hints):
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
    yield _of_gradio(gradio)
    yield from _of_extensions(root)
    for text, files in hints.pinned.items():
        yield _Rule(_minors(files, built=True), f"{one_line(text, 60)} is published for no Python 3.10")
    if hints.entry and (parses := minors_that_parse(root, hints.entry, _PREFERRED)):
        yield _Rule(parses.minors, f"{one_line(parses.file, 60)} is not Python 3.10 but {_span(parses.minors)}")
    # A wheel is worth more than a promise to build one, but not more than all of the above.
    for text, files in hints.pinned.items():
        yield _Rule(_minors(files, built=False), f"{one_line(text, 60)} has no wheel for Python 3.10")


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


def _minors(files: Iterable[PublishedFile], *, built: bool) -> frozenset[int]:
    """The Pythons for which one of `files` is; a source distribution counts where `built`, or nothing else exists."""
    wheels, sources = set[int](), set[int]()
    binary = False
    for file in files:
        admitted = _admitted(file.requires_python)
        if not file.name.endswith(".whl"):
            sources |= admitted
        elif (tagged := _tagged(file.name)) is not None:
            wheels |= admitted & tagged
            binary = True
    return frozenset(wheels | sources if built or not binary else wheels)


def _tagged(name: str) -> frozenset[int] | None:
    """The Pythons that the wheel `name` fits on this machine; None if the name is no wheel's."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        tags = parse_wheel_filename(name)[3]
    except InvalidWheelFilename:
        return None
    return frozenset(
        minor for tag in tags if _PLATFORM.fullmatch(tag.platform) for minor in _of_tag(tag.interpreter, tag.abi)
    )


def _of_tag(interpreter: str, abi: str) -> Iterator[int]:
    match = re.fullmatch(r"(?P<kind>cp|py)3(?P<minor>\d{1,2})?", interpreter)
    if not match or abi.endswith("t"):
        return
    least = int(match["minor"] or 0)
    exact = match["kind"] == "cp" and abi not in {"abi3", "none"}
    yield from (minor for minor in _PREFERRED if (minor == least if exact else minor >= least))


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
