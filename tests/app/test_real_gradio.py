"""The newest Gradio itself: its API is judged sound, its tunnel is proven, its tunnel client is ended."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from spacerun.app import registry
from spacerun.source.hook_files import HookSettings, install_hook
from tests.app.conftest import APPS

pytestmark = pytest.mark.environment


@pytest.fixture(scope="module")
def gradio_python(tmp_path_factory) -> Path:
    environment = tmp_path_factory.mktemp("gradio") / "venv"
    uv = Path(sys.executable).parent / "uv"
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, environment], check=True)
    subprocess.run([uv, "pip", "install", "-q", "-p", environment, "gradio"], check=True)
    return environment / "bin" / "python"


@pytest.fixture
def gradio_app(space, gradio_python, tmp_path):
    command = (str(gradio_python), str(APPS / "real_gradio.py"))
    app = space("real_gradio", sdk="gradio", share=True, command=command, timeout_seconds=120.0)
    # Which launches there are is told by the hook: what Gradio did not launch gets another tunnel.
    install_hook(registry.hook_folder(app.spec.id), HookSettings(True, "127.0.0.1", None, spare=app.spec.port))
    app.environment.update(
        GRADIO_SERVER_PORT=str(app.spec.port),
        GRADIO_ANALYTICS_ENABLED="False",
        HF_HOME=str(tmp_path),
        HOME=str(tmp_path),
    )
    return app


def test_a_sound_app_behind_a_tunnel_that_forwards(gradio_app, foreground, tmp_path):
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    client = tmp_path / "gradio" / "frpc" / f"frpc_linux_{machine}_v0.3"
    client.parent.mkdir(parents=True)
    shutil.copy(APPS / "standin_frpc", client)
    gradio_app.environment["GRADIO_SHARE_SERVER_ADDRESS"] = "127.0.0.1:7000"
    run = foreground(gradio_app)
    _, pid, url, share_url = run.read_until("READY").split()
    assert share_url.startswith("http://127.0.0.1:")
    assert share_url != url == f"http://127.0.0.1:{gradio_app.spec.port}"
    assert b"gradio" in urllib.request.urlopen(share_url).read()
    assert "LINE * Running on local URL:  " + url in run.lines
    assert not [line for line in run.lines if "Traceback" in line or line.startswith("WARNING")]
    assert any("frpc" in " ".join(child.cmdline()) for child in psutil.Process(int(pid)).children())
    run.process.terminate()
    assert run.wait() == 130
    assert gradio_app.leftovers() == []


def test_without_a_way_to_the_tunnel_service_it_runs_on_and_says_why(gradio_app, foreground):
    gradio_app.environment["https_proxy"] = gradio_app.environment["http_proxy"] = "http://127.0.0.1:1"
    gradio_app.environment["no_proxy"] = "127.0.0.1,localhost"
    run = foreground(gradio_app)
    warning = run.read_until("WARNING")
    assert "No share link: Gradio" in warning
    assert run.read_until("READY").split()[2:] == [f"http://127.0.0.1:{gradio_app.spec.port}", "None"]
