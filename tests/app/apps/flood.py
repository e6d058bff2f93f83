"""Answers, and writes MEGABYTES to its log: long lines, no lines, bytes that are no text."""

import os
import sys
import threading

import serving

one = serving.server()


def flood():
    for _ in range(int(os.environ["MEGABYTES"])):
        sys.stdout.buffer.write(b"\xff\x00\x1b[31m" + b"x" * 400_000 + b"\n" + b"short line\n" * 50_000)
    sys.stdout.buffer.write(b"\nno newline at the end of " + b"y" * 100_000)
    sys.stdout.buffer.flush()
    os._exit(0)


threading.Timer(1, flood).start()
one.serve_forever()
