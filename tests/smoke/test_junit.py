"""JUnit XML, held against the schema of Jenkins' xUnit plugin and what other readers make of it.

`reports/junit-10.xsd` is that of the plugin (MIT licence, in it), as pytest has it among its tests.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
import xmlschema

from spacerun.smoke.reports.junit import write_junit
from spacerun.smoke.result import Check
from tests.smoke.reports import fixture

if TYPE_CHECKING:
    from spacerun.smoke.result import Report, Result

SCHEMA = Path(__file__).parent / "reports" / "junit-10.xsd"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "out" / "junit.xml"


def written(file: Path, *results: Result) -> ET.Element:
    write_junit(fixture.of(*results), file)
    return ET.parse(file).getroot()


def cases(suite: ET.Element) -> dict[str, ET.Element]:
    """By their names, without the Space."""
    return {case.get("name", "").rpartition(" (")[0]: case for case in suite.iter("testcase")}


@pytest.mark.parametrize(
    "report", [fixture.REPORT, fixture.of(), fixture.of(fixture.NOT_RUN), fixture.many(60)], ids=lambda _: ""
)
def test_it_is_valid_for_jenkins(file: Path, report: Report) -> None:
    write_junit(report, file)
    xmlschema.XMLSchema(str(SCHEMA)).validate(str(file))


def test_it_has_what_the_schema_of_ant_asks_for(file: Path) -> None:
    """What windyroad's JUnit.xsd, under which Azure and others validate, asks for beyond that of Jenkins."""
    root = written(file, *fixture.RESULTS)
    assert not root.attrib
    for number, suite in enumerate(root):
        assert suite.get("id") == str(number)
        assert suite.get("package")
        assert suite.get("hostname")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp", ""))
        for count in ("tests", "failures", "errors", "skipped"):
            assert int(suite.get(count, "")) >= 0
        assert float(suite.get("time", "")) >= 0
        tags = [child.tag for child in suite]
        assert tags == ["properties", *["testcase"] * (len(tags) - 3), "system-out", "system-err"]
        for case in suite.iter("testcase"):
            assert {"name", "classname", "time"} == set(case.attrib)
            assert len(case) <= 1
            assert all(child.get("type") for child in case if child.tag != "skipped")


def test_each_space_is_a_suite_that_counts_its_cases(file: Path) -> None:
    root = written(file, *fixture.SOUND)
    assert [suite.get("name") for suite in root] == [result.space for result in fixture.SOUND]
    for suite in root:
        assert suite.get("tests") == str(len(suite.findall("testcase")))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert suite.get(attribute) == str(len(suite.findall(f"testcase/{tag}")))


def test_a_sound_space_has_its_stages_and_checks_with_their_times(file: Path) -> None:
    (suite,) = written(file, fixture.HELLO)
    found = cases(suite)
    stages, checks = [*fixture.STAGES], ["answers", "page", "config", "example /predict", "log"]
    assert [*found] == [*(f"stage {name}" for name in stages), *(f"check {name}" for name in checks)]
    assert found["stage environment"].get("time") == "24.800"
    assert suite.get("time") == "34.600"
    assert not [case for case in found.values() if len(case)]


def test_a_failure_says_first_what_is_wrong_then_what_helps_then_the_log(file: Path) -> None:
    """GitLab passes over the attribute `message`, so that the text has it too."""
    (suite,) = written(file, fixture.CRASHED)
    failure = cases(suite)["stage start"].find("failure")
    assert failure is not None
    assert failure.attrib == {"type": "start", "message": "The app ended with status 1 before it answered."}
    lines = (failure.text or "").splitlines()
    assert lines[0] == failure.get("message")
    assert lines[2] == fixture.CRASHED.hint
    assert lines[3:] == list(fixture.TRACEBACK)


def test_checks_that_failed_stand_for_their_stage(file: Path) -> None:
    (suite,) = written(file, fixture.BROKEN_PAGE)
    found = cases(suite)
    assert "stage probe" not in found
    assert [name for name, case in found.items() if case.find("failure") is not None] == ["check api", "check log"]
    assert found["check examples"].find("skipped") is not None


def test_a_crash_after_a_failed_check_is_told_as_well(file: Path) -> None:
    (suite,) = written(file, replace(fixture.CRASHED, checks=(Check("card", ok=False, detail="no sdk"),)))
    assert [name for name, case in cases(suite).items() if len(case)] == ["stage start", "check card"]


