"""Calling a function of a Gradio app as its page does, in whichever of Gradio's protocols its version speaks.

* One request and its answer: `POST /run/predict`, until 3.4 or so `/api/predict/` (gradio `routes.py`). So it is with
  Gradio 2, where the app has no queue, and for functions that leave it out.
* A WebSocket at `/queue/join`: the queue from 3.2 to 3.50 (gradio_client 0.6, `utils.get_pred_from_ws`).
* Server-sent events: the queue from 4.0 on. Until 4.11 (`sse`) the data is sent when the stream asks for it, since then
  (`sse_v1` and later) before it is opened (gradio_client 2.7, `utils.stream_sse_v0` and `client.stream_messages`).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from spacerun.app import http
from spacerun.smoke.call_outcome import HIDDEN, CallError, LateError, Output, plain, unquoted
from spacerun.smoke.gradio_files import META, inside
from spacerun.text import one_line, size

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence
    from pathlib import Path

    from aiohttp import ClientSession

    from spacerun.smoke.gradio_config import Config, Endpoint

_BYTES: Final = 64 * 2**20  # of one message; until 4.0 it holds pictures and films
_FIRST_QUEUE: Final = (3, 2)
_PROBE_SECONDS: Final = 1.0
_PATHS: Final = ("/run/predict", "/api/predict/")
_OK: Final = 200
_MISSING: Final = 404
_NOT_ALLOWED: Final = 405  # the page answers at every path, to GET
_BAD: Final = 400
_ERROR: Final = 500


_T = TypeVar("_T")


class Caller:
    """Calls the functions of one app, in one session, as one open page does.

    Args:
        config: What the app says of itself.
        seconds: How long one call may take, in seconds.
    """

    def __init__(self, config: Config, seconds: float) -> None:
        self._config = config
        self._seconds = seconds
        self._session = secrets.token_hex(6)
        self._source = _source(config.url)

    def call(self, endpoint: Endpoint, data: Sequence[Any]) -> Output:
        """Call a function.

        Args:
            endpoint: Which.
            data: Its arguments, one for each input, as the page would send them.

        Raises:
            CallError: It failed, or took too long.
        """
        began = time.monotonic()
        values, count = self.outputs(endpoint, data)
        return Output(self._visible(endpoint, values), count, time.monotonic() - began)

    def outputs(self, endpoint: Endpoint, data: Sequence[Any]) -> tuple[list[Any], int]:
        """All outputs of a call, those that no caller sees among them, and how many came one after the other.

        Raises:
            CallError: It failed, or took too long.
        """
        sent: dict[str, Any] = {"data": list(data), "event_data": None}
        body = {"fn_index": endpoint.index, "session_hash": self._session, **sent}
        if self._config.queue and endpoint.queue and self._config.release >= _FIRST_QUEUE:
            return self._queued(body)
        return self._at_once(body), 1

    def upload(self, data: Any, directory: Path) -> Any:  # noqa: ANN401
        """`data` with each file of the Space's folder uploaded; see `gradio_files.as_sent`.

        Args:
            data: Arguments; other files stay as they are, for they are the app's own.
            directory: The Space's folder.

        Raises:
            CallError: The app does not take it.
        """
        if isinstance(data, list):
            return [self.upload(item, directory) for item in data]
        if not isinstance(data, dict):
            return data
        path = data.get("path")
        if data.get("meta") == META and isinstance(path, str) and (found := inside(path, directory)):
            return {**data, "path": asyncio.run(self._limited(self._uploaded(found)))}
        return {key: self.upload(item, directory) for key, item in data.items()}

    def _visible(self, endpoint: Endpoint, values: list[Any]) -> Any:  # noqa: ANN401
        """What a caller sees of the outputs: no state, and of one output the value alone, as gradio_client has it."""
        components = self._config.components
        shown = [
            plain(value)
            for number, value in enumerate(values)
            if not (
                number < len(endpoint.outputs) and (found := components.get(endpoint.outputs[number])) and found.hidden
            )
        ]
        return shown[0] if len(shown) == 1 else shown

    def _at_once(self, body: dict[str, Any]) -> list[Any]:
        status, answer = asyncio.run(self._limited(self._posted(body)))
        if status == _OK:
            return _values(answer)
        raise CallError(_complaint(answer) or (HIDDEN if status >= _ERROR else f"HTTP {status}"))

    def _queued(self, body: dict[str, Any]) -> tuple[list[Any], int]:
        speak = {"ws": self._by_websocket, "sse": self._by_first_stream}.get(self._config.protocol, self._by_stream)
        return asyncio.run(self._limited(_collected(speak(body))))

    async def _limited(self, work: Coroutine[Any, Any, _T]) -> _T:
        from aiohttp import ClientError

        try:
            return await asyncio.wait_for(work, self._seconds)
        except (asyncio.TimeoutError, TimeoutError):
            raise LateError(self._seconds) from None
        except (ClientError, OSError, ValueError, RecursionError) as error:
            reason = one_line(str(error), 120) or type(error).__name__
            raise CallError(f"the connection failed: {reason}", answered=False) from error

    def _open(self) -> ClientSession:
        from aiohttp import ClientSession, ClientTimeout, TCPConnector

        connector = TCPConnector(local_addr=self._source)
        return ClientSession(connector=connector, timeout=ClientTimeout(total=None), trust_env=False)

    def _at(self, path: str) -> str:
        return f"{self._config.url}{self._config.prefix}{path}"

    async def _posted(self, body: dict[str, Any]) -> tuple[int, Any]:
        """Status and answer of the first address for calls that there is."""
        async with self._open() as session:
            for path in _PATHS:
                async with session.post(self._at(path), json=body) as response:
                    if response.status not in {_MISSING, _NOT_ALLOWED}:
                        return response.status, await _json(response)
        raise CallError("it has no address for calls")

    async def _uploaded(self, path: Path) -> str:
        from aiohttp import FormData

        form = FormData()
        async with self._open() as session:
            with path.open("rb") as stream:
                form.add_field("files", stream, filename=path.name)
                async with session.post(self._at("/upload"), data=form) as response:
                    answer = await _json(response)
        if not isinstance(answer, list) or not answer or not isinstance(answer[0], str):
            raise CallError(_complaint(answer) or f"it does not take the file {path.name}: HTTP {response.status}")
        return answer[0]

    async def _by_websocket(self, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        from aiohttp import WSMsgType

        async with (
            self._open() as session,
            session.ws_connect(self._at("/queue/join"), max_msg_size=_BYTES) as connection,
        ):
            async for message in connection:
                if message.type is not WSMsgType.TEXT:
                    continue
                told = _message(message.data)
                if told.get("msg") == "send_hash":
                    await connection.send_json({"fn_index": body["fn_index"], "session_hash": self._session})
                elif told.get("msg") == "send_data":
                    await connection.send_json(body)
                else:
                    yield told

    async def _by_first_stream(self, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        async with self._open() as session:
            query = {"fn_index": str(body["fn_index"]), "session_hash": self._session}
            async for told in _events(session, self._at("/queue/join"), query):
                if told.get("msg") == "send_data":
                    sent = {**body, "event_id": told.get("event_id")}
                    async with session.post(self._at("/queue/data"), json=sent) as response:
                        _accept(response.status, await _json(response))
                else:
                    yield told

    async def _by_stream(self, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        async with self._open() as session:
            async with session.post(self._at("/queue/join"), json=body) as response:
                _accept(response.status, await _json(response))
            async for told in _events(session, self._at("/queue/data"), {"session_hash": self._session}):
                yield told


async def _collected(messages: AsyncIterator[dict[str, Any]]) -> tuple[list[Any], int]:
    """The outputs that the last of `messages` holds, and how many came before: later ones may be mere differences."""
    streamed = 0
    async for told in messages:
        kind = told.get("msg")
        if kind == "process_generating" and told.get("success") is not False:
            streamed += 1
        elif kind in {"process_completed", "process_generating"}:
            output = told.get("output")
            if told.get("success") is False or not isinstance(output, dict) or "data" not in output:
                raise CallError(_complaint(output) or HIDDEN)
            return _values(output), max(streamed, 1)
        elif kind == "queue_full":
            raise CallError("the app's queue is full")
        elif kind in {"unexpected_error", "server_stopped"}:
            raise CallError(_complaint(told) or "the app's queue broke down")
    raise CallError("the app closed the connection before its function ended", answered=False)


async def _events(session: ClientSession, url: str, query: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
    """The messages of a stream of server-sent events (HTML Living Standard, section 9.2), each one line of `data:`."""
    async with session.get(url, params=query, headers={"Accept": "text/event-stream"}) as response:
        if response.status != _OK:
            _accept(response.status, await _json(response))
        line = bytearray()
        async for chunk in response.content.iter_any():
            first, *more = chunk.split(b"\n")
            line += first
            if len(line) > _BYTES:
                raise CallError(f"what it returns is larger than {size(_BYTES)}")
            for part in more:
                if line.startswith(b"data:"):
                    yield _message(bytes(line[5:]))
                line = bytearray(part)


def _message(text: str | bytes) -> dict[str, Any]:
    told = json.loads(text)
    return told if isinstance(told, dict) else {}


async def _json(response: Any) -> Any:  # noqa: ANN401
    """The body of an answer of aiohttp's as JSON, None where it is not."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _BYTES:
            raise CallError(f"what it returns is larger than {size(_BYTES)}")
    try:
        return json.loads(body)
    except ValueError:
        return None


