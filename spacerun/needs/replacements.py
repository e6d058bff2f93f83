"""What may stand in for a model that is gone: known removals first, then what the Hub finds by its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun import hub, lanes, toml
from spacerun.needs.access import TIMEOUT_SECONDS, is_model_id

if TYPE_CHECKING:
    from collections.abc import Mapping

_TABLE: Final = Path(__file__).with_name("replacements.toml")
_SHOWN: Final = 3
_ASKED_FOR: Final = 20
# Parts of a name that say how weights are stored, not which they are.
_STORAGE: Final = re.compile(r"[-_.](?:hf|fp16|fp32|bf16|safetensors|diffusers|pytorch|transformers)$", re.IGNORECASE)


@dataclass(frozen=True)
class Candidate:
    """A model that may stand in for another.

    Attributes:
        id: Its name on the Hub.
        source: Who says so: an address, or `the Hub's search`.
    """

    id: str
    source: str


def candidates(model: str) -> tuple[Candidate, ...]:
    """What may stand in for `model`, the likeliest first; empty where the Hub is silent and nothing is known."""
    known = _known().get(model.lower())
    found = _search(model)
    first = (known,) if known else ()
    return tuple(dict.fromkeys((*first, *(item for item in found if not known or item.id != known.id))))[:_SHOWN]


def _search(model: str) -> tuple[Candidate, ...]:
    """Models of the same name by other owners; those that many people download come first."""
    name = model.rpartition("/")[2]
    names = dict.fromkeys((name, _STORAGE.sub("", name)))
    answers = lanes.each(_asked, names, len(names))
    alike = [
        (downloads, other)
        for other, downloads in chain(*answers)
        if other.lower() != model.lower() and _plain(other) == _plain(model)
    ]
    ranked = sorted(alike, key=lambda row: -row[0])
    return tuple(Candidate(other, "the Hub's search") for _, other in ranked)


def _asked(name: str) -> list[tuple[str, int]]:
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    # `HfApi.list_models` asks a silent Hub five times over, for 20 s.
    query: dict[str, str | int] = {"search": name, "sort": "downloads", "limit": _ASKED_FOR}
    try:
        answer = get_session().get(
            f"{hub.endpoint()}/api/models", params=query, headers=build_hf_headers(), timeout=TIMEOUT_SECONDS
        )
        hf_raise_for_status(answer)
        return [(row["id"], int(row.get("downloads") or 0)) for row in answer.json() if is_model_id(row["id"])]
    except Exception as error:
        if hub.is_no_answer(error):
            return []
        raise


def _plain(model: str) -> str:
    """A model's name without its owner, and without what says only how it is stored."""
    name = model.rpartition("/")[2]
    while (shorter := _STORAGE.sub("", name)) != name:
        name = shorter
    return re.sub(r"[-_.]", "", name.lower())


@cache
def _known() -> Mapping[str, Candidate]:
    rows = toml.parse(_TABLE.read_text(encoding="utf-8"))["gone"]
    return {row["id"].lower(): Candidate(row["today"], row["source"]) for row in rows}
