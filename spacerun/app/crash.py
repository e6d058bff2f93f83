"""How an app ended that was not to end, as an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spacerun.app import processes
from spacerun.errors import AppCrashedError

if TYPE_CHECKING:
    from collections.abc import Sequence

LAST_LINES = "Its last lines:"
"""What stands in the hint before them."""


def crashed(
    code: int, *, answered: bool, on_request: bool, lines: Sequence[str], memory_bytes: int, oom_kills: int
) -> AppCrashedError:
    """The error of an app that ended.

    Args:
        code: Its exit status as `subprocess` gives it.
        answered: Whether it had answered.
        on_request: Whether somebody asked for its end.
        lines: The last that it wrote.
        memory_bytes: The most main memory that its processes held, as far as was seen, in bytes.
        oom_kills: How many processes the kernel ended meanwhile because memory ran out.
    """
    how = "stopped on request" if on_request else processes.describe_exit(code)
    return AppCrashedError(
        f"The app {'crashed' if answered else 'ended before it answered'} ({how}).",
        hint="\n".join([LAST_LINES, *lines] if lines else ["It wrote nothing."]),
        data={
            "exit_status": processes.exit_status(code),
            "last_lines": list(lines),
            "answered": answered,
            "memory_bytes": memory_bytes,
            "oom_kills": oom_kills,
        },
    )
