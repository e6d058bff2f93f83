"""Whether a public address leads to the app on this machine: it must answer as the app itself does."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from spacerun.app.web import Page, Unreachable, look

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS: Final = 5.0
_LIMIT: Final = 2**20
_HOPS: Final = 3
# What two pages of one app must have in common: the address that it was called by stands in it, and perhaps a clock.
_ALIKE: Final = 0.9
# Gradio's random number of each app, told without a login (gradio/routes.py: 3.12 by `/app_id`, 5.0 with a prefix).
_NUMBERS: Final = ("/app_id", "/gradio_api/app_id")
_UNAUTHORIZED: Final = 401


def problem_with(public: str, local: str, *, gradio: bool, check: Callable[[], None] = lambda: None) -> str:
    """What speaks against `public` being the app at `local`; empty where both answer as one.

    Args:
        public: Address to prove, by http or https.
        local: Where the app answers on this machine.
        gradio: Whether it is Gradio's server, which tells a number of its own.
        check: Called between requests; raises when waiting has become pointless.
    """
    try:
        there, path = _first_page(public, check)
        here, local_path = _first_page(local, check)
        if there.status != here.status:
            return f"HTTP {there.status}"
        if path != local_path:
            return "it leads elsewhere"
        if gradio and (number := _number(local, check)) is not None:
            return "" if _number(public, check) == number else "another app answers there"
    except Unreachable as error:
        return str(error)
    # What asks for a password tells by its realm whose it is; see `gate.py`.
    same_realm = here.headers.get("www-authenticate") == there.headers.get("www-authenticate")
    return "" if same_realm and _alike(here.body, there.body) else "another page answers there"


def _first_page(base: str, check: Callable[[], None]) -> tuple[Page, str]:
    """The page at `base` and its path, after redirects within the same address."""
    path = "/"
    for _ in range(_HOPS):
        page = _look(base, path, check)
        target = page.headers.get("location")
        if not (300 <= page.status < 400 and target):  # noqa: PLR2004
            break
        moved = urlsplit(urljoin(base.rstrip("/") + path, target))
        if moved.netloc != urlsplit(base).netloc:
            break
        path = f"{moved.path or '/'}{'?' + moved.query if moved.query else ''}"
    return page, path


def _number(base: str, check: Callable[[], None]) -> bytes | None:
    for path in _NUMBERS:
        page = _look(base, path, check)
        if page.status == 200 and (found := re.search(rb'"app_id":\s*(\d+)', page.body)):  # noqa: PLR2004
            return found[1]
    return None


def _look(base: str, path: str, check: Callable[[], None]) -> Page:
    check()
    loopback = urlsplit(base).hostname in {"127.0.0.1", "localhost", "::1"}
    return look(base.rstrip("/") + path, seconds=_SECONDS, limit=_LIMIT, direct=loopback, check=check)


def _alike(one: bytes, other: bytes) -> bool:
    mine, theirs = (Counter(re.findall(rb"\w+", page)) for page in (one, other))
    return (mine & theirs).total() >= _ALIKE * max(mine.total(), theirs.total())
