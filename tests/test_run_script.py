"""`./run`, which sets up what a command needs: on made-up machines, with fake tools."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Notes how it is called; `-m venv FOLDER` makes one in which it is itself the Python.
PYTHON = """#!/bin/sh
case "$*" in
*ensurepip*) [ -e "$FAKES/has-venv" ] || exit 1 ;;
*venv\\"*) echo python3.12-venv ;;
*sys.exit*) ;;
*"import pip"*) [ ! -e "$FAKES/no-pip" ] || exit 1 ;;
*) echo "python $*" >>"$FAKES/log" ;;
esac
if [ "$2" = venv ]; then
    [ ! -e "$FAKES/no-disk" ] || { mkdir -p "$3/bin"; exit 1; }
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python"
fi
"""
APT_GET = """#!/bin/sh
echo "apt-get $*" >>"$FAKES/log"
if [ "$1" = install ]; then : >"$FAKES/has-venv"; fi
"""


class Clone:
    """A clone with `run` and `pyproject.toml`, and a PATH that begins with fakes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        self.fakes = folder / "fakes"
        for made in (self.folder, self.fakes):
            made.mkdir()
        for name in ("run", "pyproject.toml"):
            shutil.copy2(ROOT / name, self.folder / name)
        for name, text in {"python3": PYTHON, "apt-get": APT_GET, "sudo": '#!/bin/sh\nexec "$@"\n'}.items():
            (self.fakes / name).write_text(text)
            (self.fakes / name).chmod(0o755)

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self.fakes}:/usr/bin:/bin", "FAKES": str(self.fakes), **variables}
        return subprocess.run(
            [self.folder / "run", *command], cwd="/", env=environment, capture_output=True, text=True, check=False
        )

    @property
    def calls(self) -> list[str]:
        log = self.fakes / "log"
        return log.read_text().splitlines() if log.exists() else []

    def install(self) -> str:
        return f"python -m pip install --quiet --disable-pip-version-check --editable {self.folder}[dev]"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_it_sets_up_once_and_again_when_the_requirements_change(clone: Clone) -> None:
    (clone.fakes / "has-venv").touch()
    set_up = [f"python -m venv {clone.folder}/.venv", clone.install()]
    assert clone.run("true").returncode == 0
    assert clone.calls == set_up
    assert clone.run("true").returncode == 0
    assert clone.calls == set_up
    later = (clone.folder / ".venv" / ".spacerun-installed").stat().st_mtime + 5
    os.utime(clone.folder / "pyproject.toml", (later, later))
    assert clone.run("true").returncode == 0
    assert clone.calls == [*set_up, clone.install()]


def test_it_installs_what_debian_leaves_out_of_python(clone: Clone) -> None:
    assert clone.run("true").returncode == 0
    assert clone.calls == [
        "apt-get update",
        "apt-get install -y python3.12-venv",
        f"python -m venv {clone.folder}/.venv",
        clone.install(),
    ]


def test_it_uses_the_active_environment(clone: Clone, tmp_path: Path) -> None:
    active = tmp_path / "active"
    (active / "bin").mkdir(parents=True)
    shutil.copy2(clone.fakes / "python3", active / "bin" / "python")
    assert clone.run("true", VIRTUAL_ENV=str(active)).returncode == 0
    assert clone.calls == [clone.install()]
    assert not (clone.folder / ".venv").exists()


def test_it_uses_uv_in_an_environment_without_pip(clone: Clone) -> None:
    for name in ("has-venv", "no-pip"):
        (clone.fakes / name).touch()
    (clone.fakes / "uv").write_text('#!/bin/sh\necho "uv $*" >>"$FAKES/log"\n')
    (clone.fakes / "uv").chmod(0o755)
    assert clone.run("true").returncode == 0
    assert (
        clone.calls[-1]
        == f"uv pip install --quiet --python {clone.folder}/.venv/bin/python --editable {clone.folder}[dev]"
    )


def test_an_environment_that_could_not_be_made_is_not_taken_for_one_later(clone: Clone) -> None:
    for name in ("has-venv", "no-disk"):
        (clone.fakes / name).touch()
    assert clone.run("true").returncode == 1
    assert not (clone.folder / ".venv").exists()


def test_the_command_gets_its_arguments_its_status_and_the_environment_first_on_path(clone: Clone) -> None:
    (clone.fakes / "has-venv").touch()
    done = clone.run("sh", "-c", 'echo "$1" "${PATH%%:*}"; exit 7', "sh", "a b")
    assert done.stdout == f"a b {clone.folder}/.venv/bin\n"
    assert done.returncode == 7


def test_without_a_python_it_says_so(clone: Clone) -> None:
    for version in ("3", *(f"3.{minor}" for minor in range(10, 15))):
        (clone.fakes / f"python{version}").write_text("#!/bin/sh\nexit 1\n")
        (clone.fakes / f"python{version}").chmod(0o755)
    done = clone.run("true")
    assert done.returncode == 1
    assert "Python 3.10 or later is needed" in done.stderr
