"""The edit that names another model: only where its name stands as a string of its own, all other bytes stay."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from spacerun.source.patch import Edit, Rewrite
from spacerun.source.python_text import PythonText, SourceError
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spacerun.source.project import Project

# What may stand around a model's name: `gr.load("models/owner/name")`, an address on the Hub.
_BEFORE: Final = rb"(?:models/|huggingface/|https?://(?:www\.)?(?:huggingface\.co|hf\.co)/)?"
_AFTER: Final = rb"(?:/(?:resolve|blob|raw|tree)/[^\"'\\\r\n]*)?"


def replace_models(edits: tuple[Edit, ...], project: Project, models: Mapping[str, str]) -> tuple[Edit, ...]:
    """`edits`, and in all files of the Space each of `models` (old: new) under its new name.

    What does not stand as a string of its own (`f"{owner}/name"`) is left to the start-up hook, and so is all that
    the code reads from elsewhere.
    """
    if not models:
        return edits
    known = {edit.file: edit for edit in edits}
    for file, module in project.modules.items():
        edit = known.get(file) or Edit(file, module.raw, module.raw, ())
        renamed = _renamed(edit, models)
        if renamed is not edit:
            known[file] = renamed
    return tuple(known.values())


def _renamed(edit: Edit, models: Mapping[str, str]) -> Edit:
    if not any(old.encode() in edit.edited for old in models):
        return edit
    try:
        text = PythonText.decode(edit.edited)
        rows = sorted(_names(text, models))
        if not rows:
            return edit
        parts, start = [], 0
        for place, stop, _, _, new in rows:
            parts += [edit.edited[start:place], new]
            start = stop
        result = b"".join([*parts, edit.edited[start:]])
        if not _differ_in_names_only(text, PythonText.decode(result), models):
            return edit
    except (SourceError, RecursionError):
        return edit
    rewrites = [
        Rewrite(
            edit.file, line, one_line(text.show(edit.edited[place:stop])), one_line(text.show(new)), "edit",
            f"{old} is replaced by {models[old]}.",
        )
        for place, stop, line, old, new in rows
    ]  # fmt: skip
    return replace(edit, edited=result, rewrites=(*edit.rewrites, *rewrites))


def _names(text: PythonText, models: Mapping[str, str]) -> Iterator[tuple[int, int, int, str, bytes]]:
    """Where a string names one of `models`: start, end, line, the model, the new string."""
    for node in ast.walk(text.tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        for old, new in models.items():
            if old not in node.value:
                continue
            span = text.span(node)
            raw = text.raw[span.start : span.end]
            name = re.escape(old.encode())
            whole = rb"([uUrR]?)(\"\"\"|'''|\"|')(" + _BEFORE + rb")" + name + rb"(" + _AFTER + rb")\2"
            if match := re.fullmatch(whole, raw):
                written = match[1] + match[2] + match[3] + new.encode() + match[4] + match[2]
                yield span.start, span.end, node.lineno, old, written


def _differ_in_names_only(before: PythonText, after: PythonText, models: Mapping[str, str]) -> bool:
    """Whether the syntax trees are the same once the names are."""

    def dump(text: PythonText) -> str:
        shown = ast.dump(text.tree)
        for old, new in models.items():
            shown = shown.replace(old, new)
        return shown

    return dump(before) == dump(after)
