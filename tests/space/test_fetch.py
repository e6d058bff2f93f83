"""Fetch and check out from a real git server: every revision, links that lead out, and other repositories in reach."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from spacerun import editing
from spacerun.errors import ExitCode, FetchError, NotFoundError, PrerequisiteError, RefusedError
from spacerun.space.update import changes
from tests.hub import Cut, Executable, Html, RefuseSha, Status, Symlink
from tests.space.conftest import FILES, contents, everything, published

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub import Hub
    from tests.space.conftest import Machine, Tools


def git(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_the_published_bytes_at_depth_one(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", {"app.py": "old"})
    files = {**FILES, "ünï code/a b.txt": b"\r\n\x00\xff", "crlf.txt": b"a\r\nb\r\n"}
    commit = hub.publish(
        "owner/hello", {**files, "run.sh": Executable(b"#!/bin/sh\n"), "link": Symlink("data/notes.txt")}
    )
    checkout = machine.check_out("owner/hello")
    assert contents(checkout.directory) == {**published(files), "run.sh": b"#!/bin/sh\n", "link": b"-> data/notes.txt"}
    assert os.access(checkout.directory / "run.sh", os.X_OK)
    assert git(checkout.directory, "rev-parse", "HEAD").strip() == commit == checkout.commit
    assert git(checkout.directory, "rev-list", "--all", "HEAD").split() == [commit]
    assert git(checkout.directory, "status", "--porcelain") == ""
    assert changes(checkout, editing.unedited).paths == ()


def test_every_kind_of_revision(hub: Hub, machine: Machine) -> None:
    first = hub.publish("owner/hello", {**FILES, "which": "first"})
    hub.tag("owner/hello", "v1")
    hub.publish("owner/hello", {"which": "second"})
    hub.publish("owner/hello", {"which": "branch"}, branch="feature/ui")
    hub.pull_request("owner/hello", 7, {"which": "proposed"})
    for revision, which in (
        ("main", "second"),
        ("v1", "first"),
        (first, "first"),
        ("feature/ui", "branch"),
        ("refs/pr/7", "proposed"),
    ):
        checkout = machine.check_out(f"owner/hello@{revision}")
        assert (checkout.directory / "which").read_text() == which, revision


@pytest.mark.parametrize(
    ("revision", "which", "depths"),
    [
        (None, "newest", [1, 1]),
        ("main", "newest", [1, 1]),
        ("feature/ui", "branch", [1, 1]),
        ("refs/pr/7", "proposed", [1, 1]),
        ("v1", "tagged", [1, 1, None]),  # no branch has that name: in full
        ("FIRST", "first", [1, 1, None]),
    ],
)
def test_a_server_that_gives_no_commit_by_its_hash(
    hub: Hub, machine: Machine, tools: Tools, revision: str | None, which: str, depths: list[int | None]
) -> None:
    first = hub.publish("owner/hello", {**FILES, "which": "first"})
    hub.publish("owner/hello", {"which": "tagged"})
    hub.tag("owner/hello", "v1")
    hub.publish("owner/hello", {"which": "newest"})
    hub.publish("owner/hello", {"which": "branch"}, branch="feature/ui")
    hub.pull_request("owner/hello", 7, {"which": "proposed"})
    refused = 'case "$*" in fetch*" +"????????????????????????????????????????:*)'
    tools.add(
        "git",
        f"{refused} echo 'fatal: remote error: upload-pack: not our ref' >&2; exit 128;; esac\n"
        f'exec {shutil.which("git", path=tools.path)} "$@"',
    )
    asked = {"FIRST": f"owner/hello@{first}", None: "owner/hello"}.get(revision, f"owner/hello@{revision}")
    assert (machine.check_out(asked).directory / "which").read_text() == which
    fetches = [call for call in tools.calls if call.startswith("git fetch")]
    assert [1 if "--depth=1" in call else None for call in fetches] == depths


def test_a_server_that_only_gives_what_it_advertises(hub: Hub, machine: Machine) -> None:
    first = hub.publish("owner/hello", {**FILES, "which": "first"})
    hub.publish("owner/hello", {"which": "second"})
    rule = hub.faults.add(RefuseSha())
    assert (machine.check_out(f"owner/hello@{first}").directory / "which").read_text() == "first"
    assert rule.hits > 2


def test_a_second_commit_after_one_of_depth_one_from_such_a_server(hub: Hub, machine: Machine) -> None:
    first = hub.publish("owner/hello", {**FILES, "which": "first"})
    hub.publish("owner/hello", {"which": "second"})
    hub.faults.add(RefuseSha())
    machine.check_out("owner/hello")
    assert (machine.check_out(f"owner/hello@{first}").directory / "which").read_text() == "first"


def test_what_is_there_needs_no_network_and_no_time(hub: Hub, machine: Machine, tools: Tools) -> None:
    hub.publish("owner/hello", FILES)
    before = machine.check_out("owner/hello")
    hub.go_offline()
    tools.log.unlink()
    found = machine.find("owner/hello", offline=True)
    from spacerun.space.checkout import check_out

    began = time.perf_counter()
    again = check_out(
        found, directory=None, token=None, progress=machine.progress, unedited=editing.unedited, in_use=lambda _: False
    )
    assert time.perf_counter() - began < 0.05
    assert again == before
    assert tools.calls == []


def test_offline_only_what_is_there(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", FILES)
    machine.get("owner/hello")
    hub.go_offline()
    assert contents(machine.check_out("owner/hello", offline=True).directory) == published(FILES)
    hub.go_online()
    hub.publish("owner/hello", {"app.py": "2"})
    found = machine.find("owner/hello")
    from spacerun.space.checkout import check_out

    with pytest.raises(FetchError, match="is not on this disk") as raised:
        check_out(
            found,
            directory=None,
            token=None,
            progress=machine.progress,
            unedited=editing.unedited,
            in_use=lambda _: False,
            offline=True,
        )
    assert raised.value.hint == "Launch it once without --offline."


@pytest.mark.parametrize("fault", [Html(), Status(500), Cut(0.5), Cut(0)])
def test_a_broken_git_server_is_one_sentence_and_then_forgotten(
    hub: Hub, machine: Machine, fault: Html | Status | Cut
) -> None:
    hub.publish("owner/hello", FILES)
    rule = hub.faults.add(fault, path="/spaces/owner/hello/*")
    with pytest.raises(FetchError, match=r"^owner/hello@\w{8} could not be fetched: ") as raised:
        machine.check_out("owner/hello")
    assert "\n" not in raised.value.message
    assert raised.value.hint
    hub.faults.remove(rule)
    assert contents(machine.check_out("owner/hello").directory) == published(FILES)


def test_a_hub_that_vanishes_between_api_and_git(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", FILES)
    hub.faults.add(Status(404), path="/spaces/owner/hello/*")
    with pytest.raises(FetchError, match="could not be fetched"):
        machine.check_out("owner/hello")


def test_gated_for_git_is_not_found(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", FILES, gated=True)
    with pytest.raises(NotFoundError, match="may not be read: it is private, or its owner") as raised:
        machine.check_out("owner/hello")
    assert raised.value.exit_code == ExitCode.NOT_FOUND
    hub.add_token("hf_someStrangersToken", "stranger")
    with pytest.raises(NotFoundError, match="may not be read"):
        machine.check_out("owner/hello", token="hf_someStrangersToken")


def test_no_git(hub: Hub, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.publish("owner/hello", FILES)
    found = machine.find("owner/hello")
    monkeypatch.setenv("PATH", str(tmp_path))
    from spacerun.space.checkout import check_out

    with pytest.raises(PrerequisiteError, match="git is not installed") as raised:
        check_out(
            found,
            directory=None,
            token=None,
            progress=machine.progress,
            unedited=editing.unedited,
            in_use=lambda _: False,
        )
    assert raised.value.hint


@pytest.mark.parametrize("name", ["SSH", "another host"])
def test_what_the_user_has_configured_for_the_hub_is_passed_over(hub: Hub, machine: Machine, name: str) -> None:
    hub.publish("owner/hello", {**FILES, "a.bin": b"x" * 2000})
    other = "ssh://git@127.0.0.1:1" if name == "SSH" else "http://127.0.0.1:1"
    (machine.home.parent / "user" / ".gitconfig").write_text(
        f'[url "{other}/"]\n\tinsteadOf = {hub.endpoint}/\n[core]\n\thooksPath = /nonexistent\n\tautocrlf = true\n'
        "[protocol]\n\tversion = 0\n[fetch]\n\trecurseSubmodules = true\n[transfer]\n\tfsckObjects = false\n"
    )
    checkout = machine.get("owner/hello")
    assert (checkout.directory / "a.bin").read_bytes() == b"x" * 2000


# -- links -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "links",
    [
        {"out": "../secret"},
        {"out": "/etc/passwd"},
        {"data/out": "../../secret"},
        {"out": "data/../../secret"},
        {"out": "./.././secret"},
        {"deep/er/base": "../..", "out": "deep/er/base/../secret"},
        {"a": "data", "out": "a/../../secret"},
        {"a": "b", "b": "../secret"},
    ],
)
def test_links_that_lead_outside_are_refused(hub: Hub, machine: Machine, links: dict[str, str]) -> None:
    hub.publish("owner/hello", {**FILES, **{path: Symlink(target) for path, target in links.items()}})
    with pytest.raises(RefusedError, match="A symbolic link in the Space leads outside of it: ") as raised:
        machine.check_out("owner/hello")
    assert raised.value.exit_code == ExitCode.REFUSED
    assert not list((machine.home / "spaces/owner--hello").glob("trees/*"))


def test_links_that_stay_inside_are_fine(hub: Hub, machine: Machine) -> None:
    links = {
        "a": "app.py",
        "data/up": "../app.py",
        "folder": "data",
        "through": "folder/../app.py",
        "loop": "loop",
        "nowhere": "missing/file",
        "data/here": ".",
    }
    hub.publish("owner/hello", {**FILES, **{path: Symlink(target) for path, target in links.items()}})
    directory = machine.get("owner/hello").directory
    assert {path: os.readlink(directory / path) for path in links} == links  # noqa: PTH115
    assert (directory / "through").read_bytes() == (directory / "app.py").read_bytes()


# -- other repositories in reach ---------------------------------------------------------------------------------------


def test_a_repository_that_git_variables_point_at_stays_as_it_is(
    hub: Hub, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.publish("owner/hello", {**FILES, "a.bin": b"x" * 2000})
    mine = tmp_path / "mine"
    mine.mkdir()
    git(mine, "init", "-q")
    for name in ("app.py", "staged.txt", "a.bin"):
        (mine / name).write_text(f"my own {name}\n")
    git(mine, "add", ".")
    git(mine, "-c", "user.name=me", "-c", "user.email=me@localhost", "commit", "-qm", "mine")
    (mine / "app.py").write_text("dirty\n")
    (mine / "staged.txt").write_text("staged\n")
    git(mine, "add", "staged.txt")
    (mine / "untracked.txt").write_text("untracked\n")
    before = everything(mine)

    def variables() -> None:  # as inside any hook; spacerun takes them out of its own environment
        for name, value in {
            "GIT_DIR": mine / ".git",
            "GIT_WORK_TREE": mine,
            "GIT_INDEX_FILE": mine / ".git/index",
            "GIT_PREFIX": "",
        }.items():
            monkeypatch.setenv(name, str(value))

    variables()
    found = machine.find("owner/hello")
    variables()
    checkout = machine.check_out("owner/hello")
    variables()
    machine.fill(checkout)
    assert (checkout.directory / "a.bin").read_bytes() == b"x" * 2000
    (checkout.directory / "app.py").write_text("changed in the clone")
    variables()
    assert changes(checkout, editing.unedited).paths == ("app.py",)
    hub.publish("owner/hello", {"data/notes.txt": "two\n"})
    variables()
    assert machine.check_out("owner/hello").commit != found.commit
    variables()
    machine.get("owner/hello", directory=tmp_path / "chosen")
    hub.publish("owner/hello", {"data/notes.txt": "three\n"})
    variables()
    machine.get("owner/hello", directory=tmp_path / "chosen")
    assert everything(mine) == before
