"""Lines of requirement files that pip takes and uv refuses, or that never were right: mended, and said."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from spacerun.environment.requirements import Kind, Line, normalize
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

# Names of imports, or of projects that were renamed; their own index entries are empty or refuse to be installed.
_RIGHT_NAMES: Final = {
    "sklearn": "scikit-learn", "skimage": "scikit-image", "cv2": "opencv-python-headless", "opencv": "opencv-python",
    "pil": "pillow", "yaml": "pyyaml", "dotenv": "python-dotenv", "tensorflow-gpu": "tensorflow", "git": "gitpython",
    "huggingface-cli": "huggingface-hub", "whisper-openai": "openai-whisper", "pytorch": "torch",
}  # fmt: skip
# The standard library of this Python, and what newer ones no longer have.
_STANDARD: Final = frozenset(
    normalize(name)
    for name in (*sys.stdlib_module_names, "asynchat", "asyncore", "cgi", "distutils", "imghdr", "imp", "smtpd")
)
_OPTIONS: Final = (
    "--index-url", "-i", "--extra-index-url", "--find-links", "-f", "--no-index", "--no-binary", "--only-binary",
)  # fmt: skip
# pip reads only these from a line with a requirement, and drops all others without a word (its req_file.py).
_HASHES = re.compile(r"\s--hash[=\s]\S+")
_PER_LINE = re.compile(r"\s(?:--?[A-Za-z][\w-]*)(?=[=\s]|$).*$")
_OF_A_PLACEHOLDER = re.compile(r"^(?P<name>[\w.-]+)\s*==\s*0\.0[\w.]*")


@dataclass(frozen=True)
class Mended:
    """Requirement lines as uv takes them.

    Attributes:
        lines: The lines.
        notes: What was changed, one sentence each.
        prerelease: Whether pre-releases are asked for.
    """

    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    prerelease: bool


def mend(lines: Iterable[Line]) -> Mended:
    """Mend `lines`.

    Options that uv does not know and options behind a requirement, which pip ignores, are left out; names of the
    standard library are dropped; names that are known to be wrong are replaced.
    """
    kept: list[Line] = []
    notes: list[str] = []
    prerelease = False
    for line in lines:
        if line.kind is Kind.OPTION:
            word = re.split(r"[=\s]", line.text, maxsplit=1)[0]
            prerelease = prerelease or word == "--pre"
            if word in _OPTIONS:
                kept.append(line)
            elif word != "--pre":
                notes.append(f"{_shown(line)} means nothing here and is left out.")
            continue
        mended = _package(line, notes) if line.kind is Kind.PACKAGE else line
        if mended:
            kept.append(mended)
    return Mended(tuple(kept), tuple(notes), prerelease)


def _package(line: Line, notes: list[str]) -> Line | None:
    line = _without_options(line, notes)
    if line.name in _STANDARD:
        notes.append(f"{_shown(line)} is part of Python itself and is not installed.")
        return None
    if line.name == "python":
        notes.append(f"{_shown(line)} is no package; `python_version` in README.md chooses the Python.")
        return None
    right = _RIGHT_NAMES.get(line.name or "")
    if right is None:
        return line
    notes.append(f"{_shown(line)} is a wrong name: {right} is installed.")
    # A placeholder's version is not one of the real project.
    bounds = "" if _OF_A_PLACEHOLDER.match(line.text) else line.text[len(line.name or "") :]
    return replace(line, text=f"{right}{bounds}", name=right)


def _without_options(line: Line, notes: list[str]) -> Line:
    hashes = "".join(_HASHES.findall(line.text))
    plain = _HASHES.sub("", line.text)
    match = _PER_LINE.search(plain)
    if match is None:
        return line
    notes.append(f"pip ignores {one_line(match[0].strip(), 100)} behind a requirement, and so it is left out.")
    return replace(line, text=plain[: match.start()].rstrip() + hashes)


def _shown(line: Line) -> str:
    return one_line(line.text, 80)
