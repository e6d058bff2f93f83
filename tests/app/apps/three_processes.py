"""As LLaVA does: one program starts a controller, a worker that reports to it, and the page; each is a process."""

import contextlib
import os
import subprocess
import sys
import time
import urllib.request

import serving

CONTROLLER = int(os.environ["CONTROLLER_PORT"])


def work():
    serving.note_pid()
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{CONTROLLER}/receive_heart_beat").read()
        time.sleep(0.2)


part = sys.argv[1] if len(sys.argv) > 1 else ""
if part == "controller":
    serving.note_pid()

    class Controller(serving.Page):
        replies = {"/receive_heart_beat": (200, {"exist": True})}  # noqa: RUF012

    serving.server(CONTROLLER, page=Controller).serve_forever()
elif part == "worker":
    work()
elif part == "page":
    serving.note_pid()
    time.sleep(1)  # loads last, as it asks the controller for its models
    serving.server().serve_forever()
else:
    parts = [subprocess.Popen([sys.executable, __file__, name]) for name in ("controller", "worker", "page")]
    for one in parts:
        one.wait()
