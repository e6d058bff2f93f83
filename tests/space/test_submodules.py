"""Submodules of the same Hub are fetched; an address that is a program or a file of this disk is never followed."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from spacerun.errors import FetchError
from spacerun.space.submodules import fill_submodules
from tests.hub import Gitlink, Status
from tests.space.conftest import FILES, everything

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.space.tree import Checkout
    from tests.hub import Hub
    from tests.space.conftest import Machine, Tools

WEIGHTS = bytes(range(256)) * 40


def modules(**addresses: str) -> str:
    return "".join(f'[submodule "{name}"]\n\tpath = {name}\n\turl = {url}\n' for name, url in addresses.items())


def fill(hub: Hub, machine: Machine, directory: Path | None = None) -> tuple[Checkout, tuple[str, ...]]:
    checkout = machine.get("owner/hello", directory=directory)
    url = hub.url("owner/hello")
    return checkout, fill_submodules(checkout, url=url, token=None, progress=machine.progress)


@pytest.mark.parametrize("way", ["tree", "directory"])
def test_those_of_the_same_hub_come_at_depth_one(hub: Hub, machine: Machine, tmp_path: Path, way: str) -> None:
    old = hub.publish("owner/code", {"lib.py": "old"})
    code = hub.publish("owner/code", {"lib.py": "new", "w.bin": WEIGHTS})
    hub.publish("owner/code", {"lib.py": "newer than the one asked for"})
    model = hub.publish("owner/model", {"config.json": "{}", "m.bin": WEIGHTS[1:]}, kind="model")
    links = {"code": Gitlink(code), "model": Gitlink(model), "sibling": Gitlink(code)}
    addresses = {"code": hub.url("owner/code"), "model": f"{hub.endpoint}/owner/model", "sibling": "../code"}
    hub.publish("owner/hello", {**FILES, **links, ".gitmodules": modules(**addresses)})
    checkout, fetched = fill(hub, machine, tmp_path / "chosen" if way == "directory" else None)
    assert set(fetched) == {"code", "model", "sibling"}
    assert (checkout.directory / "code/lib.py").read_text() == "new"
    assert (checkout.directory / "sibling/lib.py").read_text() == "new"
    assert (checkout.directory / "model/config.json").read_text() == "{}"
    assert (checkout.directory / "code/w.bin").read_bytes() == WEIGHTS
    assert (checkout.directory / "model/m.bin").read_bytes() == WEIGHTS[1:]
    commits = ["git", "-C", str(checkout.directory / "code"), "rev-list", "--all", "HEAD"]
    assert old not in subprocess.run(commits, capture_output=True, text=True, check=True).stdout.split()
    assert machine.progress.warnings == []


def test_large_files_of_a_submodule_without_git_lfs(hub: Hub, machine: Machine, tools: Tools) -> None:
    model = hub.publish("owner/model", {"m.bin": WEIGHTS}, kind="model")
    files = {**FILES, "m": Gitlink(model), ".gitmodules": modules(m=f"{hub.endpoint}/owner/model")}
    hub.publish("owner/hello", files)
    tools.add("git-lfs", "exit 1")
    checkout, _ = fill(hub, machine)
    assert (checkout.directory / "m/m.bin").read_bytes() == WEIGHTS


def test_those_elsewhere_are_named_and_left_out(hub: Hub, machine: Machine, tmp_path: Path) -> None:
    marker = tmp_path / "it ran"
    local = tmp_path / "local.git"
    subprocess.run(["git", "init", "-q", "--bare", str(local)], check=True)
    addresses = {
        "program": f"ext::sh -c touch% {shlex.quote(str(marker)).replace(' ', '%20')}",
        "plain-program": f"ext::touch {marker}",
        "disk": f"file://{local}",
        "path": str(local),
        "github": "https://github.com/owner/name",
        "other-port": "http://127.0.0.1:1/spaces/owner/code",
        "user": hub.endpoint.replace("//", "//user@") + "/spaces/owner/code",
    }
    commit = hub.publish("owner/code", {"lib.py": "x"})
    links = {name: Gitlink(commit) for name in addresses}
    hub.publish("owner/hello", {**FILES, **links, ".gitmodules": modules(**addresses)})
    before = everything(local)
    checkout, fetched = fill(hub, machine)
    assert fetched == ()
    assert not marker.exists()
    assert not list(tmp_path.rglob("it*ran*"))
    assert everything(local) == before
    for name in addresses:
        assert any(f"Submodule {name} lies outside of this Hub" in warning for warning in machine.progress.warnings)
        assert not list((checkout.directory / name).iterdir())


@pytest.mark.parametrize("address", ["--upload-pack=touch ran", "ssh://-oProxyCommand=touch%20ran/x", "-x"])
def test_addresses_that_are_options(
    hub: Hub, machine: Machine, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    commit = hub.publish("owner/code", {"lib.py": "x"})
    hub.publish("owner/hello", {**FILES, "code": Gitlink(commit), ".gitmodules": modules(code=address)})
    try:
        _, fetched = fill(hub, machine)
    except FetchError as error:  # git refuses the commit as a whole
        assert "gitmodulesUrl" in error.message  # noqa: PT017 - newer versions of git may refuse more
    else:
        assert fetched == ()
    assert not list(tmp_path.rglob("ran"))


def test_a_command_in_gitmodules_is_not_run(hub: Hub, machine: Machine, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    commit = hub.publish("owner/code", {"lib.py": "x"})
    config = modules(code="../code") + f"\tupdate = !touch {marker}\n\tfetchRecurseSubmodules = true\n"
    hub.publish("owner/hello", {**FILES, "code": Gitlink(commit), ".gitmodules": config})
    with pytest.raises(FetchError):  # git itself refuses the whole file
        fill(hub, machine)
    assert not marker.exists()


def test_names_that_could_be_settings(hub: Hub, machine: Machine) -> None:
    commit = hub.publish("owner/code", {"lib.py": "x"})
    config = '[submodule "a=b.c d"]\n\tpath = code\n\turl = ../code\n'
    hub.publish("owner/hello", {**FILES, "code": Gitlink(commit), ".gitmodules": config})
    checkout, fetched = fill(hub, machine)
    assert fetched == ("code",)
    assert (checkout.directory / "code/lib.py").read_text() == "x"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "not a file of git's",
        '[submodule "x"]\n',
        "\x00\xff",
        '[submodule "x"]\n\tpath = missing\n\turl = ../code\n',
    ],
)
def test_a_broken_gitmodules_is_no_failure(hub: Hub, machine: Machine, text: str) -> None:
    hub.publish("owner/hello", {**FILES, ".gitmodules": text.encode("latin-1")})
    _, fetched = fill(hub, machine)
    assert fetched == ()


def test_one_that_is_gone_is_named(hub: Hub, machine: Machine) -> None:
    commit = hub.publish("owner/code", {"lib.py": "x"})
    hub.publish("owner/hello", {**FILES, "code": Gitlink(commit), ".gitmodules": modules(code="../code")})
    hub.faults.add(Status(500), path="/spaces/owner/code/*")
    with pytest.raises(FetchError, match=r"^Submodule code could not be fetched") as raised:
        fill(hub, machine)
    assert "\n" not in raised.value.message
