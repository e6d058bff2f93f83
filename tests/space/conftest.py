"""The room as a user's machine would run it: a home of its own, and the loopback Hub."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from spacerun import editing
from spacerun.progress import SilentProgress
from spacerun.space.checkout import check_out
from spacerun.space.find import FoundSpace, find, remember
from spacerun.space.lfs import fill
from spacerun.space.reference import SpaceRef, parse
from spacerun.space.tree import update_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from spacerun.space.tree import Checkout
    from tests.hub import Hub

FILES: dict[str, str | bytes] = {
    "README.md": "---\nsdk: gradio\napp_file: app.py\n---\n",
    "app.py": 'import gradio as gr\n\ndemo = gr.Interface(str, "text", "text")\ndemo.launch()\n',
    "data/notes.txt": "one\n",
}


class Heard(SilentProgress):
    """Keeps all that a user would see."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass
class Machine:
    """What a user has: a home, and spacerun's room in it."""

    home: Path
    progress: Heard = field(default_factory=Heard)
    running_in: set[Path] = field(default_factory=set)

    def find(self, space: str, *, offline: bool = False) -> FoundSpace:
        reference = parse(space, endpoint=os.environ["HF_ENDPOINT"])
        assert not hasattr(reference, "directory")
        return find(reference, progress=self.progress, offline=offline)

    def check_out(
        self, space: str, *, directory: Path | None = None, token: str | None = None, offline: bool = False
    ) -> Checkout:
        found = self.find(space, offline=offline)
        checkout = check_out(
            found,
            directory=directory,
            token=token,
            progress=self.progress,
            unedited=editing.unedited,
            in_use=self.running_in.__contains__,
            offline=offline,
        )
        reference = parse(space, endpoint=os.environ["HF_ENDPOINT"])
        remember(found, asked=reference.id if isinstance(reference, SpaceRef) else found.id)
        return checkout

    def fill(self, checkout: Checkout, *, token: str | None = None, offline: bool = False) -> None:
        url = f"{os.environ['HF_ENDPOINT']}/spaces/{checkout.space}"
        filled = fill(checkout, url=url, token=token, progress=self.progress, offline=offline)
        update_state(checkout.directory, large_files=True, filled=filled)

    def get(self, space: str, *, directory: Path | None = None, token: str | None = None) -> Checkout:
        checkout = self.check_out(space, directory=directory, token=token)
        self.fill(checkout, token=token)
        return checkout


@pytest.fixture
def machine(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return make_machine(hub, tmp_path, monkeypatch)


def make_machine(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    from huggingface_hub import constants

    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(user / ".config"))
    monkeypatch.setenv("SPACERUN_HOME", str(tmp_path / "spacerun"))
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HOME", str(user / "huggingface"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(user / "huggingface" / "token"))
    return Machine(tmp_path / "spacerun")


@dataclass(frozen=True)
class Tools:
    """Scripts first on PATH that note their arguments and become the real program, without system-wide settings."""

    folder: Path
    log: Path
    path: str
    """PATH without these scripts."""

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def add(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >> {self.log}\n{script}\n')
        path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    folder = tmp_path / "tools"
    folder.mkdir()
    found = Tools(folder, tmp_path / "tools.log", os.environ["PATH"])
    for name in ("git", "git-lfs"):
        found.add(name, f'GIT_CONFIG_NOSYSTEM=1 exec {shutil.which(name)} "$@"')
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return found


@pytest.fixture
def without_git_lfs(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """A machine with git, and no way to get git-lfs."""
    (tools.folder / "git-lfs").unlink()
    for name in ("sh", "uname", "dirname", "basename", "sed", "cat", "ln", "env"):
        (tools.folder / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(tools.folder))
    return tools


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` but what git keeps for itself, by path; links are named by where they lead."""
    found = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if relative.parts[0] in {".git", ".gitattributes"}:
            continue
        if path.is_symlink():
            found[str(relative)] = b"-> " + os.fsencode(path.readlink())
        elif path.is_file():
            found[str(relative)] = path.read_bytes()
    return found


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of every file below `folder`, git's own included."""
    return {
        str(path.relative_to(folder)): (stat.S_IMODE(path.lstat().st_mode), path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def published(files: Mapping[str, str | bytes]) -> dict[str, bytes]:
    return {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
