"""Starting an app, looking after it, and ending all of it: the same code in the foreground and detached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spacerun.app import ports, readiness, registry
from spacerun.app.running import App
from spacerun.app.signals import Signals
from spacerun.errors import AppCrashedError, SpacerunError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spacerun.app.spec import AppRecord, AppSpec, Status


def supervise(
    spec: AppSpec,
    environment: Mapping[str, str],
    *,
    on_line: Callable[[str], None],
    on_ready: Callable[[AppRecord], None],
    on_warning: Callable[[str], None],
    on_answer: Callable[[AppRecord], None] = lambda _: None,
) -> int:
    """Start an app, wait until it answers and its share link is proven, and stay until it ends.

    However this ends, by itself, by an error, by SIGINT, SIGTERM or SIGHUP, no process of the app is left. A second
    signal ends them at once.

    Args:
        spec: What to start.
        environment: All environment variables of the app. Never written to disk.
        on_line: Called with each line of the app's log, made printable; from another thread.
        on_ready: Called once it answers, and the share link is proven or has failed.
        on_warning: Called with a sentence that the user should see.
        on_answer: Called as soon as it answers on this machine.

    Returns:
        The app's exit status, 128 + N where signal N ended it; 0 where `stop` did.

    Raises:
        AppCrashedError: It ended before it answered.
        AppTimeoutError: It did not answer in time.
        ProbeError: It answers, but not soundly.
        ShareError: There is no share link, and `spec.require_share` is set.
        KeyboardInterrupt: A signal asked for the end; everything is ended.
    """
    with registry.supervising(spec.id), Signals() as signals:
        app = App(spec, environment, on_line)
        status: Status = "failed"
        try:
            try:
                app.start()
                answer = readiness.wait_until_answers(spec, members=app.members, log=app.log, check=app.check)
                app.answered(answer, on_warning)
                on_answer(app.record)
                app.share(answer, on_warning)
                on_ready(app.record)
                code = app.wait(answer.listener.port)
                status = "ended" if code == 0 else "crashed"
            finally:
                signals.ending = True
        except KeyboardInterrupt:
            status = "stopped"
            raise
        except SpacerunError as error:
            status = "crashed" if isinstance(error, AppCrashedError) else "failed"
            error.stage = error.stage or "start"
            error.data = {"log": str(app.log.path), **error.data}
            raise
        finally:
            app.end(lambda: signals.hurry, on_warning)
            if registry.stop_requested(spec.id):
                status = "stopped"
            app.note(status=status, exit_code=app.exit_status)
            ports.release_port(spec.port)
    return 0 if status == "stopped" else code
