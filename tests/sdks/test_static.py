"""Static Spaces, started from the loopback Hub: served, built, shown, stopped."""

from __future__ import annotations

import json
import os
import shutil
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.command import Command, get

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hub import Hub

INDEX = b"<!doctype html><html><head><title>Static</title></head><body><script src='app.js'></script></body></html>"
CARD = b"---\ntitle: Pages\nsdk: static\ncustom_headers:\n  cross-origin-embedder-policy: require-corp\n---\n"
BUILT_CARD = b"---\nsdk: static\napp_build_command: npm run build\napp_file: dist/index.html\n---\n"
# Counts its runs beside the home, for a build must not be repeated.
BUILD = b"""\
import fs from "node:fs";
fs.appendFileSync(process.env.WITNESS, "built\\n");
fs.mkdirSync("dist/assets", { recursive: true });
fs.writeFileSync("dist/assets/main.js", `console.log(${JSON.stringify(process.env.GREETING || "none")})`);
fs.writeFileSync("dist/index.html", "<html><head></head><body>" + fs.readFileSync("text.txt") + "</body></html>");
"""
PACKAGE = json.dumps({"name": "pages", "private": True, "type": "module", "scripts": {"build": "node build.js"}})
PROJECT = {"README.md": BUILT_CARD, "package.json": PACKAGE.encode(), "build.js": BUILD, "text.txt": b"as built"}

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


@pytest.fixture
def own(tmp_path: Path, hub: Hub) -> Iterator[Command]:
    """The console script with a home that no other test uses."""
    home = tmp_path / "own" / "home"
    home.mkdir(parents=True)
    script = Command(home, {"HF_ENDPOINT": hub.endpoint})
    yield script
    script.run("stop", "--all")


def test_a_static_space_is_served_as_any_app_is_run(hub: Hub, own: Command) -> None:
    large = os.urandom(300_000)
    hub.publish("owner/pages", {"README.md": CARD, "index.html": INDEX, "app.js": b"1", "model.bin": large})
    plan = own.run("plan", "owner/pages", "--json").document["data"]
    assert (plan["sdk"], plan["packages"], plan["build"], plan["rewrites"]) == ("static", [], [], [])
    assert (plan["python"], plan["download_bytes"]) == (None, 300_000)
    verdict = own.run("check-gpu", "owner/pages", "--json")
    assert (verdict.code, verdict.document["data"]["verdict"]) == (0, "not_needed")
    with own.launch("owner/pages", "--no-share") as launched:
        data = launched.data
        assert (data["sdk"], data["environment"], data["python"]) == ("static", None, None)
        assert "environment" not in data["stages"]
        with urllib.request.urlopen(data["url"], timeout=10) as answer:
            assert answer.headers["cross-origin-embedder-policy"] == "require-corp"
            assert b"<title>Static</title>" in answer.read()
        assert get(f"{data['url']}/model.bin") == (200, large)
        (row,) = own.run("ps", "--json").document["data"]["apps"]
        assert (row["sdk"], row["status"], row["url"]) == ("static", "running", data["url"])
        assert launched.interrupt() == 130


def test_it_runs_detached_is_logged_and_stopped(hub: Hub, own: Command) -> None:
    hub.publish("owner/pages", {"README.md": CARD, "index.html": INDEX})
    done = own.run("launch", "owner/pages", "--no-share", "--detach", "--json")
    assert done.code == 0, done.err
    app = done.document["data"]["id"]
    assert get(done.document["data"]["url"])[0] == 200
    assert "GET / HTTP/1.1" in own.run("logs", app).out
    assert own.run("stop", app).code == 0
    assert own.run("ps", "--json").document["data"]["apps"] == []


def test_variables_stand_in_the_page_and_that_is_said(hub: Hub, own: Command) -> None:
    hub.publish("owner/pages", {"README.md": CARD, "index.html": INDEX})
    with own.launch("owner/pages", "--no-share", "--env", "GREETING=hello") as launched:
        assert b'"GREETING": "hello"' in get(launched.data["url"])[1]
        assert any("GREETING" in warning and "whoever opens it" in warning for warning in launched.warnings)


