"""Repositories on disk: bare git repositories and LFS objects, written and read with git's plumbing."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Kind = Literal["model", "dataset", "space"]

LFS_PATTERNS = ("*.bin", "*.ckpt", "*.gguf", "*.h5", "*.onnx", "*.pt", "*.pth", "*.safetensors", "*.zip")
POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d+)\n")
_FIRST_DATE = datetime(2024, 1, 1, tzinfo=timezone.utc)
_SHA = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Executable:
    """A file with the executable bit."""

    content: bytes


@dataclass(frozen=True)
class Symlink:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class Gitlink:
    """A submodule at a commit; its URL is for a `.gitmodules` file to say."""

    commit: str


Content = bytes | str | Path | Executable | Symlink | Gitlink | None


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


class ObjectStore:
    """LFS objects, by SHA-256."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, oid: str) -> Path:
        """Where the object lies."""
        return self.root / oid[:2] / oid[2:4] / oid

    def add(self, content: bytes | Path) -> tuple[str, int]:
        """Keep `content`; its SHA-256 and its size in bytes."""
        if isinstance(content, bytes):
            digest = hashlib.sha256(content)
        else:
            digest = hashlib.sha256()
            with content.open("rb") as stream:
                while piece := stream.read(1 << 20):
                    digest.update(piece)
        target = self.path(digest.hexdigest())
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            shutil.copyfile(content, target)
        return digest.hexdigest(), target.stat().st_size


def read_folder(folder: Path) -> dict[str, Content]:
    """The files below `folder`, as `publish` takes them; without `.git` and `__pycache__`."""
    files: dict[str, Content] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if {".git", "__pycache__"} & set(relative.parts):
            continue
        if path.is_symlink():
            files[relative.as_posix()] = Symlink(str(path.readlink()))
        elif path.is_file():
            executable = os.access(path, os.X_OK)
            files[relative.as_posix()] = Executable(path.read_bytes()) if executable else path
    return files


def commit(
    repo: Repo,
    objects: ObjectStore,
    files: Mapping[str, Content],
    *,
    ref: str,
    message: str,
    date: datetime | None,
    lfs: Sequence[str],
) -> str:
    """Add one commit to `ref`: `files` over what is there, None deletes. A new ref starts from `main`."""
    refs = repo.refs()
    parent = refs.get(ref) or refs.get("refs/heads/main")
    when = date or _FIRST_DATE + timedelta(hours=repo.commits)
    owner = repo.id.split("/")[0]
    signature = f"{owner} <{owner}@users.noreply.huggingface.co> {int(when.timestamp())} +0000"
    text = message.encode()
    stream = [f"commit {ref}\nmark :1\nauthor {signature}\ncommitter {signature}\n".encode(), _data(text)]
    if parent:
        stream.append(f"from {parent}\n".encode())
    changes = dict(files)
    changes.update(_attributes(repo, parent, files, lfs))
    for path, content in changes.items():
        stream.append(_change(repo, objects, path, content, lfs))
    stream.append(b"get-mark :1\ndone\n")
    sha = git(repo.path, "fast-import", "--quiet", "--done", "--force", stdin=b"".join(stream)).decode().strip()
    repo.commits += 1
    return sha


def _attributes(repo: Repo, parent: str | None, files: Mapping[str, Content], lfs: Sequence[str]) -> dict[str, Content]:
    """`.gitattributes` with a line for each LFS pattern: part of the Hub's first commit, extended when needed."""
    given = files.get(".gitattributes")
    if given is not None:
        before = given.read_bytes() if isinstance(given, Path) else given
        text = before if isinstance(before, bytes) else str(before).encode()
    else:
        text = (repo.read(parent, ".gitattributes") or b"") if parent else b""
    used = [p for p in lfs if parent is None or any(_matches(path, (p,)) for path, c in files.items() if c)]
    missing = [p for p in used if f"{p} filter=lfs".encode() not in text]
    if not missing:
        return {}
    lines = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in missing)
    return {".gitattributes": text + lines.encode()}


def _change(repo: Repo, objects: ObjectStore, path: str, content: Content, lfs: Sequence[str]) -> bytes:
    quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if content is None:
        return f"D {quoted}\n".encode()
    if isinstance(content, Gitlink):
        return f"M 160000 {content.commit} {quoted}\n".encode()
    mode = "100644"
    if isinstance(content, Symlink):
        mode, content = "120000", content.target
    elif isinstance(content, Executable):
        mode, content = "100755", content.content
    if isinstance(content, str):
        content = content.encode()
    if mode != "120000" and _matches(path, lfs):
        oid, size = objects.add(content)
        repo.lfs_objects.add(oid)
        content = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode()
    elif isinstance(content, Path):
        content = content.read_bytes()
    return f"M {mode} inline {quoted}\n".encode() + _data(content)


def _commit(text: str) -> Commit:
    sha, seconds, author, title, message = text.split("\n", 4)
    date = datetime.fromtimestamp(int(seconds), tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return Commit(sha, date, author, title, message)


def _data(content: bytes) -> bytes:
    return b"data %d\n" % len(content) + content + b"\n"


def _matches(path: str, patterns: Sequence[str]) -> bool:
    """As `.gitattributes` does: a pattern without a slash looks at the file name."""
    name = path.rsplit("/", 1)[-1]
    return any(fnmatchcase(path if "/" in pattern else name, pattern) for pattern in patterns)


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
        if match := POINTER.fullmatch(out[start : start + size]):
            found[oid] = Lfs(match[1].decode(), int(match[2]), size)
        position = start + size + 1
    return found
