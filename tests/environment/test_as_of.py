"""Which day packages are taken from."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from spacerun.environment.as_of import LATEST, AsOf, Dated, Evidence, Rung, decide, later, parse_as_of
from spacerun.environment.decision import choose
from spacerun.errors import UsageError

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
CHANGED = Dated("requirements.txt changed", "2023-03-20T10:00:00Z")
RELEASED = Dated("gradio 3.20.1 was released", "2023-03-06T19:08:55.601303Z")
UPLOADED = Dated("numpy 1.24.3 was uploaded", "2023-04-22T00:00:00Z")


def date(evidence: Evidence, rung: Rung = Rung.AS_OF) -> str | None:
    decided = decide(evidence, rung, now=NOW)
    assert decided is not None
    assert decided.rung is rung
    return decided.date


def test_the_newest_of_change_release_and_pins_decides_plus_a_day() -> None:
    assert date(Evidence(CHANGED, RELEASED)) == "2023-03-22T00:00:00Z"
    assert date(Evidence(CHANGED, RELEASED, UPLOADED)) == "2023-04-23T00:00:00Z"
    assert date(Evidence(None, RELEASED)) == "2023-03-08T00:00:00Z"
    decided = decide(Evidence(CHANGED, RELEASED), now=NOW)
    assert decided is not None
    assert decided.why == "requirements.txt changed on 2023-03-20, and 1 day"


def test_the_date_is_never_after_now() -> None:
    assert date(Evidence(Dated("app.py was written", "2026-11-23T11:00:00Z"))) is None
    assert date(Evidence(Dated("app.py was written", "2031-01-01T00:00:00Z"))) is None
    assert date(Evidence(Dated("app.py was written", "2026-11-21T11:00:00Z"))) == "2026-11-23T00:00:00Z"


def test_changes_of_one_day_give_one_date() -> None:
    dates = {date(Evidence(Dated("x", f"2023-03-20T{hour:02}:30:00Z"))) for hour in range(24)}
    assert dates == {"2023-03-22T00:00:00Z"}


def test_a_duplicated_space_has_the_rung_of_its_sdks_release() -> None:
    late = Dated("requirements.txt changed", "2025-09-01T00:00:00Z")
    assert date(Evidence(late, RELEASED), Rung.SDK_RELEASE) == "2023-04-06T00:00:00Z"
    # A pin cannot be had before it was uploaded.
    assert date(Evidence(late, RELEASED, UPLOADED), Rung.SDK_RELEASE) == "2023-05-22T00:00:00Z"
    assert decide(Evidence(late), Rung.SDK_RELEASE, now=NOW) is None


def test_an_index_without_dates_leaves_pins_of_the_period() -> None:
    undated = Evidence(CHANGED, RELEASED, searchable=False)
    assert decide(undated, now=NOW) is None
    assert choose("auto", undated).rung is Rung.PERIOD_PINS
    assert choose("auto", undated).date is None


def test_nothing_known_means_the_newest() -> None:
    assert choose("auto", Evidence()) == LATEST


@pytest.mark.parametrize(("asked", "expected"), [
    ("2023-04-01", "2023-04-02T00:00:00Z"),
    ("2023-04-01T12:30:00Z", "2023-04-01T12:30:00Z"),
    ("2023-04-01T12:30:00+02:00", "2023-04-01T10:30:00Z"),
    ("2123-04-01", None),
])  # fmt: skip
def test_a_date_of_the_users_wins_over_all_evidence(asked: str, expected: str | None) -> None:
    assert choose(asked, Evidence(CHANGED, RELEASED)) == AsOf(expected, Rung.GIVEN, "asked for with --as-of")


def test_latest_and_auto_are_what_they_say() -> None:
    assert parse_as_of("latest") == LATEST
    assert parse_as_of("auto") is None


@pytest.mark.parametrize("asked", ["", "yesterday", "2023-13-01", "30 days", "--exclude-newer"])
def test_what_is_no_date_is_a_usage_error(asked: str) -> None:
    with pytest.raises(UsageError, match="--as-of takes auto, latest or a date"):
        parse_as_of(asked)


def test_later_counts_in_utc() -> None:
    assert later("2023-12-31T23:00:00.5Z", days=1) == "2024-01-01T23:00:00Z"
