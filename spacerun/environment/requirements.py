"""Requirement files read as text: decoded, flattened, judged line by line. Nothing is executed or fetched."""

from __future__ import annotations

import codecs
import re
import stat
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from spacerun.errors import PackagesError
from spacerun.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES: Final = 1 << 20
MAX_FILES: Final = 50

_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# As in pip's req_file.py.
_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_INCLUDE = re.compile(r"^(?:-r|--requirement)(?:\s*=?\s*)(?P<file>.+)$")
_CONSTRAIN = re.compile(r"^(?:-c|--constraint)(?:\s*=?\s*)(?P<file>.+)$")
_EDITABLE = re.compile(r"^(?:-e|--editable)(?:\s*=?\s*)(?P<what>.+)$")
_FIND_LINKS = re.compile(r"^(?:-f|--find-links)(?:\s*=?\s*)(?P<where>.+)$")
_NAMED_URL = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*@\s*(?P<url>\S+)")
_NAME = re.compile(r"^(?P<name>[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)")
_REMOTE = re.compile(r"^(?:(?:git|hg|svn|bzr)\+|https?://|ftp://|ssh://)", re.IGNORECASE)
_EXTRAS = re.compile(r"\[[^\[\]]*\]$")


class Kind(Enum):
    """What a line of a requirement file is."""

    PACKAGE = "package"
    REMOTE = "remote"
    LOCAL = "local"
    OPTION = "option"


@dataclass(frozen=True)
class Line:
    """One logical line.

    Attributes:
        text: What uv is given, without comments and continuations; relative paths count from the Space's root.
        kind: What it is.
        name: Normalized name of the package, where the line gives one.
        path: The folder or file of a local requirement.
        editable: Whether it is installed in place.
    """

    text: str
    kind: Kind
    name: str | None = None
    path: Path | None = None
    editable: bool = False


@dataclass(frozen=True)
class Requirements:
    """A requirement file with all it includes.

    Attributes:
        lines: Requirements and options, in order.
        constraints: Lines of the files named by `-c`.
        files: The files read, relative to the Space's root.
    """

    lines: tuple[Line, ...] = ()
    constraints: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass
class _Reading:
    root: Path
    lines: list[Line] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def read_requirements(root: Path, name: str) -> Requirements:
    """Read the requirement file `name` of the Space in `root`, and what it names with `-r` and `-c`.

    Args:
        root: The Space's files.
        name: File name relative to `root`; an absent file has no requirements.

    Raises:
        PackagesError: A file is missing, too large, not text, or lies outside the Space.
    """
    reading = _Reading(root.resolve())
    if not (root / name).exists():
        return Requirements()
    _read_into(reading, root / name, named_by=name, constraint=False)
    return Requirements(tuple(reading.lines), tuple(reading.constraints), tuple(reading.files))


def normalize(name: str) -> str:
    """`name` as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def decode(content: bytes) -> str:
    """The text of a requirement file: by its byte order mark, else UTF-8, else Latin-1, as pip does."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, errors="replace")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def logical_lines(text: str) -> list[str]:
    """The lines that say something: continuations joined, comments and blank lines dropped."""
    joined: list[str] = []
    pending = ""
    for raw in re.split(r"\r\n|\r|\n", text):
        line = raw.rstrip(" \t") if not raw.endswith("\\") else raw
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            pending += line[:-1]
            continue
        joined.append(pending + line)
        pending = ""
    joined.append(pending)
    return [stripped for line in joined if (stripped := _COMMENT.sub("", line).strip())]


