"""The links of static Spaces, asked from the server that serves them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from spacerun.sdks.static_server import Server, Site
from spacerun.smoke import links
from spacerun.smoke.links import check_links, links_of_css, links_of_page
from tests.smoke.subjects import listening, subject

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.smoke.result import Check


def check(folder: Path, files: dict[str, str | bytes], entry: str = "index.html") -> Check:
    """What comes of the links of a static Space of these files; asked is what the server's log says."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with listening(Server("127.0.0.1", 0, Site(folder.resolve(), entry, {}, {"A": "b"}))) as url:
        (found,) = check_links(subject(url, "static", directory=folder, app_file=entry))
    return found


def test_all_that_the_pages_name_is_followed(tmp_path: Path) -> None:
    found = check(
        tmp_path,
        {
            "index.html": """<!doctype html><html><head><link rel="stylesheet" href="css/main.css">
                <link rel="icon" href="data:,"><script src="./app.js?v=2"></script></head>
                <body><a href="about.html#team">About</a> <a href="sub">Sub</a> <a href="#here">Here</a>
                <img src="a b.png" srcset="small.png 1x, a%20b.png 2x"><a href="mailto:ada@example.com">Mail</a>
                <div style="background: url('back.png')"></div></body></html>""",
            "about.html": '<a href="/">Home</a><video src="v.mp4" poster="small.png"></video>',
            "sub/index.html": '<img src="in-sub.png"><a href="../about.html">About</a>',
            "css/main.css": '@import "more.css";\n@font-face { src: url(../font.woff2?#iefix) }',
            "css/more.css": "a { background: url(deep.png) }",
            **dict.fromkeys(["app.js", "a b.png", "small.png", "back.png", "v.mp4", "sub/in-sub.png"], b"x"),
            **dict.fromkeys(["font.woff2", "css/deep.png"], b"x"),
        },
    )
    # main.css, app.js, about.html, sub, "a b.png", small.png, back.png, more.css, font.woff2, deep.png, /, v.mp4,
    # in-sub.png
    assert (found.name, found.ok, found.detail) == ("links", True, "13 links on 3 pages")


def test_what_is_missing_is_told_with_its_place(tmp_path: Path) -> None:
    found = check(
        tmp_path,
        {
            "index.html": '<link rel="stylesheet" href="missing.css">\n<a href="page.html">x</a>\n'
            "<style>\na { background: url(gone.png) }\n</style>",
            "page.html": '\n<script src="/js/none.js"></script><a href="no.html">y</a><iframe src="in.html"></iframe>',
        },
    )
    assert not found.ok
    assert found.detail == (
        "missing.css (index.html:1), gone.png (index.html:4), /js/none.js (page.html:2), no.html (page.html:2), "
        "in.html (page.html:2)"
    )


def test_of_many_the_first_are_told(tmp_path: Path) -> None:
    found = check(tmp_path, {"index.html": "".join(f"<img src={number}.png>" for number in range(12))})
    assert found.detail == ", ".join(f"{number}.png (index.html:1)" for number in range(5)) + " and 7 more"


def test_a_route_that_the_first_page_answers_is_no_broken_link(tmp_path: Path) -> None:
    page = '<a href="/settings">Settings</a><a href="/users/ada?tab=1">Ada</a><script src="/app.js"></script>'
    found = check(tmp_path, {"index.html": page, "app.js": "x"})
    assert (found.ok, found.detail) == (True, "3 links on 1 page, 2 of them answered by the first page")


def test_what_a_page_loads_is_no_route(tmp_path: Path) -> None:
    found = check(tmp_path, {"index.html": '<script src="/app"></script><img src="logo">'})
    assert found.detail == "/app (index.html:1), logo (index.html:1)"


