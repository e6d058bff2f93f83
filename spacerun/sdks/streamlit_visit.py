"""A visit to a Streamlit app as a browser makes it: the script runs, and what it shows tells whether it raised.

Streamlit serves its page before the script ever ran, and shows an exception of the script on a page that loads. What it
sends is protobuf (streamlit/proto/ForwardMsg.proto); the few fields read here have kept their numbers from 0.79 (2021)
to 1.67 (2026), so they are read without its classes.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spacerun.app import http
from spacerun.text import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import ClientWebSocketResponse

    from spacerun.app.answer import Listener

# `/_stcore/…` since 1.13, after `/stream` and `/healthz` (streamlit/web/server/server.py). Older ones answer the page,
# or 404, at the newer path.
_STREAMS: Final = ("/_stcore/stream", "/stream")
_HEALTH: Final = ("/_stcore/health", "/healthz")
_RERUN: Final = b"\x5a\x00"  # BackMsg { rerun_script: {} }: what a browser sends first
_OPENING_SECONDS: Final = 20.0

# ForwardMsg, Delta, Element, Exception and SessionEvent.
_DELTA, _FINISHED, _EVENT, _NEW_ELEMENT, _EXCEPTION, _NOT_COMPILED = 5, 6, 10, 3, 8, 3
_TYPE, _MESSAGE, _STACK, _IS_WARNING = 1, 2, 3, 5
# Neither end of a run is the last word: an event tells what does not compile, and the script runs again.
_GOES_ON: Final = frozenset({1, 2})  # FINISHED_WITH_COMPILE_ERROR, FINISHED_EARLY_FOR_RERUN


@dataclass(frozen=True)
class Raised:
    """An exception that the script raised.

    Attributes:
        name: Its class; empty where the app's settings hide it.
        message: What it says.
        stack: Lines of its traceback.
    """

    name: str
    message: str
    stack: tuple[str, ...]

    @property
    def line(self) -> str:
        """As the last line of a traceback has it."""
        return f"{self.name}: {self.message}" if self.name else self.message


class Visit:
    """One visit, made by a thread of its own.

    Args:
        listener: Where the app listens.

    Attributes:
        over: Whether the script ran to its end, or the visit failed.
        raised: What the script raised, if it did.
        began: When the visit began, by `time.monotonic`.
    """

    def __init__(self, listener: Listener) -> None:
        self.over = False
        self.raised: Raised | None = None
        self.failed = False
        self.began = time.monotonic()
        self._listener = listener
        threading.Thread(target=self._run, name="streamlit visit", daemon=True).start()

    def _run(self) -> None:
        from aiohttp import ClientError

        try:
            asyncio.run(self._visit())
        except (ClientError, OSError, asyncio.TimeoutError, ValueError):
            self.failed = True
        self.over = True

    async def _visit(self) -> None:
        from aiohttp import ClientSession, ClientTimeout, WSServerHandshakeError

        base = http.url_of(self._listener.host, self._listener.port)
        timeout = ClientTimeout(total=None, sock_connect=_OPENING_SECONDS)
        async with ClientSession(timeout=timeout) as session:
            for path in _STREAMS:
                try:
                    opening = session.ws_connect(f"{base}{path}", protocols=("streamlit",), max_msg_size=0)
                    socket = await asyncio.wait_for(opening, _OPENING_SECONDS)
                except WSServerHandshakeError:
                    continue
                async with socket:
                    await socket.send_bytes(_RERUN)
                    await self._watch(socket)
                return
        self.failed = True

    async def _watch(self, socket: ClientWebSocketResponse[bool]) -> None:
        """Look at what the script shows until it ends; an exception that it did not catch is the last of that."""
        from aiohttp import WSMsgType

        last: Raised | None = None
        async for message in socket:
            if message.type is not WSMsgType.BINARY:
                continue
            for number, value in fields(message.data):
                if number == _DELTA:
                    last = _shown(value)
                elif number == _EVENT and (raised := _first(value, _NOT_COMPILED)) is not None:
                    self.raised = _raised(raised)
                    return
                elif number == _FINISHED and value not in _GOES_ON:
                    self.raised = last
                    return
        self.failed = True  # closed before the script ended


def is_healthy(listener: Listener) -> bool:
    """Whether the server says that it is ready for visitors."""
    replies = (http.ask(listener.host, listener.port, path) for path in _HEALTH)
    return any(reply and reply.status == 200 for reply in replies)  # noqa: PLR2004 - OK


def _shown(delta: bytes | int) -> Raised | None:
    """The exception that a change of the page shows, if it shows one."""
    element = _first(delta, _NEW_ELEMENT)
    exception = None if element is None else _first(element, _EXCEPTION)
    return None if exception is None else _raised(exception)


def _raised(exception: bytes | int) -> Raised | None:
    if _first(exception, _IS_WARNING):
        return None
    stack = [_text(value) for number, value in fields(exception) if number == _STACK]
    name, message = _text(_first(exception, _TYPE) or b""), _text(_first(exception, _MESSAGE) or b"")
    return Raised(one_line(name, 100), one_line(message, 500), tuple(stack))


def _text(value: bytes | int) -> str:
    return printable(value.decode(errors="replace")) if isinstance(value, bytes) else ""


def _first(message: bytes | int, wanted: int) -> bytes | int | None:
    return next((value for number, value in fields(message) if number == wanted), None)


def fields(message: bytes | int) -> Iterator[tuple[int, bytes | int]]:
    """The fields of a protobuf message, each with its number: numbers as such, all else as bytes.

    Raises:
        ValueError: It is none (protobuf.dev, "Encoding").
    """
    if isinstance(message, int):
        raise ValueError("not a message")  # noqa: TRY004 - what the caller expects of a stranger's bytes
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind, size = tag & 7, 0
        if kind == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if kind == 2:  # noqa: PLR2004
            size, at = _varint(message, at)
        elif kind in {1, 5}:
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("an unknown type of field")
        if at + size > len(message):
            raise ValueError("cut short")
        yield tag >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte
            return value, at
    raise ValueError("cut short")