def test_a_failure_of_no_stage_and_no_check_is_still_a_failure(file: Path) -> None:
    (suite,) = written(file, replace(fixture.CRASHED, stage=None))
    assert suite.get("failures") == "1"
    assert cases(suite)["smoke test"].find("failure") is not None


def test_a_network_fault_is_an_error_and_no_failure(file: Path) -> None:
    (suite,) = written(file, fixture.NETWORK)
    error = cases(suite)["stage clone"].find("error")
    assert error is not None
    assert error.get("type") == "network"
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")


def test_levels_that_were_not_reached_are_skipped_with_the_reason(file: Path) -> None:
    (suite,) = written(file, fixture.DIFFUSION)
    skipped = {name: case.find("skipped") for name, case in cases(suite).items() if len(case)}
    assert [*skipped] == ["level start", "level calls"]
    assert {element.get("message") for element in skipped.values() if element is not None} == {fixture.NO_GPU}


def test_a_space_that_was_not_run_is_skipped(file: Path) -> None:
    (suite,) = written(file, fixture.NOT_RUN)
    (case,) = suite.iter("testcase")
    assert case.find("skipped") is not None


def test_properties_tell_revision_sdk_level_and_memory(file: Path) -> None:
    (suite,) = written(file, fixture.CAPTIONS)
    assert {one.get("name"): one.get("value") for one in suite.iter("property")} == {
        "revision": fixture.CAPTIONS.revision,
        "sdk": "streamlit 1.41.1",
        "proven": "start",
        "status": "passed",
        "exit_code": "0",
        "gpus": "NVIDIA L4",
        "expected_gpu_bytes": "9663676416",
        "peak_gpu_bytes": "8912896000",
    }


def test_outputs_have_the_end_of_the_log_and_the_remarks(file: Path) -> None:
    crashed, retried = written(file, fixture.CRASHED, fixture.ANIME)
    assert (crashed.findtext("system-out") or "").splitlines() == [
        *fixture.TRACEBACK,
        "The whole log: /tmp/report/facebook--MusicGen/app.log",
    ]
    assert (retried.findtext("system-err") or "").splitlines() == [
        f"warning: {fixture.ANIME.warnings[0]}",
        f"tried again: {fixture.ANIME.retries[0]}",
    ]


def test_a_case_names_its_space_and_its_class_has_no_dot(file: Path) -> None:
    """GitLab shows the name alone beside a merge request; Jenkins cuts a class at its last dot."""
    (suite,) = written(file, replace(fixture.HELLO, space="stabilityai/stable-diffusion-3.5-large"))
    for case in suite.iter("testcase"):
        assert case.get("name", "").endswith(" (stabilityai/stable-diffusion-3.5-large)")
        assert case.get("classname") == "stabilityai/stable-diffusion-3_5-large"


def test_cases_of_one_name_are_told_apart(file: Path) -> None:
    (suite,) = written(file, replace(fixture.HELLO, checks=(fixture.EXAMPLE, fixture.EXAMPLE, fixture.EXAMPLE)))
    assert [*cases(suite)][-3:] == [f"check example /predict{number}" for number in ("", " 2", " 3")]


def test_what_xml_cannot_say_is_gone_and_the_rest_is_as_it_was(file: Path) -> None:
    write_junit(fixture.of(fixture.HOSTILE), file)
    text = file.read_text(encoding="utf-8")  # strictly: no lone surrogate is in it
    assert not re.search("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    output = ET.fromstring(text.encode()).findtext("testsuite/system-out") or ""
    assert "]]> &amp; &lt;" in output
    assert "<script>alert(1)</script>" in output
    assert "right ot left, \ufffd\ufffd, \ufffd alone" in output
    assert "hf_abcdefgh" not in output


def test_giant_logs_are_cut_to_their_end(file: Path) -> None:
    giant = tuple(f"{number} {'x' * 1_000_000}" for number in range(20)) + ("the last line",) * 10_000
    began = time.monotonic()
    (suite,) = written(file, replace(fixture.CRASHED, tail=giant, log=None))
    assert (suite.findtext("system-out") or "").endswith("the last line")
    assert file.stat().st_size < 200_000
    assert time.monotonic() - began < 5


def test_a_start_without_a_time_gets_one(file: Path) -> None:
    (suite,) = written(file, replace(fixture.NOT_RUN, started_at=""))
    assert suite.get("timestamp") == "2026-03-02T08:15:00"  # the run's
