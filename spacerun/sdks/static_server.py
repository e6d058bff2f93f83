"""Serves the files of a static Space. Run as a script of its own, by the standard library alone.

    python -I -S static_server.py HOST PORT ROOT ENTRY [--header NAME:VALUE]… [--variable NAME]…

`/` is the entry file, and a path is looked for in its folder, then from the root of the Space: a page in `dist/` may
name its assets from either. What the Space holds is served, and nothing outside of it, by whatever path or link; of
hidden files only `.well-known`, for a folder of the user's own may keep secrets in the others.

A browser that opens a path of no file gets the page, which may know it as a route of its own. Whether Hugging Face does
so is not documented.
"""

from __future__ import annotations

import argparse
import json
import mimetypes
import os
import re
import stat
import sys
import urllib.parse
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_IDLE_SECONDS: Final = 60.0
_LARGEST_PAGE: Final = 16 * 2**20  # a larger one is sent as it is
_CHUNK: Final = 1 << 18
_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")
# Where a script may stand before all others: the first two tags may be left out (HTML, "Optional tags").
_BEGINNINGS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (rb"<head(?:\s[^>]*)?>", rb"<html(?:\s[^>]*)?>", rb"^\s*<!doctype[^>]*>")
)
_HTML: Final = "text/html"

# Of what Python's own table lacks, or has otherwise on some systems (IANA's registry of media types).
_TYPES: Final = {
    ".js": "text/javascript", ".mjs": "text/javascript", ".cjs": "text/javascript", ".json": "application/json",
    ".map": "application/json", ".wasm": "application/wasm", ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml", ".avif": "image/avif", ".webp": "image/webp", ".jxl": "image/jxl", ".ico": "image/x-icon",
    ".md": "text/markdown", ".csv": "text/csv", ".xml": "text/xml", ".yaml": "application/yaml",
    ".woff": "font/woff", ".woff2": "font/woff2", ".ttf": "font/ttf", ".otf": "font/otf",
    ".mp4": "video/mp4", ".webm": "video/webm", ".mp3": "audio/mpeg", ".wav": "audio/wav", ".ogg": "audio/ogg",
    ".m4a": "audio/mp4", ".flac": "audio/flac", ".glb": "model/gltf-binary", ".gltf": "model/gltf+json",
    ".gz": "application/gzip", ".zip": "application/zip", ".pdf": "application/pdf",
}  # fmt: skip


@dataclass(frozen=True)
class Site:
    """What is served.

    Attributes:
        root: The Space's folder, without links.
        entry: Path of the page at `/` in it.
        headers: Added to every answer.
        variables: What a page finds as `window.huggingface.variables`.
    """

    root: Path
    entry: str
    headers: dict[str, str]
    variables: dict[str, str]

    def find(self, path: str) -> Path | None:
        """The file or folder at the path of a URL, `%`-decoded; None where there is none to be served."""
        parts = [part for part in path.split("/") if part not in {"", "."}]
        if not parts:
            return self._inside(self.root / self.entry)
        if "\0" in path or any(map(_is_hidden, parts)):
            return None
        folders = (self.root / self.entry).parent, self.root
        return next((found for folder in folders if (found := self._inside(folder.joinpath(*parts)))), None)

    def _inside(self, path: Path) -> Path | None:
        try:
            found = path.resolve(strict=True)
        except (OSError, RuntimeError):  # absent, a name that is too long, or a loop of links
            return None
        if not found.is_relative_to(self.root) or any(map(_is_hidden, found.relative_to(self.root).parts)):
            return None
        return found

    def with_variables(self, page: bytes) -> bytes:
        """A page with what Hugging Face puts into it (hub-docs, "Static HTML Spaces", Space variables)."""
        found = next(filter(None, (beginning.search(page) for beginning in _BEGINNINGS)), None)
        if not found:
            return page  # no whole page
        # `</script>` in a value would end the script.
        text = json.dumps({"variables": self.variables}).replace("<", "\\u003c")
        script = f"<script>window.huggingface={text};</script>".encode()
        return page[: found.end()] + script + page[found.end() :]


class Server(ThreadingHTTPServer):
    """Serves a `Site`."""

    daemon_threads = True

    def __init__(self, host: str, port: int, site: Site) -> None:
        self.address_family = socket_family(host)
        self.site = site
        super().__init__((host, port), _Handler)


