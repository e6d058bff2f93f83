"""What can go wrong on the line or on the Hub, on demand."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tests.hub.wire import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.hub.wire import Request


class Fault:
    """A fault. Each hook does nothing unless the kind of fault overrides it."""

    def concerns(self, request: Request) -> bool:
        """Whether this kind of fault can befall `request`."""
        return True

    def before(self) -> None:
        """Before the request is handled."""

    def instead(self) -> Response | None:
        """What is answered in place of the right answer."""
        return None

    def body(self, pieces: Iterable[bytes], length: int | None) -> Iterable[bytes]:
        """The body as it goes over the line; ending early cuts the connection."""
        return pieces


@dataclass
class Cut(Fault):
    """The line breaks in the middle of a body.

    Args:
        at: Where: a fraction of the body (float) or a number of bytes (int).
    """

    at: float = 0.5

    def body(self, pieces: Iterable[bytes], length: int | None) -> Iterator[bytes]:
        """The bytes before the cut."""
        if isinstance(self.at, float) and length is None:
            whole = b"".join(pieces)
            pieces, length = (whole,), len(whole)
        left = int(self.at * (length or 0)) if isinstance(self.at, float) else self.at
        for piece in pieces:
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                raise ConnectionAbortedError


@dataclass
class Latency(Fault):
    """Every answer comes late.

    Args:
        seconds: How late.
    """

    seconds: float

    def before(self) -> None:
        """Wait."""
        time.sleep(self.seconds)


@dataclass
class Bandwidth(Fault):
    """A narrow line, shared by all connections that it matches.

    Args:
        bytes_per_second: Its width.
    """

    bytes_per_second: float
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _free_at: float = field(default=0.0, repr=False)

    def body(self, pieces: Iterable[bytes], length: int | None) -> Iterator[bytes]:
        """The same bytes, each small portion no sooner than the line allows."""
        portion = max(1024, min(64 * 1024, int(self.bytes_per_second / 50)))
        for piece in pieces:
            for start in range(0, len(piece), portion):
                part = piece[start : start + portion]
                self._wait(len(part))
                yield part

    def _wait(self, count: int) -> None:
        with self._lock:
            self._free_at = max(time.monotonic(), self._free_at) + count / self.bytes_per_second
            free_at = self._free_at
        time.sleep(max(0.0, free_at - time.monotonic()))


@dataclass
class Status(Fault):
    """An error status in place of the answer: 429, 500, 503, ...

    Args:
        code: HTTP status.
        retry_after: Seconds for `Retry-After` (and, with 429, for the Hub's `RateLimit` header).
    """

    code: int
    retry_after: int | None = None

    def instead(self) -> Response:
        """The error."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.code == 429 and self.retry_after is not None:
            headers["RateLimit"] = f'"api";r=0;t={self.retry_after}'
            headers["RateLimit-Policy"] = '"fixed window";"api";q=500;w=300'
        message = "We had to rate limit your IP." if self.code == 429 else "Internal Error - We're working hard."
        return Response.json({"error": message}, self.code, headers)


@dataclass
class Html(Fault):
    """A page in place of the answer, as a captive portal or a broken proxy gives it, with status 200."""

    def instead(self) -> Response:
        """The page."""
        return Response.text("<!doctype html><title>Please log in</title>", kind="text/html; charset=utf-8")


@dataclass
class Corrupt(Fault):
    """The first byte of the body is another one; its length is right."""

    def body(self, pieces: Iterable[bytes], length: int | None) -> Iterator[bytes]:
        """The bytes, the first one changed."""
        first = True
        for piece in pieces:
            yield bytes([piece[0] ^ 0xFF]) + piece[1:] if first and piece else piece
            first = first and not piece


@dataclass
class MissingObject(Fault):
    """The LFS batch API says that an object does not exist.

    Args:
        oid: The SHA-256 of the object; every object if None.
    """

    oid: str | None = None

    def concerns(self, request: Request) -> bool:
        """The batch API only."""
        return request.path.endswith("/info/lfs/objects/batch")


@dataclass
class RefuseSha(Fault):
    """Git serves the tips of refs only, as protocol version 0 without `allowReachableSHA1InWant` does."""

    def concerns(self, request: Request) -> bool:
        """Git only."""
        return request.path.endswith(("/info/refs", "/git-upload-pack"))


@dataclass
class Rule:
    """Where and how often a fault strikes; `hits` counts the requests that it struck."""

    fault: Fault
    path: str = "*"
    host: str = "*"
    method: str = "*"
    times: int | None = None
    hits: int = 0

    def matches(self, request: Request) -> bool:
        """Whether the fault strikes `request`."""
        return (
            (self.times is None or self.hits < self.times)
            and fnmatchcase(request.path, self.path)
            and fnmatchcase(request.host, self.host)
            and fnmatchcase(request.method, self.method)
            and self.fault.concerns(request)
        )


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(
        self, fault: Fault, *, path: str = "*", host: str = "*", method: str = "*", times: int | None = None
    ) -> Rule:
        """Put `fault` in force.

        Args:
            fault: What goes wrong.
            path: Shell pattern of the paths concerned, as sent (percent-encoded, without query).
            host: Shell pattern of the host name: `127.0.0.1` is the Hub, `localhost` its CDN.
            method: Shell pattern of the HTTP method.
            times: How many requests it strikes; None: all.
        """
        rule = Rule(fault, path, host, method, times)
        with self._lock:
            self._rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """Take one fault out of force."""
        with self._lock:
            self._rules.remove(rule)

    def clear(self) -> None:
        """Take all faults out of force."""
        with self._lock:
            self._rules.clear()

    def strike(self, request: Request) -> tuple[Fault, ...]:
        """The faults that befall `request`; counts them."""
        with self._lock:
            struck = [rule for rule in self._rules if rule.matches(request)]
            for rule in struck:
                rule.hits += 1
        return tuple(rule.fault for rule in struck)
