"""Cards that people have or rent, and the hardware that Spaces ask for: memory that a program can get."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_GIB: Final = 1024**3
_MIB: Final = 1024**2


@dataclass(frozen=True)
class Card:
    """A GPU that is common.

    Attributes:
        name: As it is sold.
        usable_bytes: What a program can get of it: what NVML tells as its total, less what the driver keeps.
    """

    name: str
    usable_bytes: int


# Totals in MiB as NVML tells them; the driver keeps some 300 to 600 MiB of each for itself.
CARDS: Final = tuple(
    Card(name, total * _MIB - reserved * _MIB)
    for name, total, reserved in (
        ("RTX 4060 8 GB", 8188, 300), ("RTX 3060 12 GB", 12288, 300), ("T4 16 GB", 15360, 300),
        ("RTX 4080 16 GB", 16376, 300), ("L4, A10G 24 GB", 23034, 400), ("RTX 3090, 4090 24 GB", 24564, 400),
        ("RTX 5090 32 GB", 32607, 500), ("A100 40 GB", 40960, 500), ("L40S, A6000 48 GB", 46068, 500),
        ("A100, H100 80 GB", 81559, 600), ("RTX PRO 6000 96 GB", 97887, 700), ("H200 141 GB", 143771, 700),
        ("B200 180 GB", 183359, 800),
    )
)  # fmt: skip
# Hugging Face's flavors (hub-docs, "Using GPU Spaces"; huggingface_hub, `SpaceHardware`): GiB of GPU memory.
_FLAVORS: Final = {
    "t4-small": 16, "t4-medium": 16, "l4x1": 24, "l4x4": 96, "l40sx1": 48, "l40sx4": 192, "l40sx8": 384,
    "a10g-small": 24, "a10g-large": 24, "a10g-largex2": 48, "a10g-largex4": 96, "a100-large": 80, "a100x4": 320,
    "a100x8": 640, "h100": 80, "h100x8": 640, "rtx-pro-6000": 96, "rtx-pro-6000x2": 192, "rtx-pro-6000x4": 384,
    "rtx-pro-6000x8": 768,
}  # fmt: skip
# What ZeroGPU gives today: half of a card, or all of it (hub-docs, "Spaces ZeroGPU").
_ZERO: Final = {"large": 48, "xlarge": 96}


def that_fit(needed: int) -> tuple[Card, ...]:
    """The cards that have `needed` bytes to give, the smallest first."""
    return tuple(card for card in CARDS if card.usable_bytes >= needed)


def flavor_gib(flavor: str | None) -> int | None:
    """GiB of GPU memory of a Space's hardware; None for hardware without a GPU, or unknown."""
    return _FLAVORS.get(flavor or "")


def zero_gib(decorator: str) -> int:
    """GiB that ZeroGPU gives to a function decorated so: `@spaces.GPU(size="xlarge")`."""
    size = re.search(r"size\s*=\s*['\"](\w+)['\"]", decorator)
    return _ZERO.get(size[1] if size else "large", _ZERO["large"])
