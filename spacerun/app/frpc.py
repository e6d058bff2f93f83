"""Gradio's tunnel client, frpc: fetched once, and its checksum verified before each start."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spacerun.app.web import Unreachable, look
from spacerun.paths import locked, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ADDRESS: Final = "https://cdn-media.huggingface.co/frpc-gradio-0.3/"
# Name of the file at that address → SHA-256, as pinned by gradio 6.31.0 (gradio/tunneling.py, CHECKSUMS).
_CHECKSUMS: Final = {
    "frpc_linux_amd64": "c791d1f047b41ff5885772fc4bf20b797c6059bbd82abb9e31de15e55d6a57c4",
    "frpc_linux_arm64": "823ced25104de6dc3c9f4798dbb43f20e681207279e6ab89c40e2176ccbf70cd",
    "frpc_darwin_amd64": "930f8face3365810ce16689da81b7d1941fda4466225a7bbcbced9a2916a6e15",
    "frpc_darwin_arm64": "dfac50c690aca459ed5158fad8bfbe99f9282baf4166cf7c410a6673fbc1f327",
}
_MACHINES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_LIMIT: Final = 64 * 2**20  # that of 0.3 has about 12 MB
_WITHIN: Final = 300.0  # a slow line is no silent one


class TunnelError(Exception):
    """There is no tunnel; the text says why, as the end of a sentence.

    Attributes:
        passing: Whether another try may well succeed.
    """

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


@dataclass(frozen=True)
class Client:
    """A release of frpc: where it is, and the checksum that its file must have."""

    url: str
    sha256: str

    @classmethod
    def for_this_machine(cls) -> Client | None:
        """The one for this system and processor; None where Gradio has none."""
        name = f"frpc_{platform.system().lower()}_{_MACHINES.get(platform.machine().lower(), '')}"
        return cls(_ADDRESS + name, _CHECKSUMS[name]) if name in _CHECKSUMS else None


def provide(client: Client | None, folder: Path, *, seconds: float, check: Callable[[], None] = lambda: None) -> Path:
    """The verified program of `client` in `folder`, downloaded if it is not there or not what it shall be.

    Args:
        client: The release, or None where there is none for this machine.
        folder: Where it is kept.
        seconds: How long the server may be silent, in seconds.
        check: Called all the time; raises when waiting has become pointless.

    Raises:
        TunnelError: It cannot be had, or what was downloaded has another checksum.
    """
    if client is None:
        raise TunnelError(f"Gradio has no tunnel client for {platform.system()} on {platform.machine()}")
    program = folder / f"frpc-{client.sha256[:16]}"
    with locked("tunnel-client"):
        if not _is_sound(program, client):
            write_atomic(program, _download(client, seconds, check), mode=0o700)
    return program


def _is_sound(program: Path, client: Client) -> bool:
    try:
        return hashlib.sha256(program.read_bytes()).hexdigest() == client.sha256
    except OSError:
        return False


def _download(client: Client, seconds: float, check: Callable[[], None]) -> bytes:
    host = client.url.split("/")[2]
    try:
        page = look(client.url, limit=_LIMIT, seconds=seconds, within=_WITHIN, check=check)
    except Unreachable as error:
        raise TunnelError(f"the tunnel client (frpc) could not be downloaded from {host}: {error}") from error
    if not page.whole:
        raise TunnelError(f"the tunnel client (frpc) did not arrive from {host} within {_WITHIN:.0f} s")
    if page.status != 200:  # noqa: PLR2004
        raise TunnelError(f"the tunnel client (frpc) could not be downloaded: {host} answered HTTP {page.status}")
    if hashlib.sha256(page.body).hexdigest() != client.sha256:
        raise TunnelError(f"what {host} gave as the tunnel client (frpc) has not the checksum that Gradio publishes")
    return page.body
