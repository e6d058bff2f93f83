"""Entry files that are no Python: shell scripts and Makefiles, and the Python that they start."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

from spacerun.source.spawned import Spawn, started_by

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAKEFILE: Final = re.compile(r"(?:GNU)?makefile|.*\.mk", re.IGNORECASE)
_SHELL_LINE: Final = re.compile(rb"#!\s*(?:/usr/bin/env\s+)?(?:\S*/)?(ba|da|z|k)?sh\b")
_FIRST_BYTES: Final = 256
_MOST_LINES: Final = 2000
_LONGEST_LINE: Final = 2000
_PARTS: Final = re.compile(r"[;&|]+")
# Servers that are given the module of an app: `uvicorn src.main:app`.
_SERVERS: Final = frozenset({"uvicorn", "gunicorn", "hypercorn", "granian", "daphne"})
_APP: Final = re.compile(r"([A-Za-z_][\w.]*):[A-Za-z_]\w*(?:\(.*\))?")


def runner(name: str, content: bytes) -> str | None:
    """The program that runs the file `name`; None for Python, by which Hugging Face runs every entry file.

    Args:
        name: Path of the file.
        content: Its bytes, or the first of them.
    """
    last = name.rpartition("/")[2]
    if _MAKEFILE.fullmatch(last):
        return "make"
    if last.endswith(".py"):
        return None
    line = _SHELL_LINE.match(content[:_FIRST_BYTES])
    if line:
        return f"{(line[1] or b'').decode()}sh"
    return "bash" if last.endswith((".sh", ".bash")) else None


def spawns_of_script(content: bytes) -> Iterator[Spawn]:
    """The Python that the lines of a shell script or a Makefile start, as far as they are written out."""
    lines = content.decode(errors="replace").replace("\\\n", " ").splitlines()
    folder = ""
    for number, line in enumerate(lines[:_MOST_LINES], start=1):
        text = line[:_LONGEST_LINE].strip().lstrip("@-+")
        for part in _PARTS.split("" if text.startswith("#") else text):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:
                words = part.split()
            if words[:1] == ["cd"]:
                folder = words[1] if len(words) > 1 else ""
                continue
            yield from started_by(words, number, folder)
            if any(word.rpartition("/")[2] in _SERVERS for word in words):
                apps = (_APP.fullmatch(word) for word in words)
                yield from (Spawn(number, module=app[1], folder=folder) for app in apps if app)
