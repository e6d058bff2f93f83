"""HTML, of which every text of a Space is escaped."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from spacerun.smoke.reports import words
from spacerun.text import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spacerun.smoke.result import Result


def escaped(text: str, limit: int = 1000) -> str:
    """A stranger's text as one line, for an element or an attribute in quotes."""
    return html.escape(one_line(text, limit))


def block(texts: Iterable[str]) -> str:
    """Lines as preformatted text, which can be scrolled by keys."""
    return f'<pre tabindex="0">{html.escape(printable(chr(10).join(texts)))}</pre>'


def badge(result: Result) -> str:
    """How a Space did, in its colour."""
    sign = f'<span aria-hidden="true">{words.SIGNS[result.status]}</span>'
    return f'<span class="badge {result.status}">{sign} {escaped(words.verdict(result))}</span>'


def bullets(texts: Iterable[str]) -> str:
    """A list."""
    return "<ul>" + "".join(f"<li>{escaped(text)}</li>" for text in texts) + "</ul>"
