"""When a Space last changed in a way that bears on its packages."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from spacerun.environment.as_of import Dated
from spacerun.progress import SilentProgress
from spacerun.space.checkout import check_out
from spacerun.space.find import find
from spacerun.space.history import last_change
from spacerun.space.reference import SpaceRef
from spacerun.space.tree import Checkout
from tests.hub.repository import git_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.hub import Hub

CARD = "---\nsdk: gradio\nsdk_version: {}\n---\n{}\n"
FIRST = {
    "README.md": CARD.format("3.20.1", "Hello"),
    "app.py": "import gradio as gr\ngr.Interface(str, 'text', 'text').launch()\n",
    "requirements.txt": "torch\n",
}
REQUIREMENTS = ("requirements.txt",)


class Space:
    """A Space whose commits have days."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def commit(self, day: str, files: Mapping[str, str | None]) -> None:
        when = datetime.fromisoformat(day).replace(hour=12, tzinfo=timezone.utc)
        self.hub.publish("owner/old", files, date=when)

    def change(self, *, offline: bool = False) -> Dated | None:
        found = find(SpaceRef("owner", "old"), progress=SilentProgress())
        checkout = check_out(
            found,
            directory=None,
            token=None,
            progress=SilentProgress(),
            unedited=lambda *_: {},
            in_use=lambda _: False,
            offline=False,
        )
        self.hub.clear_requests()
        return last_change(checkout, found, app_file="app.py", requirements=REQUIREMENTS, offline=offline)

    def day(self) -> str:
        change = self.change()
        assert change is not None
        return change.when[:10]


