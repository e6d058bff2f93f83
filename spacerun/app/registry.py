"""The apps that spacerun started on this machine: one folder each, with the record, the log and the start-up hook.

A supervisor holds a lock on its app's folder as long as it lives, and the operating system releases it however it
dies. So whoever comes next knows for certain, without trusting process ids, whose apps nobody looks after any more.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from spacerun.app import processes
from spacerun.app.spec import AppRecord, AppSpec
from spacerun.containers import control
from spacerun.errors import NotFoundError, UsageError
from spacerun.paths import home, read_json, write_json
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psutil

    from spacerun.containers.run import Container

_KEPT = 20  # ended apps whose logs are kept
_ABANDONED_SECONDS = 24 * 3600.0  # a run folder without a record: its launch was killed before the app was started
STOPPED = "It was stopped on request."
_LOST = "The process that looked after it ended unexpectedly, and what was left of it was ended."
_STOP_SECONDS = 20.0  # in which a supervisor ends its app and itself
_RECORD, _SPEC, _LOCK, _DESCENDANTS = "app.json", "spec.json", "lock", "descendants.json"
_STOP, _RESTART = "stop", "restart"  # what an app's supervisor is asked for


def run_folder(app_id: str) -> Path:
    """The folder of app `app_id`."""
    return home().apps / app_id


def hook_folder(app_id: str) -> Path:
    """The start-up hook folder of app `app_id`; its path in the environment marks every process of that app."""
    return run_folder(app_id) / "hook"


def new_id(space: str) -> str:
    """A short unique id for an app of `space` (`owner/name` or a folder); its run folder is made."""
    name = re.sub(r"[^a-z0-9]+", "-", Path(space).name.lower()).strip("-")[:40] or "app"
    while True:
        app_id = f"{name}-{secrets.token_hex(2)}"
        try:
            run_folder(app_id).mkdir(parents=True, mode=0o700)
        except FileExistsError:
            continue
        return app_id


def save(record: AppRecord) -> None:
    """Write `record` to its run folder, in one step."""
    write_json(run_folder(record.id) / _RECORD, record.to_json(), mode=0o600)


def load(app_id: str) -> AppRecord | None:
    """The record of app `app_id`, or None where there is none."""
    return AppRecord.from_json(read_json(run_folder(app_id) / _RECORD))


def save_spec(spec: AppSpec) -> None:
    """Write down how an app is started; its variables may be secret and are no part of that."""
    write_json(run_folder(spec.id) / _SPEC, spec.to_json(), mode=0o600)


def load_spec(app_id: str) -> AppSpec | None:
    """How app `app_id` is started, or None where that is not known."""
    try:
        return AppSpec.from_json(read_json(run_folder(app_id) / _SPEC))
    except (TypeError, KeyError):
        return None


def records(*, active: bool = False) -> list[AppRecord]:
    """All records, oldest first.

    Args:
        active: Only those of apps that have not ended.
    """
    folder = home().apps
    names = [entry.name for entry in os.scandir(folder) if entry.is_dir()] if folder.is_dir() else []
    found = [record for name in names if (record := load(name)) and (record.active or not active)]
    return sorted(found, key=lambda record: record.started_at)


def find(name: str, *, active: bool = False) -> AppRecord:
    """The app that `name` means: its id, its Space, or the folder it runs from.

    Args:
        name: What the user typed.
        active: Only look among apps that have not ended. Without it a running app goes before ended ones, and among
            ended ones the latest counts.

    Raises:
        NotFoundError: There is none.
        UsageError: Several running apps match.
    """
    known = records(active=active)
    folder = str(Path(name).expanduser().resolve())
    matching = [r for r in known if r.id == name] or [r for r in known if r.space in {name, folder}]
    running = [record for record in matching if record.active]
    if len(running) > 1:
        ids = ", ".join(record.id for record in running)
        raise UsageError(f"{len(running)} running apps match {one_line(name)!r}.", hint=f"Name one of them: {ids}")
    if not matching:
        what = "running app" if active else "app"
        raise NotFoundError(f"There is no {what} {one_line(name)!r}.", hint="See what there is: spacerun ps")
    return (running or matching)[-1]


def alive(record: AppRecord) -> bool:
    """Whether the main process of the app lives: by its pid and the time it was created."""
    return processes.is_same(record.pid, record.started)


@contextmanager
def supervising(app_id: str) -> Iterator[None]:
    """Look after app `app_id`: nobody else will take it for an orphan."""
    with _open_lock(app_id) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def supervised(record: AppRecord) -> bool:
    """Whether a living process looks after the app."""
    try:
        with _open_lock(record.id) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two askers do not see each other
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def stop_requested(app_id: str) -> bool:
    """Whether somebody asked for the end of app `app_id`."""
    return (run_folder(app_id) / _STOP).exists()


def request_stop(app_id: str) -> None:
    """Note that the end of app `app_id` is wanted."""
    (run_folder(app_id) / _STOP).touch()


def request_restart(app_id: str) -> None:
    """Ask the supervisor of app `app_id` to end it and start it again."""
    (run_folder(app_id) / _RESTART).touch()


def restart_requested(app_id: str) -> bool:
    """Whether somebody asked for app `app_id` to be started again, and that has not begun."""
    return (run_folder(app_id) / _RESTART).exists()


def forget_restart(app_id: str) -> None:
    """Take note that the restart of app `app_id` begins."""
    (run_folder(app_id) / _RESTART).unlink(missing_ok=True)


def forget_requests(app_id: str) -> None:
    """Forget what was asked of app `app_id`, which has ended, before it is started anew."""
    for name in (_STOP, _RESTART):
        (run_folder(app_id) / name).unlink(missing_ok=True)


def note_descendants(app_id: str, living: Sequence[tuple[int, float]]) -> None:
    """Write down the processes of app `app_id`: those without a mark are found by nobody once their supervisor died.

    Args:
        app_id: The app.
        living: Process id and creation time of each.
    """
    write_json(run_folder(app_id) / _DESCENDANTS, living)


def processes_of(record: AppRecord) -> list[psutil.Process]:
    """The living processes of an app, as far as they can be known outside of its supervisor."""
    import psutil

    session = record.pid if alive(record) else None
    strangers = frozenset({record.supervisor_pid})
    found = {
        p.pid: p for p in processes.family(hook_folder(record.id), session=session, adopted=False, strangers=strangers)
    }
    for pid, started in read_json(run_folder(record.id) / _DESCENDANTS) or ():
        if processes.is_same(pid, started):
            with suppress(psutil.Error):
                found[pid] = psutil.Process(pid)
    if container := container_of(record):
        found |= {process.pid: process for process in control.processes(container)}
    return list(found.values())


def container_of(record: AppRecord) -> Container | None:
    """The container that an app runs in; None where it is a process of this machine."""
    spec = load_spec(record.id) if record.sdk == "docker" else None
    return spec.container if spec else None


def stop(record: AppRecord, *, grace: float = processes.GRACE_SECONDS) -> AppRecord:
    """End an app with all its processes.

    Args:
        record: The app.
        grace: How long they may take to end by themselves, in seconds.

    Returns:
        The record after that.
    """
    request_stop(record.id)
    deadline = time.monotonic() + _STOP_SECONDS
    container = container_of(record)
    while True:
        if container:
            control.end(container, grace)
        processes.end(partial(processes_of, record), grace=grace)
        # A supervisor that is just starting the app has nothing to end yet; one that lives notes the end itself.
        if not supervised(record) or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    noted = load(record.id) or record
    if noted.active:
        noted = replace(noted, status="stopped", reason=STOPPED)
        save(noted)
    return noted


def reap_orphans() -> list[AppRecord]:
    """End what is left of apps whose supervisor died (SIGKILL, power cut), and forget the oldest ended apps.

    Returns:
        The apps that had lost their supervisor.
    """
    orphans = [record for record in records(active=True) if not supervised(record)]
    for record in orphans:
        if container := container_of(record):
            control.end(container, processes.GRACE_SECONDS)
        processes.end(partial(processes_of, record))
        save(replace(record, status="crashed", reason=_LOST))
    _forget()
    return orphans


def _forget() -> None:
    """Remove the folders of the oldest ended apps, and of launches that never got to start one."""
    ended = [record for record in records() if not record.active]
    for record in ended[: max(0, len(ended) - _KEPT)]:
        shutil.rmtree(run_folder(record.id), ignore_errors=True)
    folder = home().apps
    for entry in os.scandir(folder) if folder.is_dir() else ():
        with suppress(FileNotFoundError):  # somebody else forgets too
            idle = time.time() - entry.stat().st_mtime
            if entry.is_dir() and idle > _ABANDONED_SECONDS and not (Path(entry) / _RECORD).exists():
                shutil.rmtree(entry, ignore_errors=True)


@contextmanager
def _open_lock(app_id: str) -> Iterator[int]:
    descriptor = os.open(run_folder(app_id) / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
