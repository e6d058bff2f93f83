"""Known breakages: each has a log that it explains, none fits a log of an app that was well."""

from __future__ import annotations

import importlib
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from spacerun.diagnosis import explain, known
from spacerun.errors import AppCrashedError, PackagesError
from tests.diagnosis.healthy import healthy_logs
from tests.diagnosis.provoke import FIXTURES, PROVOCATIONS

if TYPE_CHECKING:
    from pathlib import Path


def toml(path: Path) -> dict[str, Any]:
    parser = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    return parser.loads(path.read_text())


SOURCES = toml(FIXTURES / "sources.toml")
EXPECTED = {p.name: p.finds for p in PROVOCATIONS} | {name: entry["finds"] for name, entry in SOURCES.items()}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_each_recorded_log_is_explained_by_its_breakage(name: str) -> None:
    findings = explain((FIXTURES / f"{name}.log").read_text().splitlines())
    assert findings[0].id == EXPECTED[name]
    assert "(unknown" not in findings[0].cause + findings[0].remedy


def test_at_least_thirty_breakages_are_known_each_with_a_log_and_an_origin() -> None:
    assert len(known()) >= 30
    assert {breakage.id for breakage in known()} == set(EXPECTED.values())
    assert {path.stem for path in FIXTURES.glob("*.log")} == set(EXPECTED)
    assert all(entry["source"] for entry in SOURCES.values())
    assert len({p.finds for p in PROVOCATIONS}) >= 12
    assert all(breakage.source.startswith("https://") for breakage in known())


def test_two_hundred_healthy_logs_match_nothing() -> None:
    logs = healthy_logs()
    assert len(logs) >= 200
    assert {name: [f.id for f in found] for name, log in logs.items() if (found := explain(log.splitlines()))} == {}


def test_text_about_an_error_is_not_the_error() -> None:
    talk = [
        "INFO: if you see ModuleNotFoundError: No module named 'pkg_resources', upgrade setuptools",
        "Fixed ImportError: cannot import name 'HfFolder' from 'huggingface_hub' in 4.44.2",
        "# RuntimeError: CUDA error: no kernel image is available for execution on the device",
        "caught CUDA out of memory. Tried to allocate 2.00 MiB, falling back to CPU",
    ]
    assert explain(talk) == ()


def test_the_telling_finding_goes_before_the_general_one() -> None:
    log = (FIXTURES / "gradio-3.50.2.log").read_text().splitlines()
    assert [finding.id for finding in explain(log)] == ["template-response"]
    assert [finding.id for finding in explain(log[-1:])] == ["localhost"]


def test_what_uv_said_and_the_failure_itself_count_as_well() -> None:
    said = (FIXTURES / "flash-attn.log").read_text()
    assert explain([], PackagesError("It failed.", data={"uv": said}))[0].id == "build-needs-torch"
    broken = AppCrashedError("The app ended before it answered (killed by SIGKILL, most often …).")
    assert explain([], broken)[0].id == "killed"


def test_the_missing_module_is_named() -> None:
    finding = explain(["ModuleNotFoundError: No module named 'cv2.aruco'"])[0]
    assert finding.module == "cv2"
    assert "cv2" in finding.cause


def test_a_traceback_in_an_exception_group_is_understood() -> None:
    assert explain(["  |   | ModuleNotFoundError: No module named 'distutils'"])[0].id == "distutils"


def test_hostile_text_neither_takes_long_nor_gets_through() -> None:
    hostile = [
        "ImportError: " + "lib" * 100_000,
        "a" * 1_000_000,
        "Because " + "and you require x " * 50_000,
        "ModuleNotFoundError: No module named 'x" + "\x1b[31m" + "'",
        "ValueError: You must " + "API " * 100_000,
    ] * 40
    began = time.monotonic()
    findings = explain(hostile)
    assert time.monotonic() - began < 2
    assert all("\x1b" not in finding.cause for finding in findings)
