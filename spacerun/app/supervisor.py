"""The process that looks after a detached app: `python -m spacerun.app.supervisor RUN_FOLDER`, environment on stdin."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacerun.app.detach import RESULT, SPEC, error_to_json
from spacerun.app.run import supervise
from spacerun.app.spec import AppSpec
from spacerun.errors import AppCrashedError, SpacerunError
from spacerun.paths import read_json, write_json

if TYPE_CHECKING:
    from spacerun.app.spec import AppRecord


def main() -> None:
    """Run the app of the run folder named in the arguments."""
    run = Path(sys.argv[1])
    environment = json.load(sys.stdin.buffer)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    warnings: list[str] = []

    def report(**outcome: Any) -> None:  # noqa: ANN401
        write_json(run / RESULT, {"warnings": warnings, **outcome}, mode=0o600)

    def ready(_record: AppRecord) -> None:
        report()

    try:
        supervise(
            AppSpec.from_json(read_json(run / SPEC)),
            environment,
            on_line=lambda _: None,
            on_ready=ready,
            on_warning=warnings.append,
        )
    except SpacerunError as error:
        report(error=error_to_json(error))
    except KeyboardInterrupt:
        if not (run / RESULT).exists():
            report(error=error_to_json(AppCrashedError("The app was stopped before it answered.", stage="start")))


if __name__ == "__main__":
    main()
