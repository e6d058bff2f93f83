"""What is in a container, and which calls hand out what is in one."""

from __future__ import annotations

import ast

from spacerun.source.scopes import ANY, Path

# Functions that give a container with the same elements.
_COPIES = frozenset({"list", "tuple", "set", "reversed", "sorted"})


def elements(display: ast.expr, path: Path) -> list[tuple[ast.expr, Path]] | None:
    """Which expressions the element at `path` of a written-out container may be; None if that cannot be told."""
    if not path:
        return None
    key, rest = path[0], path[1:]
    if isinstance(display, ast.Dict):
        if any(name is None for name in display.keys):
            return None
        pairs = list(zip(display.keys, display.values, strict=True))
        if key is not ANY and all(isinstance(name, ast.Constant) for name, _ in pairs):
            pairs = [(name, value) for name, value in pairs if isinstance(name, ast.Constant) and name.value == key]
        return [(value, rest) for _, value in pairs]
    values = display.elts if isinstance(display, ast.Tuple | ast.List | ast.Set) else []
    if any(isinstance(value, ast.Starred) for value in values):
        return None
    chosen = values[key : key + 1] if isinstance(key, int) else values
    return [(value, rest) for value in chosen]


def subscripted(node: ast.Subscript, path: Path) -> tuple[ast.expr, Path] | None:
    """The container that `node` reads, and the path in it; None for a slice."""
    match node.slice:
        case ast.Slice():
            return None
        case ast.Constant(value=int() | str() as key):
            return node.value, (key, *path)
        case _:
            return node.value, (ANY, *path)


def handed_out(call: ast.Call, path: Path) -> tuple[ast.expr, Path] | None:
    """The container that `call` reads, and the path in it; None for any other call."""
    found: tuple[ast.expr, Path] | None = None
    match call:
        case ast.Call(func=ast.Attribute(value=container, attr="values"), args=[]) if path:
            found = container, (ANY, *path[1:])
        case ast.Call(func=ast.Attribute(value=container, attr="items"), args=[]) if path[1:2] == (1,):
            found = container, (ANY, *path[2:])
        case ast.Call(func=ast.Name(id="enumerate"), args=[container, *_]) if path[1:2] == (1,):
            found = container, (ANY, *path[2:])
        case ast.Call(func=ast.Name(id=name), args=[container]) if path and name in _COPIES:
            found = container, (ANY, *path[1:])
        case ast.Call(func=ast.Name(id="partial") | ast.Attribute(attr="partial"), args=[function, *_]) if not path:
            found = function, ()
    return found


def taken(call: ast.Call) -> tuple[ast.expr, Path] | None:
    """The same for `container.get(key)` and `container.pop(key)`, which other objects may have as well."""
    match call:
        case ast.Call(func=ast.Attribute(value=container, attr="get" | "pop"), args=[ast.Constant(value=key), *_]):
            return container, (key if isinstance(key, int | str) else ANY,)
        case ast.Call(func=ast.Attribute(value=container, attr="get" | "pop")):
            return container, (ANY,)
    return None
