"""A share link that spacerun makes itself, as Gradio does: for every app that Gradio gives none.

Gradio's protocol (6.31.0, gradio/networking.py and gradio/tunneling.py): its API names a server and the certificate to
trust, frpc connects to it and prints the public address. `GRADIO_SHARE_SERVER_ADDRESS` names another server, which is
then used without its API and without TLS, as Gradio does.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

from spacerun.app import processes
from spacerun.app.frpc import Client, TunnelError, provide
from spacerun.app.log import AppLog
from spacerun.app.web import Unreachable, look
from spacerun.paths import home, write_atomic
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

SERVER_VARIABLE: Final = "GRADIO_SHARE_SERVER_ADDRESS"
"""Environment variable with the user's own tunnel server, `host:port` (Gradio 4.11 and later)."""

DOMAIN: Final = "gradio.live"
"""Where the addresses of Gradio's own tunnel servers are."""

_API: Final = "https://api.gradio.app/v3/tunnel-request"
_API_BYTES: Final = 2**20
_HOST: Final = re.compile(r"(?!-)[A-Za-z0-9.-]{1,253}")
_SUCCESS: Final = re.compile(r"start proxy success: (\S+)")
_REFUSED: Final = re.compile(r"login to server failed: (.+)|start error: (.+)")
# What Go says of a server that cannot be reached, in contrast to one that says no (net/net.go).
_SILENT: Final = re.compile(r"dial tcp|i/o timeout|no such host|connection refused|network is unreachable|EOF")
_PROXIES: Final = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Service:
    """Where tunnels come from.

    Attributes:
        api: Address that names a tunnel server.
        client: The tunnel client, or None where there is none for this machine.
        address: The user's own tunnel server, `host:port`, instead.
    """

    api: str = _API
    client: Client | None = field(default_factory=Client.for_this_machine)
    address: str | None = None


@dataclass(frozen=True)
class _Server:
    host: str
    port: int
    certificate: str | None


class Tunnel:
    """A running tunnel client.

    Attributes:
        urls: The public addresses that it may have, likeliest first.
    """

    def __init__(self, process: subprocess.Popen[bytes], urls: Sequence[str]) -> None:
        self.process = process
        self.urls = urls

    def close(self) -> None:
        """End it."""
        _end(self.process)


def open_tunnel(
    service: Service,
    host: str,
    port: int,
    *,
    folder: Path,
    marker: Mapping[str, str],
    seconds: float,
    check: Callable[[], None],
) -> Tunnel:
    """Make what listens on `host` and `port` reachable from everywhere.

    Args:
        service: Where tunnels come from.
        host: Address on this machine.
        port: Port there.
        folder: Run folder of the app; the client's log and the server's certificate are written there.
        marker: Variables by which the client is known as one of the app's processes, and ended with them.
        seconds: How long each of the API, the download and the tunnel server may be silent, in seconds.
        check: Called all the time; raises when waiting has become pointless.

    Raises:
        TunnelError: There is none.
    """
    server = _server(service, seconds, check)
    program = provide(service.client, home().tunnel, seconds=seconds, check=check)
    process, said = _start(program, server, (host, port), folder, marker)
    try:
        address = _await_address(process, said, server, seconds, check)
        return Tunnel(process, _public_urls(address, own=service.address is not None))
    except BaseException:
        _end(process)
        raise


def _server(service: Service, seconds: float, check: Callable[[], None]) -> _Server:
    """The tunnel server to use."""
    if service.address is not None:
        host, _, port = service.address.rpartition(":")
        return _checked(host, port, None, f"{SERVER_VARIABLE}={one_line(service.address, 60)} is not host:port")
    name = urlsplit(service.api).hostname
    try:
        page = look(service.api, limit=_API_BYTES, seconds=seconds, check=check)
    except Unreachable as error:
        raise TunnelError(f"{name} cannot be reached from here ({error})", passing=True) from error
    nonsense = f"{name} named no tunnel server (HTTP {page.status})"
    try:
        match json.loads(page.body):
            case [{"host": str(host), "port": port, "root_ca": str(certificate)}, *_]:
                return _checked(host, port, certificate, nonsense)
    except (ValueError, RecursionError):
        pass
    raise TunnelError(nonsense, passing=page.status >= 500)  # noqa: PLR2004


