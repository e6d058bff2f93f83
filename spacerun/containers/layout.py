"""Where in the Space's own files lies what an image has at a path: by the COPY lines of its Dockerfile."""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from spacerun.containers.dockerfile import Copy, Dockerfile

_RUNS_A_FILE: Final = frozenset({"streamlit", "gradio", "chainlit", "solara", "marimo", "mesop", "bokeh", "panel"})
_RUNS_A_MODULE: Final = frozenset({"uvicorn", "gunicorn", "hypercorn", "daphne", "waitress-serve"})


def in_space(dockerfile: Dockerfile, directory: Path, path: str) -> str | None:
    """The path in the Space of what the image has at `path`, absolute there; None where the Space has no such thing.

    Args:
        dockerfile: The Dockerfile.
        directory: The Space's files.
        path: A path in the image, relative to its working folder.
    """
    wanted = posixpath.normpath(posixpath.join(dockerfile.directory, path))
    root = directory.resolve()
    for copy in reversed(dockerfile.copies):
        for name in _candidates(copy, wanted, directory) if copy.stage is None else ():
            found = (directory / name).resolve()
            if found.exists() and found.is_relative_to(root):
                return posixpath.normpath(name)
    return None


def root_of(dockerfile: Dockerfile, directory: Path) -> str | None:
    """The folder of the Space that the image's working folder is a copy of; None where it is laid out otherwise."""
    folder = in_space(dockerfile, directory, ".")
    if folder is not None and (directory / folder).is_dir():
        return "" if folder == "." else folder
    # Copied file by file: as they lie in the Space.
    within = [copy for copy in dockerfile.copies if copy.stage is None and _is_within(dockerfile, copy.target)]
    same = within and all(_keeps_its_place(copy, dockerfile.directory, directory) for copy in within)
    return "" if same else None


def entry_of(dockerfile: Dockerfile, directory: Path, command: Sequence[str]) -> str | None:
    """The Python file of the Space that `command` starts, or None where it starts none that can be told."""
    words = list(command)
    while words and (words[0] in {"exec", "env"} or "=" in words[0]):
        words.pop(0)
    if not words:
        return None
    program, rest = PurePosixPath(words[0]).name, words[1:]
    if program.startswith("python"):
        return _of_python(dockerfile, directory, rest)
    if program in _RUNS_A_FILE:
        return _first(dockerfile, directory, (word for word in rest if word.endswith(".py")))
    if program in _RUNS_A_MODULE:
        return _first(dockerfile, directory, (f for word in rest if ":" in word for f in _module(word.split(":")[0])))
    return None


def _of_python(dockerfile: Dockerfile, directory: Path, words: Sequence[str]) -> str | None:
    for number, word in enumerate(words):
        if word == "-m":
            rest = words[number + 1 :]
            known = bool(rest) and rest[0] in _RUNS_A_FILE | _RUNS_A_MODULE
            if known:
                return entry_of(dockerfile, directory, rest)
            return _first(dockerfile, directory, _module(rest[0]) if rest else ())
        if not word.startswith("-"):
            return _first(dockerfile, directory, (word,))
    return None


def _module(name: str) -> tuple[str, ...]:
    path = name.replace(".", "/")
    return (f"{path}.py", f"{path}/__main__.py", f"{path}/__init__.py")


def _first(dockerfile: Dockerfile, directory: Path, paths: Iterator[str] | Sequence[str]) -> str | None:
    found = (in_space(dockerfile, directory, path) for path in paths)
    return next((path for path in found if path and (directory / path).is_file()), None)


def _candidates(copy: Copy, wanted: str, directory: Path) -> Iterator[str]:
    """Paths in the Space that `copy` may have put at `wanted`."""
    inside = _relative(wanted, copy.target)
    for source in copy.sources:
        name = source.lstrip("/") or "."
        if any(sign in name for sign in "*?["):
            base = posixpath.basename(wanted)
            if inside is not None and PurePosixPath(base).match(posixpath.basename(name)):
                yield posixpath.join(posixpath.dirname(name), base)
        elif (directory / name).is_dir():
            # Of a folder its content is copied, not itself (Dockerfile reference, COPY).
            if inside is not None:
                yield posixpath.join(name, inside)
        elif (copy.into and inside == posixpath.basename(name)) or wanted == copy.target:
            yield name


def _keeps_its_place(copy: Copy, folder: str, directory: Path) -> bool:
    """Whether what `copy` puts into the image's `folder` lies there as in the Space."""
    place = _relative(copy.target, folder) or "."
    for source in copy.sources:
        name = posixpath.normpath(source.lstrip("/") or ".")
        is_file_itself = not copy.into and not (directory / name).is_dir()
        lies_in = posixpath.dirname(name) or "."
        expected = name if is_file_itself or (directory / name).is_dir() else lies_in
        if expected != place:
            return False
    return True


def _is_within(dockerfile: Dockerfile, path: str) -> bool:
    return _relative(path, dockerfile.directory) is not None


def _relative(path: str, folder: str) -> str | None:
    """`path` as seen from `folder`, if it lies there."""
    try:
        return str(PurePosixPath(path).relative_to(folder))
    except ValueError:
        return None
