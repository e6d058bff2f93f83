"""Runs `supervise` for the spec and environment on stdin, and says what happens, line by line."""

import json
import sys

from spacerun.app import AppSpec, supervise
from spacerun.errors import SpacerunError


def say(*words):
    print(*words, flush=True)


spec, environment = json.load(sys.stdin)
try:
    status = supervise(
        AppSpec.from_json(spec),
        environment,
        on_line=lambda line: say("LINE", line),
        on_ready=lambda record: say("READY", record.pid, record.url, record.share_url),
        on_warning=lambda text: say("WARNING", text),
    )
    say("STATUS", status)
except SpacerunError as error:
    say("ERROR", type(error).__name__, error.message)
    sys.exit(int(error.exit_code))
except KeyboardInterrupt:
    say("INTERRUPTED")
    sys.exit(130)
