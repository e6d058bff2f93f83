"""The version is told as fast as Python itself starts, or nearly."""

from __future__ import annotations

import os
import subprocess
import sys
import time

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


def _seconds(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=os.environ, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began
