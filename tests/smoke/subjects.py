"""Apps to be checked: whatever listens on this machine, described as the smoke test describes it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacerun.smoke.subject import Subject
from spacerun.space.card import SpaceCard

if TYPE_CHECKING:
    from collections.abc import Iterator

Page = tuple[int, str, bytes]


def subject(url: str = "http://127.0.0.1:1", sdk: str = "docker", **changes: Any) -> Subject:
    """An app at `url`; what a card says goes to its card."""
    fields = {"app_file", "build_command"}
    said = {name: changes.pop(name) for name in fields & changes.keys()}
    card: dict[str, Any] = {
        "sdk": sdk, "sdk_version": None, "python_version": None, "app_file": "", "title": None, "models": (),
        "preloads": (), "suggested_hardware": None, "oauth": False, "startup_seconds": 60.0, "warnings": (),
    }  # fmt: skip
    folder = changes.get("directory", Path("/nonexistent"))
    given: dict[str, Any] = {
        "directory": folder, "python": None, "variables": {}, "log": folder / "app.log", "log_start": 0,
        "artefacts": folder, "call_seconds": 10.0, "alive": lambda: True,
    }  # fmt: skip
    return Subject(url=url, sdk=sdk, card=SpaceCard(**(card | said)), **(given | changes))


@contextmanager
def serving(pages: dict[str, Page]) -> Iterator[str]:
    """A server of `pages`, each with its status, its media type and its body; the URL of it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answer()

        def answer(self) -> None:
            status, kind, body = pages.get(self.path, (404, "text/plain", b"nothing here"))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield url


@contextmanager
def listening(server: ThreadingHTTPServer) -> Iterator[str]:
    """The URL of a server, which is closed at the end of the block."""
    server.daemon_threads = True
    with server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
