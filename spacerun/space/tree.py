"""A working tree on this disk: where it lies, and what spacerun knows of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from spacerun.paths import home, read_json, write_json
from spacerun.space.pointers import Pointer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from spacerun.space.find import FoundSpace


@dataclass(frozen=True)
class Checkout:
    """A Space's files on this disk.

    Attributes:
        space: `owner/name`, or the folder's path.
        commit: Full commit hash; None for a local folder.
        directory: The working tree.
        git_dir: Its repository; None for a local folder.
        pointers: The files that git-lfs manages, at `commit`.
    """

    space: str
    commit: str | None
    directory: Path
    git_dir: Path | None = None
    pointers: tuple[Pointer, ...] = ()

    @property
    def is_local(self) -> bool:
        """Whether it is the user's own folder, in which nothing is ever written."""
        return self.git_dir is None


@dataclass(frozen=True)
class TreeState:
    """What spacerun knows of a working tree; written last, so that a tree without it is not yet one.

    Attributes:
        commit: The commit checked out.
        pointers: The files that git-lfs manages.
        filled: Modification times (ns) of large files that were put in place without git-lfs, by path.
        large_files: Whether every large file is in place.
        edits: What spacerun has edited, by path: the file before and after (base64), the edit in force first.
        advancing_to: The commit that the tree is being brought to; a kill meanwhile leaves files of both.
    """

    commit: str
    pointers: tuple[Pointer, ...] = ()
    filled: Mapping[str, int] = field(default_factory=dict)
    large_files: bool = False
    edits: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    advancing_to: str | None = None


def space_folder(space: str) -> Path:
    """Folder of all that is kept of `space` (`owner/name`)."""
    return home().spaces / space.replace("/", "--")


def state_file(checkout_directory: Path) -> Path:
    """Where the state of a working tree is kept: beside one of spacerun's own, inside the `.git` of a user's folder."""
    if checkout_directory.parent.name == "trees" and checkout_directory.is_relative_to(home().spaces):
        return checkout_directory.with_name(checkout_directory.name + ".json")
    return checkout_directory / ".git" / "spacerun.json"


def read_state(directory: Path) -> TreeState | None:
    """The state of the working tree in `directory`, or None where there is no complete one."""
    raw = read_json(state_file(directory))
    if not raw or not directory.is_dir():
        return None
    if raw.get("edit"):  # as it was kept when one file could be edited
        raw["edits"] = {raw["edit"]["file"]: [raw["edit"]]}
    known = {field.name: raw[field.name] for field in fields(TreeState) if field.name in raw}
    return TreeState(**{**known, "pointers": tuple(Pointer(**pointer) for pointer in raw["pointers"])})


def update_state(directory: Path, **changes: Any) -> None:  # noqa: ANN401 - the fields of TreeState
    """Change fields of a working tree's state, atomically."""
    state = read_state(directory)
    if state is not None:
        write_state(directory, replace(state, **changes))


def write_state(directory: Path, state: TreeState) -> None:
    """Declare the working tree in `directory` complete."""
    write_json(state_file(directory), asdict(state))


def tree_directory(found: FoundSpace) -> Path:
    """Where the working tree of a found Space lies: one per Space and commit."""
    return space_folder(found.id) / "trees" / found.commit


def note_tree(found: FoundSpace) -> None:
    """Keep which tree a revision was last run from: what the user changed there belongs into the next one."""
    path = _notes(found)
    noted = read_json(path) or {}
    if noted.get(str(found.revision)) != found.commit:
        write_json(path, {**noted, str(found.revision): found.commit})


def noted_tree(found: FoundSpace) -> str | None:
    """The commit of the tree that the revision was last run from; None if there is none."""
    commit = (read_json(_notes(found)) or {}).get(str(found.revision))
    return str(commit) if commit else None


def _notes(found: FoundSpace) -> Path:
    return space_folder(found.id) / "trees.json"


def checkout_of(space: str, directory: Path) -> Checkout | None:
    """The complete working tree of `space` in `directory`, or None."""
    state = read_state(directory)
    if state is None:
        return None
    return Checkout(space, state.commit, directory, git_dir_of(space, directory), state.pointers)


def git_dir_of(space: str, directory: Path) -> Path:
    """The repository behind a working tree: its own `.git`, or the one that all trees of the Space share."""
    standalone = directory / ".git"
    return standalone if standalone.is_dir() else space_folder(space) / "repository.git"
