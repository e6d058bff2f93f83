"""Asking a server out there over HTTP: through the user's proxy, with a limit of time and size, sent nowhere else."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from spacerun.text import one_line

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

_CHUNK_BYTES: Final = 64 * 2**10


class Unreachable(Exception):  # noqa: N818 - it is caught where it is raised, and its text is the reason
    """A server did not answer; the text says why, in one line."""


@dataclass(frozen=True)
class Page:
    """What a server answered.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        body: What was read of the body.
        whole: Whether that is all of it.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = True


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def look(
    url: str,
    *,
    limit: int,
    seconds: float,
    within: float | None = None,
    direct: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Page:
    """Get `url`; a redirect is returned, not followed.

    Args:
        url: An address by http or https.
        limit: Most bytes of the body to read; the rest is left.
        seconds: Limit for connecting and for each read, in seconds.
        within: Limit for all of it, in seconds; default: the same.
        direct: Whether to leave out the proxy that the environment names.
        check: Called between reads; raises when waiting has become pointless.

    Raises:
        Unreachable: There was no answer in time, or it was not HTTP.
    """
    handlers: list[urllib.request.BaseHandler] = [_Stay(), urllib.request.HTTPSHandler(context=_trust())]
    if direct:
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    request = urllib.request.Request(url, headers={"User-Agent": "spacerun"})  # noqa: S310 - callers know the scheme
    deadline = time.monotonic() + (within or seconds)
    try:
        try:
            answer = opener.open(request, timeout=seconds)
        except urllib.error.HTTPError as error:
            answer = error  # of any other status than 2xx; it is read as any answer
        with answer as response:
            body, ended = bytearray(), False
            while not ended and len(body) < limit and time.monotonic() < deadline:  # a page may be an endless stream
                check()
                chunk = response.read1(min(_CHUNK_BYTES, limit - len(body)))
                body += chunk
                ended = not chunk
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Page(response.status, headers, bytes(body), whole=ended)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise Unreachable(one_line(str(reason), 100) or type(error).__name__) from error


def _trust() -> ssl.SSLContext:
    """The system's certificates, and certifi's where that is installed: slim containers have none of their own."""
    import ssl

    context = ssl.create_default_context()
    try:
        import certifi
    except ImportError:
        return context
    context.load_verify_locations(certifi.where())
    return context
