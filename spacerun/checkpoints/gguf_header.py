"""The header of a GGUF file (https://github.com/ggml-org/ggml, docs/gguf.md)."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spacerun.checkpoints.tensors import Contents, Tensor, is_count, overlap
from spacerun.checkpoints.unreadable import UnreadableError

if TYPE_CHECKING:
    from spacerun.checkpoints.places import Place

FIRST_BYTES: Final = 64 * 1024
# Vocabularies make headers of 4 to 12 MB.
LARGEST_HEADER: Final = 64 * 1024 * 1024
_MAGIC: Final = b"GGUF"
# Version 1 has shorter counts, and no file of it is in use.
_VERSIONS: Final = frozenset({2, 3})
# Real files have some dozens of entries, and some thousands of tensors.
_MOST_ENTRIES: Final = 4096
_MOST_TENSORS: Final = 100_000
_ALIGNMENT: Final = 32
_LONGEST_TEXT: Final = 65_535  # docs/gguf.md: of a key; names of tensors are shorter
_SHOWN_TEXT: Final = 256
_SHOWN_NUMBERS: Final = 1024  # one for each layer
_STRING: Final = 8
_ARRAY: Final = 9
# docs/gguf.md, `enum gguf_metadata_value_type`, as `struct` writes them.
_SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_ARCHITECTURE: Final = "general.architecture"
_VOCABULARY: Final = "tokenizer.ggml.tokens"

# Type: its name, elements in a block, bytes of one (ggml, include/ggml.h, `enum ggml_type`, and src/ggml-common.h; the
# same in gguf-py, constants.py, `GGML_QUANT_SIZES`, those of 31 to 33 in its version 0.10). Number 42, Q2_0, is left
# out: its blocks have 64 elements in llama.cpp, and 128 in the files that came first.
TYPES: Final[dict[int, tuple[str, int, int]]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    31: ("Q4_0_4_4", 32, 18),
    32: ("Q4_0_4_8", 32, 18),
    33: ("Q4_0_8_8", 32, 18),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
}


def read(place: Place, file: str, size_bytes: int) -> Contents:
    """What lies in a GGUF file, or in one part of a split one; no tensors where it uses what is not known here.

    Requests: one for the first 64 KiB, then for as much again as was read so far, until the header is whole.

    Args:
        place: Where it lies.
        file: Its path there.
        size_bytes: Its size.

    Raises:
        UnreadableError: It cannot be read, or is no sound GGUF file.
    """
    header = _Header(place, file, size_bytes)
    if header.bytes(len(_MAGIC)) != _MAGIC:
        raise UnreadableError("It is no GGUF file.")
    version = header.number("I")
    if version & 0xFFFF == 0:  # written by and for a machine of the other byte order
        header.order = ">"
        version = int.from_bytes(version.to_bytes(4, "little"), "big")
    if version not in _VERSIONS:
        return Contents(size_bytes)
    tensors, entries = header.number("Q"), header.number("Q")
    if tensors > _MOST_TENSORS or entries > _MOST_ENTRIES:
        raise UnreadableError("Its header is longer than it can be.")
    metadata = dict(_entry(header) for _ in range(entries))
    infos = [_info(header) for _ in range(tensors)]
    facts = _facts(metadata)
    if any(info.type not in TYPES for info in infos):
        return Contents(size_bytes, facts=facts)
    alignment = metadata.get("general.alignment", _ALIGNMENT)
    if not is_count(alignment) or alignment == 0:
        raise UnreadableError("It is no sound GGUF file: its alignment is no number of bytes.")
    data = -(-header.at // alignment) * alignment
    try:
        return Contents(size_bytes, _tensors(infos, size_bytes - data), facts)
    except ValueError as error:
        raise UnreadableError(f"It is no sound GGUF file: {error}.") from error


@dataclass(frozen=True)
class _Info:
    """What the header says of a tensor."""

    name: str
    dimensions: tuple[int, ...]
    type: int
    offset: int


@dataclass(frozen=True)
class _Skipped:
    """A value that nobody asks for; an array has a number of elements."""

    count: int = 0


class _Header:
    """Reads from the start of a file on, in requests that double what is known of it."""

    def __init__(self, place: Place, file: str, size_bytes: int) -> None:
        self.at = 0
        self.order = "<"
        self._place = place
        self._file = file
        self._end = min(size_bytes, LARGEST_HEADER)
        self._known = bytearray()

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes."""
        self._reach(self.at + count)
        self.at += count
        return bytes(self._known[self.at - count : self.at])

    def skip(self, count: int) -> None:
        """Go on behind `count` bytes."""
        self._reach(self.at + count)
        self.at += count

    def numbers(self, form: str, count: int) -> tuple[Any, ...]:
        """The next `count` numbers, as `struct` calls their form."""
        return struct.unpack(f"{self.order}{count}{form}", self.bytes(count * struct.calcsize(f"={form}")))

    def number(self, form: str) -> Any:  # noqa: ANN401 - an int, a float or a bool
        """The next number."""
        return self.numbers(form, 1)[0]

    def text(self, longest: int = _LONGEST_TEXT) -> str:
        """The next text."""
        length = self.number("Q")
        if length > longest:
            raise UnreadableError("It is no sound GGUF file: a name in its header is too long.")
        return self.bytes(length).decode(errors="replace")

    def skip_texts(self, count: int) -> None:
        """Go on behind `count` texts: hundreds of thousands, so none becomes an object."""
        length = struct.Struct(f"{self.order}Q")
        at = self.at
        for _ in range(count):
            if at + length.size > len(self._known):
                self._reach(at + length.size)
            at += length.size + length.unpack_from(self._known, at)[0]
        self._reach(at)
        self.at = at

    def _reach(self, stop: int) -> None:
        if stop > self._end:
            raise UnreadableError("It is no sound GGUF file: its header does not end.")
        while len(self._known) < stop:
            known = len(self._known)
            wanted = min(max(FIRST_BYTES, 2 * known, stop), self._end)
            piece = self._place.read(self._file, known, wanted)
            if len(piece) < wanted - known:
                raise UnreadableError("It ends within its header.")
            self._known += piece


