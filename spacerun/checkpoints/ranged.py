"""A file that is read in parts, in few and large requests, as `zipfile` wants to read it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from spacerun.checkpoints.unreadable import UnreadableError

if TYPE_CHECKING:
    from spacerun.checkpoints.places import Place

# The directory of a zip file is at its end: that of a thousand entries fits.
TAIL_BYTES: Final = 128 * 1024
BLOCK_BYTES: Final = 64 * 1024
# A directory of 100,000 entries has 10 MB.
LARGEST_READ: Final = 16 * 1024 * 1024
LARGEST_TOTAL: Final = 64 * 1024 * 1024


class RangedFile:
    """A binary file that can be sought in, of which each part is read once.

    Args:
        place: Where it lies.
        file: Its path there.
        size_bytes: Its size.
    """

    def __init__(self, place: Place, file: str, size_bytes: int) -> None:
        self._place = place
        self._file = file
        self._size = size_bytes
        self._at = 0
        self._left = LARGEST_TOTAL
        self._pieces: list[tuple[int, bytes]] = []

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, as `io.IOBase.seek` does.

        Raises:
            ValueError: It lies before the start.
        """
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the start of the file")
        self._at = base + offset
        return self._at

    def read(self, count: int | None = -1) -> bytes:
        """The next `count` bytes, all that are left where it is negative or None; fewer at the end.

        Raises:
            UnreadableError: The file cannot be read, or more is wanted of it than any sound one needs.
        """
        left = max(0, self._size - self._at)
        wanted = left if count is None or count < 0 else min(count, left)
        found = self._known(wanted) if wanted else b""
        self._at += len(found)
        return found

    def _known(self, count: int) -> bytes:
        for start, piece in self._pieces:
            if start <= self._at and self._at + count <= start + len(piece):
                return piece[self._at - start : self._at - start + count]
        start, stop = self._at, min(self._at + max(count, BLOCK_BYTES), self._size)
        if start >= self._size - TAIL_BYTES:
            start, stop = max(0, self._size - TAIL_BYTES), self._size
        self._left -= stop - start
        if stop - start > LARGEST_READ or self._left < 0:
            raise UnreadableError("Its directory is larger than it can be.")
        piece = self._place.read(self._file, start, stop)
        if len(piece) < stop - start:
            raise UnreadableError("It is shorter than it should be.")
        self._pieces.append((start, piece))
        return piece[self._at - start : self._at - start + count]
