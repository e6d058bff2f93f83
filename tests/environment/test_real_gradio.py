"""One real environment from the package index: the newest Gradio beside a local package."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from spacerun.environment.build import build
from spacerun.environment.bytecode import warm
from spacerun.environment.plan import make_plan
from spacerun.environment.resolve import resolve
from spacerun.progress import SilentProgress
from tests.environment.conftest import snapshot

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.environment
def test_the_newest_gradio_is_resolved_built_and_warmed_and_the_space_stays_untouched(space: Path) -> None:
    (space / "setup.py").write_text(
        "from setuptools import setup\nsetup(name='tools', version='1', py_modules=['tools'])\n"
    )
    (space / "tools.py").write_text("import pkg_resources\n")
    (space / "requirements.txt").write_bytes(b"\xef\xbb\xbf-e .\r\n./copied\r\n")
    (space / "copied").mkdir()
    (space / "copied/pyproject.toml").write_text(
        "[project]\nname = 'copied'\nversion = '1'\n[tool.setuptools]\npy-modules = []\n"
    )
    before = snapshot(space)
    plan = make_plan(space, sdk="gradio", sdk_version=None, python_version=None)

    resolution = resolve(plan, None)
    assert set(resolution.unknown) == {"-e .", "./copied"}
    assert resolution.download_bytes > 20 << 20

    environment = build(plan, progress=SilentProgress(), offline=False)
    installed = {name.lower().replace("_", "-"): version for name, version in environment.packages}
    expected = {package.name: package.version for package in resolution.packages}
    assert expected.items() <= installed.items()
    assert {"tools", "copied"} <= installed.keys()

    warming = warm(environment)
    assert warming.wait(240)
    assert warm(environment).process is None
    assert len(list(environment.bytecode.rglob("*.pyc"))) > 500
    done = subprocess.run(
        [environment.python, "-c", "import gradio, tools; print(gradio.__version__)"],
        env={"PYTHONPYCACHEPREFIX": str(environment.bytecode), "PATH": "/usr/bin:/bin", "HOME": str(space.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == installed["gradio"]
    assert snapshot(space) == before
