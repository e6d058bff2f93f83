"""Docker Spaces on machines with any engine or none: what is decided, planned, refused, and told to the engine."""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.error
from typing import TYPE_CHECKING

import pytest

from spacerun.space.card import read_card
from tests import fake_nvml
from tests.command import Command, get

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.command import Done
    from tests.hub import Hub

README = b"---\nsdk: docker\napp_port: 8123\n---\n"
DOCKERFILE = """\
FROM python:3.10-slim
ARG COLOR
RUN --mount=type=secret,id=KEY,required=true apt-get install -y ffmpeg
WORKDIR /app
COPY . .
CMD ["python", "app.py"]
"""
SIMPLE = "FROM python:3\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt\nCMD python app.py\n"

# Runs what spacerun runs: the trial, an image that is always there, and a container that is a web server.
ENGINE = f"""\
#!{sys.executable}
import json, os, pathlib, sys, time
folder = pathlib.Path(__file__).parent
words = sys.argv[1:]
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([pathlib.Path(__file__).name, *words]) + "\\n")
match words[0]:
    case "--version": print("podman version 5.0.0" if __file__.endswith("podman") else "Docker version 28.0.0")
    case "import": print("sha256:01")
    case "create": print("0123")
    case "image": print(1234)
    case "info": print("[name=rootless]" if (folder / "rootless").exists() else "false")
    case "run" if "--name" in words:
        published = words[words.index("--publish") + 1].split(":")[1] if "--publish" in words else None
        port = published or (folder / "host").read_text()
        (folder / "running").write_text(json.dumps([os.getpid(), port]))
        os.execv(sys.executable, [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1"])
    case "inspect" if "--type" in words:
        if not (folder / "running").exists(): sys.exit(1)
        pid, port = json.loads((folder / "running").read_text())
        ports = {{"8123/tcp": [{{"HostIp": "127.0.0.1", "HostPort": port}}]}}
        state = {{"Running": True, "Pid": pid, "StartedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}}
        print(json.dumps([{{"State": state, "NetworkSettings": {{"Ports": ports}}}}]))
    case "inspect": print("host" if (folder / "host").exists() else "bridge")
    case "rm": (folder / "running").unlink(missing_ok=True)
"""


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    script = Command(tmp_path / "home")
    yield script
    script.run("stop", "--all")


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of stand-ins for podman and docker, first on PATH; `calls` in it holds what they were told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("podman", "docker"):
        (folder / name).write_text(ENGINE)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def calls(folder: Path, verb: str) -> list[list[str]]:
    rows = map(json.loads, (folder / "calls").read_text().splitlines())
    return [row for row in rows if row[1] == verb]


def pairs(argv: list[str], option: str) -> list[str]:
    return [argv[number + 1] for number, word in enumerate(argv) if word == option]


def space(folder: Path, dockerfile: str, **files: str) -> Path:
    folder.mkdir()
    (folder / "README.md").write_bytes(README)
    (folder / "Dockerfile").write_text(dockerfile)
    for name, content in {"app.py": "x = 1\n", "requirements.txt": "", **files}.items():
        (folder / name).write_text(content)
    return folder


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def no_engine(command: Command, folder: Path, *arguments: str) -> Done:
    empty = command.home.parent / "empty"
    empty.mkdir()
    return command.run("launch", str(folder), "--no-share", "--json", *arguments, PATH=str(empty))


def test_a_plan_shows_what_would_be_built_and_executes_nothing(command: Command, engines: Path, tmp_path: Path) -> None:
    folder = space(tmp_path / "planned", DOCKERFILE)
    done = command.run("plan", str(folder), "--json", "--env", "COLOR=red", "--env", "KEY=geheim")
    data = done.document["data"]
    told = data["container"]
    assert (data["sdk"], data["python"], data["packages"]) == ("docker", None, [])
    assert (told["base"], told["port"], told["entry"]) == ("python:3.10-slim", 8123, "app.py")
    assert told["image"].startswith("localhost/spacerun/planned:")
    assert (told["build_arguments"], told["command"]) == (["COLOR"], "python app.py")
    assert told["build_secrets"] == [{"name": "KEY", "required": True}]
    assert "RUN apt-get install -y ffmpeg" in told["steps"]
    assert "geheim" not in done.out + done.err
    assert not (engines / "calls").exists(), "no engine is asked"
    shown = command.run("plan", str(folder))
    assert "python:3.10-slim" in shown.out
    assert "8123 in the container" in shown.out


