"""Git LFS pointer files (git-lfs/docs/spec.md): which of a commit's files stand for larger ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spacerun.space.entries import content, entries

if TYPE_CHECKING:
    from pathlib import Path

    from git import Repo

# The specification: a pointer file is less than 1024 bytes, its first line names the version.
LARGEST_POINTER = 1024
_SMALLEST_POINTER = 100
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:[a-z0-9.-]+ [^\n]*\n)*?"
    rb"oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,18})(?:\n|\Z)"
)


@dataclass(frozen=True)
class Pointer:
    """A file that git-lfs manages.

    Attributes:
        path: Its path in the working tree.
        oid: SHA-256 of its content, in hex.
        size: Size of its content, in bytes.
    """

    path: str
    oid: str
    size: int


def parse_pointer(path: str, text: bytes) -> Pointer | None:
    """The pointer that `text` is, or None if it is an ordinary file."""
    match = _POINTER.match(text) if len(text) < LARGEST_POINTER else None
    return Pointer(path, match[1].decode(), int(match[2])) if match else None


def find_pointers(repo: Repo, commit: str) -> tuple[Pointer, ...]:
    """All pointer files of `commit`, whatever its `.gitattributes` say: the Hub goes by the content as well."""
    candidates = (
        (path, entry.blob)
        for path, entry in entries(repo, commit).items()
        if not entry.is_link and _SMALLEST_POINTER <= entry.size < LARGEST_POINTER
    )
    found = (parse_pointer(path, content(repo, blob)) for path, blob in candidates)
    return tuple(pointer for pointer in found if pointer)


def is_pointer(path: Path) -> bool:
    """Whether the file at `path` is still a pointer instead of its content."""
    try:
        with path.open("rb") as stream:
            head = stream.read(LARGEST_POINTER)
    except OSError:
        return False
    return parse_pointer("", head) is not None
