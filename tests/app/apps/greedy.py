"""Answers; once asked for /more, takes 400 MiB of main memory and ends well. GROUP is a cgroup to join."""

import os
import threading
from pathlib import Path

import serving


class Page(serving.Page):
    replies = {"/": (200, "hello"), "/more": (200, "soon")}  # noqa: RUF012

    def do_GET(self):  # noqa: N802 - http.server's name
        super().do_GET()
        if self.path == "/more":
            threading.Thread(target=take, daemon=True).start()


def take():
    taken = []
    while len(taken) < 400:
        taken.append(bytearray(os.urandom(1) * 2**20))
    os._exit(0)


Path(os.environ["GROUP"], "cgroup.procs").write_text(str(os.getpid()))
serving.server(page=Page).serve_forever()
