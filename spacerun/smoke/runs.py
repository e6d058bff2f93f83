"""What is kept of the runs of smoke tests: results, by which an interrupted run is resumed, logs and pictures."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from spacerun.errors import RefusedError
from spacerun.paths import home, locked, read_json, write_json
from spacerun.smoke.result import Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from spacerun.smoke.job import Job

_KEPT: Final = 20
_STATE: Final = "run.json"
# These tell nothing of the Space.
_UNTOLD: Final = frozenset({"network", "not_run"})


class Run:
    """A run of tests: the folder of what it leaves.

    Args:
        folder: For what it leaves.
        jobs: The tests, in their order.
    """

    def __init__(self, folder: Path, jobs: Sequence[Job]) -> None:
        self.folder = folder
        self._jobs = jobs

    def artefacts(self, number: int) -> Path:
        """The folder of what test `number` leaves."""
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self._jobs[number].space).strip("-.")[-60:]
        return self.folder / f"{number:03}-{name or 'space'}"

    def keep(self, number: int, result: Result) -> None:
        """Write down what came of test `number`."""
        write_json(self._file(number), result.to_json())

    def earlier(self) -> dict[int, Result]:
        """What came of the tests that are over, by number."""
        found = {}
        for number in range(len(self._jobs)):
            try:
                result = Result.from_json(read_json(self._file(number)))
            except (TypeError, KeyError):
                continue
            if result.status not in _UNTOLD:
                found[number] = result
        return found

    def finish(self) -> None:
        """Note that nothing is left to do: there is nothing to resume."""
        write_json(self.folder / _STATE, {"complete": True})

    def _file(self, number: int) -> Path:
        return self.folder / "results" / f"{number:03}.json"


@contextmanager
def begun(jobs: Sequence[Job], *, resume: bool) -> Iterator[Run]:
    """The run of `jobs`: a new one, or the last one of the same jobs if that was not finished.

    Args:
        jobs: What is to be tested; the same Spaces with the same options are the same run.
        resume: Whether to go on with an interrupted one.

    Raises:
        RefusedError: The same run is under way.
    """
    key = _key(jobs)
    folder = home().runs / key
    with locked(f"smoke-{key}", on_wait=_refuse):
        complete = (read_json(folder / _STATE) or {}).get("complete")
        if complete or not resume:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / _STATE, {"complete": False})
        _forget(folder)
        yield Run(folder, jobs)


def _refuse() -> None:
    raise RefusedError(
        "The same smoke test is under way already.", hint="Wait for it, or end it; then, to go on: --resume"
    )


def _key(jobs: Sequence[Job]) -> str:
    """A name for these jobs; it hides the variables that they hold, which may be secret, behind a hash."""
    text = json.dumps([asdict(job) for job in jobs], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _forget(but: Path) -> None:
    """Remove the oldest runs."""
    runs = sorted(but.parent.iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in [folder for folder in runs if folder != but][_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
