"""The calls that launch Gradio in the modules of a Space, and where their arguments stand."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from spacerun.source.python_text import PythonText, Span
from spacerun.source.receivers import Receivers
from spacerun.source.values import Kind

if TYPE_CHECKING:
    from spacerun.source.project import Project
    from spacerun.source.scopes import Use

ShareForm: TypeAlias = Literal["absent", "literal", "expression", "positional", "in **kwargs", "in *args"]

# `launch(inline, inbrowser, share, …)` in every Gradio from 2.9.4 to 6.31.0.
_SHARE_POSITION: Final = 2
# What may stand between two tokens inside parentheses.
_COMMENT: Final = re.compile(rb"#[^\r\n]*")
# What may follow `**` in a dictionary without parentheses, of all that may in a call.
_PLAIN: Final = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.Dict)


@dataclass(frozen=True)
class Argument:
    """The value of one argument.

    Attributes:
        span: Where the value stands, parentheses around it excluded.
        literal: Whether it is a constant, `constant`.
        constant: Its value if it is one.
    """

    span: Span
    literal: bool
    constant: object


@dataclass(frozen=True)
class Insertion:
    """Text that goes in at byte `offset`, `before` and `after` around the new argument."""

    offset: int
    before: bytes = b""
    after: bytes = b""


@dataclass(frozen=True)
class Merge:
    """A `**` argument that becomes a dictionary with one more item, which wins over what it held.

    Attributes:
        start: Offset behind the `**`.
        end: Offset behind the argument.
        bare: Whether the argument needs parentheses in a dictionary.
    """

    start: int
    end: int
    bare: bool


@dataclass(frozen=True)
class LaunchCall:
    """One call that launches Gradio.

    Attributes:
        line: Line of the name that is called, from 1.
        shown: From the first character of that line to the closing parenthesis.
        share: How `share` stands in the call.
        share_value: The value of `share`, if it can be seen.
        server_name: The value of the keyword `server_name`, if given.
        server_port: The value of the keyword `server_port`, if given.
        place: Where a further argument goes.
        obstacle: Why the text of this call cannot be edited, as part of a sentence; None if it can.
    """

    line: int
    shown: Span
    share: ShareForm
    share_value: Argument | None
    server_name: Argument | None
    server_port: Argument | None
    place: Insertion | Merge
    obstacle: str | None


@dataclass(frozen=True)
class Found:
    """What launches Gradio, or may.

    Attributes:
        calls: The calls that surely launch it, by file, in the order of the text; files without one are left out.
        handed: Where the method `launch` of an app is handed to another function.
        mounts: Calls of `gradio.mount_gradio_app`.
    """

    calls: dict[str, tuple[LaunchCall, ...]]
    handed: tuple[Use, ...]
    mounts: tuple[Use, ...]


def find_launch_calls(project: Project) -> Found:
    """Search all modules of a Space.

    Left out of `calls`, for the start-up hook to see to, are those whose receiver cannot be traced to gradio.

    Raises:
        RecursionError: The code is nested, or its names depend on one another, too deeply.
    """
    searched = [module.scopes for module in project.modules.values() if module.scopes and _may_launch(module.raw)]
    uses = [use for scopes in searched for use in scopes.calls]
    functions = [use.of(use.expression.func) for use in uses if isinstance(use.expression, ast.Call)]
    handed = [use for scopes in searched for use in scopes.launches]
    kinds = Receivers(project).values([*functions, *handed])
    found: dict[str, list[LaunchCall]] = {}
    for use, kind in zip(uses, kinds, strict=False):
        file = use.scope.file
        text = project.modules[file].text
        if kind is Kind.LAUNCH and text and isinstance(use.expression, ast.Call):
            found.setdefault(file, []).append(_describe(text, use.expression, use))
    return Found(
        {file: tuple(sorted(calls, key=lambda call: (call.line, call.shown.end))) for file, calls in found.items()},
        tuple(use for use, kind in zip(handed, kinds[len(uses) :], strict=True) if kind is Kind.LAUNCH),
        tuple(use for use, kind in zip(uses, kinds, strict=False) if kind is Kind.MOUNT),
    )


def _may_launch(raw: bytes) -> bool:
    # Encodings that do not keep ASCII are none that Python reads sources in.
    return b"launch" in raw or b"mount_gradio_app" in raw


def _describe(source: PythonText, call: ast.Call, use: Use) -> LaunchCall:
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    doubled = [keyword for keyword in call.keywords if keyword.arg is None]
    first = call.args[: _SHARE_POSITION + 1]
    starred = any(isinstance(argument, ast.Starred) for argument in first)
    merged = _written_out(doubled[0].value) if len(doubled) == 1 else {}
    value = keywords.get("share")
    form: ShareForm = "absent"
    if value is not None:
        form = "literal" if isinstance(value, ast.Constant) else "expression"
    elif starred:
        form = "in *args"
    elif len(first) > _SHARE_POSITION:
        form, value = "positional", first[_SHARE_POSITION]
    elif doubled:
        form, value = "in **kwargs", merged.get("share") if merged else None

    obstacle = None
    if use.in_string:
        obstacle = "it stands inside an f-string"
    elif form == "in *args":
        obstacle = "share may be in *args"
    elif form == "in **kwargs" and len(doubled) > 1:
        obstacle = "share may be in one of several **kwargs"
    elif value is not None and not _droppable(value):
        obstacle = "the value of share does more than tell whether to share"
    elif len(call.args) == 1 and isinstance(call.args[0], ast.GeneratorExp) and not call.keywords:
        obstacle = "a generator without parentheses must be the only argument"

    line = call.func.end_lineno or call.func.lineno
    names = {"server_name", "server_port"} & keywords.keys() if not use.in_string else set()
    named = {name: _argument(source, keywords[name]) for name in names}
    return LaunchCall(
        line=line,
        # Before Python 3.12, nodes within an f-string have no true place.
        shown=source.whole_line(line) if use.in_string else Span(source.line_start(line), source.span(call).end),
        share=form,
        share_value=None if value is None or use.in_string else _argument(source, value),
        server_name=named.get("server_name"),
        server_port=named.get("server_port"),
        place=Insertion(0) if obstacle else _place(source, call, doubled if form == "in **kwargs" else []),
        obstacle=obstacle,
    )


def _written_out(value: ast.expr) -> dict[str, ast.expr]:
    """The items of a dictionary that nothing within it can override."""
    items: dict[str, ast.expr] = {}
    if isinstance(value, ast.Dict):
        for key, item in zip(value.keys, value.values, strict=True):
            if not isinstance(key, ast.Constant):
                items.clear()
            elif isinstance(key.value, str):
                items[key.value] = item
    return items


def _argument(source: PythonText, value: ast.expr) -> Argument:
    constant = value.value if isinstance(value, ast.Constant) else None
    return Argument(source.span(value), isinstance(value, ast.Constant), constant)


def _droppable(value: ast.expr) -> bool:
    lasting = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
    return not any(isinstance(node, lasting) for node in ast.walk(value))


def _place(source: PythonText, call: ast.Call, doubled: list[ast.keyword]) -> Insertion | Merge:
    """In `**kwargs`, else before the first keyword, else behind the last argument, else behind the parenthesis."""
    if doubled:
        span, value = source.span(doubled[0]), source.span(doubled[0].value)
        return Merge(span.start + 2, span.end, bare=span.end == value.end and not isinstance(doubled[0].value, _PLAIN))
    if call.keywords:
        return Insertion(source.span(call.keywords[0]).start, after=b", ")
    closing = source.span(call).end - 1
    behind = source.span(call.args[-1] if call.args else call.func).end
    # Comments blanked out, so that what is searched below is code, at the same offsets.
    rest = _COMMENT.sub(lambda comment: b" " * len(comment[0]), source.raw[behind:closing])
    if not call.args:
        return Insertion(behind + rest.index(b"(") + 1)
    if b"," in rest:
        return Insertion(behind + rest.index(b",") + 1, before=b" ")
    return Insertion(behind + len(rest.rstrip(b" \t\f\r\n\\")), before=b", ")
