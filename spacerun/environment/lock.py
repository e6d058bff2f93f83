"""Locks: what an environment holds, to the byte; written beside each, exported with `--lock`, taken with `--locked`.

A lock is a `pylock.toml` (PEP 751) with a table `[tool.spacerun]`; docs/lock.md describes it.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import platform
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spacerun.environment.as_of import AsOf, Rung
from spacerun.environment.key import fingerprint
from spacerun.environment.plan import InstallStep
from spacerun.environment.python import check_version, matches
from spacerun.environment.requirements import Kind, Line, normalize, parse_line
from spacerun.environment.uv import STAGE, run_uv
from spacerun.errors import PackagesError, RefusedError, UsageError
from spacerun.paths import write_atomic
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from spacerun.environment.plan import EnvironmentPlan
    from spacerun.environment.store import Environment

LOCK_FILE: Final = "pylock.toml"
_VERSION: Final = 1
_TABLE: Final = "\n[tool.spacerun]\n"
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


def write_lock(plan: EnvironmentPlan, venv: Path, version: str) -> None:
    """Write the lock of `venv` beside it: from what is installed, with the hashes that uv's cache remembers.

    Args:
        plan: What it was made from.
        venv: The virtual environment.
        version: Full version of its Python.

    Raises:
        PackagesError: uv does not know where a package comes from.
    """
    registry, others = [], []
    for name, release, origin in _installed(venv):
        if origin is None:
            registry.append(f"{name}=={release}")
        elif "archive_info" in origin:
            registry.append(f"{name} @ {origin['url']}")
        else:
            others.append(_entry(plan.directory, name, release, origin))
    text = _hashed(plan, registry, venv.parent, ["--python", venv / "bin" / "python"], made=True)
    write_atomic(venv.parent / LOCK_FILE, f"{text}{''.join(others)}{_table(_facts(plan, version))}".encode())


def lock_text(
    plan: EnvironmentPlan,
    environment: Environment | None,
    *,
    space: str,
    commit: str | None,
    system_packages: Iterable[str],
    requirements: Iterable[str] = (),
    python: str | None = None,
    scratch: Path | None = None,
) -> str:
    """The lock of a Space, for `--lock FILE`.

    Args:
        plan: What the environment is made from.
        environment: It, if it was made; else the lock is made from `requirements`.
        space: The Space's name.
        commit: Its full commit, or None for a local folder.
        system_packages: The Debian packages that it names.
        requirements: What would be installed, each with its exact version or address.
        python: Full version of the Python that they are for.
        scratch: A folder to work in, without an environment.

    Raises:
        PackagesError: The environment has no lock, or the index does not answer.
    """
    if environment:
        try:
            text = (environment.directory / LOCK_FILE).read_text(encoding="utf-8")
        except OSError:
            raise PackagesError(
                "This environment was made without a lock.",
                hint=f"Remove it, and it is made again: rm -r {environment.directory}",
                stage=STAGE,
            ) from None
        packages, _, table = text.partition(_TABLE)
        facts = _parsed(f"{_TABLE}{table}")["tool"]["spacerun"]
    else:
        assert scratch is not None  # noqa: S101 - either an environment or a folder to work in
        ours: list[str | Path] = ["--python", sys.executable, "--python-version", python or plan.python]
        packages = _hashed(plan, list(requirements), scratch, ours, made=False)
        facts = _facts(plan, python or plan.python)
    return (
        packages.rstrip("\n")
        + "\n"
        + _table(facts | {"space": space, "commit": commit, "system-packages": list(system_packages), "models": []})
    )


def read_lock(file: Path) -> Lock:
    """Read a lock.

    Raises:
        UsageError: It is none, or of another time.
    """
    try:
        content = _parsed(_text(file))
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
    if table["version"] != _VERSION:
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
    here = _platform()
    if lock.platform != here:
        raise RefusedError(f"{named} is for {one_line(lock.platform, 40)}, and this is {here}.", stage=STAGE)
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


def _installed(venv: Path) -> Iterator[tuple[str, str, dict[str, Any] | None]]:
    import importlib.metadata

    sites = [str(path) for path in venv.glob("lib/python*/site-packages")]
    found = {normalize(item.metadata["Name"]): item for item in importlib.metadata.distributions(path=sites)}
    for name, item in sorted(found.items()):
        origin = item.read_text("direct_url.json")
        yield name, item.version, json.loads(origin) if origin else None


def _hashed(
    plan: EnvironmentPlan, requirements: list[str], folder: Path, target: list[str | Path], *, made: bool
) -> str:
    """What uv writes for exact `requirements`; of what it has just installed (`made`) its cache knows all."""
    recipe = folder / "recipe"
    recipe.mkdir(exist_ok=True)
    lines = [*_indexes(plan), *requirements]
    (recipe / "installed.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    output = recipe / LOCK_FILE
    output.unlink(missing_ok=True)
    arguments: list[str | Path] = ["pip", "compile", recipe / "installed.txt", "--format", "pylock.toml"]
    arguments += ["--output-file", output, "--no-deps", "--no-sources", "--no-header", "--quiet"]
    arguments += ["--index-strategy", "unsafe-best-match", "--prerelease", "allow", *target]
    arguments += [] if made else ["--no-build"]
    for offline in (True, False) if made else (False,):
        try:
            run_uv(arguments, doing="The lock could not be made", cwd=plan.directory, offline=offline)
            break
        except PackagesError:
            if not offline:
                raise
    return output.read_text(encoding="utf-8").rstrip("\n") + "\n"


def _indexes(plan: EnvironmentPlan) -> list[str]:
    lines = (line for step in plan.steps for line in step.lines if line.kind is Kind.OPTION)
    return list(dict.fromkeys(line.text for line in lines))


def _entry(root: Path, name: str, version: str, origin: dict[str, Any]) -> str:
    """A package from git or from a folder, as PEP 751 has it."""
    address = str(origin["url"])
    if vcs := origin.get("vcs_info"):
        inner = {"type": vcs["vcs"], "url": address, "commit-id": vcs["commit_id"]}
        if requested := vcs.get("requested_revision"):
            inner["requested-revision"] = requested
        kind = "vcs"
    else:
        from urllib.parse import unquote, urlsplit

        folder = Path(unquote(urlsplit(address).path))
        inner = {"path": folder.relative_to(root).as_posix() if folder.is_relative_to(root) else str(folder)}
        if origin.get("dir_info", {}).get("editable"):
            inner["editable"] = True
        kind = "directory"
    if subdirectory := origin.get("subdirectory"):
        inner["subdirectory"] = subdirectory
    pairs = ", ".join(f"{key} = {_value(value)}" for key, value in inner.items())
    return f"\n[[packages]]\nname = {_value(name)}\nversion = {_value(version)}\n{kind} = {{ {pairs} }}\n"


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


def _facts(plan: EnvironmentPlan, version: str) -> dict[str, Any]:
    local = [line for step in plan.steps for line in step.lines if line.path]
    return {
        "version": _VERSION,
        "python": version,
        "platform": _platform(),
        "as-of": plan.as_of.date,
        "indexes": _indexes(plan),
        "local": {_shown(plan, line): fingerprint(line) for line in local},
    }


def _shown(plan: EnvironmentPlan, line: Line) -> str:
    """A local requirement's place in the Space, with how it is installed."""
    path = line.path or plan.directory
    place = path.relative_to(plan.directory).as_posix() if path.is_relative_to(plan.directory) else str(path)
    return f"-e {place}" if line.editable else place


def _local(plan: EnvironmentPlan, shown: str) -> str:
    editable = shown.startswith("-e ")
    place = shown.removeprefix("-e ")
    return fingerprint(Line(place, Kind.LOCAL, path=(plan.directory / place).resolve(), editable=editable))


def _platform() -> str:
    return f"{sys.platform} {platform.machine()}"


def _table(facts: Mapping[str, Any]) -> str:
    lines = [f"{_value(key)} = {_value(value)}" for key, value in facts.items() if value is not None]
    return _TABLE + "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """A value as TOML writes it: strings, lists and truths as JSON does, a mapping as an inline table."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_value(key)} = {_value(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


def _parsed(text: str) -> dict[str, Any]:
    parser = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    content: dict[str, Any] = parser.loads(text)
    return content
