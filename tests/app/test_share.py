"""Share links: believed only from the tunnel, and proven."""

from __future__ import annotations

import time
import urllib.request

import psutil
import pytest

from spacerun.app import registry, supervise
from spacerun.app.frpc import Client
from spacerun.app.share import ShareWatch
from spacerun.app.tunnel import Service
from spacerun.errors import AppCrashedError, ShareError
from spacerun.source.hook_files import HookSettings, install_hook
from tests.app.conftest import free_port, wait_for
from tests.app.tunnel_service import TunnelService

NOWHERE = Service(client=Client("http://127.0.0.1:1/frpc", "0" * 64), address="127.0.0.1:1")


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


def test_a_link_that_is_only_printed_is_a_warning_and_the_app_runs_on(space, listener):
    settings = {"TUNNEL": free_port(), "GRADIO_SHARE_SERVER_ADDRESS": "127.0.0.1:7000"}
    app = space("tunneled", sdk="gradio", share=True, share_seconds=2.0, **settings)
    pages = []

    def on_ready(record):
        assert record.share_url is None
        pages.append(urllib.request.urlopen(record.url).read())
        psutil.Process(record.pid).terminate()

    began = time.monotonic()
    callbacks = {**listener.callbacks(), "on_ready": on_ready, "tunnels": NOWHERE}
    with pytest.raises(AppCrashedError, match="SIGTERM"):
        supervise(app.spec, app.environment, **callbacks)
    assert 2 < time.monotonic() - began < 8
    assert pages == [b"page"]
    (warning,) = listener.warnings
    assert "the link that the app named does not lead to it" in warning
    assert "refused" in warning


def test_the_same_with_require_share_is_a_failure(space, listener):
    app = space(
        "tunneled",
        sdk="gradio",
        share=True,
        require_share=True,
        share_seconds=1.0,
        TUNNEL=free_port(),
        GRADIO_SHARE_SERVER_ADDRESS="127.0.0.1:7000",
    )
    with pytest.raises(ShareError, match="has no share link: the link that the app named does not lead") as caught:
        supervise(app.spec, app.environment, **listener.callbacks(), tunnels=NOWHERE)
    assert caught.value.data["url"] == f"http://127.0.0.1:{app.spec.port}"
    assert listener.answers[0].url == f"http://127.0.0.1:{app.spec.port}"
    assert app.leftovers() == []


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("Could not create share link. Please check your internet connection", "could not reach its tunnel service"),
        ("Could not create share link. Missing file: /x/frpc_linux_amd64_v0.3.|1. Download", "(frpc) could not be"),
        ("Could not create share link. Checksum mismatch for file: /x/frpc_linux.", "(frpc) has the wrong checksum"),
        ("login to server failed: no authorization|Could not create share link.", "tunnel server refused"),
        ("UserWarning: Setting share=True is not supported on Hugging Face Spaces", "(SYSTEM=spaces)"),
        ("To create a public link, set `share=True` in `launch()`.", "started without one"),
        ("Running on public URL: https://evil.example", "https://evil.example, which is not an address of its tunnel"),
        ("nothing", "named none within 1 s"),
    ],
)
def test_why_there_is_no_link(space, listener, lines, reason):
    settings = {"share": True, "require_share": True, "share_seconds": 1.0}
    app = space("fake_gradio", sdk="gradio", **settings, MODE="login", LINES=lines, LAUNCHED=1)
    with pytest.raises(ShareError) as caught:
        supervise(app.spec, app.environment, **listener.callbacks(), tunnels=NOWHERE)
    assert reason in caught.value.message
    assert (
        "; spacerun's own tunnel failed too: the tunnel client (frpc) could not be downloaded" in caught.value.message
    )


@pytest.mark.parametrize(("program", "sdk"), [("answers", "gradio"), ("answers", "docker"), ("mounted", "gradio")])
def test_what_gradio_did_not_launch_gets_a_tunnel_at_once(space, foreground, program, sdk):
    app = space("fake_gradio" if program == "mounted" else program, sdk=sdk, share=True, MODE="sound")
    with TunnelService() as tunnels:
        run = foreground(app, tunnels)
        began = time.monotonic()
        _, _, url, share_url = run.read_until("READY").split()
        assert time.monotonic() - began < 15
        assert share_url.startswith("http://127.0.0.1:")
        assert urllib.request.urlopen(share_url).read() == urllib.request.urlopen(url).read()
        assert tunnels.joined > 1
        assert registry.load(app.spec.id).reach == "Whoever has the link can use it; no password."
        clients = [p for p in app.leftovers() if "/cache/tunnel/frpc-" in " ".join(psutil.Process(p).cmdline())]
        assert len(clients) == 1
        run.process.terminate()
        assert run.wait() == 130
        assert app.leftovers() == []


