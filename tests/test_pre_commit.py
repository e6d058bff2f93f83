"""`.pre-commit-hooks.yaml`: what its hooks refuse, in real commits, and that they leave the repository alone."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from spacerun.environment.uv import find_uv
from tests.command import SCRIPT
from tests.smoke.spaces import SITE, card

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[1]
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
STATIC = {"README.md": card("static"), "index.html": SITE}
# Runs the entry as pre-commit does, and takes down what the repository holds before and afterwards.
HOOK = """\
#!/bin/sh
look() {{ find . -type f ! -path "./.git/hooks/*" -exec sha256sum {{}} + | sort -k 2 >"$1"; }}
look {notes}/before
{entry}
status=$?
look {notes}/after
exit $status
"""


class Author:
    """Somebody with a Space in a repository, and a hook before commits."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "space"
        self.notes = folder / "notes"
        for made in (self.root, self.notes):
            made.mkdir()
        self.variables = os.environ | {
            "SPACERUN_HOME": str(folder / "home"),
            "HF_HOME": str(folder / "hf"),
            "HF_ENDPOINT": "http://127.0.0.1:9",  # nobody asks the Hub about a folder
            **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        self.git("init", "-q", "-b", "main")
        (self.root / "notes.txt").write_text("one\n")
        self.git("add", "-A")
        self.git("commit", "-qm", "one")

    def hook(self, name: str) -> None:
        hook = HOOKS[name]
        command = [str(SCRIPT), *shlex.split(hook["entry"])[1:], *hook["args"]]
        file = self.root / ".git" / "hooks" / "pre-commit"
        file.write_text(HOOK.format(entry=shlex.join(command), notes=self.notes))
        file.chmod(0o755)

    def git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            (self.root / name).write_bytes(content.encode() if isinstance(content, str) else content)

    def commits(self) -> int:
        return len(self.git("log", "--oneline").stdout.splitlines())

    def left_alone(self) -> bool:
        """Whether the hook ran, and changed nothing in the repository."""
        before, after = ((self.notes / name).read_text() for name in ("before", "after"))
        assert "./.git/index" in before
        return before == after


@pytest.fixture
def author(tmp_path: Path) -> Author:
    made = Author(tmp_path)
    made.hook("spacerun")
    return made


@pytest.mark.parametrize("how", [["-m", "two"], ["-am", "two"], ["-m", "two", "--", "README.md", "index.html"]])
def test_a_sound_space_is_committed_and_nothing_else_is_changed(author: Author, how: list[str]) -> None:
    author.write(STATIC)
    author.git("add", "README.md", "index.html")
    author.write({"untracked.txt": "mine\n", "notes.txt": "not staged\n"})
    done = author.git("commit", *how)
    assert done.returncode == 0, done.stdout
    assert author.commits() == 2
    assert author.left_alone()
    assert author.git("status", "--porcelain", "untracked.txt").stdout == "?? untracked.txt\n"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"README.md": "---\nsdk: [static\n---\n"}, "'[static'"),
        ({"README.md": card("no-such-sdk")}, "no-such-sdk"),
        ({"README.md": "# A Space\n"}, "no front matter"),
        ({"README.md": card("gradio", "6.31.0", app_file="main.py")}, "main.py"),
        ({"README.md": card("static", app_file="home.html")}, "home.html"),
        ({"spacerun.toml": "[tool.spacerun.smoke]\nuntil = 'the end'\n"}, "until"),
    ],
)
def test_a_broken_space_is_not_committed_and_the_reason_is_on_the_screen(
    author: Author, files: dict[str, str], said: str
) -> None:
    author.write(STATIC | files)
    author.git("add", "-A")
    done = author.git("commit", "-m", "two")
    assert done.returncode != 0
    assert said in done.stdout
    assert "✗" in done.stdout
    assert author.commits() == 1
    assert author.left_alone()
    assert author.git("commit", "-m", "two", "--no-verify").returncode == 0


@pytest.mark.environment
def test_requirements_that_contradict_each_other_are_not_committed(author: Author) -> None:
    readme = card("gradio", "6.31.0", python_version='"3.10"')
    author.write(
        {"README.md": readme, "app.py": "import gradio\n", "requirements.txt": "packaging==23.0\npackaging>23\n"}
    )
    author.git("add", "-A")
    done = author.git("commit", "-m", "two")
    assert done.returncode != 0
    assert "packaging" in done.stdout
    assert author.commits() == 1
    assert author.left_alone()


def test_no_file_of_the_space_is_taken_for_a_module_of_ours(author: Author, tmp_path: Path) -> None:
    author.write(STATIC)
    ours = ("json", "yaml", "filelock", "psutil", "packaging", "typing", "spacerun")
    author.write({f"{name}.py": f"open({str(tmp_path / 'ran')!r}, 'w')\n" for name in ours})
    author.git("add", "-A")
    done = author.git("commit", "-m", "two")
    assert not (tmp_path / "ran").exists()
    assert done.returncode == 0, done.stdout


def test_the_hooks_are_run_for_what_they_look_at_alone() -> None:
    wanted = ("README.md", "app.py", "space/app.py", "requirements.txt", "requirements/gpu-requirements.txt")
    wanted += ("pre-requirements.txt", "packages.txt", "pyproject.toml", "spacerun.toml", "Dockerfile")
    for hook in HOOKS.values():
        assert hook["language"] == "python"
        assert not hook["pass_filenames"]
        assert all(re.search(hook["files"], name) for name in wanted)
        assert not any(re.search(hook["files"], name) for name in ("notes.md", "a.png", "poetry.lock", "app.pyc"))


@pytest.mark.slow
def test_pre_commit_itself_builds_and_runs_the_hooks(author: Author, tmp_path: Path) -> None:
    uv, venv = find_uv(), tmp_path / "venv"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, venv], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", venv, "pre-commit"], check=True)
    author.variables |= {"PRE_COMMIT_HOME": str(tmp_path / "pre-commit")}
    clone = tmp_path / "clone"
    copied = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    for name in copied.stdout.split("\0"):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / name).write_bytes((ROOT / name).read_bytes())
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run(["git", *arguments], cwd=clone, env=author.variables, check=True)
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, stdout=subprocess.PIPE, text=True, check=True)
    config = {
        "repos": [{"repo": str(clone), "rev": revision.stdout.strip(), "hooks": [{"id": name} for name in HOOKS]}]
    }
    hello = {file.name: file.read_bytes() for file in (ROOT / "examples" / "hello").iterdir()}
    author.write({".pre-commit-config.yaml": yaml.safe_dump(config), **hello})
    author.git("add", "-A")
    kinds = ["--hook-type", "pre-commit", "--hook-type", "pre-push"]
    subprocess.run([venv / "bin" / "pre-commit", "install", *kinds], cwd=author.root, env=author.variables, check=True)
    done = author.git("commit", "-m", "two")
    assert done.returncode == 0, done.stdout
    assert "Check the Space" in done.stdout
    author.write({"README.md": card("no-such-sdk")})
    done = author.git("commit", "-am", "three")
    assert done.returncode != 0
    assert "no-such-sdk" in done.stdout
    assert author.commits() == 2
    remote = tmp_path / "remote"
    subprocess.run(["git", "init", "-q", "--bare", remote], check=True)
    author.git("checkout", "-q", "--", ".")
    done = author.git("push", str(remote), "main")
    assert done.returncode == 0, done.stdout
    assert "Import what the Space imports" in done.stdout
