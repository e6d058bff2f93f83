"""What a launch needs of this machine: every check in a thread of its own, each with a time limit."""

from __future__ import annotations

import sysconfig
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as OutOfTime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from spacerun.errors import PrerequisiteError
from spacerun.space.git import ensure_installed, install_hint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spacerun.progress import Progress

NEEDED: Final = ("git", "uv")
"""The checks without which no Space can be launched."""

_STAGE: Final = "fix"
_INSTALLED_BY_FIX: Final = ("git", "git-lfs")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Check:
    """What one check found.

    Attributes:
        name: What was looked at.
        status: `missing` where something is not there or does not work, `remark` where a launch can do without.
        detail: What was found, as one line.
        remedy: What mends it: a command, for a GPU's driver a sentence; None where nothing has to be mended.
    """

    name: str
    status: Literal["ok", "remark", "missing"]
    detail: str
    remedy: str | None = None


def examine() -> tuple[Check, ...]:
    """Look at everything at once. A check that does not end in time says so; the others do not wait for it."""
    from spacerun.doctor import containers, leftovers, machine, network, tools

    # Two threads that both ask sysconfig first can see it half-filled (python/cpython#92452); uv's finder asks it.
    sysconfig.get_config_vars()
    checks: tuple[tuple[str, Callable[[], Check], float], ...] = (
        ("git", tools.git, 5),
        ("git-lfs", tools.git_lfs, 5),
        ("uv", tools.uv, 5),
        ("python", tools.pythons, 10),
        ("container", containers.container, 12),
        ("gpu", machine.gpu, 5),
        ("disk", machine.disk, 5),
        ("hub", network.hub, 5),
        ("token", network.token, 5),
        ("leftovers", leftovers.leftovers, 5),
    )
    began = time.monotonic()
    running = [(name, in_background(work), limit) for name, work, limit in checks]
    return tuple(_outcome(name, future, limit, began) for name, future, limit in running)


def in_background(work: Callable[[], _T]) -> Future[_T]:
    """Run `work` in a daemon thread: neither its caller nor the end of the program waits for one that hangs."""
    future: Future[_T] = Future()

    def body() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed over to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=body, daemon=True).start()
    return future


def mend(checks: Sequence[Check], progress: Progress) -> None:
    """Do what can be done without asking: install git and git-lfs where they are missing, remove what kills left."""
    from spacerun.doctor import leftovers

    for check in checks:
        if check.status == "missing" and check.name in _INSTALLED_BY_FIX:
            progress.start(_STAGE, f"installing {check.name}")
            if not ensure_installed(check.name, progress, stage=_STAGE):
                progress.warn(f"{check.name} could not be installed from here. {check.remedy or ''}")
    leftovers.remove(progress)


def require(checks: Sequence[Check]) -> None:
    """Raise `PrerequisiteError` where something is missing without which nothing can be launched."""
    lacking = [check for check in checks if check.name in NEEDED and check.status == "missing"]
    if lacking:
        what = "; ".join(f"{check.name} is missing or does not work" for check in lacking)
        hint = lacking[0].remedy or install_hint(lacking[0].name)
        raise PrerequisiteError(f"No Space can be launched here: {what}.", hint=hint)


def _outcome(name: str, future: Future[Check], limit: float, began: float) -> Check:
    try:
        return future.result(timeout=max(0.0, began + limit - time.monotonic()))
    except OutOfTime:
        return Check(name, "remark", f"gave no answer within {limit:.0f} s")
