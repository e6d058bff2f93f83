"""Docker Spaces, end to end: the installed console script, a real podman, on the network of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.command import Command, get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spacerun.containers.engine import Engine
    from tests.hub import Hub

pytestmark = pytest.mark.usefixtures("podman")

README = b"---\ntitle: In a container\nsdk: docker\napp_port: %d\n---\n"
PYTHON_APP = b"""\
import http.server, json, os, pathlib, time

print("hello from the container", flush=True)
pathlib.Path("/data/kept").write_text("by the app")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        names = "HF_HOME", "GREETING", "COLOR", "HF_TOKEN", "CPU_CORES", "SPACERUN_HOME", "PYTHONPATH"
        page = {name: os.environ.get(name) for name in names}
        status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
        page |= {"uid": os.getuid(), "cwd": os.getcwd(), "home": os.listdir("/home/user")}
        page |= {"capabilities": status["CapBnd"].strip(), "no_new_privileges": status["NoNewPrivs"].strip()}
        page |= {"built": pathlib.Path("/built").read_text(), "secret": pathlib.Path("/tmp/secret").read_text()}
        page |= {"hostname": os.uname().nodename, "root": sorted(os.listdir("/"))}
        body = json.dumps(page).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("127.0.0.1", %d), Handler).serve_forever()
"""
PYTHON_DOCKERFILE = """\
FROM {base}
ARG COLOR=red
RUN --mount=type=secret,id=BUILD_SECRET python -c \\
    "import os, pathlib; pathlib.Path('/built').write_text(os.environ['COLOR']); \\
     pathlib.Path('/tmp/secret').write_text(str(len(open('/run/secrets/BUILD_SECRET').read())))"
