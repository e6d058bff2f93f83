"""What is made of the first page of an app."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spacerun.app import http
from spacerun.sdks.static_server import Server, Site
from spacerun.smoke.pages import check_answers, check_page, check_script, describe, error_page, title
from tests.app.conftest import free_port, wait_for
from tests.smoke.subjects import listening, serving, subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.smoke.result import Check

HTML = "text/html; charset=utf-8"
GRADIO = (
    b'<html><head><meta property="og:title" content="Greetings" /><script>window.gradio_config = {}</script></head>'
)
# Of Gradio 6, rendered by Node.
RENDERED = b'<html><head><title>Single</title></head><body><div class="gradio-container gradio-container-6-31-0"></div>'
STREAMLIT = b'<!doctype html><html><head><title>Streamlit</title></head><body><div id="root"></div></body></html>'


def page(body: bytes, *, status: int = 200, kind: str = HTML, sdk: str = "docker", gradio: bool = False) -> Check:
    with serving({"/": (status, kind, body)}) as url:
        return check_page(subject(url, sdk), gradio=gradio)


@pytest.mark.parametrize(
    ("body", "sdk", "gradio", "detail"),
    [
        (GRADIO, "gradio", True, "“Greetings”, {size} B"),
        (RENDERED, "gradio", True, "“Single”, {size} B"),
        (b"<h1>mine</h1>", "gradio", True, "{size} B, a page of the app's own in front of Gradio"),
        (STREAMLIT, "streamlit", False, "“Streamlit”, {size} B"),
        (b"<title>\n My &amp; app\x1b[31m</title>", "docker", False, "“My & app”, {size} B"),
        (b"ok", "docker", False, "{size} B"),
        (b'{"status": "ok"}', "docker", False, "{size} B"),
        (b"<title>404 ways to cook</title>", "docker", False, "“404 ways to cook”, {size} B"),
        (b"<title>512x512</title> How to meet an internal server error", "gradio", False, "“512x512”, {size} B"),
    ],
)
def test_a_page_of_its_own_is_sound(body: bytes, sdk: str, gradio: bool, detail: str) -> None:
    check = page(body, sdk=sdk, gradio=gradio)
    assert (check.name, check.ok, check.detail) == ("page", True, detail.format(size=len(body)))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b" \n", "an empty page"),
        (b"Internal Server Error", "an error"),
        (b'{"detail":"Not Found"}', "an error"),
        (b"<title>502 Bad Gateway</title><h1>502 Bad Gateway</h1><hr>nginx", "an error page"),
        (b"<html><title>500: Internal Server Error</title>", "an error page"),
        (b"<title>404: This page could not be found</title>", "an error page"),
        (b"<title>KeyError: 'x' // Werkzeug Debugger</title>", "the debugger of Werkzeug"),
        (b"<title>KeyError at /</title> You\xe2\x80\x99re seeing this error because you have <code>DEBUG = True</code>",
         "the error page of Django"),
        (b"<br />\n<b>Fatal error</b>:  Uncaught Error", "an error of PHP"),
        (b"<title>Error</title><pre>Cannot GET /</pre>", "the error page of Express"),
        (b"<title>Welcome to nginx!</title>", "nginx's own page"),
    ],
)  # fmt: skip
def test_a_known_error_page_is_none_of_the_app(body: bytes, said: str) -> None:
    check = page(body)
    assert (check.ok, check.detail.partition(":")[0]) == (False, said)


def test_a_listing_of_the_folder_is_no_page_of_the_app(tmp_path: Path) -> None:
    handler = partial(_Quiet, directory=str(tmp_path))
    with listening(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as url:
        check = check_page(subject(url), gradio=False)
    assert not check.ok
    assert check.detail.startswith("a listing of its folder: “Directory listing for /”")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_another_status_than_200_is_told() -> None:
    with serving({"/": (503, HTML, b"<h1>soon</h1>")}) as url:
        app = subject(url)
        assert check_answers(app).detail == check_page(app, gradio=False).detail == "HTTP 503 instead of 200"
        assert not check_answers(app).ok
        assert not check_page(app, gradio=False).ok


def test_an_app_that_answers_and_one_that_has_ended() -> None:
    with serving({"/": (200, HTML, b"hi")}) as url:
        assert check_answers(subject(url)).ok
    ended = check_answers(subject(url, alive=lambda: False))
    assert (ended.ok, ended.detail) == (False, "the app has ended")
    assert check_answers(subject(url)).detail == "no answer within 10 s"


def test_another_page_than_streamlits_is_told() -> None:
    check = page(GRADIO, sdk="streamlit")
    assert (check.ok, check.detail) == (False, f"not the page of Streamlit: “Greetings”, {len(GRADIO)} B")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A static Space with a variable, and its URL."""
    (tmp_path / "index.html").write_bytes(b"<!doctype html><html><head><title>Mine</title></head></html>")
    with listening(Server("127.0.0.1", 0, Site(tmp_path.resolve(), "index.html", {}, {"A": "</script>"}))) as url:
        yield tmp_path, url


