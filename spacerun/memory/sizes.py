"""What the code asks its models for: tokens, pixels, frames, images at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Sizes:
    """Values that the code gives to what memory depends on, by the name of the argument.

    Attributes:
        defaults: The value before a visitor changes it.
        maxima: The largest that it can be given.
    """

    defaults: Mapping[str, int] = field(default_factory=dict, hash=False)
    maxima: Mapping[str, int] = field(default_factory=dict, hash=False)

    def usual(self, *names: str) -> int:
        """The default of the first of `names` that the code gives; 0 where it gives none."""
        return next((self.defaults[name] for name in names if name in self.defaults), 0)

    def largest(self, *names: str) -> int:
        """The largest value of the first of `names` that the code gives; 0 where it gives none."""
        return next((self.maxima[name] for name in names if name in self.maxima), 0)
