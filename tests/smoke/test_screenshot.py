"""What the system's browser makes of pages: made-up ones that go wrong, and those of real Gradios and Streamlits."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from spacerun.app import http
from spacerun.errors import PrerequisiteError
from spacerun.smoke import browser, screenshot
from spacerun.smoke.screenshot import take
from tests.app.conftest import free_port, wait_for
from tests.smoke.subjects import serving, subject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

HTML = "text/html; charset=utf-8"


def _why_not() -> str:
    try:
        browser.require()
    except PrerequisiteError as error:
        return error.message
    return ""


needs_browser = pytest.mark.skipif(bool(_why_not()), reason=_why_not() or "there is one")


def size_of(picture: Path) -> tuple[int, int]:
    """Width and height of a PNG."""
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", data[16:24])


@pytest.fixture(autouse=True)
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where profiles are; neither a process of a browser nor its profile outlives a test."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(browser, "_SCRATCH", folder)
        yield folder
        assert processes_in(folder) == []
        assert not list(Path(folder).iterdir())


def processes_in(folder: str) -> list[list[str]]:
    """The command lines that name a folder."""
    running = [one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"])]
    return [words for words in running if any(f"{folder}/" in word for word in words)]


def test_without_playwright_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PrerequisiteError, match="Playwright") as raised:
        screenshot.require()
    assert raised.value.hint == "python -m pip install 'spacerun[screenshot]'"


@pytest.mark.skipif(find_spec("playwright") is None, reason="Playwright is not installed")
def test_the_browser_is_the_systems(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(browser, "_MACOS", ())
    with pytest.raises(PrerequisiteError, match="Chromium") as raised:
        screenshot.require()
    assert raised.value.hint == "sudo apt-get install chromium"
    (tmp_path / "google-chrome").write_text("#!/bin/sh\n")
    (tmp_path / "google-chrome").chmod(0o755)
    assert screenshot.require() == str(tmp_path / "google-chrome")


@needs_browser
def test_a_picture_is_taken_and_complaints_are_told_apart(tmp_path: Path) -> None:
    page = b"""<title>Tall</title><link rel=stylesheet href="https://fonts.invalid/a.css"><h1>Tall</h1>
        <div style="height: 9000px"></div><script>console.error("own\x1b[31m error"); undefined_function()</script>
        <img src="/missing.png"><script>window.JSON = undefined; document.querySelectorAll = () => []</script>"""
    file = tmp_path / "deep/picture.png"
    with serving({"/": (200, HTML, page)}) as url:
        shot = take(subject(url), file=file, gradio=False)
    assert shot.path == file
    assert size_of(file) == (1280, 4000)
    assert sorted(shot.console) == [
        "Failed to load resource: the server responded with a status of 404 (Not Found) (/missing.png)",
        "own error",
        "undefined_function is not defined",
    ]
    assert shot.unreached == ("fonts.invalid",)
    (check,) = shot.checks
    assert (check.name, check.ok) == ("screenshot", True)
    assert check.detail.startswith("1280×4000, 3 errors in its console, not reached from here: fonts.invalid")


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "settings", "detail"),
    [
        (b"<html><body></body></html>", {"gradio": False}, "the page is blank"),
        (b"<p>hi</p>", {"gradio": True}, "Gradio's page shows no component after 2 s"),
        (b"<script>setInterval(() => document.body.append('x'), 50)</script>", {"gradio": False},
         "1280×800, still changing after 2 s"),
    ],
)  # fmt: skip
def test_a_page_that_does_not_show_what_it_should(
    body: bytes, settings: dict[str, bool], detail: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screenshot, "_SETTLE_SECONDS", 2.0)
    with serving({"/": (200, HTML, body)}) as url:
        shot = take(subject(url), file=tmp_path / "picture.png", **settings)
    assert shot.path is not None
    assert shot.checks[0].ok is detail.startswith("1280")
    assert shot.checks[0].detail.startswith(detail)


@needs_browser
@pytest.mark.slow
def test_a_page_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screenshot, "_WHOLE_SECONDS", 5.0)
    began = time.monotonic()
    with serving({"/": (200, HTML, b"<p>hi</p><script>setTimeout(() => { for (;;); }, 200)</script>")}) as url:
        shot = take(subject(url), file=tmp_path / "picture.png", gradio=False)
    assert time.monotonic() - began < 20
    assert (shot.path, shot.console) == (None, ())
    assert [(check.ok, check.detail) for check in shot.checks] == [(False, "the page did not respond for 5 s")]


TOAST = """fetch('/run/predict', {method: 'POST'});
document.body.insertAdjacentHTML('beforeend', '<div class="toast-body error">No GPU</div>')"""


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize(
    ("handler", "ok", "detail"),
    [
        ("fetch('/run/predict', {method: 'POST', body: '{}'})", True, "sent a request"),
        ("document.querySelector('input').value = 'Ada'", True, "filled the inputs"),
        ("fetch('/broken', {method: 'POST', body: '{}'})", False, "/broken: HTTP 500"),
        (TOAST, False, "No GPU"),
        ("", False, "nothing came of it"),
    ],
    ids=["request", "inputs", "refused", "toast", "nothing"],
)  # fmt: skip
def test_a_click_on_the_first_example(
    handler: str, ok: bool, detail: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screenshot, "_CLICK_SECONDS", 1.0)
    page = f"""<div class="gradio-container"><input><button class="gallery-item" style="display: none">hidden</button>
        <button class="gallery-item">Ada</button></div><script>document.querySelectorAll('button')[1].onclick =
        () => {{ {handler} }}</script>"""
    pages = {
        "/": (200, HTML, page.encode()),
        "/run/predict": (200, "application/json", b"{}"),
        "/broken": (500, "", b""),
    }
    with serving(pages) as url:
        shot = take(subject(url), file=tmp_path / "picture.png", gradio=True)
    assert [check.name for check in shot.checks] == ["screenshot", "click"]
    assert (shot.checks[1].ok, shot.checks[1].detail) == (ok, f"the first example (“Ada”): {detail}")


@needs_browser
@pytest.mark.slow
def test_where_there_is_no_sandbox_it_runs_without_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if browser.os.geteuid() != 0:
        pytest.skip("only root is refused a sandbox for certain")
    monkeypatch.setattr(browser.os, "geteuid", lambda: 1000)  # so that one is tried
    with serving({"/": (200, HTML, b"<p>hi</p>")}) as url:
        shot = take(subject(url), file=tmp_path / "picture.png", gradio=False)
    assert [(check.ok, check.detail) for check in shot.checks] == [
        (True, "1280×800; its pages ran without the sandbox of the browser")
    ]


@needs_browser
@pytest.mark.slow
def test_a_browser_ends_with_whoever_started_it(scratch: str) -> None:
    code = (
        "import sys\nfrom spacerun.smoke import browser\nbrowser._SCRATCH = sys.argv[1]\n"
        "with browser.opened(60):\n    print('open', flush=True)\n    input()\n"
    )
    command = [sys.executable, "-c", code, scratch]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "open\n"
        process.kill()
    wait_for(lambda: not processes_in(scratch), 20)
    for profile in Path(scratch).iterdir():
        shutil.rmtree(profile)


GREETER = """
import gradio as gr
import os