@pytest.fixture
def old(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Space:
    monkeypatch.setenv("SPACERUN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    space = Space(hub)
    space.commit("2023-03-20", FIRST)
    return space


def test_a_readme_edit_years_later_is_no_change(old: Space) -> None:
    old.commit("2024-09-20", {"README.md": CARD.format("3.20.1", "Hello again")})
    old.commit("2025-02-01", {"README.md": CARD.format('"3.20.1"  # the same', "And again")})
    assert old.change() == Dated("requirements.txt changed", "2023-03-20T12:00:00Z")


def test_a_change_of_the_texts_in_the_app_is_no_change(old: Space) -> None:
    old.commit("2024-01-01", {"app.py": str(FIRST["app.py"]).replace("'text')", "'text', title='New')")})
    assert old.day() == "2023-03-20"


@pytest.mark.parametrize("files", [
    {"requirements.txt": "torch\nnumpy\n"},
    {"README.md": CARD.format("3.36.0", "Hello")},
    {"README.md": "---\nsdk: gradio\nsdk_version: 3.20.1\npython_version: 3.9\n---\nHello\n"},
    {"app.py": "import gradio as gr, torch\ngr.Interface(str, 'text', 'text').launch()\n"},
    {"app.py": "import gradio as gr\nfrom transformers import LlamaForCausalLM\n"},
    {"helper.py": "import numpy\n"},
])  # fmt: skip
def test_requirements_versions_and_imports_are_changes(old: Space, files: dict[str, str]) -> None:
    if "helper.py" in files:
        old.commit("2023-04-01", {"helper.py": "import torch\n"})
    old.commit("2023-06-01", files)
    old.commit("2024-06-01", {"README.md": _reworded(files.get("README.md", FIRST["README.md"]))})
    assert old.day() == "2023-06-01"


def _reworded(card: str) -> str:
    return card.replace("Hello", "Other words")


def test_the_change_is_found_among_many_edits(old: Space) -> None:
    for number in range(1, 13):
        version = "3.20.1" if number < 5 else "3.36.0"
        old.commit(f"2024-{number:02}-01", {"README.md": CARD.format(version, f"Edit {number}")})
    assert old.day() == "2024-05-01"
    # Asked for: the last commits, the history, and a README for each halving of it.
    assert len(old.hub.requests) <= 8


def test_a_space_without_requirements_goes_by_its_card_and_imports(old: Space) -> None:
    old.commit("2023-05-01", {"requirements.txt": None})
    old.commit("2024-05-01", {"README.md": CARD.format("3.20.1", "Hello again")})
    assert old.day() == "2023-03-20"


def test_the_answer_is_kept_with_the_commit(old: Space) -> None:
    first = old.change()
    assert old.hub.requests
    assert old.change() == first
    assert old.hub.requests == []
    assert old.change(offline=True) == first


def test_offline_and_unknown_the_commit_itself_counts(old: Space) -> None:
    assert old.change(offline=True) == Dated("the Space changed", "2023-03-20T12:00:00Z")


def test_a_hub_without_history_leaves_the_commit_itself(old: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("connection refused")

    monkeypatch.setattr("huggingface_hub.HfApi.get_paths_info", refuse)
    assert old.change() == Dated("the Space changed", "2023-03-20T12:00:00Z")


class Folder:
    """A local folder in git."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "-q", "--initial-branch=main")

    def git(self, *arguments: str, day: str = "2023-03-20") -> None:
        when = f"{day}T12:00:00Z"
        who = {f"GIT_{role}_{what}": "x@y" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = git_environment() | who | {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        subprocess.run(["git", *arguments], cwd=self.path, env=environment, check=True, capture_output=True)

    def write(self, files: Mapping[str, str], *, day: str) -> None:
        for name, text in files.items():
            (self.path / name).write_text(text)
            stamp = datetime.fromisoformat(day).replace(tzinfo=timezone.utc).timestamp()
            os.utime(self.path / name, (stamp, stamp))

    def commit(self, files: Mapping[str, str], *, day: str) -> None:
        self.write(files, day=day)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", day, day=day)

    def change(self) -> Dated | None:
        checkout = Checkout(str(self.path), None, self.path)
        return last_change(checkout, None, app_file="app.py", requirements=REQUIREMENTS, offline=False)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "mine")
    made.commit(FIRST, day="2023-03-20")
    return made


def test_a_local_folder_goes_by_its_own_git(folder: Folder) -> None:
    folder.commit({"README.md": CARD.format("3.20.1", "Reworded")}, day="2024-01-01")
    assert folder.change() == Dated("requirements.txt changed", "2023-03-20T12:00:00Z")
    folder.commit({"app.py": "import gradio, numpy\n"}, day="2024-03-01")
    change = folder.change()
    assert change is not None
    assert change.when == "2024-03-01T12:00:00Z"


def test_an_edit_that_is_not_committed_counts_by_the_files_time(folder: Folder) -> None:
    folder.write({"README.md": CARD.format("3.20.1", "Reworded")}, day="2024-01-01")
    assert folder.change() == Dated("requirements.txt changed", "2023-03-20T12:00:00Z")
    folder.write({"requirements.txt": "torch\nnumpy\n"}, day="2024-02-01")
    assert folder.change() == Dated("requirements.txt was written", "2024-02-01T00:00:00Z")


def test_a_folder_without_git_goes_by_the_times_of_its_files(tmp_path: Path, folder: Folder) -> None:
    (folder.path / ".git").rename(tmp_path / "elsewhere")
    folder.write({"app.py": "import gradio\n"}, day="2023-07-01")
    assert folder.change() == Dated("app.py was written", "2023-07-01T00:00:00Z")


def test_a_hostile_repository_executes_nothing(folder: Folder, tmp_path: Path) -> None:
    script = tmp_path / "run"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/executed\n")
    script.chmod(0o755)
    for key, value in {
        "log.showSignature": "true",
        "gpg.program": str(script),
        "core.fsmonitor": str(script),
        "core.pager": str(script),
        "filter.x.clean": str(script),
        "filter.x.smudge": str(script),
        "diff.x.textconv": str(script),
        "core.sshCommand": str(script),
    }.items():
        folder.git("config", key, value)
    (folder.path / ".gitattributes").write_text("* filter=x diff=x\n")
    assert folder.change() is not None
    assert not (tmp_path / "executed").exists()
