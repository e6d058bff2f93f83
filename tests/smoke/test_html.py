"""The page of a smoke test: whole in itself, dead to scripts, and right in what it shows."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from spacerun.smoke.reports import sections
from spacerun.smoke.reports.baseline import Comparison
from spacerun.smoke.reports.html import write_html
from tests.smoke.reports import fixture

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.smoke.result import Report, Result

VOID = {"meta", "img"}
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Page(HTMLParser):
    """A page as a browser takes it apart; every element must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.style = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data
        else:
            self.text += data

    def all(self, tag: str, kind: str = "") -> list[dict[str, str]]:
        """The attributes of the elements of a tag, and of a class."""
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and (not kind or kind in attributes.get("class", "").split())
        ]


def page(folder: Path, report: Report, baseline: Comparison | None = None) -> Page:
    file = write_html(report, folder, baseline)
    assert file == folder / "index.html"
    return Page(file.read_text(encoding="utf-8"))


def section(folder: Path, result: Result) -> Page:
    return page(folder, fixture.of(result))


def test_nothing_is_loaded_and_nothing_runs(tmp_path: Path) -> None:
    told = page(tmp_path, fixture.REPORT, Comparison(gone=(fixture.HOSTILE.space,)))
    assert not {"script", "iframe", "object", "embed", "link", "base", "form", "img"} & {
        tag for tag, _ in told.elements
    }
    for _, attributes in told.elements:
        assert not [name for name in attributes if name.startswith("on") or name in {"style", "srcset", "action"}]
        assert re.fullmatch(r"#[\w-]+|https://github\.com/\S+", attributes.get("href", "#x"))
    assert "url(" not in told.style
    assert "@import" not in told.style


