"""The GitHub Action, its reusable workflow, and what is written of both."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from spacerun.environment.uv import find_uv
from tests import action_runner
from tests.action_runner import Runner, outputs
from tests.smoke.spaces import PNG, SITE, card

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hub import Hub

ROOT = Path(__file__).parents[1]
ACTION = ROOT / ".github" / "actions" / "smoke-test"
WORKFLOWS = ROOT / ".github" / "workflows"
SCRIPT = ACTION / "smoke_test.py"
METADATA = yaml.safe_load((ACTION / "action.yml").read_text())
INSTALL = ("Install spacerun",)
PAGES = {"index.html": SITE, "more.html": "<title>More</title>", "style.css": "", "red.png": PNG}
SOUND = {"README.md": card("static"), **PAGES}
BROKEN = {name: content for name, content in SOUND.items() if name != "style.css"}


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A runner on which spacerun is installed already: by this test's own Python, so that it takes no time."""
    workspace = write(tmp_path / "work", {})
    home = str(tmp_path / "home")
    made = Runner(tmp_path / "runner", workspace, action_runner.variables(SPACERUN_HOME=home, HF_HOME=f"{home}/hf"))
    (made.temp / "spacerun").mkdir(parents=True)
    (made.temp / "spacerun" / "venv").symlink_to(Path(sys.executable).parents[1])
    return made


def test_the_working_tree_is_tested_and_its_reports_are_uploaded(runner: Runner) -> None:
    write(runner.workspace, SOUND)
    inputs = {"cache": "false", "require": "calls", "html": "public/report", "junit": "out/junit.xml"}
    used = runner.use(ACTION, inputs, without=INSTALL)
    assert used.ok, used.log
    report, page = Path(used.outputs.pop("report")), Path(used.outputs.pop("html"))
    assert used.outputs == {
        "ok": "true", "passed": "1", "partial": "0", "failed": "0", "proven": "calls", "exit-code": "0"
    }  # fmt: skip
    document = json.loads(report.read_bytes())
    assert document["schema"] == "spacerun.smoke-test/1"
    assert [result["proven"] for result in document["data"]["results"]] == ["calls"]
    assert "<html" in page.read_text()
    assert "### Smoke test" in used.summary
    assert "::error" not in used.log
    uploaded = runner.artifacts["spacerun"]
    assert {path.name for path in uploaded.iterdir()} == {"report.json", "junit.xml", "html"}
    assert (runner.workspace / "public" / "report" / "index.html").read_bytes() == page.read_bytes()
    assert ET.parse(runner.workspace / "out" / "junit.xml").getroot().tag == "testsuites"


def test_a_space_of_a_list_that_fails_fails_the_step_and_everything_is_reported(runner: Runner) -> None:
    write(runner.workspace / "good", SOUND)
    write(runner.workspace / "bad", BROKEN)
    (runner.workspace / "spaces.txt").write_text("# all of ours\n./good\n./bad # the other\n")
    used = runner.use(ACTION, {"from": "spaces.txt", "jobs": "2", "cache": "false"}, without=INSTALL)
    assert not used.ok
    assert used.steps["test"] == "failure"
    assert used.steps["Upload the report"] == "success"
    kept = ("ok", "passed", "failed", "exit-code", "proven")
    assert [used.outputs[name] for name in kept] == ["false", "1", "1", "12", "start"]
    assert re.search(r"^::error .*file=bad/", used.log, re.MULTILINE)
    assert "style" in used.summary
    cases = ET.parse(runner.artifacts["spacerun"] / "junit.xml").getroot()
    assert len(cases.findall(".//failure")) == 1


def test_a_token_reaches_a_private_space_and_no_process_list(runner: Runner, hub: Hub) -> None:
    token = "hf_of_the_action_5f1c"
    hub.publish("owner/private", SOUND, private=True)
    hub.add_token(token, "owner")
    inputs = {"spaces": "owner/private", "endpoint": hub.endpoint, "token": token, "cache": "false"}
    with seen_in_process_lists(token) as seen:
        used = runner.use(ACTION, inputs, without=INSTALL)
    assert used.ok, used.log
    assert used.outputs["passed"] == "1"
    assert seen == []
    assert token not in used.log + used.summary
    assert not any(token.encode() in file.read_bytes() for file in runner.artifacts["spacerun"].rglob("*.*"))
    assert runner.use(ACTION, inputs | {"token": ""}, without=INSTALL).outputs["exit-code"] == "3"


@contextlib.contextmanager
def seen_in_process_lists(text: str) -> Iterator[list[bytes]]:
    """The command lines in which a text is seen meanwhile."""
    seen: list[bytes] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.extend(told for told in [file.read_bytes()] if text.encode() in told)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def test_what_a_user_gives_is_neither_run_nor_taken_for_an_option(runner: Runner) -> None:
    write(runner.workspace, SOUND)
    for inputs in (
        {"spaces": "$(touch$IFS./owned) ;touch$IFS./owned `touch$IFS./owned`"},
        {"spaces": "--from=/etc/passwd"},
        {"args": "--env 'A=$(touch owned)' ; touch owned"},
        {"until": "plan; touch owned"},
        {"baseline": "$(touch owned)\n::set-output name=ok::true", "until": "plan"},
    ):
        used = runner.use(ACTION, {"cache": "false", **inputs}, without=INSTALL)
        assert not (runner.workspace / "owned").exists()
        assert used.ok == ("baseline" in inputs), used.log
        assert "\n::set-output" not in used.log
        assert "root:" not in used.log


