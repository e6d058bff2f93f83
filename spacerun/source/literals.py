"""Text and paths that a source spells out, as far as they can be told without running it."""

from __future__ import annotations

import ast
import posixpath
from typing import Final

from spacerun.source.scopes import dotted

# Stands for what only running the code could tell.
UNKNOWN: Final = "\0?"
# The Space's folder, whatever it is called where the app runs.
ROOT: Final = "/\0space"
# Where Hugging Face puts a Space: its base images of 2022 to 2025, and since 2026.
_PLACES: Final = ("/home/user/app", "/app")
_SAME: Final = frozenset(
    {"abspath", "realpath", "resolve", "absolute", "str", "Path", "fspath", "normpath", "as_posix"}
)
_HERE: Final = frozenset({"os.getcwd", "Path.cwd", "pathlib.Path.cwd", "os.curdir"})


def literal_text(node: ast.expr, file: str) -> str:
    """The text or path that `node` gives in `file`, `UNKNOWN` in place of what cannot be told.

    Paths that the code makes from its own place begin with `ROOT`.
    """
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Name(id="__file__"):
            return f"{ROOT}/{file}"
        case ast.JoinedStr(values=parts):
            return "".join(literal_text(part, file) for part in parts)
        case ast.FormattedValue(value=value, format_spec=None):
            return literal_text(value, file)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return literal_text(left, file) + literal_text(right, file)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return posixpath.join(literal_text(left, file), literal_text(right, file))
        case ast.Attribute(value=value, attr="parent"):
            return posixpath.dirname(literal_text(value, file)) or "."
        case ast.Subscript(value=ast.Attribute(value=value, attr="parents"), slice=ast.Constant(value=int() as up)):
            text = literal_text(value, file)
            for _ in range(min(up, 100) + 1):
                text = posixpath.dirname(text)
            return text or "."
        case ast.Attribute() if dotted(node) == "sys.executable":
            return "python"
        case ast.Call(func=function, args=arguments):
            return _called(function, arguments, file)
    return UNKNOWN


def _called(function: ast.expr, arguments: list[ast.expr], file: str) -> str:
    name = dotted(function) or ""
    last = function.attr if isinstance(function, ast.Attribute) else name
    if name in _HERE:
        return ROOT
    if last in _SAME and len(arguments) == 1:
        return literal_text(arguments[0], file)
    if last in _SAME and isinstance(function, ast.Attribute) and not arguments:
        return literal_text(function.value, file)
    if last == "dirname" and len(arguments) == 1:
        return posixpath.dirname(literal_text(arguments[0], file)) or "."
    if last == "join" and arguments and name.endswith("path.join"):
        return posixpath.join(*(literal_text(argument, file) for argument in arguments))
    if last in {"Path", "joinpath"} and arguments:
        base = [function.value] if isinstance(function, ast.Attribute) and last == "joinpath" else []
        return posixpath.join(*(literal_text(argument, file) for argument in (*base, *arguments)))
    return UNKNOWN


def within_space(text: str, folder: str = "") -> str | None:
    """The path within the Space that `text` means, seen from its folder `folder`; None if it leads elsewhere."""
    path = posixpath.normpath(posixpath.join(ROOT, folder, text))
    for place in (ROOT, *_PLACES):
        if UNKNOWN not in path and (path == place or path.startswith(place + "/")):
            return path[len(place) + 1 :]
    return None
