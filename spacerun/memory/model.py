"""A model as the estimate sees it: the parts it is loaded from, what is in their files, how the code loads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spacerun.checkpoints.tensors import Contents
    from spacerun.needs.load import Load


@dataclass(frozen=True)
class Part:
    """One part of a model: a folder of a pipeline, or all of a plain model.

    Attributes:
        name: The folder, such as `unet`; empty for a plain model.
        files: What is in its weight files, by path.
        config: Its `config.json`; empty where it has none.
    """

    name: str
    files: Mapping[str, Contents] = field(default_factory=dict, hash=False)
    config: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def stored_bytes(self) -> int:
        """Bytes of its files."""
        return sum(contents.size_bytes for contents in self.files.values())


@dataclass(frozen=True)
class Model:
    """One model that the code loads.

    Attributes:
        id: Its name.
        load: How the code loads it.
        parts: What it is loaded from.
        problem: Why its size cannot be told; None where it can.
        notes: What else a reader should know, one sentence each.
    """

    id: str
    load: Load
    parts: tuple[Part, ...] = ()
    problem: str | None = None
    notes: tuple[str, ...] = ()
