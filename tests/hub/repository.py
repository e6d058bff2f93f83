"""Repositories on disk, read with git's plumbing."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["model", "dataset", "space"]

_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d+)\n")
_SHA = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Lfs:
    """What an LFS pointer says, and how long the pointer itself is."""

    oid: str
    size: int
    pointer_size: int


@dataclass(frozen=True)
class Entry:
    """One file, folder or submodule in the tree of a commit; `size` is that of the content, not of a pointer."""

    path: str
    type: Literal["file", "directory"]
    oid: str
    size: int
    lfs: Lfs | None = None


@dataclass(frozen=True)
class Commit:
    """One commit."""

    id: str
    date: str
    author: str
    title: str
    message: str


@dataclass
class Repo:
    """A repository and what the Hub knows about it."""

    kind: Kind
    id: str
    path: Path
    private: bool = False
    gated: bool = False
    readers: set[str] = field(default_factory=set)
    info: dict[str, Any] = field(default_factory=dict)
    lfs_objects: set[str] = field(default_factory=set)
    commits: int = 0

    def refs(self) -> dict[str, str]:
        """Every ref with its commit."""
        lines = git(self.path, "for-each-ref", "--format=%(objectname) %(*objectname) %(refname)").decode()
        found = {}
        for line in lines.splitlines():
            direct, peeled, name = line.split(" ", 2)
            found[name] = peeled or direct
        return found

    def resolve(self, revision: str) -> str | None:
        """The commit that a branch, a tag, a full commit id or `refs/...` means."""
        refs = self.refs()
        for name in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if name in refs:
                return refs[name]
        if _SHA.fullmatch(revision) and _exists(self.path, revision):
            return revision
        return None

    def tree(self, commit: str) -> tuple[Entry, ...]:
        """Everything in the tree of `commit`, folders before what is in them."""
        return _tree(self.path, commit)

    def blob(self, oid: str) -> bytes:
        """The content of a blob."""
        return git(self.path, "cat-file", "blob", oid)

    def read(self, commit: str, path: str) -> bytes | None:
        """A file as git stores it, or None."""
        for entry in self.tree(commit):
            if entry.path == path and entry.type == "file":
                return self.blob(entry.oid)
        return None

    def log(self, commit: str) -> list[Commit]:
        """The commits that lead to `commit`, the newest first."""
        out = git(self.path, "log", "-z", "--format=%H%n%ct%n%an%n%s%n%b", commit).decode()
        return [_commit(part) for part in out.split("\0") if part]

    def last_commits(self, commit: str) -> dict[str, Commit]:
        """The newest commit that touched each path, folders included."""
        by_id = {entry.id: entry for entry in self.log(commit)}
        arguments = ("log", "-z", "--first-parent", "--name-only", "--no-renames", "--format=%x01%H")
        found: dict[str, Commit] = {}
        for block in git(self.path, *arguments, commit).decode().split("\x01")[1:]:
            sha, *paths = block.split("\0")
            for path in filter(None, (name.removeprefix("\n") for name in paths)):
                for folder in (path, *map(str, PurePosixPath(path).parents)):
                    found.setdefault(folder, by_id[sha.strip()])
        return found


def git_environment() -> dict[str, str]:
    """The environment without the caller's git settings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return clean | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}


def git(repository: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run git in a bare repository and give what it prints."""
    return subprocess.run(
        ["git", "--git-dir", str(repository), *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        env=git_environment(),
        check=True,
    ).stdout


def create(path: Path) -> None:
    """Make an empty bare repository."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["git", "init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(path)]
    subprocess.run(command, env=git_environment(), check=True)


def _commit(text: str) -> Commit:
    sha, seconds, author, title, message = text.split("\n", 4)
    date = datetime.fromtimestamp(int(seconds), tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return Commit(sha, date, author, title, message)


def _exists(repository: Path, sha: str) -> bool:
    try:
        return git(repository, "cat-file", "-t", sha).strip() == b"commit"
    except subprocess.CalledProcessError:
        return False


@lru_cache(maxsize=256)
def _tree(repository: Path, commit_id: str) -> tuple[Entry, ...]:
    rows = []
    for line in git(repository, "ls-tree", "-r", "-t", "-l", "-z", commit_id).decode().split("\0"):
        if line:
            facts, path = line.split("\t", 1)
            _, kind, oid, size = facts.split()
            rows.append((path, kind, oid, int(size) if size != "-" else 0))
    # A pointer to anything from one byte to an exabyte has between 120 and 150 bytes.
    pointers = _pointers(repository, [oid for _, kind, oid, size in rows if kind == "blob" and 120 <= size <= 150])
    return tuple(
        Entry(path, "directory" if kind == "tree" else "file", oid, lfs.size if lfs else size, lfs)
        for path, kind, oid, size, lfs in ((*row, pointers.get(row[2])) for row in rows)
    )


def _pointers(repository: Path, blobs: Sequence[str]) -> dict[str, Lfs]:
    """Those of `blobs` that are LFS pointers."""
    out = git(repository, "cat-file", "--batch", stdin="".join(f"{oid}\n" for oid in blobs).encode())
    found = {}
    position = 0
    for oid in blobs:
        header, _, _ = out[position:].partition(b"\n")
        size = int(header.split()[2])
        start = position + len(header) + 1
        if match := _POINTER.fullmatch(out[start : start + size]):
            found[oid] = Lfs(match[1].decode(), int(match[2]), size)
        position = start + size + 1
    return found
