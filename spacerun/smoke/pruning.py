"""Giving back the disk that tests took, so that hundreds of them need no more room than a few."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun import storage
from spacerun.app.variables import download_cache
from spacerun.containers import store as images
from spacerun.environment.store import remove_environment
from spacerun.errors import SpacerunError
from spacerun.paths import home

if TYPE_CHECKING:
    from collections.abc import Callable

_MODEL: Final = "models--"


class Pruner:
    """Removes what a test brought to this disk once no test needs it: what was there before the run is left alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before: dict[str, frozenset[str]] = {kind: frozenset(found()) for kind, found in _FOUND.items()}
        self._used: dict[str, set[tuple[str, str]]] = {}

    def uses(self, test: str, kind: str, name: str) -> None:
        """Note that `test` needs something until it is over."""
        with self._lock:
            self._used.setdefault(test, set()).add((kind, name))

    def done(self, test: str) -> None:
        """Remove what `test` brought, and no other test that runs needs."""
        with self._lock:
            mine = self._used.pop(test, set())
            others = set().union(*self._used.values())
            for kind, name in mine - others:
                if name not in self._before[kind]:
                    _REMOVE[kind](name)


def _spaces() -> set[str]:
    return {folder.name.replace("--", "/", 1) for folder in home().spaces.glob("*--*")}


def _builds() -> set[str]:
    return {str(folder) for folder in home().builds.glob("*")} | {image.name for image in images.images()}


def _models() -> set[str]:
    return {folder.name.removeprefix(_MODEL).replace("--", "/") for folder in download_cache().glob(f"{_MODEL}*")}


def _remove_space(name: str) -> None:
    try:
        storage.remove(name, force=False)
    except SpacerunError:
        return  # its app left something of its own there, or runs: that is not to be lost


def _remove_build(name: str) -> None:
    if Path(name).parent == home().builds:
        storage.remove_build(Path(name).name)
    for image in images.images():
        if image.name == name:
            images.remove(image)


def _remove_model(name: str) -> None:
    # huggingface_hub removes revisions by their commits, which a copy of the model has as well.
    shutil.rmtree(download_cache() / f"{_MODEL}{name.replace('/', '--')}", ignore_errors=True)


_FOUND: Final[dict[str, Callable[[], set[str]]]] = {
    "space": _spaces,
    "environment": lambda: {folder.name for folder in home().environments.glob("*")},
    "build": _builds,
    "model": _models,
}
_REMOVE: Final[dict[str, Callable[[str], None]]] = {
    "space": _remove_space,
    "environment": remove_environment,
    "build": _remove_build,
    "model": _remove_model,
}
