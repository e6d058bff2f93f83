"""An app from its start to its end: what is reported, and that nothing is left."""

from __future__ import annotations

import json
import resource
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from spacerun.app import registry, supervise
from spacerun.errors import AppCrashedError, AppTimeoutError, ProbeError
from tests.app.conftest import free_port, wait_for


def test_an_app_that_answers_is_reported_once_and_ends_with_its_own_status(space, listener):
    app = space("answers", LINE="hello \x1b[31mred", SECONDS=3, STATUS=7)
    with pytest.raises(AppCrashedError, match=r"The app crashed \(exit status 7\)") as caught:
        supervise(app.spec, app.environment, **listener.callbacks())
    assert caught.value.data["exit_status"] == 7
    assert caught.value.hint.splitlines()[-1] == "hello red"
    (ready,) = listener.ready
    assert ready.url == f"http://127.0.0.1:{app.spec.port}"
    assert (ready.status, ready.port, ready.share_url) == ("running", app.spec.port, None)
    assert listener.answers == [replace(ready, ready=False)]
    assert listener.lines == ["hello red"]
    assert listener.warnings == []
    record = registry.load(app.spec.id)
    assert (record.status, record.exit_code, record.reason) == ("crashed", 7, "The app crashed (exit status 7).")
    assert app.leftovers() == []


def test_an_app_that_ends_by_itself_with_zero(space, listener):
    app = space("answers", SECONDS=2)
    supervise(app.spec, app.environment, **listener.callbacks())
    record = registry.load(app.spec.id)
    assert (record.status, record.exit_code, record.reason) == ("ended", 0, None)


def test_the_app_is_in_a_session_of_its_own_with_closed_stdin_and_the_folder_asked_for(space, foreground, tmp_path):
    app = space("answers")
    run = foreground(app)
    pid = int(run.read_until("READY").split()[1])
    assert pid == registry.load(app.spec.id).pid
    assert psutil.Process(pid).cwd() == str(tmp_path)
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert (int(fields[2]), int(fields[3])) == (pid, pid)  # its own group, its own session
    assert psutil.Process(pid).environ()["PORT"] == str(app.spec.port)
    assert str(Path(f"/proc/{pid}/fd/0").readlink()) == "/dev/null"


def test_another_port_than_asked_is_found_and_said(space, foreground):
    other = free_port()
    app = space("other_port", OTHER_PORT=other)
    run = foreground(app)
    warning = run.read_until("WARNING")
    told = f"WARNING The app listens on port {other}, not on {app.spec.port} as asked: other_port.py"
    assert warning.startswith(told)
    assert run.read_until("READY").split()[2] == f"http://127.0.0.1:{other}"
    assert registry.load(app.spec.id).port == other


def test_the_port_asked_for_is_preferred_to_one_that_opens_first(space, foreground):
    app = space("two_ports")
    run = foreground(app)
    assert run.read_until("READY").split()[2] == f"http://127.0.0.1:{app.spec.port}"


def test_a_foreign_server_on_the_port_is_not_taken_for_the_app(space, foreground, listener):
    other = free_port()
    foreign = space("answers")
    foreign_run = foreground(foreign)
    foreign_run.read_until("READY")
    silent = space("silent", port=foreign.spec.port, timeout_seconds=2.0)
    with pytest.raises(AppTimeoutError):
        supervise(silent.spec, silent.environment, **listener.callbacks())
    app = space("other_port", port=foreign.spec.port, OTHER_PORT=other)
    assert foreground(app).read_until("READY").split()[2] == f"http://127.0.0.1:{other}"


def test_an_app_open_to_the_network_is_said_to_be(space, foreground):
    app = space("answers", HOST="0.0.0.0")
    run = foreground(app)
    assert "whoever can reach this machine can use it" in run.read_until("WARNING")
    assert run.read_until("READY").split()[2] == f"http://127.0.0.1:{app.spec.port}"


