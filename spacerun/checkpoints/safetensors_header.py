"""The header of a safetensors file (https://github.com/huggingface/safetensors, "Format").

huggingface_hub's own reader (`parse_safetensors_file_metadata`) is not for a stranger's file: it multiplies whatever
the header calls a shape, so that 100 bytes of header take gigabytes of memory (`[[0], 1000000000]`) and 12 MB take
minutes, and from a server that does not know `Range` it reads the whole file. On sound files both tell the same.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from spacerun.checkpoints import json_text
from spacerun.checkpoints.tensors import BITS, Contents, Tensor, is_count, overlap
from spacerun.checkpoints.unreadable import UnreadableError

if TYPE_CHECKING:
    from spacerun.checkpoints.places import Place

# 97 % of the headers on the Hub are shorter (huggingface_hub, hf_api.py, `parse_safetensors_file_metadata`).
FIRST_BYTES: Final = 100_000
# huggingface_hub, constants.py, `SAFETENSORS_MAX_HEADER_LENGTH`.
LARGEST_HEADER: Final = 25_000_000
_LENGTH: Final = struct.Struct("<Q")
_METADATA: Final = "__metadata__"


def read(place: Place, file: str, size_bytes: int) -> Contents:
    """What lies in a safetensors file; one request, two where the header is long.

    Args:
        place: Where it lies.
        file: Its path there.
        size_bytes: Its size.

    Raises:
        UnreadableError: It cannot be read, or is no sound safetensors file.
    """
    start = place.read(file, 0, min(FIRST_BYTES, size_bytes))
    if len(start) < _LENGTH.size:
        raise UnreadableError("It is too short for a safetensors file.")
    end = _LENGTH.size + _LENGTH.unpack_from(start)[0]
    if end > min(_LENGTH.size + LARGEST_HEADER, size_bytes):
        raise UnreadableError("It is no safetensors file: its header is longer than it can be.")
    header = start[_LENGTH.size : end]
    if len(start) < end:
        header += place.read(file, len(start), end)
    if len(header) < end - _LENGTH.size:
        raise UnreadableError("It ends within its header.")
    try:
        told = json_text.parse(header)
    except ValueError as error:
        raise UnreadableError("It is no safetensors file: its header is not JSON.") from error
    try:
        return Contents(size_bytes, _tensors(told, size_bytes - end))
    except ValueError as error:
        raise UnreadableError(f"It is no sound safetensors file: {error}.") from error


def _tensors(header: Any, room: int) -> tuple[Tensor, ...]:  # noqa: ANN401
    """The tensors that the header names, whose bytes lie in the `room` bytes behind it."""
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")  # noqa: TRY004 - of the file, not of an argument
    rows = [_row(name, row) for name, row in header.items() if name != _METADATA]
    spans = [span for _, span in rows]
    if any(stop > room for _, stop in spans) or overlap(spans):
        raise ValueError("its tensors overlap, or lie behind its end")
    return tuple(tensor for tensor, _ in rows)


def _row(name: str, row: Any) -> tuple[Tensor, tuple[int, int]]:  # noqa: ANN401
    """A tensor and its span; as safetensors itself, refuses one whose shape and bytes do not fit."""
    try:
        dtype, shape, (start, stop) = row["dtype"], row["shape"], row["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise ValueError("a tensor in its header is not described as one") from None
    if not (isinstance(shape, list) and is_count(start) and is_count(stop) and start <= stop):
        raise ValueError("a tensor in its header has an impossible shape or place")
    tensor = Tensor(name, dtype, tuple(shape), stop - start)
    # No type is known to take less than a bit.
    bits = BITS.get(dtype)
    fits = tensor.parameters * bits == 8 * tensor.stored_bytes if bits else tensor.parameters <= 8 * tensor.stored_bytes
    if not fits:
        raise ValueError("the shape of a tensor does not fit its bytes")
    return tensor, (start, stop)
