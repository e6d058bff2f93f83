"""What Spaces really took on this machine: measured while they ran, kept beside what had been estimated."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from spacerun.memory.term import Span, Term
from spacerun.paths import home, read_json, write_json
from spacerun.text import size

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from spacerun.memory.estimate import Estimate

_KEPT: Final = 500
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,120}")
# Above what was measured; nobody may have asked the app for its most.
_MARGIN: Final = 1.1
_PEAK_SOURCE: Final = "NVML, memory of the app's processes"


@dataclass(frozen=True)
class Entry:
    """One run of an app.

    Attributes:
        app: Id of the app.
        space: `owner/name`, or the path of a local folder.
        revision: Full commit; None for a local folder.
        signature: What it loads and how: runs of equal signatures take alike.
        device: Names of its GPUs.
        peak_bytes: The most that its processes held of them together.
        how: `processes`: told by process; `device`: what the devices' use grew by, where the driver does not know the
            processes of this container.
        low_bytes, expected_bytes, high_bytes: What had been estimated.
        measured_at: When it held that, ISO 8601 UTC.
    """

    app: str
    space: str
    revision: str | None
    signature: str
    device: str
    peak_bytes: int
    how: Literal["processes", "device"]
    low_bytes: int
    expected_bytes: int
    high_bytes: int
    measured_at: str

    @property
    def error(self) -> float:
        """How far the estimate was off: 0.1 is a tenth too much."""
        return self.expected_bytes / self.peak_bytes - 1

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return asdict(self)


def signature(estimate: Estimate) -> str:
    """A short text that is equal for estimates of the same models in the same form."""
    rows = [f"{term.of} {term.bytes.expected}" for term in estimate.terms if term.kind == "weights"]
    return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()[:16]


def keep(entry: Entry) -> None:
    """Write down what is known of a run so far; the file is replaced in one step."""
    if not _ID.fullmatch(entry.app):
        raise ValueError(entry.app)
    write_json(_folder() / f"{entry.app}.json", entry.to_json())


def entries(space: str | None = None) -> tuple[Entry, ...]:
    """All runs that were measured, or those of one Space, the newest first; what cannot be read is left out."""
    found = [entry for path in _files() if (entry := _entry(read_json(path)))]
    rows = [entry for entry in found if space is None or entry.space == space]
    return tuple(sorted(rows, key=lambda entry: entry.measured_at, reverse=True))


def of(app: str) -> Entry | None:
    """What app `app` took; None where that was not measured."""
    return _entry(read_json(_folder() / f"{app}.json")) if _ID.fullmatch(app) else None


def tidy() -> None:
    """Forget the oldest runs beyond the number that is kept."""
    files = sorted(_files(), key=lambda path: path.stat().st_mtime)
    for path in files[: max(0, len(files) - _KEPT)]:
        path.unlink(missing_ok=True)


def measured(estimate: Estimate, space: str) -> Entry | None:
    """The run of this Space, as it is now, that took the most here; None where none was measured."""
    own = signature(estimate)
    rows = [entry for entry in entries(space) if entry.signature == own]
    return max(rows, key=lambda entry: entry.peak_bytes, default=None)


def corrected(estimate: Estimate, space: str) -> Estimate:
    """`estimate` with what was measured here in place of what was assumed beside the weights.

    Args:
        estimate: What a Space takes, by its code.
        space: `owner/name`, or the path of a local folder.
    """
    entry = measured(estimate, space) if estimate.terms else None
    if entry is None:
        return estimate
    weights = tuple(term for term in estimate.terms if term.kind == "weights")
    held = sum(term.bytes.expected for term in weights)
    peak = entry.peak_bytes
    # Whoever measured may not have asked for the most: the estimate stays the upper bound unless it was surpassed.
    at_most = max(round(_MARGIN * peak), estimate.bytes.expected)
    fixed = [term.but(Span.exactly(term.bytes.expected), "as measured together") for term in weights]
    rest = Span(peak - held, peak - held, at_most - held)
    day = entry.measured_at[:10]
    beside = Term("measured", "", rest, f"measured {size(peak)} here on {day}, less the weights", _PEAK_SOURCE)
    note = f"measured {size(peak)} here on {day}"
    return replace(
        estimate,
        terms=(*fixed, beside),
        confidence="measured",
        notes=(*estimate.notes, note),
        assumed=estimate.bytes,
    )


def _entry(value: object) -> Entry | None:
    names = {field.name: field.type for field in fields(Entry)}
    if not isinstance(value, dict) or not names.keys() <= value.keys():
        return None
    entry = Entry(**{name: value[name] for name in names})
    numbers = (entry.peak_bytes, entry.low_bytes, entry.expected_bytes, entry.high_bytes)
    texts = (entry.app, entry.space, entry.signature, entry.device, entry.measured_at)
    sound = all(type(n) is int and n >= 0 for n in numbers) and all(isinstance(t, str) for t in texts)
    return entry if sound and entry.peak_bytes else None


def _files() -> Iterable[Path]:
    return list(_folder().glob("*.json"))


def _folder() -> Path:
    return home().data / "ledger"
