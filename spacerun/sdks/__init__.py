"""The SDKs of Spaces: one module each, found by its name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from spacerun.errors import UsageError

if TYPE_CHECKING:
    from spacerun.sdks.base import Sdk


def of(name: str) -> Sdk:
    """The SDK `name`, as a card names it.

    Raises:
        UsageError: spacerun does not launch Spaces of this SDK.
    """
    try:
        return cast("Sdk", import_module(f"{__name__}.{name}").SDK)
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise UsageError(
            f"spacerun does not launch {name} Spaces.",
            hint="Its files can be had with: hf download --repo-type space owner/name",
        ) from None
