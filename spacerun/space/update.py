"""What a user (or the app) changed in a working tree, and how it survives an update."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from spacerun.errors import RefusedError
from spacerun.paths import sha256, write_atomic
from spacerun.space import git
from spacerun.space.entries import Entry, content, entries, entry_at, entry_of
from spacerun.space.pointers import is_pointer, parse_pointer
from spacerun.space.tree import read_state, update_state
from spacerun.text import one_line

if TYPE_CHECKING:
    from git import Repo

    from spacerun.space.pointers import Pointer
    from spacerun.space.tree import Checkout

# Gives, for a working tree, the content that edited files would have without spacerun's own edit, by path.
Unedited = Callable[[Path], Mapping[str, bytes]]


@dataclass(frozen=True)
class Changes:
    """Files of a working tree that differ from its commit.

    Attributes:
        directory: The working tree; None where there is no change.
        paths: Relative paths of changed, new and deleted files; repositories within it end with a slash.
        contents: Content of those of them that also hold spacerun's edit, without it.
    """

    directory: Path | None
    paths: tuple[str, ...]
    contents: Mapping[str, bytes]

    @classmethod
    def none(cls) -> Changes:
        """No change at all."""
        return cls(None, (), {})

    def refuse_conflicts(self, repo: Repo, before: str, after: str, *, space: str) -> None:
        """Raise `RefusedError` if upstream changed one of the files too, unless to the same content."""
        if self.directory is None or not self.paths:
            return
        old, new = entries(repo, before), entries(repo, after)
        moved = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
        written = moved & new.keys()
        folders = {folder for path in written for folder in _parents(path)}
        for path in self.paths:
            here = path.rstrip("/")
            if path in moved and not self._is(path, new.get(path), repo):
                other = path
            elif here in folders and os.path.lexists(self.directory / here):
                other = here
            else:
                other = next((folder for folder in _parents(here) if folder in written), "")
            if other:
                raise RefusedError(
                    f"{one_line(path)} was changed here, and upstream as well since {before[:8]}: "
                    "updating would lose one of the two.",
                    hint=f"See both with: {self._comparison(other, before, after, new)} ; "
                    f"keep yours by launching {space}@{before}, or take it out of {self.directory}.",
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
            elif path.endswith("/"):
                shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
            elif not source.exists() or target.is_file():
                _remove(target, directory)

    def _is(self, path: str, wanted: Entry | None, repo: Repo) -> bool:
        """Whether the file here is what upstream has now."""
        here = self._entry(path)
        if here is None or wanted is None or here == wanted:
            return here == wanted
        pointer = None if wanted.is_link else parse_pointer(path, content(repo, wanted.blob))
        return pointer is not None and self.directory is not None and _holds(self.directory / path, pointer)

    def _entry(self, path: str) -> Entry | None:
        """What is here without spacerun's edit; None for a deleted file."""
        assert self.directory is not None  # noqa: S101 - there is a change, so there is a tree
        file = self.directory / path
        return entry_of(self.contents[path], file.stat().st_mode) if path in self.contents else entry_at(file)

    def _comparison(self, path: str, before: str, after: str, new: Mapping[str, Entry]) -> str:
        """The git command that shows what is here next to what upstream has."""
        assert self.directory is not None  # noqa: S101 - as above
        both = path in new and (self.directory / path).is_file()
        revisions = [f"{after}:{path}"] if both else [before, after]
        return shlex.join(["git", "-C", str(self.directory), "diff", *revisions, "--", path])


def changes(checkout: Checkout, unedited: Unedited) -> Changes:
    """What differs between the files of `checkout` and its commit, spacerun's own edit left out.

    In a tree whose update was cut short, files of the commit it was being brought to are no changes either.
    """
    directory = checkout.directory
    state = read_state(directory)
    pointers = {pointer.path: pointer for pointer in checkout.pointers}
    filled = state.filled if state else {}
    contents = dict(unedited(directory))
    repo = git.repository(directory, git.git_environment("https://"))
    commits = [checkout.commit or "HEAD", *([state.advancing_to] if state and state.advancing_to else [])]
    expected = [entries(repo, commit) for commit in commits]

    def is_changed(path: str) -> bool:
        file = directory / path
        if path in contents:
            here: Entry | None = entry_of(contents[path], file.stat().st_mode)
        elif path in pointers and _is_as_committed(file, pointers[path], filled.get(path)):
            return False
        else:
            here = entry_at(file)
        if here is None and file.is_dir():
            return True  # a submodule, a folder in place of a file, or a repository that the user or the app made
        return all(here != files.get(path) for files in expected)

    found = tuple(path for path in _status(repo) if is_changed(path))
    return Changes(directory, found, {path: contents[path] for path in found if path in contents})


