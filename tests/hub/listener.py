"""Sockets: reads requests, applies faults, sends answers, records what was sent."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.hub.wire import Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.hub.server import Exchange, Hub


class Listener:
    """A TCP port that is either served or, after `pause`, kept but refusing connections.

    Args:
        host: Address to bind.
        port: Port; 0 takes a free one.
        hub: Who answers.
    """

    def __init__(self, host: str, port: int, hub: Hub) -> None:
        self._host = host
        self._hub = hub
        self._server: _Server | None = None
        self._reserved: socket.socket | None = self._reserve(port)
        self.port: int = self._reserved.getsockname()[1]

    def start(self) -> None:
        """Serve."""
        if self._server is not None:
            return
        # The very socket that keeps the port: between two of them another process could take it.
        self._server = _Server(self._reserved or self._reserve(self.port), self._hub)
        self._reserved = None
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def pause(self) -> None:
        """Refuse connections, break those that are open, and keep the port from others."""
        self._stop()
        self._reserved = self._reserved or self._reserve(self.port)

    def close(self) -> None:
        """Stop, and give the port up."""
        self._stop()
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    def _stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.break_connections()
            self._server = None

    def _reserve(self, port: int) -> socket.socket:
        # Bound but not listening: connections are refused.
        reserved = socket.socket()
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((self._host, port))
        return reserved


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, bound: socket.socket, hub: Hub) -> None:
        self.hub = hub
        self._open: set[socket.socket] = set()
        super().__init__(bound.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        # A client may be gone between the look for one and its acceptance, which would then wait for the next.
        bound.settimeout(1.0)
        self.socket = bound
        self.server_activate()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is a bug to show."""
        import sys

        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def break_connections(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version = "loopback-hub"
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.server.hub
        request = self._read()
        faults = hub.faults.strike(request)
        request = replace(request, faults=faults)
        exchange = hub.begin(request)
        try:
            for fault in faults:
                fault.before()
            replaced = [answer for fault in faults if (answer := fault.instead())]
            response = replaced[0] if replaced else hub.router.answer(request)
            body = response.body
            for fault in faults:
                body = fault.body(body, response.length)
            self._send(response, body, exchange)
        except ConnectionError:
            self._break()
        finally:
            hub.end(exchange)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Keep quiet: exchanges are recorded by the Hub."""

    def _read(self) -> Request:
        path, _, query = self.path.partition("?")
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b"".join(iter(self._read_chunk, b""))
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return Request(self.command, host, path, query, self.headers, body)

    def _read_chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        chunk = self.rfile.read(size)
        self.rfile.readline()
        return chunk

    def _send(self, response: Response, body: Iterable[bytes], exchange: Exchange) -> None:
        exchange.status = response.status
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        chunked = response.length is None
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(response.length))
        self.end_headers()
        if self.command == "HEAD":
            return
        for piece in body:
            if piece:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                exchange.bytes_sent += len(piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _break(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
