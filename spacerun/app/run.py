"""Starting an app, looking after it through all its lives, and ending all of it: in the foreground and detached."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spacerun.app import ports, readiness, registry
from spacerun.app.crash import LAST_LINES
from spacerun.app.doors import Doors
from spacerun.app.restarts import GAVE_UP, Restarts
from spacerun.app.running import Again, Life, Over
from spacerun.app.signals import Signals
from spacerun.errors import AppCrashedError, SpacerunError
from spacerun.text import duration, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spacerun.app.spec import AppRecord, AppSpec, Status
    from spacerun.app.tunnel import Service

_REASON_CHARACTERS = 1000
_HINT_LINES = 20


@dataclass(frozen=True)
class _Calls:
    """Whom to tell what; see `supervise`."""

    on_line: Callable[[str], None]
    on_ready: Callable[[AppRecord], None]
    on_warning: Callable[[str], None]
    on_answer: Callable[[AppRecord], None]
    explain: Callable[[AppCrashedError], None]


@dataclass(frozen=True)
class _Ending:
    """What becomes of an app after one of its lives: its status and why, and when it is started again, if it is."""

    status: Status
    reason: str | None = None
    error: BaseException | None = None
    pause: float | None = None


def supervise(
    spec: AppSpec,
    environment: Mapping[str, str],
    *,
    on_line: Callable[[str], None],
    on_ready: Callable[[AppRecord], None],
    on_warning: Callable[[str], None],
    on_answer: Callable[[AppRecord], None] = lambda _: None,
    explain: Callable[[AppCrashedError], None] = lambda _: None,
    tunnels: Service | None = None,
) -> None:
    """Start an app, wait until it answers and its share link is proven, and stay until it ends.

    However this ends, by itself, by an error, by SIGINT, SIGTERM or SIGHUP, no process of the app is left. A second
    signal ends them at once. On request (`restart.py`), and as `spec.restart` says, it is started again.

    Args:
        spec: What to start.
        environment: All environment variables of the app. Never written to disk.
        on_line: Called with each line of the app's log, made printable; from another thread.
        on_ready: Called once it answers, and the share link is proven or has failed; in each of its lives.
        on_warning: Called with a sentence that the user should see.
        on_answer: Called as soon as it answers on this machine; in each of its lives.
        explain: Called with a crash of an app that had answered, to add what is known about it.
        tunnels: Where share links come from that Gradio does not make; default: its own service, or the user's.

    Raises:
        AppCrashedError: It ended before it answered, or later with an error.
        AppTimeoutError: It did not answer in time.
        ProbeError: It answers, but not soundly.
        ShareError: There is no share link, and `spec.require_share` is set.
        RefusedError: It made a public link that leads past its password.
        KeyboardInterrupt: A signal asked for the end; everything is ended.
    """
    calls = _Calls(on_line, on_ready, on_warning, on_answer, explain)
    with registry.supervising(spec.id), Signals() as signals:
        registry.save_spec(spec)
        doors = Doors(spec, environment, registry.hook_folder(spec.id), tunnels)
        try:
            _supervise(Life(spec, environment, on_line, doors), signals, calls)
        finally:
            doors.close()
            ports.release_port(spec.port)


def _supervise(life: Life, signals: Signals, calls: _Calls) -> None:
    restarts, pause = Restarts(), 0.0
    while True:
        error = _live(life, pause, signals, calls)
        ending = _ending(life, error, restarts, calls)
        if ending.pause is None:
            hint = _hint(ending.error)
            life.note(status=ending.status, reason=ending.reason, hint=hint, exit_code=life.exit_status)
            break
        life, pause = life.next(ending.reason), ending.pause
    if ending.error:
        raise ending.error


def _live(life: Life, pause: float, signals: Signals, calls: _Calls) -> BaseException | None:
    """Start an app after a pause, stay until it ends, and end what is left of it.

    Returns:
        Why it ended; None where it did by itself, and with status 0.
    """
    try:
        try:
            signals.begin()
            _wait(life.spec.id, pause)
            life.start()
            answer = readiness.wait_until_answers(life.spec, members=life.members, log=life.log, check=life.check)
            life.answered(answer, calls.on_warning)
            calls.on_answer(life.record)
            life.share(answer, calls.on_warning)
            life.is_ready()
            calls.on_ready(life.record)
            code = life.wait(answer.listener.port)
            return life.crash(code) if code else None
        finally:
            signals.ending = True
    except BaseException as error:  # noqa: BLE001 - raised again once everything is ended and noted
        return error
    finally:
        life.end(lambda: signals.hurry, calls.on_warning)


def _wait(app_id: str, seconds: float) -> None:
    """Wait before an app is started again, unless it is to be stopped meanwhile, or started at once."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not registry.restart_requested(app_id):
        if registry.stop_requested(app_id):
            raise Over(registry.STOPPED)
        time.sleep(0.1)
    registry.forget_restart(app_id)


def _ending(life: Life, error: BaseException | None, restarts: Restarts, calls: _Calls) -> _Ending:
    """What follows from the end of a life, and from what ended it."""
    if isinstance(error, SpacerunError):
        error.stage = error.stage or "start"
        error.data = {"log": str(life.log.path), **error.data}
    if isinstance(error, KeyboardInterrupt) or registry.stop_requested(life.spec.id):
        wanted = (Again, Over, AppCrashedError) if life.was_ready else (Again, Over)
        expected = error is None or isinstance(error, wanted)
        return _Ending("stopped", registry.STOPPED, None if expected else error)
    match error:
        case None:
            return _Ending("ended")
        case Again():
            return _Ending("starting", "It was started again on request.", pause=0.0)
        case Over():
            calls.on_warning(str(error))
            return _Ending("stopped", str(error))
        case AppCrashedError():
            return _after_crash(life, error, restarts, calls)
    return _Ending("failed", _reason(str(error) or type(error).__name__), error)


def _after_crash(life: Life, error: AppCrashedError, restarts: Restarts, calls: _Calls) -> _Ending:
    """Whether an app that crashed is started again: not before it was once ready, for other packages may help then."""
    if not life.was_ready and life.died_of_sharing():
        calls.on_warning("Gradio ended the app over its share link. It is started again without one of Gradio's.")
        return _Ending("starting", _reason(error.message), pause=0.0)
    if life.was_ready:
        calls.explain(error)
    if not life.was_ready or life.spec.restart != "on-failure":
        return _Ending("crashed", _reason(error.message), error)
    pause = restarts.after_crash()
    if pause is None:
        error.message = f"{error.message} {GAVE_UP}"
        return _Ending("crashed", _reason(error.message), error)
    calls.on_warning(f"{error.message} It is started again in {duration(pause)}.")
    return _Ending("starting", _reason(error.message), pause=pause)


def _reason(message: str) -> str:
    return one_line(message, _REASON_CHARACTERS)


def _hint(error: BaseException | None) -> str | None:
    """The hint of an error, without the last lines of the log, which the log has."""
    hint = error.hint if isinstance(error, SpacerunError) else None
    lines = [_reason(line) for line in (hint or "").partition(LAST_LINES)[0].splitlines()]
    return "\n".join(lines[:_HINT_LINES]) or None
