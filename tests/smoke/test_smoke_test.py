"""`spacerun smoke-test`, end to end: the installed console script, a loopback Hub, real apps."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import fake_nvml, true_shapes
from tests.command import Command, carriers
from tests.containers.test_podman import free_port
from tests.fake_nvml import Gpu
from tests.hub.faults import Status
from tests.smoke.spaces import GREETS, PLAIN, SITE, card
from tests.test_launch import README, hello
from tests.test_memory_verdict import APP as LOADS

if TYPE_CHECKING:
    from tests.command import Done
    from tests.hub import Hub

pytestmark = pytest.mark.environment


def plain(code: str = PLAIN, **more: str) -> dict[str, str | bytes]:
    """A Space that is up in a moment, for it imports no Gradio."""
    return {"README.md": README, "app.py": code, **more}


def static(**more: str | bytes) -> dict[str, str | bytes]:
    pages = {"index.html": SITE, "more.html": "<title>More</title>", "style.css": "", "red.png": b"PNG"}
    return {"README.md": card("static"), **pages, **more}


def results_of(command: Command, *arguments: str, **variables: str) -> tuple[Done, list[dict[str, Any]]]:
    done = command.run("smoke-test", *arguments, "--json", **variables)
    return done, done.document["data"]["results"]


def checks(result: dict[str, Any]) -> dict[str, bool]:
    return {check["name"]: check["ok"] for check in result["checks"] if not check["skipped"]}


def test_a_gradio_space_is_launched_without_share_called_and_stopped(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/hello", hello())
    done, (result,) = results_of(hub_command, "owner/hello", "--env", "MARK=smoke-5f1c")
    assert done.code == 0, done.err
    assert (result["ok"], result["proven"], result["status"], result["exit_code"]) == (True, "calls", "passed", 0)
    seen = checks(result)
    assert {"card", "launch", "environment", "answers", "page", "config", "api", "log"} < set(seen)
    example = next(check for check in result["checks"] if check["name"].startswith("example"))
    assert "Hello, Ada!" in example["detail"]
    assert all(seen.values())
    assert {"find", "clone", "source", "environment", "start", "probe"} < set(result["stages"])
    assert carriers("smoke-5f1c") == []
    assert hub_command.run("ps", "--json").document["data"]["apps"] == []
    assert Path(result["log"]).read_text()


def test_a_static_space_and_a_server_of_its_own_side_by_side(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/site", static())
    hub.publish("owner/plain", plain())
    done, results = results_of(hub_command, "owner/site", "owner/plain", "-j", "2")
    assert done.code == 0, done.err
    assert [(row["space"], row["proven"]) for row in results] == [("owner/site", "calls"), ("owner/plain", "start")]
    assert checks(results[0])["links"]
    assert done.document["data"]["totals"]["passed"] == 2


@pytest.mark.parametrize("level", ["plan", "environment", "imports", "start"])
def test_until_goes_so_far_and_no_further(hub: Hub, hub_command: Command, level: str) -> None:
    hub.publish("owner/plain", plain("import packaging.version\n" + PLAIN))
    done, (result,) = results_of(hub_command, "owner/plain", "--until", level)
    assert done.code == 0, done.err
    assert (result["ok"], result["proven"], result["status"]) == (True, level, "passed")
    seen = set(checks(result))
    assert ("requirements" in seen) == (level == "plan")
    assert ("environment" in seen) == (level != "plan")
    assert ("imports" in seen) == (level == "imports")
    assert ("answers" in seen) == (level == "start")
    assert (result["log"] is not None) == (level == "start")


def test_the_authors_own_working_tree_is_tested_as_it_is(tmp_path: Path, command: Command) -> None:
    for name, content in static().items():
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    before = sorted(tmp_path.rglob("*"))
    done = command.run("smoke-test", ".", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.document["data"]["results"][0]["space"] == str(tmp_path)
    (tmp_path / "style.css").unlink()
    done = command.run("smoke-test", ".", "--json", cwd=tmp_path)
    assert (done.code, done.error["name"], done.error["stage"]) == (12, "probe_failed", "probe")
    assert "style.css" in done.error["message"]
    assert sorted(tmp_path.rglob("*")) == [path for path in before if path.name != "style.css"]


def test_a_space_that_needs_a_gpu_is_proven_to_imports_without_one(hub: Hub, hub_command: Command) -> None:
    code = "import packaging.version, torch\nmodel = torch.zeros(1).cuda()\n" + PLAIN
    # What whoever imports PyTorch sees of it; the real one is a gigabyte.
    torch = wheel("torch", "def zeros(n): raise RuntimeError('Found no NVIDIA driver')\n")
    hub.publish("owner/gpu", plain(code, **torch))
    done, (result,) = results_of(hub_command, "owner/gpu")
    assert done.code == 0, done.err
    assert (result["ok"], result["proven"], result["status"]) == (True, "imports", "partial")
    assert "needs a GPU" in result["limit"]
    assert checks(result)["imports"]
    assert done.document["data"]["totals"]["partial"] == 1
    assert done.document["data"]["totals"]["passed"] == 0
    strict, (result,) = results_of(hub_command, "owner/gpu", "--require", "calls")
    assert (strict.code, strict.error["name"], result["ok"]) == (7, "no_gpu", False)
    assert result["proven"] == "imports"


def wheel(name: str, content: str) -> dict[str, str | bytes]:
    """A package with a version that no index has, as a file of a Space, and the requirement of it."""
    info, file = f"{name}-99.9.dist-info", f"{name}-99.9-py3-none-any.whl"
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr(f"{name}/__init__.py", content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.9\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return {file: body.getvalue(), "requirements.txt": f"./{file}\n"}


def test_an_import_that_fails_is_named_with_its_reason(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/broken", plain("from packaging.version import Verzion\n" + PLAIN))
    done, (result,) = results_of(hub_command, "owner/broken", "--until", "imports")
    assert (done.code, done.error["name"]) == (9, "app_crashed")
    assert "Verzion" in done.error["message"]
    assert result["proven"] == "environment"


def test_calls_of_ones_own_by_option_and_by_file(hub: Hub, hub_command: Command) -> None:
    contract = '[[tool.spacerun.smoke.calls]]\nendpoint = "/greet"\ndata = ["Bob"]\nexpect = "Hello, Bob!"\n'
    hub.publish("owner/hello", hello(**{"spacerun.toml": contract}))
    asked = ("--call", "/greet", "--data", '["Eve"]', "--expect", "/^Hello, E/")
    wrong = ("--call", "/greet", "--data", '["Ann"]', "--expect", "Goodbye")
    done, (result,) = results_of(hub_command, "owner/hello", *asked, *wrong)
    assert (done.code, done.error["name"], result["stage"]) == (12, "probe_failed", "probe")
    assert "Hello, Ann!" in done.error["message"]
    made = [check["ok"] for check in result["checks"] if check["name"] == "call /greet"]
    assert made == [True, True, False]
    assert result["proven"] == "start"


def test_an_example_that_raises_fails_the_space_with_what_the_app_said(hub: Hub, hub_command: Command) -> None:
    code = GREETS.replace('return f"Hello, {name}!"', "return {'Eve': 1}[name]").replace(
        ".launch()", ".launch(show_error=True)"
    )
    hub.publish("owner/raises", {"README.md": README, "app.py": code})
    done, (result,) = results_of(hub_command, "owner/raises")
    assert (done.code, result["stage"], result["proven"]) == (12, "probe", "start")
    failed = {check["name"]: check["detail"] for check in result["checks"] if not check["ok"]}
    assert any(name.startswith("example") and "Ada" in detail for name, detail in failed.items())
    assert "KeyError" in failed["log"]


CRASHING = PLAIN.replace("print(", "raise SystemExit('no such luck')\nprint(")


def test_one_failing_space_of_several_is_exit_12_and_its_own_alone(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/crash", plain(CRASHING))
    hub.publish("owner/site", static())
    done, results = results_of(hub_command, "owner/crash", "owner/site")
    assert (done.code, done.error["name"]) == (12, "probe_failed")
    assert [row["ok"] for row in results] == [False, True]
    assert (results[0]["exit_code"], results[0]["stage"]) == (9, "start")
    assert "no such luck" in "\n".join(results[0]["tail"])
    alone, _ = results_of(hub_command, "owner/crash")
    assert (alone.code, alone.error["name"], alone.error["stage"]) == (9, "app_crashed", "start")


def test_from_a_file_with_reports_of_all_kinds(hub: Hub, hub_command: Command, tmp_path: Path) -> None:
    hub.publish("owner/site", static())
    hub.publish("owner/lost", static(**{"index.html": '<script src="gone.js"></script>'}))
    spaces = tmp_path / "spaces.txt"
    spaces.write_text("owner/site\nowner/lost  # known to be broken\nowner/nowhere\n")
    output, summary = tmp_path / "output", tmp_path / "summary"
    done = hub_command.run(
        *("smoke-test", "--from", str(spaces), "--json", "--junit", str(tmp_path / "junit.xml")),
        *("--html", str(tmp_path / "page")),
        GITHUB_ACTIONS="true",
        GITHUB_OUTPUT=str(output),
        GITHUB_STEP_SUMMARY=str(summary),
    )
    assert done.code == 12, done.err
    results = done.document["data"]["results"]
    assert [row["exit_code"] for row in results] == [0, 12, 3]
    junit = (tmp_path / "junit.xml").read_text()
    assert "gone.js" in junit
    assert "owner/nowhere" in junit
    page = (tmp_path / "page" / "index.html").read_text()
    assert "gone.js" in page
    assert "::error" in done.err
    assert "owner/lost" in summary.read_text()
    assert "ok=false" in output.read_text()
    baseline = tmp_path / "before.json"
    baseline.write_text(done.out)
    hub.publish("owner/lost", static())
    again = hub_command.run("smoke-test", "--from", str(spaces), "--json", "--baseline", str(baseline))
    assert "owner/lost" in json.dumps(again.document["data"]["baseline"])
    shown = hub_command.run("smoke-test", "--from", str(spaces), "--baseline", str(baseline))
    assert "Mended: owner/lost" in shown.out


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_hub_is_tried_again_and_named(hub: Hub, hub_command: Command, status: int) -> None:
    hub.publish("owner/site", static())
    hub.faults.add(Status(status, retry_after=0), path="/api/spaces/*", times=4)  # as often as one test asks
    done, (result,) = results_of(hub_command, "owner/site", "--retries", "1")
    assert done.code == 0, done.err
    assert result["retries"]
    assert str(status) in result["retries"][0]


def test_what_takes_too_long_is_ended_with_the_stage_it_was_in(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/slow", plain("import time\ntime.sleep(600)\n"))
    hub.publish("owner/site", static())
    hub_command.run("smoke-test", "owner/slow", "--until", "environment")
    began = time.monotonic()
    done, results = results_of(
        hub_command, "owner/slow", "owner/site", "--space-timeout", "5", "--env", "MARK=slow-77aa", "-j", "2"
    )
    assert time.monotonic() - began < 60
    assert done.code == 12
    assert (results[0]["exit_code"], results[0]["stage"], results[0]["ok"]) == (10, "start", False)
    assert "5 s" in results[0]["message"]
    assert results[1]["ok"]
    assert carriers("slow-77aa") == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_run_that_is_given_up(hub: Hub, hub_command: Command, number: int) -> None:
    hub.publish("owner/slow", plain("import time\ntime.sleep(600)\n"))
    hub.publish("owner/site", static())
    process = subprocess.Popen(
        [*hub_command.program, "smoke-test", "owner/site", "owner/slow", "--json", "--env", f"MARK=gone-{number}"],
        env=hub_command.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "owner/site" in process.stderr.readline()  # the first is over
    wait_for(lambda: carriers(f"gone-{number}") != [], 90)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    wait_for(lambda: not carriers(f"gone-{number}"), 20)
    if number != signal.SIGKILL:
        document = json.loads(out)
        assert (process.returncode, document["error"]["name"]) == (130, "interrupted")
        assert [row["status"] for row in document["data"]["results"]] == ["passed", "not_run"]
    hub.publish("owner/slow", static())
    done, results = results_of(hub_command, "owner/site", "owner/slow", "--env", f"MARK=gone-{number}", "--resume")
    assert done.code == 0, done.err
    assert [row["status"] for row in results] == ["passed", "passed"]


def wait_for(reached, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_two_models_that_one_card_has_room_for_one_of_are_tested_one_after_the_other(
    hub: Hub, hub_command: Command, nvml_folder: Path, tmp_path: Path
) -> None:
    times = tmp_path / "times"
    times.mkdir()
    noted = f"import pathlib, time\npathlib.Path({str(times)!r}, str(time.time())).touch()\ntime.sleep(2)\n"
    code = noted + LOADS.format(model="huggyllama/llama-7b")
    true_shapes.publish(hub, "llama-7b")
    hub.publish("owner/one", plain(code))
    hub.publish("owner/two", plain(code))
    hub_command.variables |= fake_nvml.environment(
        nvml_folder, [Gpu("NVIDIA A10G", 23028, 512)], file=tmp_path / "gpus"
    )
    done, results = results_of(hub_command, "owner/one", "owner/two", "-j", "2")
    assert done.code == 0, done.err
    first, second = sorted(float(file.name) for file in times.iterdir())
    assert second - first > 2, "the second was started while the first had the card"
    assert [row["memory"]["gpus"] for row in results] == [["NVIDIA A10G"]] * 2
    assert all("gpu-memory" in checks(row) for row in results)


def test_spaces_that_insist_on_one_port_do_not_fail_each_other(hub: Hub, hub_command: Command) -> None:
    code = PLAIN.replace('int(os.environ["GRADIO_SERVER_PORT"])', str(free_port()))
    hub.publish("owner/one", plain(code))
    hub.publish("owner/two", plain(code))
    done, results = results_of(hub_command, "owner/one", "owner/two", "-j", "2")
    assert done.code == 0, done.err
    assert [row["proven"] for row in results] == ["start"] * 2


def test_prune_after_leaves_no_more_than_there_was(hub: Hub, hub_command: Command, tmp_path: Path) -> None:
    script = Command(tmp_path / "home", dict(hub_command.variables))
    hub.publish("owner/plain", plain())
    hub.publish("owner/site", static())
    done = script.run("smoke-test", "owner/plain", "owner/site", "--prune-after", "--json")
    assert done.code == 0, done.err
    left = script.run("list", "--json").document["data"]["items"]
    assert [(item["kind"], item["in_use"]) for item in left] == [("tests", False)]
    assert script.run("prune").code == 0
    assert script.run("list", "--json").document["data"]["items"] == []


def test_a_space_that_asks_for_little_has_not_passed_what_others_have(hub: Hub, hub_command: Command) -> None:
    modest = '[tool.spacerun.smoke]\nuntil = "plan"\n'
    hub.publish("owner/modest", static(**{"spacerun.toml": modest}))
    done, (result,) = results_of(hub_command, "owner/modest")
    assert (done.code, result["status"], result["proven"]) == (0, "partial", "plan")
    assert "no more than" in result["limit"]
    strict, _ = results_of(hub_command, "owner/modest", "--require", "start")
    assert (strict.code, strict.error["name"]) == (12, "probe_failed")
    _, (result,) = results_of(hub_command, "owner/modest", "--until", "calls")
    assert (result["status"], result["proven"]) == ("passed", "calls")


@pytest.mark.parametrize(
    "arguments", [(), ("--from", "/nowhere/spaces.txt"), ("owner/a", "--call", "/x", "--until", "plan")]
)
def test_arguments_that_make_no_sense_are_exit_2(command: Command, arguments: tuple[str, ...]) -> None:
    done = command.run("smoke-test", *arguments, "--json")
    assert (done.code, done.error["name"]) == (2, "usage")
