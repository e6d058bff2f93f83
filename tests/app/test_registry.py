"""The list of running apps survives everything."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from dataclasses import replace

import psutil
import pytest

from spacerun.app import allocate_port, new_id, ports, registry, release_port
from spacerun.app.spec import AppRecord
from spacerun.errors import NotFoundError, UsageError
from tests.app.conftest import free_port, wait_for


def record(app_id="alpaca-lora-0001", space="tloen/alpaca-lora", **changes) -> AppRecord:
    made = AppRecord(
        id=app_id,
        space=space,
        revision=None,
        sdk="gradio",
        status="running",
        pid=None,
        started=None,
        supervisor_pid=0,
        supervisor_started=0.0,
        port=7860,
        url=None,
        share_url=None,
        log="/x/app.log",
        exit_code=None,
        started_at="2026-01-01T00:00:00+00:00",
        directory="/x",
    )
    return replace(made, **changes)


@pytest.mark.parametrize("name", ["tloen/alpaca-lora", "/home/me/My Space!", "owner/" + "x" * 300, "..", "//"])
def test_ids_are_short_unique_folder_names(name):
    ids = {new_id(name) for _ in range(20)}
    assert len(ids) == 20
    for app_id in ids:
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}-[0-9a-f]{4}", app_id)
        assert registry.run_folder(app_id).is_dir()


def test_find_by_id_space_and_folder(tmp_path, monkeypatch):
    registry.save(record("a-0001", status="ended", started_at="2026-01-01T00:00:00+00:00"))
    registry.save(record("a-0002", status="ended", started_at="2026-01-02T00:00:00+00:00"))
    registry.save(record("b-0001", space=str(tmp_path)))
    assert registry.find("a-0001").id == "a-0001"
    assert registry.find("tloen/alpaca-lora").id == "a-0002"
    monkeypatch.chdir(tmp_path)
    assert registry.find(".", active=True).id == "b-0001"
    registry.save(record("a-0000"))
    assert registry.find("tloen/alpaca-lora").id == "a-0000"
    with pytest.raises(NotFoundError, match="no running app 'a-0001'"):
        registry.find("a-0001", active=True)
    registry.save(record("a-0003"))
    with pytest.raises(UsageError) as caught:
        registry.find("tloen/alpaca-lora")
    assert "a-0000, a-0003" in caught.value.hint


@pytest.mark.parametrize("content", ["", "{", "[]", '{"id": "x"}'])
def test_a_damaged_record_is_no_record(content):
    folder = registry.run_folder("x-0001")
    folder.mkdir(parents=True)
    (folder / "app.json").write_text(content)
    assert registry.records() == []
    assert registry.reap_orphans() == []


def test_alive_needs_the_creation_time_too():
    mine = psutil.Process().create_time()
    assert registry.alive(record(pid=os.getpid(), started=mine))
    assert not registry.alive(record(pid=os.getpid(), started=mine - 3600))
    assert not registry.alive(record(pid=None))


def test_old_ended_apps_are_forgotten_and_running_ones_kept():
    for number in range(30):
        registry.save(record(f"a-{number:04}", status="ended", started_at=f"2026-01-{number + 1:02}"))
    with registry.supervising("a-0000"):
        registry.save(record("a-0000"))
        registry.reap_orphans()
    assert [r.id for r in registry.records()] == ["a-0000", *(f"a-{number:04}" for number in range(10, 30))]


@pytest.mark.parametrize("when", ["starting", "running"])
def test_what_a_killed_supervisor_leaves_is_mended_by_the_next_command(space, foreground, when):
    app = space("worker") if when == "running" else space("silent")
    run = foreground(app)
    if when == "running":
        run.read_until("READY")
        noted = registry.run_folder(app.spec.id) / "descendants.json"
        wait_for(lambda: noted.exists() and len(app.noted_pids()) == 2 and len(json.loads(noted.read_text())) == 3)
    else:
        # The process is there a moment before the registry names it.
        wait_for(lambda: app.leftovers() and registry.load(app.spec.id).pid)
    pid = registry.load(app.spec.id).pid
    run.process.send_signal(signal.SIGKILL)
    run.wait()
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    assert [r.id for r in registry.reap_orphans()] == [app.spec.id]
    assert app.leftovers() == []
    assert registry.load(app.spec.id).status == "crashed"
    assert registry.reap_orphans() == []


def test_a_supervised_app_is_not_reaped(space, foreground):
    app = space("answers")
    run = foreground(app)
    run.read_until("READY")
    assert registry.supervised(registry.load(app.spec.id))
    assert registry.reap_orphans() == []
    assert run.process.poll() is None


def test_the_default_port_is_7860_and_the_next_one_for_the_next(monkeypatch):
    start = free_port()
    monkeypatch.setattr(ports, "DEFAULT_PORT", start)
    first = allocate_port("127.0.0.1", None)
    second = allocate_port("127.0.0.1", None)
    assert first < second  # reserved, although nobody listens yet
    release_port(first)
    assert allocate_port("127.0.0.1", None) == first


def test_a_reservation_ends_with_its_process():
    port = free_port()
    pid = os.fork()
    if pid == 0:
        allocate_port("127.0.0.1", port)
        os._exit(0)
    os.waitpid(pid, 0)
    assert allocate_port("127.0.0.1", port) == port


@pytest.mark.parametrize("holder_host", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_names_its_holder(holder_host):
    with socket.create_server((holder_host, 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(UsageError, match=rf"Port {port} is already in use by process {os.getpid()} "):
            allocate_port("127.0.0.1", port)


def test_a_port_in_time_wait_is_taken(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()
        client.recv(1)
        client.close()
    time.sleep(0.1)
    monkeypatch.setattr(ports, "DEFAULT_PORT", port)
    assert allocate_port("127.0.0.1", None) > port


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", 0), ("127.0.0.1", 70000), ("192.0.2.1", 7999), ("no.invalid", 7999)]
)
def test_what_is_no_address(host, port):
    with pytest.raises(UsageError) as caught:
        allocate_port(host, port)
    assert caught.value.hint


def test_the_port_of_a_starting_app_is_named_with_it(space, foreground):
    app = space("silent")
    run = foreground(app)
    wait_for(lambda: registry.load(app.spec.id))
    with pytest.raises(UsageError, match=rf"by the app {app.spec.id} \(owner/silent\)"):
        allocate_port("127.0.0.1", app.spec.port)
    run.process.terminate()
    run.wait()
    assert allocate_port("127.0.0.1", app.spec.port) == app.spec.port


def test_a_record_survives_json():
    one = record()
    assert AppRecord.from_json(json.loads(json.dumps(one.to_json()))) == one
