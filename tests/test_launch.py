"""The main job, end to end: the installed console script, a Space on a real git server, real Gradio."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.command import SCRIPT, carriers, get, predict

if TYPE_CHECKING:
    from tests.command import Command
    from tests.hub import Hub

pytestmark = pytest.mark.environment

HELLO = Path(__file__).parents[1] / "examples" / "hello"
README = (HELLO / "README.md").read_bytes()

# Answers without importing Gradio: for tests in which Gradio itself plays no part.
PLAIN = b"""\
import http.server, os
address = ("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"]))
http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def hello(**more: bytes | str) -> dict[str, bytes | str]:
    return {"README.md": README, "app.py": (HELLO / "app.py").read_bytes(), **more}


def test_launch_does_the_whole_job(hub: Hub, hub_command: Command) -> None:
    weights = os.urandom(3_000_000)
    app = (
        b"import gradio as gr, hashlib, pathlib\n"
        b"SUM = hashlib.sha256(pathlib.Path('weights.bin').read_bytes()).hexdigest()\n"
        b"def check(name):\n    return f'{name} {SUM}'\n"
        b"gr.Interface(check, 'text', 'text').launch()  # as it was\n"
    )
    commit = hub.publish("owner/whole", {"README.md": README, "app.py": app, "weights.bin": weights})
    with hub_command.launch("owner/whole") as launched:
        data = launched.data
        assert data["space"] == "owner/whole"
        assert data["revision"] == commit
        assert predict(data["url"], "check", "Ada") == [f"Ada {hashlib.sha256(weights).hexdigest()}"]
        assert carriers(launched.marker)
        assert [(r["how"], r["line"]) for r in data["rewrites"]] == [("edit", 5)]
        edited = (Path(data["directory"]) / "app.py").read_bytes()
        assert edited == app.replace(b".launch()", b".launch(share=True)")
        assert {"find", "clone", "lfs", "source", "environment", "check-gpu", "rewrite", "start"} - {"start"} <= set(
            data["stages"]
        )
        # Gradio cannot reach its tunnel from here: the app runs all the same, and the user is told.
        assert data["share_url"] is None
        assert any("share link" in warning for warning in launched.warnings)
        assert launched.interrupt() == 130
    assert carriers(launched.marker) == []


