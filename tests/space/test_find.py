"""Find a Space on the loopback Hub: by every name, under every revision, renamed, and offline."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from spacerun.errors import ExitCode, FetchError, NotFoundError
from spacerun.space.reference import is_valid_name
from tests.hub import Html
from tests.space.conftest import FILES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub import Hub
    from tests.space.conftest import Machine


def asked(hub: Hub) -> list[str]:
    """Paths asked for; huggingface_hub also looks up, once a day, who calls it."""
    return [request.path for request in hub.requests if request.path != "/api/agent-harnesses"]


def test_one_request_tells_the_commit_and_the_large_files(hub: Hub, machine: Machine) -> None:
    commit = hub.publish("owner/hello", {**FILES, "a.bin": b"x" * 5000, "b.bin": b"y" * 3000})
    found = machine.find("owner/hello")
    assert (found.id, found.commit, found.revision, found.private) == ("owner/hello", commit, None, False)
    assert (found.files, found.lfs_bytes) == (len(FILES) + 3, 8000)  # and .gitattributes
    assert asked(hub) == ["/api/spaces/owner/hello"]
    assert machine.progress.notes == []


def test_every_name_of_the_same_space(hub: Hub, machine: Machine) -> None:
    commit = hub.publish("owner/hello", FILES)
    for space in (
        "owner/hello",
        f"{hub.endpoint}/spaces/owner/hello",
        "https://huggingface.co/spaces/owner/hello/tree/main",
        "hf://spaces/owner/hello",
        "https://owner-hello.hf.space",
    ):
        assert (machine.find(space).id, machine.find(space).commit) == ("owner/hello", commit), space


def test_every_kind_of_revision(hub: Hub, machine: Machine) -> None:
    first = hub.publish("owner/hello", FILES)
    hub.tag("owner/hello", "v1")
    second = hub.publish("owner/hello", {"app.py": b"2"})
    branch = hub.publish("owner/hello", {"app.py": b"3"}, branch="feature/ui")
    proposed = hub.pull_request("owner/hello", 7, {"app.py": b"4"})
    for revision, commit in (
        ("main", second),
        ("v1", first),
        (first, first),
        ("feature/ui", branch),
        ("refs/pr/7", proposed),
        (proposed, proposed),
    ):
        found = machine.find(f"owner/hello@{revision}")
        assert (found.commit, found.revision) == (commit, revision)


def test_a_renamed_space_is_followed_and_said(hub: Hub, machine: Machine) -> None:
    commit = hub.publish("owner/old", FILES)
    hub.rename("owner/old", "owner/new")
    checkout = machine.get("owner/old")
    assert (checkout.space, checkout.commit) == ("owner/new", commit)
    assert machine.progress.notes == ["owner/old is called owner/new now."]
    assert machine.find("owner/old", offline=True).id == "owner/new"


def test_a_folder_of_that_name_is_hinted_at(
    hub: Hub, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "owner/hello").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError) as raised:
        machine.find("owner/hello")
    assert raised.value.hint == "There is a folder of that name here: for that, type ./owner/hello"
    hub.publish("owner/hello", FILES)
    assert machine.find("owner/hello").id == "owner/hello"
    assert any("type ./owner/hello" in note for note in machine.progress.notes)
    hub.go_offline()
    with pytest.raises(FetchError) as unreachable:
        machine.find("owner/hello")
    assert "./owner/hello" in (unreachable.value.hint or "")


def test_unknown_space_and_unknown_revision(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", FILES)
    with pytest.raises(NotFoundError, match=r"Space owner/none is missing or private \(without a token"):
        machine.find("owner/none")
    with pytest.raises(NotFoundError, match=r"Space owner/hello has no revision 'v9'"):
        machine.find("owner/hello@v9")
    with pytest.raises(NotFoundError, match=r"https://owner-none\.hf\.space is missing or private") as raised:
        machine.find("https://owner-none.hf.space")
    assert raised.value.exit_code == ExitCode.NOT_FOUND


def test_offline_a_space_is_what_it_last_was(hub: Hub, machine: Machine) -> None:
    commit = hub.publish("owner/hello", FILES)
    with pytest.raises(NotFoundError, match=r"owner/hello is not on this disk") as raised:
        machine.find("owner/hello", offline=True)
    assert raised.value.hint == "Launch it once without --offline."
    with pytest.raises(NotFoundError, match=r"https://owner-hello\.hf\.space is not on this disk"):
        machine.find("https://owner-hello.hf.space", offline=True)
    machine.check_out("owner/hello")
    hub.publish("owner/hello", {"app.py": b"2"})
    hub.go_offline()
    for space in ("owner/hello", f"owner/hello@{commit}", "https://owner-hello.hf.space", "hf://spaces/owner/hello"):
        assert machine.find(space, offline=True).commit == commit
    with pytest.raises(NotFoundError, match="owner/hello@v2 is not on this disk"):
        machine.find("owner/hello@v2", offline=True)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"id": "../../etc/passwd"}, "cannot be a Space's name"),
        ({"id": "owner/--upload-pack=x"}, "cannot be a Space's name"),
        ({"sha": "--upload-pack=touch /tmp/x"}, "The Hub named a commit"),
        ({"sha": None}, "has no commit yet"),
        ({"siblings": [{"rfilename": 1, "lfs": 3}]}, "is not the Hub's API"),
    ],
)
def test_what_the_hub_says_is_not_believed_blindly(
    hub: Hub, machine: Machine, facts: dict[str, Any], said: str
) -> None:
    hub.publish("owner/hello", FILES)
    hub.set_info("owner/hello", **facts)
    with pytest.raises(FetchError, match=re.escape(said)):
        machine.find("owner/hello")


def test_a_page_in_place_of_the_api(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", FILES)
    hub.faults.add(Html())
    for space in ("owner/hello", "https://owner-hello.hf.space"):
        with pytest.raises(FetchError, match="is not the Hub's API") as raised:
            machine.find(space)
        assert "\n" not in raised.value.message
        assert hub.endpoint in raised.value.message


def test_what_two_runs_remember_at_once_is_kept(hub: Hub, machine: Machine) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from spacerun.space.find import remember

    hub.publish("owner/hello", FILES)
    names = [f"v{number}" for number in range(20)]
    for name in names:
        hub.tag("owner/hello", name)
    found = [machine.find(f"owner/hello@{name}") for name in names]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: remember(one, "owner/hello"), found))
    memory = machine.home / "spaces/owner--hello/revisions.json"
    assert set(json.loads(memory.read_text())) == set(names)


@pytest.mark.parametrize(
    "name", ["a/b", "..", ".", "", "-a", "a-", ".a", "a.git", "a b", "a--b", "a..b", "ä", "a" * 97, "a\n"]
)
def test_names_that_are_not_safe_in_a_path(name: str) -> None:
    assert not is_valid_name(name)
