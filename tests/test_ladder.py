"""Where the first packages do not do, others are tried: the console script, with an index of stub packages."""

from __future__ import annotations

import http.client
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spacerun.diagnosis import Finding, explain
from spacerun.environment.as_of import Rung
from spacerun.environment.uv import UnresolvableError
from spacerun.errors import (
    AppCrashedError,
    AppTimeoutError,
    MissingSecretError,
    PackagesError,
    PrerequisiteError,
    ProbeError,
)
from spacerun.ladder import Attempt, Choice, Limits, Memory, memorize, next_choices, recall
from tests.command import Command, carriers, get
from tests.environment.conftest import BUILDER, Index

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.errors import SpacerunError
    from tests.hub import Hub

README = f"---\nsdk: gradio\nsdk_version: 4.44.0\npython_version: 3.{sys.version_info.minor}\n---\n".encode()

SERVE = b"""
import http.server, os
address = ("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"]))
http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""

# A page that loads, above an API that, as Gradio 3.20 does beside pydantic 2, misses what no client ever sent.
SERVE_API = b"""
import http.server, json, os, huggingface_hub
broken = huggingface_hub.__version__ >= "1"
class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.say(200, {"version": "4.44.0", "dependencies": []} if self.path == "/config" else "page")
    def do_POST(self):
        self.say(422, {"detail": [{"loc": ["body", "event_id" if broken else "data"]}]})
    def say(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"])), App).serve_forever()
"""

DIES_WHEN_ASKED = b"""
import http.server, os
class App(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die":
            print("ModuleNotFoundError: No module named 'distutils'", flush=True)
            os._exit(3)
        super().do_GET()
http.server.HTTPServer(("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"])), App).serve_forever()
"""

SERVE_ERRORS = SERVE_API.replace(b"self.say(200,", b"self.say(500 if broken else 200,")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """Gradio 4.44.0 of September 2024, and huggingface_hub before and after it lost HfFolder in 2025."""
    served = Index()
    for name, version in (BUILDER | {"pip": "26.0", "setuptools": "80.0.0", "uvicorn": "0.30.0"}).items():
        if name != "huggingface-hub":
            served.wheel(name, version)
    for version in ("1.10.2", "2.10.6"):
        served.wheel("pydantic", version)
    served.wheel("huggingface-hub", "0.25.0", day="2024-09-01", source="HfFolder = object\n")
    served.wheel("huggingface-hub", "1.0.0", day="2025-10-27")
    served.wheel("gradio", "4.44.0", day="2024-09-10", requires=("huggingface-hub",))
    yield served
    served.server.shutdown()
    served.server.server_close()


@pytest.fixture
def command(tmp_path: Path, index: Index) -> Iterator[Command]:
    variables = {"UV_DEFAULT_INDEX": index.url, "UV_CACHE_DIR": str(tmp_path / "uv"), "UV_PYTHON_DOWNLOADS": "never"}
    script = Command(tmp_path / "home", variables)
    yield script
    script.run("stop", "--all")


def publish(hub: Hub, name: str, files: dict[str, bytes]) -> None:
    """Publish a Space whose last change is younger than huggingface_hub 1.0."""
    hub.publish(name, {"README.md": README, **files}, date=datetime(2026, 6, 1, tzinfo=timezone.utc))


def rungs(data: dict[str, Any]) -> list[tuple[str, str]]:
    return [(attempt["rung"], attempt["outcome"]) for attempt in data["attempts"]]


def test_an_app_that_dies_of_a_known_cause_gets_the_packages_of_its_sdks_release(
    hub: Hub, hub_command: Command
) -> None:
    publish(hub, "owner/old", {"app.py": b"from huggingface_hub import HfFolder\n" + SERVE})
    with hub_command.launch("owner/old", "--no-share") as launched:
        assert get(launched.data["url"])[0] == 200
        assert rungs(launched.data) == [("as-of", "app_crashed"), ("sdk-release", "ok")]
        assert launched.data["attempts"][0]["diagnosis"] == ["hf-folder"]
        assert launched.data["rung"] == "sdk-release"
        assert launched.data["as_of"].startswith("2024-10-")
        told = [line for line in launched.warnings if "Trying" in line]
        assert told == [
            (
                "It did not start: huggingface_hub 1.0 removed HfFolder, which Gradio 4.9 to 5.7 imports. "
                "Trying packages of 30 days after the SDK's release."
            )
        ]
    with hub_command.launch("owner/old", "--no-share") as again:
        assert rungs(again.data) == [("sdk-release", "ok")]
        assert again.warnings == []


def test_what_worked_is_remembered_per_commit(hub: Hub, hub_command: Command) -> None:
    publish(hub, "owner/old", {"app.py": b"from huggingface_hub import HfFolder\n" + SERVE})
    with hub_command.launch("owner/old", "--no-share"):
        pass
    publish(hub, "owner/old", {"app.py": SERVE})
    with hub_command.launch("owner/old", "--no-share") as launched:
        assert rungs(launched.data) == [("as-of", "ok")]


def test_where_no_date_does_the_pins_of_the_period_do(hub: Hub, index: Index, hub_command: Command) -> None:
    index.uploaded["huggingface_hub-1.0.0-py3-none-any.whl"] = "2024-09-02"
    publish(hub, "owner/pins", {"app.py": b"from huggingface_hub import HfFolder\n" + SERVE})
    with hub_command.launch("owner/pins", "--no-share") as launched:
        assert [rung for rung, _ in rungs(launched.data)] == ["as-of", "sdk-release", "period-pins"]
        assert ("huggingface-hub", "0.25.0") in {(p["name"], p["version"]) for p in launched.data["packages"]}


def test_a_broken_api_is_climbed_over(hub: Hub, hub_command: Command) -> None:
    publish(hub, "owner/api", {"app.py": SERVE_API})
    with hub_command.launch("owner/api", "--no-share") as launched:
        assert rungs(launched.data) == [("as-of", "probe_failed"), ("sdk-release", "ok")]


@pytest.mark.slow
def test_a_page_of_errors_is_climbed_over(hub: Hub, hub_command: Command) -> None:
    publish(hub, "owner/errors", {"app.py": SERVE_ERRORS})
    with hub_command.launch("owner/errors", "--no-share") as launched:
        assert rungs(launched.data) == [("as-of", "probe_failed"), ("sdk-release", "ok")]


def test_packages_that_cannot_be_built_are_climbed_over(hub: Hub, index: Index, hub_command: Command) -> None:
    index.wheel("gamma", "1.0", day="2024-09-01")
    index.source_only("gamma", "2.0", day="2026-01-01")
    publish(hub, "owner/built", {"requirements.txt": b"gamma\n", "app.py": SERVE})
    with hub_command.launch("owner/built", "--no-share") as launched:
        assert rungs(launched.data) == [("as-of", "environment"), ("sdk-release", "ok")]


def test_a_missing_import_is_found_before_the_start_and_its_package_added(
    hub: Hub, index: Index, hub_command: Command
) -> None:
    index.wheel("pyyaml", "6.0", module="yaml")
    app = b"import yaml, unheard_of_1\n" + SERVE
    publish(hub, "owner/unlisted", {"app.py": b"import yaml\n" + SERVE})
    with hub_command.launch("owner/unlisted", "--no-share") as launched:
        assert rungs(launched.data) == [("as-of", "ok")]
        assert launched.data["attempts"][0]["added"] == ["PyYAML"]
        assert launched.warnings == [
            "requirements.txt does not name what the code imports: adding PyYAML for yaml (app.py:1)."
        ]
    with hub_command.launch("owner/unlisted", "--no-share") as again:
        assert again.warnings == []
        assert again.data["environment"] == launched.data["environment"]
    publish(hub, "owner/unlisted", {"app.py": app})
    failed = hub_command.run("launch", "owner/unlisted", "--no-share", "--json", timeout=60)
    assert failed.code == 9
    assert "unheard_of_1 (app.py:1)" in failed.err
    assert failed.document["data"]["diagnosis"][0]["id"] == "no-module"


def test_a_package_that_the_index_lacks_leaves_the_true_reason(hub: Hub, hub_command: Command) -> None:
    publish(hub, "owner/lacking", {"app.py": b"import yaml\n" + SERVE})
    done = hub_command.run("launch", "owner/lacking", "--no-share", "--json", timeout=60)
    assert (done.code, done.error["name"]) == (9, "app_crashed")
    assert "the module yaml is not installed" in done.error["message"]
    assert "PyYAML could not be added" in done.err


def test_a_module_that_is_missed_only_when_it_runs_is_added_too(hub: Hub, index: Index, hub_command: Command) -> None:
    index.wheel("tqdm", "4.0")
    app = b"def main():\n    import tqdm\nmain()\n" + SERVE
    publish(hub, "owner/late", {"app.py": app})
    with hub_command.launch("owner/late", "--no-share") as launched:
        assert rungs(launched.data) == [("as-of", "app_crashed"), ("as-of", "ok")]
        assert launched.data["attempts"][1]["added"] == ["tqdm"]
        assert any("Trying tqdm added" in warning for warning in launched.warnings)


def test_detached_apps_climb_as_well(hub: Hub, hub_command: Command) -> None:
    publish(hub, "owner/away", {"app.py": b"from huggingface_hub import HfFolder\n" + SERVE})
    done = hub_command.run(
        "launch", "owner/away", "--no-share", "-d", "--json", "--env", "MARK=climbed-5d1e", timeout=90
    )
    assert done.code == 0, done.err
    data = done.document["data"]
    assert rungs(data) == [("as-of", "app_crashed"), ("sdk-release", "ok")]
    assert get(data["url"])[0] == 200
    assert len(hub_command.run("ps", "--json").document["data"]["apps"]) == 1
    assert hub_command.run("stop", data["id"]).code == 0
    assert carriers("climbed-5d1e") == []


def test_attempts_bound_the_climb_and_the_failure_is_explained(hub: Hub, hub_command: Command) -> None:
    publish(hub, "owner/old", {"app.py": b"from huggingface_hub import HfFolder\n" + SERVE})
    done = hub_command.run("launch", "owner/old", "--no-share", "--attempts", "1", "--json", timeout=60)
    assert (done.code, done.error["name"]) == (9, "app_crashed")
    assert done.error["message"].endswith("huggingface_hub 1.0 removed HfFolder, which Gradio 4.9 to 5.7 imports.")
    assert done.error["hint"].startswith("What helps: take huggingface_hub below 1.0 (https://")
    data = done.document["data"]
    assert (data["space"], data["rung"]) == ("owner/old", "as-of")
    assert Path(data["directory"], "app.py").is_file()
    assert Path(data["environment"]).is_dir()
    assert data["diagnosis"][0].keys() == {"id", "cause", "remedy", "source"}
    assert data["diagnosis"][0]["id"] == "hf-folder"
    assert rungs(data) == [("as-of", "app_crashed")]


@pytest.mark.parametrize(
    ("app", "finding"),
    [
        (b"raise RuntimeError('of its own')\n", None),
        (b"import os; os.environ['OPENAI' + chr(95) + 'API_KEY']\n", "missing-secret"),
        (b"raise RuntimeError('CUDA out of memory. Tried to allocate 2.00 GiB')\n", "gpu-memory"),
    ],
)
def test_what_packages_cannot_mend_is_not_climbed_over(
    app: bytes, finding: str | None, hub: Hub, hub_command: Command
) -> None:
    publish(hub, "owner/own", {"app.py": app})
    done = hub_command.run("launch", "owner/own", "--no-share", "--json", timeout=60)
    assert done.code == 9
    assert rungs(done.document["data"]) == [("as-of", "app_crashed")]
    assert [entry["id"] for entry in done.document["data"]["diagnosis"]] == ([finding] if finding else [])


def test_an_app_that_crashes_after_it_answered_is_not_started_again(hub: Hub, hub_command: Command) -> None:
    publish(hub, "owner/later", {"app.py": DIES_WHEN_ASKED})
    with hub_command.launch("owner/later", "--no-share") as launched:
        with pytest.raises(http.client.RemoteDisconnected):
            get(launched.data["url"] + "/die")
        assert launched.process.wait(30) == 9
        assert "No module named 'distutils'" in launched.err
        assert "Trying" not in launched.err


def test_interruption_does_not_climb(hub: Hub, hub_command: Command) -> None:
    publish(hub, "owner/stopped", {"app.py": SERVE})
    with hub_command.launch("owner/stopped", "--no-share") as launched:
        assert launched.interrupt() == 130
        assert "Trying" not in launched.err


# --- What is decided, without a launch -------------------------------------------------------------------------------


def failed(error: SpacerunError, *findings: Finding, rung: Rung = Rung.AS_OF, choice: Choice | None = None) -> Attempt:
    return Attempt(choice or Choice(), rung, None, error, findings)


CRASH = AppCrashedError("The app ended.")
ALL = Limits(attempts=6)


def found(line: str) -> Finding:
    return explain([line])[0]


def test_the_order_is_release_pins_latest() -> None:
    choices = next_choices([failed(UnresolvableError("No."))], ALL)
    assert [choice.rung for choice in choices] == [Rung.SDK_RELEASE, Rung.PERIOD_PINS, Rung.LATEST]


def test_with_a_date_of_the_user_only_missing_packages_are_added() -> None:
    limits = Limits(attempts=6, dates=False)
    folder = found("ImportError: cannot import name 'HfFolder' from 'huggingface_hub' (x)")
    assert next_choices([failed(CRASH, folder)], limits) == ()
    missing = found("ModuleNotFoundError: No module named 'requests'")
    assert next_choices([failed(CRASH, missing)], limits) == (Choice(packages=("requests",)),)
    added = Choice(packages=("requests",))
    assert next_choices([failed(CRASH, missing), failed(CRASH, missing, choice=added)], limits) == ()


def test_a_module_of_an_unknown_package_is_never_guessed() -> None:
    assert next_choices([failed(CRASH, found("ModuleNotFoundError: No module named 'my_internal'"))], ALL) == ()


def test_an_older_python_is_tried_unless_the_user_chose_one() -> None:
    finding = found("ModuleNotFoundError: No module named 'distutils'")
    assert next_choices([failed(CRASH, finding)], ALL)[0] == Choice(python="3.10")
    assert all(c.python is None for c in next_choices([failed(CRASH, finding)], Limits(6, python=False)))


def test_the_diagnosis_adds_its_pins_to_those_of_the_period() -> None:
    finding = found("TypeError: Client.__init__() got an unexpected keyword argument 'proxies'")
    by_rung = {choice.rung: choice.packages for choice in next_choices([failed(CRASH, finding)], ALL)}
    assert by_rung == {Rung.SDK_RELEASE: (), Rung.PERIOD_PINS: ("httpx<0.28",), Rung.LATEST: ()}


@pytest.mark.parametrize(
    "error",
    [
        PackagesError("The index does not answer."),
        AppTimeoutError("Too slow."),
        MissingSecretError("No key."),
        PrerequisiteError("No disk."),
        CRASH,
    ],
)
def test_other_failures_never_climb(error: SpacerunError) -> None:
    assert next_choices([failed(error)], ALL) == ()


def test_a_page_of_errors_climbs_even_where_nothing_is_known() -> None:
    assert next_choices([failed(ProbeError("500."))], ALL)
    assert not next_choices([failed(ProbeError("500."))], Limits(attempts=1))


def test_memory_holds_the_last_commits_and_survives_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACERUN_HOME", str(tmp_path))
    memory = Memory(Choice(Rung.SDK_RELEASE, ("requests",), "3.10"), "key")
    for number in range(25):
        memorize("owner/name", f"{number:040}", memory)
    assert recall("owner/name", f"{24:040}") == memory
    assert recall("owner/name", f"{0:040}") == Memory()
    assert recall("owner/other", f"{24:040}") == Memory()
    for damage in ("{", "[1]", f'[{{"commit": "{24:040}"}}]', f'[{{"commit": "{24:040}", "rung": "moon"}}]'):
        (tmp_path / "spaces" / "owner--name" / "ladder.json").write_text(damage)
        assert recall("owner/name", f"{24:040}") == Memory()
