"""Debian packages that a Space names in packages.txt: which are missing here, and how they are installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from spacerun.environment.uv import STAGE, clean_environment
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from spacerun.progress import Progress

_LARGEST: Final = 64 << 10
_MOST: Final = 200
# Debian Policy 5.6.1; a version behind `=` is of the day, and its package long gone from the mirrors.
_NAME = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?::[a-z0-9-]+)?(?:=[\w.+:~-]+)?")
# What these became: libgl1-mesa-glx went in Debian 13 and Ubuntu 24.04, where libgl1 has the same library.
_RENAMED: Final = {"libgl1-mesa-glx": "libgl1", "libegl1-mesa": "libegl1", "libgles2-mesa": "libgles2"}
_UNKNOWN = re.compile(r"(?:Unable to locate package|Package '?)\s*'?(?P<name>[a-z0-9][a-z0-9+.-]+)")
_APT_SECONDS: Final = 900


class Consent(str, Enum):
    """Whether system packages may be installed."""

    ASK = "ask"
    YES = "yes"
    NO = "no"


@dataclass(frozen=True)
class SystemPackages:
    """What packages.txt asks for.

    Attributes:
        names: Packages, by their names of today.
        missing: Those that are not installed; None where this system has no dpkg to ask.
        refused: What stands there and cannot be a package's name.
    """

    names: tuple[str, ...] = ()
    missing: tuple[str, ...] | None = ()
    refused: tuple[str, ...] = ()


def read_system_packages(directory: Path) -> SystemPackages:
    """What the packages.txt of the Space in `directory` asks for, and what of it this system lacks."""
    words = _words(directory / "packages.txt")
    matches = {word: _NAME.fullmatch(word) for word in words}
    names = dict.fromkeys(_RENAMED.get(match["name"], match["name"]) for match in matches.values() if match)
    return SystemPackages(
        names=tuple(names),
        missing=_missing(tuple(names)),
        refused=tuple(one_line(word, 60) for word, match in matches.items() if not match),
    )


def provide(
    packages: SystemPackages, consent: Consent, *, confirm: Callable[[str], bool | None] | None, progress: Progress
) -> None:
    """Install what is missing where that is allowed and possible, else say what is missing.

    Nothing of it is fatal: many Spaces name more than they need, and the app tells if it lacks something.

    Args:
        packages: What the Space asks for.
        consent: What the user allows.
        confirm: Asks the user a question; None where nobody can be asked.
        progress: Told what is installed, and what cannot be.
    """
    for word in packages.refused:
        progress.warn(f"packages.txt names {word!r}, which is no package's name; it is left out.")
    if not packages.names:
        return
    named = ", ".join(packages.missing or packages.names)
    if packages.missing is None:
        progress.warn(f"The Space wants Debian packages, which this system does not have: {named}.")
        return
    if not packages.missing:
        return
    become_root = _become_root()
    if become_root is None or consent is Consent.NO:
        why = "" if consent is Consent.NO else " To install them takes root, and there is no password-less sudo."
        progress.warn(f"System packages that the Space wants are missing: {named}.{why} {_by_hand(packages.missing)}")
        return
    allowed = consent is Consent.YES or bool(confirm and confirm(f"Install the system packages {named}?"))
    if not allowed:
        progress.warn(
            f"System packages that the Space wants are missing: {named}. "
            f"{_by_hand(packages.missing)} Or add --system-packages yes."
        )
        return
    failed = _install(packages.missing, become_root, progress)
    if failed:
        progress.warn(f"System packages could not be installed: {', '.join(failed)}.")


def _words(path: Path) -> tuple[str, ...]:
    """The words of packages.txt: the builder gives them to apt-get through xargs, several in a line or one."""
    if path.is_symlink() or not path.is_file():
        return ()
    with path.open("rb") as stream:
        text = stream.read(_LARGEST).decode("utf-8-sig", errors="replace")
    lines = (line.split("#")[0] for line in text.splitlines())
    return tuple(dict.fromkeys(word for line in lines for word in line.split()))[:_MOST]


def _missing(names: Sequence[str]) -> tuple[str, ...] | None:
    if not names:
        return ()
    if shutil.which("dpkg-query") is None or shutil.which("apt-get") is None:
        return None
    done = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package}\t${db:Status-Abbrev}\t${Provides}\n"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    installed: set[str] = set()
    for line in done.stdout.decode(errors="replace").splitlines():
        name, status, provides = line.split("\t")
        if status.startswith("ii"):
            # A package stands in for those it provides: libgl1 for libgl1-mesa-glx, libasound2t64 for libasound2.
            installed.update({name, *(word.strip().split(" ")[0] for word in provides.split(","))})
    return tuple(name for name in names if name not in installed)


def _become_root() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is None:
        return None
    done = subprocess.run([sudo, "-n", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return [sudo, "-n"] if done.returncode == 0 else None


def _install(names: Sequence[str], become_root: list[str], progress: Progress) -> tuple[str, ...]:
    """Install `names`; those that could not be."""
    left = list(names)
    updated = False
    while left:
        progress.update(STAGE, f"installing system packages: {', '.join(left)}")
        said = _apt([*become_root, "apt-get", "install", "--yes", "--no-install-recommends", "--", *left])
        if said is None:
            progress.note(f"Installed system packages: {', '.join(left)}.")
            return tuple(name for name in names if name not in left)
        if not updated:
            # Most images come without package lists: the first attempt is free where they are there.
            _apt([*become_root, "apt-get", "update"])
            updated = True
            continue
        unknown = {match["name"] for match in _UNKNOWN.finditer(said)} & set(left)
        if not unknown:
            return tuple(names)
        left = [name for name in left if name not in unknown]
    return tuple(names)


def _apt(command: list[str]) -> str | None:
    """Run apt-get; None if it succeeded, else what it said."""
    try:
        done = subprocess.run(
            command,
            env=clean_environment() | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_APT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else done.stderr.decode(errors="replace") or "failed"


def _by_hand(names: Sequence[str]) -> str:
    return f"Install them with: {'' if os.geteuid() == 0 else 'sudo '}apt-get install {' '.join(names)}."
