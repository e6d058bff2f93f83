"""Answers; ends with STATUS once /crash is asked for, or after CRASH_AFTER seconds. ONCE: its second life fails.

LATER_STATUS is the status of its page after the first answer; BURN keeps one core busy.
"""

import os
import sys
import threading
from pathlib import Path
from typing import ClassVar

import serving


class Page(serving.Page):
    replies: ClassVar = {"/": (200, "hello"), "/crash": (200, "soon")}

    def do_GET(self):  # noqa: N802 - http.server's name
        super().do_GET()
        if self.path == "/crash":
            threading.Timer(0.1, end).start()
        if "LATER_STATUS" in os.environ:
            self.replies["/"] = (int(os.environ["LATER_STATUS"]), "another time")


def end():
    os._exit(int(os.environ.get("STATUS", "3")))


def burn():
    while True:
        pass


if "ONCE" in os.environ:
    if Path(os.environ["WITNESS"]).exists():
        sys.exit(5)
    serving.note_pid()
print("a life begins")
if "LINES" in os.environ:
    print(os.environ["LINES"].replace("|", "\n"))
if "CRASH_AFTER" in os.environ:
    threading.Timer(float(os.environ["CRASH_AFTER"]), end).start()
if "BURN" in os.environ:
    threading.Thread(target=burn, daemon=True).start()
serving.server(page=Page).serve_forever()
