"""How long each stage of each Space took: bars of inline SVG among plain HTML, so that text stays text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from spacerun.smoke.reports import words
from spacerun.smoke.reports.markup import escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spacerun.smoke.result import Result

# In the order in which they run; each with its class in the style sheet.
_CLASSES: Final = {
    "find": "find",
    "clone": "clone",
    "lfs": "lfs",
    "source": "source",
    "environment": "environment",
    "check-gpu": "check-gpu",
    "rewrite": "rewrite",
    "imports": "imports",
    "start": "start",
    "share": "share-link",
    "probe": "probe",
    "other": "other",
}
_REST: Final = "other"
_STEPS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)
_MOST_TICKS: Final = 6
_MANY: Final = 40  # from so many bars on they are drawn smaller


def picture(results: Sequence[tuple[int, Result]]) -> str:
    """A bar for each Space, the longest first, made of its stages; with a legend and an axis.

    Args:
        results: Each with its number, which its section has as well.
    """
    timed = [(number, result, parts) for number, result in results if (parts := _parts(result))]
    timed.sort(key=lambda entry: -sum(entry[2].values()))
    if not timed:
        return '<p class="quiet">Nothing was timed.</p>'
    step, ticks = _scale(sum(timed[0][2].values()))
    bars = "".join(_bar(number, result, parts, step * ticks, ticks) for number, result, parts in timed)
    many = " many" if len(timed) > _MANY else ""
    label = "Durations of all Spaces, the longest first"
    return (
        f'<div class="card times">{_legend([parts for _, _, parts in timed])}'
        f'<div class="bars{many}" tabindex="0" role="region" aria-label="{label}">{_axis(step, ticks)}'
        f"<ol>{bars}</ol></div></div>"
    )


def _parts(result: Result) -> dict[str, float]:
    """The seconds of its stages, in their order; what is none of them, and time between them, is the rest."""
    parts = {stage: result.stages[stage] for stage in _CLASSES if result.stages.get(stage, 0.0) > 0}
    parts[_REST] = max(result.seconds, sum(result.stages.values())) - sum(parts.values()) + parts.get(_REST, 0.0)
    return {stage: seconds for stage, seconds in parts.items() if seconds > 0}


def _scale(longest: float) -> tuple[float, int]:
    """The seconds between two ticks of the axis, and how many such it has."""
    fitting = (step for step in _STEPS if longest / step <= _MOST_TICKS)
    step = next(fitting, longest / _MOST_TICKS)
    return step, min(max(2, math.ceil(longest / step)), _MOST_TICKS)


def _legend(parts: Sequence[dict[str, float]]) -> str:
    sums = {stage: sum(stages.get(stage, 0.0) for stages in parts) for stage in _CLASSES}
    entries = "".join(
        f'<li><svg class="swatch" aria-hidden="true"><rect class="{_CLASSES[stage]}" width="100%" height="100%"/></svg>'
        f'{stage} <span class="quiet">{words.took(seconds)}</span></li>'
        for stage, seconds in sums.items()
        if seconds
    )
    return f'<ul class="legend" aria-label="Stages, with the time that they took in all">{entries}</ul>'


def _axis(step: float, ticks: int) -> str:
    texts = "".join(_tick(tick, ticks, words.took(step * tick)) for tick in range(ticks + 1))
    return f'<div class="bar axis"><span></span><svg aria-hidden="true">{texts}</svg><span></span></div>'


def _tick(tick: int, ticks: int, told: str) -> str:
    anchor = {0: "start", ticks: "end"}.get(tick, "middle")
    return f'<text x="{100 * tick / ticks:.4g}%" y="12" text-anchor="{anchor}">{told}</text>'


def _bar(number: int, result: Result, parts: dict[str, float], whole: float, ticks: int) -> str:
    rectangles, begin = [], 0.0
    for stage, seconds in parts.items():
        told = f"{stage}: {words.took(seconds)}"
        rectangles.append(
            f'<rect class="{_CLASSES[stage]}" x="{100 * begin / whole:.4g}%" width="{100 * seconds / whole:.4g}%"'
            f' height="100%"><title>{told}</title></rect>'
        )
        begin += seconds
    name, took = escaped(words.name(result)), words.took(result.seconds)
    stages = ", ".join(f"{stage} {words.took(seconds)}" for stage, seconds in parts.items())
    return (
        f'<li class="bar"><a href="#s-{number}" title="{name}">{name}</a>'
        f'<svg class="ticks ticks-{ticks}" role="img" aria-label="{stages or took}">{"".join(rectangles)}</svg>'
        f'<span class="number">{took}</span></li>'
    )
