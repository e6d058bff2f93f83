"""What lies in the weights that a Space loads, asked of the Hub for all models at once; no weights are downloaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from spacerun.checkpoints.places import OnDisk, OnHub
from spacerun.checkpoints.store import read_all
from spacerun.checkpoints.tensors import Contents
from spacerun.lanes import each
from spacerun.memory.known import parameters_of
from spacerun.memory.model import Model, Part
from spacerun.needs.access import Access
from spacerun.space.pointers import LARGEST_POINTER, parse_pointer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from spacerun.checkpoints.places import Place
    from spacerun.needs.load import Load
    from spacerun.needs.models import ModelNeed
    from spacerun.space.find import FoundSpace
    from spacerun.space.tree import Checkout

_AT_ONCE: Final = 8
_CONFIG: Final = "config.json"
_INDEX: Final = "model_index.json"
_HALF: Final = 2
_MOST_NOTES: Final = 3


@dataclass(frozen=True)
class _Wanted:
    """Files to look into, and where they lie."""

    place: Place
    files: Mapping[str, int]
    configs: tuple[str, ...] = ()


def read_models(
    needs: Sequence[ModelNeed], found: FoundSpace | None, checkout: Checkout | None, *, offline: bool
) -> tuple[Model, ...]:
    """The models that the code loads into memory, with what is in their files.

    Args:
        needs: The models of the Space.
        found: The Space on the Hub; None for a local folder.
        checkout: Its files; None where there is no Space.
        offline: Look at what is on this disk only.
    """
    loaded = [need for need in needs if need.load and need.load.role != "remote"]
    return tuple(each(partial(_model, found=found, checkout=checkout, offline=offline), loaded, _AT_ONCE))


def _model(need: ModelNeed, *, found: FoundSpace | None, checkout: Checkout | None, offline: bool) -> Model:
    load = need.load
    assert load is not None  # noqa: S101 - narrows the type: the others were left out
    model = Model(need.id, load)
    if load.kind == "name":
        known = parameters_of(load.library, need.id)
        if known is None:
            return replace(model, problem=f"its size as a model of {load.library} is not known")
        parameters, dtype = known
        contents = Contents(_HALF * parameters, (), {})
        return replace(model, parts=(Part("", {need.id: contents}, {"torch_dtype": dtype}),))
    wanted = _on_hub(need, load) if need.on_hub else _in_space(need, load, found, checkout)
    if isinstance(wanted, str):
        # An adapter is small beside what it is put on.
        return replace(model, problem=None if load.role == "adapter" else wanted)
    if offline and isinstance(wanted.place, OnHub):
        wanted = replace(wanted, place=replace(wanted.place, offline=True))
    read = read_all(wanted.place, wanted.files, configs=wanted.configs)
    contents_of = {**{name: Contents(size, (), {}) for name, size in wanted.files.items()}, **read.contents}
    notes = tuple(f"{need.id}, {name}: counted by its size. {why}" for name, why in read.problems.items())
    return replace(model, parts=_parts(load, contents_of, read.configs), notes=notes[:_MOST_NOTES])


def _on_hub(need: ModelNeed, load: Load) -> _Wanted | str:
    found = need.found
    if found is None or not found.sizes:
        if need.access is Access.GATED:
            return "it is gated, and its files cannot be seen"
        return "the Hub tells nothing of its files"
    files = need.files
    if not files:
        return "which of its files are loaded cannot be told"
    folders = {load.subfolder or "", *(name.rpartition("/")[0] for name in files)}
    configs = [_INDEX, *(f"{folder}/{_CONFIG}" if folder else _CONFIG for folder in sorted(folders))]
    names = {name: found.sizes[name] for name in files}
    return _Wanted(
        OnHub(found.name or need.id, found.revision), names, tuple(name for name in configs if name in found.sizes)
    )


def _in_space(need: ModelNeed, load: Load, found: FoundSpace | None, checkout: Checkout | None) -> _Wanted | str:
    """A file of the Space itself: on this disk, or still a pointer to one on the Hub."""
    if load.kind != "file" or checkout is None:
        return "it is fetched from elsewhere"
    path = _within(checkout.directory, need.id)
    if path is None:
        return "it is no file of the Space"
    name = path.relative_to(checkout.directory.resolve()).as_posix()
    with path.open("rb") as stream:
        pointer = parse_pointer(name, stream.read(LARGEST_POINTER))
    if pointer is None:
        return _Wanted(OnDisk(checkout.directory), {name: path.stat().st_size})
    if found is None:
        return "it is a pointer of git-lfs, and its file is not here"
    return _Wanted(OnHub(found.id, found.commit, "space"), {name: pointer.size})


def _within(directory: Path, name: str) -> Path | None:
    """The file that `name` is inside of the Space."""
    try:
        path = (directory / name).resolve()
        return path if path.is_relative_to(directory.resolve()) and path.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None


def _parts(load: Load, contents: Mapping[str, Contents], configs: Mapping[str, Any]) -> tuple[Part, ...]:
    """A pipeline of diffusers has a part in each folder; every other model is one."""

    def config(folder: str) -> dict[str, Any]:
        found = configs.get(f"{folder}/{_CONFIG}" if folder else _CONFIG)
        return found if isinstance(found, dict) else {}

    if load.library != "diffusers":
        folder = load.subfolder or ""
        return (Part(folder, dict(contents), config(folder)),)
    by_folder: dict[str, dict[str, Contents]] = {}
    for name, held in contents.items():
        by_folder.setdefault(name.rpartition("/")[0], {})[name] = held
    used = set() if load.subfolder else _components(configs.get(_INDEX))
    return tuple(
        Part(folder, held, config(folder)) for folder, held in sorted(by_folder.items()) if not used or folder in used
    )


def _components(index: object) -> set[str]:
    """The parts that a pipeline has by its `model_index.json`: a library and a class for each (diffusers)."""
    rows = index.items() if isinstance(index, dict) else ()
    return {name for name, row in rows if isinstance(row, list) and row and row[0]}
