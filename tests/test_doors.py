"""Share links and passwords from the command line to the page: real SDKs, a tunnel that forwards bytes, real logins."""

from __future__ import annotations

import asyncio
import base64
import http.cookiejar
import json
import secrets
import socket
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from tests.app.tunnel_service import TunnelService
from tests.command import get

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.command import Command, Launched
    from tests.hub import Hub

pytestmark = pytest.mark.environment

TOKEN = secrets.token_hex(12)
USER, PASSWORD = "ada", "s3cr3t:lovelace"
AUTH = ("--auth", f"{USER}:{PASSWORD}")

FASTAPI = f"""\
import fastapi, uvicorn
app = fastapi.FastAPI()
@app.get("/")
def page():
    return fastapi.responses.HTMLResponse("<h1>{TOKEN}</h1>")
uvicorn.run(app, host="127.0.0.1", port=7860)
""".replace("port=7860", "port=int(__import__('os').environ['GRADIO_SERVER_PORT'])")
MOUNTED = f"""\
import fastapi, gradio as gr, os, uvicorn
demo = gr.Interface(lambda name: name + "{TOKEN}", "text", "text")
app = gr.mount_gradio_app(fastapi.FastAPI(), demo, path="/")
uvicorn.run(app, host="127.0.0.1", port=int(os.environ["GRADIO_SERVER_PORT"]))
"""
GRADIO = f"""\
import gradio as gr
gr.Interface(lambda name: name + "{TOKEN}", "text", "text").launch()
"""
STREAMLIT = f"""\
import streamlit as st
st.write("Hello {TOKEN}")
"""


def card(sdk: str, version: str = "", python: str = "") -> str:
    lines = [f"sdk: {sdk}", "app_file: app.py", version and f'sdk_version: "{version}"', python]
    return "---\n" + "\n".join(filter(None, lines)) + "\n---\n"


@pytest.fixture
def tunnels() -> Iterator[TunnelService]:
    with TunnelService() as service:
        yield service


@pytest.fixture
def shared(hub_command: Command, tunnels: TunnelService) -> tuple[Command, tuple[str, ...]]:
    """The console script whose share links come from the stand-in, and the options for it."""
    script = str(Path(__file__).with_name("with_tunnels.py"))
    hub_command.program = (sys.executable, script, tunnels.client.url, tunnels.client.sha256)
    return hub_command, ("--require-share", "--env", f"GRADIO_SHARE_SERVER_ADDRESS={tunnels.address}")


def no_secret_is_left(command: Command, launched: Launched) -> None:
    """Neither in what spacerun wrote nor in what the app was told."""
    assert PASSWORD not in json.dumps(launched.data)
    assert PASSWORD not in launched.err
    files = [file for file in (command.home / "apps").rglob("*") if file.is_file()]
    assert not [file for file in files if PASSWORD.encode() in file.read_bytes()]
    pid = launched.data["pid"]
    for told in ("environ", "cmdline"):
        assert PASSWORD.encode() not in Path(f"/proc/{pid}/{told}").read_bytes()


def basic(password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()}


def status(url: str, headers: dict[str, str] | None = None) -> int:
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
@pytest.mark.parametrize(("source", "requirement"), [(FASTAPI, "fastapi\nuvicorn"), (MOUNTED, "uvicorn")])
def test_a_server_of_the_spaces_own_is_shared_and_asks_for_the_password(
    hub: Hub, shared: tuple[Command, tuple[str, ...]], source: str, requirement: str
) -> None:
    command, options = shared
    hub.publish("owner/served", {"README.md": card("gradio"), "app.py": source, "requirements.txt": requirement})
    with command.launch("owner/served", *options) as launched:
        assert launched.data["share_url"] != launched.data["url"]
        assert TOKEN in get(launched.data["share_url"])[1].decode() or source is MOUNTED
        assert launched.data["reach"] == "Whoever has the link can use it; no password."
        assert get(launched.data["share_url"])[0] == 200
    with command.launch("owner/served", *options, *AUTH) as launched:
        share_url = launched.data["share_url"]
        assert (status(share_url), status(share_url, basic("wrong")), status(share_url, basic())) == (401, 401, 200)
        assert launched.data["reach"] == "Whoever has the link can use it with the password."
        no_secret_is_left(command, launched)


def test_a_static_space_is_shared_and_asks_for_the_password(hub: Hub, shared: tuple[Command, tuple[str, ...]]) -> None:
    command, options = shared
    page = f"<!doctype html><title>Pages</title><h1>{TOKEN}</h1>"
    hub.publish("owner/shared-pages", {"README.md": "---\nsdk: static\n---\n", "index.html": page})
    with command.launch("owner/shared-pages", *options) as launched:
        assert launched.data["share_url"] != launched.data["url"]
        assert TOKEN in get(launched.data["share_url"])[1].decode()
    with command.launch("owner/shared-pages", *options, *AUTH) as launched:
        share_url = launched.data["share_url"]
        assert (status(share_url), status(share_url, basic("wrong")), status(share_url, basic())) == (401, 401, 200)
        no_secret_is_left(command, launched)


