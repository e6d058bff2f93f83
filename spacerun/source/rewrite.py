"""The edit that gives every launch call of a Space its `share`: decided, made, and checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spacerun.source.launch_calls import Insertion, LaunchCall, find_launch_calls
from spacerun.source.patch import Edit, Rewrite
from spacerun.source.project import Module, Project, read_project
from spacerun.source.python_text import PythonText, SourceError
from spacerun.source.unlaunched import explain
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Longest text of a call shown, in characters.
_SHOWN: Final = 300


@dataclass(frozen=True)
class Wanted:
    """What every launch shall get.

    Attributes:
        share: Whether a share link is wanted. Without it, only calls that may ask for one are changed.
        host: Address in place of a literal `server_name="…"`; None keeps what is written.
        port: Port in place of a literal `server_port=…`; None keeps what is written.
    """

    share: bool
    host: str | None = None
    port: int | None = None


@dataclass(frozen=True)
class _Change:
    """Bytes `start` to `end` of the source become `new`, because `why`; without a reason, it belongs to another."""

    start: int
    end: int
    new: bytes
    why: str


def edit_launch_calls(
    file: str, source: bytes, *, share: bool, host: str | None = None, port: int | None = None
) -> Edit:
    """`edit_project` for one file that stands alone."""
    (edit,) = edit_project(read_project(file, {file: source}.get), Wanted(share, host, port))
    return edit


def edit_project(project: Project, wanted: Wanted) -> tuple[Edit, ...]:
    """Set `share`, and host and port where they are written, in every call of a Space that launches Gradio.

    All other bytes stay as they are. Editing the result again changes nothing. What cannot be edited is left to the
    start-up hook, and said in `rewrites`.

    Returns:
        An `Edit` for the entry file, and for each other file with a launch call.
    """
    try:
        found = find_launch_calls(project)
        calls = found.calls
    except RecursionError:
        entry = project.modules[project.entry]
        return (_unedited(entry, wanted, f"{entry.file} cannot be edited: it is nested too deeply."),)
    ports = {call.server_port.constant for row in calls.values() for call in row if call.server_port}
    if len(ports) > 1:  # each app has a port of its own
        wanted = Wanted(wanted.share, wanted.host)
    plans = {file: _plan(project.modules[file], row, wanted) for file, row in calls.items()}
    edited = {file: _applied(project.modules[file].raw, changes) for file, (changes, _) in plans.items() if changes}
    problems = _problems(project, edited, calls, wanted)

    edits = []
    for file, module in project.modules.items():
        if file in problems:
            edits.append(_unedited(module, wanted, f"{file} cannot be edited: {one_line(problems[file])}."))
        elif file in plans:
            edits.append(Edit(file, module.raw, edited.get(file, module.raw), plans[file][1]))
        elif module.problem and (file == project.entry or b"launch" in module.raw):
            edits.append(_unedited(module, wanted, f"{file} cannot be edited: {one_line(module.problem)}."))
        elif file == project.entry:
            edits.append(Edit(file, module.raw, module.raw, ()))
    handed = [
        Rewrite(use.scope.file, use.expression.lineno, "launch", f"launch with share={wanted.share}", "hook",
                "The method launch is handed to another function, which calls it.")
        for use in found.handed
    ]  # fmt: skip
    if not calls and not handed and not any(edit.rewrites for edit in edits):
        handed = [explain(project, found.mounts, f"every launch of Gradio with share={wanted.share}")]
    return tuple(
        _with(edit, [row for row in handed if row.file == edit.file]) for edit in _covering(edits, project, handed)
    )


def _covering(edits: list[Edit], project: Project, rewrites: list[Rewrite]) -> list[Edit]:
    """`edits`, and an empty one for every other file that `rewrites` name."""
    known = {edit.file for edit in edits}
    others = dict.fromkeys(rewrite.file for rewrite in rewrites if rewrite.file not in known)
    raws = {file: project.modules[file].raw for file in others}
    return [*edits, *(Edit(file, raw, raw, ()) for file, raw in raws.items())]


def _with(edit: Edit, more: list[Rewrite]) -> Edit:
    rewrites = sorted([*edit.rewrites, *more], key=lambda rewrite: rewrite.line)
    return Edit(edit.file, edit.original, edit.edited, tuple(rewrites))


def _unedited(module: Module, wanted: Wanted, why: str) -> Edit:
    rewrite = Rewrite(module.file, 0, "", f"every launch of Gradio with share={wanted.share}", "hook", why)
    return Edit(module.file, module.raw, module.raw, (rewrite,))


def _problems(
    project: Project, edited: Mapping[str, bytes], calls: Mapping[str, tuple[LaunchCall, ...]], wanted: Wanted
) -> dict[str, str]:
    """Why some of the edits must not be made, by file: they are compiled and read again."""
    problems: dict[str, str] = {}
    for file in edited:
        text = project.modules[file].text
        assert text is not None  # noqa: S101 - its calls were found in it
        problems |= _refused(file, text, "")
    result = project.replaced(edited)
    again = find_launch_calls(result).calls
    for file in edited:
        module = result.modules[file]
        if module.text is None or module.problem:
            problems.setdefault(file, f"the result fails, {module.problem}")
            continue
        problems = _refused(file, module.text, "the result fails, ") | problems
        row = again.get(file, ())
        left = [call for call in row if not call.obstacle and _changes(module.text, call, wanted)]
        if left or len(row) != len(calls[file]):
            problems.setdefault(file, "its arguments are not where they seem")
    return problems


def _refused(file: str, text: PythonText, introduction: str) -> dict[str, str]:
    try:
        text.compile()
    except SourceError as error:
        return {file: f"{introduction}{error}"}
    return {}


def _plan(module: Module, calls: Iterable[LaunchCall], wanted: Wanted) -> tuple[list[_Change], tuple[Rewrite, ...]]:
    """What to change in one file, and what to say of it."""
    text, file = module.text, module.file
    assert text is not None  # noqa: S101 - its calls were found in it
    changes: list[_Change] = []
    rewrites: list[Rewrite] = []
    for call in calls:
        shown = one_line(text.show(text.raw[call.shown.start : call.shown.end]), _SHOWN)
        if call.obstacle:
            after = f"{shown} with share={wanted.share}"
            rewrites.append(Rewrite(file, call.line, shown, after, "hook", f"Not edited, because {call.obstacle}."))
            continue
        own = _changes(text, call, wanted)
        if own:
            after = one_line(text.show(_applied(text.raw, own, call.shown.start, call.shown.end)), _SHOWN)
            why = "; ".join(change.why for change in own if change.why) + "."
            rewrites.append(Rewrite(file, call.line, shown, after, "edit", why[0].upper() + why[1:]))
            changes += own
    return changes, tuple(rewrites)


def _changes(text: PythonText, call: LaunchCall, wanted: Wanted) -> list[_Change]:
    """What to change in one call, in the order of the text."""
    changes: list[_Change] = []
    value, name, port = call.share_value, call.server_name, call.server_port
    new = str(wanted.share).encode()
    if value is None:
        if wanted.share or call.share == "in **kwargs":
            changes += _added(call, new)
    elif not (value.literal and bool(value.constant) is wanted.share):
        written = one_line(text.show(text.raw[value.span.start : value.span.end]), 80)
        changes.append(_Change(value.span.start, value.span.end, new, f"share was {written}"))
    if wanted.host and name and isinstance(name.constant, str) and name.constant != wanted.host:
        # A JSON string in ASCII is a Python string too.
        host = json.dumps(wanted.host).encode()
        why = f"server_name={one_line(name.constant, 80)!r} gives way to --host"
        changes.append(_Change(name.span.start, name.span.end, host, why))
    if wanted.port and port and isinstance(port.constant, int) and port.constant != wanted.port:
        why = f"server_port={port.constant} gives way to --port"
        changes.append(_Change(port.span.start, port.span.end, str(wanted.port).encode(), why))
    return sorted(changes, key=lambda change: change.start)


def _added(call: LaunchCall, value: bytes) -> list[_Change]:
    place = call.place
    if isinstance(place, Insertion):
        new = place.before + b"share=" + value + place.after
        return [_Change(place.offset, place.offset, new, "the call had no share")]
    opening, closing = (b"{**(", b")") if place.bare else (b"{**", b"")
    why = "the call may get share from its **kwargs, over which this one wins"
    return [
        _Change(place.start, place.start, opening, why),
        _Change(place.end, place.end, closing + b', "share": ' + value + b"}", ""),
    ]


def _applied(source: bytes, changes: Iterable[_Change], start: int = 0, end: int | None = None) -> bytes:
    """Bytes `start` to `end` of `source` with `changes`, all of which lie within."""
    parts = []
    for change in sorted(changes, key=lambda change: change.start):
        parts += [source[start : change.start], change.new]
        start = change.end
    return b"".join([*parts, source[start:end]])
