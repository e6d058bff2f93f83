"""The edit in the clone: made, remembered, and taken out again, so that no one else's change is ever lost."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spacerun.paths import write_atomic
from spacerun.source.rewrite import Edit, Rewrite, compiles, edit_launch_calls, restore
from spacerun.space.tree import read_state, update_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from spacerun.space.tree import Checkout


@dataclass(frozen=True)
class SourceEdit:
    """What spacerun does to the entry file.

    Attributes:
        edit: The file without and with the edit.
        in_clone: Whether the file itself is edited; else the start-up hook does the same when the app starts.
        rewrites: What happens to each launch call, and how.
    """

    edit: Edit
    in_clone: bool
    rewrites: tuple[Rewrite, ...]


def decide(checkout: Checkout, app_file: str, *, share: bool, host: str, in_use: bool) -> SourceEdit:
    """Decide, without writing, what becomes of the launch calls in the entry file.

    Args:
        checkout: The working tree.
        app_file: Path of the entry file in it.
        share: Whether a share link is wanted.
        host: Address that the app shall bind.
        in_use: Whether a running app works in this tree; then the tree is left alone.
    """
    path = checkout.directory / app_file
    current = path.read_bytes()
    edit = edit_launch_calls(app_file, _without_edit(checkout.directory, app_file, current), share=share, host=host)
    if checkout.is_local:
        return SourceEdit(edit, in_clone=False, rewrites=edit.by_hook("A local folder is never written to."))
    if in_use:
        return SourceEdit(edit, in_clone=False, rewrites=edit.by_hook("Another app runs from this tree."))
    if path.is_symlink():
        return SourceEdit(edit, in_clone=False, rewrites=edit.by_hook(f"{app_file} is a symbolic link."))
    return SourceEdit(edit, in_clone=True, rewrites=edit.rewrites)


def apply(checkout: Checkout, decision: SourceEdit, python: Path) -> SourceEdit:
    """Write the decided edit into the clone, if the Space's own Python can compile it.

    Returns:
        The decision, with the start-up hook in place of an edit that does not compile.
    """
    edit = decision.edit
    if not decision.in_clone:
        return decision
    directory = checkout.directory
    path = directory / edit.file
    current = path.read_bytes()
    if _without_edit(directory, edit.file, current) != edit.original:
        # Someone has changed the file while the environment was made.
        return SourceEdit(edit, in_clone=False, rewrites=edit.by_hook(f"{edit.file} has changed meanwhile."))
    if edit.edited != edit.original:
        reason = compiles(python, edit.edited, edit.file)
        if reason:
            edit = Edit(edit.file, edit.original, edit.original, edit.by_hook(f"The edit does not compile: {reason}"))
            decision = SourceEdit(edit, in_clone=True, rewrites=edit.rewrites)
    mode = path.stat().st_mode & 0o777
    # The old edit goes, then its record, then comes the new edit: a kill in between leaves nothing of unknown origin.
    if current not in {edit.original, edit.edited}:
        write_atomic(path, edit.original, mode=mode, scratch=checkout.git_dir)
    update_state(directory, edit=_to_json(edit) if edit.edited != edit.original else None)
    if path.read_bytes() != edit.edited:
        write_atomic(path, edit.edited, mode=mode, scratch=checkout.git_dir)
    return decision


def unedited(directory: Path) -> Mapping[str, bytes]:
    """Content of the edited files of a tree as it would be without spacerun's edit, by path."""
    state = read_state(directory)
    if state is None or not state.edit:
        return {}
    name = state.edit["file"]
    path = directory / name
    if path.is_symlink() or not path.is_file():
        return {}
    return {name: _without_edit(directory, name, path.read_bytes())}


def _without_edit(directory: Path, name: str, current: bytes) -> bytes:
    state = read_state(directory)
    if state is None or not state.edit or state.edit["file"] != name:
        return current
    before = Edit(name, base64.b64decode(state.edit["original"]), base64.b64decode(state.edit["edited"]), ())
    if current == before.original:
        return current
    restored = restore(current, before)
    # Where the user has changed the very lines, they are the user's now.
    return current if restored is None else restored


def _to_json(edit: Edit) -> dict[str, str]:
    return {
        "file": edit.file,
        "original": base64.b64encode(edit.original).decode(),
        "edited": base64.b64encode(edit.edited).decode(),
    }
