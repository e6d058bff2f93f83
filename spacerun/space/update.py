"""What a user (or the app) changed in a working tree, and how it survives an update."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spacerun.errors import RefusedError
from spacerun.paths import write_atomic
from spacerun.space import git
from spacerun.space.pointers import is_pointer
from spacerun.space.tree import read_state
from spacerun.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from git import Repo

    from spacerun.space.find import FoundSpace
    from spacerun.space.pointers import Pointer
    from spacerun.space.tree import Checkout

# Gives, for a working tree, the content that edited files would have without spacerun's own edit, by path.
Unedited = Callable[["Path"], Mapping[str, bytes]]
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Changes:
    """Files of a working tree that differ from its commit.

    Attributes:
        directory: The working tree; None where there is no change.
        paths: Relative paths of changed, new and deleted files.
        contents: Content of those of them that also hold spacerun's edit, without it.
    """

    directory: Path | None
    paths: tuple[str, ...]
    contents: Mapping[str, bytes]

    @classmethod
    def none(cls) -> Changes:
        """No change at all."""
        return cls(None, (), {})

    def refuse_conflicts(self, repo: Repo, before: str | None, found: FoundSpace) -> None:
        """Raise `RefusedError` if upstream changed one of the files too, unless to the same content."""
        if self.directory is None or before is None:
            return
        old, new = _blob_ids(repo, before), _blob_ids(repo, found.commit)
        for path in self.paths:
            if old.get(path) != new.get(path) and self._blob_id(repo, path) != new.get(path):
                raise RefusedError(
                    f"{one_line(path)} was changed here, and upstream as well since {before[:8]}: "
                    "updating would lose one of the two.",
                    hint=f"See both with: git -C {self.directory} diff {found.commit} -- {one_line(path)} ; "
                    f"keep yours by launching {found.id}@{before}, or take it out of {self.directory}.",
                )

    def apply_to(self, directory: Path) -> None:
        """Make the same changes in another working tree."""
        for path in self.paths:
            source, target = (self.directory or directory) / path, directory / path
            if path in self.contents:
                write_atomic(target, self.contents[path], mode=source.stat().st_mode & 0o777)
            elif source.is_symlink() or source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                shutil.copy2(source, target, follow_symlinks=False)
            elif not source.exists():
                target.unlink(missing_ok=True)

    def _blob_id(self, repo: Repo, path: str) -> str | None:
        """The id that git would give the file as it is here; None if it was deleted."""
        if path in self.contents:
            content = self.contents[path]
            return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 - git's own id
        file = (self.directory or git_root(repo)) / path
        if not file.is_file():
            return None
        return str(repo.git.hash_object("--no-filters", "--", str(file)))


def git_root(repo: Repo) -> Path:
    """The repository's folder."""
    from pathlib import Path

    return Path(repo.git_dir)


def changes(checkout: Checkout, unedited: Unedited) -> Changes:
    """What differs between the files of `checkout` and its commit, spacerun's own edit left out."""
    state = read_state(checkout.directory)
    pointers = {pointer.path: pointer for pointer in checkout.pointers}
    filled = state.filled if state else {}
    contents = dict(unedited(checkout.directory))
    repo = git.repository(checkout.directory, git.git_environment("https://"))
    committed = _blob_ids(repo, checkout.commit or "HEAD")
    found = []
    for path in _status(repo):
        if path in contents:
            content = contents[path]
            if hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() != committed.get(path):  # noqa: S324
                found.append(path)
        elif path not in pointers or not _is_as_committed(checkout.directory / path, pointers[path], filled.get(path)):
            found.append(path)
    return Changes(checkout.directory, tuple(found), {path: contents[path] for path in found if path in contents})


def advance(repo: Repo, directory: Path, before: str | None, after: str, *, keep: Changes) -> None:
    """Bring a tree from one commit to another, writing only files that upstream changed and `keep` does not name.

    A kill in between leaves a tree in which every changed file has the old or the new content.
    """
    runner = git.command(directory)
    runner.read_tree("--reset", after)
    old = _blob_ids(repo, before) if before else {}
    new = _blob_ids(repo, after)
    kept = set(keep.paths)
    for path in sorted(old.keys() - new.keys() - kept):
        (directory / path).unlink(missing_ok=True)
    written = [path for path, blob in new.items() if old.get(path) != blob and path not in kept]
    if written:
        runner.checkout_index("-f", "-u", "-z", "--stdin", istream=_nul_separated(written))
    runner.update_ref("--no-deref", "HEAD", after)


def _nul_separated(paths: list[str]) -> object:
    import tempfile

    stream = tempfile.TemporaryFile()  # noqa: SIM115 - GitPython hands it to git as standard input
    stream.write(b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in paths))
    stream.seek(0)
    return stream


def _status(repo: Repo) -> list[str]:
    said = repo.git.status("--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=all")
    return [entry[3:] for entry in said.split("\0") if entry]


def _blob_ids(repo: Repo, commit: str) -> dict[str, str]:
    return {str(blob.path): blob.hexsha for blob in git.blobs(repo, commit)}


def _is_as_committed(path: Path, pointer: Pointer, filled_at: int | None) -> bool:
    """Whether a large file is what its pointer names; its hash is only taken where size and time do not tell."""
    try:
        status = path.stat()
    except OSError:
        return False
    if is_pointer(path):
        return True
    if status.st_size != pointer.size:
        return False
    if filled_at is not None and status.st_mtime_ns == filled_at:
        return True
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest() == pointer.oid
