"""The models of a Space: what its code loads, joined with what its card and the Hub say, and who may read each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from spacerun.needs.access import Access, is_model_id
from spacerun.needs.naming import is_weights
from spacerun.needs.weights import bytes_of, fetched_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spacerun.needs.access import HubModel
    from spacerun.needs.load import Load


@dataclass(frozen=True)
class ModelNeed:
    """One model.

    Attributes:
        id: Its name; what `--replace-model` made of it.
        sources: Who names it: places in the code, `the card`, `preload_from_hub`, `the Hub`, another model's adapter.
        load: How the code loads it; None where only others name it.
        replaces: The name in the code that it replaces, if it does.
        found: What the Hub says of it; None where it was not asked, or it is none of the Hub's.
    """

    id: str
    sources: tuple[str, ...]
    load: Load | None = None
    replaces: str | None = None
    found: HubModel | None = None

    @property
    def on_hub(self) -> bool:
        """Whether it is a repository on the Hub."""
        return self.load is None or self.load.kind == "hub"

    @property
    def required(self) -> bool:
        """Whether the app cannot start without it, as far as the code tells."""
        load = self.load
        return bool(load and self.on_hub and load.at_start and not load.choice and load.role != "remote")

    @property
    def files(self) -> tuple[str, ...] | None:
        """The files of it that are downloaded; None where that cannot be told."""
        if self.load is None or self.load.role == "remote" or self.found is None or not self.found.sizes:
            return None
        return fetched_files(self.load, self.found.sizes)

    @property
    def download_bytes(self) -> int | None:
        """Bytes of its files that are downloaded, whether or not they lie in a cache; None where unknown."""
        files = self.files
        return bytes_of(files, self.found.sizes) if files is not None and self.found else None

    @property
    def access(self) -> Access:
        """Who may read it."""
        return self.found.access if self.found else Access.UNKNOWN

    def to_json(self) -> dict[str, Any]:
        """An entry of `models` in the JSON document."""
        load = self.load
        facts: dict[str, Any] = {
            "id": self.id,
            "revision": (self.found.revision if self.found else None) or (load.revision if load else None),
            "source": self.sources[0],
            "sources": list(self.sources),
            "dtype": load.precision.dtype if load else None,
            "download_bytes": self.download_bytes,
            "access": self.access.value if self.on_hub else None,
            "kind": load.kind if load else "hub",
            "replaces": self.replaces,
            "readable": self.found.readable if self.found else None,
        }
        if load is None:
            return facts | {"certain": False}
        return facts | {
            "certain": not load.choice,
            "at_start": load.at_start,
            "library": load.library,
            "role": load.role,
            "quantization": load.precision.method,
            "file": load.file,
            "subfolder": load.subfolder,
            "variant": load.variant,
            "device": load.device,
            "offload": load.offload,
        }


def join(
    loads: Iterable[Load], others: Mapping[str, Sequence[str]], replaced: Mapping[str, str]
) -> tuple[ModelNeed, ...]:
    """The models of a Space, those of the code first.

    Args:
        loads: What the code loads.
        others: Names that others give, by who does.
        replaced: New names by old ones.
    """
    found: list[ModelNeed] = []
    for load in loads:
        if load.id is None:
            continue
        new = replaced.get(load.id, load.id)
        sources = tuple(dict.fromkeys((load.place, *(who for who, names in others.items() if load.id in names))))
        replaces = load.id if new != load.id else None
        found.append(ModelNeed(new, sources, replace(load, id=new), replaces))
    known = {(need.replaces or need.id).lower() for need in found}
    for who, names in others.items():
        for name in names:
            if is_model_id(name) and "/" in name and name.lower() not in known and name not in replaced:
                known.add(name.lower())
                found.append(ModelNeed(name, (who,)))
    return tuple(found)


def preloads(lines: Iterable[str]) -> tuple[str, ...]:
    """The models of `preload_from_hub` that hold weights: `repo [file1,file2 [revision]]`."""
    found = []
    for line in lines:
        name, _, rest = line.strip().partition(" ")
        files = rest.split(" ")[0].split(",") if rest else []
        if not files or any(is_weights(file) for file in files):
            found.append(name)
    return tuple(found)
