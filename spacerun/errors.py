"""The errors a user can meet, in domain words, each with its exit code (docs/architecture.md, "Exit codes")."""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """Exit statuses of every command; the names appear as `error.name` in JSON."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    FETCH = 5
    ENVIRONMENT = 6
    NO_GPU = 7
    GPU_MEMORY = 8
    APP_CRASHED = 9
    TIMEOUT = 10
    SHARE_FAILED = 11
    PROBE_FAILED = 12
    PREREQUISITE = 13
    MISSING_SECRET = 14
    INTERRUPTED = 130


class SpacerunError(Exception):
    """A failure that the user can act on.

    Args:
        message: What happened and why, as one sentence.
        hint: The next thing to do, with the command to type where there is one.
        stage: Stage of the pipeline in which it happened (`find`, `clone`, `lfs`, ...).
        data: What is known so far, for `--json`.
        passing: Whether the network or a busy server is to blame, so that trying again later may do.
    """

    exit_code: ExitCode = ExitCode.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        stage: str | None = None,
        data: dict[str, Any] | None = None,
        passing: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.stage = stage
        self.data = data or {}
        self.passing = passing


class UsageError(SpacerunError):
    """Bad arguments."""

    exit_code = ExitCode.USAGE


class NotFoundError(SpacerunError):
    """A Space, revision or model that is missing, private or gated."""

    exit_code = ExitCode.NOT_FOUND


class RefusedError(SpacerunError):
    """Unsafe without consent, or an update that would lose the user's edits."""

    exit_code = ExitCode.REFUSED


class FetchError(SpacerunError):
    """Clone or LFS failed, or a listed LFS file is still a pointer."""

    exit_code = ExitCode.FETCH


class PackagesError(SpacerunError):
    """Packages could not be resolved or installed."""

    exit_code = ExitCode.ENVIRONMENT


class NoGpuError(SpacerunError):
    """A GPU is needed and there is none, or its driver does not answer."""

    exit_code = ExitCode.NO_GPU


class GpuMemoryError(SpacerunError):
    """Too little GPU memory is free."""

    exit_code = ExitCode.GPU_MEMORY


class AppCrashedError(SpacerunError):
    """The app ended before it answered, or later with a non-zero status."""

    exit_code = ExitCode.APP_CRASHED


class AppTimeoutError(SpacerunError):
    """The app did not answer in time."""

    exit_code = ExitCode.TIMEOUT


class ShareError(SpacerunError):
    """The app is up, the share link is not (only with `--require-share`)."""

    exit_code = ExitCode.SHARE_FAILED


class ProbeError(SpacerunError):
    """The app is up, but what it answers is not sound."""

    exit_code = ExitCode.PROBE_FAILED


class PrerequisiteError(SpacerunError):
    """Git, the Python asked for, disk space or main memory is missing."""

    exit_code = ExitCode.PREREQUISITE


class MissingSecretError(SpacerunError):
    """The code needs an environment value that was not given."""

    exit_code = ExitCode.MISSING_SECRET
