"""A package index of tiny wheels, and a plan made in one line."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from spacerun.environment.plan import EnvironmentPlan, make_plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# What the builder of today brings beside a Space's own requirements.
BUILDER = {"huggingface-hub": "1.0", "requests": "2.32", "protobuf": "3.20.3", "click": "8.0.4"} | {
    "websockets": "15.0",
    "fastapi": "0.112.0",
    "spaces": "0.50",
}


class Index:
    """A package index on 127.0.0.1 as PyPI answers (PEP 691, 700 and 714), which remembers what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.metadata: dict[str, bytes] = {}
        self.uploaded: dict[str, str] = {}
        self.requires_python: dict[str, str] = {}
        self.asked: list[str] = []
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                index.asked.append(self.path)
                status, kind, body = index.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self.base}/simple"

    def wheel(
        self,
        name: str,
        version: str,
        *,
        requires: tuple[str, ...] = (),
        day: str = "2024-01-01",
        module: str | None = None,
        source: str = "",
    ) -> None:
        """Publish a wheel with one module, of the package's name unless `module` says otherwise."""
        stem = name.replace("-", "_")
        info = f"{stem}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        metadata += "".join(f"Requires-Dist: {item}\n" for item in requires)
        content = {
            f"{module or stem}.py": f"__version__ = {version!r}\n{source}",
            f"{info}/METADATA": metadata,
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = "".join(f"{path},,\n" for path in content) + f"{info}/RECORD,,\n"
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for path, text in {**content, f"{info}/RECORD": record}.items():
                archive.writestr(path, text)
        file = f"{stem}-{version}-py3-none-any.whl"
        self.metadata[file] = metadata.encode()
        self._publish(file, packed.getvalue(), day)

    def source_only(self, name: str, version: str, *, day: str = "2024-01-01") -> None:
        """Publish a source distribution and no wheel; what is in it never matters."""
        self._publish(f"{name}-{version}.tar.gz", b"not even an archive", day)

    def source(self, name: str, version: str, files: dict[str, str], *, day: str = "2024-01-01") -> None:
        """Publish a source distribution of `files`."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            info = {"PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"}
            for path, text in (info | files).items():
                member = tarfile.TarInfo(f"{name}-{version}/{path}")
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
        self._publish(f"{name}-{version}.tar.gz", packed.getvalue(), day)

    def answer(self, path: str) -> tuple[int, str, bytes]:
        parts = path.strip("/").split("/")
        if parts[0] == "files" and parts[-1] in self.files:
            return 200, "application/octet-stream", self.files[parts[-1]]
        if parts[0] == "files" and (metadata := self.metadata.get(parts[-1].removesuffix(".metadata"))):
            return 200, "text/plain", metadata
        name = parts[-1]
        found = [file for file in self.files if file.split("-")[0].replace("_", "-") == name]
        if parts[0] != "simple" or not found:
            return 404, "text/plain", b"absent"
        listing = {"meta": {"api-version": "1.1"}, "name": name, "files": [self._entry(file) for file in found]}
        return 200, "application/vnd.pypi.simple.v1+json", json.dumps(listing).encode()

    def _entry(self, file: str) -> dict[str, Any]:
        return {
            "filename": file,
            "url": f"{self.base}/files/{file}",
            "hashes": {"sha256": hashlib.sha256(self.files[file]).hexdigest()},
            "core-metadata": file in self.metadata,
            "size": len(self.files[file]),
            **({"requires-python": self.requires_python[file]} if file in self.requires_python else {}),
            "upload-time": f"{self.uploaded[file]}T00:00:00Z",
        }

    def _publish(self, file: str, content: bytes, day: str) -> None:
        self.files[file] = content
        self.uploaded[file] = day


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("UV_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SPACERUN_HOME", str(tmp_path / "home"))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index with stubs of what every Gradio environment holds; uv uses it and a cache of its own."""
    served = Index()
    served.wheel("pip", "26.0")
    served.wheel("setuptools", "80.0.0")
    served.wheel("setuptools", "82.0.0")
    served.wheel("uvicorn", "0.30.0")
    for name, version in BUILDER.items():
        served.wheel(name, version)
    for version in ("3.50.2", "4.44.0", "5.0.0"):
        served.wheel("gradio", version, requires=("uvicorn>=0.14.0",))
    monkeypatch.setenv("UV_DEFAULT_INDEX", served.url)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    yield served
    served.server.shutdown()
    served.server.server_close()


@pytest.fixture
def space(tmp_path: Path) -> Path:
    """An empty folder of a Space."""
    folder = tmp_path / "space"
    folder.mkdir()
    return folder


def plan_for(folder: Path, requirements: str | None = None, **changes: Any) -> EnvironmentPlan:
    """The plan of the Gradio Space in `folder`, for the Python that runs the tests unless `changes` say otherwise."""
    if requirements is not None:
        (folder / "requirements.txt").write_text(requirements)
    chosen: dict[str, Any] = {
        "sdk": "gradio",
        "sdk_version": "4.44.0",
        "python_version": f"3.{sys.version_info.minor}",
    }
    return make_plan(folder, **(chosen | changes))


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
