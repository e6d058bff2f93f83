"""The command line of an app, which is started without arguments: every option has its default."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from spacerun.needs.values import NONE, UNKNOWN, Const, Mapping, Sequence, Values, certain, merge, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.needs.flow import Flow
    from spacerun.source.scopes import Use

PARSERS: Final = frozenset({"parse_args", "parse_known_args", "parse_args_into_dataclasses"})
_FLAGS: Final = {"store_true": False, "store_false": True}


def parsed(flow: Flow, method: str) -> Values:
    """What `parse_args()` gives: for each `add_argument` anywhere in the Space, its default."""
    items: dict[str, Values] = {}
    for scopes in flow.project.all_scopes():
        for use in scopes.calls_by_name.get("add_argument", []):
            for name in _names(flow, use):
                value = _default(flow, use)
                items[name] = merge([items[name], value]) if name in items else value
    options = Mapping(tuple(((Const(name),), values) for name, values in items.items()))
    return (Sequence(((options,), UNKNOWN)),) if method == "parse_known_args" else (options,)


def _names(flow: Flow, use: Use) -> Iterator[str]:
    """The attribute that an option fills (argparse, "dest")."""
    given = flow.arguments(use, None, "dest")
    if given is not None:
        yield from texts(given)
        return
    call = use.expression
    flags = [
        node.value
        for node in (call.args if isinstance(call, ast.Call) else [])
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    long = [flag for flag in flags if flag.startswith("--")] or flags
    if long:
        yield long[0].lstrip("-").replace("-", "_")


def _default(flow: Flow, use: Use) -> Values:
    action = texts(flow.arguments(use, None, "action") or ())
    default = flow.arguments(use, None, "default")
    if default is not None:
        return default if certain(default) else merge([default, UNKNOWN])
    return (Const(_FLAGS[action[0]]),) if action and action[0] in _FLAGS else NONE