def test_what_cannot_even_begin_is_said_as_an_annotation(runner: Runner) -> None:
    for args, said in (("--no-such-option", ""), ("--env 'A=1", "No closing quotation"), ("--retries 77", "")):
        used = runner.use(ACTION, {"args": args, "cache": "false"}, without=INSTALL)
        assert not used.ok
        assert (used.outputs["ok"], used.outputs["exit-code"], used.outputs["report"]) == ("false", "2", "")
        (annotation,) = re.findall(r"^::error title=spacerun::(.+)$", used.log, re.MULTILINE)
        assert said in annotation
    used = runner.use(ACTION, {"from": "nowhere.txt", "cache": "false"}, without=INSTALL)
    assert "::error title=spacerun::--from nowhere.txt cannot be read" in used.log


def test_a_run_is_compared_with_the_one_before_once_there_is_one(runner: Runner) -> None:
    write(runner.workspace, SOUND)
    inputs = {"baseline": "last.json", "cache": "false", "until": "plan"}
    first = runner.use(ACTION, inputs, without=INSTALL)
    assert first.ok, first.log
    assert "::notice::There is nothing to compare with yet: last.json" in first.log
    shutil.copy(first.outputs["report"], runner.workspace / "last.json")
    (runner.workspace / "README.md").write_text(card("no-such-sdk"))
    second = runner.use(ACTION, inputs, without=INSTALL)
    assert not second.ok
    assert "Newly broken" in second.summary
    assert "Newly broken" not in first.summary


def test_a_run_that_is_cancelled_ends_in_time_and_reports(runner: Runner) -> None:
    # The runner sends SIGINT, SIGTERM 7.5 s later, and kills 2.5 s after that: "Workflow cancellation reference".
    with socket.create_server(("127.0.0.1", 0)) as silent:
        out, log = runner.folder / "outputs", runner.folder / "log"
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        script = runner.folder / "test.sh"
        script.write_text(next(step["run"] for step in METADATA["runs"]["steps"] if step.get("id") == "test"))
        out.touch()
        more = {"INPUT_SPACES": "owner/slow", "INPUT_ENDPOINT": endpoint, "HF_HUB_DISABLE_TELEMETRY": "1"}
        command = runner.command(ACTION, script, {"GITHUB_OUTPUT": out}, more)
        with log.open("wb") as stream:
            process = subprocess.Popen(command.pop("args"), **command, stdout=stream, stderr=stream)
        silent.settimeout(30)
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert process.wait(30) == 130, log.read_text()
        assert time.monotonic() - began < 7.5
        connection.close()
    told = dict(outputs(out.read_text()))
    assert told["exit-code"] == "130"
    assert json.loads(Path(told["report"]).read_bytes())["data"]["results"][0]["status"] == "not_run"


def planned(runner: Runner, **inputs: str) -> dict[str, str]:
    used = runner.use(ACTION, inputs, without=(*INSTALL, "test", "prune"))
    assert used.steps["plan"] == "success", used.log
    return used.step_outputs["plan"]


@pytest.mark.slow
def test_the_cache_is_named_by_the_packages_alone(runner: Runner, hub: Hub, tmp_path: Path) -> None:
    runner.variables |= {"UV_CACHE_DIR": str(tmp_path / "uv")}
    readme, app = card("gradio", "6.31.0", python_version="3.10"), "import gradio\n"
    hub.publish("owner/one", {"README.md": readme, "app.py": app})
    hub.publish("owner/site", SOUND)
    given = {"spaces": "owner/one", "endpoint": hub.endpoint}
    first = planned(runner, **given)
    assert first["key"].startswith("spacerun-Linux-X64-")
    assert first["folder"] == str(tmp_path / "uv")
    hub.publish("owner/one", {"app.py": app + "print('another sentence')\n"})
    assert planned(runner, **given | {"spaces": "owner/one owner/site"}) == first
    hub.publish("owner/one", {"requirements.txt": "packaging==24.0\n"})
    changed = planned(runner, **given)
    assert changed["key"] != first["key"]
    assert changed["prefix"] == first["prefix"]
    assert planned(runner, **given | {"args": "--with packaging==23.0"})["key"] != changed["key"]


def test_nothing_is_kept_where_there_are_no_packages_or_the_runner_keeps_them_itself(runner: Runner) -> None:
    write(runner.workspace, SOUND)
    used = runner.use(ACTION, {"until": "plan"}, without=INSTALL)
    assert used.steps["plan"] == "success"
    assert used.steps["cache"] == "skipped"
    runner.hosted = False
    used = runner.use(ACTION, {"until": "plan"}, without=INSTALL)
    assert [used.steps[step] for step in ("plan", "cache", "test", "prune")] == [
        "skipped", "skipped", "success", "skipped"
    ]  # fmt: skip
    assert runner.caches == {}


