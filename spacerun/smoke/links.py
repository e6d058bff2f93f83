"""The links of a static Space: whether what its pages name is there. Other hosts are never asked."""

from __future__ import annotations

import re
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from html.parser import HTMLParser
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit

from spacerun.app import http
from spacerun.smoke.pages import address
from spacerun.smoke.result import Check
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.app.http import Reply
    from spacerun.smoke.subject import Subject

_MOST_PAGES: Final = 300
_MOST_LINKS: Final = 2000
_SECONDS: Final = 60.0
_ASK_SECONDS: Final = 5.0
_TOLD: Final = 5
_PIECE: Final = 16 * 2**10

# What a browser asks for when it opens a page; see `static_server`, which answers it at a path of no file, too.
_BROWSER: Final = "text/html,application/xhtml+xml,*/*;q=0.8"
_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})

# Attributes that name what a page loads (HTML, "Attributes that contain URLs"), and those that name another page.
_LOADED: Final = frozenset({
    ("script", "src"), ("img", "src"), ("source", "src"), ("video", "src"), ("video", "poster"), ("audio", "src"),
    ("track", "src"), ("embed", "src"), ("object", "data"), ("input", "src"), ("image", "href"), ("use", "href"),
    ("image", "xlink:href"), ("use", "xlink:href"),
})  # fmt: skip
_OPENED: Final = frozenset({("a", "href"), ("area", "href"), ("iframe", "src"), ("frame", "src")})
_RELATIONS: Final = frozenset({
    "stylesheet", "icon", "apple-touch-icon", "mask-icon", "manifest", "preload", "modulepreload",
})  # fmt: skip
_REFRESH: Final = re.compile(r"\s*[\d.]{1,9}\s*[;,]\s*url\s*=\s*['\"]?([^'\"]{1,2000})", re.IGNORECASE)
# A quoted text ends with its line, and none but a quoted one holds brackets (CSS Syntax, sections 4.3.5 and 4.3.6).
_CSS_URL: Final = re.compile(
    r"""url\(\s{0,9}(?:"([^"\n]{1,2000})"|'([^'\n]{1,2000})'|([^"'()\s]{1,2000}))\s{0,9}\)"""
    r"""|@import\s{1,9}(?:"([^"\n]{1,2000})"|'([^'\n]{1,2000})')""",
    re.IGNORECASE,
)
_KEPT: Final = "/%:@!$&'()*+,;=~"  # in a path (RFC 3986, section 3.3)
# Placeholders of a template that a script fills in.
_UNFILLED: Final = ("{{", "${", "<%", "{%")


@dataclass(frozen=True)
class Link:
    """What a file of the Space names.

    Attributes:
        url: As it is written.
        line: Where, from 1.
        opens: Whether it leads to a page, which may be a route of the app's own; else the page loads it.
        style: Whether it is a style sheet.
    """

    url: str
    line: int
    opens: bool = False
    style: bool = False


def check_links(subject: Subject) -> Iterator[Check]:
    """Whether all that the pages of a static Space name on their own host is there, from its first page on."""
    crawl = _Crawl(subject)
    crawl.run()
    yield Check("links", ok=not crawl.broken, detail=crawl.told())


class _Crawl:
    """Follows the links of a site, each target once."""

    def __init__(self, subject: Subject) -> None:
        self.broken: list[str] = []
        self._subject = subject
        self._until = time.monotonic() + _SECONDS
        self._waiting: deque[tuple[str, str, Link]] = deque()
        self._known: set[str] = set()
        self._pages: set[str] = set()
        self._links = self._routes = 0
        self._limited = False

    def run(self) -> None:
        """Follow all of them, as far as the limits allow."""
        self._look("/", Link("/", 1, opens=True))
        while self._waiting:
            if self._links >= _MOST_LINKS or time.monotonic() > self._until:
                self._limited = True
                return
            self._links += 1
            self._follow(*self._waiting.popleft())

    def told(self) -> str:
        """What came of it, as a phrase."""
        if self.broken:
            more = len(self.broken) - _TOLD
            return ", ".join(self.broken[:_TOLD]) + (f" and {more} more" if more > 0 else "")
        routes = f", {self._routes} of them answered by the first page" if self._routes else ""
        limited = "; there are more, which were not looked at" if self._limited else ""
        return f"{_count(self._links, 'link')} on {_count(len(self._pages), 'page')}{routes}{limited}"

    def _follow(self, path: str, source: str, link: Link) -> None:
        reply = self._head(path)
        if link.opens and reply and reply.status == HTTPStatus.NOT_FOUND:
            routed = self._head(path, _BROWSER)
            if routed and routed.status == HTTPStatus.OK:
                self._routes += 1
                return
        if reply is None or reply.status >= HTTPStatus.BAD_REQUEST:
            missing = reply is not None and reply.status == HTTPStatus.NOT_FOUND
            what = "" if missing else f", HTTP {reply.status}" if reply else ", no answer"
            self.broken.append(f"{one_line(link.url, 80)} ({self._name(source)}:{link.line}{what})")
        elif link.style or (link.opens and reply.kind in _HTML):
            self._look(path, link)

    def _look(self, path: str, link: Link) -> None:
        """Note what a page or a style sheet names."""
        reply = http.ask(
            *address(self._subject),
            path,
            seconds=_ASK_SECONDS,
            text=True,
            accept=_BROWSER if link.opens else "*/*",
        )
        if reply is None or reply.status != HTTPStatus.OK or (reply.kind not in _HTML and not link.style):
            return
        text = reply.body.decode(errors="replace")
        file = reply.path.partition("?")[0]  # a redirect may have led from a folder to what lies in it
        base = ""
        if link.style:
            links = tuple(links_of_css(text))
        elif file in self._pages:
            return
        elif len(self._pages) >= _MOST_PAGES:
            self._limited = True
            return
        else:
            self._pages.add(file)
            base, links = links_of_page(text, self._until)
        place = urljoin(f"{self._subject.url}{reply.path}", _cleaned(base))
        for named in links:
            target = self._path_of(place, named.url)
            if target and target not in self._known and len(self._known) < 2 * _MOST_LINKS:
                self._known.add(target)
                self._waiting.append((target, path, named))

    def _path_of(self, place: str, url: str) -> str:
        """The path with query that `url` means on the page at `place`; empty where it is no file of the Space."""
        # A fragment is no file, and `%23` is how one is written within a `data:` URL.
        if not _cleaned(url) or url.strip().startswith(("#", "%23")) or any(mark in url for mark in _UNFILLED):
            return ""
        try:
            target = urlsplit(urldefrag(urljoin(place, _cleaned(url))).url)
        except ValueError:  # no URL
            return ""
        own = urlsplit(self._subject.url)
        if (target.scheme, target.netloc.lower()) != (own.scheme, own.netloc.lower()):
            return ""
        path = quote(target.path or "/", safe=_KEPT)
        return f"{path}?{quote(target.query, safe=_KEPT + '?')}" if target.query else path

    def _name(self, path: str) -> str:
        """The file behind a path, for people."""
        return one_line(unquote(path.partition("?")[0]).strip("/") or self._subject.card.app_file, 80)

    def _head(self, path: str, accept: str = "*/*") -> Reply | None:
        return http.ask(*address(self._subject), path, seconds=_ASK_SECONDS, head=True, accept=accept)