def test_check_gpu_reads_the_python_file_that_the_image_starts(command: Command, hub: Hub, tmp_path: Path) -> None:
    folder = space(
        tmp_path / "reading",
        "FROM nvidia/cuda:12.2.0-runtime-ubuntu22.04\nWORKDIR /srv\nCOPY code /srv\nCMD uvicorn main:app --port 8123\n",
    )
    (folder / "code").mkdir()
    (folder / "code" / "main.py").write_text(
        "import torch\nfrom transformers import AutoModel\nm = AutoModel.from_pretrained('someone/net').to('cuda')\n"
    )
    command.variables["HF_ENDPOINT"] = hub.endpoint
    done = command.run("check-gpu", str(folder), "--json", CUDA_VISIBLE_DEVICES="")
    assert [model["id"] for model in done.document["data"]["models"]] == ["someone/net"]
    assert (done.code, done.document["data"]["verdict"]) == (7, "no_gpu")


def test_without_an_engine_the_user_is_told_what_to_install(command: Command, tmp_path: Path) -> None:
    done = no_engine(command, space(tmp_path / "alone", DOCKERFILE), "--env", "KEY=x")
    assert (done.code, done.error["name"]) == (13, "prerequisite")
    assert "neither podman nor docker is installed" in done.error["message"]
    assert "podman" in done.error["hint"]
    assert "--no-container" not in done.error["hint"], "it installs ffmpeg"


def test_without_an_engine_a_simple_dockerfile_is_offered_to_run_without(command: Command, tmp_path: Path) -> None:
    folder = space(tmp_path / "simple", SIMPLE)
    done = no_engine(command, folder)
    assert done.code == 13
    assert f"spacerun launch {folder} --no-container" in done.error["hint"]


def test_no_container_is_refused_with_the_reason(command: Command, tmp_path: Path) -> None:
    done = command.run("launch", str(space(tmp_path / "more", DOCKERFILE)), "--no-container", "--json")
    assert (done.code, done.error["name"]) == (4, "refused")
    assert "runs apt-get install -y ffmpeg" in done.error["message"]


@pytest.mark.parametrize("option", ["--no-container", "--prebuilt"])
def test_options_for_containers_are_for_docker_spaces(command: Command, option: str, tmp_path: Path) -> None:
    folder = space(tmp_path / "other", SIMPLE)
    (folder / "README.md").write_text("---\nsdk: gradio\n---\n")
    done = command.run("launch", str(folder), option, "--json")
    assert (done.code, done.error["name"]) == (2, "usage")
    assert option in done.error["message"]


def test_a_required_build_secret_that_is_not_given(command: Command, engines: Path, tmp_path: Path) -> None:
    done = command.run("launch", str(space(tmp_path / "secret", DOCKERFILE)), "--json")
    assert (done.code, done.error["name"]) == (14, "missing_secret")
    assert "KEY" in done.error["message"]


def test_the_image_of_hugging_face_is_fetched_and_run(hub: Hub, command: Command, engines: Path) -> None:
    hub.publish("Owner/My_Space", {"README.md": README, "Dockerfile": DOCKERFILE.encode(), "app.py": b"x = 1\n"})
    command.variables["HF_ENDPOINT"] = hub.endpoint
    with command.launch("Owner/My_Space", "--prebuilt", "--no-share", "--env", "API_KEY=geheim") as launched:
        assert get(launched.data["url"])[0] == 200
        assert launched.data["sdk"] == "docker"
    image = "registry.hf.space/owner-my-space:latest"
    assert calls(engines, "pull") == [["podman", "pull", "--platform=linux/amd64", image]]
    assert calls(engines, "build") == []
    run = next(call for call in calls(engines, "run") if "--name" in call)
    assert run[-1] == image
    assert "API_KEY" in pairs(run, "--env")
    assert "geheim" not in (engines / "calls").read_text()
    assert calls(engines, "stop")
    assert calls(engines, "rm")
    refused = command.run("launch", str(command.home), "--prebuilt", "--json")
    assert refused.code in {2, 3}