def greet(name, times):
    return f"Hello {name}! " * int(times)

demo = gr.Interface(greet, ["text", gr.Slider(1, 5, step=1)], "text", examples=[["Ada", 2]], title="Greetings")
demo.launch(server_name="127.0.0.1", server_port=int(os.environ["PORT"]))
"""


def running(folder: Path, command: list[str | Path], port: int) -> AbstractContextManager[None]:
    """An app that answers on a port for the length of a block."""
    from contextlib import contextmanager

    @contextmanager
    def started() -> Iterator[None]:
        variables = {"PATH": "/usr/bin:/bin", "PORT": str(port), "HOME": str(folder), "GRADIO_ANALYTICS_ENABLED": "0"}
        with subprocess.Popen(
            command, cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                wait_for(lambda: http.ask("127.0.0.1", port), 120)
                yield
            finally:
                process.kill()

    return started()


def environment(folder: Path, *packages: str) -> Path:
    """The Python of a new environment."""
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, folder / "venv"], check=True)
    subprocess.run([uv, "pip", "install", "-q", "-p", folder / "venv/bin/python", *packages], check=True)
    return folder / "venv/bin/python"


@needs_browser
@pytest.mark.environment
@pytest.mark.slow
@pytest.mark.parametrize(
    "packages",
    [
        ["gradio"],
        ["gradio==4.44.1", "--exclude-newer", "2024-10-05"],
        ["gradio==3.50.2", "--exclude-newer", "2023-11-01"],
    ],
    ids=["newest", "4", "3"],
)
def test_a_real_gradio_is_seen_and_its_example_clicked(packages: list[str], tmp_path: Path) -> None:
    if len(packages) > 1 and sys.version_info >= (3, 12):
        pytest.skip("these Gradios are older than this Python")
    (tmp_path / "app.py").write_text(GREETER)
    python, port = environment(tmp_path, *packages), free_port()
    with running(tmp_path, [python, "app.py"], port):
        app = subject(f"http://127.0.0.1:{port}", "gradio")
        shot = take(app, file=tmp_path / "picture.png", gradio=True)
    assert [(check.name, check.ok) for check in shot.checks] == [("screenshot", True), ("click", True)], shot.checks
    assert shot.checks[1].detail == "the first example (“Ada 2”): filled the inputs and sent a request"
    assert size_of(tmp_path / "picture.png") == (1280, 800)


@needs_browser
@pytest.mark.environment
@pytest.mark.slow
def test_a_real_streamlit_is_seen_once_its_script_ran_and_in_full(tmp_path: Path) -> None:
    app = "import streamlit as st\nimport time\nst.title('Long')\ntime.sleep(3)\nfor i in range(60):\n    st.write(i)\n"
    (tmp_path / "app.py").write_text(app)
    python, port = environment(tmp_path, "streamlit"), free_port()
    flags = [f"--server.port={port}", "--server.address=127.0.0.1", "--server.headless=true"]
    with running(tmp_path, [python, "-m", "streamlit", "run", "app.py", *flags], port):
        shot = take(subject(f"http://127.0.0.1:{port}", "streamlit"), file=tmp_path / "picture.png", gradio=False)
    assert [(check.name, check.ok) for check in shot.checks] == [("screenshot", True)], shot.checks
    width, height = size_of(tmp_path / "picture.png")
    assert width == 1280
    assert 2000 < height < 4000