def test_an_app_that_never_answers(space, listener):
    app = space("silent", timeout_seconds=1.5)
    with pytest.raises(AppTimeoutError, match=r"did not answer within 2 s\. It listens on no port") as caught:
        supervise(app.spec, app.environment, **listener.callbacks())
    assert f"spacerun logs {app.spec.id}" in caught.value.hint
    assert registry.load(app.spec.id).status == "failed"
    assert app.leftovers() == []


@pytest.mark.parametrize("growing", ["log", "folder"])
def test_the_clock_stands_still_while_something_grows(space, listener, tmp_path, growing):
    watched = tmp_path / "cache"
    watched.mkdir()
    how = {"CHATTER": 1} if growing == "log" else {"GROW": watched / "model.incomplete"}
    app = space("silent", timeout_seconds=1.0, watch=(str(watched),), BUSY_SECONDS=4, **how)
    began = time.monotonic()
    with pytest.raises(AppTimeoutError):
        supervise(app.spec, app.environment, **listener.callbacks())
    assert 4 < time.monotonic() - began < 9


@pytest.mark.parametrize(
    ("settings", "how"),
    [
        ({"STATUS": 1}, "exit status 1"),
        ({"STATUS": 0}, "exit status 0"),
        ({"SIGNAL": 9}, "killed by SIGKILL, most often the kernel's answer to memory running out"),
        ({"SIGNAL": 11}, "killed by SIGSEGV"),
    ],
)
def test_an_app_that_ends_at_once_is_explained_by_its_last_lines(space, listener, settings, how):
    app = space("crashes", **settings)
    with pytest.raises(AppCrashedError) as caught:
        supervise(app.spec, app.environment, **listener.callbacks())
    assert how in caught.value.message
    last = "line 29" if "SIGNAL" in settings else "ImportError: cannot import name 'HfFolder' red"
    assert caught.value.hint.splitlines()[0] == "Its last lines:"
    assert caught.value.hint.splitlines()[-1] == last
    assert len(caught.value.hint.splitlines()) == 16
    assert caught.value.stage == "start"
    assert registry.load(app.spec.id).status == "crashed"


def test_an_interpreter_that_is_not_there(space, listener):
    app = space("answers", command=("/nowhere/python", "app.py"))
    with pytest.raises(AppCrashedError):
        supervise(app.spec, app.environment, **listener.callbacks())
    assert registry.load(app.spec.id).status == "crashed"


def test_a_folder_that_is_not_there(space, listener):
    app = space("answers", directory="/nowhere")
    with pytest.raises(AppCrashedError, match="could not be started"):
        supervise(app.spec, app.environment, **listener.callbacks())


def test_a_page_that_is_only_an_error_is_not_an_answer(space, listener, monkeypatch):
    monkeypatch.setattr("spacerun.app.readiness._ERROR_PAGE_SECONDS", 2.0)
    app = space("error_page", timeout_seconds=60.0)
    with pytest.raises(ProbeError, match="answers 500") as caught:
        supervise(app.spec, app.environment, **listener.callbacks())
    assert "TypeError: unhashable type: 'dict'" in caught.value.hint
    assert app.leftovers() == []


def test_requests_of_ours_that_the_app_logs_do_not_stop_the_clock(space, listener):
    app = space("error_page", timeout_seconds=3.0)
    with pytest.raises(AppTimeoutError, match=rf"It listens on 127\.0\.0\.1:{app.spec.port}"):
        supervise(app.spec, app.environment, **listener.callbacks())


@pytest.mark.parametrize("clear", [False, True])
def test_a_daemon_is_found_watched_and_ended(space, foreground, clear):
    app = space("daemon", **({"CLEAR": 1} if clear else {}))
    run = foreground(app)
    pid = int(run.read_until("READY").split()[1])
    assert app.noted_pids() == [pid]
    time.sleep(1.5)
    assert run.process.poll() is None
    run.process.send_signal(signal.SIGTERM)
    assert run.wait() == 130
    assert app.leftovers() == []
    assert registry.load(app.spec.id).status == "stopped"


