"""The life of an app after its launch, end to end: the installed console script, as a user types it."""

from __future__ import annotations

import contextlib
import json
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.command import carriers, get
from tests.test_launch import README, hello

if TYPE_CHECKING:
    from tests.command import Command
    from tests.hub import Hub

pytestmark = pytest.mark.environment

# Answers what it was started with; /crash ends it with a known message.
SPACE = b"""\
import http.server, json, os, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash":
            print("RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB", flush=True)
            os._exit(1)
        told = {"argv": sys.argv, "variables": dict(os.environ), "stdin": os.readlink("/proc/self/fd/0")}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
print("started with", sorted(name for name in os.environ if name.startswith("MINE")), flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"])), Page).serve_forever()
"""


REASON = "Nobody used it for 3 s, so it was stopped (--idle-timeout)."


@pytest.fixture
def space(hub: Hub) -> str:
    hub.publish("owner/life", {"README.md": README, "app.py": SPACE})
    return "owner/life"


def told(url: str) -> dict:
    return json.loads(get(url)[1])


def crash(url: str) -> None:
    with contextlib.suppress(OSError, urllib.error.HTTPError):
        urllib.request.urlopen(f"{url}/crash", timeout=10).read()


def test_the_app_has_what_it_has_on_hugging_face_but_that_it_is_there(hub_command: Command, space: str) -> None:
    with hub_command.launch(space, "--no-share", "--gpu", "none", PYTHONDONTWRITEBYTECODE="1", SYSTEM="spaces") as app:
        seen = told(app.data["url"])
        variables = seen["variables"]
        assert seen["argv"] == ["app.py"]
        assert seen["stdin"] == "/dev/null"
        assert variables["ACCELERATOR"] == "none"
        assert int(variables["CPU_CORES"]) in range(1, (os.cpu_count() or 1) + 1)
        assert variables["MEMORY"].endswith("Gi")
        assert variables["BROWSER"] == "true"
        first = Path(variables["PATH"].split(":")[0])
        assert first.is_relative_to(app.data["environment"])
        assert (first / "python").exists()
        assert not [name for name in variables if name.startswith(("SPACE_", "SYSTEM", "PYTHONDONTWRITE"))]


def test_like_hub_says_that_it_is_there(hub_command: Command, space: str) -> None:
    with hub_command.launch(space, "--like-hub", "--no-share") as app:
        variables = told(app.data["url"])["variables"]
    assert (variables["SPACE_ID"], variables["SYSTEM"]) == ("owner/life", "spaces")
    assert variables["SPACE_HOST"] == "owner-life.hf.space"


@pytest.mark.slow
def test_like_hub_leaves_the_link_to_spacerun(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/hello", hello())
    with hub_command.launch("owner/hello", "--no-share"):
        pass
    with hub_command.launch("owner/hello", "--like-hub", "--offline") as app:
        assert [row["share"] for row in app.data["launches"]] == [False]
        assert app.data["share_url"] is None
        assert any("Gradio makes no public link where it believes" in text for text in app.warnings)


def test_a_space_that_wants_its_own_name_is_told_how(hub: Hub, hub_command: Command) -> None:
    code = b"import os\nprint(os.environ['SPACE_ID'])\n"
    hub.publish("owner/asks", {"README.md": README, "app.py": code})
    done = hub_command.run("launch", "owner/asks", "--no-share", "--json")
    assert (done.code, done.error["name"]) == (14, "missing_secret")
    assert "--like-hub" in done.error["hint"]
    done = hub_command.run("launch", "owner/other", "--like-hub", "--offline", "--json")
    assert any("Gradio makes no public link where it believes" in text for text in done.document["warnings"])


def test_restart_open_and_stop_by_their_commands(hub_command: Command, space: str) -> None:
    first = hub_command.run("launch", space, "--no-share", "-d", "--json", "--env", "MINE=s3cr3t-7d1").document["data"]
    opened = hub_command.run("open", space, "--json", BROWSER="true").document["data"]
    assert (opened["url"], opened["opened"]) == (first["url"], True)
    again = hub_command.run("restart", space, "--json").document["data"]["restarted"]
    assert (again["id"], again["url"], again["restarts"]) == (first["id"], first["url"], 1)
    assert again["pid"] != first["pid"]
    assert told(again["url"])["variables"]["MINE"] == "s3cr3t-7d1"
    assert hub_command.run("logs", space).out.count("started with ['MINE']") == 2
    assert hub_command.run("stop", first["id"]).code == 0
    assert carriers("s3cr3t-7d1") == []
    lost = hub_command.run("restart", first["id"], "--json")
    assert (lost.code, lost.error["name"]) == (14, "missing_secret")
    assert f"spacerun restart {first['id']} --env MINE=…" in lost.error["hint"]
    back = hub_command.run("restart", first["id"], "--env", "MINE=other-55e", "--json").document["data"]["restarted"]
    seen = told(back["url"])["variables"]
    assert (seen["MINE"], back["url"]) == ("other-55e", first["url"])
    assert not [name for name in seen if name.startswith("SPACERUN")]
    second = hub_command.run("launch", space, "--no-share", "-d", "--json").document["data"]
    stopped = hub_command.run("stop", first["id"], second["id"], "--json").document["data"]["stopped"]
    assert [row["id"] for row in stopped] == [first["id"], second["id"]]


def test_a_crash_is_explained_in_the_terminal_and_to_whoever_looks_later(hub_command: Command, space: str) -> None:
    with hub_command.launch(space, "--no-share") as app:
        crash(app.data["url"])
        assert app.process.wait(30) == 9
        said = " ".join(app.err.split())
    assert "The app crashed (exit status 1): the memory of the GPU does not suffice." in said
    assert "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB" in said
    assert said.count("What helps:") == 1
    assert hub_command.run("launch", space, "--no-share", "-d", "--restart", "on-failure").code == 0
    running = hub_command.run("ps", "--json").document["data"]["apps"][0]
    crash(running["url"])
    deadline = time.monotonic() + 30
    while (now := hub_command.run("ps", "--json").document["data"]["apps"][0])["restarts"] == 0 or not now["ready"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert now["reason"] == "The app crashed (exit status 1): the memory of the GPU does not suffice."
    assert "answers, restarted 1×" in hub_command.run("ps").out
    assert hub_command.run("stop", now["id"]).code == 0


def test_an_app_that_nobody_uses_ends_well(hub_command: Command, space: str) -> None:
    done = hub_command.run("launch", space, "--no-share", "--idle-timeout", "3s")
    assert done.code == 0
    said = " ".join(done.err.split())
    assert REASON in said
    (app,) = (row for row in hub_command.run("ps", "-a", "--json").document["data"]["apps"] if row["reason"] == REASON)
    assert (app["status"], app["health"], app["reason"]) == ("stopped", None, REASON)
    wrong = hub_command.run("launch", space, "--idle-timeout", "30 minutes", "--json")
    assert (wrong.code, wrong.error["name"]) == (2, "usage")
    assert "--idle-timeout 30m" in wrong.error["hint"]
