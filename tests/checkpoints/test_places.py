"""Parts of files on the Hub and on this disk: no byte more than was asked for, and every failure told."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from spacerun.checkpoints import places
from spacerun.checkpoints.places import OnDisk, OnHub
from spacerun.checkpoints.unreadable import AbsentError, ClosedError, UnreadableError
from tests.hub import Bandwidth, Cut, Html, Latency, Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.hub import Hub

REPO = "owner/model"
LARGE = "model.safetensors"  # with git-lfs, so on the CDN
SMALL = "config.json"
CONTENT = bytes(range(256)) * 40
TOKEN = "hf_reader00000000"


@pytest.fixture(autouse=True)
def _on_the_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HOME", str(hub.root / "hf-home"))


@pytest.fixture
def published(hub: Hub) -> OnHub:
    return OnHub(REPO, hub.publish(REPO, {LARGE: CONTENT, SMALL: CONTENT, "empty.bin": b""}, kind="model"))


@pytest.mark.parametrize("file", [LARGE, SMALL])
@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (0, 8), (100, 200), (0, 20_000), (10_000, 20_000), (10_239, 10_240), (5, 5), (7, 3)]
)
def test_a_part_is_read(hub: Hub, published: OnHub, file: str, start: int, stop: int) -> None:
    hub.clear_requests()
    assert published.read(file, start, stop) == CONTENT[start:stop]
    assert sum(e.bytes_sent for e in hub.requests if e.status == 206) == len(CONTENT[start:stop])


@pytest.mark.parametrize("file", [LARGE, SMALL, "empty.bin"])
def test_behind_the_end_there_is_nothing(published: OnHub, file: str) -> None:
    assert published.read(file, 20_000, 30_000) == b""


def test_the_token_goes_to_the_hub_and_not_to_its_cdn(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_token(TOKEN, "reader")
    commit = hub.publish(REPO, {LARGE: CONTENT}, kind="model", gated=True, readers=["reader"])
    with pytest.raises(ClosedError, match=r"^Model owner/model is gated: "):
        OnHub(REPO, commit).read(LARGE, 0, 8)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.clear_requests()
    assert OnHub(REPO, commit).read(LARGE, 3, 8) == CONTENT[3:8]
    asked = [e for e in hub.requests if "agent-harnesses" not in e.path]
    assert [(e.kind, e.has_authorization, e.status) for e in asked] == [("file", True, 302), ("cdn", False, 206)]


def test_a_revision_a_renamed_model_and_a_space_are_read(hub: Hub) -> None:
    first = hub.publish("owner/old", {LARGE: b"first"}, kind="model")
    hub.publish("owner/old", {LARGE: b"second"}, kind="model")
    hub.rename("owner/old", "owner/new", kind="model")
    commit = hub.publish("owner/app", {"weights/a b#1.pt": b"of the Space"})
    assert OnHub("owner/old", first).read(LARGE, 0, 100) == b"first"
    assert OnHub("owner/new", None).read(LARGE, 0, 100) == b"second"
    assert OnHub("owner/app", commit, "space").read("weights/a b#1.pt", 7, 100) == b"Space"[-5:]


def test_what_is_not_there_is_told(hub: Hub, published: OnHub) -> None:
    with pytest.raises(AbsentError):
        published.read("none.safetensors", 0, 8)
    for place in (OnHub("owner/none", None), OnHub(REPO, "f" * 40), OnHub("no//name", None)):
        with pytest.raises(ClosedError, match=r"^[^\n]{10,250}$"):
            place.read(LARGE, 0, 8)


def test_only_a_commit_is_a_name_for_ever() -> None:
    assert OnHub(REPO, "a" * 40).name == f"model {REPO} {'a' * 40}"
    assert OnHub(REPO, "a" * 40, "space").name == f"space {REPO} {'a' * 40}"
    assert OnHub(REPO, "main").name is None
    assert OnHub(REPO, None).name is None


def test_offline_nothing_is_asked(hub: Hub, published: OnHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.clear_requests()
    with pytest.raises(ClosedError, match="nothing is asked"):
        OnHub(REPO, published.revision, offline=True).read(LARGE, 0, 8)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ClosedError, match="HF_HUB_OFFLINE"):
        published.read(LARGE, 0, 8)
    assert hub.requests == []


# -- a line that is bad ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Status(503, retry_after=0), Status(429, retry_after=0), Cut(0.5), Cut(0)])
def test_what_passes_is_asked_for_again(hub: Hub, published: OnHub, fault: Cut | Status) -> None:
    rule = hub.faults.add(fault, host="localhost" if isinstance(fault, Cut) else "*", path="/*mode*", times=1)
    if isinstance(fault, Cut):
        rule.path = "/repos/*"
    assert published.read(LARGE, 0, 5000) == CONTENT[:5000]
    assert rule.hits == 1


def test_a_hub_that_stays_broken_closes_the_place(hub: Hub, published: OnHub) -> None:
    hub.faults.add(Status(500, retry_after=0), path="/owner/*")
    with pytest.raises(ClosedError, match=r"^Asked for Model owner/model, the Hub at "):
        published.read(LARGE, 0, 8)


def test_a_page_in_place_of_a_part_is_no_part(hub: Hub, published: OnHub) -> None:
    hub.faults.add(Html(), path="/owner/*")
    with pytest.raises(UnreadableError, match="does not give parts"):
        published.read(LARGE, 100, 200)


def test_a_silent_hub_is_waited_for_once(hub: Hub, published: OnHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "TIMEOUT_SECONDS", 0.5)
    hub.faults.add(Latency(3), path="/owner/*")
    began = time.monotonic()
    with pytest.raises(ClosedError, match="cannot be reached"):
        published.read(LARGE, 0, 8)
    assert time.monotonic() - began < 2


def test_bytes_that_drip_are_not_waited_for_without_end(
    hub: Hub, published: OnHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "LONGEST_READ_SECONDS", 0.5)
    hub.faults.add(Bandwidth(2000), host="localhost")
    began = time.monotonic()
    with pytest.raises(UnreadableError, match="took more than"):
        published.read(LARGE, 0, 10_000)
    assert time.monotonic() - began < 4


def test_a_dead_hub_is_told(hub: Hub, published: OnHub) -> None:
    hub.go_offline()
    with pytest.raises(ClosedError, match="cannot be reached"):
        published.read(LARGE, 0, 8)


class Deaf:
    """A server that knows no `Range`: whatever is asked for, it sends 5 GB from the start."""

    def __init__(self) -> None:
        self.sent = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n")
            for _ in range(5000):
                connection.sendall(CONTENT * 100)
                self.sent += len(CONTENT) * 100

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deaf]:
    server = Deaf()
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
    yield server
    server.close()


def test_a_server_that_knows_no_ranges_is_not_read_through(deaf: Deaf) -> None:
    assert OnHub(REPO, None).read(LARGE, 0, 300) == CONTENT[:300]
    with pytest.raises(UnreadableError, match="does not give parts"):
        OnHub(REPO, None).read(LARGE, 300, 400)
    time.sleep(0.2)
    assert deaf.sent < 50_000_000  # what the system buffers


# -- on this disk ------------------------------------------------------------------------------------------------------


def test_a_file_on_disk_is_read(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.bin").write_bytes(CONTENT)
    (tmp_path / "link.bin").symlink_to("sub/a.bin")
    place = OnDisk(tmp_path)
    assert place.read("sub/a.bin", 5, 9) == place.read("link.bin", 5, 9) == CONTENT[5:9]
    assert place.read("sub/a.bin", 10_000, 20_000) == CONTENT[10_000:]
    assert place.read("sub/a.bin", 20_000, 30_000) == place.read("sub/a.bin", 9, 5) == b""
    with pytest.raises(AbsentError):
        place.read("none.bin", 0, 8)


@pytest.mark.parametrize("file", ["../secret", "/etc/hostname", "out", "loop", "pipe", "sub", "a\0b", "x" * 5000])
def test_what_is_no_file_of_the_folder_is_told_at_once(tmp_path: Path, file: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "out").symlink_to("../secret")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    with pytest.raises(UnreadableError):
        OnDisk(folder).read(file, 0, 8)
