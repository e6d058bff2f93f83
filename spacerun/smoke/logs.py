"""The log of an app while it was tested: no exception may have ended up there, but for those of visitors who left."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun.smoke.result import Check
from spacerun.text import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spacerun.smoke.subject import Subject

_LINE_BYTES: Final = 16 * 2**10
_TOLD: Final = 3
# How many lines a traceback may have; the interpreter shows 3 of 1000 equal ones.
_LONGEST: Final = 1000

# Python's own, which its frames follow, and that of rich, in a box.
_HEAD: Final = re.compile(r"(?:Exception Group )?Traceback \(most recent call last\)(?::\s*$|(?P<box> ─))")
_FRAME: Final = re.compile(r"[ >] File \"")
_CHAINED: Final = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
# What stands before each exception of a group, which may have no traceback.
_MEMBER: Final = re.compile(r"\s*(?:\+-)?\+-+ \d+ -+")
# The end of a traceback; other threads may write in between.
_EXCEPTION: Final = re.compile(r"(?!(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\b)[A-Za-z_][\w.]*(?::\s.*|:?)")

# How servers tell that whoever asked went away: the system's errors, those of asyncio, anyio (by which Starlette
# reads), h11, Starlette, Uvicorn, aiohttp, Tornado and websockets.
_VISITORS: Final = frozenset({
    "BrokenPipeError", "ConnectionAbortedError", "ConnectionResetError", "CancelledError", "IncompleteReadError",
    "BrokenResourceError", "ClosedResourceError", "EndOfStream", "WouldBlock", "LocalProtocolError",
    "ClientDisconnect", "WebSocketDisconnect", "ClientDisconnected", "ClientConnectionResetError",
    "StreamClosedError", "WebSocketClosedError", "ConnectionClosed", "ConnectionClosedError", "ConnectionClosedOK",
})  # fmt: skip
# What they are wrapped in; the last is Starlette's, up to 0.2x (encode/starlette, `middleware/base.py`).
_WRAPPING: Final = re.compile(r"(?:[\w.]+\.)?(?:Base)?ExceptionGroup: .*|RuntimeError: No response returned\.")

_CONTAINERS: Final = frozenset({"docker", "prebuilt", "nocontainer"})
# What no program writes but one that failed: Rust, Node, Java, .NET and PHP.
_PANICS: Final = re.compile(
    r"thread '.{0,100}' (?:\(\d+\) )?panicked at |\[UnhandledPromiseRejection: |"
    r"\(node:\d+\) UnhandledPromiseRejectionWarning: |Exception in thread \".{1,100}\" |Unhandled exception\. \S|"
    r"PHP Fatal error: "
)
_GO_STACK: Final = re.compile(r"goroutine \d+ \[running")


@dataclass(frozen=True)
class Failure:
    """An error in a log.

    Attributes:
        lines: What ends its tracebacks: of a chain each, and the exceptions of a group; the last is what came of it.
    """

    lines: tuple[str, ...]

    @property
    def line(self) -> str:
        """What it is, as one line."""
        return one_line(self.lines[-1], 150)

    @property
    def of_visitor(self) -> bool:
        """Whether it tells no more than that somebody left before the answer was there."""
        inner = [line for line in self.lines if not _WRAPPING.fullmatch(line)]
        names = [line.partition(":")[0].rpartition(".")[2] for line in inner]
        return bool(names) and _VISITORS.issuperset(names)


def check_log(subject: Subject) -> Check:
    """Whether the log of an app tells of no error since the checks began."""
    found = failures(_lines(subject), panics=subject.sdk in _CONTAINERS)
    told = Counter(failure.line for failure in found if not failure.of_visitor)
    left = sorted({failure.line for failure in found if failure.of_visitor})
    if not told:
        but = f" but of visitors who left: {'; '.join(left[:_TOLD])}" if left else ""
        return Check("log", ok=True, detail=f"no traceback{but}")
    shown = [f"{line} ({count} times)" if count > 1 else line for line, count in told.most_common(_TOLD)]
    more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return Check("log", ok=False, detail="; ".join(shown) + more)


def failures(lines: Iterable[str], *, panics: bool = False) -> list[Failure]:
    """The errors that a log tells of.

    Args:
        lines: Its lines.
        panics: Whether those of other languages than Python count.
    """
    reader = _Reader(panics=panics)
    for line in lines:
        reader.take(line)
    return [Failure(tuple(ends)) for ends in reader.found if ends]


class _Reader:
    """Finds tracebacks, line by line."""

    def __init__(self, *, panics: bool) -> None:
        self.found: list[list[str]] = []
        self._panics = panics
        self._margin = ""
        self._left = 0  # lines in which the end of a traceback may come
        self._has_frame = False
        self._chained = False
        self._go_panic = "a panic"

    def take(self, line: str) -> None:
        """Take the next line."""
        if head := _HEAD.search(line):
            self._begin(line[: head.start()], in_box=bool(head["box"]))
        elif any(words in line for words in _CHAINED):
            self._chained = bool(self.found)
        elif self.found and _MEMBER.fullmatch(line):
            self._margin = " " * line.rindex("+") + "| "
            self._left, self._has_frame = 1, True
        elif self._left:
            self._left -= 1
            self._look_for_end(line)
        elif self._panics:
            self._look_for_panic(line)

    def _begin(self, margin: str, *, in_box: bool) -> None:
        # The exceptions of a group stand behind `|`, and their group before them behind `+`.
        if not (self.found and (self._chained or "|" in margin)):
            self.found.append([])
        self._margin = margin.replace("+", "|")
        self._left = _LONGEST
        self._has_frame = in_box
        self._chained = False

    def _look_for_end(self, line: str) -> None:
        end = line.removeprefix(self._margin)
        self._has_frame = self._has_frame or bool(_FRAME.match(end))
        if self._has_frame and _EXCEPTION.fullmatch(end):
            self.found[-1].append(end)
            self._left = 0

    def _look_for_panic(self, line: str) -> None:
        if _PANICS.match(line):
            self.found.append([line])
        elif line.startswith("panic: ") or ": panic serving " in line:
            self._go_panic = line
        elif _GO_STACK.match(line):
            self.found.append([self._go_panic])


def _lines(subject: Subject) -> Iterator[str]:
    """What the log got since the checks began, across rotations."""
    for file, start in _parts(subject):
        with file.open("rb") as stream:
            stream.seek(start)
            while raw := stream.readline(_LINE_BYTES):
                text = raw.decode("utf-8", "replace").rstrip("\r\n")
                yield printable(text) if "\x1b" in text else text


def _parts(subject: Subject) -> list[tuple[Path, int]]:
    """The files that hold it, each with the byte where it begins (`spacerun.app.log`)."""
    log, before = subject.log, Path(f"{subject.log}.1")
    if not log.is_file():
        return []
    status = log.stat()
    is_same = status.st_ino == subject.log_inode if subject.log_inode else status.st_size >= subject.log_start
    if is_same:
        return [(log, subject.log_start)]
    if not before.is_file():
        return [(log, 0)]
    # Rotated more than once, the file that it began in is gone.
    is_first = not subject.log_inode or before.stat().st_ino == subject.log_inode
    return [(before, subject.log_start if is_first else 0), (log, 0)]
