"""An app that crashes is started again, later each time; and `spacerun restart`."""

from __future__ import annotations

import contextlib
import json
import signal
import time
import urllib.error
import urllib.request

import psutil
import pytest

from spacerun.app import launch_detached, registry, restarts, supervise
from spacerun.app.restart import restart
from spacerun.app.restarts import GAVE_UP, Restarts
from spacerun.app.variables import app_environment
from spacerun.errors import AppCrashedError, MissingSecretError, NotFoundError, UsageError


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def pauses(crashes_after):
    """The pauses of an app that crashes so many seconds after each start."""
    clock = Clock()
    policy = Restarts(clock)
    found = []
    for seconds in crashes_after:
        clock.now += seconds
        found.append(policy.after_crash())
        clock.now += found[-1] or 0
    return found


def test_the_pause_doubles_up_to_a_minute():
    assert pauses([200] * 9) == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_five_crashes_within_ten_minutes_are_enough():
    assert pauses([1] * 5) == [1, 2, 4, 8, None]
    assert pauses([140] * 5) == [1, 2, 4, 8, None]


def test_a_long_life_starts_the_count_anew():
    assert pauses([1, 1, 1, 700, 1, 1, 1]) == [1, 2, 4, 1, 2, 4, 8]


def ask(record, path):
    with contextlib.suppress(OSError, urllib.error.HTTPError):
        urllib.request.urlopen(record.url + path, timeout=5).read()


def test_a_crash_after_it_answered_starts_it_again_and_says_why(space, foreground):
    app = space("relapsing", restart="on-failure")
    run = foreground(app)
    run.read_until("READY")
    first = registry.load(app.spec.id)
    ask(first, "/crash")
    assert run.read_until("WARNING") == "WARNING The app crashed (exit status 3). It is started again in 1 s."
    assert run.read_until("READY").split()[2] == first.url
    second = registry.load(app.spec.id)
    assert (second.status, second.restarts, second.reason) == ("running", 1, "The app crashed (exit status 3).")
    assert second.pid != first.pid
    assert run.lines.count("LINE a life begins") == 2
    run.process.send_signal(signal.SIGTERM)
    assert run.wait() == 130
    assert registry.load(app.spec.id).status == "stopped"
    assert app.leftovers() == []


def test_it_is_given_up_after_five_crashes(space, listener, monkeypatch):
    monkeypatch.setattr(restarts, "_FIRST_SECONDS", 0.01)
    app = space("relapsing", restart="on-failure")

    def crash(record):
        listener.ready.append(record)
        ask(record, "/crash")

    with pytest.raises(AppCrashedError) as caught:
        supervise(app.spec, app.environment, **{**listener.callbacks(), "on_ready": crash})
    assert caught.value.message == f"The app crashed (exit status 3). {GAVE_UP}"
    assert len(listener.ready) == 5
    assert len(listener.warnings) == 4
    record = registry.load(app.spec.id)
    assert (record.status, record.restarts, record.reason) == ("crashed", 4, caught.value.message)
    assert app.leftovers() == []


@pytest.mark.parametrize("how", ["never answered", "ended well", "not asked for"])
def test_otherwise_it_is_not_started_again(space, listener, how):
    app = {
        "never answered": lambda: space("crashes", restart="on-failure", STATUS=3),
        "ended well": lambda: space("relapsing", restart="on-failure", CRASH_AFTER=1, STATUS=0),
        "not asked for": lambda: space("relapsing", CRASH_AFTER=1),
    }[how]()
    with contextlib.nullcontext() if how == "ended well" else pytest.raises(AppCrashedError):
        supervise(app.spec, app.environment, **listener.callbacks())
    record = registry.load(app.spec.id)
    assert (record.restarts, record.status) == (0, "ended" if how == "ended well" else "crashed")


@pytest.mark.parametrize("how", ["signal", "stop", "restart"])
def test_the_pause_before_a_restart_can_be_cut_short(space, foreground, how, monkeypatch):
    app = space("relapsing", restart="on-failure")
    run = foreground(app)
    for _ in range(2):  # the second pause has two seconds
        run.read_until("READY")
        ask(registry.load(app.spec.id), "/crash")
        run.read_until("WARNING")
    began = time.monotonic()
    if how == "signal":
        run.process.send_signal(signal.SIGINT)
        assert run.wait() == 130
    elif how == "stop":
        assert registry.stop(registry.load(app.spec.id)).status == "stopped"
        assert run.wait() == 0
    else:
        registry.request_restart(app.spec.id)
        run.read_until("READY")
        run.process.terminate()
        run.wait()
    assert time.monotonic() - began < (1.5 if how != "restart" else 6)
    assert app.leftovers() == []
    assert registry.load(app.spec.id).status == "stopped"


