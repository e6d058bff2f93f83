"""Why a file cannot be read: always one short sentence, for people."""

from __future__ import annotations

from spacerun.errors import FetchError


class UnreadableError(FetchError):
    """What lies in one file cannot be told."""


class AbsentError(UnreadableError):
    """There is no such file."""


class ClosedError(UnreadableError):
    """No file of the place can be read: it is gated, or missing, or nobody answers. Asking for another is no use."""
