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
    text = UNKNOWN
    match node:
        case ast.Constant(value=str() as text):
            pass
        case ast.Name(id="__file__"):
            text = f"{ROOT}/{file}"
        case ast.JoinedStr(values=parts):
            text = "".join(literal_text(part, file) for part in parts)
        case ast.FormattedValue(value=value, format_spec=None):
            text = literal_text(value, file)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            text = literal_text(left, file) + literal_text(right, file)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            text = posixpath.join(literal_text(left, file), literal_text(right, file))
        case ast.Call(func=function, args=arguments):
            text = _called(function, arguments, file)
        case ast.Attribute() | ast.Subscript():
            text = _read(node, file)
    return text


def _read(node: ast.Attribute | ast.Subscript, file: str) -> str:
    match node:
        case ast.Attribute(value=value, attr="parent"):
            return _parent(literal_text(value, file))
        case ast.Subscript(value=ast.Attribute(value=value, attr="parents"), slice=ast.Constant(value=int() as up)):
            text = literal_text(value, file)
            for _ in range(min(up, 100) + 1):
                text = _parent(text)
            return text
    return "python" if dotted(node) == "sys.executable" else UNKNOWN


def _parent(path: str) -> str:
    return posixpath.dirname(path) or "."


def _called(function: ast.expr, arguments: list[ast.expr], file: str) -> str:
    name = dotted(function) or ""
    last = function.attr if isinstance(function, ast.Attribute) else name
    on = function.value if isinstance(function, ast.Attribute) else None
    texts = [literal_text(argument, file) for argument in arguments]
    text = UNKNOWN
    if name in _HERE:
        text = ROOT
    elif last in _SAME and len(texts) == 1:
        text = texts[0]
    elif last in _SAME and on and not texts:
        text = literal_text(on, file)
    elif last == "dirname" and len(texts) == 1:
        text = _parent(texts[0])
    elif texts and (last == "Path" or name.endswith("path.join")):
        text = posixpath.join(*texts)
    elif last == "joinpath" and on:
        text = posixpath.join(literal_text(on, file), *texts)
    return text


def within_space(text: str, folder: str = "") -> str | None:
    """The path within the Space that `text` means, seen from its folder `folder`; None if it leads elsewhere."""
    path = posixpath.normpath(posixpath.join(ROOT, folder, text))
    for place in (ROOT, *_PLACES):
        if UNKNOWN not in path and (path == place or path.startswith(place + "/")):
            return path[len(place) + 1 :]
    return None
