"""What to try next where a Space does not start, and what worked the last time.

The first plan takes packages as of the Space's own day. Where these do not resolve, or the app dies of something
known, answers errors, or has a broken API, another choice of packages may do: the ladder. What a person has to mend (a
secret, a full disk, a wrong name, too little memory) is never climbed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spacerun.environment.as_of import LADDER, Rung
from spacerun.environment.imports_check import missing_imports, package_of
from spacerun.environment.uv import UnresolvableError
from spacerun.errors import AppCrashedError, PackagesError, ProbeError
from spacerun.paths import locked, read_json, write_json
from spacerun.space.tree import space_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from spacerun.diagnosis import Finding
    from spacerun.environment.store import Environment
    from spacerun.errors import SpacerunError
    from spacerun.progress import Progress
    from spacerun.stages import Located

_KEPT: Final = 20  # commits of one Space that are remembered
_FILE: Final = "ladder.json"


@dataclass(frozen=True)
class Choice:
    """How packages are chosen, as far as it differs from what the Space and the user ask for.

    Attributes:
        rung: When they are taken from; None for what was decided first.
        packages: Requirements that are added.
        python: Python version, or None for the one decided first.
    """

    rung: Rung | None = None
    packages: tuple[str, ...] = ()
    python: str | None = None


@dataclass(frozen=True)
class Attempt:
    """One attempt to start the app.

    Attributes:
        choice: How its packages were chosen.
        rung: The rung it stood on.
        as_of: The date of that, if any.
        error: Why it failed; None for the one that worked.
        findings: What is known about that.
    """

    choice: Choice
    rung: Rung
    as_of: str | None
    error: SpacerunError | None = None
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """An entry of `attempts` in the JSON document."""
        return {
            "rung": self.rung.value,
            "as_of": self.as_of,
            "added": list(self.choice.packages),
            "python": self.choice.python,
            "outcome": self.error.exit_code.name.lower() if self.error else "ok",
            "message": self.error.message if self.error else None,
            "diagnosis": [finding.id for finding in self.findings],
        }


@dataclass(frozen=True)
class Limits:
    """How far a launch may climb.

    Attributes:
        attempts: How often the app may be started.
        dates: Whether packages may be taken from another time; not where the user gave one.
        python: Whether another Python may be taken; not where the user gave one.
    """

    attempts: int
    dates: bool = True
    python: bool = True


def next_choices(attempts: Sequence[Attempt], limits: Limits) -> tuple[Choice, ...]:
    """What may be tried after the last of `attempts` failed, the likeliest first; empty where nothing is left.

    Args:
        attempts: All attempts so far.
        limits: How far this launch may climb.
    """
    last = attempts[-1]
    if len(attempts) >= limits.attempts or not _can_be_mended(last) or added_in_vain(attempts):
        return ()
    first = last.findings[0] if last.findings else None
    module = package_of(first.module) if first and first.module else None
    if first and first.module:
        new = module and module not in last.choice.packages
        return (_with(last.choice, (module,)),) if new and module else ()
    choices = []
    if first and first.python and limits.python and first.python != last.choice.python:
        choices.append(Choice(last.choice.rung, last.choice.packages, first.python))
    if limits.dates:
        tried = {attempt.rung for attempt in attempts}
        kept = Choice(None, _missing_modules(attempts), last.choice.python)
        pins = first.packages if first else ()
        for rung in (rung for rung in LADDER if rung not in tried):
            added = pins if rung is Rung.PERIOD_PINS else ()
            choices.append(_with(Choice(rung, kept.packages, kept.python), added))
        if pins and last.rung in {Rung.LATEST, Rung.PERIOD_PINS}:
            choices.insert(0, _with(last.choice, pins))
    return tuple(choice for choice in choices if choice not in {attempt.choice for attempt in attempts})


def added_in_vain(attempts: Sequence[Attempt]) -> bool:
    """Whether the last attempt failed only because the package of a missing module cannot be had."""
    if len(attempts) < 2 or not isinstance(attempts[-1].error, PackagesError):  # noqa: PLR2004
        return False
    return any(finding.module for finding in attempts[-2].findings)


def describe(choice: Choice, before: Choice) -> str:
    """What is different in `choice`, a phrase: `packages as of 30 days after the SDK's release`."""
    parts = []
    if choice.rung is not None and choice.rung is not before.rung:
        parts.append(
            {
                Rung.AS_OF: "packages of the Space's own day",
                Rung.SDK_RELEASE: "packages of 30 days after the SDK's release",
                Rung.PERIOD_PINS: "today's packages, held back to what the SDK is known to work with",
                Rung.LATEST: "today's packages",
                Rung.GIVEN: "packages of the day asked for",
            }[choice.rung]
        )
    added = [package for package in choice.packages if package not in before.packages]
    if added:
        parts.append(f"{', '.join(added)} added")
    if choice.python and choice.python != before.python:
        parts.append(f"Python {choice.python}")
    return ", ".join(parts) or "the same once more"


@dataclass(frozen=True)
class Memory:
    """What worked for one commit of a Space.

    Attributes:
        choice: How packages were chosen.
        checked: The environment in which every import was found.
    """

    choice: Choice = Choice()
    checked: str | None = None


def recall(space: str, commit: str | None) -> Memory:
    """What worked for `commit` of `space` (`owner/name`); nothing for a local folder, which has no commit."""
    entry = next((entry for entry in _entries(space) if entry.get("commit") == commit), None) if commit else None
    if entry is None:
        return Memory()
    try:
        rung = Rung(entry["rung"]) if entry["rung"] else None
        return Memory(Choice(rung, tuple(map(str, entry["packages"])), entry["python"]), entry["checked"])
    except (TypeError, KeyError, ValueError):
        return Memory()


def memorize(space: str, commit: str | None, memory: Memory) -> None:
    """Remember what worked for `commit` of `space`."""
    if commit is None or recall(space, commit) == memory:
        return
    choice = memory.choice
    entry = {
        "commit": commit,
        "rung": choice.rung.value if choice.rung else None,
        "packages": choice.packages,
        "python": choice.python,
        "checked": memory.checked,
    }
    with locked(f"ladder-{space.replace('/', '--')}"):
        others = [entry for entry in _entries(space) if entry.get("commit") != commit]
        write_json(_file(space), [*others, entry][-_KEPT:])


def _entries(space: str) -> list[dict[str, Any]]:
    content = read_json(_file(space))
    return [entry for entry in content if isinstance(entry, dict)] if isinstance(content, list) else []


def lacking_packages(located: Located, environment: Environment, progress: Progress) -> tuple[str, ...]:
    """Packages of modules that the code imports at its start, and nothing has; all such modules are named to the user.

    Not asked again for an environment in which this commit found all.
    """
    if recall(located.name, located.checkout.commit).checked == environment.key:
        return ()
    missing = missing_imports(environment.python, located.checkout.directory, located.card.app_file)
    known = {item.package: item for item in reversed(missing) if item.package}
    if known:
        names = ", ".join(f"{package} for {item}" for package, item in known.items())
        progress.warn(f"requirements.txt does not name what the code imports: adding {names}.")
    if unknown := [str(item) for item in missing if not item.package]:
        progress.warn(
            f"The code imports what is not installed: {', '.join(unknown)}. If it does not start: --with PACKAGE."
        )
    return tuple(known)


def _can_be_mended(attempt: Attempt) -> bool:
    """Whether another choice of packages may help."""
    error = attempt.error
    if attempt.findings:
        return isinstance(error, (PackagesError, AppCrashedError, ProbeError)) and attempt.findings[0].climbs
    # An app that ends for a reason of its own ends again; a page of errors or a broken API is a matter of packages.
    return isinstance(error, (UnresolvableError, ProbeError))


def _missing_modules(attempts: Sequence[Attempt]) -> tuple[str, ...]:
    """What was added because a module was missing; pins for one date mean nothing for another."""
    named = {package_of(f.module) for attempt in attempts for f in attempt.findings if f.module}
    pins = {package for attempt in attempts for f in attempt.findings for package in f.packages}
    last = attempts[-1].choice.packages
    return tuple(package for package in last if package in named or package not in pins)


def _with(choice: Choice, packages: tuple[str, ...]) -> Choice:
    added = tuple(package for package in packages if package not in choice.packages)
    return Choice(choice.rung, choice.packages + added, choice.python)


def _file(space: str) -> Path:
    return space_folder(space) / _FILE
