"""As of which date packages are resolved, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Final

from spacerun.environment.uv import STAGE
from spacerun.errors import UsageError
from spacerun.text import one_line

_ONE_DAY: Final = timedelta(days=1)
_AFTER_RELEASE: Final = timedelta(days=30)


class Rung(str, Enum):
    """A way to choose packages, from the likeliest to work to the last resort."""

    AS_OF = "as-of"
    SDK_RELEASE = "sdk-release"
    PERIOD_PINS = "period-pins"
    LATEST = "latest"
    GIVEN = "given"


# The order in which they are tried; `GIVEN` is what the user asked for and stands alone.
LADDER: Final = (Rung.AS_OF, Rung.SDK_RELEASE, Rung.PERIOD_PINS, Rung.LATEST)


@dataclass(frozen=True)
class AsOf:
    """When packages are taken from.

    Attributes:
        date: Nothing published later than this is taken, RFC 3339 in UTC; None where nothing is excluded.
        rung: How it was chosen.
        why: The reason, a phrase: `requirements.txt changed on 2023-03-20`.
    """

    date: str | None
    rung: Rung
    why: str


LATEST: Final = AsOf(None, Rung.LATEST, "the newest packages of today")


@dataclass(frozen=True)
class Dated:
    """Something that happened, and when (RFC 3339 in UTC)."""

    what: str
    when: str


@dataclass(frozen=True)
class Evidence:
    """What the date is decided from.

    Attributes:
        changed: The last change of the Space that bears on its packages.
        sdk: The release of its SDK.
        pins: The newest upload among the exact versions that it asks for.
        searchable: Whether the package index tells upload dates at all.
    """

    changed: Dated | None = None
    sdk: Dated | None = None
    pins: Dated | None = None
    searchable: bool = True


def parse_as_of(text: str) -> AsOf | None:
    """What `--as-of` asks for; None for `auto`.

    Raises:
        UsageError: It is neither `auto` nor `latest` nor a date.
    """
    text = text.strip()
    if text == "auto":
        return None
    if text == "latest":
        return LATEST
    if moment := _moment(text):
        # A day is meant whole, as uv's --exclude-newer takes it, but in UTC on every machine.
        end = moment + _ONE_DAY if len(text) == len("2023-04-01") else moment
        return AsOf(_written(end) if end < datetime.now(timezone.utc) else None, Rung.GIVEN, "asked for with --as-of")
    raise UsageError(
        f"--as-of takes auto, latest or a date, and {one_line(text, 40)!r} is none.",
        hint="Give it like --as-of 2023-04-01.",
        stage=STAGE,
    )


def decide(evidence: Evidence, rung: Rung = Rung.AS_OF, *, now: datetime | None = None) -> AsOf | None:
    """The date of `rung`, or None where there is nothing to derive it from (the next rung is then the one to take).

    Args:
        evidence: What is known of the Space.
        rung: How to choose.
        now: The present; nothing is ever resolved as of a later date.
    """
    now = now or datetime.now(timezone.utc)
    if rung is Rung.LATEST:
        return LATEST
    if rung is Rung.PERIOD_PINS:
        return AsOf(None, rung, "the newest packages that its SDK is known to work with")
    if not evidence.searchable:
        return None
    if rung is Rung.SDK_RELEASE:
        known = [dated for dated in (evidence.sdk, evidence.pins) if dated]
        return _after(_newest(known), _AFTER_RELEASE, rung, now) if evidence.sdk else None
    known = [dated for dated in (evidence.changed, evidence.sdk, evidence.pins) if dated]
    return _after(_newest(known), _ONE_DAY, rung, now) if known else None


def later(date: str, *, days: int) -> str:
    """`date` (RFC 3339) and so many days, RFC 3339 in UTC.

    Raises:
        ValueError: `date` is none.
    """
    moment = _moment(date)
    if moment is None:
        raise ValueError(date)
    return _written(moment + timedelta(days=days))


def _newest(known: list[Dated]) -> Dated:
    return max(known, key=lambda dated: _moment(dated.when) or datetime.min.replace(tzinfo=timezone.utc))


def _after(dated: Dated, margin: timedelta, rung: Rung, now: datetime) -> AsOf:
    """`margin` after `dated`, at the next midnight: Spaces of one day share their environments."""
    moment = _moment(dated.when) or now
    rounded = (moment + margin + _ONE_DAY - timedelta(microseconds=1)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    why = f"{dated.what} on {dated.when[:10]}, and {margin.days} day{'s' if margin.days != 1 else ''}"
    return AsOf(_written(rounded) if rounded < now else None, rung, why)


def _moment(text: str) -> datetime | None:
    # `fromisoformat` knows neither `Z` nor fractions of other than 3 or 6 digits before Python 3.11.
    plain = re.sub(r"\.\d+", "", text.strip()).replace("Z", "+00:00")
    try:
        moment = datetime.fromisoformat(plain)
    except ValueError:
        return None
    return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