def test_a_daemon_that_ends_by_itself_ends_the_run(space, foreground):
    app = space("daemon")
    run = foreground(app)
    psutil.Process(int(run.read_until("READY").split()[1])).kill()
    run.read_until("ENDED")
    assert run.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_even_an_orphan_without_a_trace(space, foreground, number):
    app = space("worker")
    run = foreground(app)
    run.read_until("READY")
    assert len(wait_for(lambda: len(app.noted_pids()) == 2 and app.noted_pids())) == 2
    assert len(app.leftovers()) == 3
    run.process.send_signal(number)
    assert run.wait() == 130
    assert app.leftovers() == []
    record = registry.load(app.spec.id)
    assert (record.status, record.exit_code) == ("stopped", 143)


def test_a_signal_during_the_start(space, foreground):
    app = space("silent", LINE="x")
    run = foreground(app)
    wait_for(app.leftovers)
    run.process.send_signal(signal.SIGINT)
    assert run.wait() == 130
    assert app.leftovers() == []


def test_an_app_that_ignores_sigterm_is_killed_after_the_grace(space, foreground):
    app = space("stubborn")
    run = foreground(app)
    run.read_until("READY")
    assert len(app.leftovers()) == 2
    began = time.monotonic()
    run.process.send_signal(signal.SIGTERM)
    assert run.wait() == 130
    assert 4.5 < time.monotonic() - began < 9
    assert app.leftovers() == []


def test_a_second_signal_kills_at_once(space, foreground):
    app = space("stubborn")
    run = foreground(app)
    run.read_until("READY")
    began = time.monotonic()
    run.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    run.process.send_signal(signal.SIGINT)
    assert run.wait() == 130
    assert time.monotonic() - began < 3
    assert app.leftovers() == []


@pytest.mark.slow
def test_a_flooding_app_costs_bounded_disk_and_memory(space):
    app = space("flood", MEGABYTES=60)
    longest, count, ready = [0], [0], []

    def on_line(line):
        longest[0] = max(longest[0], len(line))
        count[0] += 1

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    supervise(app.spec, app.environment, on_line=on_line, on_ready=ready.append, on_warning=print)
    assert len(ready) == 1
    assert count[0] >= 60 * 50_000
    assert longest[0] <= 16 * 2**10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # KiB; the log has 60 MB
    folder = registry.run_folder(app.spec.id)
    sizes = [file.stat().st_size for file in (folder / "app.log", folder / "app.log.1")]
    assert all(size <= 20 * 2**20 for size in sizes)
    assert sum(sizes) > 20 * 2**20
    assert (folder / "app.log").read_bytes().endswith(b"y" * 100_000)


def test_a_listener_that_fails_ends_the_app(space, listener):
    def broken(_line):
        raise BrokenPipeError

    app = space("answers", LINE="hello")
    with pytest.raises(BrokenPipeError):
        supervise(app.spec, app.environment, **{**listener.callbacks(), "on_line": broken})
    assert app.leftovers() == []


def test_secrets_of_the_environment_are_not_written(space, listener, spacerun_home):
    app = space("answers", SECONDS=2, SECRET="s3cr3t-value")
    supervise(app.spec, app.environment, **listener.callbacks())
    files = [file for file in spacerun_home.rglob("*") if file.is_file()]
    assert files
    assert not any(b"s3cr3t-value" in file.read_bytes() for file in files)


def test_it_can_run_in_a_thread(space, listener):
    app = space("answers", SECONDS=3)
    thread = threading.Thread(target=supervise, args=(app.spec, app.environment), kwargs=listener.callbacks())
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert len(listener.ready) == 1


def test_a_spec_survives_json(space):
    spec = replace(space("answers").spec, watch=("/a", "/b"))
    assert type(spec).from_json(json.loads(json.dumps(spec.to_json()))) == spec
