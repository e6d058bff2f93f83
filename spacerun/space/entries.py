"""What a commit holds, and what lies on the disk, in the same terms: git's mode and blob id."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from git import Repo

FILE, EXECUTABLE, LINK = 0o100644, 0o100755, 0o120000
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Entry:
    """A file or symbolic link.

    Attributes:
        mode: `FILE`, `EXECUTABLE` or `LINK`.
        blob: Git's id of its content, for a link of its target.
        size: Size of its content, in bytes.
    """

    mode: int
    blob: str
    size: int

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return self.mode == LINK


def entries(repo: Repo, commit: str) -> dict[str, Entry]:
    """The files and links of `commit`, by path; submodules are left out."""
    found = {}
    for row in repo.git.ls_tree("-r", "-l", "-z", "--full-tree", commit).split("\0"):
        facts, _, path = row.partition("\t")
        if path:
            mode, kind, blob, size = facts.split()
            if kind == "blob":
                found[path] = Entry(_canonical(int(mode, 8)), blob, int(size))
    return found


def content(repo: Repo, blob: str) -> bytes:
    """The content of a blob."""
    return bytes(repo.odb.stream(bytes.fromhex(blob)).read())


def entry_of(content: bytes, mode: int) -> Entry:
    """The entry that git would make of `content` in a file with permission bits `mode`."""
    return Entry(_canonical(mode), _blob_id(content), len(content))


def entry_at(path: Path) -> Entry | None:
    """The entry that git would make of what is at `path`; None if there is no file or link."""
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            target = os.fsencode(path.readlink())
            return Entry(LINK, _blob_id(target), len(target))
        if not stat.S_ISREG(status.st_mode):
            return None
        digest = hashlib.sha1(b"blob %d\0" % status.st_size)  # noqa: S324 - git's own id
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError:
        return None
    return Entry(_canonical(status.st_mode), digest.hexdigest(), status.st_size)


def _blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 - git's own id


def _canonical(mode: int) -> int:
    # Git knows no other permission than that of the owner to execute (git-fast-import(1), "filemodify").
    return LINK if stat.S_ISLNK(mode) else EXECUTABLE if mode & stat.S_IXUSR else FILE
