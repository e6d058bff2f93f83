"""Writing to a repository: contents, LFS objects, commits."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from tests.hub.repository import git

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.hub.repository import Repo

LFS_PATTERNS = ("*.bin", "*.ckpt", "*.gguf", "*.h5", "*.onnx", "*.pt", "*.pth", "*.safetensors", "*.zip")
_FIRST_DATE = datetime(2024, 1, 1, tzinfo=timezone.utc)


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


@dataclass(frozen=True)
class Sparse:
    """A file of `size` bytes of which only the first, `head`, are given: the rest is a hole that takes no disk space.

    Always an LFS object. Its id is the SHA-256 of the size and the head, not of the content, which nobody can hash in
    passable time; so it can be asked for by range, but git-lfs refuses it after downloading it whole.
    """

    head: bytes
    size: int


Content = bytes | str | Path | Executable | Symlink | Gitlink | Sparse | None


class ObjectStore:
    """LFS objects, by SHA-256."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, oid: str) -> Path:
        """Where the object lies."""
        return self.root / oid[:2] / oid[2:4] / oid

    def add(self, content: bytes | Path | Sparse) -> tuple[str, int]:
        """Keep `content`; its SHA-256 (see `Sparse`) and its size in bytes."""
        if isinstance(content, bytes):
            digest = hashlib.sha256(content)
        elif isinstance(content, Sparse):
            digest = hashlib.sha256(b"%d\n" % content.size + content.head)
        else:
            digest = hashlib.sha256()
            with content.open("rb") as stream:
                while piece := stream.read(1 << 20):
                    digest.update(piece)
        target = self.path(digest.hexdigest())
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        elif isinstance(content, Sparse):
            target.write_bytes(content.head)
            os.truncate(target, content.size)
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
    if isinstance(content, Sparse) or (mode != "120000" and _matches(path, lfs)):
        oid, size = objects.add(content)
        repo.lfs_objects.add(oid)
        content = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode()
    elif isinstance(content, Path):
        content = content.read_bytes()
    return f"M {mode} inline {quoted}\n".encode() + _data(content)


def _data(content: bytes) -> bytes:
    return b"data %d\n" % len(content) + content + b"\n"


def _matches(path: str, patterns: Sequence[str]) -> bool:
    """As `.gitattributes` does: a pattern without a slash looks at the file name."""
    name = path.rsplit("/", 1)[-1]
    return any(fnmatchcase(path if "/" in pattern else name, pattern) for pattern in patterns)
