"""Stands in for Gradio's tunnel service: its API, its tunnel server, and where its client is downloaded.

The server really forwards: whoever connects to the public port is joined with a connection that the client makes to the
app. Each part can fail in its own way.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import socket
import threading
from pathlib import Path
from typing import Any

from spacerun.app.frpc import Client
from spacerun.app.tunnel import Service

FRPC = (Path(__file__).parent / "apps" / "standin_frpc_remote").read_bytes()
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"


class TunnelService:
    """A running one; a context manager.

    Args:
        mode: What it does: `forward`, `silent` (accepts, and says nothing), `refuse`, `print` (names an address behind
            which nothing is), `nonsense` (an API that names no server) or `gone` (HTTP 503).
        sha256: The pinned checksum of the client; default: the right one.
    """

    def __init__(self, mode: str = "forward", *, sha256: str | None = None) -> None:
        self.mode = mode
        self.downloads: list[str] = []
        self.joined = 0
        self._sha256 = sha256 or hashlib.sha256(FRPC).hexdigest()
        self._control = socket.create_server(("127.0.0.1", 0))
        self._web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._open: list[socket.socket] = [self._control]

    @property
    def address(self) -> str:
        """The tunnel server, `host:port`."""
        return f"127.0.0.1:{self._control.getsockname()[1]}"

    @property
    def client(self) -> Client:
        return Client(f"http://127.0.0.1:{self._web.server_port}/frpc", self._sha256)

    @property
    def service(self) -> Service:
        """By the address of the tunnel server, as a user's own one is given: its links may be plain http."""
        return Service(client=self.client, address=self.address)

    @property
    def by_api(self) -> Service:
        """By the API, as Gradio's own."""
        return Service(api=f"http://127.0.0.1:{self._web.server_port}/v3/tunnel-request", client=self.client)

    def to_json(self) -> dict[str, Any]:
        """For another process."""
        return {"url": self.client.url, "sha256": self._sha256, "address": self.address}

    def __enter__(self) -> TunnelService:
        threading.Thread(target=self._web.serve_forever, daemon=True).start()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._web.shutdown()
        self._web.server_close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/frpc":
                    service.downloads.append(self.path)
                    status, body = 200, FRPC
                else:
                    status, body = service._answer()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler

    def _answer(self) -> tuple[int, bytes]:
        if self.mode == "gone":
            return 503, b"come back later"
        if self.mode == "nonsense":
            return 200, b'[{"host": "--server_addr=evil", "port": 7000, "root_ca": "x"}]'
        host, port = self.address.split(":")
        return 200, json.dumps([{"host": host, "port": int(port), "root_ca": CERTIFICATE}]).encode()

    def _accept(self) -> None:
        """A client that says `open` gets a public port, and one that says `join` a visitor."""
        waiting: list[socket.socket] = []
        while True:
            try:
                client, _ = self._control.accept()
            except OSError:
                return
            self._open.append(client)
            threading.Thread(target=self._serve, args=(client, waiting), daemon=True).start()

    def _serve(self, client: socket.socket, waiting: list[socket.socket]) -> None:
        if self.mode == "silent":
            return
        said = _line(client)
        if said == "join":
            visitor = waiting.pop(0)
            self.joined += 1
            threading.Thread(target=pour, args=(visitor, client), daemon=True).start()
            pour(client, visitor)
            return
        if self.mode == "refuse":
            client.sendall(b"no authorization failed\n")
            return
        public = socket.create_server(("127.0.0.1", 0))
        port = public.getsockname()[1]
        if self.mode == "print":
            public.close()
        client.sendall(f"yes http://127.0.0.1:{port}\n".encode())
        if self.mode == "print":
            return
        self._open.append(public)
        threading.Thread(target=self._welcome, args=(public, client, waiting), daemon=True).start()
        with contextlib.suppress(OSError):
            client.recv(1)  # until the client goes
            public.shutdown(socket.SHUT_RDWR)
        public.close()

    def _welcome(self, public: socket.socket, client: socket.socket, waiting: list[socket.socket]) -> None:
        with contextlib.suppress(OSError):
            while True:
                visitor, _ = public.accept()
                self._open.append(visitor)
                waiting.append(visitor)
                client.sendall(b"visitor\n")


def pour(source: socket.socket, sink: socket.socket) -> None:
    """Pass on all bytes, and the end of them."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def _line(client: socket.socket) -> str:
    text = b""
    while not text.endswith(b"\n") and (byte := client.recv(1)):
        text += byte
    return text.decode().strip()
