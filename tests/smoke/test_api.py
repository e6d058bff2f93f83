"""`spacerun.smoke_test`: the same as the command, for Python."""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING

import pytest

import spacerun
from spacerun.cli.smoke_test import smoke_test as command
from tests.smoke.test_smoke_test import static

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub import Hub

# What only a command has: where reports go, and how the terminal is used.
COMMANDS_OWN = {"from_", "junit", "html", "baseline", "json_output", "quiet", "verbose"}


@pytest.fixture(autouse=True)
def _home(shared_home: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACERUN_HOME", str(shared_home))
    monkeypatch.setenv("HF_HOME", str(shared_home.parent / "hf-home"))
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)


def test_spaces_are_tested_from_any_thread_and_results_come_one_by_one(hub: Hub, tmp_path: Path) -> None:
    hub.publish("owner/site", static())
    for name, content in static(**{"index.html": "<img src=gone.png>"}).items():
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    came: list[spacerun.Result] = []
    reports: list[spacerun.Report] = []

    def test() -> None:
        reports.append(spacerun.smoke_test("owner/site", tmp_path, jobs=2, on_result=came.append, progress=False))

    thread = threading.Thread(target=test)
    thread.start()
    thread.join(120)
    (report,) = reports
    assert [(row.space, row.ok, row.exit_code) for row in report.results] == [
        ("owner/site", True, 0),
        (str(tmp_path), False, 12),
    ]
    assert not report.ok
    assert "gone.png" in report.results[1].message
    assert {row.space for row in came} == {"owner/site", str(tmp_path)}


def test_calls_and_requirements_are_those_of_the_command(hub: Hub) -> None:
    hub.publish("owner/site", static())
    wanted = {"endpoint": "GET /more.html", "expect": "/More/"}
    report = spacerun.smoke_test("owner/site", calls=[wanted], require="calls", progress=False)
    assert report.ok, report.results
    assert [check.name for check in report.results[0].checks].count("call GET /more.html") == 1
    with pytest.raises(spacerun.UsageError):
        spacerun.smoke_test("owner/site", calls=[{"endpoint": "/x", "expected": 1}])
    with pytest.raises(spacerun.UsageError):
        spacerun.smoke_test("owner/site", jobs=0)
    with pytest.raises(spacerun.UsageError):
        spacerun.smoke_test()


def test_the_arguments_are_the_options_of_the_command() -> None:
    ours = set(inspect.signature(spacerun.smoke_test).parameters)
    theirs = set(inspect.signature(command).parameters) - COMMANDS_OWN
    renamed = {"call", "data", "expect"}  # in Python they are one: `calls`
    assert theirs - ours == renamed
    assert ours - theirs == {"calls", "on_result", "progress"}
