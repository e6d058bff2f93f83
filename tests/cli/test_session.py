"""The envelope, the exit codes, and how a failure is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spacerun.cli.session import Session
from spacerun.errors import ExitCode, NoGpuError, SpacerunError


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACERUN_HOME", str(tmp_path))


def test_success_prints_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    with Session("list", as_json=True) as session:
        session.progress.warn("careful")
        session.print("for people only")
        session.emit({"items": []})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "schema": "spacerun.list/1", "ok": True, "data": {"items": []}, "warnings": ["careful"],
    }  # fmt: skip
    assert "careful" in captured.err


def test_a_failure_prints_the_error_envelope_and_exits_with_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left, Session("check-gpu", as_json=True):
        raise NoGpuError("No GPU.", hint="Rent one.", stage="check-gpu", data={"devices": []})
    assert left.value.code == 7
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["error"] == {
        "name": "no_gpu", "exit_code": 7, "message": "No GPU.", "hint": "Rent one.", "stage": "check-gpu",
    }  # fmt: skip
    assert (document["ok"], document["data"]) == (False, {"devices": []})
    assert "Rent one." in captured.err


def test_a_failure_after_the_document_adds_no_second_one(capsys: pytest.CaptureFixture[str]) -> None:
    session = Session("launch", as_json=True)
    session.emit({"url": "http://127.0.0.1:1"})
    with pytest.raises(SystemExit), session:
        raise NoGpuError("Later.")
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_ctrl_c_exits_130(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left, Session("launch", as_json=True):
        raise KeyboardInterrupt
    assert left.value.code == 130
    assert json.loads(capsys.readouterr().out)["error"]["name"] == "interrupted"


def test_ctrl_c_while_a_module_is_imported_exits_130() -> None:
    class Interrupted:
        def __set_name__(self, owner: type, name: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(SystemExit) as left, Session("launch", as_json=True):
        type("Column", (), {"cells": Interrupted()})
    assert left.value.code == 130


def test_a_bug_of_ours_writes_a_log_and_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left, Session("ps", as_json=True):
        {}["missing hf_abcdefgh1234"]
    assert left.value.code == 1
    captured = capsys.readouterr()
    error = json.loads(captured.out)["error"]
    assert error["name"] == "internal"
    log = Path(error["hint"].rpartition(" ")[2])
    assert log.parent == tmp_path / "cache" / "logs"
    text = log.read_text()
    assert "KeyError" in text
    assert "Traceback" in text
    assert "hf_abcdefgh1234" not in text
    assert "Traceback" not in captured.err


def test_hostile_text_in_a_failure_is_made_safe(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), Session("launch"):
        raise SpacerunError("title \x1b]0;owned\x07 \u202eevil [red]markup[/red]", hint="\x1b[2J")
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "\u202e" not in err
    assert "[red]markup[/red]" in err


def test_every_exit_code_has_the_number_of_the_contract() -> None:
    assert {code.name.lower(): int(code) for code in ExitCode} == {
        "ok": 0, "internal": 1, "usage": 2, "not_found": 3, "refused": 4, "fetch": 5, "environment": 6, "no_gpu": 7,
        "gpu_memory": 8, "app_crashed": 9, "timeout": 10, "share_failed": 11, "probe_failed": 12, "prerequisite": 13,
        "missing_secret": 14, "interrupted": 130,
    }  # fmt: skip


def test_a_reader_that_goes_away_is_no_failure(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)  # as `| head` does once it has enough
    command = [sys.executable, "-m", "spacerun", "check-gpu", "--ledger"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
