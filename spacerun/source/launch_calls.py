"""The calls that launch Gradio in one source file, and where their arguments stand."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from spacerun.source.python_text import PythonText, SourceError, Span
from spacerun.source.receivers import Kind, Receivers
from spacerun.source.scopes import ModuleScopes, Use

ShareForm: TypeAlias = Literal["absent", "literal", "expression", "positional", "in **kwargs", "in *args"]

# `launch(inline, inbrowser, share, …)` in every Gradio from 2.9.4 to 6.31.0.
_SHARE_POSITION: Final = 2
# What may stand between two tokens inside parentheses.
_COMMENT: Final = re.compile(rb"#[^\r\n]*")


@dataclass(frozen=True)
class Argument:
    """The value of one argument.

    Attributes:
        span: Where the value stands, parentheses around it excluded.
        literal: Whether it is a constant, `constant`.
        constant: Its value if it is one.
        droppable: Whether evaluating it leaves nothing behind that later code may need.
    """

    span: Span
    literal: bool
    constant: object
    droppable: bool


@dataclass(frozen=True)
class Insertion:
    """Where one more keyword argument goes: `before` + the argument + `after`, at byte `offset`."""

    offset: int
    before: bytes = b""
    after: bytes = b""


@dataclass(frozen=True)
class LaunchCall:
    """One call that launches Gradio.

    Attributes:
        line: Line of the name that is called, from 1.
        shown: From the first character of that line to the closing parenthesis.
        share: How `share` stands in the call.
        share_value: The value of `share`, if it can be seen.
        server_name: The value of the keyword `server_name`, if given.
        insertion: Where a further keyword argument goes.
        obstacle: Why the text of this call cannot be edited, as part of a sentence; None if it can.
    """

    line: int
    shown: Span
    share: ShareForm
    share_value: Argument | None
    server_name: Argument | None
    insertion: Insertion
    obstacle: str | None


def find_launch_calls(source: PythonText) -> tuple[LaunchCall, ...]:
    """The calls in `source` that surely launch Gradio, in the order of the text.

    Left out, for the start-up hook to see to, are calls whose receiver cannot be traced to gradio within the module,
    and those inside an f-string, whose place Python before 3.12 does not know.

    Raises:
        SourceError: This Python cannot compile the source.
    """
    try:
        scopes = ModuleScopes(source.tree)
        receivers = Receivers(scopes)
        calls = [
            _describe(source, use.expression)
            for use in scopes.calls
            if isinstance(use.expression, ast.Call)
            and not use.in_string
            and receivers.value(Use(use.expression.func, use.scope, use.blocks)) is Kind.LAUNCH
        ]
    except RecursionError as error:
        raise SourceError("it is nested too deeply") from error
    return tuple(sorted(calls, key=lambda call: (call.line, call.shown.end)))


def _describe(source: PythonText, call: ast.Call) -> LaunchCall:
    keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    first = call.args[: _SHARE_POSITION + 1]
    starred = any(isinstance(argument, ast.Starred) for argument in first)
    doubled = any(keyword.arg is None for keyword in call.keywords)
    value = keywords.get("share")
    form: ShareForm = "absent"
    if value is not None:
        form = "literal" if isinstance(value, ast.Constant) else "expression"
    elif starred:
        form = "in *args"
    elif len(first) > _SHARE_POSITION:
        form, value = "positional", first[_SHARE_POSITION]
    elif doubled:
        form = "in **kwargs"

    obstacle = None
    if form in {"in *args", "in **kwargs"}:
        obstacle = f"share may be {form}"
    elif value is not None and not _droppable(value):
        obstacle = "the value of share does more than tell whether to share"

    name = call.func.end_lineno or call.func.lineno
    host = keywords.get("server_name")
    return LaunchCall(
        line=name,
        shown=Span(source.line_start(name), source.span(call).end),
        share=form,
        share_value=_argument(source, value) if value is not None else None,
        server_name=_argument(source, host) if host is not None else None,
        insertion=_insertion(source, call),
        obstacle=obstacle,
    )


def _argument(source: PythonText, value: ast.expr) -> Argument:
    constant = value.value if isinstance(value, ast.Constant) else None
    return Argument(source.span(value), isinstance(value, ast.Constant), constant, _droppable(value))


def _droppable(value: ast.expr) -> bool:
    lasting = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
    return not any(isinstance(node, lasting) for node in ast.walk(value))


def _insertion(source: PythonText, call: ast.Call) -> Insertion:
    """Before the first keyword argument; without one, behind the last argument; without any, behind the parenthesis."""
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
