"""What the server of static Spaces answers."""

from __future__ import annotations

import http.client
import threading
from typing import TYPE_CHECKING

import pytest

from spacerun.sdks.static_server import Server, Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = b"<!doctype html><html><head lang=en><title>Hi</title></head><body>Hi</body></html>"


class Client:
    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def status(self, path: str, **headers: str) -> int:
        return self.ask(path, **headers)[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "space"
    for name, content in {
        "README.md": b"# A Space\n",
        "dist/index.html": PAGE,
        "dist/assets/main.mjs": b"export default 1",
        "dist/fragment.html": b"<p>part</p>",
        "pictures/cat.avif": b"0123456789",
        "sub/index.html": b"<html>sub</html>",
        ".git/config": b"[core]\n",
        ".env": b"KEY=secret\n",
        ".well-known/x.txt": b"known",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (tmp_path / "outside.txt").write_text("outside")
    (root / "out.txt").symlink_to(tmp_path / "outside.txt")
    (root / "up").symlink_to(tmp_path)
    (root / "in.txt").symlink_to("README.md")
    (root / "repository").symlink_to(".git")
    (root / "loop").symlink_to("loop")
    return root


@pytest.fixture
def client(folder: Path) -> Iterator[Client]:
    headers = {"cross-origin-opener-policy": "same-origin"}
    site = Site(folder.resolve(), "dist/index.html", headers, {"GREETING": "</script><b>"})
    with Server("127.0.0.1", 0, site) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Client(server.server_address[1])
        server.shutdown()


def test_the_page_is_the_entry_file_and_holds_the_variables(client: Client) -> None:
    status, headers, body = client.ask("/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    script = rb'<script>window.huggingface={"variables": {"GREETING": "\u003c/script>\u003cb>"}};</script>'
    assert body == PAGE.replace(b"<head lang=en>", b"<head lang=en>" + script)
    assert client.ask("/dist/index.html")[2] == body
    assert client.ask("/fragment.html")[2] == b"<p>part</p>"  # no page of its own


@pytest.mark.parametrize("start", [b"<!doctype html>", b"<HTML lang=en>", b"<!DOCTYPE html>\n<html>", b"<html><head>"])
def test_a_page_without_a_head_holds_the_variables_too(tmp_path: Path, start: bytes) -> None:
    page = Site(tmp_path, "index.html", {}, {"A": "1"}).with_variables(start + b"<p>text")
    assert page == start + b'<script>window.huggingface={"variables": {"A": "1"}};</script><p>text'


def test_assets_are_found_beside_the_page_and_from_the_root(client: Client) -> None:
    assert client.ask("/assets/main.mjs")[2] == client.ask("/dist/assets/main.mjs")[2] == b"export default 1"
    assert client.ask("/pictures/cat.avif")[2] == b"0123456789"
    assert client.ask("/README.md")[1]["content-type"] == "text/markdown; charset=utf-8"
    assert client.ask("/sub")[1]["location"] == "/sub/"
    assert client.ask("/sub/")[2].endswith(b"</script>sub</html>")


@pytest.mark.parametrize("path", [
    "/../outside.txt", "/%2e%2e/outside.txt", "/..%2foutside.txt", "/assets/../../../outside.txt", "//etc/passwd",
    "/out.txt", "/up/outside.txt", "/up/", "/loop", "/.git/config", "/.env", "/%2eenv", "/dist/../.env",
    "/repository/config", "/a%00b", "/" + "x" * 5000, "/pictures/", "/pictures", "/assets/main.mjs/x",
])  # fmt: skip
def test_nothing_outside_nothing_hidden_and_no_listing(client: Client, path: str) -> None:
    status, _, body = client.ask(path)
    assert status == 404
    assert b"outside" not in body


def test_what_a_link_within_the_space_and_well_known_names_lead_to_is_served(client: Client) -> None:
    assert client.ask("/in.txt")[2] == b"# A Space\n"
    assert client.ask("/.well-known/x.txt")[2] == b"known"


@pytest.mark.parametrize(("name", "expected"), [
    ("a.js", "text/javascript; charset=utf-8"), ("a.mjs", "text/javascript; charset=utf-8"),
    ("a.wasm", "application/wasm"), ("a.json", "application/json; charset=utf-8"),
    ("a.webmanifest", "application/manifest+json"), ("a.svg", "image/svg+xml; charset=utf-8"),
    ("a.avif", "image/avif"), ("a.woff2", "font/woff2"), ("a.css", "text/css; charset=utf-8"),
    ("a.PNG", "image/png"), ("a.onnx", "application/octet-stream"), ("a", "application/octet-stream"),
    ("a.glb", "model/gltf-binary"), ("a.txt", "text/plain; charset=utf-8"),
])  # fmt: skip
def test_media_types(client: Client, folder: Path, name: str, expected: str) -> None:
    (folder / name).write_bytes(b"x")
    assert client.ask(f"/{name}")[1]["content-type"] == expected


def test_the_headers_of_the_card_stand_in_every_answer(client: Client) -> None:
    for path in ("/", "/assets/main.mjs", "/nowhere.js", "/sub"):
        assert client.ask(path)[1]["cross-origin-opener-policy"] == "same-origin"


def test_a_route_of_a_single_page_app_is_its_page(client: Client) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert client.ask("/settings/profile", **browser)[2] == client.ask("/")[2]
    assert client.status("/settings/profile") == 404  # a program asks
    assert client.status("/missing.js", **browser) == 404
    assert client.status("/.env", **browser) == 404


def test_parts_and_unchanged_files(client: Client) -> None:
    cat = "/pictures/cat.avif"
    status, headers, body = client.ask(cat, Range="bytes=2-4")
    assert (status, headers["content-range"], body) == (206, "bytes 2-4/10", b"234")
    assert client.ask(cat, Range="bytes=-3")[2] == b"789"
    assert client.ask(cat, Range="bytes=8-99")[2] == b"89"
    assert client.status(cat, Range="bytes=10-") == 416
    assert client.ask(cat, Range="bytes=5-2")[0] == 200  # makes no sense, so it does not count (RFC 9110)
    assert client.ask(cat, Range="bytes=0-1", If_Range='"other"')[2] == b"0123456789"
    tag = client.ask(cat)[1]["etag"]
    assert client.ask(cat, If_None_Match=tag)[::2] == (304, b"")
    status, headers, body = client.ask(cat, "HEAD")
    assert (status, headers["content-length"], body) == (200, "10", b"")
    assert client.ask(cat, "POST")[0] == 501


def test_a_pipe_is_not_waited_for(client: Client, folder: Path) -> None:
    import os

    os.mkfifo(folder / "pipe")
    assert client.status("/pipe") == 404
