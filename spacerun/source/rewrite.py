"""The edit that gives every launch call its `share`: made, compiled, shown, and taken out again."""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from spacerun.source.launch_calls import LaunchCall, find_launch_calls
from spacerun.source.python_text import PythonText, SourceError
from spacerun.text import one_line, printable

# Longest text of a call shown, in characters.
_SHOWN = 300
# Runs in the Space's Python, 3.7 and later: prints why the source on stdin does not compile.
_COMPILE = """
import sys
try:
    compile(sys.stdin.buffer.read(), sys.argv[1], "exec", dont_inherit=True)
except SyntaxError as error:
    text = "%s (%s, line %s)" % (error.msg, sys.argv[1], error.lineno)
except Exception as error:
    text = "%s: %s" % (type(error).__name__, error)
else:
    sys.exit(0)
sys.stdout.buffer.write(text.encode("utf-8", "replace"))
sys.exit(1)
"""
_COMPILE_SECONDS = 60


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

    def by_hook(self, why: str) -> tuple[Rewrite, ...]:
        """The same rewrites where the file must not be written (`why`): the start-up hook does them all."""
        return tuple(
            replace(rewrite, how="hook", why=why) if rewrite.how == "edit" else rewrite for rewrite in self.rewrites
        )


@dataclass(frozen=True)
class _Change:
    """Bytes `start` to `end` of the source become `new`, because `why`."""

    start: int
    end: int
    new: bytes
    why: str


def edit_launch_calls(file: str, source: bytes, *, share: bool, host: str | None) -> Edit:
    """Set `share`, and the host where one is written, in every literal call that launches Gradio.

    All other bytes stay as they are. Editing the result again changes nothing. What cannot be edited is left to the
    start-up hook, and said in `rewrites`.

    Args:
        file: Path of the file within the Space, for messages.
        source: Its bytes.
        share: Whether a share link is wanted. Without it, only calls that ask for one are changed.
        host: Address to listen on, in place of a literal `server_name="…"`; None keeps what is written.
    """
    try:
        text = PythonText.decode(source)
        calls = find_launch_calls(text)
    except SourceError as error:
        return _unedited(file, source, share, f"{file} cannot be edited: {one_line(str(error))}.")
    if not calls:
        return _unedited(file, source, share, f"No call in {file} could be traced to Gradio's launch().")

    changes: list[_Change] = []
    rewrites: list[Rewrite] = []
    for call in calls:
        shown = one_line(text.show(source[call.shown.start : call.shown.end]), _SHOWN)
        if call.obstacle:
            after = f"{shown} with share={share}"
            rewrites.append(Rewrite(file, call.line, shown, after, "hook", f"Not edited, because {call.obstacle}."))
            continue
        own = _changes(text, call, share=share, host=host)
        if own:
            after = one_line(text.show(_apply(source, own, call.shown.start, call.shown.end)), _SHOWN)
            why = "; ".join(change.why for change in own) + "."
            rewrites.append(Rewrite(file, call.line, shown, after, "edit", why[0].upper() + why[1:]))
            changes += own

    edited = _apply(source, changes, 0, len(source))
    try:
        result = PythonText.decode(edited)
        left = [call for call in find_launch_calls(result) if _changes(result, call, share=share, host=host)]
    except SourceError as error:
        return _unedited(file, source, share, f"{file} cannot be edited: the result fails, {one_line(str(error))}.")
    if any(not call.obstacle for call in left):
        return _unedited(file, source, share, f"{file} cannot be edited: its arguments are not where they seem.")
    return Edit(file, source, edited, tuple(rewrites))


def _unedited(file: str, source: bytes, share: bool, why: str) -> Edit:  # noqa: FBT001 - private
    rewrite = Rewrite(file, 0, "", f"every launch of Gradio with share={share}", "hook", why)
    return Edit(file, source, source, (rewrite,))


def _changes(text: PythonText, call: LaunchCall, *, share: bool, host: str | None) -> list[_Change]:
    """What to change in one call, in the order of the text."""
    changes: list[_Change] = []
    value, name = call.share_value, call.server_name
    if value is None:
        if share:
            place = call.insertion
            new = place.before + b"share=True" + place.after
            changes.append(_Change(place.offset, place.offset, new, "the call had no share"))
    elif not (value.literal and bool(value.constant) is share):
        written = one_line(text.show(text.raw[value.span.start : value.span.end]), 80)
        new = str(share).encode()
        changes.append(_Change(value.span.start, value.span.end, new, f"share was {written}"))
    if host and name and isinstance(name.constant, str) and name.constant != host:
        # A JSON string in ASCII is a Python string too.
        new = json.dumps(host).encode()
        why = f"server_name={one_line(name.constant, 80)!r} gives way to --host"
        changes.append(_Change(name.span.start, name.span.end, new, why))
    return sorted(changes, key=lambda change: change.start)


def _apply(source: bytes, changes: list[_Change], start: int, end: int) -> bytes:
    """Bytes `start` to `end` of `source` with `changes`, all of which lie within."""
    parts = []
    for change in sorted(changes, key=lambda change: change.start):
        parts += [source[start : change.start], change.new]
        start = change.end
    return b"".join([*parts, source[start:end]])


def compiles(python: Path, source: bytes, filename: str) -> str | None:
    """Compile `source` by the interpreter `python`, without running it.

    Returns:
        None if it compiles, else the reason as one printable line.
    """
    command = [str(python), "-I", "-W", "ignore", "-c", _COMPILE, filename]
    try:
        done = subprocess.run(command, input=source, capture_output=True, timeout=_COMPILE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return one_line(f"{python} could not compile it: {error}")
    if done.returncode == 0:
        return None
    said = done.stdout or done.stderr or f"{python} ended with status {done.returncode}".encode()
    return one_line(said.decode("utf-8", "replace"))


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
            return None
    return merge.stdout if merge.returncode == 0 else None
