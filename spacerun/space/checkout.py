"""Check a found Space out: a tree of its own per commit, or the folder the user named; edits are carried along."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from spacerun.errors import FetchError, RefusedError
from spacerun.paths import locked, write_atomic
from spacerun.space import git, update
from spacerun.space.fetch import fetch, refuse_escaping_links
from spacerun.space.pointers import find_pointers
from spacerun.space.tree import (
    Checkout,
    TreeState,
    checkout_of,
    git_dir_of,
    note_tree,
    noted_tree,
    read_state,
    space_folder,
    tree_directory,
    write_state,
)
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from git import Repo

    from spacerun.progress import Progress
    from spacerun.space.find import FoundSpace
    from spacerun.space.update import Unedited


def check_out(
    found: FoundSpace,
    *,
    directory: Path | None,
    token: str | None,
    progress: Progress,
    unedited: Unedited,
    in_use: Callable[[Path], bool],
    offline: bool = False,
) -> Checkout:
    """The working tree of `found`, made or brought up to date; free of network if the commit is there.

    Args:
        found: The Space and its commit.
        directory: The user's choice of folder; None for one that spacerun owns.
        token: The user's token, or None.
        progress: Told how far the clone is.
        unedited: Gives the content of files without spacerun's own edit.
        in_use: Whether a running app works in a tree.
        offline: Do not touch the network.

    Raises:
        RefusedError: Upstream changed a file that was also changed here, or `directory` is not a clone of ours.
        FetchError: The commit cannot be had.
    """
    git.require_git()
    directory = directory and directory.absolute()
    with (
        git.disk_errors(f"the files of {found.id}"),
        locked(
            f"space-{found.id.replace('/', '--')}", on_wait=lambda: progress.note(f"Another run fetches {found.id}.")
        ),
    ):
        target = directory or tree_directory(found)
        existing = checkout_of(found.id, target)
        state = read_state(target)
        if existing is not None and state is not None and state.advancing_to:
            existing = _advance(existing, state.advancing_to, unedited=unedited)
        if existing is not None and existing.commit == found.commit and _is_for(found, directory):
            if directory is None:
                note_tree(found)
            return existing
        if offline:
            raise FetchError(
                f"{found.id}@{found.commit[:8]} is not on this disk.", hint="Launch it once without --offline."
            )
        if directory is None:
            made = _check_out_tree(found, token=token, progress=progress, unedited=unedited)
            note_tree(found)
            return made
        if in_use(directory):
            raise RefusedError(
                f"An app runs in {directory}, and updating would change its files.",
                hint="Stop it first with: spacerun stop (see `spacerun ps`), or give another --dir.",
            )
        return _check_out_in(found, directory, existing, token=token, progress=progress, unedited=unedited)


def _is_for(found: FoundSpace, directory: Path | None) -> bool:
    """Whether the user's folder holds this very Space, and not one with the same commit, as a duplicate has."""
    if directory is None:
        return True
    return _marker(directory).is_file() and _marker(directory).read_text().strip() == found.id


def _marker(directory: Path) -> Path:
    """The file that makes a folder of the user's one that spacerun may update; it names the Space."""
    return directory / ".git" / "spacerun-space"


def _check_out_tree(found: FoundSpace, *, token: str | None, progress: Progress, unedited: Unedited) -> Checkout:
    folder = space_folder(found.id)
    folder.mkdir(parents=True, exist_ok=True)
    repo = fetch(found, folder / "repository.git", token=token, progress=progress)
    carried = _changes_to_carry(found, repo, unedited)
    refuse_escaping_links(repo, found.commit)
    directory = tree_directory(found)
    if directory.exists():  # without a state: what a kill left
        shutil.rmtree(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        repo.git.worktree("prune")
        # Forced twice: a kill while git adds a working tree leaves it locked (git-worktree(1), "--force").
        repo.git.worktree("add", "--force", "--force", "--detach", "--", str(directory), found.commit)
    except git.command_error() as error:
        raise git.fetch_error(error, f"The files of {found.id}") from error
    carried.apply_to(directory)
    if carried.paths:
        progress.note(f"Carried {len(carried.paths)} changed files over from the tree before.")
    return _complete(found.id, repo, directory, found.commit)


def _check_out_in(
    found: FoundSpace,
    directory: Path,
    existing: Checkout | None,
    *,
    token: str | None,
    progress: Progress,
    unedited: Unedited,
) -> Checkout:
    _refuse_strangers_folder(found, directory)
    write_atomic(_marker(directory), found.id.encode())
    repo = fetch(found, directory / ".git", token=token, progress=progress)
    refuse_escaping_links(repo, found.commit)
    empty = Checkout(found.id, None, directory, directory / ".git")
    return _advance(existing or empty, found.commit, unedited=unedited)


def _refuse_strangers_folder(found: FoundSpace, directory: Path) -> None:
    if not os.path.lexists(directory):
        return
    if not directory.is_dir():
        raise RefusedError(f"{directory} is not a folder.", hint="Give another --dir.")
    if _marker(directory).is_file():
        held = _marker(directory).read_text().strip()
        if held != found.id:
            raise RefusedError(f"{directory} holds {one_line(held)}, not {found.id}.", hint="Give another --dir.")
    # A kill before the marker was written leaves a `.git` that is no repository yet.
    elif any(path.name != ".git" for path in directory.iterdir()) or (directory / ".git" / "HEAD").exists():
        raise RefusedError(
            f"{directory} is not empty, and not a clone that spacerun made.",
            hint="Give another --dir, or launch the folder itself by its path.",
        )


def _advance(existing: Checkout, commit: str, *, unedited: Unedited) -> Checkout:
    """Bring the user's folder to a commit that its repository holds."""
    directory, before = existing.directory, existing.commit
    git.remove_leftovers(directory / ".git")
    repo = git.repository(directory, git.git_environment("https://"))
    keep = update.Changes.none()
    if before:
        keep = update.changes(existing, unedited)
        keep.refuse_conflicts(repo, before, commit, space=existing.space)
        for path, content in unedited(directory).items():
            file = directory / path
            write_atomic(file, content, mode=file.stat().st_mode & 0o777, scratch=directory / ".git")
    try:
        update.advance(repo, directory, before, commit, keep=keep)
    except git.command_error() as error:
        raise git.fetch_error(error, f"The files of {existing.space}") from error
    return _complete(existing.space, repo, directory, commit)


def _changes_to_carry(found: FoundSpace, repo: Repo, unedited: Unedited) -> update.Changes:
    """What the user changed in the tree that this revision last stood for."""
    before = noted_tree(found)
    if before is None or before == found.commit:
        return update.Changes.none()
    previous = checkout_of(found.id, tree_directory(found).with_name(before))
    if previous is None:
        return update.Changes.none()
    changes = update.changes(previous, unedited)
    changes.refuse_conflicts(repo, before, found.commit, space=found.id)
    return changes


def _complete(space: str, repo: Repo, directory: Path, commit: str) -> Checkout:
    pointers = find_pointers(repo, commit)
    known = read_state(directory)
    same = set(known.pointers) & set(pointers) if known else set()
    filled = {pointer.path: known.filled[pointer.path] for pointer in same if known and pointer.path in known.filled}
    write_state(directory, TreeState(commit, pointers, filled))
    return Checkout(space, commit, directory, git_dir_of(space, directory), pointers)
