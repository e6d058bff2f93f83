"""The page of an app: that it is there, that it is no error page, and that it is what its SDK serves."""

from __future__ import annotations

import html
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from spacerun.app import http
from spacerun.app.answer import Listener
from spacerun.sdks.streamlit_visit import Visit
from spacerun.smoke.result import Check
from spacerun.text import one_line, size

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.app.http import Reply
    from spacerun.smoke.subject import Subject

_PAGE_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.1

# Each of these stands in the pages of Gradio from 2.4 on; the third alone where Node renders them (5 and later).
_GRADIO: Final = (b"window.gradio_config", b"<gradio-app", b"gradio-container")
# Both stand in Streamlit's page from 0.79 to 1.67.
_STREAMLIT: Final = (b"<title>streamlit</title>", b'id="root"')

_TITLE: Final = re.compile(r"<title[^>]{0,200}>([^<]{0,500})", re.IGNORECASE)
_SHARED_TITLE: Final = re.compile(r'<meta\s{1,9}property="og:title"\s{1,9}content="([^"]{0,500})"', re.IGNORECASE)
_STATUS_TITLE: Final = re.compile(r"(?:Error )?(\d{3})\W+(.*)", re.IGNORECASE)
_VARIABLES: Final = re.compile(rb"<script>window\.huggingface=[^<]*</script>")

# Pages that mean that the app's own is not there, by their title and by what stands in them, in lower case.
_TITLES: Final = (
    ("directory listing for ", "a listing of its folder"),
    ("index of /", "a listing of its folder"),
    ("welcome to nginx", "nginx's own page"),
    ("apache2 ubuntu default page", "Apache's own page"),
    ("apache2 debian default page", "Apache's own page"),
)
_PARTS: Final = (
    (b"// werkzeug debugger</title>", "the debugger of Werkzeug"),
    (b"<title>starlette debugger</title>", "the debugger of Starlette"),
    (b"seeing this error because you have <code>debug = true", "the error page of Django"),
    (b"<b>fatal error</b>:", "an error of PHP"),
    (b"<pre>cannot get /</pre>", "the error page of Express"),
)
_PHRASES: Final = frozenset(status.phrase.lower() for status in HTTPStatus if status >= HTTPStatus.BAD_REQUEST)


def check_answers(subject: Subject) -> Check:
    """Whether the app answers on `/` with status 200."""
    reply = _ask(subject)
    if reply is None:
        detail = f"no answer within {_PAGE_SECONDS:.0f} s" if subject.alive() else "the app has ended"
        return Check("answers", ok=False, detail=detail)
    return Check("answers", ok=reply.status == HTTPStatus.OK, detail=_status(reply))


def check_page(subject: Subject, *, gradio: bool) -> Check:
    """Whether the page is the app's own: no error page, and as its SDK serves it.

    Args:
        subject: The app.
        gradio: Whether Gradio answers; in a Space of this SDK, any server may.
    """
    reply = _ask(subject)
    if reply is None or reply.status != HTTPStatus.OK:
        return Check("page", ok=False, detail=_status(reply) if reply else "no answer")
    described = describe(reply.body)
    if wrong := error_page(reply.body) or _foreign(subject, reply.body):
        return Check("page", ok=False, detail=f"{wrong}: {described}")
    if gradio and not any(mark in reply.body for mark in _GRADIO):
        described += ", a page of the app's own in front of Gradio"  # as `gradio.Server` has it
    return Check("page", ok=True, detail=described)


def check_script(subject: Subject) -> Check:
    """Whether a further visit runs the script of a Streamlit app without an exception, in `subject.call_seconds`."""
    visit = Visit(Listener(*address(subject), 0))
    while not visit.over and time.monotonic() - visit.began < subject.call_seconds:
        time.sleep(_LOOK_SECONDS)
    seconds = time.monotonic() - visit.began
    ok = True
    if visit.raised:
        ok, detail = False, visit.raised.line or "it raises an exception, which its settings hide"
    elif not visit.over:
        detail = f"it runs on after {seconds:.0f} s, without an exception"
    elif visit.failed:
        ok, detail = False, "the connection ended before it did" if subject.alive() else "the app has ended"
    else:
        detail = f"it ran to its end in {seconds:.1f} s"
    return Check("script", ok=ok, detail=one_line(detail), seconds=seconds)


def address(subject: Subject) -> tuple[str, int]:
    """Host and port of an app."""
    parts = urlsplit(subject.url)
    return parts.hostname or "", parts.port or 80


def _ask(subject: Subject) -> Reply | None:
    return http.ask(*address(subject), seconds=_PAGE_SECONDS, text=True, accept="text/html,*/*;q=0.8")


def _status(reply: Reply) -> str:
    return f"HTTP {reply.status}{'' if reply.status == HTTPStatus.OK else ' instead of 200'}"


def _foreign(subject: Subject, body: bytes) -> str:
    """What speaks against a page being what the SDK serves; empty where nothing does."""
    if subject.sdk == "streamlit" and not all(mark in body.lower() for mark in _STREAMLIT):
        return "not the page of Streamlit"
    if subject.sdk == "static" and not subject.card.build_command:  # what is built lies elsewhere
        file = subject.card.app_file
        return "" if _is_served(subject.directory / file, body) else f"not the file {one_line(file, 80)}"
    return ""


def _is_served(file: Path, body: bytes) -> bool:
    """Whether `body` is what the server makes of `file`: the same, with one script for the variables."""
    with file.open("rb") as stream:
        content = stream.read(http.TEXT_BYTES)
    if len(body) == http.TEXT_BYTES:  # the rest was not read
        plain = _VARIABLES.sub(b"", body, count=1)
        return content.startswith((body, plain))
    return content in {body, _VARIABLES.sub(b"", body, count=1)}


def describe(body: bytes) -> str:
    """A page in a phrase: its title and its size."""
    held = f"{size(len(body))}{' or more' if len(body) >= http.TEXT_BYTES else ''}"
    found = title(body)
    return f"“{found}”, {held}" if found else held


def title(body: bytes) -> str:
    """The title of a page as one printable line; empty where it has none."""
    text = body.decode(errors="replace")
    found = _TITLE.search(text)
    shared = _SHARED_TITLE.findall(text) if not (found and found[1].strip()) else []
    raw = shared[-1] if shared else found[1] if found else ""
    return one_line(html.unescape(raw), 80)


def error_page(body: bytes) -> str:
    """What a page is that stands in place of the app's own; empty where it is none of those that are known."""
    lower = body.lower()
    if not lower.strip():
        return "an empty page"
    text = lower.strip()[:200].decode(errors="replace")
    if text in _PHRASES or _fastapi_detail(body) in _PHRASES:
        return "an error"
    name = title(body).lower()
    status = _STATUS_TITLE.fullmatch(name)
    if status and any(phrase in status[2] for phrase in (*_PHRASES, "page could not be found")):
        return "an error page"
    found = next((what for beginning, what in _TITLES if name.startswith(beginning)), "")
    return found or next((what for part, what in _PARTS if part in lower), "")


def _fastapi_detail(body: bytes) -> str:
    """The text of `{"detail": TEXT}`, with which FastAPI tells what is wrong; empty for anything else."""
    document = http.Reply(HTTPStatus.OK, body[:1000]).json()
    detail = document.get("detail") if isinstance(document, dict) and len(document) == 1 else None
    return detail.lower() if isinstance(detail, str) else ""
