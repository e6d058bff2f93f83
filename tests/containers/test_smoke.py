"""The smoke test of docker Spaces, and of Spaces of all SDKs and eras in one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spacerun.errors import ExitCode
from tests.command import Command
from tests.containers.test_podman import free_port, native
from tests.smoke.spaces import publish_broken, publish_sound

if TYPE_CHECKING:
    from tests.hub import Hub

pytestmark = pytest.mark.usefixtures("podman")

ROOT = Path(__file__).parents[2]


def publish_docker(hub: Hub, folder: Path, server: Path) -> str:
    native(folder, server, free_port())
    contract = '[[tool.spacerun.smoke.calls]]\nendpoint = "GET /"\nexpect = "/no Python here/"\n'
    (folder / "spacerun.toml").write_text(contract)
    hub.publish("owner/docker", folder)
    return "owner/docker"


def newest_gradio() -> str:
    """The version that the example of this repository names, whose environment other tests make as well."""
    card = (ROOT / "examples" / "hello" / "README.md").read_text()
    return card.partition("sdk_version: ")[2].split()[0]


def test_a_docker_space_is_called_and_its_container_is_gone_after_the_test(
    hub: Hub, tmp_path: Path, server: Path
) -> None:
    name = publish_docker(hub, tmp_path / "docker", server)
    command = Command(tmp_path / "home", {"HF_ENDPOINT": hub.endpoint})
    done = command.run("smoke-test", name, "--json")
    assert done.code == 0, done.err
    (result,) = done.document["data"]["results"]
    seen = {check["name"]: check["ok"] for check in result["checks"] if not check["skipped"]}
    assert (result["proven"], seen["answers"], seen["call GET /"]) == ("calls", True, True)
    assert command.run("ps", "--json").document["data"]["apps"] == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twelve_spaces_of_all_sdks_and_eras_of_which_four_are_broken(hub: Hub, tmp_path: Path, server: Path) -> None:
    newest = newest_gradio()
    sound = [*publish_sound(hub, newest), publish_docker(hub, tmp_path / "docker", server)]
    broken = publish_broken(hub, newest)
    command = Command(tmp_path / "home", {"HF_ENDPOINT": hub.endpoint})
    done = command.run(
        "smoke-test", *sound, *broken, "-j", "2", "--json", "--html", str(tmp_path / "page"), timeout=1500
    )
    document = done.document
    results = {row["space"]: row for row in document["data"]["results"]}
    told = json.dumps({name: (row["message"], row["checks"]) for name, row in results.items()}, indent=1)
    assert {name for name, row in results.items() if not row["ok"]} == set(broken), told
    assert {results[name]["proven"] for name in sound} == {"calls"}, told
    for name, (code, stage, word) in broken.items():
        row = results[name]
        assert (row["exit_code"], row["stage"]) == (int(ExitCode[code.upper()]), stage), told
        assert word in row["message"] + json.dumps(row["checks"]), told
    assert (done.code, document["data"]["totals"]["failed"]) == (12, 4)
    assert all(name in document["error"]["message"] for name in broken)