def parse_line(root: Path, text: str, *, named_by: str = "requirements.txt") -> Line:
    """Judge one logical line that is neither `-r` nor `-c`.

    Args:
        root: The Space's files, resolved.
        text: The line.
        named_by: The file it stands in, for messages.

    Raises:
        PackagesError: It names a local path outside `root`.
    """
    # uv would put values of this process's environment there, and send them to whatever host the line names; on the
    # builder no such variable is set, and the text stays as it is.
    text = _VARIABLE.sub(r"$%7B\1%7D", text)
    if (match := _FIND_LINKS.match(text)) and "://" not in match["where"]:
        return Line(f"--find-links {_inside(root, match['where'], named_by)}", Kind.OPTION)
    editable = _EDITABLE.match(text)
    if text.startswith("-") and not editable:
        return Line(text, Kind.OPTION)
    what = editable["what"].strip("'\"") if editable else text
    named = _NAMED_URL.match(what)
    target = named["url"] if named else what.split(";")[0].split(" ")[0]
    name = normalize(named["name"]) if named else None
    if _REMOTE.match(target):
        # uv knows no editable git requirement; the difference to a plain one is where the sources lie.
        return Line(what, Kind.REMOTE, name or _egg(target))
    if target.startswith("file:") or editable or _looks_local(target):
        path = _inside(root, _EXTRAS.sub("", _from_url(target)), named_by)
        return Line(text, Kind.LOCAL, name, path, editable is not None)
    match = _NAME.match(what)
    return Line(text, Kind.PACKAGE, normalize(match["name"]) if match else None)


def _read_into(reading: _Reading, path: Path, *, named_by: str, constraint: bool) -> None:
    resolved = path.resolve()
    if not resolved.is_relative_to(reading.root):
        raise _outside(named_by, path.name)
    name = resolved.relative_to(reading.root).as_posix()
    if name in reading.files:
        return
    if len(reading.files) >= MAX_FILES:
        raise PackagesError(f"{named_by} includes more than {MAX_FILES} files.")
    reading.files.append(name)
    for text in logical_lines(decode(_content(resolved, name, named_by))):
        if match := _INCLUDE.match(text):
            _include(reading, path, match["file"], name, constraint=constraint)
        elif match := _CONSTRAIN.match(text):
            _include(reading, path, match["file"], name, constraint=True)
        elif constraint:
            reading.constraints.append(_VARIABLE.sub(r"$%7B\1%7D", text))
        else:
            reading.lines.append(parse_line(reading.root, text, named_by=name))


def _include(reading: _Reading, path: Path, target: str, named_by: str, *, constraint: bool) -> None:
    target = target.strip("'\"")
    if "://" in target:
        raise PackagesError(
            f"{named_by} takes requirements from the address {one_line(target)}, which cannot be known beforehand.",
            hint="Download that file into the Space and name it there.",
        )
    _read_into(reading, path.parent / target, named_by=named_by, constraint=constraint)


def _content(path: Path, name: str, named_by: str) -> bytes:
    shown = one_line(name)
    try:
        status = path.stat()
    except OSError:
        raise PackagesError(
            f"{one_line(named_by)} names {shown}, which the Space does not have.",
            hint=f"Add {shown} to the Space, or take the line out.",
        ) from None
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
        raise PackagesError(f"{shown} is not a text file of at most {MAX_BYTES} bytes, so it is not read.")
    content = path.read_bytes()
    if b"\0" in content and not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise PackagesError(f"{shown} is not a text file.", hint="Save it as UTF-8.")
    return content


def _looks_local(target: str) -> bool:
    bare = _EXTRAS.sub("", target)
    return bare.startswith((".", "/", "~")) or "/" in bare or bare.endswith((".whl", ".tar.gz", ".zip"))


def _from_url(target: str) -> str:
    return unquote(urlsplit(target).path) if target.startswith("file:") else target


def _egg(url: str) -> str | None:
    match = re.search(r"[#&]egg=([A-Za-z0-9][\w.-]*)", url)
    return normalize(match[1]) if match else None


def _inside(root: Path, target: str, named_by: str) -> Path:
    path = (root / target.strip().strip("'\"")).resolve()
    if not path.is_relative_to(root):
        raise _outside(named_by, target)
    return path


def _outside(named_by: str, target: str) -> PackagesError:
    return PackagesError(
        f"{one_line(named_by)} names {one_line(target)}, which lies outside the Space.",
        hint="Copy it into the Space's folder and name it by a relative path.",
    )
