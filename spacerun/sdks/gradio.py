"""Gradio, and whatever else a Space of this SDK starts: `python app.py`, as on Hugging Face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spacerun.app import http
from spacerun.app.answer import Answer, Listener
from spacerun.errors import ProbeError
from spacerun.sdks.base import Command, Sdk, Unbuilt
from spacerun.sdks.entries import start_entry

if TYPE_CHECKING:
    from spacerun.app.spec import AppSpec
    from spacerun.sdks.base import Judge, Site

_SOUND, _BROKEN, _UNKNOWN = "sound", "broken", "unknown"


class _Gradio(Unbuilt):
    wants_python = True
    asks_password = True

    def command(self, site: Site, built: str, *, host: str, port: int) -> Command:  # noqa: ARG002
        # Gradio has host and port from the variables that every app gets.
        return Command(start_entry(site))

    def judge(self, spec: AppSpec) -> Judge:  # noqa: ARG002
        return _judge


SDK: Final[Sdk] = _Gradio()


def _judge(listener: Listener) -> Answer | None:
    reply = http.ask(listener.host, listener.port, "/config")
    if reply and reply.status == 401:  # noqa: PLR2004
        return Answer(listener, gradio=True, locked=True)
    config = reply.json() if reply and reply.status == 200 else None  # noqa: PLR2004
    if not isinstance(config, dict) or "version" not in config:
        return Answer(listener, gradio=False)  # any server may serve a Gradio Space
    if "dependencies" not in config:
        return Answer(listener, gradio=True)  # Gradio 2 has no function index, and a call would run the Space's code
    soundness = _api(listener, str(config.get("api_prefix") or ""))
    if soundness == _BROKEN:
        raise ProbeError(
            f"The page loads, but its API is broken: Gradio {str(config['version']).strip()} refuses every call, "
            "because newer packages than it was made for are installed.",
            hint="Let the environment be made as of the Space's own date, or pin an older pydantic with --with.",
        )
    return Answer(listener, gradio=True) if soundness == _SOUND else None


def _api(listener: Listener, prefix: str) -> str:
    """Whether Gradio's API takes calls, from a call that names no existing function, so that no code of the Space runs.

    The call leaves out `data`. A sound schema complains of that and nothing else, before a traceback would land in the
    log (seen with 3.20 to 6.31); Gradio 3.20 with pydantic 2 misses fields that no client ever sent.
    """
    for path in (f"{prefix}/run/predict", f"{prefix}/api/predict/"):
        reply = http.ask(listener.host, listener.port, path, post={"fn_index": 99_999_999}, seconds=10.0)
        if reply is None:
            return _UNKNOWN
        if reply.status == 422:  # noqa: PLR2004
            document = reply.json()
            detail = document.get("detail") if isinstance(document, dict) else None
            places = (
                [item.get("loc") for item in detail if isinstance(item, dict)] if isinstance(detail, list) else None
            )
            return _SOUND if places == [["body", "data"]] else _BROKEN
        if reply.status != 404:  # noqa: PLR2004
            return _SOUND
    return _SOUND