def test_the_policy_allows_its_own_style_and_pictures_alone(tmp_path: Path) -> None:
    told = page(tmp_path, fixture.REPORT)
    policy = next(meta["content"] for meta in told.all("meta") if "http-equiv" in meta)
    digest = base64.b64encode(hashlib.sha256(told.style.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_a_hostile_space_is_text(tmp_path: Path) -> None:
    told = section(tmp_path, fixture.HOSTILE)
    for text in (
        'evil/<script>"><img src=x onerror=alert(1)>|`*_[a](javascript:b)',
        "<script>alert(1)</script>\n",
        "</pre><script>alert(2)</script>",
        "<svg onload=alert(1)>",
        "page </td>",
        "gradio 4.0.0|<i>",
        "javascript:alert(1)",
        "right ot left, ",
    ):
        assert text in told.text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]|hf_abcdefgh", told.text)


def test_all_spaces_are_in_the_table_those_that_failed_first(tmp_path: Path) -> None:
    told = page(tmp_path, fixture.of(*fixture.SOUND))
    rows = [row["class"] for row in told.all("tr") if row.get("class")]
    assert rows == ["failed"] * 3 + ["network", "not_run", "partial"] + ["passed"] * 5
    assert [one["href"] for one in told.all("a", "name")][:4] == ["#s-6", "#s-7", "#s-8", "#s-9"]
    assert {one["href"][1:] for one in told.all("a", "name")} == {one["id"] for one in told.all("div", "body")}


@pytest.mark.parametrize(
    ("results", "headline"),
    [
        (fixture.SOUND, "3 of 11 Spaces failed"),
        ((fixture.HELLO, fixture.WHISPER), "All 2 Spaces passed"),
        ((fixture.HELLO, fixture.DIFFUSION), "No fault in 2 Spaces; 1 not tested all the way"),
        ((fixture.HELLO, fixture.NETWORK), "1 of 2 Spaces met a network fault"),
        ((fixture.HELLO, fixture.NOT_RUN), "1 of 2 Spaces tested"),
        ((fixture.HELLO,), "gradio/hello_world passed"),
        ((fixture.CRASHED,), "facebook/MusicGen failed at start"),
        ((), "No Space was tested"),
    ],
)
def test_the_headline_says_what_came_of_it(tmp_path: Path, results: tuple[Result, ...], headline: str) -> None:
    text = write_html(fixture.of(*results), tmp_path).read_text(encoding="utf-8")
    assert f"<h1>{headline}</h1>" in text
    assert f"<title>{headline} · spacerun smoke-test</title>" in text


def test_totals_and_begin_are_told(tmp_path: Path) -> None:
    told = page(tmp_path, fixture.REPORT)
    assert "5 passed, 1 proven to imports, 4 failed, 1 network fault, 1 not run, in 3 min 12 s" in told.text
    assert "began 2026-03-02 08:15 UTC" in told.text


def test_a_failure_has_cause_help_checks_stages_and_log(tmp_path: Path) -> None:
    told = section(tmp_path, replace(fixture.CRASHED, checks=(fixture.ANSWERS,)))
    for text in (
        "The app ended with status 1 before it answered.",
        fixture.CRASHED.hint,
        "huggingface_hub 1.0 removed HfFolder, which Gradio 4.9 to 5.7 imports",
        "take huggingface_hub below 1.0",
        "\n".join(fixture.TRACEBACK),
        "/tmp/report/facebook--MusicGen/app.log",
        "HTTP 200 at http://127.0.0.1:7860/",
        str(fixture.CRASHED.revision),
    ):
        assert text in told.text
    assert "https://github.com/huggingface/huggingface_hub/releases/tag/v1.0.0" in [a["href"] for a in told.all("a")]


def test_warnings_retries_memory_and_complaints_of_the_browser_are_told(tmp_path: Path) -> None:
    told = page(tmp_path, fixture.of(fixture.ANIME, fixture.CAPTIONS, fixture.BROKEN_PAGE))
    for text in (
        fixture.ANIME.warnings[0],
        fixture.ANIME.retries[0],
        fixture.BROKEN_PAGE.console[0],
        "9.0 GiB expected, 8.3 GiB at most on NVIDIA L4",
        "skipped: none are written down for Streamlit",
    ):
        assert text in told.text


def test_what_differs_from_an_earlier_run_is_told_where_there_is_one(tmp_path: Path) -> None:
    assert "Since the earlier run" not in page(tmp_path, fixture.REPORT).text
    told = page(tmp_path, fixture.REPORT, Comparison(newly_broken=("facebook/MusicGen",)))
    assert "Newly broken" in told.text
    assert {"href": "#changes"} in told.all("a")


def test_sections_of_failures_are_open_unless_they_are_many(tmp_path: Path) -> None:
    def opened(report: Report) -> list[str]:
        return [one["class"] for one in page(tmp_path, report).all("details") if "open" in one]

    assert opened(fixture.of(*fixture.SOUND)) == ["card failed"] * 3
    assert opened(fixture.of(*[fixture.CRASHED] * 11)) == []
    assert opened(fixture.of(fixture.HELLO)) == ["card passed"]


def test_each_bar_is_made_of_the_stages_in_proportion(tmp_path: Path) -> None:
    (bar,) = bars(page(tmp_path, fixture.of(replace(fixture.HELLO, stages={"find": 5, "start": 20}, seconds=30))))
    assert [kind for kind, _, _ in bar] == ["find", "start", "other"]
    assert [begin for _, begin, _ in bar] == pytest.approx([0, 100 / 6, 500 / 6], rel=1e-3)
    assert [width for _, _, width in bar] == pytest.approx([100 / 6, 400 / 6, 100 / 6], rel=1e-3)


def bars(told: Page) -> list[list[tuple[str, float, float]]]:
    """Of each bar the class, beginning and width of its parts, in percent."""
    found: list[list[tuple[str, float, float]]] = []
    for tag, attributes in told.elements:
        if tag == "svg" and "ticks" in attributes.get("class", ""):
            found.append([])
        elif tag == "rect" and found and "x" in attributes:
            begin, width = (float(attributes[name].rstrip("%")) for name in ("x", "width"))
            found[-1].append((attributes["class"], begin, width))
    return found


def test_the_longest_comes_first_and_what_was_not_timed_has_no_bar(tmp_path: Path) -> None:
    found = bars(page(tmp_path, fixture.REPORT))
    lengths = [sum(width for _, _, width in parts) for parts in found]
    assert len(found) == len(fixture.RESULTS) - 1
    assert lengths == sorted(lengths, reverse=True)
    assert 50 < lengths[0] <= 100


@pytest.mark.parametrize("seconds", [0.05, 0.9, 7.0, 59.0, 3601.0, 50_000.0, 10_000_000.0])
def test_every_duration_fits_its_axis(tmp_path: Path, seconds: float) -> None:
    told = page(tmp_path, fixture.of(replace(fixture.HELLO, stages={"start": seconds}, seconds=seconds)))
    ((_, begin, width),) = (parts for parts in bars(told)[0])
    assert begin == 0
    assert 10 < width <= 100.01
    (bar,) = told.all("svg", "ticks")
    assert f".{bar['class'].split()[1]} " in told.style


def test_where_nothing_was_timed_that_is_said(tmp_path: Path) -> None:
    assert "Nothing was timed." in page(tmp_path, fixture.of(fixture.NOT_RUN, fixture.NOT_RUN)).text


def test_it_can_be_read_without_colours_and_by_a_screen_reader(tmp_path: Path) -> None:
    told = page(tmp_path, fixture.REPORT)
    levels = [int(tag[1]) for tag, _ in told.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert {"lang": "en"} in told.all("html")
    assert all("aria-label" in table or "aria-labelledby" in table for table in told.all("table"))
    assert all("scope" in heading for heading in told.all("th"))
    assert all(svg.get("aria-hidden") == "true" or svg.get("aria-label") for svg in told.all("svg"))
    assert all("tabindex" in block for block in told.all("pre"))


def contrast(one: str, other: str) -> float:
    """Of two colours, by WCAG 2."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_texts_stand_out_from_their_ground(tmp_path: Path, scheme: int) -> None:
    told = page(tmp_path, fixture.REPORT)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", told.style.split(":root")[1 + scheme]))
    for text in ("text", "quiet", "link", "passed", "partial", "failed", "network", "not_run"):
        for ground in ("page", "card", "sunk"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


def test_a_screenshot_is_in_the_page(tmp_path: Path) -> None:
    shot = tmp_path / "page.png"
    shot.write_bytes(PIXEL)
    (picture,) = section(tmp_path / "report", replace(fixture.HELLO, screenshot=str(shot))).all("img")
    assert picture["src"] == "data:image/png;base64," + base64.b64encode(PIXEL).decode()
    assert picture["alt"] == "The page of gradio/hello_world in a browser"


def test_a_large_screenshot_lies_beside_the_page(tmp_path: Path) -> None:
    shot = tmp_path / "page.png"
    shot.write_bytes(PIXEL + bytes(2 * 1024**2))
    (picture,) = section(tmp_path / "report", replace(fixture.HELLO, screenshot=str(shot))).all("img")
    assert picture["src"] == "screenshot-0.png"
    assert (tmp_path / "report" / "screenshot-0.png").read_bytes() == shot.read_bytes()


def test_a_large_screenshot_that_lies_there_already_is_left(tmp_path: Path) -> None:
    shot = tmp_path / "screenshot-0.png"
    shot.write_bytes(PIXEL + bytes(2 * 1024**2))
    section(tmp_path, replace(fixture.HELLO, screenshot=str(shot)))
    assert shot.stat().st_size == len(PIXEL) + 2 * 1024**2


def test_many_screenshots_do_not_make_a_page_that_nobody_can_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "_ALL_EMBEDDED", 2 * len(PIXEL))
    shot = tmp_path / "page.png"
    shot.write_bytes(PIXEL)
    told = page(tmp_path, fixture.of(*[replace(fixture.HELLO, screenshot=str(shot))] * 4))
    assert [picture["src"][:12] for picture in told.all("img")] == ["data:image/p"] * 2 + [
        "screenshot-2",
        "screenshot-3",
    ]


@pytest.mark.parametrize("content", [None, b"", b"<svg onload=alert(1)>", b"GIF89a"])
def test_what_is_no_picture_is_not_shown(tmp_path: Path, content: bytes | None) -> None:
    shot = tmp_path / "page.png"
    if content is not None:
        shot.write_bytes(content)
    told = section(tmp_path, replace(fixture.HELLO, screenshot=str(shot)))
    assert told.all("img") == []
    assert f"There is no picture in {shot}." in told.text


def test_hundreds_of_spaces_are_written_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    told = page(tmp_path, fixture.many(500))
    assert time.monotonic() - began < 10
    assert len(told.all("details")) == 500
    assert (tmp_path / "index.html").stat().st_size < 3_000_000
