"""What the package index and git servers say of a Space's requirements, before they are resolved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from spacerun.environment import git_pins, index
from spacerun.environment.as_of import Dated, Evidence, later
from spacerun.environment.asked import Learned, asked_lines, exact_version
from spacerun.environment.python_choice import NO_HINTS, Hints, published
from spacerun.environment.requirements import Kind

if TYPE_CHECKING:
    from spacerun.environment.as_of import AsOf
    from spacerun.environment.decision import Wanted
    from spacerun.environment.requirements import Line
    from spacerun.progress import Progress

# PyTorch's own index tells upload dates of new files only.
_PYTORCH: Final = "download.pytorch.org"
_TORCH: Final = ("torch", "torchvision", "torchaudio")
_INDEX_OPTIONS: Final = ("--index-url", "-i", "--extra-index-url")


def gather(wanted: Wanted, changed: Dated | None, *, offline: bool) -> Evidence:
    """What the date of `wanted` is decided from: uploads of its exact versions beside the change of its files.

    Args:
        wanted: What is asked for.
        changed: The last change of the Space that bears on its packages, where known.
        offline: Use only what was learned before.
    """
    pins = _pins(asked_lines(wanted.directory))
    sdk = {wanted.sdk: wanted.sdk_version} if wanted.sdk_version and wanted.sdk in {"gradio", "streamlit"} else {}
    projects = index.ask(pins | sdk, offline=offline)
    uploads = [
        Dated(f"{name} {version} was uploaded", when)
        for name, version in pins.items()
        if name in projects and (when := projects[name].uploaded(version))
    ]
    released = [
        Dated(f"{name} {version} was released", when)
        for name, version in sdk.items()
        if name in projects and version and (when := projects[name].uploaded(version))
    ]
    return Evidence(
        changed=changed,
        sdk=released[0] if released else None,
        pins=max(uploads, key=lambda upload: upload.when, default=None),
        searchable=all(project.dated for project in projects.values()),
    )


def python_hints(wanted: Wanted, *, offline: bool) -> Hints:
    """What speaks for one Python or another, where nobody names one: the files of exact versions among it."""
    if wanted.python_version or wanted.python_override:
        return NO_HINTS
    lines = asked_lines(wanted.directory, wanted.packages)
    pins = _pins(lines)
    if wanted.sdk_version and wanted.sdk in {"gradio", "streamlit"}:
        pins[wanted.sdk] = wanted.sdk_version
    known = {
        f"{name}=={pins[name]}": found
        for name, project in index.ask(pins, offline=offline).items()
        if (found := project.published(pins[name]))
    }
    # A wheel that is named itself says so in its name.
    named = {name: published([(name, None)]) for line in lines if (name := _wheel(line))}
    return Hints(entry=wanted.entry, pinned=known | named)


def _wheel(line: Line) -> str:
    from urllib.parse import unquote, urlsplit

    if line.kind not in {Kind.REMOTE, Kind.LOCAL}:
        return ""
    address = line.text.split(" @ ")[-1].split(" ")[0].split(";")[0]
    name = unquote(urlsplit(address).path.rpartition("/")[2])
    return name if name.endswith(".whl") else ""


def learn(wanted: Wanted, as_of: AsOf, evidence: Evidence, *, progress: Progress, offline: bool) -> Learned:
    """What has to be known beyond the files to take the packages of `wanted` from `as_of`.

    Args:
        wanted: What is asked for.
        as_of: When packages are taken from.
        evidence: What the date was decided from.
        progress: Told what is fetched.
        offline: Use only what was learned before.
    """
    learned = Learned(sdk_released=later(evidence.sdk.when, days=1) if evidence.sdk else None)
    if as_of.date is None:
        return learned
    lines = asked_lines(wanted.directory, wanted.packages)
    learned = replace(learned, pinned=git_pins.pin(lines, as_of.date, progress=progress, offline=offline))
    return _without_dates(_with_younger(learned, wanted, as_of.date, offline=offline), lines, as_of, offline=offline)


def _pins(lines: tuple[Line, ...]) -> dict[str, str]:
    return {line.name: version for line in lines if line.name and (version := exact_version(line))}


def _with_younger(learned: Learned, wanted: Wanted, date: str, *, offline: bool) -> Learned:
    """Let the user's own exact versions be younger than the Space without making all else younger."""
    own = _pins(asked_lines(wanted.directory))
    added = {
        name: version
        for name, version in _pins(asked_lines(wanted.directory, wanted.packages)).items()
        if own.get(name) != version
    }
    projects = index.ask(added, offline=offline)
    younger = tuple(
        (name, later(when, days=1))
        for name, version in added.items()
        if name in projects and (when := projects[name].uploaded(version)) and when[:19] > date[:19]
    )
    return replace(learned, younger=younger)


def _without_dates(learned: Learned, lines: tuple[Line, ...], as_of: AsOf, *, offline: bool) -> Learned:
    """Exempt from the date what an index without dates brings, and bound the torch family by the date instead."""
    options = [line.text for line in lines if line.kind is Kind.OPTION and line.text.startswith(_INDEX_OPTIONS)]
    if not options or as_of.date is None:
        return learned
    exact = _pins(lines)
    constraints: tuple[str, ...] = ()
    undated: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    if any(_PYTORCH in option for option in options):
        undated = _TORCH
        newest = {
            name: project.newest_before(as_of.date)
            for name, project in index.ask(dict.fromkeys(_TORCH), offline=offline).items()
        }
        constraints = tuple(f"{name}<={version}" for name, version in newest.items() if version and name not in exact)
        if constraints:
            notes = (f"PyTorch's index tells no dates; as of {as_of.date[:10]}, {', '.join(constraints)} is taken.",)
    others = {line.name: None for line in lines if line.kind is Kind.PACKAGE and line.name and line.name not in undated}
    absent = tuple(
        name for name, project in index.ask(others, offline=offline).items() if project.dated and not project.uploads
    )
    return replace(learned, undated=undated + absent, constraints=constraints, notes=notes)
