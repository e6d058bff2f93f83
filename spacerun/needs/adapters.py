"""The base model of an adapter that the code does not name: its `adapter_config.json` on the Hub does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from spacerun import hub, lanes
from spacerun.needs.access import TIMEOUT_SECONDS, is_model_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spacerun.needs.load import Load

_AT_ONCE: Final = 8
_LARGEST: Final = 256 * 1024


def bases(loads: Iterable[Load]) -> tuple[tuple[str, str], ...]:
    """Adapters whose base model is loaded with them (`AutoPeftModel…`), each with that model."""
    names = list(dict.fromkeys(load.id for load in loads if load.brings_base and load.id and load.kind == "hub"))
    found = zip(names, lanes.each(_base, names, _AT_ONCE), strict=True)
    return tuple((name, base) for name, base in found if base)


def _base(adapter: str) -> str | None:
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    address = f"{hub.endpoint()}/{quote(adapter)}/resolve/main/adapter_config.json"
    try:
        answer = get_session().get(address, headers=build_hf_headers(), timeout=TIMEOUT_SECONDS, follow_redirects=True)
        hf_raise_for_status(answer)
        if len(answer.content) > _LARGEST:
            return None
        config: Any = answer.json()
        base = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    except Exception as error:
        if hub.is_no_answer(error):
            return None
        raise
    return base if isinstance(base, str) and is_model_id(base) else None
