"""One model that the code of a Space loads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spacerun.needs.naming import Kind
    from spacerun.needs.precision import Precision


@dataclass(frozen=True)
class Load:
    """One model that the code loads, or has run elsewhere.

    Attributes:
        id: Its name; None where only running the code could tell.
        kind: `hub`: a repository; `file`: in the Space; `url`; `name`: of the library's own; `unknown`.
        library: What loads it.
        role: `weights`, `adapter` or `remote`.
        precision: In which form its weights are in memory.
        file: One file of it, where the code names one.
        subfolder: The folder of it that is loaded.
        variant: Which of its files are loaded: `fp16`.
        revision: Which of its revisions.
        device: `cuda`, `cpu`, `auto` (spread by a device map), or None where nothing is said.
        offload: `model`, `sequential` or `group`: what lies in main memory meanwhile.
        place: The call, as `file:line`.
        choice: Whether it is one of several, or loaded under a condition of run time.
        at_start: Whether it is loaded before the app answers.
        brings_base: Whether it is an adapter whose base model is loaded with it.
        memory: What the code does for it to take less memory.
        function: The function that is called: `pipeline`, `from_pretrained`.
        given: Names of its arguments: a pipeline loads no part that it is given.
    """

    id: str | None
    kind: Kind
    library: str
    role: str
    precision: Precision
    place: str
    file: str | None = None
    subfolder: str | None = None
    variant: str | None = None
    revision: str | None = None
    device: str | None = None
    offload: str | None = None
    choice: bool = False
    at_start: bool = False
    brings_base: bool = False
    memory: tuple[str, ...] = ()
    function: str = ""
    given: tuple[str, ...] = ()


def gathered(loads: Iterable[Load]) -> tuple[Load, ...]:
    """Each model once for each type that it is loaded in."""
    found: dict[tuple[object, ...], Load] = {}
    for load in loads:
        key = (load.id, load.file, load.subfolder, load.role, load.precision.dtype)
        before = found.get(key)
        found[key] = _merged(before, load) if before else load
    return tuple(_without_repeats(list(found.values())))


def _merged(first: Load, second: Load) -> Load:
    """Two calls that load the same; what is certain in one is certain."""
    if first.library == "huggingface_hub":  # which has only fetched it
        first, second = second, first
    return replace(
        first,
        choice=first.choice and second.choice,
        at_start=first.at_start or second.at_start,
        device=first.device or second.device,
        offload=first.offload or second.offload,
    )


def _without_repeats(loads: list[Load]) -> Iterator[Load]:
    """A download is told only where nothing is said to load from it; the unknown only once a line."""
    loaded = {(load.id, load.file) for load in loads if load.library != "huggingface_hub"} | {
        (load.id, None) for load in loads if load.library != "huggingface_hub" and not load.file
    }
    unknown: set[str] = set()
    for load in loads:
        if load.id is None:
            if load.place in unknown:
                continue
            unknown.add(load.place)
        elif load.library == "huggingface_hub" and load.role == "weights" and _is_told(load, loaded):
            continue
        yield load


def _is_told(load: Load, loaded: set[tuple[str | None, str | None]]) -> bool:
    return (load.id, load.file) in loaded or (load.id, None) in loaded