def links_of_page(text: str, until: float) -> tuple[str, tuple[Link, ...]]:
    """What a page names: the base that its links are relative to, and the links.

    Args:
        text: HTML.
        until: When to give up, by `time.monotonic`: a page may be made to take long.
    """
    page = _Page()
    with suppress(AssertionError):  # how the parser gives up on some malformed declarations
        for start in range(0, len(text), _PIECE):
            if time.monotonic() > until:
                break
            page.feed(text[start : start + _PIECE])
    return page.base, tuple(page.links)


def links_of_css(text: str, line: int = 1) -> Iterator[Link]:
    """What a style sheet names.

    Args:
        text: CSS.
        line: Line of its file that it begins in.
    """
    plain = "".join(_without_comments(text))
    seen = 0
    for found in _CSS_URL.finditer(plain):
        line += plain.count("\n", seen, found.start())
        seen = found.start()
        url = next(filter(None, found.groups()))
        yield Link(url, line, style=found[0].lower().startswith("@import"))


def _without_comments(text: str) -> Iterator[str]:
    """A style sheet with the line ends of its comments, and without the comments."""
    at = 0
    while (begins := text.find("/*", at)) >= 0:
        yield text[at:begins]
        ends = text.find("*/", begins + 2)
        at = len(text) if ends < 0 else ends + 2
        yield "\n" * text.count("\n", begins, at)
    yield text[at:]


class _Page(HTMLParser):
    """Notes what a page names; what stands in a `<template>` is not yet part of it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.base = ""
        self.links: list[Link] = []
        self._templates = 0
        self._style: list[str] | None = None
        self._style_line = 1

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._templates += tag == "template"
        if self._templates:
            return
        values = {name: value or "" for name, value in reversed(attrs)}  # of two the first counts
        if tag == "base":
            self.base = self.base or values.get("href", "")
        elif tag == "style":
            self._style, self._style_line = [], self.getpos()[0]
        elif tag == "link":
            relations = set(values.get("rel", "").lower().split())
            self._add(values.get("href", "") if relations & _RELATIONS else "", style="stylesheet" in relations)
        elif tag == "meta" and values.get("http-equiv", "").lower() == "refresh":
            found = _REFRESH.match(values.get("content", ""))
            self._add(found[1] if found else "", opens=True)
        for name, value in values.items():
            self._note(tag, name, value)

    def _note(self, tag: str, name: str, value: str) -> None:
        if (tag, name) in _LOADED or (tag, name) in _OPENED:
            self._add(value, opens=(tag, name) in _OPENED)
        elif name == "srcset":
            for url in _candidates(value):
                self._add(url)
        elif name == "style":
            self.links += links_of_css(value, self.getpos()[0])

    def handle_endtag(self, tag: str) -> None:
        self._templates -= tag == "template" and self._templates > 0
        if tag == "style" and self._style is not None:
            self.links += links_of_css("".join(self._style), self._style_line)
            self._style = None

    def handle_data(self, data: str) -> None:
        if self._style is not None:
            self._style.append(data)

    def _add(self, url: str, *, opens: bool = False, style: bool = False) -> None:
        if url:
            self.links.append(Link(url, self.getpos()[0], opens, style))


def _candidates(srcset: str) -> Iterator[str]:
    """The URLs of a `srcset` (HTML, "Parsing a srcset attribute")."""
    begins = True
    for word in srcset.split():
        url = word
        if not begins:  # a descriptor, and after a comma the next URL
            _, comma, url = word.partition(",")
            begins = bool(comma) and not url
        if url:
            yield url.rstrip(",")
            begins = url.endswith(",")


def _cleaned(url: str) -> str:
    """A URL as browsers read it (URL Standard, "basic URL parser"): no line ends, and slashes alone."""
    return re.sub(r"[\t\r\n]", "", url.strip()).replace("\\", "/")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
