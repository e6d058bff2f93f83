"""A tunnel of spacerun's own, against a stand-in that forwards bytes: what works, and what each failure is called."""

from __future__ import annotations

import http.server
import secrets
import socket
import threading
import time
import urllib.request

import psutil
import pytest

from spacerun.app import frpc, share
from spacerun.app.frpc import Client, TunnelError
from spacerun.app.proof import problem_with
from spacerun.app.tunnel import Service, open_tunnel
from spacerun.paths import home
from tests.app.conftest import free_port
from tests.app.tunnel_service import FRPC, TunnelService


@pytest.fixture
def page():
    """A page that holds a random token: its address, its port and the token."""
    token = secrets.token_hex(16)

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"<title>a page</title> {token}".encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", server.server_port, token
        server.shutdown()


@pytest.fixture
def opened(tmp_path):
    """Open tunnels that are closed with the test."""
    tunnels = []

    def open_one(service, port, seconds=5.0):
        marker = {"SPACERUN_APP": str(tmp_path)}
        settings = {"folder": tmp_path, "marker": marker, "seconds": seconds, "check": lambda: None}
        tunnels.append(open_tunnel(service, "127.0.0.1", port, **settings))
        return tunnels[-1]

    yield open_one
    for tunnel in tunnels:
        tunnel.close()


def test_a_token_comes_through_the_public_address(page, opened):
    local, port, token = page
    with TunnelService() as service:
        tunnel = opened(service.service, port)
        assert token in urllib.request.urlopen(tunnel.urls[0]).read().decode()
        assert service.joined == 1
        assert problem_with(tunnel.urls[0], local, gradio=False) == ""
        assert tunnel.urls[0] != local
        tunnel.close()
        assert tunnel.process.poll() is not None
        assert "refused" in problem_with(tunnel.urls[0], local, gradio=False)


def test_the_client_is_downloaded_once_and_its_checksum_verified_each_time(page, opened):
    _, port, _ = page
    with TunnelService() as service:
        opened(service.service, port)
        opened(service.service, port)
        assert len(service.downloads) == 1
        (program,) = (home().tunnel).iterdir()
        assert program.read_bytes() == FRPC
        program.write_bytes(FRPC + b"\n# tampered with\n")
        opened(service.service, port)
        assert len(service.downloads) == 2
        assert program.read_bytes() == FRPC


def test_a_client_with_a_wrong_checksum_is_never_started(page, opened):
    with TunnelService(sha256="0" * 64) as service, pytest.raises(TunnelError, match="has not the checksum") as caught:
        opened(service.service, page[1])
    assert not caught.value.passing
    assert not list((home().tunnel).glob("*"))


@pytest.mark.parametrize(
    ("mode", "reason", "passing"),
    [
        ("silent", r"the tunnel server 127\.0\.0\.1:\d+ was silent for 1 s; a firewall may block it", True),
        ("refuse", r"the tunnel server 127\.0\.0\.1:\d+ refused \(authorization failed\)", False),
        ("gone", r"127\.0\.0\.1 named no tunnel server \(HTTP 503\)", True),
        ("nonsense", r"127\.0\.0\.1 named no tunnel server \(HTTP 200\)", False),
    ],
)
def test_what_each_failure_is_called(page, opened, mode, reason, passing):
    before = {child.pid for child in psutil.Process().children()}
    with TunnelService(mode) as service, pytest.raises(TunnelError, match=reason) as caught:
        opened(service.by_api if mode in {"gone", "nonsense"} else service.service, page[1], seconds=1.0)
    assert caught.value.passing is passing
    assert {child.pid for child in psutil.Process().children()} <= before


