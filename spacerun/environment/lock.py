"""Locks: what an environment holds, to the byte; written beside each, exported with `--lock`, taken with `--locked`.

A lock is a `pylock.toml` (PEP 751) with a table `[tool.spacerun]`; docs/lock.md describes it.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from spacerun import toml
from spacerun.environment.as_of import AsOf, Rung
from spacerun.environment.key import fingerprint
from spacerun.environment.plan import InstallStep
from spacerun.environment.python import check_version, matches
from spacerun.environment.requirements import Kind, Line, parse_line
from spacerun.environment.uv import STAGE
from spacerun.errors import PackagesError, RefusedError, UsageError
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from spacerun.environment.plan import EnvironmentPlan

LOCK_FILE: Final = "pylock.toml"
FORMAT: Final = 1
_LARGEST: Final = 16 << 20


@dataclass(frozen=True)
class Lock:
    """A lock, read.

    Attributes:
        file: Where it was read from.
        space: The Space that it was made for; a folder's path for a local one.
        commit: Its full commit, or None for a local folder.
        python: Full version of the Python.
        platform: Operating system and machine, like `linux x86_64`.
        as_of: The date that packages were taken from (RFC 3339), or None.
        indexes: Options that name the indexes beside the user's own.
        local: Requirements from the Space's own files, with what they were built from, hashed.
        packages: The packages as PEP 751 has them.
        models: Models of the Hub, each with its full commit.
    """

    file: Path
    space: str | None
    commit: str | None
    python: str
    platform: str
    as_of: str | None
    indexes: tuple[str, ...] = ()
    local: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[Mapping[str, Any], ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)


def read_lock(file: Path) -> Lock:
    """Read a lock.

    Raises:
        UsageError: It is none, or of another time.
    """
    try:
        content = toml.parse(_text(file))
        return _lock(file, content, content["tool"]["spacerun"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, PackagesError) as error:
        raise _no_lock(file, error) from None


def _no_lock(file: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{one_line(str(file), 120)} is not a lock that spacerun wrote ({one_line(str(error), 120)}).",
        hint="Make one: spacerun launch SPACE --lock FILE",
        stage=STAGE,
    )


def _text(file: Path) -> str:
    if file.stat().st_size > _LARGEST:
        raise ValueError("too large")
    return file.read_text(encoding="utf-8")


def _lock(file: Path, content: dict[str, Any], table: dict[str, Any]) -> Lock:
    if table["version"] != FORMAT:
        raise ValueError(f"version {table['version']} of the format")
    return Lock(
        file=file,
        space=table.get("space"),
        commit=table.get("commit"),
        python=check_version(str(table["python"])),
        platform=str(table["platform"]),
        as_of=table.get("as-of"),
        indexes=tuple(_whole(text) for text in table.get("indexes", ())),
        local=dict(table.get("local", {})),
        packages=tuple(content.get("packages", ())),
        models={str(model): str(revision) for model, revision in dict(table.get("models") or {}).items()},
    )


def _whole(text: str) -> str:
    """`text`, which has to be one line: it becomes a line of a requirement file."""
    if not text.isprintable():
        raise ValueError(f"{text!r} is not one line")
    return text


def locked_plan(
    lock: Lock, plan: EnvironmentPlan, *, space: str, commit: str | None, python: str | None
) -> EnvironmentPlan:
    """The plan that makes the environment of `lock` again, for the Space that `plan` is for.

    Args:
        lock: What to make.
        plan: What would be made without it.
        space: The Space's name.
        commit: Its full commit, or None for a local folder.
        python: The Python that the user asks for, or None.

    Raises:
        RefusedError: The lock is for something else.
        UsageError: It is damaged.
    """
    _refuse_others(lock, plan, space, commit, python)
    hashed: list[Line] = []
    sources: list[Line] = []
    try:
        requirements = [_whole(_requirement(package)) for package in lock.packages]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_lock(lock.file, error) from None
    for text in requirements:
        line = parse_line(plan.directory, text, named_by=lock.file.name)
        (hashed if " --hash=" in line.text else sources).append(line)
    options = tuple(parse_line(plan.directory, text, named_by=lock.file.name) for text in lock.indexes)
    steps = (
        InstallStep("the lock's packages", (*options, *hashed), exact=True),
        InstallStep("the lock's sources", (*options, *sources), exact=True),
    )
    made_from: list[Any] = [lock.python, lock.platform, [[line.text for line in step.lines] for step in steps]]
    if any(line.path for line in sources):
        made_from.append([str(plan.directory), dict(lock.local)])
    return replace(
        plan,
        python=lock.python,
        python_required=True,
        python_why=f"locked in {lock.file.name}",
        steps=tuple(step for step in steps if any(line.kind is not Kind.OPTION for line in step.lines)),
        split=False,
        warnings=(),
        notes=(),
        key=hashlib.sha256(json.dumps(["locked", *made_from]).encode()).hexdigest()[:20],
        as_of=AsOf(lock.as_of, Rung.GIVEN, f"locked in {lock.file.name}"),
        package_dates=(),
        prerelease=False,
        overrides=(),
        locked=True,
    )


def _refuse_others(lock: Lock, plan: EnvironmentPlan, space: str, commit: str | None, python: str | None) -> None:
    named = one_line(lock.file.name, 60)
    if commit and lock.commit and lock.space != space:
        raise RefusedError(f"{named} is the lock of {one_line(lock.space or '?', 80)}, not of {space}.", stage=STAGE)
    if commit and commit != lock.commit:
        hint = (
            f"Launch that commit: spacerun launch {space}@{lock.commit} --locked {lock.file}" if lock.commit else None
        )
        was = f"commit {lock.commit[:12]}" if lock.commit else "a local folder"
        raise RefusedError(f"{named} is for {was} of {space}, and this is {commit[:12]}.", hint=hint, stage=STAGE)
    if lock.platform != here():
        raise RefusedError(f"{named} is for {one_line(lock.platform, 40)}, and this is {here()}.", stage=STAGE)
    if python and not matches(lock.python, python):
        raise RefusedError(f"{named} is for Python {lock.python}, and --python asks for {plan.python}.", stage=STAGE)
    for text, was in lock.local.items():
        if _local(plan, text) != was:
            raise RefusedError(
                f"{named} was made with other files of the local package {one_line(text, 80)}.",
                hint="Go back to the files that it was made with, or make a new lock: --lock FILE",
                stage=STAGE,
            )


def check_python(plan: EnvironmentPlan, version: str) -> None:
    """Refuse to make a locked environment with another Python than the lock's.

    Raises:
        RefusedError: `version` is another one.
    """
    if plan.locked and version != plan.python:
        raise RefusedError(
            f"The lock is for Python {plan.python}, and this machine has {version}.",
            hint=f"Install it: uv python install {plan.python}",
            stage=STAGE,
        )


def _requirement(package: Mapping[str, Any]) -> str:
    """The line that installs exactly a package of a lock."""
    name = str(package["name"])
    if vcs := package.get("vcs"):
        tail = f"#subdirectory={vcs['subdirectory']}" if vcs.get("subdirectory") else ""
        return f"{name} @ {vcs['type']}+{vcs['url']}@{vcs['commit-id']}{tail}"
    if directory := package.get("directory"):
        path = str(directory["path"])
        return f"{'-e ' if directory.get('editable') else ''}{path if path.startswith('/') else f'./{path}'}"
    archive = package.get("archive")
    files = [archive] if archive else package.get("wheels") or [package["sdist"]]
    hashes = " ".join(f"--hash=sha256:{file['hashes']['sha256']}" for file in files)
    return f"{name} @ {archive['url']} {hashes}" if archive else f"{name}=={package['version']} {hashes}"


def _local(plan: EnvironmentPlan, shown: str) -> str:
    editable = shown.startswith("-e ")
    place = shown.removeprefix("-e ")
    return fingerprint(Line(place, Kind.LOCAL, path=(plan.directory / place).resolve(), editable=editable))


def here() -> str:
    """This kind of machine: `linux x86_64`."""
    return f"{sys.platform} {platform.machine()}"
