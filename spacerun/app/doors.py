"""The ways to one app: its own address, the login page in front of it, and the share link."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from spacerun.app import ports, share
from spacerun.app.gate import Gate
from spacerun.app.proof import problem_with
from spacerun.app.share import ShareLink
from spacerun.app.tunnel import SERVER_VARIABLE, Service, Tunnel, open_tunnel
from spacerun.errors import RefusedError
from spacerun.source.hook_files import forbid_share, has_launched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from spacerun.app.answer import Answer
    from spacerun.app.share import ShareWatch
    from spacerun.app.spec import AppSpec

LOOPBACK: Final = ("127.", "::1", "::ffff:127.", "localhost")
"""How addresses begin that only this machine reaches."""

_MARKER: Final = "SPACERUN_APP"


class Doors:
    """The ways to one app.

    Args:
        spec: The app.
        environment: Its environment variables.
        hook: Folder of its start-up hook.
        service: Where tunnels come from; default: Gradio, or the user's own server.
    """

    def __init__(
        self, spec: AppSpec, environment: Mapping[str, str], hook: Path, service: Service | None = None
    ) -> None:
        self._spec = spec
        self._hook = hook
        self._service = service or Service(address=environment.get(SERVER_VARIABLE) or None)
        self._gate: Gate | None = None
        self._tunnel: Tunnel | None = None
        self._gradio_gave_up = False

    def open(self, answer: Answer) -> str:
        """See to it that whoever opens the app is asked for the password, if there is one.

        Returns:
            The address to open on this machine.
        """
        password = self._spec.password
        if password is None or answer.locked:
            return answer.url
        if self._gate:
            self._gate.target = answer.url  # it was started again
        else:
            host, port = self._spec.gate or (self._spec.host, ports.allocate_port(self._spec.host, None))
            self._gate = Gate(password, host, port, answer.url)
            self._gate.open()
        return self._gate.url

    def share(self, watch: ShareWatch, answer: Answer, check: Callable[[], None]) -> ShareLink:
        """A proven share link, or why there is none.

        Args:
            watch: What the app said about one.
            answer: Where the app answers.
            check: Called all the time; raises when waiting has become pointless.

        Raises:
            RefusedError: Gradio made a link on which nobody is asked for the password.
        """
        seconds, url = self._spec.share_seconds, self._gate.url if self._gate else answer.url
        prove = partial(problem_with, local=url, gradio=answer.gradio and not self._gate, check=check)
        failed = ""
        if self._gate:
            _refuse_open_links(watch)
        elif self._gradio_gave_up:
            failed = "this Gradio ends the app when it can make none"
        elif answer.gradio and has_launched(self._hook):
            link = share.of_gradio(watch, prove=prove, check=check, seconds=seconds)
            if link.url:
                return link
            failed = link.reason or ""
        if self._spec.offline:
            return ShareLink(None, "; ".join(filter(None, (failed, "--offline forbids to make one"))))
        self._close_tunnel()
        make = partial(self._make, answer, check, seconds)
        # A link that Gradio could not make is tried once more, by this tunnel.
        tries = 1 if failed else 2
        link, self._tunnel = share.of_tunnel(make, tries=tries, prove=prove, check=check, seconds=seconds)
        if failed and not link.url:
            return ShareLink(None, f"{failed}; spacerun's own tunnel failed too: {link.reason}")
        return link

    def without_gradios_link(self, lines: Iterable[str]) -> bool:
        """Whether an app that crashed did so over its share link; the next start is then without.

        Args:
            lines: The last ones of its log.
        """
        if not self._spec.share or self._gradio_gave_up or not share.ended_by_sharing(lines):
            return False
        forbid_share(self._hook)
        self._gradio_gave_up = True
        return True

    def who(self, answer: Answer, share_url: str | None) -> str:
        """Who can reach the app, as one sentence."""
        app_is_open = not answer.listener.bound.startswith(LOOPBACK)
        if self._gate:
            door_is_open = not (self._spec.gate or (self._spec.host,))[0].startswith(LOOPBACK)
            told = _who(share_url, in_network=door_is_open, password=True)
            # Mounted in a server of the Space's own, it may listen where it likes.
            bare = " Whoever can reach this machine over the network can use it without a password, too."
            return f"{told}{bare}" if app_is_open else told
        return _who(share_url, in_network=app_is_open, password=answer.locked)

    def close(self) -> None:
        """Close them."""
        if self._gate:
            self._gate.close()
            ports.release_port(self._gate.inner_address[1])
        self._close_tunnel()

    def _close_tunnel(self) -> None:
        if self._tunnel:
            self._tunnel.close()
            self._tunnel = None

    def _make(self, answer: Answer, check: Callable[[], None], seconds: float) -> Tunnel:
        host, port = self._gate.inner_address if self._gate else (answer.listener.host, answer.listener.port)
        marker = {_MARKER: str(self._hook)}
        folder = self._hook.parent
        return open_tunnel(self._service, host, port, folder=folder, marker=marker, seconds=seconds, check=check)


def _refuse_open_links(watch: ShareWatch) -> None:
    """An app that the start-up hook did not reach may have made a link that leads past the login page."""
    if watch.candidates():
        raise RefusedError(
            "The app made a public link on which nobody is asked for the password.",
            hint="Start it with --no-share, or without --auth.",
            stage="share",
        )


def _who(share_url: str | None, *, in_network: bool, password: bool) -> str:
    network = "whoever can reach this machine over the network"
    if share_url:
        whom = f"whoever has the link, and {network}," if in_network else "whoever has the link"
    elif in_network:
        whom = network
    else:
        return f"Only this machine can reach it{', with the password' if password else ''}."
    whom = whom[0].upper() + whom[1:]
    return f"{whom} can use it with the password." if password else f"{whom} can use it; no password."
