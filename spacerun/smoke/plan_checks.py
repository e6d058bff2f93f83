"""The checks of a Space that is not started: its card, its launch call, its packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spacerun import planning, sdks
from spacerun.smoke.result import Check
from spacerun.source.launch_calls import find_launch_calls
from spacerun.source.unlaunched import explain
from spacerun.stages import preparing
from spacerun.text import one_line, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.progress import StageClock
    from spacerun.source.project import Project
    from spacerun.stages import Located, Options, Prepared


def check_plan(located: Located) -> Iterator[Check]:
    """What its files tell: `card`, and `launch` where Python launches it."""
    card = located.card
    entry = f", {one_line(card.app_file, 80)}" if card.app_file else ""
    if card.warnings:
        yield Check("card", ok=False, detail=" ".join(card.warnings))
    else:
        yield Check("card", ok=True, detail=f"{card.sdk} {card.sdk_version or ''}".strip() + entry)
    if card.sdk == "gradio" and located.source.project:
        yield _check_launch(located.source.project)


def _check_launch(project: Project) -> Check:
    """Where Gradio is launched. That no such call is seen is no fault: another server may run, or the code be odd."""
    try:
        found = find_launch_calls(project)
    except RecursionError:
        return Check("launch", ok=True, detail="the code is nested too deeply to be followed", skipped=True)
    if found.calls:
        places = [f"{file}:{call.line}" for file, calls in found.calls.items() for call in calls]
        return Check("launch", ok=True, detail=one_line(", ".join(places)))
    return Check("launch", ok=True, detail=explain(project, found.mounts, "").why, skipped=True)


def check_resolved(located: Located, options: Options, clock: StageClock) -> Check:
    """Resolve its packages, without installing any: `requirements`.

    Raises:
        UnresolvableError: They contradict each other.
    """
    if located.environment_plan.empty:
        return Check("requirements", ok=True, detail=f"a {located.card.sdk} Space has none", skipped=True)
    located = preparing.fitted(located, options, clock)
    found = planning.packages(located, clock, build=False, offline=options.is_offline)
    date = (located.environment_plan.as_of.date or "today")[:10]
    detail = f"{len(found.packages)} packages as of {date}"
    if found.download_bytes:
        detail += f", {size(found.download_bytes)}"
    if found.unknown:
        detail += f"; only known after a build: {one_line(', '.join(found.unknown), 100)}"
    return Check("requirements", ok=True, detail=detail)


def check_prepared(prepared: Prepared) -> Iterator[Check]:
    """What was made of it: `environment`, or `build` where it is no Python that was made."""
    environment = prepared.environment
    if environment:
        sdk = prepared.located.card.sdk
        version = next((f", {sdk} {version}" for name, version in environment.packages if name == sdk), "")
        detail = f"Python {environment.python_version}, {len(environment.packages)} packages{version}"
        yield Check("environment", ok=True, detail=detail)
    elif sdks.of(prepared.located.card.runner).steps(prepared.located.card):
        yield Check("build", ok=True, detail=one_line(prepared.built, 120))
