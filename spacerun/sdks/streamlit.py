"""Streamlit: its own server, told where to listen by flags; it answers once its script ran without an exception."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from spacerun.app.answer import Answer, Listener
from spacerun.errors import ProbeError
from spacerun.sdks.base import Command, Sdk, Unbuilt
from spacerun.sdks.streamlit_visit import Visit, is_healthy

if TYPE_CHECKING:
    from spacerun.app.spec import AppSpec
    from spacerun.sdks.base import Judge, Site
    from spacerun.sdks.streamlit_visit import Raised

# A script may run for ever: a clock, a camera. One that did so for this long without an exception is not waited for.
_LONG_SECONDS: Final = 60.0
_STACK_LINES: Final = 8


class _Streamlit(Unbuilt):
    wants_python = True
    asks_password = False

    def command(self, site: Site, built: str, *, host: str, port: int) -> Command:  # noqa: ARG002
        assert site.environment is not None  # noqa: S101 - narrows the type: it is made for an SDK that wants Python
        # A file name that begins with a dash would be read as an option.
        entry = f"./{site.card.app_file}" if site.card.app_file.startswith("-") else site.card.app_file
        # Flags win over the Space's own .streamlit/config.toml (Streamlit "Configuration"), which holds for all else.
        # All of these are there since 0.79, the oldest that Hugging Face had. CORS and XSRF protection stay as they
        # are: by a tunnel or through the login page, Host and Origin both hold the name that was asked for.
        flags = {
            "server.address": host,
            "server.port": port,
            "server.headless": "true",
            "server.baseUrlPath": "",
            "browser.gatherUsageStats": "false",
        }
        options = [f"--{name}={value}" for name, value in flags.items()]
        return Command((str(site.environment.python), "-m", "streamlit", "run", entry, *options))

    def judge(self, spec: AppSpec) -> Judge:  # noqa: ARG002
        return _Visitor()


SDK: Final[Sdk] = _Streamlit()


class _Visitor:
    """Visits an app once, and waits until its script ran."""

    def __init__(self) -> None:
        self._visit: Visit | None = None

    def __call__(self, listener: Listener) -> Answer | None:
        if self._visit is None:
            if is_healthy(listener):
                self._visit = Visit(listener)
            return None
        if self._visit.raised:
            raise _told(self._visit.raised)
        if self._visit.over and self._visit.failed:
            self._visit = None  # the next one may fare better; the time it may take is limited elsewhere
            return None
        is_long = time.monotonic() - self._visit.began > _LONG_SECONDS
        return Answer(listener, gradio=False) if self._visit.over or is_long else None


def _told(raised: Raised) -> ProbeError:
    said = raised.line.rstrip(".") or "an exception that its settings hide"
    return ProbeError(
        f"The page loads, but its script raises {said}.",
        hint="\n".join(raised.stack[-_STACK_LINES:]) or None,
        data={"raised": raised.line},
    )
