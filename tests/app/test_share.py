"""Share links: believed only from the tunnel, and proven."""

from __future__ import annotations

import time
import urllib.request

import psutil
import pytest

from spacerun.app import registry, share, supervise
from spacerun.app.share import ShareWatch
from spacerun.errors import ShareError
from tests.app.conftest import free_port


def watch(tmp_path, server=None):
    return ShareWatch({"GRADIO_SHARE_SERVER_ADDRESS": server} if server else {}, tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "http://0123456789.gradio.live",
        "https://gradio.live.evil.example",
        "https://evil.example/gradio.live",
        "https://evilgradio.live",
        "https://a.gradio.live@evil.example",
        "https://user:pw@a.gradio.live",
        "ftp://a.gradio.live",
        "file:///etc/passwd",
        "https://127.0.0.1",
        "https://a.gradio.live:port",
        "https://[",
        "gradio.live",
    ],
)
def test_what_is_not_believed(tmp_path, url):
    assert not watch(tmp_path).believes(url)


def test_what_is_believed(tmp_path):
    assert watch(tmp_path).believes("https://0123456789abcdef.gradio.live")
    own = watch(tmp_path, "tunnel.example.com:7000")
    assert own.believes("http://tunnel.example.com:8080")
    assert own.believes("https://abc.tunnel.example.com")
    assert not own.believes("https://eviltunnel.example.com")


@pytest.mark.parametrize("prefix", ["", "* "])
def test_both_ways_in_which_gradio_prints_its_link(tmp_path, prefix):
    seen = watch(tmp_path)
    seen.see(f"{prefix}Running on local URL:  http://127.0.0.1:7860")
    seen.see(f"{prefix}Running on public URL: https://abc.gradio.live")
    assert seen.candidates() == ["https://abc.gradio.live"]


def test_the_hooks_report_goes_first_and_nonsense_in_it_is_skipped(tmp_path):
    report = '{"local_url": "http://x", "share_url": %s, "file": "app.py", "line": 3, "pid": 7}\n'
    content = "nonsense\n[1]\n" + report % 7 + report % '"https://hook.gradio.live"'
    (tmp_path / "launched.jsonl").write_text(content)
    seen = watch(tmp_path)
    seen.see("Running on public URL: https://log.gradio.live")
    assert seen.candidates() == ["https://hook.gradio.live", "https://log.gradio.live"]


def test_a_link_that_forwards_is_proven(space, foreground):
    tunnel = free_port()
    app = space(
        "tunneled",
        sdk="gradio",
        share=True,
        TUNNEL=tunnel,
        FORWARD=1,
        GRADIO_SHARE_SERVER_ADDRESS="127.0.0.1:7000",
    )
    run = foreground(app)
    assert run.read_until("READY").split()[3] == f"http://127.0.0.1:{tunnel}"
    assert urllib.request.urlopen(f"http://127.0.0.1:{tunnel}").read() == b"page"
    assert registry.load(app.spec.id).share_url == f"http://127.0.0.1:{tunnel}"
    assert not [line for line in run.lines if line.startswith("WARNING")]


def test_a_link_that_is_only_printed_is_a_warning_and_the_app_runs_on(space, listener, monkeypatch):
    monkeypatch.setattr(share.resolve, "__kwdefaults__", {"seconds": 2.0})
    settings = {"TUNNEL": free_port(), "GRADIO_SHARE_SERVER_ADDRESS": "127.0.0.1:7000"}
    app = space("tunneled", sdk="gradio", share=True, **settings)
    pages = []

    def on_ready(record):
        assert record.share_url is None
        pages.append(urllib.request.urlopen(record.url).read())
        psutil.Process(record.pid).terminate()

    began = time.monotonic()
    assert supervise(app.spec, app.environment, **{**listener.callbacks(), "on_ready": on_ready}) == 143
    assert 2 < time.monotonic() - began < 8
    assert pages == [b"page"]
    (warning,) = listener.warnings
    assert "the link that the app named does not answer" in warning
    assert "refused" in warning


def test_the_same_with_require_share_is_a_failure(space, listener, monkeypatch):
    monkeypatch.setattr(share.resolve, "__kwdefaults__", {"seconds": 1.0})
    app = space(
        "tunneled",
        sdk="gradio",
        share=True,
        require_share=True,
        TUNNEL=free_port(),
        GRADIO_SHARE_SERVER_ADDRESS="127.0.0.1:7000",
    )
    with pytest.raises(ShareError, match="has no share link: the link that the app named does not answer") as caught:
        supervise(app.spec, app.environment, **listener.callbacks())
    assert caught.value.data["url"] == f"http://127.0.0.1:{app.spec.port}"
    assert listener.answers[0].url == f"http://127.0.0.1:{app.spec.port}"
    assert app.leftovers() == []


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("Could not create share link. Please check your internet connection", "could not reach its tunnel service"),
        ("Could not create share link. Missing file: /x/frpc_linux_amd64_v0.3.|1. Download", "(frpc) could not be"),
        ("To create a public link, set `share=True` in `launch()`.", "started without one"),
        ("Running on public URL: https://evil.example", "https://evil.example, which is not an address of its tunnel"),
        ("nothing", "named none within 1 s"),
    ],
)
def test_why_there_is_no_link(space, listener, monkeypatch, lines, reason):
    monkeypatch.setattr(share.resolve, "__kwdefaults__", {"seconds": 1.0})
    app = space("fake_gradio", sdk="gradio", share=True, require_share=True, MODE="login", LINES=lines)
    with pytest.raises(ShareError) as caught:
        supervise(app.spec, app.environment, **listener.callbacks())
    assert reason in caught.value.message


def test_nobody_waits_for_a_link_of_what_gradio_did_not_launch(space, foreground):
    app = space("answers", sdk="gradio", share=True)
    run = foreground(app)
    began = time.monotonic()
    assert "not one that Gradio launched" in run.read_until("WARNING")
    assert time.monotonic() - began < 10
