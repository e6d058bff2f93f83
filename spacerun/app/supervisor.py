"""The process that looks after a detached app: `python -m spacerun.app.supervisor RUN_FOLDER [PARENT_PID]`.

It reads the app's environment from standard input. With PARENT_PID it ends with its parent.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacerun.app import registry
from spacerun.app.detach import RESULT, error_to_json
from spacerun.app.run import supervise
from spacerun.children import end_with
from spacerun.errors import AppCrashedError, SpacerunError
from spacerun.paths import write_json
from spacerun.postmortem import explainer

if TYPE_CHECKING:
    from spacerun.app.spec import AppRecord


def main() -> None:
    """Run the app of the run folder named in the arguments."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whoever started it may ignore it, and that is inherited
    run = Path(sys.argv[1])
    for parent in sys.argv[2:]:
        threading.Thread(target=end_with, args=(int(parent),), name="parent", daemon=True).start()
    environment = json.load(sys.stdin.buffer)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    spec = registry.load_spec(run.name)
    assert spec is not None  # noqa: S101 - narrows the type: whoever started this wrote it
    warnings: list[str] = []

    def warn(text: str) -> None:
        warnings.append(text)
        sys.stderr.write(f"{text}\n")  # once the app answers, nobody else is told

    def report(**outcome: Any) -> None:  # noqa: ANN401
        write_json(run / RESULT, {"warnings": warnings, **outcome}, mode=0o600)

    def ready(_record: AppRecord) -> None:
        report()

    try:
        supervise(
            spec,
            environment,
            on_line=lambda _: None,
            on_ready=ready,
            on_warning=warn,
            explain=explainer(spec),
        )
    except SpacerunError as error:
        report(error=error_to_json(error))
    except KeyboardInterrupt:
        if not (run / RESULT).exists():
            report(error=error_to_json(AppCrashedError("The app was stopped before it answered.", stage="start")))


if __name__ == "__main__":
    main()
