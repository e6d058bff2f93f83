"""What an expression may stand for, as far as launching Gradio is concerned."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spacerun.source.scopes import Scope

# Whatever gradio 2.9 to 6.31 exports that is, or returns, an object with Gradio's `launch`.
_MAKERS: Final = frozenset({
    "Blocks", "ChatInterface", "Interface", "Launchable", "Parallel", "Series", "Server", "TabbedInterface", "Workflow",
    "load", "load_chat", "load_openapi",
})  # fmt: skip
# `gr.Interface.load(…)`: class methods that return an app.
_CLASS_MAKERS: Final = frozenset({"load", "from_pipeline", "from_config"})


class Kind(Enum):
    """What an expression stands for."""

    GRADIO = "the package, or a part of it"
    MAKER = "a class or function that gives an app"
    APP = "an app"
    LAUNCH = "the method `launch` of an app"
    MOUNT = "`gradio.mount_gradio_app`"
    NOTHING = "no value: None, or an expression that is never evaluated"
    OTHER = "anything else, or unknown"


@dataclass(frozen=True)
class Local:
    """A function or class of the Space; with `instance`, an object of the class."""

    scope: Scope
    instance: bool = False


@dataclass(frozen=True)
class Loaded:
    """A module or package of the Space: its path without `.py` or `/__init__.py`."""

    location: str


Value: TypeAlias = Kind | Local | Loaded


def merge(values: Iterable[Value]) -> Value:
    """The one thing that all `values` are, None aside; OTHER if they differ."""
    distinct = set(values) - {Kind.NOTHING}
    if not distinct:
        return Kind.NOTHING
    return distinct.pop() if len(distinct) == 1 else Kind.OTHER


def gradio_attribute(base: Kind, name: str) -> Kind:
    """What `base.name` is, where `base` is the package, a maker, an app, or none of these."""
    if base is Kind.GRADIO:
        return Kind.MAKER if name in _MAKERS else Kind.MOUNT if name == "mount_gradio_app" else Kind.GRADIO
    if base is Kind.MAKER and name in _CLASS_MAKERS:
        return Kind.MAKER
    if base is Kind.APP:
        return {"launch": Kind.LAUNCH, "queue": Kind.MAKER, "__enter__": Kind.MAKER}.get(name, Kind.OTHER)
    return Kind.NOTHING if base is Kind.NOTHING else Kind.OTHER


def called(function: Kind) -> Kind:
    """What calling `function` gives."""
    return {Kind.MAKER: Kind.APP, Kind.NOTHING: Kind.NOTHING}.get(function, Kind.OTHER)


def alternatives(node: ast.expr) -> list[ast.expr]:
    """The expressions of which `node` has the value of one."""
    match node:
        case ast.Await(value=value) | ast.NamedExpr(value=value):
            return [value]
        case ast.IfExp(body=body, orelse=orelse):
            return [body, orelse]
        case ast.BoolOp(values=values):
            return values
        case _:
            return []
