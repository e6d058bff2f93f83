"""Check a found Space out: a tree of its own per commit, or the folder the user named; edits are carried along."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from spacerun.errors import FetchError, RefusedError
from spacerun.paths import locked, write_atomic
from spacerun.space import git, update
from spacerun.space.fetch import fetch, refuse_escaping_links
from spacerun.space.find import last_commit
from spacerun.space.pointers import find_pointers
from spacerun.space.tree import (
    Checkout,
    TreeState,
    checkout_of,
    git_dir_of,
    space_folder,
    tree_directory,
    write_state,
)

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
    with locked(
        f"space-{found.id.replace('/', '--')}", on_wait=lambda: progress.note(f"Another run fetches {found.id}.")
    ):
        target = directory or tree_directory(found)
        existing = checkout_of(found.id, target)
        if existing is not None and existing.commit == found.commit:
            return existing
        if offline:
            raise FetchError(
                f"{found.id}@{found.commit[:8]} is not on this disk.", hint="Launch it once without --offline."
            )
        if directory is not None:
            if in_use(directory):
                raise RefusedError(
                    f"An app runs in {directory}, and updating would change its files.",
                    hint="Stop it first with: spacerun stop (see `spacerun ps`), or give another --dir.",
                )
            return _check_out_in(found, directory, existing, token=token, progress=progress, unedited=unedited)
        return _check_out_tree(found, token=token, progress=progress, unedited=unedited)


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
    return _complete(found, repo, directory, carried, progress)


def _check_out_in(
    found: FoundSpace,
    directory: Path,
    existing: Checkout | None,
    *,
    token: str | None,
    progress: Progress,
    unedited: Unedited,
) -> Checkout:
    git_dir = directory / ".git"
    marker = git_dir / "spacerun-space"
    if not marker.is_file() and directory.exists() and any(directory.iterdir()):
        raise RefusedError(
            f"{directory} is not empty, and not a clone that spacerun made.",
            hint="Give another --dir, or launch the folder itself by its path.",
        )
    git_dir.mkdir(parents=True, exist_ok=True)
    if marker.is_file() and marker.read_text().strip() != found.id:
        raise RefusedError(
            f"{directory} holds {marker.read_text().strip()}, not {found.id}.", hint="Give another --dir."
        )
    marker.write_text(found.id)
    repo = fetch(found, git_dir, token=token, progress=progress)
    refuse_escaping_links(repo, found.commit)
    before = existing.commit if existing else None
    for path, content in unedited(directory).items():
        write_atomic(directory / path, content, mode=(directory / path).stat().st_mode & 0o777)
    changes = update.changes(existing, unedited) if existing else update.Changes.none()
    changes.refuse_conflicts(repo, before, found)
    try:
        update.advance(repo, directory, before, found.commit, keep=changes)
    except git.command_error() as error:
        raise git.fetch_error(error, f"The files of {found.id}") from error
    return _complete(found, repo, directory, update.Changes.none(), progress)


def _changes_to_carry(found: FoundSpace, repo: Repo, unedited: Unedited) -> update.Changes:
    """What the user changed in the tree that this revision last stood for."""
    before = last_commit(found.id, found.revision)
    if before is None or before == found.commit:
        return update.Changes.none()
    previous = checkout_of(found.id, tree_directory(found).with_name(before))
    if previous is None:
        return update.Changes.none()
    changes = update.changes(previous, unedited)
    changes.refuse_conflicts(repo, before, found)
    return changes


def _complete(found: FoundSpace, repo: Repo, directory: Path, carried: update.Changes, progress: Progress) -> Checkout:
    carried.apply_to(directory)
    if carried.paths:
        progress.note(f"Carried {len(carried.paths)} changed files over from the tree before.")
    pointers = find_pointers(repo, found.commit)
    write_state(directory, TreeState(found.commit, pointers))
    return Checkout(found.id, found.commit, directory, git_dir_of(found.id, directory), pointers)