@pytest.mark.slow
def test_a_streamlit_app_is_shared_behind_a_password_websocket_and_all(
    hub: Hub, shared: tuple[Command, tuple[str, ...]]
) -> None:
    command, options = shared
    hub.publish("owner/streamlit", {"README.md": card("streamlit"), "app.py": STREAMLIT})
    with command.launch("owner/streamlit", *options, SPACERUN_AUTH=f"{USER}:{PASSWORD}") as launched:
        share_url = launched.data["share_url"]
        assert (status(share_url), status(share_url, basic("wrong")), status(share_url, basic())) == (401, 401, 200)
        assert TOKEN.encode() in asyncio.run(first_run(share_url, basic()))
        with pytest.raises(WSServerHandshakeError, match="401"):
            asyncio.run(first_run(share_url, {}))
        no_secret_is_left(command, launched)


async def first_run(url: str, headers: dict[str, str]) -> bytes:
    """What a Streamlit app sends when its page is opened (BackMsg and ForwardMsg of its proto folder)."""
    address = url.replace("http", "ws", 1) + "/_stcore/stream"
    received = b""
    async with (
        ClientSession(headers={**headers, "Origin": url}) as session,
        session.ws_connect(address, protocols=["streamlit"]) as socket,
    ):
        await socket.send_bytes(b"\x5a\x00")  # BackMsg.rerun_script, field 11, empty
        while TOKEN.encode() not in received:
            received += await socket.receive_bytes(timeout=20)
    return received


def log_in(url: str, password: str) -> int:
    """Status of /config after a login as Gradio's page does it."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    form = urllib.parse.urlencode({"username": USER, "password": password}).encode()
    try:
        opener.open(f"{url}/login", form, timeout=30)
        return opener.open(f"{url}/config", timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    ("version", "python"),
    [
        pytest.param("", "", id="newest"),
        pytest.param("4.44.0", "python_version: '3.10'", id="4.44.0", marks=pytest.mark.slow),
        pytest.param("3.50.2", "python_version: '3.10'", id="3.50.2", marks=pytest.mark.slow),
        pytest.param("3.20.1", "python_version: '3.10'", id="3.20.1", marks=pytest.mark.slow),
        pytest.param("2.9.4", "python_version: '3.8'", id="2.9.4", marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(600)
def test_gradio_asks_for_the_password_by_its_own_page(
    hub: Hub, shared: tuple[Command, tuple[str, ...]], version: str, python: str
) -> None:
    command, options = shared
    hub.publish("owner/locked", {"README.md": card("gradio", version, python), "app.py": GRADIO})
    with command.launch("owner/locked", *options, *AUTH) as launched:
        for url in (launched.data["url"], launched.data["share_url"]):
            assert (status(url), status(f"{url}/config")) == (200, 401)
            assert log_in(url, "wrong") in {400, 401}
            assert log_in(url, PASSWORD) == 200
        assert launched.data["launches"][0]["by_hook"][-1] == "auth"
        no_secret_is_left(command, launched)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.20.1", "4.44.0"])
@pytest.mark.timeout(600)
def test_a_gradio_that_believes_to_be_on_hugging_face_is_shared_all_the_same(
    hub: Hub, shared: tuple[Command, tuple[str, ...]], version: str
) -> None:
    command, options = shared
    hub.publish("owner/spaces", {"README.md": card("gradio", version, "python_version: '3.10'"), "app.py": GRADIO})
    spaces = ("--env", "SYSTEM=spaces", "--env", "SPACE_ID=owner/spaces")
    with command.launch("owner/spaces", *options, *spaces) as launched:
        assert get(launched.data["share_url"])[0] == 200
        ended = "Gradio ended the app over its share link. It is started again without one of Gradio's."
        assert (ended in launched.warnings) is (version == "3.20.1")
        assert {"start", "share"} <= launched.data["stages"].keys()


@pytest.mark.slow
@pytest.mark.parametrize(("version", "python"), [("", ""), ("3.20.1", "python_version: '3.10'")])
@pytest.mark.timeout(600)
def test_a_gradio_that_waits_for_its_tunnel_gets_another(
    hub: Hub, shared: tuple[Command, tuple[str, ...]], version: str, python: str
) -> None:
    """Gradio asks its service through a proxy that says nothing: before 3.46 it then waits for ever."""
    command, options = shared
    hub.publish("owner/waiting", {"README.md": card("gradio", version, python), "app.py": GRADIO})
    address = options[-1]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = f"https_proxy=http://127.0.0.1:{silent.getsockname()[1]}"
        more = ("--env", proxy, "--env", "no_proxy=127.0.0.1,localhost", "--share-timeout", "3")
        assert address.startswith("GRADIO_SHARE_SERVER_ADDRESS=")
        with command.launch("owner/waiting", *options, *more) as launched:
            assert get(launched.data["share_url"])[0] == 200
            assert 3 <= launched.data["stages"]["share"] < 30


def test_without_a_way_out_both_reasons_are_told(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/alone", {"README.md": card("gradio"), "app.py": GRADIO})
    nowhere = {"https_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.1,localhost"}
    ssh = {"SSH_CONNECTION": "10.0.0.5 51234 10.0.0.9 22"}
    with hub_command.launch("owner/alone", "--share-timeout", "5", **nowhere, **ssh) as launched:
        (warning,) = [warning for warning in launched.warnings if warning.startswith("No share link")]
        assert "; spacerun's own tunnel failed too: api.gradio.app cannot be reached from here" in warning
        assert launched.data["reach"] == "Only this machine can reach it."
        (way,) = launched.data["ways_in"]
        port = launched.data["port"]
        assert way["text"].startswith(f"ssh -N -L {port}:127.0.0.1:{port} ")
