"""Locks: written beside every environment, exported, and made again to the byte or refused."""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spacerun.environment import lock_writing
from spacerun.environment.build import build
from spacerun.environment.lock import LOCK_FILE, locked_plan, read_lock
from spacerun.errors import ExitCode, PackagesError, RefusedError, UsageError
from spacerun.progress import SilentProgress
from tests.environment.conftest import Index, plan_for

if TYPE_CHECKING:
    from spacerun.environment.store import Environment
    from tests.command import Command, Done
    from tests.hub import Hub

PYTHON = ".".join(map(str, sys.version_info[:3]))
README = f"---\nsdk: gradio\nsdk_version: 4.44.0\npython_version: '3.{sys.version_info.minor}'\n---\n"
# Answers without importing Gradio, of which the index has stubs only.
PLAIN = """\
import http.server, os
address = ("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"]))
http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def toml(text: str) -> dict[str, Any]:
    return importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads(text)


def made(space: Path, text: str, **changes: Any) -> Environment:
    return build(plan_for(space, text, **changes), progress=SilentProgress(), offline=False)


def contents(environment: Environment) -> dict[str, str]:
    """Every installed file with its hash, but what is written anew each time."""
    (site,) = environment.python.parent.parent.glob("lib/python*/site-packages")
    return {
        str(path.relative_to(site)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in site.rglob("*")
        if path.is_file() and path.name not in {"RECORD", "REQUESTED", "uv_cache.json"}
    }


def test_every_environment_has_a_lock_with_a_hash_for_each_package(index: Index, space: Path) -> None:
    index.wheel("extra-lib", "2.0")
    environment = made(space, "extra-lib\n")
    content = toml((environment.directory / LOCK_FILE).read_text())
    assert content["lock-version"] == "1.0"
    locked = {item["name"]: item for item in content["packages"]}
    assert {(name, item["version"]) for name, item in locked.items()} == set(environment.packages)
    (wheel,) = locked["extra-lib"]["wheels"]
    file = index.files["extra_lib-2.0-py3-none-any.whl"]
    assert wheel["hashes"]["sha256"] == hashlib.sha256(file).hexdigest()
    assert wheel["url"] == f"{index.base}/files/extra_lib-2.0-py3-none-any.whl"
    assert content["tool"]["spacerun"]["python"] == environment.python_version


def test_writing_the_lock_asks_the_index_for_nothing_and_takes_a_moment(
    index: Index, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    seconds: list[float] = []
    write = lock_writing.write_lock

    def watched(*arguments: Any) -> None:
        index.asked.clear()
        began = time.monotonic()
        write(*arguments)
        seconds.append(time.monotonic() - began)
        asked.extend(index.asked)

    monkeypatch.setattr("spacerun.environment.build.write_lock", watched)
    made(space, "")
    assert asked == []
    assert seconds[0] < 1.5, "0.1 to 0.3 s on an idle machine"


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def package(folder: Path, name: str) -> None:
    folder.mkdir(parents=True)
    (folder / "backend.py").write_text(BACKEND.replace("NAME", name))
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )


BACKEND = """
import pathlib, zipfile
def build_wheel(folder, *_):
    with zipfile.ZipFile(pathlib.Path(folder) / "NAME-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("NAME.py", "")
        wheel.writestr("NAME-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: NAME\\nVersion: 1\\n")
        wheel.writestr("NAME-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("NAME-1.dist-info/RECORD", "")
    return "NAME-1-py3-none-any.whl"
"""


def test_git_url_and_local_requirements_are_locked_by_commit_and_hash(
    index: Index, space: Path, tmp_path: Path
) -> None:
    package(space / "near", "near")
    package(tmp_path / "far", "far")
    git(tmp_path / "far", "init", "-q")
    git(tmp_path / "far", "add", ".")
    git(tmp_path / "far", "commit", "-qm", "first")
    commit = git(tmp_path / "far", "rev-parse", "HEAD")
    index.wheel("by-url", "3")
    url = f"{index.base}/files/by_url-3-py3-none-any.whl"
    text = f"./near\nfar @ git+file://{tmp_path}/far\nby-url @ {url}\n"
    environment = made(space, text)
    locked = {item["name"]: item for item in toml((environment.directory / LOCK_FILE).read_text())["packages"]}
    assert locked["far"]["vcs"]["commit-id"] == commit
    assert locked["near"]["directory"]["path"] == "near"
    assert locked["by-url"]["archive"]["url"] == url
    assert locked["by-url"]["archive"]["hashes"]["sha256"]

    # A later commit on the branch changes nothing.
    (tmp_path / "far" / "backend.py").write_text("raise SystemExit")
    git(tmp_path / "far", "commit", "-qam", "second")
    plan = relocked(space, environment, text)
    again = build(plan, progress=SilentProgress(), offline=False)
    assert again.created
    assert again.packages == environment.packages

    (space / "near/pyproject.toml").write_text((space / "near/pyproject.toml").read_text() + "\n# changed")
    with pytest.raises(RefusedError, match="other files of the local package near"):
        relocked(space, environment, text)


def relocked(space: Path, environment: Environment, text: str) -> Any:
    return locked_plan(
        read_lock(environment.directory / LOCK_FILE), plan_for(space, text), space=str(space), commit=None, python=None
    )


def test_the_same_bytes_are_installed_although_the_index_has_moved_on(index: Index, space: Path) -> None:
    index.wheel("drifting", "1.0")
    first = made(space, "drifting\n")
    index.wheel("drifting", "2.0")
    again = build(relocked(space, first, "drifting\n"), progress=SilentProgress(), offline=False)
    assert again.directory != first.directory
    assert dict(again.packages)["drifting"] == "1.0"
    assert contents(again) == contents(first)


def test_a_file_with_another_hash_is_refused(
    index: Index, space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.wheel("drifting", "1.0")
    first = made(space, "drifting\n")
    plan = relocked(space, first, "drifting\n")
    # The same version with other content, as a compromised index would have it.
    index.wheel("drifting", "1.0", requires=("pip",))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another-cache"))
    with pytest.raises(PackagesError, match=r"(?i)hash") as caught:
        build(plan, progress=SilentProgress(), offline=False)
    assert "drifting" in caught.value.message
    assert caught.value.exit_code == ExitCode.ENVIRONMENT


@pytest.mark.parametrize(
    "damage",
    [
        "not toml",
        "[tool.spacerun]\nversion = 99\n",
        "[tool.spacerun]\nversion = 1\npython = '3.10'\nplatform = 'x'\nindexes = [\"a\\nb\"]\n",
        "[tool.other]\n",
    ],
)
def test_what_is_no_lock_is_a_usage_error(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "a.lock"
    file.write_text(damage)
    with pytest.raises(UsageError, match="is not a lock that spacerun wrote"):
        read_lock(file)
    with pytest.raises(UsageError):
        read_lock(tmp_path / "absent.lock")


def test_a_lock_cannot_smuggle_options_in(index: Index, space: Path) -> None:
    lock = read_lock(made(space, "").directory / LOCK_FILE)
    for item in (
        {"name": "x\n--index-url https://evil.example", "version": "1", "wheels": [{"hashes": {"sha256": "0"}}]},
        {"name": "x", "directory": {"path": "../../etc"}},
    ):
        evil = replace(lock, packages=(item,))
        with pytest.raises((UsageError, PackagesError)):
            locked_plan(evil, plan_for(space, ""), space=str(space), commit=None, python=None)


def launch_once(command: Command, *arguments: str) -> dict[str, Any]:
    with command.launch(*arguments, "--no-share") as launched:
        return launched.data


def refused(command: Command, *arguments: str) -> Done:
    return command.run("launch", *arguments, "--no-share", "--json", timeout=120)


def test_lock_and_locked_through_the_command(index: Index, hub: Hub, hub_command: Command, tmp_path: Path) -> None:
    index.wheel("drifting", "1.0")
    files = {"README.md": README, "app.py": PLAIN, "requirements.txt": "drifting\n", "packages.txt": "coreutils\n"}
    commit = hub.publish("owner/locked", files)
    file = tmp_path / "space.lock"
    first = launch_once(hub_command, "owner/locked", "--lock", str(file), "--system-packages", "no")
    table = toml(file.read_text())["tool"]["spacerun"]
    assert (table["space"], table["commit"]) == ("owner/locked", commit)
    assert (table["python"], table["system-packages"], table["models"]) == (first["python"], ["coreutils"], {})

    # On another machine, later.
    index.wheel("drifting", "2.0")
    shutil.rmtree(Path(first["environment"]))
    again = launch_once(hub_command, "owner/locked", "--locked", str(file))
    assert again["environment"] != first["environment"]
    assert again["packages"] == first["packages"]

    newer = hub.publish("owner/locked", {**files, "app.py": PLAIN + "# changed\n"})
    other = refused(hub_command, "owner/locked", "--locked", str(file))
    assert (other.code, other.error["name"]) == (4, "refused")
    assert commit[:12] in other.error["message"]
    assert newer[:12] in other.error["message"]
    assert f"owner/locked@{commit}" in other.error["hint"]

    python = refused(hub_command, f"owner/locked@{commit}", "--locked", str(file), "--python", "3.8")
    assert (python.code, PYTHON in python.error["message"], "3.8" in python.error["message"]) == (4, True, True)

    both = refused(hub_command, f"owner/locked@{commit}", "--locked", str(file), "--with", "six")
    assert (both.code, both.error["name"]) == (2, "usage")


def test_plan_writes_the_lock_that_launch_would_and_installs_nothing(
    index: Index, space: Path, command: Command, tmp_path: Path
) -> None:
    index.wheel("drifting", "1.0")
    (space / "README.md").write_text(README)
    (space / "app.py").write_text("import gradio as gr\ngr.Interface(str, 'text', 'text').launch()\n")
    (space / "requirements.txt").write_text("drifting\n")
    file = tmp_path / "planned.lock"
    done = command.run("plan", str(space), "--lock", str(file), "--json")
    assert done.code == 0, done.err
    planned = {item["name"]: item["version"] for item in toml(file.read_text())["packages"]}
    assert planned == {item["name"]: item["version"] for item in done.document["data"]["packages"]}
    assert planned["drifting"] == "1.0"
    locked = command.run("plan", str(space), "--locked", str(file), "--json")
    assert locked.code == 0, locked.err
    assert locked.document["data"]["python"] == read_lock(file).python

    (space / "requirements.txt").write_text("drifting\n-e .\n")
    (space / "setup.py").write_text("")
    unknown = command.run("plan", str(space), "--lock", str(file), "--json")
    assert (unknown.code, unknown.error["name"]) == (4, "refused")


def test_the_lock_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "lock.md").read_text()
    for key in ("space", "commit", "python", "platform", "as-of", "indexes", "local", "system-packages", "models"):
        assert f"`{key}`" in text
    assert json.dumps("1.0") in text