USER 1000
WORKDIR /home/user/app
COPY --chown=1000 . /home/user/app
CMD ["python", "app.py"]
"""
NATIVE_DOCKERFILE = """\
FROM scratch
COPY server /server
ENV LISTEN_AT=%s LISTEN_ON=%d
CMD ["/server"]
"""


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    script = Command(tmp_path / "home")
    yield script
    script.run("stop", "--all")


@pytest.fixture
def port() -> int:
    """A port that is free: on the network of this machine a container cannot be given another one."""
    return free_port()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def write(folder: Path, port: int = 7860, **files: bytes | str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_bytes(README % port)
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def native(folder: Path, server: Path, port: int, *, at: str = "0.0.0.0") -> Path:
    write(folder, port, Dockerfile=NATIVE_DOCKERFILE % (at, port), server=server.read_bytes())
    (folder / "server").chmod(0o755)
    return folder


def containers(engine: Engine) -> list[dict[str, Any]]:
    done = subprocess.run([engine.path, "ps", "-a", "--format", "json"], capture_output=True, check=True)
    return json.loads(done.stdout)


def no_container_is_left(engine: Engine) -> bool:
    deadline = time.monotonic() + 15
    while containers(engine) and time.monotonic() < deadline:
        time.sleep(0.2)
    return not containers(engine)


@pytest.mark.slow
def test_a_space_with_a_python_base(hub: Hub, command: Command, podman: Engine, python_base: str, port: int) -> None:
    command.variables["HF_ENDPOINT"] = hub.endpoint
    commit = hub.publish(
        "owner/in-python",
        {
            "README.md": README % port,
            "Dockerfile": PYTHON_DOCKERFILE.format(base=python_base).encode(),
            "app.py": PYTHON_APP % port,
        },
    )
    given = ("--env", "COLOR=green", "--env", "GREETING=hi", "--env", "BUILD_SECRET=fourteen chars")
    with command.launch("owner/in-python", "--no-share", *given, "--env", "PATH=/usr/local/bin:/usr/bin") as launched:
        data = launched.data
        assert (data["sdk"], data["revision"], data["port"]) == ("docker", commit, port)
        page = json.loads(get(data["url"])[1])
        assert (page["uid"], page["cwd"]) == (1000, "/home/user/app")
        assert (page["capabilities"], page["no_new_privileges"]) == ("0000000000000000", "1")
        assert (page["built"], page["secret"]) == ("green", "14"), "build argument and build secret"
        assert (page["GREETING"], page["HF_HOME"]) == ("hi", "/spacerun-cache/huggingface")
        assert page["CPU_CORES"]
        assert page["HF_TOKEN"] is page["SPACERUN_HOME"] is page["PYTHONPATH"] is None
        arguments = Path(f"/proc/{data['pid']}/cmdline").read_text().split("\0")
        assert "podman" in arguments[0]
        assert not any("fourteen" in word or word.endswith("=hi") for word in arguments)
        assert any("own network here" in warning for warning in launched.warnings)
        row = command.run("ps", "--json").document["data"]["apps"][0]
        assert row["health"] == "answers"
        assert row["memory_bytes"] > 2_000_000
        assert "hello from the container" in command.run("logs", data["id"]).out
        (kept,) = command.home.glob("spaces/owner--in-python/container/data/kept")
        assert kept.read_text() == "by the app"
        assert launched.interrupt() == 130
    assert no_container_is_left(podman)
    first = command.run("list", "--json").document["data"]["items"]
    assert [item["kind"] for item in first if item["kind"] == "image"] == ["image"]
    refused = command.run("remove", "owner/in-python", "--json")
    assert (refused.code, "/data" in refused.error["message"]) == (4, True), "the app keeps a file there"
    with command.launch("owner/in-python", "--no-share", *given) as again:
        assert "as built before" in again.err
        assert again.data["stages"]["environment"] < 15
    gone = command.run("remove", "owner/in-python", "--force", "--json").document["data"]["removed"]
    assert {"tree", "image"} == {item["kind"] for item in gone}


def test_a_server_in_another_language(
    command: Command, podman: Engine, server: Path, tmp_path: Path, port: int
) -> None:
    folder = native(tmp_path / "my-server", server, port)
    before = sorted(folder.iterdir())
    with command.launch(str(folder), "--no-share", "--env", "GREETING=hello") as launched:
        assert get(launched.data["url"])[1] == b"no Python here; uid 1000; greeting hello"
        assert launched.data["python"] is None
        # It binds every address, as its code says; a network of the machine's own lets nobody change that.
        assert any("listens on 0.0.0.0" in warning for warning in launched.warnings)
        assert "whoever can reach this machine" in launched.data["reach"].lower()
    assert no_container_is_left(podman)
    assert sorted(folder.iterdir()) == before, "a local folder is never written to"


def test_detached_then_listed_read_stopped_and_removed(
    command: Command, podman: Engine, server: Path, tmp_path: Path, port: int
) -> None:
    folder = native(tmp_path / "detached", server, port)
    done = command.run("launch", str(folder), "--no-share", "--detach", "--json", "--env", "GREETING=x")
    assert done.code == 0, done.err
    app = done.document["data"]["id"]
    (container,) = containers(podman)
    assert container["Labels"]["spacerun.app"] == app
    assert "serving as 1000" in command.run("logs", app).out
    pruned = command.run("prune", "--json").document["data"]["removed"]
    assert not [item for item in pruned if item["kind"] == "image"], "an app runs from it"
    stopped = command.run("stop", app, "--json")
    assert stopped.code == 0, stopped.err
    assert no_container_is_left(podman)
    row = command.run("ps", "--all", "--json").document["data"]["apps"][0]
    assert row["status"] == "stopped"
    pruned = command.run("prune", "--json").document["data"]["removed"]
    assert [item["kind"] for item in pruned if item["kind"] == "image"] == ["image"]
    left = subprocess.run([podman.path, "images"], capture_output=True, text=True, check=True).stdout
    assert "spacerun/detached" not in left


@pytest.mark.slow
def test_kill_9_of_whoever_looks_after_it_is_mended_by_the_next_command(
    command: Command, podman: Engine, server: Path, tmp_path: Path, port: int
) -> None:
    folder = native(tmp_path / "killed", server, port)
    with command.launch(str(folder), "--no-share", "--env", "GREETING=x") as launched:
        launched.process.send_signal(signal.SIGKILL)
        launched.process.wait(10)
        assert len(containers(podman)) == 1, "the engine's container outlives its client"
        command.run("doctor", "--fix", "--json", HF_HUB_OFFLINE="1")
        assert no_container_is_left(podman)
        row = command.run("ps", "--all", "--json").document["data"]["apps"][0]
        assert row["status"] == "crashed"


@pytest.mark.slow
def test_an_app_that_crashes_in_its_container(
    command: Command, podman: Engine, server: Path, tmp_path: Path, port: int
) -> None:
    folder = native(tmp_path / "crashing", server, port, at="203.0.113.1")
    done = command.run("launch", str(folder), "--no-share", "--json", "--env", "GREETING=x")
    assert (done.code, done.error["name"]) == (9, "app_crashed")
    assert "bind: Cannot assign requested address" in done.error["hint"]
    assert no_container_is_left(podman)


@pytest.mark.slow
def test_a_build_that_fails_says_what_the_engine_said(command: Command, python_base: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "broken", Dockerfile=f"FROM {python_base}\nRUN echo so much for that && exit 3\n")
    done = command.run("launch", str(folder), "--no-share", "--json")
    assert (done.code, done.error["name"], done.error["stage"]) == (6, "environment", "environment")
    assert "so much for that" in done.error["hint"]
    assert not list(command.home.glob("cache/images/*"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_build_that_is_given_up_leaves_nothing(
    command: Command, podman: Engine, python_base: str, tmp_path: Path, number: signal.Signals
) -> None:
    step = f"import time; time.sleep(60)  # {number}-{os.getpid()}"
    folder = write(tmp_path / "given-up", Dockerfile=f'FROM {python_base}\nRUN python -c "{step}"\n')
    process = subprocess.Popen(
        [*command.program, "launch", str(folder), "--no-share", "--json"], env=command.environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(lambda: bool(running(step)))
    process.send_signal(number)
    process.communicate(timeout=30)
    wait_until(lambda: not running(step))
    wait_until(lambda: not half_made(podman))
    assert "given-up" not in subprocess.run([podman.path, "images"], capture_output=True, text=True, check=True).stdout


def running(step: str) -> list[Path]:
    """The processes that have `step` among their arguments."""
    found = []
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            # Of the engine's own processes one holds the whole command as one argument.
            if step.encode() in arguments.read_bytes().split(b"\0"):
                found.append(arguments)
    return found


def half_made(engine: Engine) -> str:
    done = subprocess.run([engine.path, "ps", "-a", "--external", "-q"], capture_output=True, text=True, check=True)
    return done.stdout


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_a_port_of_its_own_where_the_engine_has_a_network(
    command: Command, podman: Engine, server: Path, tmp_path: Path, port: int
) -> None:
    settings = tmp_path / "containers.conf"
    settings.write_text(Path(os.environ["CONTAINERS_CONF"]).read_text().replace('"host"', '"bridge"'))
    probe = [podman.path, "run", "--rm", "--publish", f"127.0.0.1:{free_port()}:80", "--entrypoint", "/server"]
    folder = native(tmp_path / "mapped", server, port)
    subprocess.run([podman.path, "build", "--tag", "probe", folder], check=True, capture_output=True)
    tried = subprocess.run(
        [*probe, "--env", "LISTEN_AT=203.0.113.1", "probe"], env=os.environ | {"CONTAINERS_CONF": str(settings)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "bind:" not in tried.stdout + tried.stderr:
        pytest.skip(f"no network of containers' own here: {tried.stderr.strip()[-200:]}")
    published = free_port()
    options = ("--no-share", "--port", str(published), "--env", "GREETING=x")
    with command.launch(str(folder), *options, CONTAINERS_CONF=str(settings)) as launched:
        assert launched.data["url"] == f"http://127.0.0.1:{published}"
        assert get(launched.data["url"])[0] == 200
        assert "only this machine" in launched.data["reach"].lower()
        assert not any("listens on" in warning for warning in launched.warnings)
    assert no_container_is_left(podman)
