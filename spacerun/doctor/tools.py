"""The programs that a launch runs: git, git-lfs, uv and the Pythons."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from spacerun.doctor import Check
from spacerun.environment.python import find_installed
from spacerun.environment.uv import find_uv
from spacerun.errors import SpacerunError
from spacerun.lanes import each
from spacerun.space.git import OLDEST_GIT, install_command
from spacerun.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

# The first with the fix of CVE-2024-53263: a crafted address could make git-lfs give credentials away.
_GIT_LFS: Final = (3, 6, 1)
_MINORS: Final = range(8, 15)
_SECONDS: Final = 4


def git() -> Check:
    """Git, which fetches Spaces."""
    remedy = install_command("git")
    found = shutil.which("git")
    if not found:
        return Check("git", "missing", "not installed, and Spaces are git repositories", remedy)
    said = output(found, "--version")
    version = _version(said)
    if not version:
        return Check("git", "missing", f"{found} does not work: {said}", remedy)
    if version < OLDEST_GIT:
        detail = f"{_dotted(version)} is old: the settings that guard against a hostile repository need 2.31"
        return Check("git", "missing", detail, remedy)
    return Check("git", "ok", f"{_dotted(version)} ({found})")


def git_lfs() -> Check:
    """Git LFS, by which large files come; the Hub's own client stands in for it."""
    found = shutil.which("git-lfs")
    if not found:
        detail = "not installed; large files then come through the Hub's own client"
        return Check("git-lfs", "missing", detail, install_command("git-lfs"))
    said = output(found, "version")
    version = _version(said)
    if not version:
        return Check("git-lfs", "missing", f"{found} does not work: {said}", install_command("git-lfs"))
    if version < _GIT_LFS:
        detail = (
            f"{_dotted(version)} works; releases before 3.6.1 lack the fix of CVE-2024-53263, "
            "unless your distribution has added it"
        )
        return Check("git-lfs", "remark", detail)
    return Check("git-lfs", "ok", f"{_dotted(version)} ({found})")


def uv() -> Check:
    """The uv that makes the environments."""
    try:
        found = find_uv()
    except SpacerunError as error:
        return Check("uv", "missing", error.message, error.hint)
    said = output(found, "--version")
    version = _version(said)
    if not version:
        return Check("uv", "missing", f"{found} does not work: {said}", "python -m pip install --force-reinstall uv")
    return Check("uv", "ok", f"{_dotted(version)} ({found})")


def pythons() -> Check:
    """The Pythons that Spaces can run on without a download."""
    try:
        found = list(filter(None, each(find_installed, [f"3.{minor}" for minor in _MINORS], len(_MINORS))))
    except SpacerunError as error:  # without uv
        return Check("python", "remark", error.message)
    if not found:
        return Check(
            "python", "remark", "none from 3.8 on; uv downloads what a Space asks for", "uv python install 3.10"
        )
    return Check("python", "ok", ", ".join(python.version for python in found))


def output(program: str | Path, *arguments: str) -> str:
    """What `program` printed, or why it could not, as one line."""
    try:
        done = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_SECONDS} s"
    except OSError as error:
        return one_line(error.strerror or str(error))
    said = one_line(done.stdout.decode(errors="replace"))
    return said if done.returncode == 0 else f"exit {done.returncode}: {said}"


def _version(said: str) -> tuple[int, ...]:
    """The version in `git version 2.39.5`, `git-lfs/3.3.0 (…)` or `uv 0.9.7 (…)`; empty where there is none."""
    match = re.match(r"(?:git version |git-lfs/|uv )(\d+(?:\.\d+)+)", said)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
