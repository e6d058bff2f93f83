"""What spacerun keeps on this disk, with sizes, and giving it back."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from spacerun import editing
from spacerun.app import registry
from spacerun.containers import store as images
from spacerun.containers.folders import data_folder
from spacerun.environment.store import list_environments, remove_environment
from spacerun.errors import NotFoundError, RefusedError
from spacerun.paths import home, is_held, locked, read_json, tree_bytes
from spacerun.space.reference import is_valid_name
from spacerun.space.tree import checkout_of, space_folder
from spacerun.space.update import changes
from spacerun.text import one_line

if TYPE_CHECKING:
    from spacerun.containers.store import Image
    from spacerun.environment.store import EnvironmentInfo

Kind = Literal["tree", "environment", "build", "image", "objects", "tests"]


@dataclass(frozen=True)
class Item:
    """Something that takes disk.

    Attributes:
        kind: A working tree, an environment, the built files of a static Space, an engine's image, what several trees
            share (repositories and LFS objects), or what a run of smoke tests left.
        name: `owner/name@commit`, the key of an environment, a build or a run, an image's name, or what is shared.
        directory: Where it lies.
        size_bytes: Disk that its removal gives back.
        last_used: When it was last used, ISO 8601 UTC.
        in_use: Whether a running app uses it.
    """

    kind: Kind
    name: str
    directory: str
    size_bytes: int
    last_used: str
    in_use: bool


def items() -> list[Item]:
    """All that is kept, the largest first."""
    used = _used_directories()
    found = [_tree_item(space, tree, used) for space, tree in _trees()]
    found += [_environment_item(info) for info in list_environments()]
    found += [_build_item(folder) for folder in sorted(home().builds.glob("*"))]
    found += [_image_item(image) for image in images.images()]
    found += [_run_item(folder) for folder in sorted(home().runs.glob("*"))]
    if home().lfs.is_dir():
        found.append(
            Item("objects", "Git LFS objects", str(home().lfs), tree_bytes(home().lfs), _used(home().lfs), in_use=False)
        )
    return sorted(found, key=lambda item: item.size_bytes, reverse=True)


def remove(space: str, *, force: bool) -> tuple[list[Item], int]:
    """Remove all working trees and images of `space` (`owner/name`), its repository, and the objects only it uses.

    Args:
        space: `owner/name`.
        force: Remove changed files as well.

    Returns:
        What was removed, and the bytes given back.

    Raises:
        NotFoundError: Nothing of it is on this disk.
        RefusedError: An app runs from it, or a file in it was changed, or its app keeps something in `/data`.
    """
    owner, _, name = space.partition("/")
    if not (is_valid_name(owner) and is_valid_name(name)) or not space_folder(space).is_dir():
        raise NotFoundError(f"Nothing of {one_line(space)} is on this disk.", hint="See what is: spacerun list")
    with locked(f"space-{space.replace('/', '--')}"):
        used = _used_directories()
        mine = [_tree_item(space, tree, used) for owner_name, tree in _trees() if owner_name == space]
        busy = next((item for item in mine if item.in_use), None)
        if busy:
            raise RefusedError(f"An app runs from {busy.name}.", hint=f"Stop it first: spacerun stop {space}")
        if not force:
            _refuse_changed(space, mine)
            _refuse_kept(space)
        freed = tree_bytes(space_folder(space))
        # What marks trees as complete goes first, so that a kill in between leaves nothing that looks whole.
        for marker in (space_folder(space) / "trees").glob("*.json"):
            marker.unlink()
        shutil.rmtree(space_folder(space))
    for image in images.images():
        if image.space == space and images.remove(image):
            mine.append(_image_item(image))
            freed += image.size_bytes
    return mine, freed + _drop_unused_objects()


def prune(*, everything: bool) -> tuple[list[Item], int]:
    """Remove what no app, tree or test that runs needs: environments, builds, images, large files, what tests left.

    Args:
        everything: Also trees in which nothing was changed and from which no app runs.

    Returns:
        What was removed, and the bytes given back.
    """
    removed = []
    for item in items():
        if item.kind == "environment" and not item.in_use:
            remove_environment(item.name)
            removed.append(item)
        elif item.kind == "build" and not item.in_use:
            remove_build(item.name)
            removed.append(item)
        elif item.kind == "tests" and not item.in_use:
            shutil.rmtree(item.directory, ignore_errors=True)
            removed.append(item)
        elif item.kind == "image" and not item.in_use and _remove_image(item):
            removed.append(item)
        elif item.kind == "tree" and everything and not item.in_use and not _changed(item):
            _remove_tree(item)
            removed.append(item)
    freed = sum(item.size_bytes for item in removed)
    return removed, freed + _drop_unused_objects()


def _used_directories() -> set[str]:
    """Folders from which an app runs."""
    return {record.directory for record in registry.records(active=True) if registry.alive(record)}


def _trees() -> list[tuple[str, Path]]:
    found = []
    for folder in sorted(home().spaces.glob("*/trees")):
        owner, _, name = folder.parent.name.partition("--")
        found += [(f"{owner}/{name}", tree) for tree in sorted(folder.iterdir()) if tree.is_dir()]
    return found


def _tree_item(space: str, tree: Path, used: set[str]) -> Item:
    return Item("tree", f"{space}@{tree.name}", str(tree), tree_bytes(tree), _used(tree), str(tree) in used)


def _environment_item(info: EnvironmentInfo) -> Item:
    last_used = _iso(info.last_used)
    return Item("environment", info.key, str(info.directory), info.size_bytes, last_used, _is_used(info.directory))


def _build_item(folder: Path) -> Item:
    return Item("build", folder.name, str(folder), tree_bytes(folder), _used(folder), _is_used(folder))


def _run_item(folder: Path) -> Item:
    size_bytes = tree_bytes(folder)
    return Item("tests", folder.name, str(folder), size_bytes, _used(folder), is_held(f"smoke-{folder.name}"))


def remove_build(key: str) -> None:
    """Remove the built files `key` of a static Space."""
    folder = home().builds / key
    with locked(f"build-{key}"):
        # What marks it as complete goes first, so that a kill in between leaves nothing that looks whole.
        (folder / "build.json").unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def _image_item(image: Image) -> Item:
    used = datetime.fromtimestamp(image.last_used, timezone.utc)
    return Item("image", image.name, image.engine, image.size_bytes, _iso(used), _image_in_use(image))


def _image_in_use(image: Image) -> bool:
    specs = (registry.load_spec(record.id) for record in registry.records(active=True))
    return any(spec and spec.container and image.name in spec.command for spec in specs)


def _remove_image(item: Item) -> bool:
    """Remove an image; False where its engine refuses, as it does while a container of somebody else's uses it."""
    return any(image.name == item.name and images.remove(image) for image in images.images())


