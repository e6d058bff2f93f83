"""What an environment is to be made of, decided from the Space's files and its card. Nothing is executed or fetched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from spacerun.environment.as_of import LATEST, AsOf, Rung
from spacerun.environment.asked import (
    EXACT_VERSION,
    NOTHING_LEARNED,
    Asked,
    Learned,
    exact_version,
    is_bounded,
    read_asked,
    without_options,
)
from spacerun.environment.key import key_of
from spacerun.environment.python_choice import NO_HINTS, Hints, choose_python
from spacerun.environment.recipe import (
    SEED,
    Era,
    base_layer,
    package_dates,
    period_pins,
    sdk_packages,
    switched_on,
)
from spacerun.environment.requirements import Line, parse_line
from spacerun.environment.uv import STAGE
from spacerun.errors import PackagesError
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from spacerun.environment.torch import TorchChoice
    from spacerun.environment.torch_reuse import Borrowed

BASE_LAYER: Final = "the base layer"


@dataclass(frozen=True)
class InstallStep:
    """One call of uv.

    Attributes:
        name: What is installed, in a word.
        lines: Lines of its requirement file.
        constraints: Lines of its constraint file.
        otherwise: The steps to take instead if these requirements contradict each other.
        exact: Whether the lines are all there is: what they require in turn is not looked at.
    """

    name: str
    lines: tuple[Line, ...]
    constraints: tuple[str, ...] = ()
    otherwise: tuple[InstallStep, ...] = ()
    exact: bool = False


@dataclass(frozen=True)
class EnvironmentPlan:
    """An environment to be made.

    Attributes:
        directory: The Space's files; relative paths in requirements count from here.
        python: Version wanted, to the minor (`3.10`) or to the patch.
        python_required: Whether the card or the user asked for it.
        python_fallbacks: Minor versions that serve as well where nobody asked, best first.
        python_why: What decided on it.
        gradio: Exact version of Gradio, where one is asked for.
        steps: What is installed, in order.
        split: Whether the card's SDK is installed after, and against, the requirements.
        sources: Files of the Space that were read, relative to `directory`.
        warnings: What the user should know about the choice.
        notes: What was decided otherwise than the files say, or beyond it, one sentence each.
        key: Hash of all that the environment is made from; equal plans share one environment.
        as_of: When packages are taken from.
        package_dates: Packages with a date of their own (RFC 3339, or `false` for none), by name.
        prerelease: Whether pre-releases are asked for.
        overrides: Requirements that stand in for whatever is asked of these packages.
        torch: The PyTorch that suits this machine, once that is decided.
        locked: Whether it was read from a lock.
        borrowed: Packages of another Python installation that it uses.
    """

    directory: Path
    python: str
    python_required: bool
    python_fallbacks: tuple[str, ...]
    python_why: str
    gradio: str | None
    steps: tuple[InstallStep, ...]
    split: bool
    sources: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    key: str
    as_of: AsOf = LATEST
    package_dates: tuple[tuple[str, str], ...] = ()
    prerelease: bool = False
    overrides: tuple[str, ...] = ()
    torch: TorchChoice | None = None
    locked: bool = False
    borrowed: Borrowed | None = None

    @property
    def empty(self) -> bool:
        """Whether there is no environment at all."""
        return not self.steps


def no_plan(directory: Path) -> EnvironmentPlan:
    """The plan of a Space in `directory` that needs no Python: nothing is installed."""
    as_of = AsOf(None, Rung.LATEST, "nothing is installed")
    return EnvironmentPlan(directory, "", False, (), "", None, (), False, (), (), (), key="none", as_of=as_of)  # noqa: FBT003


def make_plan(  # noqa: PLR0913 - one per fact
    directory: Path,
    *,
    sdk: str,
    sdk_version: str | None,
    python_version: str | None,
    python_override: str | None = None,
    extra_packages: tuple[str, ...] = (),
    imports: frozenset[str] = frozenset(),
    hints: Hints = NO_HINTS,
    as_of: AsOf = LATEST,
    learned: Learned = NOTHING_LEARNED,
) -> EnvironmentPlan:
    """Decide what the environment of the Space in `directory` is made of.

    The exact SDK version of the card wins over another pin in requirements.txt, as on Hugging Face's builder until
    2026: where both can be had in one resolution they are, else requirements come first and the SDK after them.

    Args:
        directory: The Space's files.
        sdk: `gradio`, `streamlit`, or another that brings no package of its own.
        sdk_version: Exact version of the SDK as the card writes it, or None.
        python_version: Python version as the card writes it, or None.
        python_override: Python version the user asks for instead.
        extra_packages: Requirements the user adds.
        imports: Top-level modules that the Space's code imports.
        hints: What else speaks for one Python or another.
        as_of: When packages are taken from; its rung may bring constraints of its own.
        learned: What was learned elsewhere.

    Raises:
        PackagesError: A file or a version of the Space is not usable.
        UsageError: One of the user's own values is not.
    """
    root = directory.resolve()
    version = _sdk_version(sdk, sdk_version)
    asked = read_asked(root, extra_packages, learned)
    gradio = version if sdk == "gradio" and version else _pinned(asked.own, "gradio")
    python = choose_python(
        root,
        card=python_version,
        override=python_override,
        gradio=gradio if gradio or sdk == "gradio" else "",
        hints=hints,
        day=as_of.date[:10] if as_of.date else None,
    )
    lines = (*asked.own, *asked.extra)
    era = Era(
        sdk=sdk,
        version=version,
        pinned=_pinned(asked.own, sdk),
        day=(as_of.date or datetime.now(timezone.utc).isoformat())[:10],
        python=python.version,
        needed=imports | switched_on(root),
        named=frozenset(line.name for line in lines if line.name),
        bounded=frozenset(line.name for line in lines if line.name and is_bounded(line)),
    )
    conflict = _conflict(sdk, version, asked.own)
    pins = period_pins(era) if as_of.rung is Rung.PERIOD_PINS else ()
    steps = tuple(_steps(root, asked, era, pins + learned.constraints, split=conflict is not None))
    dates = _dates(era, learned) if as_of.rung is not Rung.LATEST else ()
    return EnvironmentPlan(
        directory=root,
        python=python.version,
        python_required=python.required,
        python_fallbacks=python.fallbacks,
        python_why=python.why,
        gradio=gradio,
        steps=steps,
        split=conflict is not None,
        sources=asked.files,
        warnings=(conflict,) if conflict else (),
        notes=tuple(_notes(asked, era, pins, learned)),
        key=key_of(
            root,
            (line for step in steps for line in step.lines),
            {
                "python": python.version,
                "sdk": sdk,
                "gradio": gradio,
                "as_of": as_of.date,
                "package_dates": dates,
                "prerelease": asked.prerelease,
                "steps": [[[line.text for line in step.lines], step.constraints] for step in steps],
            },
        ),
        as_of=as_of,
        package_dates=dates,
        prerelease=asked.prerelease,
    )


def _dates(era: Era, learned: Learned) -> tuple[tuple[str, str], ...]:
    younger = (*learned.younger, *(item for pinned in learned.pinned.values() for item in pinned.newer))
    return (*package_dates(era, learned.sdk_released), *younger, *((name, "false") for name in learned.undated))


def _notes(asked: Asked, era: Era, pins: tuple[str, ...], learned: Learned) -> Iterator[str]:
    yield from asked.notes
    yield from (pinned.why for pinned in learned.pinned.values())
    yield from learned.notes
    if base := base_layer(era):
        yield f"As in the base layer of Hugging Face's builder, {', '.join(base)} are there before the requirements."
    if pins:
        version = ".".join(map(str, era.release))
        yield f"{era.sdk} {version} is known to work with {', '.join(pins)}."


def _sdk_version(sdk: str, text: str | None) -> str | None:
    if not text or sdk not in {"gradio", "streamlit"}:
        return None
    if not EXACT_VERSION.fullmatch(text.strip()):
        raise PackagesError(
            f"The card asks for {sdk} {one_line(text, 60)!r}, which is not a version.",
            hint='Set sdk_version to an exact version such as "5.49.1" in README.md.',
            stage=STAGE,
        )
    return text.strip()


def _conflict(sdk: str, version: str | None, lines: Iterable[Line]) -> str | None:
    if not version:
        return None
    for line in lines:
        if line.name == sdk and not _allows(line, version):
            return (
                f"requirements.txt asks for {one_line(line.text, 80)!r}, the card for {sdk} {version}: "
                f"{sdk} {version} is installed, as on Hugging Face."
            )
    return None


def _allows(line: Line, version: str) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(without_options(line))
    except InvalidRequirement:
        return False
    return requirement.url is None and requirement.specifier.contains(version, prereleases=True)


def _pinned(lines: Iterable[Line], name: str) -> str | None:
    return next((version for line in lines if line.name == name and (version := exact_version(line))), None)


def _steps(root: Path, asked: Asked, era: Era, constraints: tuple[str, ...], *, split: bool) -> Iterator[InstallStep]:
    seed = tuple(parse_line(root, text) for text in SEED)
    base = tuple(parse_line(root, text) for text in base_layer(era))
    sdk = tuple(parse_line(root, text) for text in sdk_packages(era))
    # On its own, it supplies and never constrains.
    bare = InstallStep("pip", seed)
    yield InstallStep(BASE_LAYER, seed + base, constraints, otherwise=(bare,)) if base else bare
    if asked.before:
        yield InstallStep("pre-requirements.txt", asked.before, asked.before_constraints)
    together, limits = asked.own + asked.extra, asked.constraints + constraints
    apart = (
        InstallStep("requirements.txt", together, limits),
        InstallStep("the SDK", sdk + asked.extra, constraints),
    )
    if not together:
        if sdk:
            yield apart[1]
    elif not sdk:
        yield apart[0]
    elif split:
        yield from apart
    else:
        yield InstallStep("packages", together + sdk, limits, otherwise=apart)