def test_restart_keeps_name_port_log_and_the_secrets_of_a_running_app(detached, spacerun_home):
    _, first = detached("answers", SECRET="s3cr3t-value", LINE="hello")
    lines = []
    second = restart(first, token=None, given={}, on_line=lines.append)
    assert (second.id, second.url, second.restarts, second.status) == (first.id, first.url, 1, "running")
    assert second.pid != first.pid
    assert second.supervisor_pid == first.supervisor_pid
    assert lines == ["hello"]
    assert psutil.Process(second.pid).environ()["SECRET"] == "s3cr3t-value"
    assert not any(b"s3cr3t-value" in file.read_bytes() for file in spacerun_home.rglob("*") if file.is_file())
    with pytest.raises(UsageError, match="keeps the variables"):
        restart(second, token=None, given={"A": "1"})


def test_an_app_in_a_terminal_is_restarted_there(space, foreground):
    app = space("answers")
    run = foreground(app)
    run.read_until("READY")
    second = restart(registry.load(app.spec.id), token=None, given={})
    assert run.read_until("READY").split()[1] == str(second.pid)
    assert run.process.poll() is None


def test_a_restart_that_fails_is_told(detached):
    app, record = detached("relapsing", ONCE=1)
    with pytest.raises(AppCrashedError) as caught:
        restart(record, token=None, given={})
    assert caught.value.message == (
        f"{app.spec.id} was not started again. The app ended before it answered (exit status 5)."
    )
    assert caught.value.hint == f"Read its log: spacerun logs {app.spec.id}"
    assert registry.load(app.spec.id).status == "crashed"


def as_launched(space, program, **settings):
    """An app with variables as a launch makes them: its own, and what the user gave."""
    given = settings.pop("given", {})
    app = space(program)
    spec = type(app.spec)(**{**vars(app.spec), "own": app.environment, "given": tuple(sorted(given)), **settings})
    return app, spec, app_environment(spec.own, token=None, given=given)


def test_an_app_that_ended_is_started_detached_with_what_is_given_again(space, spacerun_home):
    app, spec, environment = as_launched(space, "answers", given={"KEY": "s3cr3t-value", "MODE": "x"})
    first = launch_detached(spec, environment)
    urllib.request.urlopen(first.url).read()  # what is left of this connection does not keep the port from it
    registry.stop(first)
    ended = registry.load(spec.id)
    assert ended.status == "stopped"
    with pytest.raises(MissingSecretError, match="was given KEY, MODE, of which only the names were kept"):
        restart(ended, token=None, given={"OTHER": "y"})
    with pytest.raises(MissingSecretError) as caught:
        restart(ended, token=None, given={"MODE": "x"})
    assert caught.value.hint == f"Give it again: spacerun restart {spec.id} --env KEY=…"
    again = restart(ended, token=None, given={"KEY": "s3cr3t-value", "MODE": "y"})
    variables = psutil.Process(again.pid).environ()
    assert (variables["KEY"], variables["MODE"]) == ("s3cr3t-value", "y")
    assert (again.id, again.url, again.status) == (ended.id, f"http://127.0.0.1:{spec.port}", "running")
    assert not any(b"s3cr3t-value" in file.read_bytes() for file in spacerun_home.rglob("*") if file.is_file())
    registry.stop(again)
    assert app.leftovers() == []


def test_what_an_app_ran_from_may_be_gone(space, tmp_path):
    _, spec, environment = as_launched(space, "answers", directory=str(tmp_path / "tree"))
    (tmp_path / "tree").mkdir()
    registry.stop(launch_detached(spec, environment))
    (tmp_path / "tree").rmdir()
    with pytest.raises(NotFoundError, match="is gone"):
        restart(registry.load(spec.id), token=None, given={})
    (registry.run_folder(spec.id) / "spec.json").write_text(json.dumps({"id": 1}))
    with pytest.raises(NotFoundError, match="not known any more"):
        restart(registry.load(spec.id), token=None, given={})


def test_its_port_may_be_taken(space, foreground):
    _, spec, environment = as_launched(space, "answers")
    registry.stop(launch_detached(spec, environment))
    other = space("answers", port=spec.port)
    foreground(other).read_until("READY")
    with pytest.raises(UsageError, match=f"Port {spec.port} is already in use"):
        restart(registry.load(spec.id), token=None, given={})
