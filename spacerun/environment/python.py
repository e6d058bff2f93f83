"""Which Python: found where people keep theirs, each candidate really run once, else downloaded by uv."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun.environment.uv import STAGE, clean_environment, run_uv
from spacerun.errors import PackagesError, PrerequisiteError, SpacerunError
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spacerun.progress import Progress

# Hugging Face built Gradio Spaces on 3.10 from 2023-07 until 2026; newer ones that need more say so in their card.
DEFAULT_PYTHON: Final = "3.10"
OLDEST_MINOR: Final = 6

_VERSION = re.compile(r"3\.(?P<minor>\d{1,2})(?:\.\d{1,2})?")
# The modules are those that a Python built without its libraries lacks, and that every Gradio app imports.
_PROBE: Final = """
import ctypes, json, sqlite3, ssl, sys, zlib
print(json.dumps([
    "%d.%d.%d" % sys.version_info[:3], sys.implementation.name, getattr(sys, "abiflags", ""),
    sys.executable if sys.prefix == sys.base_prefix else sys._base_executable,
]))
"""
_PROBE_SECONDS: Final = 20
_CONDA_FOLDERS: Final = ("miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba")


@dataclass(frozen=True)
class Interpreter:
    """A Python that was run and works.

    Attributes:
        path: The executable, outside any virtual environment.
        version: Its full version, like `3.10.13`.
    """

    path: Path
    version: str


def check_version(text: str) -> str:
    """`text` as a Python version, `3.10` or `3.10.13`; never a number, which would turn 3.10 into 3.1.

    Raises:
        PackagesError: It is not one that a Space can run on.
    """
    version = text.strip()
    match = _VERSION.fullmatch(version)
    if not match or int(match["minor"]) < OLDEST_MINOR:
        raise PackagesError(
            f"The Python version {one_line(text, 40)!r} is not one that Spaces run on, such as 3.10 or 3.10.13.",
            hint='Set python_version: "3.10" in README.md (in quotes), or give --python 3.10.',
            stage=STAGE,
        )
    return version


def find_python(
    wanted: str | None,
    *,
    required: bool,
    offline: bool,
    progress: Progress,
    fallbacks: tuple[str, ...] = (),
) -> Interpreter:
    """The Python `wanted`: installed, else downloaded, else the nearest one that does.

    Another patch of the same minor version stands in for an exact patch that cannot be had: packages are built for a
    minor version.

    Args:
        wanted: `3.10` or `3.10.13`; None for the default.
        required: Whether somebody asked for it; if not, `fallbacks` are taken before giving up.
        offline: Do not download.
        progress: Told of downloads and substitutes.
        fallbacks: Minor versions that serve as well, best first.

    Raises:
        PrerequisiteError: There is none.
    """
    version = check_version(wanted or DEFAULT_PYTHON)
    if found := find_installed(version):
        return found
    reason = _download(version, offline=offline, progress=progress)
    if reason is None and (found := find_installed(version)):
        return found
    minor = ".".join(version.split(".")[:2])
    for other in ((minor,) if minor != version else ()) + (fallbacks if not required else ()):
        if found := find_installed(other):
            progress.warn(f"Python {version} is not installed ({reason}); Python {found.version} is used instead.")
            return found
    raise PrerequisiteError(
        f"Python {version} is not installed ({reason}).",
        hint=f"Install it: `uv python install {version}`, `pyenv install {version}` or "
        f"`conda create -n py{minor} python={version}`; or give another one with --python.",
        stage=STAGE,
    )


def find_installed(version: str) -> Interpreter | None:
    """The Python of that version on this machine, or None."""
    tried: set[Path] = set()
    for candidate in _candidates(version):
        if candidate in tried:
            continue
        tried.add(candidate)
        interpreter = probe(candidate)
        if interpreter and matches(interpreter.version, version):
            return interpreter
    return None


def matches(version: str, wanted: str) -> bool:
    """Whether the full `version` is `wanted`, given to the minor or to the patch."""
    return f"{version}.".startswith(f"{wanted}.")


def probe(path: Path) -> Interpreter | None:
    """Run the Python at `path` once; None if it does not work, or is not a CPython with a global lock."""
    try:
        done = subprocess.run(
            [path, "-I", "-c", _PROBE],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=True,
        )
        version, implementation, flags, executable = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    if implementation != "cpython" or "t" in flags or not executable:
        return None
    return Interpreter(Path(executable), version)


def _candidates(version: str) -> Iterator[Path]:
    # pyenv's folders before uv's search, which runs each of pyenv's shims on PATH (a second); conda's Pythons last,
    # since they bring a C++ library of their own.
    yield from _in_folders(version, _own_and_pyenv())
    found = _found_by_uv(version)
    if found:
        yield found
    yield from _in_folders(version, _conda())


def _in_folders(version: str, folders: Iterable[Path]) -> Iterator[Path]:
    minor = ".".join(version.split(".")[:2])
    for folder in folders:
        executable = folder / "bin" / f"python{minor}"
        if executable.exists():
            yield executable


def _found_by_uv(version: str) -> Path | None:
    try:
        found = run_uv(
            ["python", "find", version, "--system", "--no-python-downloads"],
            doing=f"Python {version} was not found",
        )
    except PackagesError:
        return None
    return Path(found.strip())


def _own_and_pyenv() -> Iterator[Path]:
    yield Path(sys.base_prefix)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob("versions/*"), key=_by_version, reverse=True)


def _conda() -> Iterator[Path]:
    told = os.environ.get("CONDA_PREFIX")
    roots = [Path.home() / name for name in _CONDA_FOLDERS] + [Path("/opt/conda")]
    if told:
        # An active named environment lies in `<root>/envs/<name>`.
        inside = Path(told)
        roots.insert(0, inside.parent.parent if inside.parent.name == "envs" else inside)
        yield inside
    for root in roots:
        yield root
        yield from sorted(root.glob("envs/*"))


def _by_version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", folder.name))


def _download(version: str, *, offline: bool, progress: Progress) -> str | None:
    """Let uv download Python `version`; None if it did, else why not."""
    if offline:
        return "and --offline forbids to download it"
    if os.environ.get("UV_PYTHON_DOWNLOADS", "automatic") in {"never", "manual"}:
        return "and UV_PYTHON_DOWNLOADS forbids to download it"
    progress.update(STAGE, f"downloading Python {version}")
    try:
        run_uv(
            ["python", "install", version, "--no-bin"],
            doing="the download failed",
            variables={"UV_HTTP_RETRIES": os.environ.get("UV_HTTP_RETRIES", "1")},
            on_line=lambda line: progress.update(STAGE, one_line(line)),
        )
    except SpacerunError as error:
        return one_line(error.message, 160)
    return None
