"""PyTorch's index on 127.0.0.1: folders of builds, pages of links, stub wheels. It tells no upload dates."""

from __future__ import annotations

import hashlib
import io
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

from spacerun.environment.torch_table import RELEASES


def stub_wheel(name: str, version: str, requires: tuple[str, ...] = ()) -> bytes:
    info = f"{name}-{version}.dist-info"
    content = {
        f"{name}/__init__.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {item}\n" for item in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
    }
    content[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in content) + f"{info}/RECORD,,\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in content.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return packed.getvalue()


class TorchServer:
    """Has every build of every release in the table, for the Python that runs the tests and for 3.10."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.folders: dict[str, dict[str, bytes]] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                body = server.answer(unquote(self.path).strip("/").split("/"))
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body or b"")

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}/whl"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        for release in RELEASES:
            for build in ("cpu", *release.builds):
                for minor in {10, sys.version_info.minor}:
                    if release.pythons[0] <= minor <= release.pythons[1]:
                        self.add(build, "torch", release.version, minor)
                        self.add(build, "torchvision", release.vision, minor, (f"torch=={release.version}",))
                        if release.audio:
                            self.add(build, "torchaudio", release.audio, minor, (f"torch=={release.version}",))

    def add(self, build: str, name: str, version: str, minor: int, requires: tuple[str, ...] = ()) -> None:
        file = f"{name}-{version}+{build}-cp3{minor}-cp3{minor}-linux_x86_64.whl"
        self.folders.setdefault(f"{build}/{name}", {})[file] = stub_wheel(name, f"{version}+{build}", requires)

    def answer(self, path: list[str]) -> bytes | None:
        if path[0] != "whl":
            return None
        if len(path) == 3 and "/".join(path[1:]) in self.folders:
            files = self.folders["/".join(path[1:])]
            links = (f'<a href="{quote(name)}#sha256={sha256(body)}">{name}</a>' for name, body in files.items())
            return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()
        if len(path) == 4:
            return self.folders.get("/".join(path[1:3]), {}).get(path[3])
        return None

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