def test_other_hosts_are_never_asked(tmp_path: Path) -> None:
    page = """<base href="https://owner-name.static.hf.space/"><script src="app.js"></script>
        <img src="//cdn.example.com/x.png"><a href="http://127.0.0.1:1/x">other port</a>"""
    found = check(tmp_path, {"index.html": page})
    assert (found.ok, found.detail) == (True, "0 links on 1 page")


def test_the_base_of_a_page_is_honoured(tmp_path: Path) -> None:
    page = '<html><head><base href="/assets/"><script src="app.js"></script></head></html>'
    assert check(tmp_path, {"index.html": page, "assets/app.js": "x"}).detail == "1 link on 1 page"


def test_an_entry_in_a_folder_finds_its_neighbours(tmp_path: Path) -> None:
    files = {"dist/index.html": '<script src="/assets/app.js"></script>', "dist/assets/app.js": "x"}
    assert check(tmp_path, files, "dist/index.html").detail == "1 link on 1 page"


def test_templates_and_what_a_script_fills_in_are_left_alone(tmp_path: Path) -> None:
    page = """<template><img src="later.png"></template><img src="{{ user.picture }}"><a href="${link}">x</a>
        <script>document.write('<img src="written.png">')</script><!-- <img src="comment.png"> -->
        <img src=""><a href="javascript:go()">x</a><a href="http://[broken">y</a>"""
    assert check(tmp_path, {"index.html": page}).detail == "0 links on 1 page"


def test_a_page_that_refreshes_leads_on(tmp_path: Path) -> None:
    page = '<meta http-equiv="refresh" content="0; url=app/index.html">'
    files = {"index.html": page, "app/index.html": '<img src="none.png">'}
    assert check(tmp_path, files).detail == "none.png (app/index.html:1)"


def test_what_is_no_page_has_no_links(tmp_path: Path) -> None:
    assert check(tmp_path, {"data.json": '{"a": "<img src=x.png>"}'}, "data.json").detail == "0 links on 0 pages"


def test_a_folder_that_holds_itself_comes_to_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_MOST_PAGES", 20)
    (tmp_path / "again").symlink_to(".")
    found = check(tmp_path, {"index.html": '<a href="again/index.html">deeper</a>'})
    assert found.ok
    assert found.detail.endswith(" on 20 pages; there are more, which were not looked at")


@pytest.mark.parametrize(
    "piece", ["<a ", "<a href='", "<![", "<!--", "<script>", "<style>url(", "<a href=x>", "<img srcset=',, ,'>", "<"]
)
def test_a_page_made_to_take_long_is_given_up(piece: str) -> None:
    began = time.monotonic()
    links_of_page(piece * (2**20 // len(piece)), began + 0.2)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("piece", ["url(", "url('", 'url("', "/*", "@import ", "url(a)"])
def test_a_style_sheet_made_to_take_long_does_not(piece: str) -> None:
    began = time.monotonic()
    assert len(list(links_of_css(piece * (2**20 // len(piece))))) < 2**20
    assert time.monotonic() - began < 2


def test_lines_of_a_style_sheet_count_its_comments() -> None:
    text = "/* url(no.png)\n\n*/ a { b: url( 'x.png' ) }\n@import url(y.css);\nc { d: URL(data:image/png;base64,AA) }"
    assert [(link.url, link.line) for link in links_of_css(text)] == [
        ("x.png", 3),
        ("y.css", 4),
        ("data:image/png;base64,AA", 5),
    ]


@pytest.mark.parametrize(
    ("srcset", "urls"),
    [
        ("a.png 1x, b.png 2x", ["a.png", "b.png"]),
        ("a.png 1x,b.png 2x", ["a.png", "b.png"]),
        ("a.png, b.png", ["a.png", "b.png"]),
        ("data:image/png;base64,AA= 1x", ["data:image/png;base64,AA="]),
        (" a.png ", ["a.png"]),
        (",", [""]),
        ("", []),
    ],
)
def test_candidates_of_a_srcset(srcset: str, urls: list[str]) -> None:
    assert list(links._candidates(srcset)) == urls
