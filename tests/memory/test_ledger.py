"""What was measured is kept, and used."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from spacerun.memory import ledger
from spacerun.memory.estimate import estimate
from spacerun.paths import home
from tests.memory.models import GIB, plain, setting


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("SPACERUN_HOME", str(tmp_path))


def entry(taken, gib: float, app="a-1", **changes) -> ledger.Entry:
    span = taken.bytes
    made = ledger.Entry(
        app=app,
        space="owner/name",
        revision="0" * 40,
        signature=ledger.signature(taken),
        device="NVIDIA A10G",
        peak_bytes=round(gib * GIB),
        how="processes",
        low_bytes=span.low,
        expected_bytes=span.expected,
        high_bytes=span.high,
        measured_at="2026-11-20T10:00:00+00:00",
    )
    return replace(made, **changes)


def test_the_most_that_was_measured_takes_the_place_of_what_was_assumed() -> None:
    taken = estimate([plain(12)], setting())
    for number, gib in enumerate((13.1, 14.2, 12.9)):
        ledger.keep(entry(taken, gib, f"a-{number}"))
    used = ledger.corrected(taken, "owner/name")
    assert used.bytes.expected == pytest.approx(14.2 * GIB, rel=1e-6)
    assert used.bytes.high == max(round(1.1 * round(14.2 * GIB)), taken.bytes.expected)
    assert used.weights_bytes == taken.weights_bytes
    assert (used.assumed, taken.assumed) == (taken.bytes, None)
    assert (used.confidence, used.notes) == ("measured", ("measured 14.2 GiB here on 2026-11-20",))


def test_other_models_or_another_form_are_not_the_same_space() -> None:
    taken = estimate([plain(12)], setting())
    ledger.keep(entry(taken, 14.2))
    other = estimate([plain(12, precision=None, dtype="float32")], setting())
    assert ledger.corrected(other, "owner/name") == other
    assert ledger.corrected(taken, "owner/another") == taken


def test_what_was_measured_less_than_the_weights_does_not_make_the_sum_wrong() -> None:
    taken = estimate([plain(12)], setting())
    ledger.keep(entry(taken, 6))
    used = ledger.corrected(taken, "owner/name")
    assert used.bytes.expected == 6 * GIB
    assert used.bytes.high == taken.bytes.expected


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"app": 1}', "null", '{"peak_bytes": "x"}'])
def test_a_broken_file_is_left_out(text: str) -> None:
    taken = estimate([plain(12)], setting())
    ledger.keep(entry(taken, 14.2))
    (home().data / "ledger" / "broken.json").write_text(text)
    half = json.loads((home().data / "ledger" / "a-1.json").read_text()) | {"peak_bytes": "much"}
    (home().data / "ledger" / "half.json").write_text(json.dumps(half))
    assert [row.app for row in ledger.entries()] == ["a-1"]


def test_only_so_many_runs_are_kept(monkeypatch) -> None:
    monkeypatch.setattr(ledger, "_KEPT", 3)
    taken = estimate([plain(12)], setting())
    for number in range(5):
        ledger.keep(entry(taken, 14, f"a-{number}", measured_at=f"2026-11-2{number}T10:00:00+00:00"))
    ledger.tidy()
    assert len(ledger.entries()) == 3


def test_the_error_of_an_estimate_is_told() -> None:
    taken = estimate([plain(12)], setting())
    assert entry(taken, taken.bytes.expected / GIB / 2).error == pytest.approx(1.0)