def advance(repo: Repo, directory: Path, before: str | None, after: str, *, keep: Changes) -> None:
    """Bring a tree from one commit to another, writing only files that upstream changed and `keep` does not name.

    Every file is written beside the tree and then moved in, so that a kill in between leaves a tree in which each
    has the old or the new content; `changes` knows both.
    """
    git_dir = directory / ".git"
    kept = {*keep.paths}
    old = entries(repo, before) if before else {}
    new = entries(repo, after)
    written = [path for path, entry in new.items() if old.get(path) != entry and path not in kept]
    for path in written if before is None else ():
        if entry_at(directory / path) not in {None, new[path]}:
            raise RefusedError(
                f"{directory} holds a file {one_line(path)} that is not the Space's.",
                hint="Move it away, or give another --dir.",
            )
    update_state(directory, advancing_to=after)
    runner = git.command(directory)
    with tempfile.TemporaryDirectory(dir=git_dir, prefix=git.SCRATCH) as scratch:
        runner.update_environment(GIT_INDEX_FILE=str(git_dir / "spacerun-index"))
        runner.read_tree(after)
        if written:
            runner.checkout_index("--prefix=" + scratch + "/", "-z", "--stdin", istream=_nul_separated(written))
        for path in sorted(old.keys() - new.keys() - kept):
            _remove(directory / path, directory)
        for path in written:
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir() and not target.is_symlink():
                _remove_bytecode(target)
            (Path(scratch) / path).replace(target)
    runner = git.command(directory)
    runner.read_tree("--reset", after)
    runner.update_index("-q", "--refresh")
    runner.update_ref("--no-deref", "HEAD", after)


def _nul_separated(paths: list[str]) -> Any:  # noqa: ANN401 - GitPython's type for a stream
    stream = tempfile.TemporaryFile()  # noqa: SIM115 - GitPython hands it to git as standard input
    stream.write(b"".join(os.fsencode(path) + b"\0" for path in paths))
    stream.seek(0)
    return stream


def _status(repo: Repo) -> list[str]:
    """Paths that differ from the commit, also those that a `.gitignore` hides: they may be all a user has."""
    said = repo.git.status(
        "--porcelain=v1",
        "-z",
        "--untracked-files=all",
        "--ignored=traditional",
        "--no-renames",
        "--ignore-submodules=none",
    )
    paths = [entry[3:] for entry in said.split("\0") if entry]
    # Bytecode is Python's, made anew from what lies beside it.
    return [path for path in paths if "__pycache__/" not in path]


def _parents(path: str) -> list[str]:
    return [str(parent) for parent in PurePosixPath(path).parents][:-1]


def _remove(file: Path, directory: Path) -> None:
    """Remove a file, and the folders of `directory` that hold nothing else."""
    if file.is_file() or file.is_symlink():
        file.unlink()
    for folder in file.parents:
        if folder == directory or not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()


def _remove_bytecode(folder: Path) -> None:
    """Remove a folder in which nothing but bytecode can be left."""
    for cache in list(folder.rglob("__pycache__")):
        shutil.rmtree(cache)
    for inner in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        inner.rmdir()
    folder.rmdir()


def _is_as_committed(path: Path, pointer: Pointer, filled_at: int | None) -> bool:
    """Whether a large file is what its pointer names; its hash is only taken where size and time do not tell."""
    try:
        status = path.stat()
    except OSError:
        return False
    if is_pointer(path):
        return True
    return (status.st_size == pointer.size and status.st_mtime_ns == filled_at) or _holds(path, pointer)


def _holds(path: Path, pointer: Pointer) -> bool:
    """Whether the file at `path` is the object that `pointer` names."""
    try:
        return path.stat().st_size == pointer.size and sha256(path) == pointer.oid
    except OSError:
        return False
