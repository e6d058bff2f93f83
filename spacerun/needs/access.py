"""Who may read the models that a Space loads, asked of the Hub before anything big is downloaded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from spacerun import hub, lanes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_AT_ONCE: Final = 8
_MOST_FILES: Final = 2000
TIMEOUT_SECONDS: Final = 10.0
# `owner/name`, or a plain name as the Hub's oldest models have it (huggingface_hub `utils/_validators.py`).
_ID: Final = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,95}/)?[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


class Access(str, Enum):
    """Who may read a model on the Hub."""

    PUBLIC = "public"
    GATED = "gated"
    MISSING = "missing_or_private"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class HubModel:
    """What the Hub says of one model.

    Attributes:
        id: As the code names it.
        access: Who may read it.
        readable: Whether the user's token, or nobody's if there is none, may read its files; None where unknown.
        name: What it is called today; the same as `id` unless it was renamed.
        revision: Full commit of the revision asked for; None where unknown.
        sizes: Sizes of its files in bytes, by path.
    """

    id: str
    access: Access
    readable: bool | None = None
    name: str | None = None
    revision: str | None = None
    sizes: Mapping[str, int] = field(default_factory=dict, hash=False)

    @property
    def page(self) -> str:
        """Address of its page, where access is asked for."""
        return f"{hub.endpoint()}/{self.name or self.id}"

    def to_json(self) -> dict[str, Any]:
        """For the memory beside the Space."""
        return {
            "id": self.id,
            "access": self.access.value,
            "readable": self.readable,
            "name": self.name,
            "revision": self.revision,
            "sizes": dict(self.sizes),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> HubModel:
        """The inverse of `to_json`."""
        return cls(**{**value, "access": Access(value["access"])})


def is_model_id(text: str) -> bool:
    """Whether `text` can name a model on the Hub."""
    return _ID.fullmatch(text) is not None and ".." not in text and "--" not in text and not text.endswith(".git")


def ask(models: Iterable[tuple[str, str | None]]) -> dict[str, HubModel]:
    """What the Hub says of each model, all asked at once; a silent Hub makes them unknown, and nothing fails.

    Args:
        models: Ids with the revision that the code asks for, or None.
    """
    wanted = dict(models)
    answers = lanes.each(lambda model: _asked(*model), wanted.items(), _AT_ONCE)
    return dict(zip(wanted, answers, strict=True))


def _asked(model: str, revision: str | None) -> HubModel:
    from huggingface_hub.errors import (
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if not is_model_id(model):
        return HubModel(model, Access.MISSING, readable=False)
    api = hub.api()
    facts = partial(api.model_info, model, files_metadata=True, timeout=TIMEOUT_SECONDS)
    try:
        try:
            info = facts(revision=revision)
        except RevisionNotFoundError:
            # The model is there; a missing revision is for the app to tell.
            info = facts()
            info.sha = None
        readable = not info.gated or _may_read(api, model)
    except GatedRepoError:
        return HubModel(model, Access.GATED, readable=False)
    except RepositoryNotFoundError as error:
        refused = "Invalid credentials" in str(error)
        return HubModel(model, Access.UNKNOWN) if refused else HubModel(model, Access.MISSING, readable=False)
    except Exception as error:
        if hub.is_no_answer(error):
            return HubModel(model, Access.UNKNOWN)
        raise
    access = Access.GATED if info.gated else Access.MISSING if info.private else Access.PUBLIC
    revision = info.sha if info.sha and _COMMIT.fullmatch(info.sha) else None
    files = {file.rfilename: int(file.size or 0) for file in (info.siblings or ())[:_MOST_FILES]}
    return HubModel(model, access, readable, info.id if is_model_id(info.id) else model, revision, files)


def _may_read(api: Any, model: str) -> bool:  # noqa: ANN401 - huggingface_hub is imported only when used
    from huggingface_hub.errors import RepositoryNotFoundError  # GatedRepoError is one

    try:
        api.auth_check(model)
    except RepositoryNotFoundError:
        return False
    return True
