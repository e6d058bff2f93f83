"""One summand of an estimate: how much, by which formula, and where that comes from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["weights", "cache", "activations", "context", "reserve", "measured"]


@dataclass(frozen=True)
class Span:
    """A number of bytes that is known to lie in a range: at least, most likely, at most."""

    low: int
    expected: int
    high: int

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.expected + other.expected, self.high + other.high)

    def scaled(self, factor: float) -> Span:
        """All three times `factor`."""
        return Span(*(round(value * factor) for value in (self.low, self.expected, self.high)))

    @classmethod
    def exactly(cls, count: float) -> Span:
        """A number that is known."""
        return cls(round(count), round(count), round(count))


NOTHING = Span(0, 0, 0)


def total(spans: Iterable[Span]) -> Span:
    """The sum of all."""
    return sum(spans, NOTHING)


@dataclass(frozen=True)
class Term:
    """One summand.

    Attributes:
        kind: `weights`; `cache`: keys and values of a language model; `activations`: what is computed with;
            `context`: CUDA and its libraries; `reserve`: what the formulas may leave out; `measured`: all that was
            held beside the weights when it last ran here.
        of: The model, or the part of it, that it belongs to; empty for what belongs to the whole app.
        bytes: How much.
        formula: How that is calculated, with its numbers.
        source: Where the formula comes from.
    """

    kind: Kind
    of: str
    bytes: Span
    formula: str
    source: str

    def but(self, span: Span, why: str) -> Term:
        """The same with other bytes, for a reason."""
        return replace(self, bytes=span, formula=f"{self.formula}; {why}")

    def to_json(self) -> dict[str, Any]:
        """An entry of `terms` in the JSON document."""
        return {**asdict(self), "bytes": asdict(self.bytes)}
