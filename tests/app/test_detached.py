"""Apps that outlive the command that started them, and the commands for them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from spacerun.app import launch_detached, registry
from spacerun.cli.logs import logs
from spacerun.cli.ps import ps
from spacerun.cli.stop import stop
from spacerun.errors import AppCrashedError, AppTimeoutError, ShareError
from tests.app.conftest import wait_for


def as_command(capsys, function, *args, **options):
    """Exit status and output of a command, called as Typer would."""
    status = 0
    try:
        function(*args, **options)
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr()
    return status, said.out, said.err


def command(code: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_it_returns_when_the_app_answers_and_stop_ends_it_all(detached, capsys):
    app, record = detached("worker")
    assert urllib.request.urlopen(record.url).read() == b"hello"
    assert os.getsid(record.supervisor_pid) != os.getsid(0)
    assert wait_for(lambda: len(app.leftovers()) == 3)
    status, out, _ = as_command(capsys, stop, [app.spec.space], json_output=True)
    assert status == 0
    (stopped,) = json.loads(out)["data"]["stopped"]
    assert (stopped["id"], stopped["status"]) == (app.spec.id, "stopped")
    assert app.leftovers() == []
    wait_for(lambda: not registry.supervised(record))
    assert registry.load(app.spec.id).status == "stopped"


@pytest.mark.parametrize(
    ("program", "settings", "error", "message"),
    [
        ("crashes", {"STATUS": 3}, AppCrashedError, "exit status 3"),
        ("silent", {"timeout_seconds": 1.0}, AppTimeoutError, "It listens on no port"),
        ("answers", {"share": True, "require_share": True}, ShareError, "has no share link"),
    ],
)
def test_its_errors_arrive_here(detached, program, settings, error, message):
    with pytest.raises(error, match=message) as caught:
        detached(program, **settings)
    assert caught.value.hint
    assert caught.value.stage == ("share" if error is ShareError else "start")
    assert Path(caught.value.data["log"]).exists()
    (record,) = registry.records()
    assert not record.active
    assert not registry.supervised(record)


def test_its_warnings_and_lines_arrive_here(space):
    lines, warnings = [], []
    app = space("answers", share=True, LINE="loading \x1b[1mthe model")
    record = launch_detached(app.spec, app.environment, on_line=lines.append, on_warning=warnings.append)
    registry.stop(record)
    assert lines == ["loading the model"]
    assert len(warnings) == 1
    assert warnings[0].startswith("No share link")


def test_the_environment_is_neither_on_disk_nor_in_the_supervisors_arguments(detached, spacerun_home):
    _, record = detached("answers", SECRET="s3cr3t-value")
    supervisor = psutil.Process(record.supervisor_pid)
    assert "s3cr3t-value" not in " ".join(supervisor.cmdline())
    assert "s3cr3t-value" not in supervisor.environ().values()
    assert "s3cr3t-value" in psutil.Process(record.pid).environ().values()
    assert not any(b"s3cr3t-value" in file.read_bytes() for file in spacerun_home.rglob("*") if file.is_file())


def test_ctrl_c_while_it_starts_ends_it(space, tmp_path):
    app = space("silent")
    (tmp_path / "input.json").write_text(json.dumps([app.spec.to_json(), app.environment]))
    launcher = command(
        "import json; from spacerun.app import AppSpec, launch_detached\n"
        f"spec, environment = json.load(open({str(tmp_path / 'input.json')!r}))\n"
        "launch_detached(AppSpec.from_json(spec), environment)"
    )
    wait_for(app.leftovers)
    launcher.send_signal(signal.SIGINT)
    _, said = launcher.communicate(timeout=20)
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert app.leftovers() == []
    assert registry.load(app.spec.id).status == "stopped"


def test_stop_during_the_start(space, tmp_path):
    app = space("silent")
    (tmp_path / "input.json").write_text(json.dumps([app.spec.to_json(), app.environment]))
    launcher = command(
        "import json; from spacerun.app import AppSpec, launch_detached\n"
        f"spec, environment = json.load(open({str(tmp_path / 'input.json')!r}))\n"
        "launch_detached(AppSpec.from_json(spec), environment)"
    )
    record = wait_for(lambda: registry.load(app.spec.id))
    assert registry.stop(record).status == "stopped"
    _, said = launcher.communicate(timeout=20)
    assert "stopped on request" in said
    assert app.leftovers() == []


def test_ps_shows_how_they_are(detached, capsys):
    app, record = detached("answers")
    status, out, _ = as_command(capsys, ps, json_output=True)
    document = json.loads(out)
    (shown,) = document["data"]["apps"]
    assert (status, document["schema"], document["ok"]) == (0, "spacerun.ps/1", True)
    assert (shown["id"], shown["url"], shown["pid"], shown["health"]) == (
        app.spec.id,
        record.url,
        record.pid,
        "answers",
    )
    assert shown["memory_bytes"] > 5_000_000
    assert 0 < shown["uptime_seconds"] < 60
    psutil.Process(record.pid).suspend()
    _, out, _ = as_command(capsys, ps)
    assert app.spec.id in out
    assert record.url in out
    assert "silent" in out
    psutil.Process(record.pid).resume()
    registry.stop(record)
    assert as_command(capsys, ps)[1] == "No app is running.\n"


def test_the_next_ps_mends_what_a_killed_supervisor_left(detached, capsys):
    app, record = detached("worker")
    noted = registry.run_folder(app.spec.id) / "descendants.json"
    wait_for(lambda: noted.exists() and len(json.loads(noted.read_text())) == 3)
    psutil.Process(record.supervisor_pid).kill()
    wait_for(lambda: not registry.supervised(record))
    status, out, err = as_command(capsys, ps, json_output=True)
    assert (status, json.loads(out)["data"]["apps"]) == (0, [])
    assert f"{app.spec.id} had lost the process that looked after it" in err
    assert app.leftovers() == []


def test_stop_knows_what_it_is_asked(detached, capsys):
    assert as_command(capsys, stop)[0] == 2
    assert as_command(capsys, stop, ["owner/name"], everything=True)[0] == 2
    assert as_command(capsys, stop, ["owner/name"])[0] == 3
    first, second = detached("answers")[1], detached("answers")[1]
    status, _, err = as_command(capsys, stop, ["owner/answers"])
    assert status == 2
    assert first.id in err
    assert second.id in err
    status, out, _ = as_command(capsys, stop, everything=True)
    assert status == 0
    assert sorted(out.splitlines()) == sorted(f"Stopped {r.id} (owner/answers)." for r in (first, second))
    assert as_command(capsys, stop, everything=True)[1] == "No app is running.\n"


def test_logs_of_an_ended_app_are_shown_harmless(space, capsys, listener):
    from spacerun.app import supervise

    app = space("crashes")
    with pytest.raises(AppCrashedError):
        supervise(app.spec, app.environment, **listener.callbacks())
    status, out, _ = as_command(capsys, logs, app.spec.space, lines=3)
    assert status == 0
    assert out.splitlines() == ["line 28", "line 29", "ImportError: cannot import name 'HfFolder' red"]
    assert len(as_command(capsys, logs, app.spec.id)[1].splitlines()) == 31
    assert as_command(capsys, logs, "owner/other")[0] == 3


def test_logs_are_followed_to_the_end(detached):
    _, record = detached("answers", LINE="first")
    follower = command(f"from spacerun.cli.logs import logs; logs({record.id!r}, follow=True)")
    assert follower.stdout.readline() == "first\n"
    with Path(record.log).open("a") as log:
        log.write("more\n")
    assert follower.stdout.readline() == "more\n"
    registry.stop(record)
    out, err = follower.communicate(timeout=20)
    assert (out, err, follower.returncode) == ("", "It was stopped on request.\n", 0)


def test_a_supervisor_that_dies_early_is_told(space):
    app = space("silent")
    began = time.monotonic()
    killed = []

    def kill_it(_line):
        killed.append(registry.load(app.spec.id).supervisor_pid)
        psutil.Process(killed[0]).kill()

    from dataclasses import replace

    from spacerun.errors import SpacerunError

    environment = {**app.environment, "CHATTER": "1", "BUSY_SECONDS": "2"}
    with pytest.raises(SpacerunError, match="looks after the app ended unexpectedly"):
        launch_detached(replace(app.spec), environment, on_line=lambda line: killed or kill_it(line))
    assert time.monotonic() - began < 10
    assert app.leftovers() == []
