"""The login page in front of an app that has none."""

from __future__ import annotations

import asyncio
import base64
import http.client
import http.server
import json
import socket
import threading
import time

import psutil
import pytest
from aiohttp import ClientSession, WSServerHandshakeError, web

from spacerun.app import launch_detached, registry, supervise
from spacerun.app.gate import Gate
from spacerun.app.password import Password
from spacerun.app.proof import problem_with
from spacerun.app.spec import AppSpec
from spacerun.errors import AppCrashedError, RefusedError, SpacerunError, UsageError
from tests.app.conftest import free_port
from tests.app.tunnel_service import TunnelService

PASSWORD = Password.parse("ada:love:lace")
RIGHT, WRONG = "ada:love:lace", "ada:loveless"


def basic(text):
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def ask(port, method="GET", path="/", headers=None, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()
    finally:
        connection.close()


class Echo(http.server.BaseHTTPRequestHandler):
    """Tells what reached it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        length = int(self.headers.get("Content-Length", 0))
        told = {"method": self.command, "path": self.path, "headers": dict(self.headers.items())}
        body = json.dumps({**told, "body": self.rfile.read(length).decode()}).encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "mine=1")
        self.send_header("Set-Cookie", "other=2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_POST = do_HEAD = do_GET  # noqa: N815 - http.server's names

    def log_message(self, *_):
        pass


@pytest.fixture
def gated():
    """A gate in front of `Echo`: its port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        gate = Gate(PASSWORD, "127.0.0.1", free_port(), f"http://127.0.0.1:{server.server_port}")
        gate.open()
        yield gate.inner_address[1]
        gate.close()
        server.shutdown()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic(WRONG),
        basic("eve:love:lace"),
        basic("ada:"),
        basic("ada"),
        {"Authorization": "Basic ???"},
        {"Authorization": "Bearer x"},
        {"Cookie": "spacerun-00000000=x"},
    ],
)
def test_nobody_else_gets_in(gated, headers):
    status, answer, body = ask(gated, headers=headers)
    assert (status, body) == (401, b"This app asks for a name and a password.\n")
    assert answer["WWW-Authenticate"].startswith('Basic realm="spacerun-')
    assert "Set-Cookie" not in answer


def test_the_right_one_gets_in_and_the_app_never_sees_the_password(gated):
    status, answer, body = ask(
        gated, "POST", "/a%2Fb?q=%20x", {**basic(RIGHT), "Cookie": "theme=dark"}, b"x" * 3_000_000
    )
    told = json.loads(body)
    assert (status, told["method"], told["path"], told["body"]) == (201, "POST", "/a%2Fb?q=%20x", "x" * 3_000_000)
    assert told["headers"]["Host"] == f"127.0.0.1:{gated}"
    assert told["headers"]["Cookie"] == "theme=dark"
    assert "Authorization" not in told["headers"]
    assert "love" not in json.dumps(told)
    cookie = next(part for part in _cookies(gated) if part.startswith("spacerun-"))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    pair = cookie.split(";")[0]
    status, answer, body = ask(gated, headers={"Cookie": f"theme=dark; {pair}"})
    assert status == 201
    assert json.loads(body)["headers"]["Cookie"] == "theme=dark"
    assert "spacerun-" not in str(answer)


