"""Inside a git hook, `GIT_*` name the user's own repository: no command may touch it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spacerun.space.git import git_variables_lent, scrub_git_environment

if TYPE_CHECKING:
    from tests.command import Command
    from tests.hub import Hub

FRONT = b"---\nsdk: gradio\nsdk_version: 6.31.0\n---\n"
SERVE = b"""\
import http.server, os
address = ("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"]))
http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.fixture
def dirty(tmp_path: Path) -> Path:
    """A repository with staged, unstaged and untracked changes."""
    root = tmp_path / "mine"
    root.mkdir()

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=root, check=True)

    git("init", "-q")
    for name in ("app.py", "README.md", "staged.txt"):
        (root / name).write_text("committed\n")
    git("add", "-A")
    git("commit", "-qm", "one")
    (root / "app.py").write_text("my precious edit\n")
    (root / "staged.txt").write_text("staged\n")
    git("add", "staged.txt")
    (root / "untracked.txt").write_text("untracked\n")
    return root


def fingerprint(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.environment
def test_every_command_leaves_the_repository_of_the_caller_byte_identical(
    hub: Hub, hub_command: Command, dirty: Path, tmp_path: Path
) -> None:
    files = {"README.md": FRONT, "app.py": b"import gradio\n" + SERVE, "big.bin": b"x" * 200_000}
    hub.publish("owner/hooked", files)
    variables = {
        "GIT_DIR": str(dirty / ".git"),
        "GIT_WORK_TREE": str(dirty),
        "GIT_INDEX_FILE": str(dirty / ".git" / "index"),
        "GIT_OBJECT_DIRECTORY": str(dirty / ".git" / "objects"),
        "GIT_PREFIX": "",
    }
    before = fingerprint(dirty)

    def unharmed() -> None:
        assert fingerprint(dirty) == before

    assert hub_command.run("plan", "owner/hooked", cwd=dirty, **variables).code == 0
    unharmed()
    with hub_command.launch("owner/hooked", "--no-share", cwd=dirty, **variables) as launched:
        unharmed()
        (Path(launched.data["directory"]) / "mine.txt").write_text("mine")
    hub.publish("owner/hooked", {"README.md": FRONT + b"more\n"})
    detached = hub_command.run("launch", "owner/hooked", "--no-share", "-d", cwd=dirty, **variables)
    assert detached.code == 0, detached.err
    unharmed()
    own = tmp_path / "clone"
    for _ in range(2):
        assert hub_command.run("plan", "owner/hooked", "--dir", str(own), cwd=dirty, **variables).code == 0
        hub.publish("owner/hooked", {"more.txt": b"more\n"})
    unharmed()
    for arguments in (
        ["ps"],
        ["logs", "owner/hooked"],
        ["stop", "--all"],
        ["list"],
        ["doctor"],
        ["remove", "owner/hooked"],
        ["remove", "owner/hooked", "--force"],
        ["prune", "--all"],
        ["check-gpu"],
    ):
        hub_command.run(*arguments, cwd=dirty, **variables)
        unharmed()


def test_the_variables_come_back_to_a_program_that_uses_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_PAGER", "cat")
    with git_variables_lent():
        with git_variables_lent():  # as in another thread
            scrub_git_environment()
            assert "GIT_PAGER" not in os.environ
        assert "GIT_PAGER" not in os.environ
    assert os.environ["GIT_PAGER"] == "cat"
