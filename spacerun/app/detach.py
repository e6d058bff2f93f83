"""Starting an app that outlives this command: a supervisor process of its own, the same code as the foreground."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from typing import TYPE_CHECKING, Any

from spacerun import errors
from spacerun.app import ports, registry
from spacerun.app.log import follow
from spacerun.children import own_module
from spacerun.errors import SpacerunError
from spacerun.paths import read_json
from spacerun.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from spacerun.app.spec import AppRecord, AppSpec

RESULT, LOG = "result.json", "supervisor.log"
"""Files in the run folder: how the start went; what the supervisor itself has to say."""


def launch_detached(
    spec: AppSpec,
    environment: Mapping[str, str],
    *,
    tied: bool = False,
    on_line: Callable[[str], None] = lambda _: None,
    on_warning: Callable[[str], None] = lambda _: None,
) -> AppRecord:
    """Start an app under a supervisor of its own, and return once it answers.

    Args:
        spec: What to start.
        environment: All environment variables of the app; they go through a pipe and never touch the disk.
        tied: Whether the supervisor ends the app when this process ends, however it does; else the app outlives it.
        on_line: Called with each line of the app's log until it answers, made printable.
        on_warning: Called with each warning of the supervisor.

    Raises:
        SpacerunError: As `supervise`; nothing is left running then.
        KeyboardInterrupt: The user gave up; nothing is left running either.
    """
    run = registry.run_folder(spec.id)
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    (run / RESULT).unlink(missing_ok=True)
    (run / "app.log").touch()
    registry.save_spec(spec)
    with (run / LOG).open("wb") as log:
        supervisor = subprocess.Popen(
            own_module("spacerun.app.supervisor", str(run), *([str(os.getpid())] if tied else [])),
            cwd=run,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    assert supervisor.stdin is not None  # noqa: S101 - narrows the type: it is a pipe
    with contextlib.suppress(BrokenPipeError), supervisor.stdin as pipe:
        pipe.write(json.dumps(dict(environment)).encode())
    try:
        for line in follow(run / "app.log", 0, lambda: supervisor.poll() is not None or (run / RESULT).exists()):
            on_line(printable(line))
    except BaseException:
        _give_up(supervisor)
        raise
    finally:
        ports.release_port(spec.port)  # by now the app has it, or nobody does
    result = read_json(run / RESULT)
    record = registry.load(spec.id)
    if not isinstance(result, dict) or (record is None and "error" not in result):
        registry.reap_orphans()
        raise _lost(run)
    for warning in result.get("warnings", ()):
        on_warning(warning)
    if "error" in result:
        supervisor.wait()
        raise error_from_json(result["error"])
    assert record is not None  # noqa: S101 - narrows the type: seen above
    # Collects its exit status: in a program that runs on, it would else stay a zombie.
    threading.Thread(target=supervisor.wait, name="supervisor", daemon=True).start()
    return record


def error_to_json(error: SpacerunError) -> dict[str, Any]:
    """`error` as a dictionary for JSON."""
    return {
        "class": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "stage": error.stage,
        "data": error.data,
    }


def error_from_json(value: dict[str, Any]) -> SpacerunError:
    """The inverse of `error_to_json`."""
    kind = getattr(errors, value["class"], None)
    if not (isinstance(kind, type) and issubclass(kind, SpacerunError)):
        kind = SpacerunError
    return kind(value["message"], hint=value["hint"], stage=value["stage"], data=value["data"])


def _give_up(supervisor: subprocess.Popen[bytes]) -> None:
    """End a supervisor, which ends its app first; asked again, it does not wait for that."""
    for _ in range(2):
        supervisor.terminate()
        with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            supervisor.wait(20)
            return


def _lost(run: Path) -> SpacerunError:
    said = (run / LOG).read_text("utf-8", "replace").strip().splitlines()
    return SpacerunError(
        "The process that looks after the app ended unexpectedly.",
        hint="\n".join([f"What it said is in {run / LOG}:", *said[-5:]]) if said else "It was killed: try again.",
        stage="start",
    )
