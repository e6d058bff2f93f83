"""A call of pip, read: what it installs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIP: Final = re.compile(r"pip(3(\.\d+)?)?")
_PYTHON: Final = re.compile(r"python(3(\.\d+)?)?")
# They change how it is installed, not what.
_SWITCHES: Final = frozenset({
    "--no-cache-dir", "--no-cache", "--upgrade", "-U", "--user", "--quiet", "-q", "--system", "--pre", "--no-input",
    "--break-system-packages", "--disable-pip-version-check", "--root-user-action=ignore", "--prefer-binary",
    "--force-reinstall", "--no-warn-script-location", "--verbose", "-v", "--ignore-installed", "--compile-bytecode",
})  # fmt: skip
_WITH_VALUE: Final = frozenset({"--default-timeout", "--timeout", "--retries", "--progress-bar", "--root-user-action"})
# Every environment has them, in the versions of its day.
_SEED: Final = frozenset({"pip", "setuptools", "wheel", "uv"})


class PipError(Exception):
    """It installs what cannot be installed likewise; the text says what, as a clause."""


@dataclass(frozen=True)
class Pip:
    """What a call of pip installs: requirements, and files of them."""

    packages: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def read_pip(program: str, arguments: Sequence[str]) -> Pip | None:
    """What a command installs; None where it is no call of pip.

    Raises:
        PipError: It takes more than packages and files of requirements.
    """
    words = list(arguments)
    if _PYTHON.fullmatch(program) and words[:2] == ["-m", "pip"]:
        words = words[2:]
    elif program == "uv" and words[:1] == ["pip"]:
        words = words[1:]
    elif not _PIP.fullmatch(program):
        return None
    while words and words[0] in _SWITCHES:
        words.pop(0)
    if words[:1] in (["cache"], ["--version"], ["list"], ["freeze"], ["check"]):
        return Pip()
    if words[:1] != ["install"]:
        raise PipError(f"calls pip otherwise: {one_line(' '.join(words), 60)}")
    return _installed(words[1:])


def _installed(words: list[str]) -> Pip:
    packages: list[str] = []
    files: list[str] = []
    while words:
        word = words.pop(0)
        option, equals, value = word.partition("=")
        if word in _SWITCHES or (option in _WITH_VALUE and equals):
            continue
        if word in _WITH_VALUE:
            words[:1] = []
        elif word in {"-r", "--requirement"}:
            files += words[:1]
            words[:1] = []
        elif option == "--requirement":
            files.append(value)
        elif word.startswith("-r") and not word.startswith("--"):
            files.append(word[2:])
        elif word.startswith("-"):
            raise PipError(f"calls pip with {one_line(word, 60)}")
        elif word.startswith((".", "/")):
            raise PipError(f"installs the folder {one_line(word, 60)} as a package")
        elif re.split(r"[\[=<>~! @]", word)[0].lower() not in _SEED:
            packages.append(word)
    return Pip(tuple(packages), tuple(files))
