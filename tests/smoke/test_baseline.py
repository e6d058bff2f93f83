"""A run held against an earlier one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from spacerun.errors import ExitCode, UsageError
from spacerun.smoke.reports.baseline import Comparison, Receded, Slower, compare, describe, read_baseline
from tests.smoke.reports import fixture
from tests.smoke.reports.fixture import slowed

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.smoke.result import Result

HELLO = fixture.HELLO
NAME = HELLO.space
BROKEN = replace(fixture.CRASHED, space=NAME)
PARTIAL = replace(fixture.DIFFUSION, space=NAME)
NETWORK = replace(fixture.NETWORK, space=NAME)
NOT_RUN = replace(fixture.NOT_RUN, space=NAME)


def compared(before: Result, now: Result) -> Comparison:
    return compare(fixture.of(now), fixture.of(before))


@pytest.mark.parametrize("before", [HELLO, PARTIAL])
def test_what_was_sound_and_fails_is_newly_broken(before: Result) -> None:
    comparison = compared(before, BROKEN)
    assert comparison == Comparison(newly_broken=(NAME,))
    assert comparison.is_worse


@pytest.mark.parametrize("now", [HELLO, PARTIAL])
def test_what_failed_and_is_sound_is_mended(now: Result) -> None:
    comparison = compared(BROKEN, now)
    assert comparison == Comparison(mended=(NAME,))
    assert not comparison.is_worse


@pytest.mark.parametrize("other", [NETWORK, NOT_RUN])
@pytest.mark.parametrize("tested", [HELLO, PARTIAL, BROKEN])
def test_a_network_fault_or_a_test_not_run_is_compared_with_nothing(other: Result, tested: Result) -> None:
    assert compared(tested, other) == Comparison(not_comparable=(NAME,))
    assert compared(other, tested) == Comparison(not_comparable=(NAME,))


def test_what_still_fails_is_unchanged_however_long_it_takes() -> None:
    assert compared(BROKEN, slowed(BROKEN, 10)) == Comparison(unchanged=(NAME,))


def test_what_is_sound_but_not_proven_as_far_is_worse() -> None:
    comparison = compared(HELLO, PARTIAL)
    assert comparison == Comparison(proven_less=(Receded(NAME, "calls", "imports"),))
    assert comparison.is_worse


def test_what_is_proven_further_is_neither_worse_nor_slower() -> None:
    assert compared(PARTIAL, slowed(HELLO, 20)) == Comparison(unchanged=(NAME,))


def test_a_slower_one_names_the_stage_that_grew_most() -> None:
    now = replace(slowed(HELLO, 1), seconds=90.0, stages={**HELLO.stages, "environment": 60.0, "start": 21.0})
    assert compared(HELLO, now).slower == (Slower(NAME, 34.6, 90.0, "environment", 24.8, 60.0),)


def test_a_stage_that_was_not_there_before_counts_as_grown() -> None:
    now = replace(HELLO, seconds=90.0, stages={**HELLO.stages, "lfs": 50.0})
    assert compared(HELLO, now).slower == (Slower(NAME, 34.6, 90.0, "lfs", 0.0, 50.0),)


def test_a_slower_one_without_a_slower_stage_names_none() -> None:
    assert compared(HELLO, replace(HELLO, seconds=90.0)).slower == (Slower(NAME, 34.6, 90.0),)


@pytest.mark.parametrize(
    ("before", "now", "is_slower"),
    [
        (10.0, 15.0, False),  # not more than half as much again
        (10.0, 15.1, True),
        (1.0, 3.0, False),  # three times as long, but 2 s are noise
        (1.0, 3.1, True),
        (10.0, 2.0, False),
        (0.0, 2.5, True),
    ],
)
def test_growth_counts_from_half_as_much_again_and_two_seconds(before: float, now: float, *, is_slower: bool) -> None:
    comparison = compared(replace(HELLO, seconds=before), replace(HELLO, seconds=now))
    assert bool(comparison.slower) is is_slower


def test_new_and_gone_spaces_are_told() -> None:
    comparison = compare(fixture.of(HELLO, fixture.ANIME), fixture.of(HELLO, fixture.WHISPER))
    assert comparison == Comparison(unchanged=(NAME,), new=("akhaliq/AnimeGANv2",), gone=("Xenova/whisper-web",))


def test_each_space_of_both_runs_is_in_one_group() -> None:
    before = fixture.of(*(replace(result, ok=True, status="passed", proven="calls") for result in fixture.RESULTS[3:]))
    groups = compare(fixture.of(*fixture.RESULTS[:9]), before).to_json().values()
    spaces = [entry if isinstance(entry, str) else entry["space"] for group in groups for entry in group]
    assert sorted(spaces) == sorted(result.space for result in fixture.RESULTS)


def test_as_json_it_has_names_and_seconds() -> None:
    told = json.loads(json.dumps(compared(HELLO, slowed(HELLO, 2)).to_json()))
    assert told["slower"] == [
        {
            "space": NAME,
            "before_seconds": 34.6,
            "after_seconds": 69.2,
            "stage": "environment",
            "stage_before_seconds": 24.8,
            "stage_after_seconds": 49.6,
        }
    ]
    assert told["newly_broken"] == []


def test_people_are_told_the_worst_first() -> None:
    comparison = Comparison(
        newly_broken=("a/b", "c/d"),
        slower=(Slower("e/f", 10.0, 30.0, "start", 2.0, 20.0), Slower("g/h", 1.0, 4.0)),
        proven_less=(Receded("i/j", "calls", "imports"), Receded("k/l", "start", None)),
        mended=("m/n",),
        unchanged=("o/p",),
    )
    assert describe(comparison) == [
        ("Newly broken", ["a/b", "c/d"]),
        ("Not proven as far as before", ["i/j (to imports, before to calls)", "k/l (to nothing, before to start)"]),
        ("Slower", ["e/f (30 s, before 10 s; most of it start: 20 s, before 2 s)", "g/h (4 s, before 1 s)"]),
        ("Mended", ["m/n"]),
        ("Unchanged", ["1 Space"]),
    ]


def test_of_many_ten_are_named() -> None:
    ((_, entries),) = describe(Comparison(new=tuple(f"a/{number}" for number in range(25))))
    assert entries == [*(f"a/{number}" for number in range(10)), "and 15 more"]


def test_names_are_made_printable() -> None:
    ((_, entries),) = describe(Comparison(gone=("a/\x1b[31mb\n\u202ec",)))
    assert entries == ["a/b c"]


def envelope(**changes: Any) -> dict[str, Any]:
    data = fixture.of(*fixture.SOUND).to_json()
    return {"schema": "spacerun.smoke-test/1", "ok": False, "error": {}, "data": data, **changes}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "before.json"


def refusal(file: Path, content: str) -> UsageError:
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_baseline(file)
    assert caught.value.exit_code == ExitCode.USAGE
    assert str(file) in caught.value.message
    return caught.value


def test_what_the_command_wrote_is_read_back_whole(file: Path) -> None:
    file.write_text(json.dumps(envelope()), encoding="utf-8")
    assert read_baseline(file) == fixture.of(*fixture.SOUND)


def test_nothing_has_changed_since_oneself(file: Path) -> None:
    file.write_text(json.dumps(envelope()), encoding="utf-8")
    comparison = compare(fixture.of(*fixture.SOUND), read_baseline(file))
    assert len(comparison.unchanged) == len(fixture.SOUND) - 2
    assert comparison.not_comparable == ("openai/whisper", "argilla/argilla-template-space")


def test_fields_of_a_newer_version_are_passed_over_and_those_of_an_older_may_lack(file: Path) -> None:
    document = envelope()
    document["data"]["results"][0]["mood"] = "good"
    document["data"]["results"][0]["checks"][0]["mood"] = "good"
    del document["data"]["results"][0]["retries"], document["data"]["totals"], document["data"]["started_at"]
    file.write_text(json.dumps(document), encoding="utf-8")
    report = read_baseline(file)
    assert report.results == fixture.SOUND
    assert report.seconds == pytest.approx(sum(result.seconds for result in fixture.SOUND))


@pytest.mark.parametrize(
    "content",
    ["[1]", "3", json.dumps({"schema": "spacerun.launch/1", "data": {}}), json.dumps({"schema": 1}), "{}"],
)
def test_another_document_is_refused(file: Path, content: str) -> None:
    error = refusal(file, content)
    assert "is no result of a smoke test" in error.message
    assert "--json > before.json" in (error.hint or "")


@pytest.mark.parametrize("content", ["", "{", "<testsuites/>", "[" * 100_000])
def test_what_is_no_json_is_refused(file: Path, content: str) -> None:
    assert "is no JSON" in refusal(file, content).message


@pytest.mark.parametrize("schema", ["spacerun.smoke-test/2", "spacerun.smoke-test/10", "spacerun.smoke-test/"])
def test_another_major_number_is_refused(file: Path, schema: str) -> None:
    error = refusal(file, json.dumps(envelope(schema=schema)))
    assert f"has the schema {schema}; this spacerun reads spacerun.smoke-test/1" in error.message


@pytest.mark.parametrize(
    "change",
    [
        {"status": "splendid"},
        {"proven": "heaven"},
        {"proven": 4},
        {"seconds": "long"},
        {"seconds": None},
        {"space": ["a"]},
        {"stages": ["find"]},
        {"stages": {"find": {}}},
        {"checks": [1]},
        {"warnings": 1},
    ],
)
def test_a_damaged_result_is_refused(file: Path, change: dict[str, Any]) -> None:
    document = envelope()
    document["data"]["results"][0].update(change)
    assert "is damaged" in refusal(file, json.dumps(document)).message


def test_a_document_without_results_is_refused(file: Path) -> None:
    assert "is damaged" in refusal(file, json.dumps(envelope(data={}))).message
    assert "is damaged" in refusal(file, json.dumps(envelope(data=None))).message


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.json cannot be read: No such file or directory\."):
        read_baseline(tmp_path / "none.json")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        read_baseline(tmp_path)
