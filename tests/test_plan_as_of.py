"""`--as-of` and what `plan` tells of the day that packages are taken from."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command import Command

pytestmark = pytest.mark.environment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Space of spring 2023 with lines that are wrong."""
    folder = tmp_path / "old"
    folder.mkdir()
    spring = datetime(2023, 3, 20, 12, tzinfo=timezone.utc).timestamp()
    files = {
        "README.md": "---\nsdk: gradio\nsdk_version: 3.20.1\n---\n",
        "app.py": "import gradio as gr\ngr.Interface(str, 'text', 'text').launch()\n",
        "requirements.txt": "sklearn\r\nuuid\r\n",
    }
    for name, text in files.items():
        (folder / name).write_bytes(text.encode())
        os.utime(folder / name, (spring, spring))
    return folder


def planned(command: Command, folder: Path, *more: str) -> dict[str, Any]:
    done = command.run("plan", str(folder), "--no-share", "--json", *more)
    assert done.code == 0, done.err
    data: dict[str, Any] = done.document["data"]
    data["versions"] = {package["name"]: package["version"] for package in data["packages"]}
    return data


def test_auto_takes_the_packages_of_the_spaces_day_and_says_why(command: Command, folder: Path) -> None:
    data = planned(command, folder)
    assert (data["as_of"], data["rung"]) == ("2023-03-22T00:00:00Z", "as-of")
    assert "was written on 2023-03-20" in data["as_of_why"]
    # What `pip install` gave on that day: pydantic 1, scikit-learn 1.2.2, a setuptools with pkg_resources.
    assert data["versions"]["pydantic"].startswith("1.10.")
    assert data["versions"]["scikit-learn"] == "1.2.2"
    assert data["versions"]["setuptools"].startswith("67.")
    assert [note.split(" ")[0] for note in data["decisions"]] == ["sklearn", "uuid", "As"]
    shown = command.run("plan", str(folder), "--no-share").out
    assert "2023-03-22" in shown
    assert "wrong name: scikit-learn" in " ".join(shown.split())


@pytest.mark.slow
def test_a_given_day_and_latest_win(command: Command, folder: Path) -> None:
    given = planned(command, folder, "--as-of", "2023-06-29")
    assert (given["as_of"], given["rung"]) == ("2023-06-30T00:00:00Z", "given")
    assert given["versions"]["scikit-learn"] == "1.2.2"
    assert given["versions"]["pydantic"] == "1.10.9"
    latest = planned(command, folder, "--as-of", "latest")
    assert (latest["as_of"], latest["rung"]) == (None, "latest")
    assert latest["versions"]["gradio"] == "3.20.1"
    assert int(latest["versions"]["scikit-learn"].split(".")[1]) > 2


def test_a_day_that_is_none_is_a_usage_error(command: Command, folder: Path) -> None:
    done = command.run("plan", str(folder), "--as-of", "soon", "--json")
    assert (done.code, done.error["name"]) == (2, "usage")
    assert "--as-of 2023-04-01" in done.error["hint"]


def test_missing_system_packages_are_told_and_plan_installs_none(command: Command, folder: Path) -> None:
    (folder / "packages.txt").write_text("libc6\nno-such-package-of-ours\n")
    data = planned(command, folder, "--as-of", "2023-03-22")
    assert data["system_packages"] == ["libc6", "no-such-package-of-ours"]
    assert data["missing_system_packages"] == ["no-such-package-of-ours"]