def _is_used(directory: Path) -> bool:
    """Whether a running app was started by a file in `directory`, or for one."""
    import psutil

    prefix = f"{directory}/"
    for record in registry.records(active=True):
        if registry.alive(record):
            try:
                if any(word.startswith(prefix) for word in psutil.Process(record.pid).cmdline()):
                    return True
            except psutil.Error:
                continue
    return False


def _refuse_changed(space: str, mine: list[Item]) -> None:
    for item in mine:
        paths = _changed(item)
        if paths:
            raise RefusedError(
                f"{len(paths)} files in {item.directory} are not as upstream, for example {one_line(paths[0])}.",
                hint=f"See them: git -C {item.directory} status ; remove them too: spacerun remove {space} --force",
            )


def _refuse_kept(space: str) -> None:
    folder = data_folder(space, in_clone=True)
    if folder.is_dir() and any(folder.iterdir()):
        raise RefusedError(
            f"The app of {space} keeps files in {folder}, which is its /data.",
            hint=f"Copy what you want to keep, then: spacerun remove {space} --force",
        )


def _changed(item: Item) -> tuple[str, ...]:
    checkout = checkout_of(item.name.partition("@")[0], Path(item.directory))
    return changes(checkout, editing.unedited).paths if checkout else ()


def _remove_tree(item: Item) -> None:
    tree = Path(item.directory)
    tree.with_name(tree.name + ".json").unlink(missing_ok=True)
    shutil.rmtree(tree, ignore_errors=True)


def _drop_unused_objects() -> int:
    """Remove the LFS objects that no tree on this disk names; the bytes given back."""
    needed = set()
    for state in home().spaces.glob("*/trees/*.json"):
        needed |= {pointer["oid"] for pointer in (read_json(state) or {}).get("pointers", ())}
    freed = 0
    for stored in (home().lfs / "objects").glob("*/*/*"):
        if stored.name not in needed:
            freed += stored.stat().st_blocks * 512
            stored.unlink()
    return freed


def _used(path: Path) -> str:
    return _iso(datetime.fromtimestamp(path.stat().st_mtime, timezone.utc))


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def to_json(item: Item) -> dict[str, Any]:
    """An item for JSON."""
    from dataclasses import asdict

    return asdict(item)
