"""The memory that a Space takes: its models' weights as its code keeps them, and what they work with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Literal

from spacerun.memory import others
from spacerun.memory.cost import Cost, cost_of
from spacerun.memory.term import NOTHING, Span, Term, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spacerun.memory.libraries import Period
    from spacerun.memory.model import Model
    from spacerun.memory.sizes import Sizes

Confidence = Literal["given", "measured", "high", "medium", "low", "none"]
_WEIGHTS_SOURCE: Final = "headers of the files; the types that the code names"


@dataclass(frozen=True)
class Setting:
    """Under which assumptions memory is estimated.

    Attributes:
        period: Of when the packages are.
        sizes: What the code asks its models for.
        needs_gpu: Whether it uses CUDA unconditionally.
        sdpa: Whether its PyTorch has attention without a score matrix (2.0, 2023-03-15).
        names_others: Whether it names a GPU beside the first (`cuda:1`).
    """

    period: Period
    sizes: Sizes
    needs_gpu: bool = False
    sdpa: bool = True
    names_others: bool = False


@dataclass(frozen=True)
class Estimate:
    """Memory that a Space takes.

    Attributes:
        terms: The summands on the GPU.
        host: Weights that stay in main memory.
        weights: Bytes of weights of each model, most likely, by its id.
        unknown: What could not be told, one sentence each: with any, the rest is only a part.
        spread: Whether the code lets its weights lie on several GPUs.
        confidence: How much of it was read, and how much assumed.
        notes: What else a reader should know, one sentence each.
        assumed: What was estimated before a measurement took its place; None where none did.
    """

    terms: tuple[Term, ...] = ()
    host: Span = NOTHING
    weights: dict[str, int] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    spread: bool = False
    confidence: Confidence = "none"
    notes: tuple[str, ...] = ()
    assumed: Span | None = None

    @property
    def bytes(self) -> Span:
        """Sum of the terms."""
        return total(term.bytes for term in self.terms)

    @property
    def weights_bytes(self) -> int:
        """Bytes of weights on the GPU, most likely."""
        return total(term.bytes for term in self.terms if term.kind == "weights").expected

    @property
    def uses_gpu(self) -> bool:
        """Whether anything of it is likely on a GPU."""
        return self.bytes.expected > 0

    def to_json(self) -> dict[str, Any]:
        """`required` in the JSON document."""
        span = self.bytes
        return {
            "weights_bytes": self.weights_bytes,
            "overhead_bytes": span.expected - self.weights_bytes,
            "expected_bytes": span.expected,
            "low_bytes": span.low,
            "high_bytes": span.high,
            "host_bytes": self.host.expected,
            "confidence": self.confidence,
            "terms": [term.to_json() for term in self.terms],
            "unknown": list(self.unknown),
            "notes": list(self.notes),
        }


def estimate(models: Sequence[Model], setting: Setting, *, unknown: Sequence[str] = ()) -> Estimate:
    """Memory that the models of a Space take together.

    Args:
        models: What its code loads.
        setting: Under which assumptions.
        unknown: What is loaded beside them, and cannot be told.
    """
    costs = [cost_of(model, setting) for model in models if model.load.role != "remote"]
    known = [cost for cost in costs if cost.model.problem is None]
    problems = [f"{cost.model.id}: {cost.model.problem}" for cost in costs if cost.model.problem]
    kept = [*_candidates(known)]
    on_gpu = [cost for cost in kept if cost.on_gpu]
    terms = [*_weights(on_gpu), *_working(on_gpu)]
    host = total(cost.host for cost in kept)
    if terms:
        context = others.context()
        likely = total(term.bytes for term in terms).expected > 0
        terms.append(context if likely else context.but(Span(0, 0, context.bytes.high), "only if a GPU is used"))
        terms += _reserve(terms)
    return Estimate(
        terms=tuple(term for term in terms if term.bytes != NOTHING),
        host=host,
        weights=_by_model(known),
        unknown=(*problems, *unknown),
        spread=any(cost.model.load.device == "auto" for cost in on_gpu),
        confidence=_confidence(kept, [*problems, *unknown]),
        notes=tuple(note for cost in kept for note in cost.notes),
    )


def exactly(count: int) -> Estimate:
    """The estimate of a user who knows how much is needed, in bytes."""
    term = Term("weights", "", Span.exactly(count), "as given with --need", "--need")
    return Estimate((term,), confidence="given")


def _candidates(costs: Sequence[Cost]) -> Iterable[Cost]:
    """Of several that one call may load, the largest; the least is that of the smallest, or nothing."""

    def place(cost: Cost) -> str:
        # Calls that are no choice stand for themselves.
        return cost.model.load.place if cost.model.load.choice else f"{cost.model.load.place} {cost.model.id}"

    for _, group in groupby(sorted(costs, key=place), key=place):
        rows = list(group)
        if not rows[0].model.load.choice:
            yield from rows
            continue
        largest = max(rows, key=lambda cost: cost.gpu.expected + cost.host.expected)
        low = min(cost.gpu.low for cost in rows) if len(rows) > 1 else 0
        yield replace(largest, gpu=replace(largest.gpu, low=low), candidates=len(rows))


def _by_model(costs: Sequence[Cost]) -> dict[str, int]:
    """Bytes of weights of each model; one may be loaded in several parts, or twice."""
    found: dict[str, int] = {}
    for cost in costs:
        found[cost.model.id] = found.get(cost.model.id, 0) + cost.weights.expected
    return found


def _weights(costs: Sequence[Cost]) -> list[Term]:
    """What lies on the GPU all the time, and of what is moved there in turn the largest."""
    staying = [cost for cost in costs if not cost.in_turn]
    terms = [Term("weights", cost.of, cost.gpu, cost.formula, _WEIGHTS_SOURCE) for cost in staying]
    moved = [cost for cost in costs if cost.in_turn]
    if moved:
        largest = max(moved, key=lambda cost: cost.gpu.expected)
        span = Span(max(cost.gpu.low for cost in moved), largest.gpu.expected, max(cost.gpu.high for cost in moved))
        terms.append(Term("weights", largest.of, span, largest.formula, _WEIGHTS_SOURCE))
    return terms


def _working(costs: Sequence[Cost]) -> list[Term]:
    """What they work with: one model at a time, as a rule; all at once at most."""
    rows = sorted(costs, key=lambda cost: -total(term.bytes for term in cost.working).expected)
    terms: list[Term] = []
    for position, cost in enumerate(rows):
        for term in cost.working:
            at_most = Span(0, 0, term.bytes.high)
            terms.append(term if position == 0 else term.but(at_most, "only if models work at the same time"))
    return terms


def _reserve(terms: Sequence[Term]) -> list[Term]:
    """At most a fifth of the weights is taken beside them, if the formulas say less."""
    weights = total(term.bytes for term in terms if term.kind == "weights").high
    beside = total(term.bytes for term in terms if term.kind != "weights").high
    more = round(others.SHARE * weights) - beside
    if more <= 0:
        return []
    source = "accelerate docs, 'Model memory estimator': add up to 20 %"
    return [Term("reserve", "", Span(0, 0, more), "up to a fifth of the weights, all in all", source)]


def _confidence(costs: Sequence[Cost], problems: Sequence[str]) -> Confidence:
    if not costs:
        return "none" if problems else "high"
    if problems or any(not cost.exact for cost in costs):
        return "low"
    return "medium" if any(cost.candidates > 1 or cost.model.load.choice for cost in costs) else "high"