@pytest.mark.slow
def test_all_of_the_action_twice_on_a_bare_machine(tmp_path: Path) -> None:
    """Nothing is there but bash, git, uv and a Python: what was built the first time comes from the cache later."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "uv").symlink_to(find_uv())
    path = f"{tools}:{Path(sys.executable).resolve().parent}:/usr/bin:/bin"
    workspace = tmp_path / "work"
    shutil.copytree(ROOT / "examples" / "hello", workspace)
    (workspace / "requirements.txt").write_text("docopt==0.6.2\n")  # of which the index has no wheel
    built = []
    caches: dict[str, Path] = {}
    for attempt in ("first", "second"):
        home = tmp_path / attempt
        variables = action_runner.variables(HOME=str(home), PATH=path, UV_CACHE_DIR=str(home / "uv"))
        runner = Runner(tmp_path / f"{attempt}-runner", workspace, variables, caches=caches)
        used = runner.use(ACTION, {"require": "calls", "python-version": "3.11"})
        assert used.ok, used.log
        assert (used.outputs["passed"], used.outputs["proven"]) == ("1", "calls")
        built.append(used)
    assert [used.steps["prune"] for used in built] == ["success", "skipped"]
    assert [used.step_outputs["cache"]["cache-hit"] for used in built] == ["", "true"]
    (kept,) = caches.values()
    assert list(kept.glob("sdists-v*/**/docopt*.whl")) + list(kept.glob("sdists-v*/**/docopt*"))
    assert not list(kept.glob("wheels-v*/**/gradio-6.31.0*"))


def test_no_script_is_put_together_from_what_users_give() -> None:
    files = [ACTION / "action.yml", *WORKFLOWS.glob("*.yml")]
    for file in files:
        content = yaml.safe_load(file.read_text())
        for script in scripts(content):
            assert "${{" not in script or "matrix." in script, file


def scripts(value: Any) -> Iterator[str]:
    """Every `run:` in a workflow or an action."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "run" and isinstance(inner, str):
                yield inner
            yield from scripts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from scripts(inner)


def test_every_input_of_the_action_is_one_that_the_script_reads() -> None:
    read = set(re.findall(r'given\("(\w+)"\)', SCRIPT.read_text())) | {"FROM", "UNTIL", "REQUIRE", "JOBS", "BASELINE"}
    steps = {step["id"]: step for step in METADATA["runs"]["steps"] if "id" in step and "env" in step}
    assert {name.removeprefix("INPUT_") for name in steps["test"]["env"]} == read
    assert steps["plan"]["env"].items() <= steps["test"]["env"].items()
    used = set(re.findall(r"inputs\.([\w-]+)", (ACTION / "action.yml").read_text()))
    assert used == METADATA["inputs"].keys()


def test_the_reusable_workflow_passes_all_of_it_on() -> None:
    text = (WORKFLOWS / "smoke-test.yml").read_text()
    workflow = yaml.safe_load(text)
    call = workflow[True]["workflow_call"]  # YAML 1.1 takes `on` for a truth value
    (job,) = workflow["jobs"].values()
    (step,) = [step for step in job["steps"] if step.get("id") == "test"]
    assert step["with"].keys() | {"html", "junit"} == METADATA["inputs"].keys()
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == call["inputs"].keys()
    assert step["with"].keys() - {"token"} | {"runs-on", "timeout-minutes"} == call["inputs"].keys()
    assert job["outputs"].keys() == call["outputs"].keys() == METADATA["outputs"].keys() - {"report", "html"}
    assert all(name in METADATA["outputs"] for name in re.findall(r"steps\.test\.outputs\.([\w-]+)", text))


def test_our_own_ci_runs_the_action_on_every_example() -> None:
    jobs = yaml.safe_load((WORKFLOWS / "tests.yml").read_text())["jobs"]
    (step,) = [step for step in jobs["examples"]["steps"] if step.get("id") == "smoke-test"]
    assert ROOT / step["uses"] == ACTION
    assert step["with"].keys() <= METADATA["inputs"].keys()
    examples = sorted(f"./examples/{folder.name}" for folder in (ROOT / "examples").iterdir())
    assert step["with"]["spaces"].split() == examples
    assert f'.passed == "{len(examples)}"' in jobs["examples"]["steps"][-1]["run"]


@pytest.mark.slow
def test_that_job_passes(runner: Runner) -> None:
    jobs = yaml.safe_load((WORKFLOWS / "tests.yml").read_text())["jobs"]
    *_, step, check = jobs["examples"]["steps"]
    runner.workspace = ROOT
    used = runner.use(
        ACTION, {name: str(value) for name, value in step["with"].items()} | {"cache": "false"}, without=INSTALL
    )
    assert used.ok, used.log
    told = os.environ | {"OUTPUTS": json.dumps(used.outputs)}
    assert subprocess.run(["bash", "-e", "-c", check["run"]], env=told, check=False).returncode == 0
