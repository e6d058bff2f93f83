"""Calls of any server: a plain request to a path of the app, and its answer judged."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from spacerun.app import http
from spacerun.smoke.call_outcome import CallError, Output
from spacerun.smoke.contract import HTTP_CALL, judge
from spacerun.smoke.pages import address

if TYPE_CHECKING:
    from spacerun.smoke.job import Call
    from spacerun.smoke.subject import Subject

_BAD: Final = 400
_SAFE: Final = "/?&=%:@!$'()*+,;~-._#[]"


def request(subject: Subject, call: Call) -> tuple[str, str | None]:
    """Make a plain request.

    Args:
        subject: The app.
        call: `GET /health`, `POST /api`; of a path alone, data makes a POST of it.

    Returns:
        What came back, as a phrase, and what is wrong with it; None where nothing is.

    Raises:
        CallError: There was no answer, or one that says of itself that it is an error.
    """
    named = HTTP_CALL.fullmatch(call.endpoint)
    path = named[2] if named else f"/{call.endpoint.lstrip('/')}"
    posts = named[1] == "POST" if named else call.data is not None
    began = time.monotonic()
    reply = http.ask(
        *address(subject),
        quote(path, safe=_SAFE),
        post=({} if call.data is None else call.data) if posts else None,
        seconds=subject.call_seconds,
        text=True,
    )
    if reply is None:
        raise CallError(f"no answer within {subject.call_seconds:g} s", answered=False)
    text = reply.body.decode(errors="replace")
    document = _document(text)
    if reply.status >= _BAD:
        raise CallError(f"HTTP {reply.status}: {text}" if text.strip() else f"HTTP {reply.status}")
    output = Output(text if document is _NONE else document, 1, time.monotonic() - began)
    wrong = judge(call, output.value)
    return f"HTTP {reply.status}, {output.told}", wrong and judge(call, text)


_NONE: Final = object()


def _document(text: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _NONE
