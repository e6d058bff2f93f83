"""This run beside an earlier one: what broke since, what was mended, what became slower."""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, get_args

from spacerun.errors import UsageError
from spacerun.smoke.job import Level
from spacerun.smoke.reports import words
from spacerun.smoke.result import Check, Report, Result, Status
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_SCHEMA: Final = "spacerun.smoke-test/"
_MAJOR: Final = "1"
_LARGEST: Final = 256 * 1024**2  # bytes of a document: 500 Spaces, each with the tail of its log, are a few MiB
# Times of one Space vary: caches, other tenants of the machine. More than half as much again, and more than this many
# seconds, is not that.
_SLOWER: Final = 1.5
_NOISE_SECONDS: Final = 2.0
_NAMED: Final = 10  # Spaces that are named under one heading
_HELP: Final = "A baseline is what `spacerun smoke-test --json` wrote: spacerun smoke-test SPACE… --json > before.json"


@dataclass(frozen=True)
class Slower:
    """A Space that takes longer than before, as far as both times.

    Attributes:
        space: Which.
        before_seconds: How long all of it took before.
        after_seconds: How long it takes now.
        stage: The stage that grew most; None where no stage grew.
        stage_before_seconds: How long that took before.
        stage_after_seconds: How long it takes now.
    """

    space: str
    before_seconds: float
    after_seconds: float
    stage: str | None = None
    stage_before_seconds: float = 0.0
    stage_after_seconds: float = 0.0


@dataclass(frozen=True)
class Receded:
    """A Space with which nothing is wrong, but which is not proven as far as before: from which level to which."""

    space: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Comparison:
    """What differs from an earlier run. Every Space of both runs is in one of these, in the order of the run.

    Attributes:
        newly_broken: It was sound before, and fails now.
        mended: It failed before, and is sound now.
        slower: It takes more than 1.5 times as long, and more than 2 s longer.
        proven_less: It is not proven as far as before.
        new: It was not in the earlier run.
        gone: It was, and is not in this one.
        unchanged: Nothing of all that.
        not_comparable: It was not tested to an end in one of the runs: the network failed, or the run ended before.
    """

    newly_broken: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    slower: tuple[Slower, ...] = ()
    proven_less: tuple[Receded, ...] = ()
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    not_comparable: tuple[str, ...] = ()

    @property
    def is_worse(self) -> bool:
        """Whether a Space broke, or is not proven as far as before."""
        return bool(self.newly_broken or self.proven_less)

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return asdict(self)


def compare(report: Report, before: Report) -> Comparison:
    """What differs between `report` and an earlier one. Spaces are the same where the user named them the same."""
    earlier = {result.space: result for result in before.results}
    now = {result.space: result for result in report.results}
    pairs = [(earlier[space], now[space]) for space in now if space in earlier]
    found: dict[str, list[Any]] = {}
    for old, new in pairs:
        kind, entry = _change(old, new)
        found.setdefault(kind, []).append(entry)
    return Comparison(
        new=tuple(space for space in now if space not in earlier),
        gone=tuple(space for space in earlier if space not in now),
        **{kind: tuple(entries) for kind, entries in found.items()},
    )