def test_gpus_are_given_by_the_engine(command: Command, engines: Path, nvml_folder: Path, tmp_path: Path) -> None:
    cards = [fake_nvml.Gpu("NVIDIA L4", 24000), fake_nvml.Gpu("NVIDIA A10G", 23028)]
    command.variables |= fake_nvml.environment(nvml_folder, cards)
    cuda = 'FROM nvidia/cuda:12.2.0-runtime-ubuntu22.04\nCMD ["/server"]\n'  # fmt: skip
    plain = space(tmp_path / "plain", 'FROM debian\nCMD ["/server"]\n')  # fmt: skip
    with command.launch(str(space(tmp_path / "cuda", cuda)), "--no-share", "--gpu", "1"):
        pass
    with command.launch(str(plain), "--no-share"):
        pass
    first, second = (call for call in calls(engines, "run") if "--name" in call)
    assert pairs(first, "--device") == ["nvidia.com/gpu=1"]
    assert pairs(second, "--device") == [], "not every machine with a GPU has NVIDIA's toolkit"
    assert "ACCELERATOR" in " ".join(pairs(first, "--env"))


def test_gpu_memory_is_told_by_the_processes_of_the_container(
    command: Command, engines: Path, nvml_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "cards"
    command.variables |= fake_nvml.environment(nvml_folder, [fake_nvml.Gpu("NVIDIA L4", 24000)], file=file)
    fake_nvml.change(file, [fake_nvml.Gpu("NVIDIA L4", 24000)])
    cuda = 'FROM nvidia/cuda:12.2.0-runtime-ubuntu22.04\nCMD ["/server"]\n'  # fmt: skip
    with command.launch(str(space(tmp_path / "cuda", cuda)), "--no-share", "--gpu", "0"):
        pid, _ = json.loads((engines / "running").read_text())
        held = [fake_nvml.Process(pid, 3000), fake_nvml.Process(os.getpid(), 555)]
        fake_nvml.change(file, [fake_nvml.Gpu("NVIDIA L4", 24000, 3555, processes=held)])
        (app,) = command.run("ps", "--json").document["data"]["apps"]
        assert app["gpu_memory_bytes"] == 3000 * 1024**2


def test_a_rootless_engine_goes_first(command: Command, engines: Path, tmp_path: Path) -> None:
    (engines / "rootless").touch()  # docker says so; podman answers another question
    folder = space(tmp_path / "rootless", "FROM debian\nCMD x\n")
    with command.launch(str(folder), "--no-share", "--pass-token", HF_TOKEN="hf_geheim12345678"):
        pass
    (run,) = (call for call in calls(engines, "run") if "--name" in call)
    assert run[0] == "docker"
    assert "HF_TOKEN" in pairs(run, "--env")
    assert "geheim" not in (engines / "calls").read_text()
    (build,) = calls(engines, "build") or [None]
    assert build is None, "the stand-in says of every image that it is there"


@pytest.mark.parametrize("network", ["host", "own"])
def test_a_login_page_in_front_of_a_container(command: Command, engines: Path, network: str, tmp_path: Path) -> None:
    folder = space(tmp_path / "locked", "FROM debian\nCMD x\n")
    port = free_port()
    if network == "host":
        (folder / "README.md").write_text(f"---\nsdk: docker\napp_port: {port}\n---\n")
        (engines / "host").write_text(str(port))
    options = ("--no-share", "--port", str(port), "--auth", "ada:lovelace")
    with command.launch(str(folder), *options) as launched:
        # On the machine's own network the app has that port itself.
        assert (launched.data["port"] == port) is (network == "own")
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(launched.data["url"])
        assert refused.value.code == 401


def test_who_is_connected_from_outside_cannot_be_told(command: Command, engines: Path, tmp_path: Path) -> None:
    folder = space(tmp_path / "idle", "FROM debian\nCMD x\n")
    done = command.run("launch", str(folder), "--no-share", "--json", "--host", "0.0.0.0", "--idle-timeout", "5m")
    assert (done.code, done.error["name"]) == (2, "usage")


@pytest.mark.parametrize(("text", "port"), [("", 7860), ("8000", 8000), ("0", 7860), ("99999", 7860), ("x", 7860)])
def test_the_port_of_a_card(text: str, port: int, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"---\nsdk: docker\napp_port: {text}\n---\n")
    card = read_card(tmp_path)
    assert card.app_port == port
    assert bool(card.warnings) is (text in {"0", "99999", "x"})


# -- without a container -----------------------------------------------------------------------------------------------

MINOR = sys.version_info.minor
ASGI = """\
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"an ASGI app"})
"""
WSGI = "import os\ndef app(environ, start):\n    start('200 OK', [])\n    return [os.environ['MODE'].encode()]\n"
PLAIN = """\
import http.server, os, pathlib
HERE = pathlib.Path("text.txt").read_text().encode()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(HERE)
http.server.HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.mark.environment
@pytest.mark.parametrize("shape", ["exec form", "shell form", "subfolder"])
def test_three_dockerfiles_without_a_container(command: Command, shape: str, tmp_path: Path) -> None:
    folder = tmp_path / "shape"
    head = f"FROM python:3.{MINOR}-slim\nRUN useradd -m -u 1000 user\nUSER user\n"
    if shape == "exec form":
        text = (
            "ENV HOME=/home/user PATH=/home/user/.local/bin:$PATH\nWORKDIR $HOME/app\n"
            "COPY --chown=user ./requirements.txt requirements.txt\n"
            "RUN pip install --no-cache-dir --upgrade -r requirements.txt\nCOPY --chown=user . $HOME/app\n"
            'CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8123"]\n'
        )
        space(folder, head + text, **{"requirements.txt": "uvicorn\n", "main.py": ASGI})
        expected = b"an ASGI app"
    elif shape == "shell form":
        text = (
            "WORKDIR /code\nCOPY . .\nRUN pip install --no-cache-dir 'gunicorn>=20' && echo done\n"
            "ENV MODE=quick PORT=8123\nCMD exec gunicorn --bind 0.0.0.0:${PORT:-80} --workers 1 app:app\n"
        )
        space(folder, head + text, **{"app.py": WSGI})
        expected = b"quick"
    else:
        text = "ENV PORT=8123\nWORKDIR /srv\nCOPY web/ .\nCMD python -u /srv/main.py\n"
        space(folder, head + text)
        (folder / "web").mkdir()
        (folder / "web" / "main.py").write_text(PLAIN)
        (folder / "web" / "text.txt").write_text("from a subfolder")
        expected = b"from a subfolder"
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    with command.launch(str(folder), "--no-container", "--no-share") as launched:
        data = launched.data
        assert (data["sdk"], data["python"].rpartition(".")[0]) == ("docker", f"3.{MINOR}")
        assert get(data["url"])[1] == expected
        assert data["url"].startswith("http://127.0.0.1:")
        open_to_all = any("0.0.0.0" in warning for warning in launched.warnings)
        assert open_to_all is (shape == "subfolder"), "what stands in the code stays; what stands in CMD gives way"
        assert launched.interrupt() == 130
    assert sorted(path.relative_to(folder) for path in folder.rglob("*")) == before


@pytest.mark.environment
def test_a_folder_of_hugging_face_s_that_is_not_here_is_named(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "keeping"
    text = f"FROM python:3.{MINOR}-slim\nENV PORT=8123\nWORKDIR /srv\nCOPY . .\nCMD python -u main.py\n"
    keeping = PLAIN.replace("import http", "KEPT = '/data/kept', '/home/user/app'\nimport http")
    space(folder, text, **{"main.py": keeping, "text.txt": "kept nowhere"})
    with command.launch(str(folder), "--no-container", "--no-share") as launched:
        told = [warning for warning in launched.warnings if "a folder that Hugging Face has" in warning]
    assert [warning.split(" is ")[0] for warning in told] == ["/data/kept (main.py:1)", "/home/user/app (main.py:1)"]
