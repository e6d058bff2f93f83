"""The share link: read from the start-up hook or the log, believed only under the tunnel's own domain, then proven."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from spacerun.source.hook_files import read_launched
from spacerun.text import one_line

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from pathlib import Path

SHARE_SECONDS = 30.0
"""How long a link may take to appear, and from then on to answer, in seconds."""

SERVER_VARIABLE = "GRADIO_SHARE_SERVER_ADDRESS"
"""Environment variable with the user's own tunnel server, `host:port` (Gradio 4.11 and later)."""

_DOMAIN = "gradio.live"
_PUBLIC_URL = re.compile(r"Running on public URL:\s+(\S+)")
_MOST_CANDIDATES = 20
# What Gradio says when there will be no link, and what that means; the first that matches counts.
_REFUSALS = (
    (re.compile(r"Missing file: \S*frpc"), "Gradio's tunnel client (frpc) could not be downloaded"),
    (re.compile(r"Could not create share link"), "Gradio could not reach its tunnel service"),
    (re.compile(r"[Ss]hare is not supported when you are in Spaces|not supported on Hugging Face Spaces"),
     "Gradio refuses one because the environment says that this is Hugging Face (SYSTEM=spaces)"),
    (re.compile(r"To create a public link, set `share=True`"), "the app was started without one"),
)  # fmt: skip


@dataclass(frozen=True)
class ShareLink:
    """The proven public URL, or the reason why there is none."""

    url: str | None
    reason: str | None


class ShareWatch:
    """Collects what the app says about its share link.

    Args:
        environment: Environment of the app; the user's own tunnel server is named there.
        hook: Folder of the start-up hook, which reports each launch there.
    """

    def __init__(self, environment: Mapping[str, str], hook: Path) -> None:
        self._server = _host(environment.get(SERVER_VARIABLE, ""))
        self._hook = hook
        self._printed: list[str] = []
        self._refusal: int | None = None

    def see(self, line: str) -> None:
        """Take a line of the log."""
        match = _PUBLIC_URL.search(line)
        if match and len(self._printed) < _MOST_CANDIDATES:
            self._printed.append(match[1].rstrip(","))
        for rank, (pattern, _) in enumerate(_REFUSALS):
            if pattern.search(line) and (self._refusal is None or rank < self._refusal):
                self._refusal = rank

    def candidates(self) -> list[str]:
        """The URLs that were named and are believed, those of the hook first."""
        believed = [url for url in self._named() if self.believes(url)]
        # Of a server that it knows from the environment, Gradio says https whatever the server said (6.31, `launch`).
        plain = [url.replace("https://", "http://", 1) for url in believed if self._is_own(urlsplit(url).hostname)]
        return list(dict.fromkeys(believed + plain))

    def disbelieved(self) -> str | None:
        """A URL that was named and is not believed."""
        return next((url for url in self._named() if not self.believes(url)), None)

    @property
    def refusal(self) -> str | None:
        """Why there will be no link, if the app said so."""
        return None if self._refusal is None else _REFUSALS[self._refusal][1]

    def believes(self, url: str) -> bool:
        """Whether `url` can be a share link: a page under Gradio's domain, or of the user's own tunnel server."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            return False
        if parts.username is not None or parts.scheme not in {"http", "https"}:
            return False
        if self._is_own(host):
            return True
        return parts.scheme == "https" and host.endswith(f".{_DOMAIN}")

    def _is_own(self, host: str | None) -> bool:
        """Whether `host` belongs to the user's own tunnel server."""
        return bool(host and self._server and (host == self._server or host.endswith(f".{self._server}")))

    def _named(self) -> list[str]:
        reported = [launched.share_url for launched in read_launched(self._hook)[:_MOST_CANDIDATES]]
        return [url for url in reported if url] + self._printed


def resolve(
    watch: ShareWatch, *, expected: bool, check: Callable[[], None], seconds: float = SHARE_SECONDS
) -> ShareLink:
    """Wait for a share link and fetch it until it answers.

    Args:
        watch: What the app says.
        expected: Whether the app can make one at all; else nobody waits for it to appear.
        check: Called all the time; raises when waiting has become pointless.
        seconds: Limit for the link to appear, and again for it to answer.
    """
    deadline = time.monotonic() + (seconds if expected else 0.0)
    appeared, problem = False, ""
    while True:
        check()
        candidates = watch.candidates()
        if candidates and not appeared:
            appeared, deadline = True, time.monotonic() + seconds
        for url in candidates:
            problem = _fetch(url)
            if not problem:
                return ShareLink(url, None)
        if watch.refusal and not appeared:
            return ShareLink(None, watch.refusal)
        if time.monotonic() >= deadline:
            return ShareLink(None, _reason(watch, problem, expected=expected, seconds=seconds))
        time.sleep(0.3)


def _reason(watch: ShareWatch, problem: str, *, expected: bool, seconds: float) -> str:
    if problem:
        return f"the link that the app named does not answer ({problem})"
    if foreign := watch.disbelieved():
        return f"the app named {one_line(foreign, 80)}, which is not an address of its tunnel"
    if expected:
        return f"Gradio named none within {seconds:.0f} s; its tunnel server may be blocked here"
    return "the app's server is not one that Gradio launched"


def _fetch(url: str) -> str:
    """What is wrong with `url`; empty where it answers 200 itself, without sending the reader elsewhere."""
    import http.client
    import urllib.error
    import urllib.request

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    opener = urllib.request.build_opener(Stay, urllib.request.HTTPSHandler(context=_trust()))
    request = urllib.request.Request(url, headers={"User-Agent": "spacerun"})  # noqa: S310 - `believes` saw the scheme
    try:
        with opener.open(request, timeout=5) as response:
            return "" if response.status == 200 else f"HTTP {response.status}"  # noqa: PLR2004
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return one_line(str(getattr(error, "reason", None) or error), 100) or type(error).__name__


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


def _host(address: str) -> str | None:
    try:
        return urlsplit(f"//{address}").hostname
    except ValueError:
        return None
