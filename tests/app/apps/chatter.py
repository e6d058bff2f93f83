"""Answers; once asked to by a file WITNESS.go, writes MEGABYTES of lines and then a file WITNESS.done."""

import os
import sys
import threading
import time
from pathlib import Path

import serving


def chat():
    witness = os.environ["WITNESS"]
    while not Path(f"{witness}.go").exists():
        time.sleep(0.05)
    lines = (b"x" * 99 + b"\n") * 10_000
    for _ in range(int(os.environ["MEGABYTES"])):
        sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()
    Path(f"{witness}.done").touch()


one = serving.server()
threading.Thread(target=chat, daemon=True).start()
one.serve_forever()
