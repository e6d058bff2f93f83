"""Gradio's protocols as its page speaks them: what is made of answers that a sound app seldom gives.

What stands in for Gradio here tells one kind of answer each; the real ones are called in `test_calls.py`.
"""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import WSMsgType, web

from spacerun.app import http
from spacerun.smoke import raw
from spacerun.smoke.call_outcome import HIDDEN, CallError, LateError, Output
from spacerun.smoke.gradio_config import Component, Config, Endpoint
from spacerun.smoke.raw import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Told = list[dict[str, Any]]
FIRST = {"msg": "process_generating", "success": True, "output": {"data": ["a"]}}
DONE = {"msg": "process_completed", "success": True, "output": {"data": ["ab"]}}
ESTIMATE = {"msg": "estimation", "rank": 0}
PROTOCOLS = ("ws", "sse", "sse_v1", "sse_v3")
VERSIONS = {"ws": "3.50.2", "sse": "4.0.2", "sse_v1": "4.12.0", "sse_v3": "5.49.1"}


class StandIn:
    """Tells each caller the same, by any of the protocols; what it was sent is in `got`."""

    def __init__(self, told: Told, *, status: int = 200, wait: float = 0.0) -> None:
        self.told, self.status, self.wait = told, status, wait
        self.got: list[Any] = []
        self.sources: set[str] = set()

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/queue/join", self.join)
        application.router.add_post("/queue/join", self.take)
        application.router.add_post("/queue/data", self.take)
        application.router.add_get("/queue/data", self.stream)
        application.router.add_post("/run/predict", self.answer)
        application.router.add_post("/upload", self.upload)
        return application

    async def join(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self.talk(request)
        return await self.stream(request, asks=True)

    async def talk(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for question in ("send_hash", "send_data"):
            await socket.send_json({"msg": question})
            message = await socket.receive()
            assert message.type is WSMsgType.TEXT
            self.got.append(json.loads(message.data))
        await asyncio.sleep(self.wait)
        for one in self.told:
            await socket.send_json(one)
        await socket.close()
        return socket

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.sources.add(request.remote or "")
        self.got.append(await request.json())
        return web.json_response({"event_id": "e1"} if self.status == 200 else self.told[0], status=self.status)

    async def stream(self, request: web.Request, *, asks: bool = False) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for one in [{"msg": "send_data", "event_id": "e1"}] if asks else []:
            await response.write(b"data: " + json.dumps(one).encode() + b"\n\n")
        await asyncio.sleep(self.wait)
        for one in self.told:
            text = b"data: " + json.dumps(one).encode() + b"\n\n"
            await response.write(text[:7])  # a message may come in pieces
            await response.write(text[7:])
        return response

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.sources.add(request.remote or "")
        self.got.append(await request.json())
        await asyncio.sleep(self.wait)
        return web.json_response(self.told[0], status=self.status)

    async def upload(self, request: web.Request) -> web.StreamResponse:
        part = await (await request.multipart()).next()
        self.got.append((part.filename, await part.read()))
        return web.json_response(["/tmp/gradio/1/" + part.filename])


@contextmanager
def running(stand_in: StandIn) -> Iterator[str]:
    """The URL of the stand-in."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(stand_in.application(), access_log=None, shutdown_timeout=0.1)
    started, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        started.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(5)
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    loop.call_soon_threadsafe(stop.set)
    thread.join(5)
    loop.close()


def config_of(url: str, protocol: str = "sse_v3", *, queue: bool = True) -> Config:
    components = {1: Component("textbox"), 2: Component("state", hidden=True), 3: Component("textbox")}
    return Config(url, VERSIONS[protocol], components, (), protocol=protocol, queue=queue)


GREET = Endpoint(7, "greet", public=True, runs=True, inputs=(1,), outputs=(3,))


def call(stand_in: StandIn, protocol: str = "sse_v3", *, queue: bool = True, seconds: float = 5.0) -> Output:
    with running(stand_in) as url:
        return Caller(config_of(url, protocol, queue=queue), seconds).call(GREET, ["Ada"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_stream_is_followed_to_its_end(protocol: str) -> None:
    stand_in = StandIn([ESTIMATE, FIRST, {"msg": "heartbeat"}, FIRST, DONE, DONE])
    output = call(stand_in, protocol)
    assert (output.value, output.count) == ("ab", 2)
    sent = stand_in.got[-1]
    assert (sent["fn_index"], sent["data"]) == (7, ["Ada"])
    assert sent["session_hash"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([{"msg": "process_completed", "success": False, "output": {"error": "Nobody!"}}], "Nobody!"),
        ([{"msg": "process_completed", "success": False, "output": {"error": "'Nobody!'"}}], "Nobody!"),
        ([FIRST, {"msg": "process_generating", "success": False, "output": {"error": "later"}}], "later"),
        ([{"msg": "process_completed", "success": False, "output": {"error": None}}], HIDDEN),
        ([{"msg": "process_completed", "success": True, "output": None}], HIDDEN),
        ([{"msg": "queue_full"}], "the app's queue is full"),
        ([{"msg": "unexpected_error", "message": "Session not found"}], "Session not found"),
        ([ESTIMATE], "the app closed the connection before its function ended"),
        ([DONE | {"output": {"data": "text"}}], "it answers something else than outputs"),
    ],
)
def test_why_a_call_fails_is_told(protocol: str, told: Told, why: str) -> None:
    with pytest.raises(CallError) as error:
        call(StandIn(told), protocol)
    assert str(error.value) == why


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_call_that_takes_too_long_is_given_up(protocol: str) -> None:
    with pytest.raises(LateError, match=r"it did not end within 0\.2 s"):
        call(StandIn([DONE], wait=20), protocol, seconds=0.2)


def test_a_queue_that_refuses_says_why() -> None:
    with pytest.raises(CallError, match="Queue is stopped"):
        call(StandIn([{"detail": "Queue is stopped."}], status=503))
    with pytest.raises(CallError, match="its queue answers HTTP 502"):
        call(StandIn([{}], status=502))


def test_without_a_queue_it_is_one_request() -> None:
    stand_in = StandIn([{"data": ["Hello"]}])
    assert call(stand_in, "ws", queue=False).value == "Hello"
    assert stand_in.got[0]["data"] == ["Ada"]


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (500, {"error": "Nobody!"}, "Nobody!"),
        (500, {"error": None}, HIDDEN),
        (503, {}, HIDDEN),
        (403, {}, "HTTP 403"),
        (404, {"detail": "Not Found"}, "it has no address for calls"),
        (200, {"nothing": 1}, "it answers something else than outputs"),
        (
            422,
            {"detail": [{"loc": ["body", "event_id"], "msg": "Field required"}]},
            "it refuses every call: Field required (body.event_id)",
        ),
    ],
)
def test_why_a_request_fails_is_told(status: int, answer: dict[str, Any], why: str) -> None:
    with pytest.raises(CallError) as error:
        call(StandIn([answer], status=status), "ws", queue=False)
    assert str(error.value) == why


def test_a_request_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(LateError):
        call(StandIn([{"data": []}], wait=20), "ws", queue=False, seconds=0.2)


def test_an_app_that_is_gone_is_not_waited_for() -> None:
    for queue in (False, True):
        with pytest.raises(CallError, match="the connection failed") as error:
            Caller(config_of("http://127.0.0.1:9", queue=queue), 5.0).call(GREET, ["Ada"])
        assert not error.value.answered


@pytest.mark.parametrize("queue", [False, True])
def test_a_large_output_is_read_and_an_enormous_one_refused(monkeypatch: pytest.MonkeyPatch, queue: bool) -> None:
    large = "x" * 20_000_000
    told = DONE | {"output": {"data": [large]}, "data": [large]}
    assert call(StandIn([told]), queue=queue).value == large
    monkeypatch.setattr(raw, "_BYTES", 10_000_000)
    with pytest.raises(CallError, match=r"what it returns is larger than 9\.5 MiB"):
        call(StandIn([told]), queue=queue)


def test_calls_are_not_taken_for_a_users() -> None:
    queued, at_once = StandIn([DONE]), StandIn([{"data": ["x"]}])
    call(queued)
    call(at_once, queue=False)
    assert queued.sources == at_once.sources == {http.ASKER}


def test_a_state_is_no_output_and_a_file_is_its_name() -> None:
    file = {"path": "/tmp/gradio/1/cat.png", "orig_name": "cat.png", "meta": {"_type": "gradio.FileData"}}
    told = DONE | {"output": {"data": [None, [{"image": file, "caption": None}]]}}
    with running(StandIn([told])) as url:
        endpoint = Endpoint(7, "greet", public=True, runs=True, inputs=(), outputs=(2, 3))
        output = Caller(config_of(url), 5.0).call(endpoint, [])
    assert output.value == [{"image": "cat.png", "caption": None}]


def test_files_of_the_space_are_uploaded_and_no_others(tmp_path: Path) -> None:
    space = tmp_path / "space"
    space.mkdir()
    (space / "cat.png").write_bytes(b"cat")
    (tmp_path / "secret").write_bytes(b"secret")
    (space / "link").symlink_to(tmp_path / "secret")
    meta = {"_type": "gradio.FileData"}
    theirs = [
        {"path": str(path), "meta": meta}
        for path in (tmp_path / "secret", space / ".." / "secret", space / "link", "/tmp/gradio/1/theirs.png", "\0")
    ]
    stand_in = StandIn([])
    with running(stand_in) as url:
        mine = {"text": "Hi", "files": [{"path": str(space / "cat.png"), "meta": meta}]}
        sent = Caller(config_of(url), 5.0).upload([mine, *theirs, "text", 3], space)
    assert stand_in.got == [("cat.png", b"cat")]
    assert sent == [{"text": "Hi", "files": [{"path": "/tmp/gradio/1/cat.png", "meta": meta}]}, *theirs, "text", 3]


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (Output("Hello Ada!", 1, 0.31), "'Hello Ada!' in 0.3 s"),
        (Output("abc", 3, 1.0), "3 outputs streamed, the last 'abc' in 1.0 s"),
        (Output(["data:image/png;base64,iVBORw0", None], 1, 2), '["data:image/png;base64", null] in 2.0 s'),
        (Output("two\nlines\x1b[31m", 1, 0), "'two lines' in 0.0 s"),
        (Output("hf_abcdefgh12345", 1, 0), "'hf_***' in 0.0 s"),
    ],
)
def test_an_output_is_told_in_one_line(output: Output, told: str) -> None:
    assert output.told == told


def test_an_output_is_told_in_few_words() -> None:
    for value in ("x" * 10_000, ["y" * 10_000] * 100, {"z": "z" * 10_000}):
        assert len(Output(value, 12, 3.0).told) <= 120
