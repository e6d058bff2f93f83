"""spacerun as a library: what `launch` returns, how it fails, and that no app outlives its interpreter."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import spacerun
from spacerun.app import registry
from spacerun.app.handle import App
from spacerun.app.spec import AppRecord
from spacerun.cli.launch import launch as command_launch
from spacerun.cli.plan import plan as command_plan
from tests.command import Command, carriers, get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
README = (ROOT / "examples" / "hello" / "README.md").read_bytes()

# Answers without Gradio, and ends with status 3 when it is asked to.
PLAIN = b"""\
import http.server, os
class Page(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/end":
            os._exit(3)
        super().do_GET()
print("hello\\x1b[31m from the app", flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"])), Page).serve_forever()
"""
# Its processes ignore the request to end, and one has left the session.
STUBBORN = (
    b"""\
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
subprocess.Popen(sleep, start_new_session=True)
"""
    + PLAIN
)
SILENT = b"import time\nprint('here', flush=True)\ntime.sleep(600)\n"


@pytest.fixture(autouse=True)
def _home(shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Those tests share environments that use one; apps that a failing one left are stopped."""
    monkeypatch.setenv("SPACERUN_HOME", str(shared_home))
    monkeypatch.setenv("HF_HOME", str(shared_home.parent / "hf-home"))
    yield
    for left in registry.records(active=True):
        registry.stop(left)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_space(tmp_path / "my-space", PLAIN)


def make_space(folder: Path, app: bytes) -> Path:
    folder.mkdir()
    (folder / "README.md").write_bytes(README)
    (folder / "app.py").write_bytes(app)
    return folder


@pytest.mark.environment
def test_an_app_from_its_launch_to_its_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GIT_PAGER", "cat")
    with spacerun.launch(folder, share=False, env={"MARK": "api-5d10"}, with_=[]) as app:
        assert get(app.url)[0] == 200
        assert (app.space, app.status, app.share_url) == (str(folder), "running", None)
        assert app.pid in carriers("api-5d10")
        assert app.log.is_file()
        assert app.logs(lines=1000).splitlines()[0] == "hello from the app"
        assert (app.data["url"], app.data["directory"]) == (app.url, str(folder))
        assert app.url in app._repr_html_()
        with pytest.raises(TimeoutError, match=f"{app.id} still runs"):
            app.wait(timeout=0.3)
        listed = Command(Path(os.environ["SPACERUN_HOME"])).run("ps", "--json").document["data"]["apps"]
        assert [one["id"] for one in listed] == [app.id]
    assert carriers("api-5d10") == []
    assert (app.status, app.wait()) == ("stopped", 0)
    app.stop()  # once more, which does nothing
    assert os.environ["GIT_PAGER"] == "cat"
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


@pytest.mark.environment
def test_progress_is_shown_if_asked_for_line_by_line(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with spacerun.launch(folder, share=False, progress=True) as app:
        pass
    said = capfd.readouterr()
    assert said.out == ""
    assert f"it answers at {app.url}" in said.err
    assert "\x1b" not in said.err


@pytest.mark.environment
def test_the_status_of_an_app_that_ends_by_itself(folder: Path) -> None:
    app = spacerun.launch(folder, share=False)
    with suppress(urllib.error.URLError, ConnectionError):
        urllib.request.urlopen(f"{app.url}/end")
    assert app.wait(timeout=20) == 3
    assert app.status == "crashed"


@pytest.mark.environment
def test_two_at_once_from_threads(folder: Path, tmp_path: Path) -> None:
    other = make_space(tmp_path / "other", PLAIN)
    apps: dict[Path, spacerun.App] = {}

    def launch(space: Path) -> None:
        apps[space] = spacerun.launch(space, share=False, env={"MARK": f"two-{space.name}-41c7"})

    threads = [threading.Thread(target=launch, args=(space,)) for space in (folder, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    try:
        first, second = apps[folder], apps[other]
        assert first.url != second.url
        first.stop()
        assert carriers("two-my-space-41c7") == []
        assert (first.status, second.status, get(second.url)[0]) == ("stopped", "running", 200)
    finally:
        for app in apps.values():
            app.stop()
    assert carriers("two-other-41c7") == []


@pytest.mark.environment
def test_within_a_running_event_loop(folder: Path) -> None:
    async def cell() -> int:
        with spacerun.launch(folder, share=False) as app:
            return get(app.url)[0]

    assert asyncio.run(cell()) == 200


@pytest.mark.environment
def test_an_app_that_does_not_start_is_told_as_by_the_command(tmp_path: Path) -> None:
    space = make_space(tmp_path / "broken", b"raise SystemExit('no weights \\x1b[31mhere')\n")
    with pytest.raises(spacerun.AppCrashedError, match="ended before it answered") as caught:
        spacerun.launch(space, share=False, attempts=1, env={"MARK": "broken-9c3e"})
    error = caught.value
    assert isinstance(error, spacerun.SpacerunError)
    assert (error.exit_code, error.stage) == (9, "start")
    assert "no weights here" in (error.hint or "")
    shown = "".join(traceback.format_exception(error))
    assert "\x1b" not in shown
    assert sys.version_info < (3, 11) or shown.endswith("no weights here\n")
    assert Path(error.data["log"]).is_file()
    assert carriers("broken-9c3e") == []


@pytest.mark.parametrize(
    ("space", "arguments", "kind", "message"),
    [
        ("./nothing-here", {}, spacerun.UsageError, "There is no folder"),
        ("what is this", {}, spacerun.UsageError, "what is this"),
        (".", {"port": 0}, spacerun.UsageError, "port is a number from 1 to 65535, and 0 is none"),
        (".", {"attempts": 7}, spacerun.UsageError, "attempts is a number from 1 to 6"),
        (".", {"timeout": 0}, spacerun.UsageError, "timeout is a number at least 1"),
        (".", {"env": {"not a name": "1"}}, spacerun.UsageError, "not the name of a variable"),
        (".", {"replace_model": {"a/b": ""}}, spacerun.UsageError, "does not name two models"),
        (".", {"auth": "nobody"}, spacerun.UsageError, "a name, a colon and a password"),
        (".", {"idle_timeout": "soon"}, spacerun.UsageError, "not a time span"),
        (".", {"as_of": "yesterday"}, spacerun.UsageError, "a date"),
    ],
)
def test_what_cannot_be_launched(
    space: str, arguments: dict[str, object], kind: type[spacerun.SpacerunError], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        spacerun.launch(space, **arguments)  # type: ignore[arg-type]
    assert caught.value.message
    assert caught.value.exit_code == kind.exit_code


LAUNCH = """
import os, signal, sys, time
import spacerun
app = spacerun.launch(sys.argv[1], share=False, env={"MARK": sys.argv[2]})
print(app.id, app.url, flush=True)
"""
ENDS = {
    "at its end": "pass",
    "by sys.exit": "sys.exit(0)",
    "by an error": "raise ValueError",
    "by SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "by kill -9": "os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.environment
@pytest.mark.parametrize("how", ENDS)
def test_no_app_outlives_its_interpreter(folder: Path, how: str) -> None:
    mark = f"ends-{list(ENDS).index(how)}-77ab"
    app_id = run(LAUNCH + ENDS[how], folder, mark).stdout.split()[0]
    if not how.endswith(("SIGTERM", "-9")):
        assert carriers(mark) == []  # where Python ends itself, the app is gone before it
    wait_for(lambda: carriers(mark) == [] and record(app_id).status == "stopped")


@pytest.mark.environment
def test_a_detached_app_outlives_its_interpreter(folder: Path) -> None:
    code = LAUNCH.replace("share=False", "share=False, detach=True")
    app_id, url = run(code, folder, "detached-20d4").stdout.split()
    time.sleep(1)  # longer than it takes to notice that a parent is gone
    assert get(url)[0] == 200
    command = Command(Path(os.environ["SPACERUN_HOME"]))
    assert command.run("stop", app_id).code == 0
    assert carriers("detached-20d4") == []


@pytest.mark.environment
def test_the_end_of_a_forked_process_is_not_that_of_the_app(folder: Path) -> None:
    code = LAUNCH + "if os.fork() == 0: sys.exit()\nos.wait()\nprint(app.status, app.wait(0.5))"
    assert "still runs" in run(code, folder, "forked-5aa1").stderr
    assert carriers("forked-5aa1") == []


@pytest.mark.environment
@pytest.mark.parametrize(("app", "after"), [(PLAIN, "app.wait()"), (SILENT, "")], ids=["waiting", "starting"])
def test_ctrl_c_stops_it(tmp_path: Path, app: bytes, after: str) -> None:
    """While it is waited for, and while it starts."""
    space = make_space(tmp_path / "space", app)
    mark = f"interrupted-{len(after)}-e3b0"
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH + after, space, mark], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: carriers(mark), 60)
    if after:
        assert process.stdout.readline()
        time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert carriers(mark) == []


@pytest.mark.environment
def test_a_second_ctrl_c_waits_for_nothing(tmp_path: Path) -> None:
    mark = "twice-b61c"
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH + "app.wait()", make_space(tmp_path / "space", STUBBORN), mark],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline()
    assert len(carriers(mark)) >= 2
    began = time.monotonic()
    for _ in range(2):
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert time.monotonic() - began < 4  # they would have five seconds
    assert carriers(mark) == []


@pytest.mark.environment
def test_an_app_whose_supervisor_was_killed(folder: Path) -> None:
    app = spacerun.launch(folder, share=False, env={"MARK": "lost-8d2f"})
    os.kill(record(app.id).supervisor_pid, signal.SIGKILL)
    assert app.wait(timeout=20) == 137
    assert app.status == "crashed"
    assert carriers("lost-8d2f") == []


@pytest.mark.environment
def test_a_plan_is_what_the_command_tells(folder: Path) -> None:
    plan = spacerun.plan(folder, share=False)
    assert (plan.space, plan.revision, plan.diff) == (str(folder), None, "")
    assert re.fullmatch(r"3\.\d+", plan.python)
    told = Command(Path(os.environ["SPACERUN_HOME"])).run("plan", str(folder), "--no-share", "--json").document["data"]
    assert plan.data.keys() == told.keys()
    assert (plan.download_bytes, plan.disk_bytes) == (told["download_bytes"], told["disk_bytes"])


@pytest.mark.parametrize(("function", "command"), [(spacerun.launch, command_launch), (spacerun.plan, command_plan)])
def test_it_takes_the_options_of_the_command(function: Callable[..., object], command: Callable[..., object]) -> None:
    ours = inspect.signature(function).parameters
    theirs = {name.replace("directory", "dir"): one for name, one in inspect.signature(command).parameters.items()}
    assert ours.keys() - {"progress"} == theirs.keys() - {"json_output", "quiet", "verbose", "qr"}
    for name, parameter in ours.items():
        if name not in {"progress", "with_", "env_file"}:
            assert parameter.default == getattr(theirs[name].default, "value", theirs[name].default)


def test_what_a_notebook_shows_of_a_hostile_name() -> None:
    hostile = '<script>alert(1)</script>"\x1b[2J'
    launched = AppRecord(
        id="x-1", space=hostile, revision=None, sdk="gradio", status="running", pid=1, started=0.0, supervisor_pid=1,
        supervisor_started=0.0, port=7860, url='http://127.0.0.1:7860/"onmouseover="alert(1)', share_url=None,
        log="/nowhere", exit_code=None, started_at="2026-01-01", directory="/nowhere",
    )  # fmt: skip
    shown = App("x-1", hostile, (), {}, launched)._repr_html_()
    assert "<script" not in shown
    assert '"onmouseover' not in shown
    assert "\x1b" not in shown
    assert "x-1" in repr(App("x-1", hostile, (), {}, replace(launched, url=None)))


TYPED = """
from pathlib import Path
from typing import Any, Literal, Mapping
import spacerun

def run() -> tuple[str, str | None, int]:
    with spacerun.launch("owner/name@main", share=False, gpu=0, env={"A": "b"}, dir=Path("x"), timeout=60) as app:
        url: str = app.url
        log: Path = app.log
        status: str = app.status
        data: Mapping[str, Any] = app.data
        print(log, status, data, app.logs(lines=5))
        return url, app.share_url, app.wait(timeout=1.5)

def cost() -> int:
    try:
        return spacerun.plan("owner/name", as_of="latest").download_bytes
    except spacerun.GpuMemoryError as error:
        hint: str | None = error.hint
        print(error.message, hint)
        return int(error.exit_code)
"""
WRONG = {
    'import spacerun\nspacerun.launch("a/b", gpus="auto")\n': 'Unexpected keyword argument "gpus"',
    'import spacerun\nspacerun.launch("a/b", system_packages="maybe")\n': "incompatible type",
    "import spacerun\nspacerun.lunch\n": 'has no attribute "lunch"',
    'import spacerun\nport: int = spacerun.launch("a/b").url\n': "Incompatible types in assignment",
}


def test_it_is_typed(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(TYPED)
    (shown,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "readme.py").write_text(shown)
    for number, code in enumerate(WRONG):
        (tmp_path / f"wrong{number}.py").write_text(code)
    done = subprocess.run(
        [Path(sys.executable).with_name("mypy"), "--strict", "--no-error-summary", "--cache-dir", tmp_path / "cache",
         *sorted(tmp_path.glob("*.py"))],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    complaints = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(complaints) == len(WRONG), done.stdout
    for number, expected in enumerate(WRONG.values()):
        assert any(line.startswith(f"wrong{number}.py") and expected in line for line in complaints), done.stdout


def run(code: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Python code in an interpreter of its own, run to its end, however it ends."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def record(app_id: str) -> AppRecord:
    found = registry.load(app_id)
    assert found
    return found


def wait_for(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)
