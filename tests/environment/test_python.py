"""Finding a Python among folders of fake ones: scripts that answer the probe as an interpreter would."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from spacerun.environment import python
from spacerun.environment.python import find_installed, find_python, matches, probe
from spacerun.errors import ExitCode, PrerequisiteError
from spacerun.progress import SilentProgress


@pytest.fixture(autouse=True)
def _no_other_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "managed"))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.delenv("CONDA_PREFIX", raising=False)


def fake(root: Path, version: str, *, kind: str = "cpython", flags: str = "", base: Path | None = None) -> Path:
    """A Python in `root/bin` that claims to be `version`."""
    file = root / "bin" / f"python{version.rsplit('.', 1)[0]}"
    answer = json.dumps([version, kind, flags, str(base or file)])
    return script(file, f"echo '{answer}'")


def script(file: Path, body: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return file


def find(
    version: str, *, required: bool = True, offline: bool = True, fallbacks: tuple[str, ...] = ()
) -> tuple[str, str]:
    progress = SilentProgress()
    found = find_python(version, required=required, offline=offline, progress=progress, fallbacks=fallbacks)
    return found.version, " ".join(progress.warnings)


def test_pyenv_folders_are_searched_newest_patch_first(tmp_path: Path) -> None:
    for version in ("3.7.9", "3.7.16", "3.6.15"):
        fake(tmp_path / "pyenv/versions" / version, version)
    assert find("3.7") == ("3.7.16", "")
    assert find("3.7.9") == ("3.7.9", "")
    assert find("3.6") == ("3.6.15", "")


@pytest.mark.parametrize("place", ["miniconda3", "anaconda3/envs/old", "miniforge3"])
def test_conda_folders_are_searched(tmp_path: Path, place: str) -> None:
    fake(tmp_path / "user" / place, "3.7.16")
    assert find("3.7") == ("3.7.16", "")


def test_the_active_conda_environment_and_its_siblings_are_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path / "conda/envs/active"))
    fake(tmp_path / "conda/envs/active", "3.6.15")
    fake(tmp_path / "conda/envs/sibling", "3.7.16")
    fake(tmp_path / "conda", "3.8.1")
    assert [find(version)[0] for version in ("3.6", "3.7")] == ["3.6.15", "3.7.16"]


def test_a_candidate_that_does_not_work_is_passed_over(tmp_path: Path) -> None:
    versions = tmp_path / "pyenv/versions"
    script(versions / "3.7.19/bin/python3.7", "echo 'libssl.so.1.1: cannot open shared object file' >&2; exit 127")
    script(versions / "3.7.18/bin/python3.7", "echo not json")
    fake(versions / "3.7.17", "3.7.17", flags="t")
    fake(versions / "pypy3.7-7.3", "3.7.13", kind="pypy")
    fake(versions / "3.7.16", "3.7.16")
    assert find("3.7") == ("3.7.16", "")


def test_a_virtual_environment_leads_to_the_python_it_was_made_from(tmp_path: Path) -> None:
    base = tmp_path / "base/bin/python3.7"
    fake(tmp_path / "pyenv/versions/a-virtualenv", "3.7.16", base=base)
    found = find_installed("3.7")
    assert found is not None
    assert found.path == base


def test_a_failing_pyenv_shim_on_path_does_not_end_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"python3.{sys.version_info.minor}"
    shim = script(tmp_path / "pyenv/shims" / name, f"echo 'pyenv: {name}: command not found' >&2; exit 127")
    monkeypatch.setenv("PATH", f"{shim.parent}{os.pathsep}{Path(sys.base_prefix) / 'bin'}")
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "elsewhere"))
    assert find(name.removeprefix("python"))[0] == ".".join(map(str, sys.version_info[:3]))


def test_a_missing_python_names_the_version_and_the_command(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match=r"Python 3\.7 is not installed") as caught:
        find("3.7", fallbacks=("3.8",))
    assert caught.value.exit_code == ExitCode.PREREQUISITE == 13
    assert "uv python install 3.7" in str(caught.value.hint)


def test_a_required_python_is_never_replaced_by_another_minor(tmp_path: Path) -> None:
    fake(tmp_path / "pyenv/versions/3.8.1", "3.8.1")
    with pytest.raises(PrerequisiteError):
        find("3.7", required=True, fallbacks=("3.8",))


def test_our_default_gives_way_to_the_nearest_with_a_warning(tmp_path: Path) -> None:
    for version in ("3.6.15", "3.8.1"):
        fake(tmp_path / "pyenv/versions" / version, version)
    version, warning = find("3.7", required=False, fallbacks=("3.8", "3.6"))
    assert version == "3.8.1"
    assert "Python 3.7 is not installed" in warning
    assert "Python 3.8.1 is used instead" in warning


def test_another_patch_of_the_same_minor_stands_in_with_a_warning(tmp_path: Path) -> None:
    fake(tmp_path / "pyenv/versions/3.7.16", "3.7.16")
    version, warning = find("3.7.3")
    assert version == "3.7.16"
    assert "Python 3.7.3 is not installed" in warning


def test_uv_downloads_only_when_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    monkeypatch.setattr(
        "spacerun.environment.uv.find_uv", lambda: script(tmp_path / "uv", f'echo "$@" >> {calls}; exit 2')
    )

    def installs(*, offline: bool) -> bool:
        calls.write_text("")
        with pytest.raises(PrerequisiteError):
            find("3.7", offline=offline)
        return "python install 3.7" in calls.read_text()

    assert not installs(offline=False)
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "automatic")
    assert not installs(offline=True)
    assert installs(offline=False)


def test_three_ten_is_not_three_one() -> None:
    assert matches("3.10.13", "3.10")
    assert matches("3.10.13", "3.10.13")
    assert not matches("3.10.13", "3.1")
    assert not matches("3.1.0", "3.10")
    assert not matches("3.10.13", "3.10.1")


def test_the_python_of_this_very_process_is_found_and_really_run() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = find_installed(version)
    assert found is not None
    assert matches(found.version, version)
    assert probe(Path(sys.executable)) == python.Interpreter(
        Path(getattr(sys, "_base_executable", sys.executable)), ".".join(map(str, sys.version_info[:3]))
    )
