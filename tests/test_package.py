"""The package as it is installed."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from spacerun import __version__
from spacerun.environment.uv import find_uv

ROOT = Path(__file__).parents[1]


@pytest.mark.environment
def test_the_wheel_holds_what_runs_and_nothing_else(tmp_path: Path) -> None:
    subprocess.run([find_uv(), "build", "--wheel", "--quiet", "--out-dir", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry_points = archive.read(f"spacerun-{__version__}.dist-info/entry_points.txt").decode()
    assert {"spacerun/source/hook/sitecustomize.py", "spacerun/py.typed", "spacerun/__main__.py"} <= set(names)
    assert {name.split("/")[0] for name in names} == {"spacerun", f"spacerun-{__version__}.dist-info"}
    for script in ("spacerun", "hf-spacerun"):
        assert f"{script} = spacerun.__main__:main" in entry_points
