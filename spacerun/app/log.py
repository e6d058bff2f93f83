"""The log of an app: bounded on disk, line by line to whoever listens, and read back."""

from __future__ import annotations

import os
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from spacerun.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILE_BYTES = 20 * 2**20
"""Size of `app.log` in bytes at which it becomes `app.log.1`, in place of the one before."""

_LINE_BYTES = 16 * 2**10  # a longer line is passed on in pieces
_CHUNK_BYTES = 64 * 2**10
_REDRAW_SECONDS = 2.0  # how often a progress bar that redraws itself is passed on


class AppLog:
    """Takes what an app writes.

    Args:
        path: Log file; its predecessor is `path` with `.1` appended.
        on_line: Called with each line, made printable. A bar that redraws itself by carriage returns counts as one
            line, of which the present state is passed on every two seconds.
        file_bytes: Size at which the file is rotated, in bytes.
    """

    def __init__(self, path: Path, on_line: Callable[[str], None], *, file_bytes: int = FILE_BYTES) -> None:
        self.path = path
        self.total = 0
        """Bytes taken so far."""
        self.recent: deque[str] = deque(maxlen=200)
        """The latest lines."""
        self._on_line = on_line
        self._file_bytes = file_bytes
        self._stream = path.open("ab", buffering=0)
        self._size = path.stat().st_size
        self._rest = b""
        self._redrawn = 0.0

    def pump(self, descriptor: int) -> None:
        """Take everything from the pipe `descriptor` until it is closed on the other side."""
        with os.fdopen(descriptor, "rb", buffering=0) as pipe:
            while chunk := pipe.read(_CHUNK_BYTES):
                self.feed(chunk)
        if self._rest:
            self._pass_on(self._rest)

    def feed(self, chunk: bytes) -> None:
        """Take `chunk`."""
        self.total += len(chunk)
        self._write(chunk)
        *lines, rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._pass_on(line)
        while len(rest) > _LINE_BYTES:
            self._pass_on(rest[:_LINE_BYTES])
            rest = rest[_LINE_BYTES:]
        states = rest.rsplit(b"\r", 2)
        if len(states) > 2 and time.monotonic() - self._redrawn > _REDRAW_SECONDS:  # noqa: PLR2004
            self._redrawn = time.monotonic()
            self._pass_on(states[-2])
            rest = states[-1]
        self._rest = rest

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def tail(self, count: int) -> list[str]:
        """The latest `count` lines that are not empty."""
        return [line for line in self.recent if line.strip()][-count:]

    def _pass_on(self, line: bytes) -> None:
        """Show what a terminal would show of `line`: what follows its last carriage return."""
        shown = line.rstrip(b"\r").rsplit(b"\r", 1)[-1]
        text = printable(shown.decode("utf-8", "replace"))
        for start in range(0, max(1, len(text)), _LINE_BYTES):
            piece = text[start : start + _LINE_BYTES]
            self.recent.append(piece[:2000])
            self._on_line(piece)

    def _write(self, chunk: bytes) -> None:
        if self._size + len(chunk) > self._file_bytes and self._size:
            self._stream.close()
            self.path.replace(f"{self.path}.1")
            self._stream = self.path.open("ab", buffering=0)
            self._size = 0
        try:
            self._stream.write(chunk)
        except OSError:
            return  # a full disk must not stop the app, which would block on a pipe that nobody reads
        self._size += len(chunk)


def last_lines(path: Path, count: int, *, end: int | None = None) -> list[str]:
    """The last `count` lines of the log at `path` and its predecessor, as they were written.

    Args:
        path: The log.
        count: How many.
        end: Only the first `end` bytes of the log; default: all.
    """
    lines: list[str] = []
    for file, limit in ((path, end), (Path(f"{path}.1"), None)):
        if len(lines) < count and file.is_file():
            lines = _lines_from_end(file, count - len(lines), limit) + lines
    return lines


def follow(path: Path, start: int, ended: Callable[[], bool]) -> Iterator[str]:
    """Yield what the log at `path` gets from byte `start` on, line by line, across rotations, until `ended()`."""
    stream = path.open("rb")
    stream.seek(start)
    rest = b""
    try:
        while True:
            over = ended()  # asked before the last read, so that nothing written until then is missed
            rotated = not path.exists() or path.stat().st_ino != os.fstat(stream.fileno()).st_ino
            while chunk := stream.read(_CHUNK_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode("utf-8", "replace") for line in lines)
                if len(rest) > _LINE_BYTES:
                    yield rest.decode("utf-8", "replace")
                    rest = b""
            if rotated and path.exists():
                stream.close()
                stream = path.open("rb")
            elif over:
                break
            else:
                time.sleep(0.2)
        if rest:
            yield rest.decode("utf-8", "replace")
    finally:
        stream.close()


def _lines_from_end(file: Path, count: int, end: int | None) -> list[str]:
    """The last `count` lines within the first `end` bytes of `file`; of endless lines, the last 8 MiB."""
    with file.open("rb") as stream:
        position = stop = stream.seek(0, os.SEEK_END) if end is None else end
        chunks: deque[bytes] = deque()
        newlines = 0
        while position > 0 and newlines <= count and stop - position < 8 * 2**20:
            step = min(_CHUNK_BYTES, position)
            position -= step
            stream.seek(position)
            chunks.appendleft(stream.read(step))
            newlines += chunks[0].count(b"\n")
    lines = b"".join(chunks).split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line.decode("utf-8", "replace") for line in lines[-count:]]
