"""Git LFS objects on this disk: the store that all working trees share, and what has come of those on their way."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from spacerun.paths import home

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from spacerun.space.pointers import Pointer
    from spacerun.space.tree import Checkout


def stored(pointer: Pointer) -> Path | None:
    """The object in the shared store, or None if it is not there."""
    path = _path(pointer.oid)
    return path if path.is_file() and path.stat().st_size == pointer.size else None


def incoming(space: str) -> Path:
    """A git-lfs storage for one Space (`owner/name`), used under the Space's own lock.

    What has arrived lies in the shared store; what is unfinished is this Space's alone.
    """
    folder = home().lfs / "incoming" / space.replace("/", "--")
    (folder / "incomplete").mkdir(parents=True, exist_ok=True)
    shared = home().lfs / "objects"
    shared.mkdir(exist_ok=True)
    if not (folder / "objects").is_symlink():
        (folder / "objects").symlink_to(shared, target_is_directory=True)
    return folder


def part(arriving: Path, oid: str) -> Path:
    """What has come of an object; git-lfs goes on from there (its `tq/basic_download.go`)."""
    return arriving / "incomplete" / f"{oid}.part"


def keep_parts(arriving: Path, pointers: Iterable[Pointer]) -> None:
    """Make what a killed git-lfs has left a part to go on from; by itself it only does so after an error."""
    for pointer in pointers:
        target = part(arriving, pointer.oid)
        left = [path for path in target.parent.glob(f"{pointer.oid}*") if path != target]
        best = max(left, key=lambda path: path.stat().st_size, default=None)
        if best and (not target.exists() or target.stat().st_size < best.stat().st_size):
            best.replace(target)
            left.remove(best)
        for path in left:
            path.unlink()


def store(pointer: Pointer, arrived: Path) -> None:
    """Move an object whose hash was checked into the shared store."""
    target = _path(pointer.oid)
    target.parent.mkdir(parents=True, exist_ok=True)
    arrived.replace(target)


def received(arriving: Path, pointers: Iterable[Pointer]) -> int:
    """Bytes of `pointers` that are on this disk, complete or not."""
    total = 0
    for pointer in {pointer.oid: pointer for pointer in pointers}.values():
        if stored(pointer):
            total += pointer.size
        else:
            total += max(
                (_size(path) for path in part(arriving, pointer.oid).parent.glob(f"{pointer.oid}*")), default=0
            )
    return total


def place(checkout: Checkout, pointer: Pointer, source: Path) -> int:
    """Copy `source` over a pointer in one step; the modification time of the result in ns."""
    target = checkout.directory / pointer.path
    temporary = (checkout.git_dir or target.parent) / f".{pointer.oid}.{os.getpid()}.tmp"
    shutil.copyfile(source, temporary)
    temporary.chmod(target.stat().st_mode)
    temporary.replace(target)
    return target.stat().st_mtime_ns


def _path(oid: str) -> Path:
    """Where git-lfs keeps an object (git-lfs `fs.go`, `ObjectPathname`)."""
    return home().lfs / "objects" / oid[:2] / oid[2:4] / oid


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