def test_offline_is_called_so(page, opened):
    nowhere = Client(f"http://127.0.0.1:{free_port()}/frpc", "0" * 64)
    with pytest.raises(TunnelError, match=r"127\.0\.0\.1 cannot be reached from here \(.*refused") as caught:
        opened(Service(api=f"http://127.0.0.1:{free_port()}/v3/tunnel-request", client=nowhere), page[1])
    assert caught.value.passing
    with pytest.raises(TunnelError, match=r"\(frpc\) could not be downloaded from 127\.0\.0\.1:\d+: .*refused"):
        opened(Service(client=nowhere, address="127.0.0.1:7000"), page[1])


def test_a_server_that_cannot_be_reached_is_no_refusal(page, opened):
    with TunnelService() as service:
        away = Service(client=service.client, address=f"127.0.0.1:{free_port()}")
        with pytest.raises(TunnelError, match=r"cannot be reached from here \(.*Connection refused"):
            opened(away, page[1])


def test_an_api_is_followed_only_to_gradios_own_domain(page, opened):
    with TunnelService() as service, pytest.raises(TunnelError, match=r"127\.0\.0\.1:\d+, which is not under gradio"):
        opened(service.by_api, page[1])
    with pytest.raises(TunnelError, match="GRADIO_SHARE_SERVER_ADDRESS=--x is not host:port"):
        opened(Service(client=service.client, address="--x"), page[1])


def test_a_machine_without_a_client_is_told(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert Client.for_this_machine() is None
    with pytest.raises(TunnelError, match="Gradio has no tunnel client for Linux on riscv64"):
        frpc.provide(None, home().cache, seconds=1)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert Client.for_this_machine().url.endswith("/frpc-gradio-0.3/frpc_linux_amd64")


def test_a_link_that_is_only_printed_is_tried_twice_and_not_believed(page, opened):
    local, port, _ = page
    with TunnelService("print") as service:
        link, tunnel = share.of_tunnel(
            lambda: opened(service.service, port),
            tries=2,
            prove=lambda url: problem_with(url, local, gradio=False),
            check=lambda: None,
            seconds=1.0,
        )
    assert (link.url, tunnel) == (None, None)
    assert "does not lead to the app" in link.reason
    assert "refused" in link.reason


def test_a_second_try_may_help(page, opened):
    local, port, _ = page
    with TunnelService("silent") as service:

        def make():
            try:
                return opened(service.service, port, seconds=1.0)
            finally:
                service.mode = "forward"

        began = time.monotonic()
        link, tunnel = share.of_tunnel(
            make, tries=2, prove=lambda url: problem_with(url, local, gradio=False), check=lambda: None, seconds=1.0
        )
        assert link.url == tunnel.urls[0]
        assert 1 < time.monotonic() - began < 6


def test_an_interruption_leaves_no_client(page, tmp_path):
    calls = []

    def check():
        calls.append(1)
        if len(calls) > 10:
            raise KeyboardInterrupt

    before = {child.pid for child in psutil.Process().children()}
    with TunnelService("silent") as service, pytest.raises(KeyboardInterrupt):
        open_tunnel(service.service, "127.0.0.1", page[1], folder=tmp_path, marker={}, seconds=20.0, check=check)
    assert {child.pid for child in psutil.Process().children()} <= before


def test_another_page_is_no_proof(page, monkeypatch):
    monkeypatch.setattr("spacerun.app.proof._SECONDS", 1.0)
    local, _, _ = page
    assert problem_with(local, local, gradio=False) == ""
    handler = type("Other", (http.server.BaseHTTPRequestHandler,), {"do_GET": lambda self: self.wfile.write(OTHER)})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        other = f"http://127.0.0.1:{server.server_port}"
        assert problem_with(other, local, gradio=False) == "another page answers there"
        server.shutdown()
    with socket.create_server(("127.0.0.1", 0)) as dead:
        began = time.monotonic()
        assert "timed out" in problem_with(f"http://127.0.0.1:{dead.getsockname()[1]}", local, gradio=False)
        assert time.monotonic() - began < 8


OTHER = b"HTTP/1.1 200 OK\r\nContent-Length: 25\r\nConnection: close\r\n\r\n<title>another one</title>"
