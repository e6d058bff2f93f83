"""The edits in the clone: made, remembered, and taken out again, so that no one else's change is ever lost."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from spacerun.paths import write_atomic
from spacerun.source.compiling import compiles
from spacerun.source.model_names import replace_models
from spacerun.source.patch import Edit, Rewrite, restore
from spacerun.source.project import read_project
from spacerun.source.rewrite import edit_project
from spacerun.space.tree import read_state, update_state
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from spacerun.source.project import Project
    from spacerun.source.rewrite import Wanted
    from spacerun.space.tree import Checkout


@dataclass(frozen=True)
class SourceEdit:
    """What spacerun does to the code of a Space.

    Attributes:
        edits: Each file without and with its edit; those that stay as they are hold the same bytes twice.
        in_clone: Whether the files themselves are edited; else the start-up hook does the same when the app starts.
        imports: Top-level names of the modules that the code imports.
        warnings: What of the app is out of the start-up hook's reach.
        project: The code that was read.
    """

    edits: tuple[Edit, ...]
    in_clone: bool
    imports: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    project: Project | None = field(default=None, compare=False, repr=False)

    @property
    def rewrites(self) -> tuple[Rewrite, ...]:
        """What happens to each launch call, and how."""
        return tuple(rewrite for edit in self.edits for rewrite in edit.rewrites)

    def by_hook(self, why: str) -> SourceEdit:
        """The same where no file may be written (`why`)."""
        return replace(self, edits=tuple(edit.by_hook(why) for edit in self.edits), in_clone=False)


NO_CODE = SourceEdit((), in_clone=False)
"""Of a Space whose code is neither read nor edited."""


def decide(
    checkout: Checkout, app_file: str, wanted: Wanted, *, in_use: bool, models: Mapping[str, str] | None = None
) -> SourceEdit:
    """Decide, without writing, what becomes of the launch calls in the entry file and in all that it leads to.

    Args:
        checkout: The working tree.
        app_file: Path of the entry file in it.
        wanted: What every launch shall get.
        in_use: Whether a running app works in this tree; then the tree is left alone.
        models: Models to name in place of others (old: new).
    """
    directory = checkout.directory
    before = _recorded(directory)

    def read(file: str) -> bytes | None:
        path = directory / file
        # A link that leads out of the Space is not the Space's code.
        if not path.is_file() or not path.resolve().is_relative_to(directory.resolve()):
            return None
        return _without_edits(path.read_bytes(), before.get(file, ()))

    project = read_project(app_file, read)
    edits = replace_models(edit_project(project, wanted), project, models or {})
    warnings = [
        f"{one_line(file)}:{spawn.line} starts Python where the start-up hook does not reach: {spawn.blind}. "
        "A launch of Gradio there stays as it is written."
        for file, spawn in project.out_of_reach
    ]
    source = SourceEdit(edits, in_clone=True, imports=project.imports, warnings=tuple(warnings), project=project)
    if checkout.is_local:
        return source.by_hook("A local folder is never written to.")
    if in_use:
        return source.by_hook("Another app runs from this tree.")
    kept = (
        edit.by_hook(f"{one_line(edit.file)} is a symbolic link.") if _is_linked(directory, edit.file) else edit
        for edit in edits
    )
    return replace(source, edits=tuple(kept))


def apply(checkout: Checkout, decision: SourceEdit, python: Path) -> SourceEdit:
    """Write the decided edits into the clone, as far as the Space's own Python can compile them.

    Returns:
        The decision, with the start-up hook in place of edits that do not compile.
    """
    if not decision.in_clone:
        return decision
    directory = checkout.directory
    before = _recorded(directory)
    current_edits = (_kept_from_changed(edit, directory, before.get(edit.file, ())) for edit in decision.edits)
    decision = replace(decision, edits=tuple(_compiled(edit, python) for edit in current_edits))
    wanted = {
        edit.file: edit
        for edit in decision.edits
        if edit.edited != edit.original and not _is_linked(directory, edit.file)
    }
    # The record comes first, with what the files may hold until each is written: a kill in between loses nothing.
    _record(directory, {file: (*_one(wanted.get(file)), *before.get(file, ())) for file in {**before, **wanted}})
    for file in {**before, **wanted}:
        path = directory / file
        if path.is_file() and not _is_linked(directory, file):
            current = path.read_bytes()
            content = wanted[file].edited if file in wanted else _without_edits(current, before[file])
            if content != current:
                write_atomic(path, content, mode=path.stat().st_mode & 0o777, scratch=checkout.git_dir)
    _record(directory, {file: (edit,) for file, edit in wanted.items()})
    return decision


def unedited(directory: Path) -> Mapping[str, bytes]:
    """Content of the edited files of a tree as it would be without spacerun's edits, by path."""
    return {
        file: _without_edits((directory / file).read_bytes(), edits)
        for file, edits in _recorded(directory).items()
        if (directory / file).is_file()
    }


def _kept_from_changed(edit: Edit, directory: Path, before: Sequence[Edit]) -> Edit:
    """The edit, or none where someone has changed the file since it was decided."""
    path = directory / edit.file
    if edit.edited == edit.original or (path.is_file() and _without_edits(path.read_bytes(), before) == edit.original):
        return edit
    return replace(edit.by_hook(f"{one_line(edit.file)} has changed meanwhile."), edited=edit.original)


def _compiled(edit: Edit, python: Path) -> Edit:
    """The edit, or none where the Space's Python refuses it."""
    reason = compiles(python, edit.edited, edit.file) if edit.edited != edit.original else None
    return replace(edit.by_hook(f"The edit does not compile: {reason}."), edited=edit.original) if reason else edit


def _is_linked(directory: Path, file: str) -> bool:
    """Whether a link stands at `file`, or leads there: another path may name the same file."""
    return (directory / file).resolve() != directory.resolve() / file


def _without_edits(current: bytes, edits: Sequence[Edit]) -> bytes:
    """A file without the one of `edits` that it may hold."""
    if any(current == edit.original for edit in edits):
        return current
    for edit in sorted(edits, key=lambda edit: edit.edited != current):
        restored = restore(current, edit)
        if restored is not None:
            return restored
    # Where the user has changed the very lines, they are the user's now.
    return current


def _one(edit: Edit | None) -> tuple[Edit, ...]:
    return (edit,) if edit else ()


def _recorded(directory: Path) -> dict[str, tuple[Edit, ...]]:
    """The edits that the files of a tree may hold, by path."""
    state = read_state(directory)
    decode = base64.b64decode
    return {
        file: tuple(Edit(file, decode(pair["original"]), decode(pair["edited"]), ()) for pair in pairs)
        for file, pairs in (state.edits if state else {}).items()
    }


def _record(directory: Path, edits: Mapping[str, Sequence[Edit]]) -> None:
    encoded = {
        file: [
            {
                "original": base64.b64encode(edit.original).decode(),
                "edited": base64.b64encode(edit.edited).decode(),
            }
            for edit in pairs
        ]
        for file, pairs in edits.items()
    }
    state = read_state(directory)
    if state is not None and state.edits != encoded:
        update_state(directory, edits=encoded)