def test_the_page_of_a_static_space_is_its_file(site: tuple[Path, str]) -> None:
    folder, url = site
    app = subject(url, "static", directory=folder, app_file="index.html")
    check = check_page(app, gradio=False)
    assert (check.ok, check.detail.partition(",")[0]) == (True, "“Mine”")
    other = subject(url, "static", directory=folder, app_file="other.html")
    (folder / "other.html").write_bytes(b"<title>Other</title>")
    check = check_page(other, gradio=False)
    assert (check.ok, check.detail.partition(",")[0]) == (False, "not the file other.html: “Mine”")


def test_what_is_built_is_not_compared_with_its_source(site: tuple[Path, str]) -> None:
    folder, url = site
    built = subject(url, "static", directory=folder, app_file="dist/index.html", build_command="npm run build")
    assert check_page(built, gradio=False).ok


def test_a_large_file_is_compared_as_far_as_it_is_read(site: tuple[Path, str]) -> None:
    folder, url = site
    (folder / "index.html").write_bytes(b"<html><title>Big</title>" + b"x" * (3 * 2**20))
    check = check_page(subject(url, "static", directory=folder, app_file="index.html"), gradio=False)
    assert (check.ok, check.detail) == (True, "“Big”, 2.0 MiB or more")


def test_a_page_that_never_ends_is_read_no_longer_than_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_trickle, args=(server,), daemon=True).start()
        began = time.monotonic()
        reply = http.ask("127.0.0.1", server.getsockname()[1], seconds=0.5, text=True)
    assert time.monotonic() - began < 2
    assert reply is not None
    assert (reply.status, reply.kind) == (200, "text/event-stream")
    assert reply.body.startswith(b"data: 1\n\n")


def _trickle(server: socket.socket) -> None:
    try:
        connection, _ = server.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n\r\n")
        while True:
            connection.sendall(b"data: 1\n\n")
            time.sleep(0.05)
    except OSError:
        pass


@pytest.mark.parametrize("target", ["http://[", "//127.0.0.1:99999999/", "http://example.com/x"])
def test_a_redirect_that_leads_nowhere_is_the_answer(target: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_redirect, args=(server, target), daemon=True).start()
        reply = http.ask("127.0.0.1", server.getsockname()[1], text=True)
    assert reply is not None
    assert reply.status == 302


def _redirect(server: socket.socket, target: str) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())


@pytest.mark.parametrize(
    "body",
    [b"<title" * 300_000, b"<title>" + b"a" * 2_000_000, b'<meta property="og:title"' * 80_000, b"\xff\x00" * 99],
)
def test_a_page_made_to_take_long_does_not(body: bytes) -> None:
    began = time.monotonic()
    title(body)
    error_page(body)
    assert len(describe(body)) < 200
    assert time.monotonic() - began < 2


SCRIPTS = {
    "fine": "import streamlit as st\nst.write('hello')\n",
    "raising": "import streamlit as st\nst.write({}['Atlantis'])\n",
    "endless": "import time\nimport streamlit as st\nst.write('hello')\nwhile True:\n    time.sleep(0.1)\n",
}


@pytest.mark.environment
@pytest.mark.slow
def test_the_script_of_a_real_streamlit_is_run(tmp_path: Path) -> None:
    python = tmp_path / "venv/bin/python"
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, tmp_path / "venv"], check=True)
    subprocess.run([uv, "pip", "install", "-q", "-p", python, "streamlit"], check=True)
    details = {}
    for name, text in SCRIPTS.items():
        (tmp_path / f"{name}.py").write_text(text)
        port = free_port()
        options = [f"--server.port={port}", "--server.address=127.0.0.1", "--server.headless=true"]
        command = [python, "-m", "streamlit", "run", tmp_path / f"{name}.py", *options]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                wait_for(lambda port=port: http.ask("127.0.0.1", port), 60)
                app = subject(f"http://127.0.0.1:{port}", "streamlit", call_seconds=3.0)
                assert check_page(app, gradio=False).detail.startswith("“Streamlit”")
                details[name] = check_script(app)
            finally:
                process.kill()
    assert details["fine"].ok
    assert details["fine"].detail.startswith("it ran to its end in ")
    assert (details["raising"].ok, details["raising"].detail) == (False, "KeyError: 'Atlantis'")
    assert (details["endless"].ok, details["endless"].detail) == (True, "it runs on after 3 s, without an exception")


def test_a_server_that_is_not_streamlit_fails_the_visit() -> None:
    with serving({}) as url:
        check = check_script(subject(url, "streamlit"))
    assert (check.ok, check.detail) == (False, "the connection ended before it did")
