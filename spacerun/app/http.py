"""Asking an app over HTTP, straight to one address: no proxy, no other host."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin, urlsplit

_BODY_BYTES = 16 * 2**20  # the /config of a big app is about 1 MB
_CHUNK_BYTES = 64 * 2**10
_REDIRECTS = 5

TEXT_BYTES = 2 * 2**20
"""How much is read of a page."""

ASKER = "127.115.112.114"
"""The address on this machine that requests to 127.0.0.1 come from, so that they are not taken for a user's."""


_plain: set[int] = set()
"""Ports of this machine that answer to no source but 127.0.0.1."""


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        status: HTTP status.
        body: What of the body was read.
        kind: Media type, in lower case and without its parameters; empty where none is named.
        path: The path that it came from, after redirects.
    """

    status: int
    body: bytes
    kind: str = ""
    path: str = "/"

    def json(self) -> Any:  # noqa: ANN401
        """The body as JSON, or None where it is not."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def ask(
    host: str,
    port: int,
    path: str = "/",
    *,
    post: object = None,
    seconds: float = 5.0,
    text: bool = False,
    head: bool = False,
    accept: str = "*/*",
) -> Reply | None:
    """Request `path`; redirects are followed within the same address.

    Args:
        host: Numeric address or name.
        port: Port.
        path: Path with query.
        post: Sent as JSON by POST; default: a GET.
        seconds: Limit for connecting and for each read, in seconds.
        text: Whether a body that is not JSON is read, too: `TEXT_BYTES` at most, and what comes within `seconds`.
        head: Whether it is a HEAD.
        accept: The header that says which media types are wanted.

    Returns:
        The reply, or None where there was none in time or it was not HTTP.
    """
    for _ in range(_REDIRECTS):
        headers = {"User-Agent": "spacerun", "Accept": accept}
        content = None
        if post is not None:
            content, headers["Content-Type"] = json.dumps(post), "application/json"
        try:
            connection = _connected(host, port, seconds)
        except OSError:
            return None
        try:
            connection.request("HEAD" if head else "GET" if post is None else "POST", path, content, headers)
            response = connection.getresponse()
            target = response.getheader("Location")
            kind = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
            # Unless asked for, only JSON is looked into; a page may be an endless stream.
            body = response.read(_BODY_BYTES) if "json" in kind else _beginning(response, seconds) if text else b""
            reply = Reply(response.status, body, kind, path)
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()
        moved = _moved(host, port, path, target) if 300 <= reply.status < 400 and target else None  # noqa: PLR2004
        if moved is None:
            return reply
        path = moved
    return reply


def _beginning(response: http.client.HTTPResponse, seconds: float) -> bytes:
    """The first `TEXT_BYTES` of a body, or what of it comes within `seconds`."""
    until = time.monotonic() + seconds
    body = b""
    with suppress(TimeoutError):
        while len(body) < TEXT_BYTES and time.monotonic() < until and (chunk := response.read1(_CHUNK_BYTES)):
            body += chunk
    return body[:TEXT_BYTES]


def _moved(host: str, port: int, path: str, target: str) -> str | None:
    """The path that a redirect leads to, or None where it leads elsewhere."""
    try:
        moved = urlsplit(urljoin(f"{url_of(host, port)}{path}", target))
        if moved.hostname not in {host, "localhost", "127.0.0.1"} or (moved.port or 80) != port:
            return None
    except ValueError:  # no URL
        return None
    return f"{moved.path or '/'}{'?' + moved.query if moved.query else ''}"


def _connected(host: str, port: int, seconds: float) -> http.client.HTTPConnection:
    """A connection from `ASKER`; where a port leads on to a container, an answer may find back to 127.0.0.1 only.

    So it is with podman as root on CNI: its plug-in masquerades that one source (containernetworking/plugins,
    `portmap`, `-s 127.0.0.1/32 … SETMARK`).
    """
    if host == "127.0.0.1" and port not in _plain and _has_asker():
        connection = http.client.HTTPConnection(host, port, timeout=seconds, source_address=(ASKER, 0))
        try:
            connection.connect()
        except ConnectionRefusedError:
            raise
        except OSError:
            _plain.add(port)
        else:
            return connection
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    connection.connect()
    return connection


def url_of(host: str, port: int) -> str:
    """The URL of `host` and `port`."""
    return f"http://{_bracketed(host)}:{port}"


@lru_cache(maxsize=1)
def _has_asker() -> bool:
    """Whether connections from `ASKER` work: to Linux all of 127.0.0.0/8 is this machine, to a sandbox maybe not."""
    if sys.platform != "linux":
        return False
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = ("127.0.0.1", server.getsockname()[1])
            socket.create_connection(address, timeout=1.0, source_address=(ASKER, 0)).close()
    except OSError:
        return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
