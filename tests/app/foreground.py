"""Runs `supervise` for the spec and environment on stdin, and says what happens, line by line."""

import json
import sys

from spacerun.app import AppSpec, supervise
from spacerun.app.frpc import Client
from spacerun.app.tunnel import Service
from spacerun.errors import SpacerunError


def say(*words):
    print(*words, flush=True)


spec, environment, tunnels = json.load(sys.stdin)
try:
    supervise(
        AppSpec.from_json(spec),
        environment,
        on_line=lambda line: say("LINE", line),
        on_ready=lambda record: say("READY", record.pid, record.url, record.share_url),
        on_warning=lambda text: say("WARNING", text),
        tunnels=tunnels and Service(client=Client(tunnels["url"], tunnels["sha256"]), address=tunnels["address"]),
    )
    say("ENDED")
except SpacerunError as error:
    say("ERROR", type(error).__name__, error.message)
    sys.exit(int(error.exit_code))
except KeyboardInterrupt:
    say("INTERRUPTED")
    sys.exit(130)
