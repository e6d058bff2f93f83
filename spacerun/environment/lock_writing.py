"""Writing locks: beside every environment, and with the Space's name and commit for `--lock`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacerun import toml
from spacerun.environment.key import fingerprint
from spacerun.environment.lock import FORMAT, LOCK_FILE, here
from spacerun.environment.requirements import Kind, Line, normalize
from spacerun.environment.uv import STAGE, run_uv
from spacerun.errors import PackagesError
from spacerun.paths import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from spacerun.environment.plan import EnvironmentPlan
    from spacerun.environment.store import Environment

_TABLE = "\n[tool.spacerun]\n"


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
    models: Mapping[str, str] | None = None,
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
        models: Models that the Space loads, each with its full commit.

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
        facts = toml.parse(f"{_TABLE}{table}")["tool"]["spacerun"]
    else:
        assert scratch is not None  # noqa: S101 - either an environment or a folder to work in
        ours: list[str | Path] = ["--python", sys.executable, "--python-version", python or plan.python]
        packages = _hashed(plan, list(requirements), scratch, ours, made=False)
        facts = _facts(plan, python or plan.python)
    about = {"space": space, "commit": commit, "system-packages": list(system_packages), "models": models or {}}
    return packages.rstrip("\n") + "\n" + _table(facts | about)


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


def _facts(plan: EnvironmentPlan, version: str) -> dict[str, Any]:
    local = [line for step in plan.steps for line in step.lines if line.path]
    return {
        "version": FORMAT,
        "python": version,
        "platform": here(),
        "as-of": plan.as_of.date,
        "indexes": _indexes(plan),
        "local": {_shown(plan, line): fingerprint(line) for line in local},
    }


def _shown(plan: EnvironmentPlan, line: Line) -> str:
    """A local requirement's place in the Space, with how it is installed."""
    path = line.path or plan.directory
    place = path.relative_to(plan.directory).as_posix() if path.is_relative_to(plan.directory) else str(path)
    return f"-e {place}" if line.editable else place


def _table(facts: Mapping[str, Any]) -> str:
    lines = [f"{_value(key)} = {_value(value)}" for key, value in facts.items() if value is not None]
    return _TABLE + "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """A value as TOML writes it: strings, lists and truths as JSON does, a mapping as an inline table."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_value(key)} = {_value(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)
