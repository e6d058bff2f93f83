"""Git requirements as of a date, from real repositories reached through the user's `insteadOf`."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spacerun.environment.git_pins import Pinned, pin
from spacerun.environment.requirements import Line, parse_line
from spacerun.paths import home
from spacerun.progress import SilentProgress
from tests.hub.repository import git_environment

if TYPE_CHECKING:
    from tests.environment.conftest import Index

URL = "git+https://github.com/owner/lib.git"


class Repository:
    """A repository served under https://github.com/owner/lib.git by the user's own git configuration."""

    def __init__(self, root: Path) -> None:
        self.path = root / "lib"
        self.path.mkdir(parents=True)
        self.git("init", "-q", "--initial-branch=main")

    def git(self, *arguments: str, day: str = "2023-01-01") -> str:
        when = f"{day}T12:00:00Z"
        who = {f"GIT_{role}_{what}": "x@y" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = git_environment() | who | {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, day: str, text: str) -> str:
        (self.path / f"{text}.txt").write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", text, day=day)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    home = tmp_path / "user"
    home.mkdir()
    served = f"file://{tmp_path}/served/lib"
    (home / ".gitconfig").write_text(f'[url "{served}"]\n\tinsteadOf = https://github.com/owner/lib.git\n')
    monkeypatch.setenv("HOME", str(home))
    return Repository(tmp_path / "served")


def pinned(text: str, date: str = "2023-04-01T00:00:00Z", *, offline: bool = False) -> Pinned | None:
    line = parse_line(Path("/space"), text)
    return pin([line], date, progress=SilentProgress(), offline=offline).get(line)


def commit_in(result: Pinned | None) -> str:
    assert result is not None
    return result.line.text.partition("lib.git@")[2][:40]


def test_an_unpinned_requirement_gets_the_newest_commit_before_the_date(repository: Repository) -> None:
    repository.commit("2023-01-01", "old")
    wanted = repository.commit("2023-03-16", "llama")
    repository.commit("2023-04-02", "breaking")
    result = pinned(URL)
    assert commit_in(result) == wanted
    assert result is not None
    assert result.line.text == f"{URL}@{wanted}"
    assert wanted[:12] in result.why


@pytest.mark.parametrize(("text", "expected"), [
    ("lib @ git+https://github.com/owner/lib.git", "lib @ git+https://github.com/owner/lib.git@{}"),
    ("lib[x] @ git+https://github.com/owner/lib.git ; python_version > '3'",
     "lib[x] @ git+https://github.com/owner/lib.git@{} ; python_version > '3'"),
    ("git+https://github.com/owner/lib.git#egg=lib", "git+https://github.com/owner/lib.git@{}#egg=lib"),
    ("-e git+https://github.com/owner/lib.git#egg=lib", "git+https://github.com/owner/lib.git@{}#egg=lib"),
])  # fmt: skip
def test_the_rest_of_the_line_stays(repository: Repository, text: str, expected: str) -> None:
    wanted = repository.commit("2023-03-16", "llama")
    result = pinned(text)
    assert result is not None
    assert result.line.text == expected.format(wanted)


def test_a_branch_merged_later_is_not_taken_though_its_commits_are_older(repository: Repository) -> None:
    wanted = repository.commit("2023-03-01", "main")
    repository.git("checkout", "-q", "-b", "feature")
    repository.commit("2023-03-20", "side")
    repository.git("checkout", "-q", "main")
    repository.git("merge", "-q", "--no-ff", "-m", "merge", "feature", day="2023-05-01")
    assert commit_in(pinned(URL)) == wanted


def test_a_branch_is_followed_but_commits_and_tags_stand(repository: Repository) -> None:
    repository.commit("2023-01-01", "main")
    repository.git("checkout", "-q", "-b", "dev")
    wanted = repository.commit("2023-02-01", "dev")
    repository.commit("2023-06-01", "later")
    repository.git("tag", "v1.0")
    assert commit_in(pinned(f"{URL}@dev")) == wanted
    assert pinned(f"{URL}@v1.0") is None
    assert pinned(f"{URL}@{wanted}") is None
    assert pinned(f"{URL}@{wanted[:8]}") is None


def test_a_history_younger_than_the_date_gives_its_first_commit(repository: Repository) -> None:
    first = repository.commit("2024-01-01", "first")
    repository.commit("2024-02-01", "second")
    assert commit_in(pinned(URL)) == first


def test_what_was_looked_up_is_kept_without_the_network(repository: Repository) -> None:
    wanted = repository.commit("2023-03-16", "llama")
    assert pinned(URL, offline=True) is None
    assert commit_in(pinned(URL)) == wanted
    repository.path.rename(repository.path.with_name("gone"))
    assert commit_in(pinned(URL)) == wanted
    assert commit_in(pinned(URL, offline=True)) == wanted


def test_an_unreachable_repository_gives_the_first_release_after_the_date(index: Index, repository: Repository) -> None:
    repository.path.rename(repository.path.with_name("gone"))
    for version, day in [("4.27", "2023-03-15"), ("4.28", "2023-04-13"), ("4.29", "2023-05-10")]:
        index.wheel("lib", version, day=day)
    result = pinned(URL, "2023-03-22T00:00:00Z")
    assert result is not None
    assert result.line == Line("lib==4.28", result.line.kind, "lib")
    assert result.newer == (("lib", "2023-04-14T00:00:00Z"),)
    assert "cannot be reached: lib 4.28, its first release after 2023-03-22" in result.why


def test_an_unreachable_repository_of_no_published_project_stays(index: Index, repository: Repository) -> None:
    repository.path.rename(repository.path.with_name("gone"))
    assert pinned(URL) is None


def test_a_server_that_did_not_answer_is_not_asked_again_the_same_day(repository: Repository) -> None:
    repository.commit("2023-03-16", "llama")
    gone = repository.path.rename(repository.path.with_name("gone"))
    assert pinned(URL) is None
    gone.rename(repository.path)
    assert pinned(URL) is None
    for memory in (home().cache / "git-pins").glob("*.json"):
        memory.write_text('{"no answer": "0"}')
    assert pinned(URL) is not None


def test_nothing_of_the_repository_is_executed(repository: Repository, tmp_path: Path) -> None:
    repository.commit("2023-03-16", "llama")
    for hook in ("post-checkout", "pre-auto-gc", "reference-transaction", "post-merge"):
        path = repository.path / ".git/hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {tmp_path}/executed\n")
        path.chmod(0o755)
    assert commit_in(pinned(URL))
    assert not (tmp_path / "executed").exists()
