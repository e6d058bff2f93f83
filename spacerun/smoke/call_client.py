"""Calling a function of a Gradio app by the gradio_client of its own environment, as its users' programs do."""

from __future__ import annotations

import json
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spacerun import children
from spacerun.smoke import client_script
from spacerun.smoke.call_outcome import HIDDEN, CallError, LateError, Output, plain, unquoted
from spacerun.text import one_line, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spacerun.smoke.gradio_config import Config, Endpoint
    from spacerun.smoke.subject import Subject

_SETTING_OUT_SECONDS: Final = 60.0  # to import the client, and to read what the app says of itself
_BYTES: Final = 32 * 2**20
_LOOPBACK: Final = "127.0.0.1,localhost,::1"
# What gradio_client makes of an error whose text the app keeps to itself: from 1.0 on, and where it looks for more in
# it than is there (0.6, `if … "429" in result["error"]`); else it says `None`.
_HIDDEN_BY: Final = ("has not enabled verbose error reporting", "argument of type 'NoneType' is not iterable")

_TOLD_BY_APP: Final = frozenset({"AppError", "ValueError"})


class Unusable(Exception):  # noqa: N818 - it is caught where it is raised, and its text is the reason
    """There is no gradio_client in the environment, or it does not get on with the app."""


def call(subject: Subject, config: Config, endpoint: Endpoint, arguments: Sequence[Any]) -> Output:
    """Call a function in a process of the Space's Python, which is killed with its children when its time is over.

    Args:
        subject: The app.
        config: What it says of itself.
        endpoint: Which function.
        arguments: Its arguments without those that callers do not send (`Component.is_state`), as the page has them.

    Raises:
        CallError: The call failed, or took too long.
        Unusable: It could not even be tried.
    """
    with tempfile.TemporaryDirectory(prefix="spacerun-call-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        order = folder / "order.json"
        target = {"api_name": f"/{endpoint.name}"} if endpoint.name else {"fn_index": endpoint.index}
        told = {
            **target,
            "url": config.url,
            "arguments": list(arguments),
            "folder": str(folder / "files"),
            "seconds": subject.call_seconds,
            "as_is": config.release < (4, 0),
        }
        order.write_text(json.dumps(told), encoding="utf-8")
        return _read(_run(subject, order), subject.call_seconds)


def _run(subject: Subject, order: Path) -> bytes:
    """Run the script on an order; what it wrote before its end, or until it was killed."""
    command = [str(subject.python), "-I", "-B", client_script.__file__, str(order)]
    with (
        tempfile.TemporaryFile() as output,
        children.child(
            command,
            cwd=order.parent,  # a client may take any text for a file that lies here
            env=_variables(subject, order.parent),
            stdout=output.fileno(),
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SETTING_OUT_SECONDS + subject.call_seconds)
        output.seek(0)
        return output.read(_BYTES + 1)


def _variables(subject: Subject, folder: Path) -> dict[str, str]:
    direct = ",".join(filter(None, (subject.variables.get("no_proxy") or subject.variables.get("NO_PROXY"), _LOOPBACK)))
    return subject.variables | {
        "NO_PROXY": direct,
        "no_proxy": direct,
        "TMPDIR": str(folder),
        "GRADIO_TEMP_DIR": str(folder / "files"),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def _read(written: bytes, seconds: float) -> Output:
    if len(written) > _BYTES:
        raise CallError(f"what it returns is larger than {size(_BYTES)}")
    told: dict[str, Any] = {}
    for line in written.splitlines():
        with suppress(ValueError, TypeError, RecursionError):
            told |= json.loads(line)
    if "value" in told:
        return Output(plain(told["value"]), told["count"], told["seconds"])
    if "error" in told and "ready" not in told:
        raise Unusable(one_line(f"{told['type']}: {told['error']}", 120))
    if "error" in told:
        kind = str(told["type"])
        raise CallError(_complaint(str(told["error"]), kind), answered=kind in _TOLD_BY_APP)
    if "ready" not in told:
        raise Unusable("it says nothing")
    raise LateError(seconds, int(told.get("count", 0)))


def _complaint(text: str, kind: str) -> str:
    """What the app said, out of what its client made of it."""
    if text in {"", "None"} or any(mark in text for mark in _HIDDEN_BY):
        return HIDDEN
    said = unquoted(text.removeprefix("The upstream Gradio app has raised an exception: "))
    return said if kind in _TOLD_BY_APP else f"{kind}: {said}"