def describe(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """What differs, for people: headings, each with what belongs under it, the worst first.

    What stands there is printable and short, but not escaped for Markdown or HTML.
    """
    rows = [
        ("Newly broken", _names(comparison.newly_broken)),
        ("Not proven as far as before", [_receded(entry) for entry in comparison.proven_less]),
        ("Slower", [_slower(entry) for entry in comparison.slower]),
        ("Mended", _names(comparison.mended)),
        ("New", _names(comparison.new)),
        ("Gone", _names(comparison.gone)),
        ("Not tested to an end in one of the runs", _names(comparison.not_comparable)),
    ]
    told = [(heading, _short(entries)) for heading, entries in rows if entries]
    count = len(comparison.unchanged)
    return [*told, ("Unchanged", [f"{count} {'Space' if count == 1 else 'Spaces'}"])] if count else told


def read_baseline(file: Path) -> Report:
    """The run that an earlier `smoke-test --json` described.

    Fields that this version does not know are passed over: a newer one may have written them.

    Args:
        file: The JSON document.

    Raises:
        UsageError: It cannot be read, is no such document, or one of another schema.
    """
    document = _document(file)
    schema = document.get("schema")
    if not isinstance(schema, str) or not schema.startswith(_SCHEMA):
        raise _refused(file, "is no result of a smoke test")
    if schema.removeprefix(_SCHEMA).split(".")[0] != _MAJOR:
        raise UsageError(
            f"The baseline {file} has the schema {one_line(schema, 60)}; this spacerun reads {_SCHEMA}{_MAJOR}.",
            hint="Write it anew with this version: spacerun smoke-test SPACE… --json > before.json",
        )
    try:
        data = document["data"]
        results = tuple(_result(value) for value in data["results"])
        seconds = float(data.get("totals", {}).get("seconds", sum(result.seconds for result in results)))
        began = _text(data.get("started_at", ""))
        return Report(results, seconds, began, interrupted=bool(data.get("interrupted", False)))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refused(file, f"is damaged: {one_line(f'{type(error).__name__}: {error}', 120)}") from None


def _document(file: Path) -> dict[str, Any]:
    import json

    try:
        if file.stat().st_size > _LARGEST:
            raise _refused(file, f"is larger than {_LARGEST // 1024**2} MiB")
        document = json.loads(file.read_bytes())
    except OSError as error:
        raise UsageError(f"The baseline {file} cannot be read: {error.strerror or error}.", hint=_HELP) from None
    except (ValueError, RecursionError):
        raise _refused(file, "is no JSON") from None
    if not isinstance(document, dict):
        raise _refused(file, "is no result of a smoke test")
    return document


def _refused(file: Path, why: str) -> UsageError:
    return UsageError(f"The baseline {file} {why}.", hint=_HELP)


def _result(value: dict[str, Any]) -> Result:
    """A result, as far as a comparison and a report need it to be sound."""
    if value["status"] not in get_args(Status):
        raise ValueError(f"status {value['status']!r}")
    if value["proven"] is not None:
        Level.of(value["proven"])
    readers: dict[str, Callable[[Any], Any]] = {
        "space": _text,
        "seconds": float,
        "stages": lambda stages: {_text(stage): float(seconds) for stage, seconds in stages.items()},
        "checks": lambda checks: tuple(Check(**_known(Check, check)) for check in checks),
        **dict.fromkeys(("diagnosis", "warnings", "tail", "console", "retries"), tuple),
    }
    known = _known(Result, value)
    return Result(**{key: readers[key](item) if key in readers else item for key, item in known.items()})


def _known(kind: type[Check | Result], value: dict[str, Any]) -> dict[str, Any]:
    """Those of `value` that `kind` has a field for.

    Raises:
        KeyError: One without a default is missing.
    """
    needless = {one.name for one in fields(kind) if one.default is not MISSING or one.default_factory is not MISSING}
    return {one.name: value[one.name] for one in fields(kind) if one.name in value or one.name not in needless}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _change(old: Result, new: Result) -> tuple[str, Any]:
    """In which field of `Comparison` a Space belongs, and its entry there."""
    space = new.space
    if {"network", "not_run"} & {old.status, new.status}:
        return "not_comparable", space
    if old.ok != new.ok:
        return ("mended" if new.ok else "newly_broken"), space
    if new.ok and _level(new) < _level(old):
        return "proven_less", Receded(space, old.proven, new.proven)
    # One that goes further takes longer, and one that fails may fail at once: only the same work is compared.
    is_same = new.ok and _level(new) == _level(old)
    grew = new.seconds - old.seconds
    if is_same and grew > _NOISE_SECONDS and new.seconds > _SLOWER * old.seconds:
        return "slower", _slow(old, new)
    return "unchanged", space


def _level(result: Result) -> int:
    return Level.of(result.proven) if result.proven else 0


def _slow(old: Result, new: Result) -> Slower:
    growth = {stage: seconds - old.stages.get(stage, 0.0) for stage, seconds in new.stages.items()}
    stage = max(growth, key=lambda name: growth[name], default=None)
    if stage is None or growth[stage] <= 0:
        return Slower(new.space, old.seconds, new.seconds)
    return Slower(new.space, old.seconds, new.seconds, stage, old.stages.get(stage, 0.0), new.stages[stage])


def _names(spaces: Sequence[str]) -> list[str]:
    return [one_line(space) for space in spaces]


def _receded(entry: Receded) -> str:
    return f"{one_line(entry.space)} (to {entry.after or 'nothing'}, before to {entry.before or 'nothing'})"


def _slower(entry: Slower) -> str:
    told = f"{words.took(entry.after_seconds)}, before {words.took(entry.before_seconds)}"
    if entry.stage is not None:
        now, before = words.took(entry.stage_after_seconds), words.took(entry.stage_before_seconds)
        told += f"; most of it {one_line(entry.stage, 40)}: {now}, before {before}"
    return f"{one_line(entry.space)} ({told})"


def _short(entries: list[str]) -> list[str]:
    rest = len(entries) - _NAMED
    return [*entries[:_NAMED], f"and {rest} more"] if rest > 0 else entries
