"""What a kill in the middle of a launch has left: half-made environments and clones, apps nobody looks after."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from spacerun.app import registry
from spacerun.doctor import Check
from spacerun.environment.store import clear, list_environments, load, lock_of
from spacerun.paths import home, locked
from spacerun.space.tree import state_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spacerun.progress import Progress


class _BusyError(Exception):
    """Another process is at work there."""


def leftovers() -> Check:
    """Whether there is any."""
    environments, trees = list(_environments()), list(_trees())
    orphans = [record for record in registry.records(active=True) if not registry.supervised(record)]
    counts = ((environments, "half-made environments"), (trees, "half-made clones"), (orphans, "apps without a parent"))
    told = [f"{len(found)} {what}" for found, what in counts if found]
    if told:
        return Check("leftovers", "remark", f"of interrupted launches: {', '.join(told)}", "spacerun doctor --fix")
    return Check("leftovers", "ok", "none")


def remove(progress: Progress) -> None:
    """Remove them; what another process is making right now is not one of them."""
    for key in _environments():
        with suppress(_BusyError), locked(lock_of(key), on_wait=_raise_busy):
            if load(key) is None:
                clear(home().environments / key)
                progress.note(f"Removed a half-made environment: {key}")
    for tree in _trees():
        with suppress(_BusyError), locked(_lock_of_tree(tree), on_wait=_raise_busy):
            if not state_file(tree).exists():
                shutil.rmtree(tree, ignore_errors=True)
                progress.note(f"Removed a half-made clone: {tree}")
    for record in registry.reap_orphans():
        progress.note(f"Ended what was left of {record.id}")


def _environments() -> Iterator[str]:
    for info in list_environments():
        if not info.complete and _is_free(lock_of(info.key)):
            yield info.key


def _trees() -> Iterator[Path]:
    for folder in sorted(home().spaces.glob("*/trees")):
        for tree in sorted(folder.iterdir()):
            if tree.is_dir() and not state_file(tree).exists() and _is_free(_lock_of_tree(tree)):
                yield tree


def _lock_of_tree(tree: Path) -> str:
    return f"space-{tree.parent.parent.name}"


def _is_free(lock: str) -> bool:
    try:
        with locked(lock, on_wait=_raise_busy):
            return True
    except _BusyError:
        return False


def _raise_busy() -> None:
    raise _BusyError
