"""What is kept on disk is listed with its size, and given back without losing a user's edit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.command import Command

if TYPE_CHECKING:
    from tests.hub import Hub

FRONT = b"---\nsdk: gradio\nsdk_version: 6.31.0\n---\n"
SERVE = b"""\
import http.server, os
address = ("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"]))
http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""

pytestmark = pytest.mark.environment


@pytest.fixture
def own(tmp_path: Path, hub: Hub) -> Command:
    """The console script with a home that no other test uses."""
    return Command(tmp_path / "own" / "home", {"HF_ENDPOINT": hub.endpoint})


def items(command: Command, kind: str) -> list[dict[str, object]]:
    return [item for item in command.run("list", "--json").document["data"]["items"] if item["kind"] == kind]


def test_list_remove_and_prune_give_the_disk_back(hub: Hub, own: Command) -> None:
    own.home.mkdir(parents=True)
    hub.publish("owner/kept", {"README.md": FRONT, "app.py": SERVE, "big.bin": os.urandom(3_000_000)})
    with own.launch("owner/kept", "--no-share") as launched:
        tree = Path(launched.data["directory"])
        (listed,) = items(own, "tree")
        assert (listed["name"], listed["in_use"]) == (f"owner/kept@{launched.data['revision']}", True)
        assert listed["size_bytes"] >= 3_000_000
        assert [item["in_use"] for item in items(own, "environment")] == [True]
        # What a running app uses is not taken away.
        assert own.run("remove", "owner/kept", "--json").error["name"] == "refused"
        assert own.run("prune", "--all").code == 0
        assert tree.is_dir()
        assert Path(launched.data["environment"]).is_dir()
    (tree / "mine.txt").write_text("mine")
    refused = own.run("remove", "owner/kept", "--json")
    assert (refused.code, refused.error["name"]) == (4, "refused")
    assert "mine.txt" in refused.error["message"]
    assert own.run("prune", "--all").code == 0
    assert (tree / "mine.txt").read_text() == "mine"
    (tree / "mine.txt").unlink()
    removed = own.run("remove", "owner/kept", "--json").document["data"]
    # The tree's copy, and the object that only this Space used.
    assert removed["freed_bytes"] >= 6_000_000
    assert not tree.exists()
    assert items(own, "tree") == []
    assert items(own, "environment") == []
    again = own.run("remove", "owner/kept", "--json")
    assert (again.code, again.error["name"]) == (3, "not_found")


def test_remove_keeps_objects_that_another_space_needs(hub: Hub, own: Command) -> None:
    large = os.urandom(500_000)
    for name in ("owner/first", "owner/second"):
        hub.publish(name, {"README.md": FRONT, "app.py": SERVE, "big.bin": large})
        own.home.mkdir(parents=True, exist_ok=True)
        with own.launch(name, "--no-share"):
            pass
    assert own.run("remove", "owner/first").code == 0
    hub.clear_requests()
    hub.publish("owner/second", {"more.txt": b"more"})
    with own.launch("owner/second", "--no-share") as launched:
        assert (Path(launched.data["directory"]) / "big.bin").read_bytes() == large
    assert hub.bytes_sent("cdn") == 0


def test_remove_by_a_hostile_name_removes_nothing(own: Command, tmp_path: Path) -> None:
    victim = tmp_path / "own" / "victim"
    victim.mkdir(parents=True)
    for name in ("../victim", "owner/..", "../../own/victim", "-rf/x"):
        assert own.run("remove", "--json", "--", name).code in {2, 3}
    assert victim.is_dir()
