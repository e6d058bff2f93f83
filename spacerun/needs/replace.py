"""`--replace-model OLD=NEW`, read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spacerun.errors import UsageError
from spacerun.needs.access import is_model_id

if TYPE_CHECKING:
    from collections.abc import Iterable


def replacements(assignments: Iterable[str]) -> dict[str, str]:
    """New names by old ones.

    Raises:
        UsageError: A text is not `OLD=NEW`, with two names that models can have.
    """
    found = {}
    for text in assignments:
        old, equals, new = (part.strip() for part in text.partition("="))
        if not equals or not is_model_id(old) or not is_model_id(new):
            raise UsageError(
                f"--replace-model: {text!r} does not name two models.",
                hint="Write it as OLD=NEW, such as decapoda-research/llama-7b-hf=huggyllama/llama-7b",
            )
        found[old] = new
    return found
