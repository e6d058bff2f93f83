"""`spacerun ps`: what the apps take of the machine, and `spacerun open`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from spacerun.app import browser, health, registry
from spacerun.app.health import survey
from spacerun.cli.open import open_
from spacerun.cli.ps import ps
from spacerun.text import size
from tests import fake_nvml
from tests.app.conftest import free_port, wait_for
from tests.fake_nvml import Gpu, Process

GPU = "GPU-11111111-2222-3333-4444-555555555555"


@pytest.fixture
def running(space, foreground):
    """Start an app, and give it with its record."""

    def start(program="answers", **settings):
        app = space(program, **settings)
        foreground(app).read_until("READY")
        return app, registry.load(app.spec.id)

    return start


def ps_as_command(gpus=(), *arguments):
    variables = fake_nvml.environment(fake_nvml.shared_folder(), gpus)
    done = subprocess.run(
        [sys.executable, "-m", "spacerun", "ps", "--json", *arguments],
        env=os.environ | variables,
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)["data"]["apps"]


def test_the_gpu_memory_of_all_processes_of_an_app(running):
    app, _ = running("three_processes", gpus=(GPU,), CONTROLLER_PORT=free_port())
    wait_for(lambda: len(app.leftovers()) == 4)
    mine = app.leftovers()
    holders = [Process(mine[0], 3000), Process(mine[1], 500), Process(os.getpid(), 7000)]
    (shown,) = ps_as_command([Gpu(uuid=GPU, processes=holders)])
    assert shown["gpu_memory_bytes"] == 3500 * 2**20


@pytest.mark.parametrize(
    ("holders", "first_namespace", "expected"),
    [
        ([], True, None),  # a container, or nobody: that it is nobody cannot be told
        ([Process(1, 7000)], True, 0),
        ([Process(1, 7000)], False, None),  # the driver's ids are the host's
        ([Process(0, None)], True, None),  # WSL
    ],
)
def test_what_the_driver_does_not_tell_stays_open(running, monkeypatch, holders, first_namespace, expected):
    app, record = running(gpus=(GPU,))
    own = registry.processes_of(record)[0].pid
    held = {own if holder.used_mib is None else holder.pid: holder.used_mib for holder in holders}
    monkeypatch.setattr(health, "metering", lambda _: Meter(held))
    monkeypatch.setattr(health, "_has_drivers_ids", lambda: first_namespace)
    (shown,) = survey([record])
    assert shown.gpu_memory_bytes == expected
    assert app.spec.gpus == (GPU,)


class Meter:
    """Stands for `metering`, and for the meter that it gives."""

    def __init__(self, held):
        self._held = held

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def held(self):
        return self._held


def test_the_use_of_the_cpu_now(running):
    _, busy = running("relapsing", BURN=1)
    _, lazy = running("answers")
    # Of one core it gets what others leave it.
    assert wait_for(lambda: 20 < survey([busy])[0].cpu_percent < 200)
    assert survey([lazy])[0].cpu_percent < 20


def test_a_page_behind_a_password_answers(running):
    _, record = running("relapsing", LATER_STATUS=401)
    assert survey([record])[0].health == "answers"


def test_an_error_page_is_no_answer(running):
    _, record = running("relapsing", LATER_STATUS=500)
    assert survey([record])[0].health == "silent"


def test_ended_apps_are_shown_on_request(running, capsys):
    app, record = running()
    psutil.Process(record.pid).kill()
    wait_for(lambda: not registry.supervised(record))
    ps(json_output=True)
    assert json.loads(capsys.readouterr().out)["data"]["apps"] == []
    ps(everything=True, json_output=True)
    (shown,) = json.loads(capsys.readouterr().out)["data"]["apps"]
    assert (shown["id"], shown["status"], shown["health"], shown["exit_code"]) == (app.spec.id, "crashed", None, 137)
    ps(everything=True)
    told = capsys.readouterr().out
    assert "crashed (137)" in told
    assert f"{app.spec.id}: The app crashed (killed by SIGKILL" in told


def test_people_see_all_columns(running, capsys):
    _, record = running(gpus=())
    ps()
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "SPACE", "URL", "SHARE", "PID", "UP", "CPU", "MEMORY", "GPU", "MEMORY", "HEALTH"]
    (shown,) = survey([record])
    assert row.split()[:5] == [record.id, record.space, record.url, "—", str(record.pid)]
    assert row.split()[-2:] == ["—", "answers"]
    assert size(shown.memory_bytes).split()[1] in row


class Browser:
    """Stands for the user's."""

    def __init__(self, monkeypatch, tmp_path):
        self.file = tmp_path / "opened"
        program = tmp_path / "browser"
        program.write_text(f'#!/bin/sh\necho "$1" >> {self.file}\n')
        program.chmod(0o755)
        monkeypatch.setenv("BROWSER", str(program))

    def opened(self):
        return wait_for(lambda: self.file.exists() and self.file.read_text().split())


def test_open_takes_the_browser(running, monkeypatch, tmp_path, capsys):
    _, record = running()
    user = Browser(monkeypatch, tmp_path)
    open_(record.id, json_output=True)
    assert json.loads(capsys.readouterr().out)["data"] == {"id": record.id, "url": record.url, "opened": True}
    assert user.opened() == [record.url]
    registry.save(replace(record, share_url="https://x.gradio.live"))
    open_(record.space, public=True)
    assert capsys.readouterr().out == "Opened https://x.gradio.live\n"
    assert wait_for(lambda: len(user.opened()) == 2)


def test_open_prints_the_address_where_there_is_no_browser(running, monkeypatch, capsys):
    _, record = running()
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(browser.sys, "platform", "linux")
    open_(record.id)
    assert capsys.readouterr().out == f"{record.url}\n"


@pytest.mark.parametrize(("public", "why"), [(True, "has no public link"), (False, "does not answer yet")])
def test_open_says_what_there_is_not(running, capsys, public, why):
    _, record = running()
    if not public:
        registry.save(replace(record, url=None))
    with pytest.raises(SystemExit) as ended:
        open_(record.id, public=public)
    assert ended.value.code == 3
    assert f"{record.id} {why}." in capsys.readouterr().err
