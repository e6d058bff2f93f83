"""From what a Space and its user ask for to a plan: the date first, then the packages as of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spacerun.environment.as_of import LATEST, AsOf, Evidence, Rung, decide, parse_as_of
from spacerun.environment.learning import learn, python_hints
from spacerun.environment.plan import make_plan

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.environment.plan import EnvironmentPlan
    from spacerun.progress import Progress


@dataclass(frozen=True)
class Wanted:
    """What the card, the code and the user ask for.

    Attributes:
        directory: The Space's files.
        sdk: `gradio`, `streamlit`, or another that brings no package of its own.
        sdk_version: Exact version of the SDK as the card writes it, or None.
        python_version: Python version as the card writes it, or None.
        python_override: Python version the user asks for instead.
        extra_packages: Requirements that are added.
        imports: Top-level modules that the Space's code imports.
        entry: The app's file, relative to `directory`.
        named: Requirements that the Space names elsewhere than in files of them.
    """

    directory: Path
    sdk: str
    sdk_version: str | None
    python_version: str | None
    python_override: str | None = None
    extra_packages: tuple[str, ...] = ()
    imports: frozenset[str] = frozenset()
    entry: str | None = None
    named: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[str, ...]:
        """All requirements beside those in files."""
        return tuple(dict.fromkeys((*self.named, *self.extra_packages)))


def choose(asked: str, evidence: Evidence) -> AsOf:
    """When packages are taken from, if the user asks for `asked` (`auto`, `latest` or a date)."""
    given = parse_as_of(asked)
    if given:
        return given
    return decide(evidence) or (LATEST if evidence.searchable else decide(evidence, Rung.PERIOD_PINS)) or LATEST


def decided_plan(
    wanted: Wanted, as_of: AsOf, evidence: Evidence, *, progress: Progress, offline: bool
) -> EnvironmentPlan:
    """The plan of `wanted` with packages taken from `as_of`.

    Args:
        wanted: What is asked for.
        as_of: When packages are taken from.
        evidence: What the date was decided from.
        progress: Told what was decided otherwise than asked.
        offline: Ask nobody; use what was learned before.
    """
    plan = make_plan(
        wanted.directory,
        sdk=wanted.sdk,
        sdk_version=wanted.sdk_version,
        python_version=wanted.python_version,
        python_override=wanted.python_override,
        extra_packages=wanted.packages,
        imports=wanted.imports,
        hints=python_hints(wanted, offline=offline),
        as_of=as_of,
        learned=learn(wanted, as_of, evidence, progress=progress, offline=offline),
    )
    for warning in plan.warnings:
        progress.warn(warning)
    return plan


def added(wanted: Wanted, packages: tuple[str, ...]) -> Wanted:
    """`wanted` with `packages` added."""
    return replace(wanted, extra_packages=wanted.extra_packages + packages)
