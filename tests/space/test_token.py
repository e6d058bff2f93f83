"""The user's token: sent to the Hub, and found nowhere else."""

from __future__ import annotations

import base64
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spacerun.errors import NotFoundError
from tests.hub import Cut, Gitlink
from tests.space.conftest import FILES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hub import Hub
    from tests.space.conftest import Machine, Tools

TOKEN = "hf_theOwnersVeryOwnToken"  # not a real one
FORMS = (TOKEN.encode(), base64.b64encode(f"hf_user:{TOKEN}".encode()))
WEIGHTS = bytes(range(256)) * 4096


@pytest.fixture
def private(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> str:
    sub = hub.publish("owner/sub", {"sub.txt": "sub"}, private=True)
    modules = f'[submodule "sub"]\n\tpath = sub\n\turl = {hub.url("owner/sub")}\n'
    commit = hub.publish(
        "owner/secret", {**FILES, "a.bin": WEIGHTS, "sub": Gitlink(sub), ".gitmodules": modules}, private=True
    )
    hub.add_token(TOKEN, "owner")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return commit


@contextmanager
def watched_command_lines() -> Iterator[set[bytes]]:
    """The command line of every process that lives, however short, as long as the block runs."""
    seen: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    try:
                        seen.add((entry / "cmdline").read_bytes())
                    except OSError:
                        continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def holding_token(folder: Path) -> list[str]:
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and any(form in path.read_bytes() for form in FORMS)
    ]


@pytest.mark.parametrize("way", ["tools", "without_git_lfs"])
def test_a_private_space_with_its_token(
    hub: Hub, machine: Machine, private: str, way: str, request: pytest.FixtureRequest
) -> None:
    from spacerun.space.submodules import fill_submodules

    tools: Tools = request.getfixturevalue(way)
    hub.faults.add(Cut(0.5), host="localhost", times=1)
    with watched_command_lines() as seen:
        checkout = machine.get("owner/secret", token=TOKEN)
        fill_submodules(checkout, url=hub.url("owner/secret"), token=TOKEN, progress=machine.progress)
    assert checkout.commit == private
    assert (checkout.directory / "a.bin").read_bytes() == WEIGHTS
    assert (checkout.directory / "sub/sub.txt").read_text() == "sub"

    # In no command line: neither of those the scripts noted, nor of those that /proc showed.
    assert any(call.startswith("git fetch") for call in tools.calls)
    assert any(b"fetch" in line for line in seen) or len(seen) > 10
    lines = [call.encode() for call in tools.calls] + sorted(seen)
    assert [line for line in lines if any(form in line for form in FORMS)] == []
    # In no file: not in the clone's configuration, not in what is remembered.
    assert (machine.home / "spaces/owner--secret/repository.git/config").is_file()
    assert holding_token(machine.home.parent) == []
    # Sent to the Hub with every request for content, and never to the host that objects come from.
    cdn = [exchange for exchange in hub.requests if exchange.kind == "cdn"]
    assert len(cdn) >= 2
    assert not any(exchange.has_authorization for exchange in cdn)
    content = [exchange for exchange in hub.requests if exchange.kind in {"git", "lfs", "file"}]
    assert content
    assert all(exchange.has_authorization for exchange in content)


def test_no_token_without_being_asked(hub: Hub, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user has stored for git is not used for a stranger's repository."""
    hub.publish("owner/secret", FILES, private=True)
    hub.add_token(TOKEN, "owner")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    found = machine.find("owner/secret")
    home = Path(os.environ["HOME"])
    (home / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    (home / ".git-credentials").write_text(hub.endpoint.replace("//", f"//hf_user:{TOKEN}@") + "\n")
    (home / ".netrc").write_text(f"machine 127.0.0.1 login hf_user password wrong{TOKEN}\n")
    from spacerun.space.fetch import fetch

    with pytest.raises(NotFoundError, match="may not be read"):
        fetch(found, machine.home / "repository.git", token=None, progress=machine.progress)


@pytest.mark.parametrize("token", [None, "hf_someStrangersOwnToken", "hf_expiredexpiredexpired"])
def test_a_private_space_without_the_right_token(
    hub: Hub, machine: Machine, private: str, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_token("hf_someStrangersOwnToken", "stranger")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    else:
        monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(NotFoundError) as raised:
        machine.check_out("owner/secret", token=token)
    expected = {
        None: "Space owner/secret is missing or private (without a token the two look alike).",
        "hf_someStrangersOwnToken": "Space owner/secret is missing or private, and your token may not read it.",
        "hf_expiredexpiredexpired": "The Hub does not accept your token.",
    }
    assert raised.value.message == expected[token]
    assert not (machine.home / "spaces").exists()
