"""The report of a smoke test on terminals, in pipes and in logs of CI services."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from spacerun.smoke.reports.baseline import Comparison, Slower
from spacerun.smoke.reports.terminal import line, table
from spacerun.smoke.result import Check, Report, Result
from tests.smoke.reports import fixture


def shown(report: Report, width: int = 80, baseline: Comparison | None = None, *, terminal: bool = False) -> str:
    file = io.StringIO()
    Console(file=file, width=width, force_terminal=terminal, highlight=False, _environ={}).print(
        table(report, baseline)
    )
    return file.getvalue()


def rows(text: str) -> list[str]:
    return text.partition("\n\n")[0].splitlines()


def block(text: str, space: str) -> list[str]:
    """What stands under the heading of a Space that failed."""
    return next(part.splitlines()[1:] for part in text.split("\n\n") if part.startswith(f"✗ {space} failed"))


@pytest.mark.parametrize("width", [80, 120, 200])
def test_each_space_has_a_row_with_result_sdk_level_and_seconds(width: int) -> None:
    told = rows(shown(fixture.of(*fixture.SOUND), width))
    assert told[0].split() == ["Result", "Space", "SDK", "Proven", "to", "Seconds"]
    passed = next(row for row in told if "gradio/hello_world" in row)
    assert passed.split() == ["✓", "passed", "gradio/hello_world", "gradio", "5.49.1", "calls", "34.6"]
    failed = next(row for row in told if "facebook/MusicGen" in row)
    assert failed.split() == ["✗", "failed", "facebook/MusicGen", "gradio", "4.19.2", "environment", "61.3"]
    assert sum(not row.startswith(" ") for row in told) == 1 + len(fixture.SOUND)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_output_or_ends_in_blanks(width: int) -> None:
    for told in shown(fixture.REPORT, width).splitlines():
        assert cell_len(told) <= width
        assert told == told.rstrip()


def test_a_name_without_room_keeps_its_beginning_and_its_end() -> None:
    told = "\n".join(rows(shown(fixture.of(*fixture.SOUND), 80)))
    assert "stabilityai/st…usion-3-medium" in told


def test_partial_is_no_pass_and_says_how_far_and_why() -> None:
    told = rows(shown(fixture.of(fixture.HELLO, fixture.DIFFUSION)))
    assert told[2].startswith("◐ partial  stabilityai/")
    assert told[3] == f"  proven to imports: {fixture.NO_GPU}"


def test_the_stage_that_failed_is_told_in_the_table() -> None:
    told = rows(shown(fixture.of(fixture.HELLO, fixture.CRASHED)))
    assert told[3] == "  at start: The app ended with status 1 before it answered."


def test_a_failed_space_has_a_block_with_cause_next_command_log_and_its_place() -> None:
    told = block(shown(fixture.of(fixture.HELLO, fixture.CRASHED), 120), "facebook/MusicGen")
    assert told == [
        "  The app ended with status 1 before it answered.",
        "  huggingface_hub 1.0 removed HfFolder, which Gradio 4.9 to 5.7 imports: take huggingface_hub below 1.0",
        "  → spacerun launch facebook/MusicGen --with 'huggingface_hub<1'",
        *(f"  │ {text}" for text in fixture.TRACEBACK),
        "  log: /tmp/report/facebook--MusicGen/app.log",
    ]


def test_the_checks_that_failed_are_told_but_not_the_one_of_the_message_again() -> None:
    told = block(shown(fixture.of(fixture.HELLO, fixture.BROKEN_PAGE)), "multimodalart/latentdiffusion")
    assert told[:2] == [
        "  api: /info answers HTTP 500 (1 more checks failed)",
        "  ✗ log: TypeError: argument of type 'bool' is not iterable",
    ]


def test_no_more_than_eight_lines_of_a_log_are_shown_and_they_are_the_last() -> None:
    long = replace(fixture.CRASHED, tail=tuple(f"line {number}" for number in range(100)))
    told = block(shown(fixture.of(fixture.HELLO, long)), "facebook/MusicGen")
    assert [text for text in told if "│" in text] == [f"  │ line {number}" for number in range(92, 100)]


def test_totals_are_the_last_line() -> None:
    assert shown(fixture.REPORT, 120).splitlines()[-1] == (
        "5 passed, 1 proven to imports, 4 failed, 1 network fault, 1 not run, in 3 min 12 s"
    )


def test_levels_and_faults_are_counted_apart() -> None:
    built = replace(fixture.DIFFUSION, proven="environment")
    report = fixture.of(fixture.DIFFUSION, built, built, fixture.NETWORK, fixture.NETWORK, seconds=8.25)
    assert shown(report, 120).splitlines()[-1] == (
        "1 proven to imports, 2 proven to environment, 2 network faults, in 8.2 s"
    )


def test_an_interrupted_run_says_so() -> None:
    report = fixture.of(fixture.HELLO, fixture.NOT_RUN, interrupted=True, seconds=60)
    assert shown(report).splitlines()[-1] == "1 passed, 1 not run, interrupted after 1 min"


def test_a_run_of_nothing_says_so() -> None:
    assert shown(fixture.of(seconds=0.0)).strip() == "no Space was tested, in 0 s"


def test_of_one_space_the_checks_are_told_instead_of_a_table() -> None:
    told = shown(fixture.of(replace(fixture.CAPTIONS, stages={"find": 0.4, "start": 44.0}), seconds=44.4))
    assert told.splitlines() == [
        "✓ answers   HTTP 200 at http://127.0.0.1:7860/",
        "✓ script    ran to its end without an exception",
        "— examples  skipped: none are written down for Streamlit",
        "",
        "✓ nielsr/comparing-captioning-models passed, proven to start, in 44.4 s",
    ]


def test_of_one_space_the_stage_and_the_checks_that_failed_are_marked() -> None:
    told = shown(fixture.of(fixture.BROKEN_PAGE)).splitlines()
    assert "✗ probe" in told
    assert "✗ api       /info answers HTTP 500" in told
    assert "✓ page      a page of Gradio, with its configuration" in told
    assert told[-1] == "✗ multimodalart/latentdiffusion failed at probe, proven to start, in 3 min 12 s"


def test_of_one_space_a_stage_that_failed_untimed_is_there() -> None:
    assert "✗ share" in shown(fixture.of(replace(fixture.CRASHED, stage="share"))).splitlines()


def test_of_one_space_the_limit_is_the_last_line() -> None:
    told = shown(fixture.of(fixture.DIFFUSION, seconds=188.3)).splitlines()
    assert told[-2:] == [
        "◐ stabilityai/stable-diffusion-3-medium proven to imports, in 3 min 8 s",
        f"  {fixture.NO_GPU}",
    ]


def test_long_details_go_on_where_they_began() -> None:
    wordy = replace(fixture.HELLO, stages={}, checks=(Check("page", ok=True, detail="words " * 20),))
    first, second, *_ = shown(fixture.of(wordy), 60).splitlines()
    assert first.startswith("✓ page  words")
    assert second.startswith("        words")


def test_a_pipe_gets_no_colour_and_a_terminal_does() -> None:
    assert "\x1b" not in shown(fixture.REPORT)
    assert "\x1b[32m✓ passed" in shown(fixture.REPORT, terminal=True)


def test_what_a_space_says_is_printable_and_no_markup() -> None:
    marked = replace(fixture.HOSTILE, space="evil/[bold]x[/]", tail=("[red]y[/red]", *fixture.HOSTILE_LINES))
    told = shown(fixture.of(fixture.HELLO, marked), 200)
    assert "evil/[bold]x[/]" in told
    assert "  │ right ot left" in told
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", told)
    assert "hf_abcdefgh" not in told


def test_no_line_of_a_log_begins_as_a_command_to_a_ci_runner() -> None:
    told = shown(fixture.of(fixture.HELLO, replace(fixture.HOSTILE, message="page", hint="", checks=())), 200)
    assert "│   ::add-mask::a" in told
    assert not [text for text in told.splitlines() if text.lstrip().startswith("::")]


def test_of_hundreds_that_failed_some_are_told_at_length_and_the_rest_counted() -> None:
    failed = [replace(fixture.NO_PACKAGES, space=f"owner/space-{number:03}") for number in range(300)]
    told = shown(fixture.of(*failed), 120)
    assert len(re.findall(r"^✗ owner/space-\d+ failed at environment$", told, re.MULTILINE)) == 25
    assert "275 more failed: they are in the table above." in told


def test_an_output_without_unicode_gets_ascii() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    Console(file=file, width=80, _environ={}).print(table(fixture.REPORT))
    file.flush()
    assert b"\n+ passed   gradio/hello_world" in raw.getvalue()
    assert b"\n~ partial  " in raw.getvalue()


def test_what_differs_from_an_earlier_run_is_told_above_the_totals() -> None:
    slower = Slower("akhaliq/AnimeGANv2", 30.0, 92.4, "environment", 5.0, 58.1)
    told = shown(fixture.REPORT, 120, Comparison(newly_broken=("facebook/MusicGen",), slower=(slower, slower)))
    assert told.split("\n\n")[-2].splitlines() == [
        "Newly broken: facebook/MusicGen",
        "Slower:",
        *["  akhaliq/AnimeGANv2 (92.4 s, before 30 s; most of it environment: 58.1 s, before 5 s)"] * 2,
    ]


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (fixture.HELLO, "✓ gradio/hello_world passed, in 34.6 s"),
        (
            fixture.CRASHED,
            "✗ facebook/MusicGen failed at start, in 61.3 s: The app ended with status 1 before it answered.",
        ),
        (
            fixture.DIFFUSION,
            f"◐ stabilityai/stable-diffusion-3-medium proven to imports, in 3 min 8 s: {fixture.NO_GPU}",
        ),
        (fixture.NETWORK, "↯ openai/whisper network fault at clone, in 95 s: The Hub did not answer within 30 s."),
        (fixture.NOT_RUN, "— argilla/argilla-template-space not run: The run was interrupted before its turn."),
    ],
)
def test_while_a_run_goes_on_each_space_is_one_line(result: Result, told: str) -> None:
    assert line(result).plain == told
