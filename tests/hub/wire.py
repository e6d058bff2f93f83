"""Requests, responses and errors as the parts of the Hub see them, free of sockets."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from email.message import Message
    from pathlib import Path

    from tests.hub.faults import Fault

CHUNK = 256 * 1024


@dataclass(frozen=True)
class Request:
    """One request. `path` is still percent-encoded, as a revision may hold an encoded slash."""

    method: str
    host: str
    path: str
    query: str
    headers: Message
    body: bytes = b""
    faults: tuple[Fault, ...] = ()

    @property
    def authorization(self) -> str | None:
        """The credentials sent, as they were sent."""
        return self.headers.get("Authorization")

    @property
    def parameters(self) -> dict[str, list[str]]:
        """The query, decoded."""
        return parse_qs(self.query, keep_blank_values=True)

    def flag(self, name: str) -> bool:
        """Whether the query says `name=true` (or `1`)."""
        return self.parameters.get(name, ["false"])[-1].lower() in {"true", "1"}


@dataclass
class Response:
    """An answer. Without `length` the body is sent in chunks."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()
    length: int | None = 0

    @classmethod
    def text(
        cls,
        text: str,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        kind: str = "text/plain; charset=utf-8",
    ) -> Response:
        """A short body in one piece."""
        body = text.encode()
        return cls(status, {"Content-Type": kind, **(headers or {})}, (body,), len(body))

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """A JSON document."""
        return cls.text(json.dumps(value, default=str), status, headers, "application/json; charset=utf-8")

    @classmethod
    def content(cls, source: bytes | Path, request: Request, headers: Mapping[str, str]) -> Response:
        """A file, or the part of it that the `Range` header asks for."""
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        common = {"Accept-Ranges": "bytes", **headers}
        span = _range(request.headers.get("Range"), size)
        if span is None:
            return cls(200, common, _pieces(source, 0, size), size)
        start, stop = span
        if start >= stop:
            return cls(416, {"Content-Range": f"bytes */{size}"})
        common["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        return cls(206, common, _pieces(source, start, stop), stop - start)


class HubError(Exception):
    """An error answer.

    Args:
        status: HTTP status.
        message: What huggingface.co says; also sent as `X-Error-Message`.
        code: `X-Error-Code`, by which huggingface_hub picks its exception.
        headers: Further headers.
    """

    def __init__(
        self, status: int, message: str, code: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = {"X-Error-Message": message, **(headers or {})}
        if code:
            self.headers["X-Error-Code"] = code
        if status == 401:
            self.headers.setdefault("WWW-Authenticate", 'Bearer realm="Authentication required", charset="UTF-8"')

    def response(self, *, as_json: bool) -> Response:
        """The answer: JSON on the API, plain text elsewhere."""
        if as_json:
            return Response.json({"error": self.message}, self.status, self.headers)
        return Response.text(self.message, self.status, self.headers)


class Moved(Exception):  # noqa: N818 - not an error: the repository has another name now
    """The repository was renamed to `repo_id`."""

    def __init__(self, repo_id: str) -> None:
        super().__init__(repo_id)
        self.repo_id = repo_id


def _range(header: str | None, size: int) -> tuple[int, int] | None:
    """Start and end of a single `bytes=` range; None where there is no range to obey."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header or "")
    if not match or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(size - int(match[2]), 0), size
    return int(match[1]), min(int(match[2]) + 1, size) if match[2] else size


def _pieces(source: bytes | Path, start: int, stop: int) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source[start:stop]
        return
    with source.open("rb") as stream:
        stream.seek(start)
        while start < stop and (piece := stream.read(min(CHUNK, stop - start))):
            start += len(piece)
            yield piece