def _accept(status: int, answer: object) -> None:
    if status >= _BAD:
        raise CallError(_complaint(answer) or f"its queue answers HTTP {status}")


def _values(answer: object) -> list[Any]:
    values = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(values, list):
        raise CallError(_complaint(answer) or "it answers something else than outputs")
    return values


def _complaint(answer: object) -> str:
    """What the app says is wrong; empty where it says nothing."""
    if not isinstance(answer, dict):
        return ""
    for key in ("error", "detail", "message"):
        value = answer.get(key)
        if isinstance(value, str) and value:
            return unquoted(value)
        if isinstance(value, list) and value and isinstance(value[0], dict):  # FastAPI, of what has another form
            place = value[0].get("loc")
            where = ".".join(map(str, place)) if isinstance(place, list) else "the request"
            return f"it refuses every call: {value[0].get('msg')} ({where})"
    return ""


def _source(url: str) -> tuple[str, int] | None:
    """The address to come from; see `http.ASKER`. None where the app does not answer it."""
    parts = urlsplit(url)
    if parts.hostname != "127.0.0.1":
        return None
    try:
        with socket.create_connection(("127.0.0.1", parts.port or 80), _PROBE_SECONDS, (http.ASKER, 0)):
            return http.ASKER, 0
    except OSError:
        return None
