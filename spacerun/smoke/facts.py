"""What is known of a Space under test, and the result that it comes to."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spacerun.app import registry
from spacerun.app.crash import LAST_LINES
from spacerun.app.log import last_lines
from spacerun.errors import ExitCode
from spacerun.memory import ledger
from spacerun.smoke.result import Check, Result, Status
from spacerun.text import one_line, printable

if TYPE_CHECKING:
    from spacerun.errors import SpacerunError
    from spacerun.smoke.job import Job, Level
    from spacerun.smoke.probing import Probed
    from spacerun.stages import Located, Ready

_TAIL_LINES: Final = 60
LOG: Final = "app.log"
"""File with what an app writes, in its run folder and beside the report."""

_LOG_BYTES: Final = 1024**2  # of each of hundreds of apps
# What else may help an app that does not reach the Hub or another server (`diagnosis/known.toml`) is to wait.
_NETWORK: Final = "no-network"
_PORT_TAKEN: Final = "address-in-use"


@dataclass
class Facts:
    """What is known so far.

    Attributes:
        job: What is tested.
        stages: Seconds that each stage took.
        warnings: What was not as expected.
        proven: How far it works.
        limit: Why it is not tested further.
        checks: What was looked at.
        located: The Space, once its small files are here.
        ready: What was started last.
        probed: What was seen of it once it answered.
    """

    job: Job
    stages: dict[str, float]
    warnings: list[str]
    proven: Level | None = None
    limit: SpacerunError | None = None
    checks: list[Check] = field(default_factory=list)
    located: Located | None = None
    ready: Ready | None = None
    probed: Probed | None = None
    _began: float = field(default_factory=time.monotonic)
    _started_at: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))

    def result(self, error: SpacerunError | None) -> Result:
        """The result of a test that `error` ended; None where nothing is wrong."""
        log = self._keep_log()
        findings = tuple(error.data.get("diagnosis", ())) if error else ()
        limit = one_line(self.limit.message, 500) if self.limit and error is None else ""
        return Result(
            space=self.job.space,
            ok=error is None,
            proven=self.proven.word if self.proven else None,
            exit_code=int(error.exit_code if error else ExitCode.OK),
            seconds=round(time.monotonic() - self._began, 3),
            status=_status(error, findings, limited=bool(limit)),
            stage=(error.stage or "find") if error else None,
            message=printable(error.message) if error else "",
            # The last lines of the log are told beside it.
            hint=printable((error.hint or "").partition(LAST_LINES)[0].strip()) if error else "",
            limit=limit,
            revision=self.located.checkout.commit if self.located else None,
            sdk=_sdk(self.located) if self.located else "",
            stages=dict(self.stages),
            checks=tuple(self.checks),
            diagnosis=findings,
            warnings=tuple(self.warnings),
            log=str(log) if log else None,
            tail=tuple(printable(line) for line in last_lines(log, _TAIL_LINES)) if log else (),
            screenshot=self.probed.screenshot if self.probed else None,
            console=self.probed.console if self.probed else (),
            memory=self._memory(),
            started_at=self._started_at,
            port_taken=error is not None and ("port_taken" in error.data or _found(findings, _PORT_TAKEN)),
        )

    def _memory(self) -> dict[str, Any]:
        gpus = self.located.fit.gpus if self.located else ()
        measured = ledger.of(self.ready.spec.id) if self.ready else None
        expected = (self.ready.spec.estimate or {}).get("expected_bytes") if self.ready else None
        return {
            "gpus": [one_line(device.name, 80) for device in gpus],
            "expected_bytes": expected,
            "peak_bytes": measured.peak_bytes if measured else None,
        }

    def _keep_log(self) -> Path | None:
        """The end of the app's log among what the test leaves: those of the apps themselves go with time."""
        log = registry.run_folder(self.ready.spec.id) / LOG if self.ready else None
        if log is None or not log.is_file():
            return None
        kept = Path(self.job.artefacts) / LOG
        kept.parent.mkdir(parents=True, exist_ok=True)
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _LOG_BYTES))
            kept.write_bytes(stream.read(_LOG_BYTES))
        return kept


def _status(error: SpacerunError | None, findings: tuple[dict[str, str], ...], *, limited: bool) -> Status:
    if error is None:
        return "partial" if limited else "passed"
    return "network" if error.passing or _found(findings, _NETWORK) else "failed"


def _found(findings: tuple[dict[str, str], ...], which: str) -> bool:
    return any(finding["id"] == which for finding in findings)


def _sdk(located: Located) -> str:
    plan = located.environment_plan
    version = located.card.sdk_version or (plan.gradio if not plan.empty else None)
    return f"{located.card.sdk} {version}" if version else located.card.sdk