def test_launch_of_a_local_folder_writes_nothing_into_it(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "my-space"
    folder.mkdir()
    for name, content in hello(**{"helper.py": b"NAME = 'x'\n"}).items():
        (folder / name).write_bytes(content)
    (folder / "app.py").write_bytes(b"import helper\n" + (HELLO / "app.py").read_bytes())
    before = snapshot(folder)
    with command.launch("./my-space", "--no-share", cwd=tmp_path) as launched:
        assert predict(launched.data["url"], "greet", "Ada") == ["Hello, Ada!"]
        assert launched.data["directory"] == str(folder)
    assert snapshot(folder) == before


def test_relaunch_asks_the_hub_once_and_installs_nothing(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/again", {"README.md": README, "app.py": PLAIN, "big.bin": os.urandom(200_000)})
    with hub_command.launch("owner/again", "--no-share"):
        pass
    hub.clear_requests()
    with hub_command.launch("owner/again", "--no-share") as launched:
        assert "lfs" not in launched.data["stages"]
        assert launched.data["stages"]["environment"] < 1
    assert [r.path for r in hub.requests if r.path != "/api/agent-harnesses"] == ["/api/spaces/owner/again"]


def test_relaunch_offline_uses_no_network(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/off", {"README.md": README, "app.py": PLAIN, "big.bin": os.urandom(200_000)})
    with hub_command.launch("owner/off", "--no-share"):
        pass
    hub.clear_requests()
    with hub_command.launch("owner/off", "--no-share", "--offline") as launched:
        assert get(launched.data["url"])[0] == 200
    assert hub.requests == []
    never = hub_command.run("launch", "owner/never", "--offline", "--json")
    assert (never.code, never.error["name"]) == (3, "not_found")


def test_share_link_is_proven_through_a_tunnel_that_forwards_bytes(
    hub: Hub, hub_command: Command, tmp_path: Path
) -> None:
    # Behind an address of one's own Gradio takes the link for https, unless the code says otherwise.
    app = (HELLO / "app.py").read_bytes().replace(b".launch()", b'.launch(share_server_protocol="http")')
    hub.publish("owner/shared", hello(**{"app.py": app}))
    # Gradio looks for its tunnel client in HF_HOME; a stand-in that really forwards stands there.
    hf_home = tmp_path / "space-hf-home"
    frpc = hf_home / "gradio" / "frpc" / f"frpc_linux_{machine()}_v0.3"
    frpc.parent.mkdir(parents=True)
    frpc.write_text(FORWARDING_FRPC)
    frpc.chmod(0o755)
    with hub_command.launch(
        "owner/shared",
        "--require-share",
        "--env",
        f"HF_HOME={hf_home}",
        "--env",
        "GRADIO_SHARE_SERVER_ADDRESS=127.0.0.1:7000",
    ) as launched:
        share_url = launched.data["share_url"]
        assert share_url.startswith("http://127.0.0.1:")
        assert share_url != launched.data["url"]
        assert predict(share_url, "greet", "Ada") == ["Hello, Ada!"]


def test_without_a_share_link_require_share_fails(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/unshared", hello())
    done = hub_command.run("launch", "owner/unshared", "--require-share", "--json")
    assert (done.code, done.error["name"], done.error["stage"]) == (11, "share_failed", "share")


def test_a_tree_in_use_is_never_edited(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/busy", hello())
    with hub_command.launch("owner/busy", "--no-share") as first:
        app = Path(first.data["directory"]) / "app.py"
        before = app.read_bytes()
        with hub_command.launch("owner/busy") as second:
            assert second.data["directory"] == first.data["directory"]
            assert second.data["port"] != first.data["port"]
            assert [r["how"] for r in second.data["rewrites"]] == ["hook"]
            assert app.read_bytes() == before
            assert "Could not create share link" in second.err


def test_the_users_edit_survives_an_update(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/edited", hello(**{"notes.txt": b"one\n"}))
    with hub_command.launch("owner/edited") as first:
        tree = Path(first.data["directory"])
    mine = tree / "app.py"
    mine.write_bytes(mine.read_bytes().replace(b"Hello,", b"Hi,"))
    hub.publish("owner/edited", {"notes.txt": b"two\n"})
    with hub_command.launch("owner/edited", "--no-share") as second:
        assert predict(second.data["url"], "greet", "Ada") == ["Hi, Ada!"]
        new = Path(second.data["directory"])
        assert new != tree
        assert (new / "notes.txt").read_bytes() == b"two\n"
        assert b"share" not in (new / "app.py").read_bytes()
    hub.publish("owner/edited", {"app.py": PLAIN})
    (new / "app.py").write_bytes((new / "app.py").read_bytes() + b"# mine\n")
    refused = hub_command.run("launch", "owner/edited", "--json")
    assert (refused.code, refused.error["name"]) == (4, "refused")
    git = refused.error["hint"].partition(": ")[2].partition(" ;")[0].split()
    shown = subprocess.run(git, capture_output=True, check=True)
    assert b"# mine" in shown.stdout


def test_detached_app_is_listed_logged_and_stopped(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/detached", hello())
    started = hub_command.run(
        "launch", "owner/detached", "--no-share", "--detach", "--json", "--env", "MARK=detached-7c1f"
    )
    assert started.code == 0
    data = started.document["data"]
    assert predict(data["url"], "greet", "Ada") == ["Hello, Ada!"]
    apps = hub_command.run("ps", "--json").document["data"]["apps"]
    assert [(app["space"], app["url"]) for app in apps] == [("owner/detached", data["url"])]
    assert "Running on local URL" in hub_command.run("logs", "owner/detached").out
    assert hub_command.run("stop", "owner/detached", "--json").code == 0
    assert carriers("detached-7c1f") == []
    assert hub_command.run("ps", "--json").document["data"]["apps"] == []


def test_detached_apps_are_all_stopped_at_once(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/one", {"README.md": README, "app.py": PLAIN})
    for _ in range(2):
        assert hub_command.run("launch", "owner/one", "--no-share", "-d", "--env", "MARK=all-93ab").code == 0
    assert len(hub_command.run("ps", "--json").document["data"]["apps"]) == 2
    assert hub_command.run("stop", "--all").code == 0
    assert carriers("all-93ab") == []


def test_kill_of_spacerun_leaves_nothing_that_the_next_command_does_not_mend(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/killed", {"README.md": README, "app.py": PLAIN})
    with hub_command.launch("owner/killed", "--no-share") as launched:
        launched.process.send_signal(signal.SIGKILL)
        launched.process.wait()
        assert hub_command.run("ps", "--json").document["data"]["apps"] == []
        assert carriers(launched.marker) == []


def test_the_app_gets_no_secret_of_the_user(hub: Hub, hub_command: Command) -> None:
    hub.add_token("hf_secret1234567890", "ada")
    hub.publish("ada/private", {"README.md": README, "app.py": ECHO_ENVIRONMENT}, private=True)
    secrets = {"HF_TOKEN": "hf_secret1234567890", "AWS_SECRET_ACCESS_KEY": "aws-1", "SPACERUN_TIMEOUT": "100"}
    with hub_command.launch("ada/private", "--no-share", "--env", "MINE=given", **secrets) as launched:
        seen = json.loads(get(launched.data["url"])[1])
    assert seen["MINE"] == "given"
    assert not [name for name in seen if name.startswith(("SPACERUN", "AWS", "GIT_", "HF_TOKEN"))]
    assert "hf_secret1234567890" not in json.dumps(seen)
    with hub_command.launch("ada/private", "--no-share", "--pass-token", **secrets) as launched:
        assert json.loads(get(launched.data["url"])[1])["HF_TOKEN"] == "hf_secret1234567890"


def test_gpus_of_the_machine_are_reported_and_chosen(hub: Hub, hub_command: Command, nvml_folder: Path) -> None:
    from tests.fake_nvml import Gpu, environment

    hub.publish("owner/gpu", {"README.md": README, "app.py": ECHO_ENVIRONMENT})
    gpus = [Gpu("NVIDIA A10G", 23028, 512), Gpu("NVIDIA H100", 81559, 0, "9.0", uuid="GPU-1234")]
    variables = environment(nvml_folder, gpus)
    with hub_command.launch("owner/gpu", "--no-share", "--gpu", "1", **variables) as launched:
        assert [device["name"] for device in launched.data["gpu"]["devices"]] == ["NVIDIA A10G", "NVIDIA H100"]
        assert launched.data["gpu"]["used"] == ["GPU-1234"]
        seen = json.loads(get(launched.data["url"])[1])
    assert seen["CUDA_VISIBLE_DEVICES"] == "GPU-1234"
    assert seen["LD_LIBRARY_PATH"] == variables["LD_LIBRARY_PATH"]


def test_human_output_has_the_panel_and_the_log(hub: Hub, hub_command: Command, tmp_path: Path) -> None:
    hub.publish("owner/shown", hello())
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [SCRIPT, "launch", "owner/shown", "--no-share"],
            env=hub_command.environment(),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    try:
        wait_for(lambda: "Local" in err.read_text())
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert "Running on local URL" in out.read_text()
    assert "\x1b[" not in out.read_text() + err.read_text()
    assert "✓ clone" in err.read_text()
    assert "http://127.0.0.1:" in err.read_text()


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def wait_for(condition: object, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)


def machine() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


ECHO_ENVIRONMENT = b"""\
import http.server, json, os
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/":
            return self.send_error(404)
        body = json.dumps(dict(os.environ)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"])), Echo).serve_forever()
"""

FORWARDING_FRPC = """\
#!/usr/bin/env python3
# Called like frpc: `http -n TOKEN -l PORT ...`. Forwards a port of its own to the app, byte by byte.
import socket, sys, threading
local = int(sys.argv[sys.argv.index("-l") + 1])
server = socket.create_server(("127.0.0.1", 0))
print("start proxy success: http://127.0.0.1:%d" % server.getsockname()[1], flush=True)
def pump(source, target):
    try:
        while chunk := source.recv(65536):
            target.sendall(chunk)
    except OSError:
        pass
    finally:
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
while True:
    client, _ = server.accept()
    app = socket.create_connection(("127.0.0.1", local))
    threading.Thread(target=pump, args=(client, app), daemon=True).start()
    threading.Thread(target=pump, args=(app, client), daemon=True).start()
"""
