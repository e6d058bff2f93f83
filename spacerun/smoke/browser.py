"""A browser for strangers' pages: the system's Chromium, driven by Playwright, which never downloads one."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from spacerun.errors import PrerequisiteError
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Page, Playwright, Request, Response

WIDTH, HEIGHT = 1280, 800

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MACOS: Final = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_MOST_MESSAGES: Final = 20
_FAVICON: Final = "/favicon.ico"  # for which the browser asks by itself
_MOST_HOSTS: Final = 3
_START_SECONDS: Final = 60.0
_SCRATCH: Final = "/tmp"  # noqa: S108 - the path of a socket in it may have no more than 107 bytes (unix(7))
_FLAGS: Final = (
    "--disable-gpu",  # whose memory is the app's
    "--disable-dev-shm-usage",  # 64 MB in a container
)
# Of the user's variables the browser gets these alone; its home is its profile.
_PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "FONTCONFIG_PATH", "FONTCONFIG_FILE")


@dataclass(frozen=True)
class Browser:
    """A running browser.

    Attributes:
        context: Its one window.
        sandboxed: Whether the processes that run pages are held in a sandbox.
    """

    context: BrowserContext
    sandboxed: bool


class Messages:
    """What the page complains of, and what it asks for.

    Args:
        url: URL of the app.
    """

    def __init__(self, url: str) -> None:
        self.posts: list[str] = []
        """Paths of the requests by which it had the app do something."""
        self.answered: list[str] = []
        """Those of them that were answered."""
        self.refused: list[str] = []
        """Those of them that were answered by an error."""
        self._url = url
        self._errors: dict[str, str] = {}
        self._failed: set[str] = set()

    def listen(self, page: Page) -> None:
        """Note all of it from now on."""
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._note(str(error), ""))
        page.on("requestfailed", self._on_failed)
        page.on("request", self._on_request)
        page.on("response", self._on_response)

    def own(self) -> tuple[str, ...]:
        """The errors of the page itself: not those that come of a host that cannot be reached."""
        found = (text for text, url in self._errors.items() if not any(host in text + url for host in self._failed))
        return tuple(found)[:_MOST_MESSAGES]

    def unreached(self) -> tuple[str, ...]:
        """The other hosts that cannot be reached."""
        return tuple(sorted(self._failed))

    def told(self) -> str:
        """How many errors there are, and which hosts were not reached, as the end of a phrase."""
        count, hosts = len(self.own()), self.unreached()
        errors = f", {count} error{'' if count == 1 else 's'} in its console" if count else ""
        return errors + (f", not reached from here: {', '.join(hosts[:_MOST_HOSTS])}" if hosts else "")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._note(message.text, str(message.location.get("url", "")))

    def _note(self, text: str, url: str) -> None:
        if len(self._errors) < 10 * _MOST_MESSAGES and _split(url).path != _FAVICON:
            place = f" ({url.removeprefix(self._url)})" if text.startswith("Failed to load resource") else ""
            self._errors[one_line(text[:2000] + place, 300)] = url[:2000]

    def _on_failed(self, request: Request) -> None:
        host = _split(request.url).hostname or ""
        aborted = request.failure == "net::ERR_ABORTED"  # by the page itself
        if not self._is_own(request) and host and not aborted and len(self._failed) < _MOST_MESSAGES:
            self._failed.add(one_line(host, 80))

    def _on_request(self, request: Request) -> None:
        if request.method == "POST" and self._is_own(request) and len(self.posts) < _MOST_MESSAGES:
            self.posts.append(self._path(request))

    def _on_response(self, response: Response) -> None:
        path = self._path(response.request)
        if response.request.method == "POST" and self._is_own(response.request) and len(self.answered) < _MOST_MESSAGES:
            self.answered.append(path)
            if response.status >= HTTPStatus.BAD_REQUEST:
                self.refused.append(f"{path}: HTTP {response.status}")

    def forget_posts(self) -> None:
        """Begin anew with what it has the app do."""
        self.posts.clear()
        self.answered.clear()
        self.refused.clear()

    def _is_own(self, request: Request) -> bool:
        return str(request.url).startswith(f"{self._url}/")

    def _path(self, request: Request) -> str:
        return one_line(_split(request.url).path, 80)


def require() -> str:
    """Path of the browser.

    Raises:
        PrerequisiteError: Playwright or the browser is missing.
    """
    if importlib.util.find_spec("playwright") is None:
        raise PrerequisiteError(
            "A screenshot takes Playwright, which is not installed.",
            hint="python -m pip install 'spacerun[screenshot]'",
        )
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None and sys.platform == "darwin":
        found = next((path for path in _MACOS if Path(path).is_file()), None)
    if found is None:
        raise PrerequisiteError(
            f"A screenshot takes Chromium or Chrome, and none of {', '.join(_NAMES)} is on PATH.",
            hint="sudo apt-get install chromium",
        )
    return found


@contextmanager
def opened(seconds: float) -> Iterator[Browser]:
    """A browser with a profile of its own, without any permission, which ends with the block.

    Whatever the page does, it ends after `seconds`: what is asked of it then raises Playwright's `Error`.

    Args:
        seconds: How long it may run, in seconds.

    Raises:
        PrerequisiteError: Playwright or the browser is missing.
        playwright.sync_api.Error: It does not start.
    """
    path = require()
    from playwright.sync_api import Error, sync_playwright

    # Its processes may write to the profile until they are dead.
    with tempfile.TemporaryDirectory(dir=_SCRATCH, prefix="spacerun-browser-", ignore_cleanup_errors=True) as profile:
        limit = threading.Timer(seconds, _kill, (profile,))
        limit.daemon = True
        limit.start()
        try:
            with sync_playwright() as playwright:
                browser = _started(playwright, path, profile)
                yield browser
                with suppress(Error):
                    browser.context.close()
        finally:
            limit.cancel()
            _kill(profile)


def reason(error: Error) -> str:
    """Why something failed, as one line; where the browser did not start, what it wrote at last."""
    written = re.findall(r"\[err\] ([^\n]+)", error.message)
    return one_line(f"{error.message.strip().partition(chr(10))[0]}{' ' + written[-1] if written else ''}", 300)


def _started(playwright: Playwright, path: str, profile: str) -> Browser:
    """A browser in its sandbox, where the system allows it."""
    from playwright.sync_api import Error

    if os.geteuid() != 0:  # Chromium has none for root
        with suppress(Error):  # no user namespaces, as in many containers
            return Browser(_launched(playwright, path, profile, sandbox=True), sandboxed=True)
    return Browser(_launched(playwright, path, profile, sandbox=False), sandboxed=False)


def _launched(playwright: Playwright, path: str, profile: str, *, sandbox: bool) -> BrowserContext:
    variables: dict[str, str | float | bool] = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return playwright.chromium.launch_persistent_context(
        profile,
        executable_path=path,
        headless=True,
        chromium_sandbox=sandbox,
        args=_FLAGS,
        env={**variables, "HOME": profile, "TMPDIR": profile},
        viewport={"width": WIDTH, "height": HEIGHT},
        accept_downloads=False,
        permissions=[],
        service_workers="block",
        timeout=_START_SECONDS * 1000,
    )


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # no URL
        return urlsplit("")


def _kill(profile: str) -> None:
    """Kill the browser that uses `profile`, and its processes."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if any(profile in argument for argument in process.cmdline()):
                for one in (process, *process.children(recursive=True)):
                    with suppress(psutil.Error):
                        one.kill()
