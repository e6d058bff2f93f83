"""A browser's look at the page of an app: a picture of it, and whether a click on its first example does anything."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from spacerun.smoke import browser
from spacerun.smoke.result import Check
from spacerun.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page

    from spacerun.smoke.subject import Subject

require = browser.require

_WHOLE_SECONDS: Final = 90.0
_SETTLE_SECONDS: Final = 30.0
_STILL_SECONDS: Final = 1.0
_CLICK_SECONDS: Final = 10.0
_AFTERMATH_MS: Final = 1000
_POLL_MS: Final = 200
_HIGHEST: Final = 4000

# Examples of Gradio 6 to 3, of its chats since 5, of 3.0 to 3.1x, and of 2.
_EXAMPLES: Final = (
    "button.gallery-item, tr.tr-body, button.example, .gr-samples-gallery button, .gr-samples-table tbody tr, "
    ".examples-table tbody tr, .examples-gallery button"
)
_TOASTS: Final = ".toast-body.error, .toast-wrap .error"

# What a page shows, through its shadow roots: in one does Gradio 3 keep all of it at first.
_LOOK: Final = """() => {
    const deep = root => [...root.querySelectorAll('*')].flatMap(e => e.shadowRoot ? [e, ...deep(e.shadowRoot)] : [e]);
    const all = deep(document);
    const has = selector => all.some(e => e.matches(selector));
    const text = all.filter(e => e.shadowRoot).flatMap(e => [...e.shadowRoot.children]).concat(document.body || [])
        .map(e => e.innerText || '').join(' ');
    let values = 0;
    for (const e of all.filter(e => e.matches('input, textarea, select, img, video, audio')))
        for (const c of String(e.value || e.currentSrc || '') + (e.checked ? '1' : '0') + '|')
            values = (values * 31 + c.charCodeAt(0)) | 0;
    const main = document.querySelector('[data-testid=stMain], section.main');
    return {
        count: all.length,
        letters: text.trim().length,
        shows: has('button, input, textarea, select, img, canvas, video, svg, iframe, object, footer'),
        controls: has('button, input, textarea, footer'),
        streamlit: has('.stApp'),
        busy: has('[data-test-script-state=running], [data-testid=stStatusWidget], [data-testid=stAppSkeleton]')
            || (has('[data-test-connection-state]') && !has('[data-test-connection-state=CONNECTED]')),
        values: values,
        height: Math.max(document.documentElement.scrollHeight, document.body ? document.body.scrollHeight : 0),
        inner: main ? main.scrollHeight : 0,
    };
}"""


@dataclass(frozen=True)
class Shot:
    """What the browser brought.

    Attributes:
        path: The picture; None where there is none.
        console: Errors of the page itself, each as a printable line.
        checks: `screenshot`, and `click` where there is an example.
        unreached: Other hosts that the page wants something from and that cannot be reached from here.
    """

    path: Path | None
    console: tuple[str, ...]
    checks: tuple[Check, ...]
    unreached: tuple[str, ...] = ()


def take(subject: Subject, *, file: Path, gradio: bool) -> Shot:
    """Take a picture of the page once it has settled, and click on its first example.

    Args:
        subject: The app.
        file: Where the picture goes, as PNG: 1280 pixels wide, as high as the page, but not higher than 4000.
        gradio: Whether Gradio answers.

    Raises:
        PrerequisiteError: Playwright or the browser is missing.
    """
    browser.require()
    from playwright.sync_api import Error

    file.unlink(missing_ok=True)
    messages = browser.Messages(subject.url)
    checks: list[Check] = []
    began = time.monotonic()
    try:
        with browser.opened(_WHOLE_SECONDS) as running:
            page = running.context.pages[0]
            messages.listen(page)
            page.goto(subject.url, wait_until="commit")
            look = _settled(page, gradio=gradio, streamlit=subject.sdk == "streamlit")
            pixels = _take(running.context, page, look, file)
            wrong = look.wrong(gradio=gradio, streamlit=subject.sdk == "streamlit")
            risk = "" if running.sandboxed else "; its pages ran without the sandbox of the browser"
            checks.append(Check("screenshot", ok=not wrong, detail=f"{wrong or pixels}{messages.told()}{risk}"))
            if gradio:
                checks += _click(page, messages)
    except Error as error:
        slow = time.monotonic() - began >= _WHOLE_SECONDS
        detail = f"the page did not respond for {_WHOLE_SECONDS:.0f} s" if slow else browser.reason(error)
        checks.append(Check("click" if checks else "screenshot", ok=False, detail=detail))
    return Shot(file if file.is_file() else None, messages.own(), tuple(checks), messages.unreached())


@dataclass(frozen=True)
class _Look:
    """What a page shows at one time.

    Attributes:
        count: Its elements.
        letters: Letters of text.
        shows: Whether there is anything to see beside text.
        controls: Whether there is anything to use.
        streamlit: Whether Streamlit's frontend is there.
        busy: Whether Streamlit's script runs, or its frontend is not yet connected.
        values: Digest of what its fields hold.
        height: Height of the page, in pixels.
        inner: Height of what scrolls within it, in pixels.
        settled: Whether it had stopped changing.
    """

    count: int = 0
    letters: int = 0
    shows: bool = False
    controls: bool = False
    streamlit: bool = False
    busy: bool = False
    values: int = 0
    height: int = 0
    inner: int = 0
    settled: bool = False

    def wrong(self, *, gradio: bool, streamlit: bool) -> str:
        """Why the page does not show what it should; empty where it does."""
        if gradio and not self.controls:
            return f"Gradio's page shows no component after {_SETTLE_SECONDS:.0f} s"
        if streamlit and not self.streamlit:
            return f"Streamlit's page shows no app after {_SETTLE_SECONDS:.0f} s"
        return "" if self.letters or self.shows else "the page is blank"


def _settled(page: Page, *, gradio: bool, streamlit: bool) -> _Look:
    """What the page shows once it has stopped changing, or after `_SETTLE_SECONDS`."""
    until = time.monotonic() + _SETTLE_SECONDS
    last, since = _Look(), time.monotonic()
    while True:
        look = _looked(page)
        now = time.monotonic()
        if (look.count, look.letters) != (last.count, last.letters):
            last, since = look, now
        elif now - since >= _STILL_SECONDS and not look.busy and not look.wrong(gradio=gradio, streamlit=streamlit):
            return replace(look, settled=True)
        if now >= until:
            return look
        page.wait_for_timeout(_POLL_MS)


def _looked(page: Page) -> _Look:
    from playwright.sync_api import Error

    try:
        seen = page.evaluate(_LOOK)
    except Error:  # it is just on its way to another page
        return _Look()
    # The page may have made anything of it.
    told = seen if isinstance(seen, dict) else {}
    return _Look(
        count=_number(told.get("count")),
        letters=_number(told.get("letters")),
        shows=told.get("shows") is True,
        controls=told.get("controls") is True,
        streamlit=told.get("streamlit") is True,
        busy=told.get("busy") is True,
        values=_number(told.get("values")),
        height=_number(told.get("height")),
        inner=_number(told.get("inner")),
    )


def _number(value: Any) -> int:  # noqa: ANN401
    return value if isinstance(value, int) else 0


def _take(context: BrowserContext, page: Page, look: _Look, file: Path) -> str:
    """Take the picture; its size and what is to be known of it, as a phrase."""
    if look.inner > browser.HEIGHT:  # Streamlit scrolls within its page
        page.set_viewport_size({"width": browser.WIDTH, "height": min(look.inner, _HIGHEST)})
        page.wait_for_timeout(1000 * _STILL_SECONDS)
    height = min(max(look.height, look.inner, browser.HEIGHT), _HIGHEST)
    # Not Playwright's own, which waits for fonts from other hosts.
    made = context.new_cdp_session(page).send(
        "Page.captureScreenshot",
        {
            "format": "png",
            "captureBeyondViewport": True,
            "clip": {"x": 0, "y": 0, "width": browser.WIDTH, "height": height, "scale": 1},
        },
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(base64.b64decode(made["data"]))
    going = "" if look.settled else f", still changing after {_SETTLE_SECONDS:.0f} s"
    return f"{browser.WIDTH}×{height}{going}"


def _click(page: Page, messages: browser.Messages) -> list[Check]:
    """Click on the first example; no check where there is none."""
    example = page.locator(_EXAMPLES).locator("visible=true").first
    if not example.count():
        return []
    name = one_line(example.inner_text(), 40)
    before = _looked(page).values
    messages.forget_posts()
    example.click(timeout=_CLICK_SECONDS * 1000)
    until = time.monotonic() + _CLICK_SECONDS
    while time.monotonic() < until and _looked(page).values == before:
        if messages.posts and len(messages.answered) >= len(messages.posts):
            break
        page.wait_for_timeout(_POLL_MS)
    page.wait_for_timeout(_AFTERMATH_MS)
    changed = _looked(page).values != before
    did = [text for text, is_so in (("filled the inputs", changed), ("sent a request", bool(messages.posts))) if is_so]
    toast = page.locator(_TOASTS).locator("visible=true").first
    shown = one_line(toast.inner_text().replace("×", "")) if toast.count() else ""  # the cross that closes it
    wrong = messages.refused[0] if messages.refused else shown
    detail = f"the first example{f' (“{name}”)' if name else ''}: {wrong or ' and '.join(did) or 'nothing came of it'}"
    return [Check("click", ok=bool(did) and not wrong, detail=detail)]