def _checked(host: str, port: Any, certificate: str | None, otherwise: str) -> _Server:  # noqa: ANN401 - from JSON
    """The server, if that can be one: host and port become arguments of a program."""
    number = int(port) if str(port).isascii() and str(port).isdigit() else 0
    if not _HOST.fullmatch(host) or not 0 < number < 65536:  # noqa: PLR2004
        raise TunnelError(otherwise)
    return _Server(host, number, certificate)


def _start(
    program: Path, server: _Server, local: tuple[str, int], folder: Path, marker: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], list[str]]:
    """Start the client; what it says is collected in a list, and in a log."""
    host, port = local
    command = [
        *(str(program), "http", "-n", secrets.token_urlsafe(32), "-l", str(port), "-i", host, "--uc", "--sd", "random"),
        *("--ue", "--server_addr", f"{server.host}:{server.port}", "--disable_log_color"),
    ]
    if server.certificate is not None:
        trusted = folder / "tunnel-ca.pem"
        write_atomic(trusted, server.certificate.encode("utf-8", "replace"))
        command += ["--tls_enable", "--tls_trusted_ca_file", str(trusted)]
    environment = {name: os.environ[name] for name in ("PATH", *_PROXIES) if name in os.environ} | dict(marker)
    try:
        process, descriptor = processes.spawn(command, directory=folder, environment=environment)
    except OSError as error:
        raise TunnelError(f"the tunnel client could not be started: {error}") from error
    said: list[str] = []

    def take(line: str) -> None:
        if len(said) < 100:  # noqa: PLR2004 - only its start is looked into
            said.append(line)

    log = AppLog(folder / "tunnel.log", take, file_bytes=2**20)
    threading.Thread(target=log.pump, args=(descriptor,), name="tunnel log", daemon=True).start()
    return process, said


def _await_address(
    process: subprocess.Popen[bytes], said: list[str], server: _Server, seconds: float, check: Callable[[], None]
) -> str:
    """The public address, as soon as the client names it."""
    where = f"{server.host}:{server.port}"
    deadline = time.monotonic() + seconds
    while True:
        check()
        ended = process.poll() is not None  # asked before its last words are read
        if ended:
            time.sleep(0.2)
        for line in list(said):
            if found := _SUCCESS.search(line):
                return found[1]
            if found := _REFUSED.search(line):
                words = one_line(found[1] or found[2], 120)
                if _SILENT.search(words):
                    raise TunnelError(f"the tunnel server {where} cannot be reached from here ({words})", passing=True)
                raise TunnelError(f"the tunnel server {where} refused ({words})")
        if ended:
            last = one_line(said[-1], 120) if said else f"exit status {process.returncode}"
            raise TunnelError(f"the tunnel client ended ({last})", passing=True)
        if time.monotonic() >= deadline:
            blocked = f"the tunnel server {where} was silent for {seconds:.0f} s; a firewall may block it"
            raise TunnelError(blocked, passing=True)
        time.sleep(0.1)


def _public_urls(address: str, *, own: bool) -> tuple[str, ...]:
    """The addresses to try: Gradio's are https whatever the client says; one's own server may have either."""
    text = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if not host or parts.username is not None or parts.scheme not in {"http", "https"}:
        raise TunnelError(f"the tunnel client named {one_line(address, 80)}, which is no address")
    if own:
        other = "https" if parts.scheme == "http" else "http"
        return tuple(urlunsplit((scheme, parts.netloc, "", "", "")) for scheme in (parts.scheme, other))
    if not host.endswith(f".{DOMAIN}"):
        raise TunnelError(f"the tunnel server named {one_line(address, 80)}, which is not under {DOMAIN}")
    return (urlunsplit(("https", parts.netloc, "", "", "")),)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(2.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