def _entry(header: _Header) -> tuple[str, Any]:
    return header.text(), _value(header, header.number("I"))


def _value(header: _Header, kind: int) -> Any:  # noqa: ANN401
    if kind in _SCALARS:
        return header.number(_SCALARS[kind])
    if kind == _STRING:
        length = header.number("Q")
        if length <= _SHOWN_TEXT:
            return header.bytes(length).decode(errors="replace")
        header.skip(length)
        return _Skipped()
    # An array of arrays is not for llama.cpp either (ggml, src/gguf.cpp).
    item, count = (header.number("I"), header.number("Q")) if kind == _ARRAY else (_ARRAY, 0)
    if item in _SCALARS:
        if count <= _SHOWN_NUMBERS:
            return list(header.numbers(_SCALARS[item], count))
        header.skip(count * struct.calcsize(f"={_SCALARS[item]}"))
    elif item == _STRING:
        header.skip_texts(count)
    else:
        raise UnreadableError("It is no sound GGUF file: an entry of its header has no known type.")
    return _Skipped(count)


def _info(header: _Header) -> _Info:
    name = header.text()
    dimensions = header.number("I")
    if dimensions > _SHOWN_NUMBERS:
        raise UnreadableError("It is no sound GGUF file: a tensor has too many dimensions.")
    return _Info(name, header.numbers("Q", dimensions), header.number("I"), header.number("Q"))


def _facts(metadata: dict[str, Any]) -> dict[str, Any]:
    """What memory depends on: all that the file says of its architecture, without the name of that."""
    architecture = metadata.get(_ARCHITECTURE)
    if not isinstance(architecture, str):
        return {}
    prefix = f"{architecture}."
    own = {name.removeprefix(prefix): value for name, value in metadata.items() if name.startswith(prefix)}
    facts = {_ARCHITECTURE: architecture} | {
        name: value for name, value in own.items() if not isinstance(value, _Skipped)
    }
    tokens = metadata.get(_VOCABULARY)
    return facts | {"vocab_size": tokens.count} if isinstance(tokens, _Skipped) else facts


def _tensors(infos: list[_Info], room: int) -> tuple[Tensor, ...]:
    """The tensors, whose bytes lie in the `room` bytes behind the header."""
    tensors, spans = [], []
    for info in infos:
        dtype, elements, width = TYPES[info.type]
        if info.dimensions and info.dimensions[0] % elements:
            raise ValueError("the shape of a tensor does not fit its type")
        size = math.prod(info.dimensions) // elements * width
        # The first dimension is the one that lies closest in memory (docs/gguf.md, `gguf_tensor_info_t`).
        tensors.append(Tensor(info.name, dtype, tuple(reversed(info.dimensions)), size))
        spans.append((info.offset, info.offset + size))
    if any(stop > room for _, stop in spans) or overlap(spans):
        raise ValueError("its tensors overlap, or lie behind its end")
    return tuple(tensors)
