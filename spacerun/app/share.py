"""The share link, proven: Gradio's own, read from the start-up hook or the log, or one that spacerun makes."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from spacerun.app.frpc import TunnelError
from spacerun.app.tunnel import DOMAIN, SERVER_VARIABLE
from spacerun.source.hook_files import read_launched
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from spacerun.app.tunnel import Tunnel

SHARE_SECONDS: Final = 30.0
"""How long a link may take to appear, and from then on to answer, in seconds; Gradio itself waits as long (3.46)."""

_PUBLIC_URL = re.compile(r"Running on public URL:\s+(\S+)")
_MOST_CANDIDATES = 20
_POLL_SECONDS = 0.3
# What Gradio says when there will be no link, and what that means; the first that matches counts.
_REFUSALS = (
    (re.compile(r"Missing file: \S*frpc"), "Gradio's tunnel client (frpc) could not be downloaded"),
    (re.compile(r"Checksum mismatch for file|Checksum of downloaded binary"),
     "Gradio's tunnel client (frpc) has the wrong checksum"),
    (re.compile(r"login to server failed"), "Gradio's tunnel server refused"),
    (re.compile(r"Could not create share link"), "Gradio could not reach its tunnel service"),
    (re.compile(r"[Ss]hare is not supported when you are in Spaces|not supported on Hugging Face Spaces"),
     "Gradio refuses one because the environment says that this is Hugging Face (SYSTEM=spaces)"),
    (re.compile(r"To create a public link, set `share=True`"), "the app was started without one"),
)  # fmt: skip
# How Gradio ends the app with what went wrong with its link: up to 3.12 by its ssh client (`create_tunnel`), up to 3.44
# also where the environment says that this is Hugging Face (gradio/blocks.py, gradio/tunneling.py).
_ENDS_BY_SHARING = re.compile(
    r"RuntimeError: Share is not supported when you are in Spaces|\*\*\* Failed to connect to \S+:\d+"
    r"|File \S*gradio/(networking|tunneling)\.py\S*, line \d+, in (setup_tunnel|create_tunnel|start_tunnel)"
)


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
        return parts.scheme == "https" and host.endswith(f".{DOMAIN}")

    def _is_own(self, host: str | None) -> bool:
        """Whether `host` belongs to the user's own tunnel server."""
        return bool(host and self._server and (host == self._server or host.endswith(f".{self._server}")))

    def _named(self) -> list[str]:
        reported = [launched.share_url for launched in read_launched(self._hook)[:_MOST_CANDIDATES]]
        return [url for url in reported if url] + self._printed


def of_gradio(
    watch: ShareWatch, *, prove: Callable[[str], str], check: Callable[[], None], seconds: float
) -> ShareLink:
    """Wait for the link that Gradio makes itself, and until it is proven.

    Args:
        watch: What the app says.
        prove: Tells what speaks against an address; nothing where it is the app.
        check: Called all the time; raises when waiting has become pointless.
        seconds: Limit for the link to appear, and again for it to answer.
    """
    deadline = time.monotonic() + seconds
    appeared, problem = False, ""
    while True:
        check()
        candidates = watch.candidates()
        if candidates and not appeared:
            appeared, deadline = True, time.monotonic() + seconds
        for url in candidates:
            problem = prove(url)
            if not problem:
                return ShareLink(url, None)
        if watch.refusal and not appeared:
            return ShareLink(None, watch.refusal)
        if time.monotonic() >= deadline:
            return ShareLink(None, _reason(watch, problem, seconds))
        time.sleep(_POLL_SECONDS)


def of_tunnel(
    make: Callable[[], Tunnel], *, tries: int, prove: Callable[[str], str], check: Callable[[], None], seconds: float
) -> tuple[ShareLink, Tunnel | None]:
    """A proven link by a tunnel of spacerun's own, and the tunnel.

    Args:
        make: Opens a tunnel.
        tries: How often to try what may be in passing.
        prove: As for `of_gradio`, and so is `check`.
        check: Called all the time.
        seconds: How long the link may take to answer.
    """
    reason = ""
    for _ in range(tries):
        try:
            tunnel = make()
        except TunnelError as error:
            reason = str(error)
            if not error.passing:
                break
            continue
        url, problem = _await_proof(tunnel.urls, prove, check, seconds)
        if url:
            return ShareLink(url, None), tunnel
        tunnel.close()
        reason = f"the link {tunnel.urls[0]} does not lead to the app ({problem})"
    return ShareLink(None, reason), None


def _await_proof(
    urls: Sequence[str], prove: Callable[[str], str], check: Callable[[], None], seconds: float
) -> tuple[str | None, str]:
    """The first of `urls` that is proven in time; else what spoke against the likeliest."""
    deadline = time.monotonic() + seconds
    while True:
        problems = []
        for url in urls:
            problem = prove(url)
            if not problem:
                return url, ""
            problems.append(problem)
        if time.monotonic() >= deadline:
            return None, problems[0]
        check()
        time.sleep(_POLL_SECONDS)


def ended_by_sharing(lines: Iterable[str]) -> bool:
    """Whether the last lines of an app that crashed say that Gradio ended it over its share link."""
    return any(_ENDS_BY_SHARING.search(line) for line in lines)


def _reason(watch: ShareWatch, problem: str, seconds: float) -> str:
    if problem:
        return f"the link that the app named does not lead to it ({problem})"
    if foreign := watch.disbelieved():
        return f"the app named {one_line(foreign, 80)}, which is not an address of its tunnel"
    return f"Gradio named none within {seconds:.0f} s; its tunnel server may be blocked here"


def _host(address: str) -> str | None:
    try:
        return urlsplit(f"//{address}").hostname
    except ValueError:
        return None