def test_a_static_space_has_nothing_to_lock(hub: Hub, own: Command, tmp_path: Path) -> None:
    hub.publish("owner/pages", {"README.md": CARD, "index.html": INDEX})
    done = own.run("plan", "owner/pages", "--lock", str(tmp_path / "lock"), "--json")
    assert (done.code, done.error["name"]) == (2, "usage")
    assert "nothing to lock" in done.error["message"]


@needs_npm
def test_a_build_is_made_once_in_a_copy(hub: Hub, own: Command, tmp_path: Path) -> None:
    hub.publish("owner/built", PROJECT)
    witness = tmp_path / "witness.txt"
    given = ("--env", f"WITNESS={witness}", "--env", "GREETING=hi", "--no-share", "--detach", "--json")
    planned = own.run("plan", "owner/built", "--json").document["data"]
    assert planned["build"] == ["npm install", "npm run build"]
    assert not witness.exists()  # a plan executes nothing of the Space
    data = own.run("launch", "owner/built", *given).document["data"]
    assert b"as built" in get(data["url"])[1]
    assert get(f"{data['url']}/assets/main.js")[1] == b'console.log("hi")'
    assert not (Path(data["directory"]) / "dist").exists()
    assert not (Path(data["directory"]) / "package-lock.json").exists()
    listed = own.run("list", "--json").document["data"]["items"]
    assert [item["in_use"] for item in listed if item["kind"] == "build"] == [True]
    own.run("prune")
    assert get(data["url"])[0] == 200
    own.run("stop", "--all")
    assert own.run("launch", "owner/built", "--offline", *given).code == 0
    assert witness.read_text() == "built\n"
    # Another text is another build.
    hub.publish("owner/built", {"text.txt": b"anew"})
    data = own.run("launch", "owner/built", *given).document["data"]
    assert b"anew" in get(data["url"])[1]
    assert witness.read_text() == "built\nbuilt\n"
    own.run("stop", "--all")
    own.run("prune")
    assert [item for item in own.run("list", "--json").document["data"]["items"] if item["kind"] == "build"] == []


@needs_npm
def test_a_local_folder_is_built_elsewhere(own: Command, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, content in PROJECT.items():
        (folder / name).write_bytes(content)
    before = sorted(folder.rglob("*"))
    with own.launch(str(folder), "--no-share", "--env", f"WITNESS={tmp_path / 'witness.txt'}") as launched:
        assert b"as built" in get(launched.data["url"])[1]
    assert sorted(folder.rglob("*")) == before


@needs_npm
@pytest.mark.parametrize(
    ("build", "said"),
    [(b"console.error('no such thing'); process.exit(3)", "no such thing"), (b"", "The build made no dist/index.html")],
)
def test_a_build_that_fails_is_told_with_its_words(hub: Hub, own: Command, build: bytes, said: str) -> None:
    hub.publish("owner/broken", {**PROJECT, "build.js": build})
    done = own.run("launch", "owner/broken", "--no-share", "--json")
    assert (done.code, done.error["name"], done.error["stage"]) == (6, "environment", "environment")
    assert said in done.error["message"] + done.error["hint"]


def test_without_npm_it_is_said_what_to_install(hub: Hub, own: Command, tmp_path: Path) -> None:
    hub.publish("owner/built", PROJECT)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("git", "git-lfs", "sh"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    done = own.run("launch", "owner/built", "--no-share", "--json", PATH=str(programs))
    assert (done.code, done.error["name"]) == (13, "prerequisite"), done.err
    assert "npm is not here" in done.error["message"]
    assert "nodejs" in done.error["hint"]


@needs_npm
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_real_vite_app_is_built_from_the_registry(hub: Hub, own: Command) -> None:
    package = {
        "name": "vite-app",
        "private": True,
        "type": "module",
        "scripts": {"build": "vite build"},
        "devDependencies": {"vite": "^6.0.0"},
    }
    page = b"<!doctype html><html><head></head><body><script type='module' src='/src/main.js'></script></body></html>"
    hub.publish("owner/vite", {
        "README.md": BUILT_CARD, "package.json": json.dumps(package), "index.html": page,
        "src/main.js": b"document.body.append('made by ' + import.meta.env.MODE)",
    })  # fmt: skip
    with own.launch("owner/vite", "--no-share") as launched:
        body = get(launched.data["url"])[1].decode()
        script = body.partition('src="')[2].partition('"')[0]
        assert script.startswith("/assets/")
        assert b"made by" in get(launched.data["url"] + script)[1]