def socket_family(host: str) -> int:
    """The family of sockets for a numeric address."""
    import socket

    return socket.AF_INET6 if ":" in host else socket.AF_INET


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "spacerun"
    sys_version = ""
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def end_headers(self) -> None:
        for name, value in self.server.site.headers.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in http.server
        print(ascii(format % args)[1:-1], file=sys.stderr, flush=True)

    def _answer(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(parts.path)
        found = self.server.site.find(path)
        if found and found.is_dir():
            page = self.server.site.find(f"{path}/index.html")
            if page and not path.endswith("/"):
                # Two slashes at its beginning would lead to another host.
                self._redirect(f"/{parts.path.strip('/')}/{'?' + parts.query if parts.query else ''}")
                return
            found = page
        if found is None and self._is_route(path):
            found = self.server.site.find("/")
        try:
            stream = _opened(found) if found else None
        except OSError:
            stream = None
        if stream is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with stream:
            self._send(stream, found.suffix.lower() if found else "")

    def _is_route(self, path: str) -> bool:
        """Whether a browser opens a page that the app may know by its own router, and no file."""
        accepts = self.headers.get("Accept", "")
        return _HTML in accepts and "." not in path and "\0" not in path

    def _redirect(self, path: str) -> None:
        self.send_response(HTTPStatus.MOVED_PERMANENTLY)
        self.send_header("Location", path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, stream: BinaryIO, suffix: str) -> None:
        status = os.fstat(stream.fileno())
        kind = type_of(suffix)
        page = None
        if kind == _HTML and status.st_size <= _LARGEST_PAGE:
            page = self.server.site.with_variables(stream.read())
        size = status.st_size if page is None else len(page)
        tag = f'"{status.st_mtime_ns:x}-{size:x}"'
        first, last = 0, size - 1
        if self.headers.get("If-None-Match") == tag:
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self._describe(tag, status.st_mtime)
            self.end_headers()
            return
        part = self._range(size, tag) if page is None else None
        if part == (0, -1):
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK)
        if part:
            first, last = part
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        text = kind.startswith("text/") or kind in {"application/json", "image/svg+xml"}
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if text else kind)
        self.send_header("Content-Length", str(last - first + 1))
        if page is None:
            self.send_header("Accept-Ranges", "bytes")
        self._describe(tag, status.st_mtime)
        self.end_headers()
        if self.command == "GET":
            if page is None:
                for chunk in _chunks(stream, first, last - first + 1):
                    self.wfile.write(chunk)
            else:
                self.wfile.write(page)

    def _describe(self, tag: str, changed: float) -> None:
        self.send_header("ETag", tag)
        self.send_header("Last-Modified", formatdate(changed, usegmt=True))
        self.send_header("Cache-Control", "no-cache")  # its author may be at work on it

    def _range(self, size: int, tag: str) -> tuple[int, int] | None:
        """First and last byte asked for; (0, -1) where there are none such, None for all (RFC 9110, section 14)."""
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if not match or not any(match.groups()) or self.headers.get("If-Range", tag) != tag:
            return None
        if not match[1]:
            length = min(int(match[2]), size)
            return (size - length, size - 1) if length else (0, -1)
        first, last = int(match[1]), int(match[2] or size)
        if match[2] and last < first:
            return None
        return (first, min(last, size - 1)) if first < size else (0, -1)


def type_of(suffix: str) -> str:
    """The media type of a file name's suffix, in lower case with its dot."""
    return _TYPES.get(suffix) or mimetypes.types_map.get(suffix) or "application/octet-stream"


def _is_hidden(part: str) -> bool:
    return part.startswith(".") and part != ".well-known"


def _opened(path: Path) -> BinaryIO | None:
    """A regular file, open to be read; None for anything else."""
    stream = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: PTH123, SIM115
    if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        return stream
    stream.close()
    return None


def _chunks(stream: BinaryIO, first: int, length: int) -> Iterator[bytes]:
    stream.seek(first)
    while length > 0 and (chunk := stream.read(min(_CHUNK, length))):
        length -= len(chunk)
        yield chunk


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("root", type=Path)
    parser.add_argument("entry")
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--variable", action="append", default=[])
    given = parser.parse_args()
    headers = {name: value for name, _, value in (text.partition(":") for text in given.header)}
    variables = {name: os.environ[name] for name in given.variable if name in os.environ}
    site = Site(given.root.resolve(), given.entry, headers, variables)
    with Server(given.host, given.port, site) as server:
        print(f"Serving {given.root} on port {given.port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
