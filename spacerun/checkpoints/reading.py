"""What lies in one file, whatever its format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spacerun.checkpoints import gguf_header, safetensors_header, torch_zip
from spacerun.checkpoints.tensors import Contents

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spacerun.checkpoints.places import Place

_READERS: Final[Mapping[str, Callable[[Place, str, int], Contents]]] = {
    "safetensors": safetensors_header.read,
    "gguf": gguf_header.read,
    **dict.fromkeys(("bin", "pt", "pth", "ckpt"), torch_zip.read),
}


def is_told(file: str) -> bool:
    """Whether the format of a file, by its name, tells what lies in it."""
    return _format(file) in _READERS


def contents(place: Place, file: str, size_bytes: int) -> Contents:
    """What lies in a file, read from the few parts of it that tell; of other formats only the size, without a request.

    Args:
        place: Where it lies.
        file: Its path there.
        size_bytes: Its size.

    Raises:
        UnreadableError: It cannot be read, or is broken.
    """
    reader = _READERS.get(_format(file))
    if reader is None:
        return Contents(size_bytes)
    return reader(place, file, size_bytes)


def _format(file: str) -> str:
    return file.rpartition(".")[2].lower()
