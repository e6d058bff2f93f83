"""The environments on this disk: what makes one complete, which there are, how one goes."""

from __future__ import annotations

import os
import re
import shutil
import stat
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from spacerun.paths import home, locked, read_json, write_json

# An environment is complete when this file exists in its folder: it is written last, in one step.
STATE_FILE: Final = "environment.json"
_SCHEMA: Final = 1
_KEY = re.compile(r"[0-9a-f]{20}")


@dataclass(frozen=True)
class Environment:
    """A virtual environment that is complete.

    Attributes:
        directory: Its folder; compiled bytecode goes to `pycache` in it.
        python: Its interpreter.
        python_version: Full version of that.
        key: Hash of what it was made from.
        created: Whether this call made it.
        packages: Name and version of each package in it.
        split: Whether the SDK had to be installed after, and against, the requirements.
    """

    directory: Path
    python: Path
    python_version: str
    key: str
    created: bool
    packages: tuple[tuple[str, str], ...]
    split: bool = False

    @property
    def bytecode(self) -> Path:
        """Folder for `PYTHONPYCACHEPREFIX`: neither uv's cache nor the Space's files get a `__pycache__`."""
        return self.directory / "pycache"


@dataclass(frozen=True)
class EnvironmentInfo:
    """An environment as `list` and `prune` see it.

    Attributes:
        key: Its name.
        directory: Its folder.
        python_version: Full version of its Python; empty if it was left half-built.
        size_bytes: Disk given back when it is removed: files shared with uv's cache do not count.
        created_at: When it was made, UTC.
        last_used: When it was last built or reused, UTC.
        complete: Whether it can be used; a half-built one is only worth removing.
    """

    key: str
    directory: Path
    python_version: str
    size_bytes: int
    created_at: datetime
    last_used: datetime
    complete: bool


def folder_of(key: str) -> Path:
    """The folder of the environment `key`, which need not exist."""
    return home().environments / key


def lock_of(key: str) -> str:
    """Name of the lock that its builder or remover holds."""
    return f"environment-{key}"


def load(key: str) -> Environment | None:
    """The environment `key` if it is complete and its interpreter is still there; starts no process."""
    directory = folder_of(key)
    state = read_json(directory / STATE_FILE)
    if not isinstance(state, dict) or state.get("schema") != _SCHEMA:
        return None
    # A virtual environment's Python is a link to the one it was made from, which may have been uninstalled.
    python = directory / state["venv"] / "bin" / "python"
    if not os.access(python, os.X_OK):
        return None
    packages = tuple((name, version) for name, version in state["packages"])
    return Environment(
        directory, python, state["python_version"], key, created=False, packages=packages, split=state["split"]
    )


def save(environment: Environment) -> None:
    """Declare `environment` complete."""
    write_json(
        environment.directory / STATE_FILE,
        {
            "schema": _SCHEMA,
            "key": environment.key,
            "venv": environment.python.parent.parent.name,
            "python_version": environment.python_version,
            "packages": environment.packages,
            "split": environment.split,
            "created_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        },
    )


def touch(key: str) -> None:
    """Note that the environment `key` is used now."""
    os.utime(folder_of(key) / STATE_FILE)


def list_environments() -> tuple[EnvironmentInfo, ...]:
    """All environments, the longest unused first; half-built ones included."""
    folder = home().environments
    found = [_info(path) for path in folder.iterdir() if _KEY.fullmatch(path.name)] if folder.is_dir() else []
    return tuple(sorted(found, key=lambda info: info.last_used))


def remove_environment(key: str) -> None:
    """Remove the environment `key`, waiting for whoever is building it.

    Raises:
        ValueError: `key` is not one.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(key)
    with locked(lock_of(key)):
        clear(folder_of(key))


def clear(directory: Path) -> None:
    """Remove `directory`, first what says that it is complete."""
    (directory / STATE_FILE).unlink(missing_ok=True)
    if directory.is_dir() and not directory.is_symlink():
        shutil.rmtree(directory, ignore_errors=True)


def _info(directory: Path) -> EnvironmentInfo:
    state_file = directory / STATE_FILE
    state = read_json(state_file)
    complete = isinstance(state, dict) and state.get("schema") == _SCHEMA
    used = (state_file if complete else directory).stat().st_mtime
    last_used = datetime.fromtimestamp(used, timezone.utc)
    return EnvironmentInfo(
        key=directory.name,
        directory=directory,
        python_version=state["python_version"] if complete else "",
        size_bytes=_own_bytes(directory),
        created_at=datetime.fromisoformat(state["created_at"]) if complete else last_used,
        last_used=last_used,
        complete=complete,
    )


def _own_bytes(directory: Path) -> int:
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            try:
                status = os.lstat(Path(parent) / name)
            except OSError:
                continue
            if status.st_nlink == 1 or not stat.S_ISREG(status.st_mode):
                total += status.st_blocks * 512
    return total
