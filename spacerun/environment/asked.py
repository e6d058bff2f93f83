"""What the requirement files of a Space and its user ask for, as it is installed: mended, and as of the date."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun.environment.mending import mend
from spacerun.environment.requirements import Kind, Line, parse_line, read_requirements
from spacerun.environment.uv import STAGE
from spacerun.errors import UsageError
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spacerun.environment.git_pins import Pinned

EXACT_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?(\.(post|dev)\d+)?(\+[\w.]+)?")
_PIN = re.compile(r"[\w.-]+\s*(?:\[[^\]]*\])?\s*==\s*(?P<version>[^\s,;*]+)\s*(?:;.*)?")


@dataclass(frozen=True)
class Learned:
    """What others said of a Space's requirements: its git servers and the package index.

    Attributes:
        sdk_released: When the SDK's version was released (RFC 3339), or None.
        pinned: What to install in place of lines that follow a branch.
        undated: Packages that come from an index without upload dates.
        constraints: Bounds that stand in for a date there.
        younger: Packages that may be younger than the date, with the date until which they may be.
        notes: What was decided, one sentence each.
    """

    sdk_released: str | None = None
    pinned: Mapping[Line, Pinned] = field(default_factory=dict)
    undated: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    younger: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


NOTHING_LEARNED: Final = Learned()


@dataclass(frozen=True)
class Asked:
    """Requirements as they are installed: mended, and with git requirements as of the date."""

    before: tuple[Line, ...]
    own: tuple[Line, ...]
    extra: tuple[Line, ...]
    before_constraints: tuple[str, ...]
    constraints: tuple[str, ...]
    files: tuple[str, ...]
    notes: tuple[str, ...]
    prerelease: bool


def asked_lines(directory: Path, extra_packages: tuple[str, ...] = ()) -> tuple[Line, ...]:
    """The Space's requirements and the user's, in order, as `make_plan` takes them before anything is learned."""
    asked = read_asked(directory.resolve(), extra_packages, NOTHING_LEARNED)
    return (*asked.before, *asked.own, *asked.extra)


def requirement_files(directory: Path) -> tuple[str, ...]:
    """The files of the Space that name requirements, relative to `directory`."""
    return read_asked(directory.resolve(), (), NOTHING_LEARNED).files


def read_asked(root: Path, extra_packages: tuple[str, ...], learned: Learned) -> Asked:
    """Read what is asked for.

    Args:
        root: The Space's files, resolved.
        extra_packages: Requirements the user adds.
        learned: What was learned elsewhere.

    Raises:
        PackagesError: A file of the Space is not usable.
        UsageError: An added requirement is none.
    """
    before = read_requirements(root, "pre-requirements.txt")
    own = read_requirements(root, "requirements.txt")
    mended_before, mended_own = mend(before.lines), mend(own.lines)

    def pinned(lines: Iterable[Line]) -> tuple[Line, ...]:
        return tuple(learned.pinned[line].line if line in learned.pinned else line for line in lines)

    return Asked(
        before=pinned(mended_before.lines),
        own=pinned(mended_own.lines),
        extra=pinned(_extra(root, text) for text in extra_packages),
        before_constraints=before.constraints,
        constraints=own.constraints,
        files=before.files + own.files,
        notes=mended_before.notes + mended_own.notes,
        prerelease=mended_before.prerelease or mended_own.prerelease,
    )


def is_bounded(line: Line) -> bool:
    """Whether a requirement says which versions it takes, or where from."""
    from packaging.requirements import InvalidRequirement, Requirement

    if line.kind is not Kind.PACKAGE:
        return True
    try:
        return bool(Requirement(without_options(line)).specifier)
    except InvalidRequirement:
        return True


def without_options(line: Line) -> str:
    """The requirement of a line without its hashes."""
    return line.text.split(" --")[0].strip()


def exact_version(line: Line) -> str | None:
    """The version that a line asks for exactly (`name==1.2`), or None."""
    match = _PIN.fullmatch(without_options(line)) if line.kind is Kind.PACKAGE else None
    return match["version"] if match and EXACT_VERSION.fullmatch(match["version"]) else None


def _extra(root: Path, text: str) -> Line:
    if text.startswith((".", "/")) and Path(text).exists():
        path = Path(text).resolve()
        return Line(str(path), Kind.LOCAL, path=path)
    line = parse_line(root, text.strip(), named_by="--with")
    if line.kind is Kind.OPTION or not text.strip():
        raise UsageError(f"--with takes a package, and {one_line(text)!r} is none.", stage=STAGE)
    if line.kind is Kind.PACKAGE:
        from packaging.requirements import InvalidRequirement, Requirement

        try:
            Requirement(line.text)
        except InvalidRequirement:
            raise UsageError(
                f"--with takes a package, and {one_line(text)!r} is none.",
                hint="Write it as in requirements.txt: --with 'numpy<2'",
                stage=STAGE,
            ) from None
    return line
