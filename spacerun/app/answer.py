"""Where an app listens, and how it answers there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from spacerun.app import http
from spacerun.text import one_line


@dataclass(frozen=True)
class Listener:
    """A listening socket of the app, and the address it is bound to."""

    bound: str
    port: int
    pid: int

    @property
    def host(self) -> str:
        """The address at which this machine reaches it."""
        if self.bound == "::":
            return "::1" if self._shares_port() else "127.0.0.1"
        return "127.0.0.1" if self.bound == "0.0.0.0" else self.bound.removeprefix("::ffff:")  # noqa: S104

    @property
    def program(self) -> str:
        """What listens, for people: `uvicorn (process 4711)`."""
        import psutil

        try:
            words = psutil.Process(self.pid).cmdline()
        except psutil.Error:
            words = []
        if words and re.fullmatch(r"python[\d.]*", words[0].rpartition("/")[2]):
            # Of Python, the script or the module that it runs.
            words = [word for word in words[1:] if word.startswith("-m") or not word.startswith("-")]
            words = words[1:] if words[:1] == ["-m"] else words
        name = words[0].rpartition("/")[2] if words else "a process that ended"
        return f"{one_line(name, 60)} (process {self.pid})"

    def _shares_port(self) -> bool:
        """Whether, beside this socket of IPv6, another one of IPv4 listens on the same port: not the app's, perhaps."""
        import psutil

        try:
            sockets = psutil.net_connections("tcp4")
        except (psutil.Error, OSError):
            return True  # macOS does not tell
        return any(s.status == psutil.CONN_LISTEN and s.laddr and s.laddr.port == self.port for s in sockets)


@dataclass(frozen=True)
class Answer:
    """Where an app answers, and how.

    Attributes:
        listener: Where.
        gradio: Whether Gradio does.
        locked: Whether it asks for a password: Gradio then shows its login page, and keeps the rest to itself.
    """

    listener: Listener
    gradio: bool
    locked: bool = False

    @property
    def url(self) -> str:
        """The local URL."""
        return http.url_of(self.listener.host, self.listener.port)