def _cookies(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/", headers=basic(RIGHT))
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply.headers.get_all("Set-Cookie")


def test_cookies_of_the_app_and_its_other_methods_pass(gated):
    assert [cookie.split(";")[0] for cookie in _cookies(gated)][:2] == ["mine=1", "other=2"]
    assert ask(gated, "HEAD", headers=basic(RIGHT))[0] == 201


def test_a_request_for_another_host_goes_to_the_app_all_the_same(gated):
    with socket.create_connection(("127.0.0.1", gated)) as client:
        login = basic(RIGHT)["Authorization"]
        lines = [
            "GET http://evil.example/x HTTP/1.1",
            "Host: evil.example",
            f"Authorization: {login}",
            "Connection: close",
        ]
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert b'"path": "/x"' in answer


def test_guessing_is_slow(gated):
    began = time.monotonic()
    threads = [threading.Thread(target=ask, args=(gated,), kwargs={"headers": basic(f"ada:{n}")}) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began > 3


def test_a_stream_arrives_as_it_is_written():
    async def scenario():
        async def stream(request):
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"first\n")
            await asyncio.sleep(2)
            await response.write(b"second\n")
            return response

        async with _served(stream) as port, ClientSession() as session:
            began = time.monotonic()
            async with session.get(f"http://127.0.0.1:{port}/", headers=basic(RIGHT)) as answer:
                assert await answer.content.readline() == b"first\n"
                assert time.monotonic() - began < 1.5
                assert await answer.content.readline() == b"second\n"

    asyncio.run(scenario())


def test_a_websocket_passes_both_ways_and_nobody_elses_does():
    async def scenario():
        async def talk(request):
            socket = web.WebSocketResponse(protocols=["streamlit"], max_msg_size=0)
            await socket.prepare(request)
            await socket.send_json({"origin": request.headers.get("Origin"), "host": request.headers["Host"]})
            async for message in socket:
                if message.data == "bye":
                    await socket.close(code=4001)
                else:
                    await (socket.send_str if isinstance(message.data, str) else socket.send_bytes)(message.data)
            return socket

        async with _served(talk) as port, ClientSession() as session:
            url, headers = f"ws://127.0.0.1:{port}/_stcore/stream", {"Origin": "https://a.gradio.live"}
            with pytest.raises(WSServerHandshakeError, match="401"):
                await session.ws_connect(url)
            async with session.ws_connect(
                url, headers={**basic(RIGHT), **headers}, protocols=["streamlit", "token"], max_msg_size=0
            ) as socket:
                assert socket.protocol == "streamlit"
                assert await socket.receive_json() == {"origin": headers["Origin"], "host": f"127.0.0.1:{port}"}
                await socket.send_bytes(b"\x00" * 5_000_000)
                assert await socket.receive_bytes() == b"\x00" * 5_000_000
                await socket.send_str("hello")
                assert await socket.receive_str() == "hello"
                await socket.send_str("bye")
                await socket.receive()
                assert socket.close_code == 4001

    asyncio.run(scenario())


class _served:  # noqa: N801 - used as a function
    """An aiohttp handler behind a gate; the gate's port."""

    def __init__(self, handler):
        self._handler = handler

    async def __aenter__(self):
        application = web.Application(client_max_size=0)
        application.router.add_route("*", "/{path:.*}", self._handler)
        self._runner = web.AppRunner(application, shutdown_timeout=1.0)
        await self._runner.setup()
        port = free_port()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self._gate = Gate(PASSWORD, "127.0.0.1", free_port(), f"http://127.0.0.1:{port}")
        await asyncio.to_thread(self._gate.open)
        return self._gate.inner_address[1]

    async def __aexit__(self, *_):
        await asyncio.to_thread(self._gate.close)
        await self._runner.cleanup()


def test_an_app_that_is_gone_is_told():
    gate = Gate(PASSWORD, "127.0.0.1", free_port(), f"http://127.0.0.1:{free_port()}")
    gate.open()
    assert ask(gate.inner_address[1], headers=basic(RIGHT))[0] == 502
    assert problem_with(gate.url, gate.url, gradio=False) == ""
    other = Gate(PASSWORD, "127.0.0.1", free_port(), gate.target)
    other.open()
    assert problem_with(gate.url, other.url, gradio=False) == "another page answers there"
    with pytest.raises(SpacerunError, match="cannot listen on"):
        Gate(PASSWORD, *gate.inner_address, gate.target).open()
    gate.close()
    other.close()
    with pytest.raises(ConnectionRefusedError):
        ask(gate.inner_address[1])


@pytest.mark.parametrize("text", ["", "ada", "ada:", ":secret", " :secret"])
def test_what_is_no_name_and_password(text):
    with pytest.raises(UsageError) as caught:
        Password.parse(text)
    assert "secret" not in caught.value.message + caught.value.hint


def test_an_app_of_another_sdk_is_behind_a_gate_on_the_port_asked_for(space, foreground, spacerun_home):
    door = free_port()
    app = space("answers", sdk="docker", share=True, password=PASSWORD, gate=("127.0.0.1", door))
    with TunnelService() as tunnels:
        run = foreground(app, tunnels)
        _, _, url, share_url = run.read_until("READY").split()
        assert url == f"http://127.0.0.1:{door}"
        public = int(share_url.rpartition(":")[2])
        for port in (door, public):
            assert ask(port)[0] == 401
            assert ask(port, headers=basic(RIGHT))[::2] == (200, b"hello")
        record = registry.load(app.spec.id)
        assert (record.port, record.reach) == (door, "Whoever has the link can use it with the password.")
        run.process.terminate()
        assert run.wait() == 130
    assert not any(b"love:lace" in file.read_bytes() for file in spacerun_home.rglob("*") if file.is_file())


def test_a_gradio_that_does_not_ask_itself_gets_a_gate(space, foreground):
    app = space("fake_gradio", sdk="gradio", password=PASSWORD, MODE="sound")
    run = foreground(app)
    assert "a login page stands before it" in run.read_until("WARNING")
    url = run.read_until("READY").split()[2]
    port = int(url.rpartition(":")[2])
    assert port != app.spec.port
    assert ask(port)[0] == 401
    assert ask(port, headers=basic(RIGHT))[0] == 200
    assert registry.load(app.spec.id).reach == "Only this machine can reach it, with the password."


def test_a_gradio_that_asks_itself_gets_none(space, foreground):
    app = space("fake_gradio", sdk="gradio", password=PASSWORD, MODE="login")
    assert foreground(app).read_until("READY").split()[2] == f"http://127.0.0.1:{app.spec.port}"
    assert registry.load(app.spec.id).reach == "Only this machine can reach it, with the password."


def test_a_public_link_past_the_password_ends_the_app(space, listener):
    lines = "* Running on public URL: https://0123456789.gradio.live"
    app = space("fake_gradio", sdk="gradio", share=True, password=PASSWORD, MODE="sound", LINES=lines, LAUNCHED=1)
    with pytest.raises(RefusedError, match="a public link on which nobody is asked for the password"):
        supervise(app.spec, app.environment, **listener.callbacks())
    assert app.leftovers() == []


def test_an_app_that_listens_to_the_network_is_said_to_be_open_all_the_same(space, foreground):
    app = space("answers", sdk="docker", password=PASSWORD, gate=("127.0.0.1", free_port()), HOST="0.0.0.0")
    foreground(app).read_until("READY")
    said = registry.load(app.spec.id).reach
    assert said.startswith("Only this machine can reach it, with the password. Whoever can reach this machine over")
    assert said.endswith("can use it without a password, too.")


def test_the_gate_outlives_a_crash_of_the_app(space, listener):
    door = free_port()
    settings = {"restart": "on-failure", "password": PASSWORD, "gate": ("127.0.0.1", door), "SECONDS": 2, "STATUS": 3}
    app = space("answers", sdk="docker", **settings)
    seen = []

    def on_ready(record):
        seen.append(ask(door, headers=basic(RIGHT))[0])
        if len(seen) == 2:
            (registry.run_folder(record.id) / "stop").touch()  # as `registry.stop` does, in another process
            psutil.Process(record.pid).terminate()

    supervise(app.spec, app.environment, **{**listener.callbacks(), "on_ready": on_ready})
    assert seen == [200, 200]


def test_a_detached_app_has_its_gate_in_the_supervisor(space, spacerun_home):
    door = free_port()
    app = space("answers", sdk="docker", password=PASSWORD, gate=("127.0.0.1", door))
    assert AppSpec.from_json(json.loads(json.dumps(app.spec.to_json()))) == app.spec
    record = launch_detached(app.spec, app.environment)
    try:
        assert record.url == f"http://127.0.0.1:{door}"
        assert (ask(door)[0], ask(door, headers=basic(RIGHT))[0]) == (401, 200)
        assert not any(b"love:lace" in file.read_bytes() for file in spacerun_home.rglob("*") if file.is_file())
    finally:
        registry.stop(record)
    with pytest.raises(ConnectionRefusedError):
        ask(door)


def test_a_crash_is_a_crash_behind_a_gate_too(space, listener):
    app = space("crashes", sdk="docker", password=PASSWORD, gate=("127.0.0.1", free_port()))
    with pytest.raises(AppCrashedError):
        supervise(app.spec, app.environment, **listener.callbacks())
