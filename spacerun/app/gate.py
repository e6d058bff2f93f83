"""A door with a password in front of an app that has none: a reverse proxy by aiohttp, WebSockets included.

It runs in a thread of the supervisor, so that neither the app nor any other process ever holds the password's hash.
The name and the password reach the app in no request: its code is a stranger's.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import secrets
import threading
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from spacerun.app.http import url_of
from spacerun.errors import SpacerunError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiohttp import ClientSession, ClientWebSocketResponse, web

    from spacerun.app.password import Password

    _Socket: TypeAlias = ClientWebSocketResponse[Any] | web.WebSocketResponse[Any]

_START_SECONDS: Final = 10.0
_WRONG_SECONDS: Final = 1.0  # how long a wrong password waits for its answer
_CONNECT_SECONDS: Final = 10.0
# They belong to one connection and not to the message (RFC 9110, section 7.6.1); `Expect` is answered here.
_HOP_BY_HOP: Final = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "expect",
})  # fmt: skip


class Gate:
    """The door.

    Args:
        password: Who may pass.
        host: Address to listen on.
        port: Port to listen on.
        target: Where the app answers, as a URL without a path.

    Attributes:
        target: The same; an app that is started again may answer elsewhere.
    """

    def __init__(self, password: Password, host: str, port: int, target: str) -> None:
        self._password = password
        self._host, self._port = host, port
        self.target = target
        self._name = f"spacerun-{secrets.token_hex(4)}"  # of the cookie and the realm, by which the door is known
        self._pass = secrets.token_urlsafe(32)
        self._known: set[bytes] = set()
        self._started = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="gate", daemon=True)

    @property
    def inner_address(self) -> tuple[str, int]:
        """Host and port at which this machine reaches it."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
        return everywhere.get(self._host, self._host), self._port

    @property
    def url(self) -> str:
        """Where it stands."""
        return url_of(*self.inner_address)

    def open(self) -> None:
        """Let people in, from now on.

        Raises:
            SpacerunError: Its port cannot be listened on.
        """
        self._thread.start()
        self._started.wait(_START_SECONDS)
        if self._problem or not self._started.is_set():
            raise SpacerunError(f"The login page cannot listen on {self._host}:{self._port}: {self._problem}.")

    def close(self) -> None:
        """Let nobody in any more."""
        if self._started.is_set() and not self._problem:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(3.0)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - `open` raises it in the thread that waits
            self._problem = error
            self._started.set()

    async def _serve(self) -> None:
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, web

        self._loop, self._stop, self._hashing = asyncio.get_running_loop(), asyncio.Event(), asyncio.Lock()
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        silent = logging.getLogger("spacerun.gate")
        silent.disabled = True  # what a client does wrong is no concern of the user's
        runner = web.AppRunner(application, access_log=None, logger=silent, shutdown_timeout=1.0)
        await runner.setup()
        timeout = ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
        async with ClientSession(auto_decompress=False, timeout=timeout, cookie_jar=DummyCookieJar()) as self._session:
            try:
                await web.TCPSite(runner, self._host, self._port).start()
                self._started.set()
                await self._stop.wait()
            finally:
                await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import ClientError, web

        has_cookie = secrets.compare_digest(request.cookies.get(self._name, "").encode(), self._pass.encode())
        if not has_cookie and not await self._knows(request.headers.get("Authorization", "")):
            challenge = f'Basic realm="{self._name}", charset="UTF-8"'  # RFC 7617
            text = "This app asks for a name and a password.\n"
            return web.Response(status=401, text=text, headers={"WWW-Authenticate": challenge})
        headers = self._headers(request)
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._join(request, headers)
            return await self._pass_on(request, headers, give_cookie=not has_cookie)
        except ClientError as error:
            return web.Response(status=502, text=f"The app does not answer: {type(error).__name__}.\n")

    async def _knows(self, header: str) -> bool:
        """Whether the header holds the right name and password; one guess at a time."""
        kind, _, encoded = header.partition(" ")
        if kind.lower() != "basic":
            return False
        seen = hashlib.sha256(header.encode("utf-8", "surrogateescape")).digest()
        if seen in self._known:
            return True
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
        except ValueError:
            return False
        async with self._hashing:
            right = await asyncio.to_thread(self._password.accepts, user, password)
            if not right:
                await asyncio.sleep(_WRONG_SECONDS)
        if right:
            self._known.add(seen)
        return right

    def _headers(self, request: web.Request) -> list[tuple[str, str]]:
        """The headers for the app: without the password, and without the cookie that stands for it."""
        kept = [
            (name, value)
            for name, value in _end_to_end(request.headers.items(), request.headers)
            if name.lower() not in {"authorization", "cookie"}
        ]
        cookies = [
            part
            for value in request.headers.getall("Cookie", [])
            for part in value.split(";")
            if part.partition("=")[0].strip() != self._name
        ]
        return [*kept, ("Cookie", ";".join(cookies).strip())] if cookies else kept

    def _address(self, request: web.Request) -> str:
        return f"{self.target}{request.rel_url.raw_path_qs}"

    async def _pass_on(
        self, request: web.Request, headers: list[tuple[str, str]], *, give_cookie: bool
    ) -> web.StreamResponse:
        from aiohttp import ClientError, web
        from yarl import URL

        session: ClientSession = self._session
        async with session.request(
            request.method,
            URL(self._address(request), encoded=True),
            headers=headers,
            data=request.content if request.body_exists else None,
            allow_redirects=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        ) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in _end_to_end(answer.headers.items(), answer.headers):
                response.headers.add(name, value)
            if give_cookie:
                response.set_cookie(self._name, self._pass, httponly=True, samesite="Lax")
            await response.prepare(request)
            try:
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
            except ClientError:  # one of the two is gone: the other one must not take what came for all of it
                if request.transport:
                    request.transport.close()
            return response

    async def _join(self, request: web.Request, headers: list[tuple[str, str]]) -> web.StreamResponse:
        """Join the WebSocket of the client and one to the app."""
        from aiohttp import web
        from yarl import URL

        offered = [
            name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip()
        ]
        session: ClientSession = self._session
        async with session.ws_connect(
            URL(self._address(request), encoded=True),
            headers=[(name, value) for name, value in headers if not name.lower().startswith("sec-websocket-")],
            protocols=list(filter(None, offered)),
            max_msg_size=0,
        ) as inner:
            outer = web.WebSocketResponse(protocols=[inner.protocol] if inner.protocol else (), max_msg_size=0)
            await outer.prepare(request)
            ways = [asyncio.create_task(_pour(outer, inner)), asyncio.create_task(_pour(inner, outer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            return outer


async def _pour(source: _Socket, sink: _Socket) -> None:
    """Pass on what comes from `source`, and how it ends."""
    from aiohttp import WSMsgType

    async for message in source:
        if message.type is WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await sink.send_bytes(message.data)
    await sink.close(code=source.close_code or 1000)


def _end_to_end(items: Iterable[tuple[str, str]], headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """The headers that belong to the message."""
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    return [(name, value) for name, value in items if name.lower() not in _HOP_BY_HOP | named]
