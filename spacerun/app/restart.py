"""Starting an app again, as it was started before.

An app that somebody looks after is started again by its supervisor, which has its variables in memory. Of one that has
ended only what is no secret is known: what the user gave is to be given again.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun.app import registry
from spacerun.app.detach import launch_detached
from spacerun.app.log import follow
from spacerun.app.ports import allocate_port
from spacerun.app.variables import app_environment
from spacerun.errors import AppCrashedError, MissingSecretError, NotFoundError, UsageError
from spacerun.text import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spacerun.app.spec import AppRecord, AppSpec

_TAKE_SECONDS: Final = 30.0
"""In which a supervisor takes note that it is asked: it may be ending the app just now."""


def restart(
    record: AppRecord,
    *,
    token: str | None,
    given: Mapping[str, str],
    on_line: Callable[[str], None] = lambda _: None,
    on_warning: Callable[[str], None] = lambda _: None,
) -> AppRecord:
    """End an app if it runs, start it again with the same options, and return once it answers.

    Args:
        record: The app.
        token: The user's token if it is passed on, else None.
        given: Variables that the user gives it; only for one that has ended, any other keeps what it has.
        on_line: Called with each line of its log until it answers, made printable.
        on_warning: Called with a sentence that the user should see.

    Raises:
        UsageError: It runs, and shall get other variables; or its port is taken by now.
        MissingSecretError: It has ended, and what the user gave it then is not given now.
        NotFoundError: What it needs has been removed.
        SpacerunError: It did not start; see `supervise`.
    """
    if not registry.supervised(record):
        return _start_anew(record, token, given, on_line, on_warning)
    if given or token:
        raise UsageError(
            f"{record.id} runs, and keeps the variables that it was started with.",
            hint=f"To give it others: spacerun stop {record.id}, then spacerun restart {record.id} --env …",
        )
    return _ask_supervisor(record, on_line)


def _ask_supervisor(record: AppRecord, on_line: Callable[[str], None]) -> AppRecord:
    log = Path(record.log)
    start = log.stat().st_size if log.exists() else 0
    registry.request_restart(record.id)
    asked = time.monotonic()

    def is_over() -> bool:
        now = registry.load(record.id)
        if registry.restart_requested(record.id) and time.monotonic() - asked > _TAKE_SECONDS:
            return True
        again = now is not None and now.restarts > record.restarts and now.ready
        return again or not registry.supervised(record)

    for line in follow(log, start, is_over):
        on_line(printable(line))
    now = registry.load(record.id) or record
    if now.restarts > record.restarts and now.active and registry.supervised(now):
        return now
    registry.reap_orphans()
    raise AppCrashedError(
        f"{record.id} was not started again. {now.reason or 'The process that looks after it does not react.'}",
        hint=f"Read its log: spacerun logs {record.id}",
        stage="start",
    )


def _start_anew(
    record: AppRecord,
    token: str | None,
    given: Mapping[str, str],
    on_line: Callable[[str], None],
    on_warning: Callable[[str], None],
) -> AppRecord:
    spec = registry.load_spec(record.id)
    again = f"spacerun launch {record.space}"
    if spec is None:
        raise NotFoundError(f"How {record.id} was started is not known any more.", hint=f"Launch it anew: {again}")
    for needed in (spec.command[0], spec.directory):
        if not Path(needed).exists():
            raise NotFoundError(f"{one_line(needed)}, from which {record.id} ran, is gone.", hint=f"Anew: {again}")
    variables = app_environment(spec.own, token=token, given=given)
    _require_given(spec, variables)
    for host, port in ((spec.host, spec.port), *([spec.gate] if spec.gate else [])):
        allocate_port(host, port, again=True)
    if spec.gate:
        allocate_port(*spec.gate)
    registry.forget_requests(spec.id)
    return launch_detached(spec, variables, on_line=on_line, on_warning=on_warning)


def _require_given(spec: AppSpec, variables: Mapping[str, str]) -> None:
    missing = [name for name in spec.given if name not in variables]
    if missing:
        give = " ".join(f"--env {name}=…" for name in missing)
        raise MissingSecretError(
            f"{spec.id} was given {', '.join(missing)}, of which only the names were kept.",
            hint=f"Give it again: spacerun restart {spec.id} {give}",
            stage="start",
        )
