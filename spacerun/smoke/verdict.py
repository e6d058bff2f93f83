"""What a run of smoke tests comes to: its exit code, and the sentence that says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spacerun.errors import ExitCode, SpacerunError
from spacerun.text import one_line

if TYPE_CHECKING:
    from spacerun.smoke.result import Report

_NAMED: Final = 5


def failure(report: Report) -> SpacerunError | None:
    """Why a run failed; None where it did not. One Space fails with its own exit code, several with 12."""
    failed = [result for result in report.results if not result.ok]
    if not failed:
        return None
    if len(report.results) == 1:
        result = failed[0]
        error = SpacerunError(result.message, hint=result.hint or None, stage=result.stage)
        error.exit_code = ExitCode(result.exit_code)
        return error
    names = ", ".join(one_line(result.space, 60) for result in failed[:_NAMED])
    more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    error = SpacerunError(f"{len(failed)} of {len(report.results)} Spaces did not pass: {names}{more}.", stage="probe")
    error.exit_code = ExitCode.PROBE_FAILED
    return error
