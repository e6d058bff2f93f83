"""The version is told, and the library imported, as fast as Python itself starts, or nearly."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

from spacerun import __version__
from tests.command import SCRIPT

_ROUNDS = 15


def test_version_takes_at_most_three_times_as_long_as_python_itself() -> None:
    # Other processes only ever add time, so the shortest of several runs is what a command really takes.
    nothing, version = [], []
    for _ in range(_ROUNDS):
        nothing.append(_seconds(sys.executable, "-c", "pass"))
        version.append(_seconds(str(SCRIPT), "--version"))
    assert min(version) <= 3 * min(nothing)


def test_version_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "spacerun", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"spacerun {__version__}\n"
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "spacerun" in imported
    roots = {name.split(".")[0] for name in imported}
    assert roots.isdisjoint(
        {"typer", "click", "rich", "huggingface_hub", "git", "importlib_metadata", "pynvml", "yaml"}
    )
    assert {name for name in imported if name.startswith("spacerun")} == {"spacerun"}


def test_import_takes_at_most_twice_as_long_as_python_itself() -> None:
    nothing, imported = [], []
    for _ in range(_ROUNDS):
        nothing.append(_seconds(sys.executable, "-c", "pass"))
        imported.append(_seconds(sys.executable, "-c", "import spacerun"))
    assert min(imported) <= 2 * min(nothing)


def test_import_imports_nothing_else_and_the_functions_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules); import spacerun; print(*(set(sys.modules) - before))\n"
        "spacerun.launch, spacerun.plan, spacerun.App, spacerun.SpacerunError; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first == "spacerun"
    heavy = {"typer", "rich", "huggingface_hub", "git", "yaml", "psutil", "pynvml", "httpx", "packaging"}
    assert {name.split(".")[0] for name in second.split()}.isdisjoint(heavy)


def _seconds(*command: str) -> float:
    """The processor time that a command takes: unlike the time on the clock, other processes hardly change it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=os.environ, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
