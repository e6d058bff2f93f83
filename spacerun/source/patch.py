"""A file before and after its edit: shown, taken out again, and what it does to each launch call."""

from __future__ import annotations

import difflib
import os
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from spacerun.source.python_text import PythonText, SourceError
from spacerun.text import one_line, printable


@dataclass(frozen=True)
class Rewrite:
    """What happens to one launch call.

    Attributes:
        file: Path of the file within the Space.
        line: Line of the call, from 1; 0 where no particular call is meant.
        before: The call as it stands, printable, on one line.
        after: The call as it will be; for the hook, with what will be forced on it.
        how: `edit`: in the text of the file; `hook`: by the start-up hook, when it runs.
        why: The reason, as one sentence.
    """

    file: str
    line: int
    before: str
    after: str
    how: Literal["edit", "hook"]
    why: str


@dataclass(frozen=True)
class Edit:
    """One file before and after; both are the same where nothing is edited."""

    file: str
    original: bytes
    edited: bytes
    rewrites: tuple[Rewrite, ...]

    def by_hook(self, why: str) -> Edit:
        """The same where the file must not be written (`why`): the start-up hook does it all."""
        rewrites = (
            replace(rewrite, how="hook", why=why) if rewrite.how == "edit" else rewrite for rewrite in self.rewrites
        )
        return replace(self, rewrites=tuple(rewrites))


def unified_diff(edit: Edit) -> str:
    """The edit as a unified diff that is safe to print; empty if nothing is edited."""
    try:
        encoding = PythonText.decode(edit.original).encoding
    except SourceError:
        encoding = "utf-8"
    before, after = (
        raw.decode(encoding, "replace").removesuffix("\n").split("\n") for raw in (edit.original, edit.edited)
    )
    name = one_line(edit.file)
    lines = [printable(line) for line in difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm="")]
    return "".join(f"{line}\n" for line in lines)


def restore(current: bytes, edit: Edit) -> bytes | None:
    """Take our edit out of a file.

    Args:
        current: The file as it is now, perhaps changed since by the user or by the app.
        edit: The edit we made.

    Returns:
        The file without our edit and with everybody else's changes; None if these touch the same lines.
    """
    if current == edit.edited:
        return edit.original
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    with tempfile.TemporaryDirectory(prefix="spacerun-") as folder:
        contents = {"current": current, "edited": edit.edited, "original": edit.original}
        for name, content in contents.items():
            (Path(folder) / name).write_bytes(content)
        try:
            merge = subprocess.run(
                ["git", "merge-file", "-p", *contents], cwd=folder, env=environment, capture_output=True, check=False
            )
        except OSError:
            return _put_back(current, edit)
    return merge.stdout if merge.returncode == 0 else _put_back(current, edit)


def _put_back(current: bytes, edit: Edit) -> bytes | None:
    """Put back the lines that we edited, where they stand as we left them: to git, a change beside them conflicts."""
    edited, original = edit.edited.splitlines(keepends=True), edit.original.splitlines(keepends=True)
    for kind, start, end, first, last in difflib.SequenceMatcher(None, edited, original, autojunk=False).get_opcodes():
        if kind != "equal":
            ours = b"".join(edited[start:end])
            if not ours or current.count(ours) != 1 or edit.edited.count(ours) != 1:
                return None
            current = current.replace(ours, b"".join(original[first:last]))
    return current