def test_a_killed_supervisor_takes_the_tunnel_with_it(space, foreground):
    app = space("answers", share=True)
    with TunnelService() as tunnels:
        run = foreground(app, tunnels)
        share_url = run.read_until("READY").split()[3]
        run.process.kill()
        run.process.wait()
        registry.reap_orphans()
        assert app.leftovers() == []
        wait_for(lambda: not answers(share_url))


def test_the_retry_after_gradios_silence_is_spaceruns_own_tunnel(space, foreground):
    app = space("fake_gradio", sdk="gradio", share=True, share_seconds=1.0, MODE="login", LAUNCHED=1)
    with TunnelService() as tunnels:
        share_url = foreground(app, tunnels).read_until("READY").split()[3]
        assert tunnels.joined > 0
        assert urllib.request.urlopen(share_url).read() == b"page"


@pytest.mark.parametrize("named", ["https://evil.example", "http://127.0.0.1:{other}"])
def test_a_fake_public_url_is_not_believed(space, foreground, named):
    """Neither one elsewhere nor one that leads to another app, be it of the same Gradio."""
    other = space("fake_gradio", sdk="gradio", MODE="numbered", APP_ID=2)
    foreground(other).read_until("READY")
    fake = named.format(other=other.spec.port)
    lines = f"* Running on public URL: {fake}"
    settings = {"LINES": lines, "MODE": "numbered", "APP_ID": 1, "LAUNCHED": 1}
    if "127" in named:
        settings["GRADIO_SHARE_SERVER_ADDRESS"] = "127.0.0.1:7000"
    app = space("fake_gradio", sdk="gradio", share=True, share_seconds=1.0, **settings)
    with TunnelService() as tunnels:
        share_url = foreground(app, tunnels).read_until("READY").split()[3]
        assert tunnels.joined > 0
        assert share_url != fake
        assert b'"app_id": 1' in urllib.request.urlopen(share_url + "/app_id").read()
    with TunnelService("print") as tunnels:
        again = space("fake_gradio", sdk="gradio", share=True, share_seconds=1.0, **settings)
        warning = foreground(again, tunnels).read_until("WARNING")
        assert ("another app answers there" if "127" in named else "not an address of its tunnel") in warning


@pytest.mark.parametrize("death", ["spaces", "ssh", "traceback"])
def test_a_gradio_that_dies_of_sharing_is_started_again_without(space, foreground, death):
    app = space("dies_of_sharing", sdk="gradio", share=True, share_seconds=2.0, DEATH=death)
    install_hook(registry.hook_folder(app.spec.id), HookSettings(share=True, host=None))
    with TunnelService() as tunnels:
        run = foreground(app, tunnels)
        share_url = run.read_until("READY").split()[3]
        assert "WARNING Gradio ended the app over its share link. It is started again without" in "\n".join(run.lines)
        assert urllib.request.urlopen(share_url).read() == b"page"
    record = registry.load(app.spec.id)
    assert (record.restarts, record.share_url) == (1, share_url)


def test_an_app_that_dies_of_something_else_is_not_started_again(space, foreground):
    app = space("dies_of_sharing", sdk="gradio", share=True, DEATH="other")
    install_hook(registry.hook_folder(app.spec.id), HookSettings(share=True, host=None))
    assert "AppCrashedError" in foreground(app).read_until("ERROR")


def test_offline_makes_no_tunnel(space, listener):
    app = space("answers", share=True, require_share=True, offline=True)
    with pytest.raises(ShareError, match="has no share link: --offline forbids to make one"):
        supervise(app.spec, app.environment, **listener.callbacks(), tunnels=NOWHERE)


def answers(url):
    try:
        return urllib.request.urlopen(url, timeout=1).status == 200
    except OSError:
        return False
