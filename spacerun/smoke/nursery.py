"""Starts the processes of tests as copies of one that has imported what they need: `python -m spacerun.smoke.nursery`.

Importing takes longer than many a test of a page. Standard input is a socket: for each process that is wanted, its
three standard streams come over it, and the process's id goes back. Without anybody at the other end it ends, and so do
its children (`worker.py`).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import IO, Final, TextIO

from spacerun.app import processes
from spacerun.children import own_module

# What the stages import only when they need it, and nearly every test needs.
_NEEDED: Final = ("aiohttp", "filelock", "git", "huggingface_hub.hf_api", "psutil", "yaml", "spacerun.sdks.gradio")
_STREAMS: Final = 3


@dataclass(frozen=True)
class Worker:
    """A process in which a test runs.

    Attributes:
        pid: Its id; it leads a session of its own.
        created: When it was made, in seconds since the epoch.
        incoming: What it reads.
        outgoing: What it writes.
    """

    pid: int
    created: float
    incoming: TextIO
    outgoing: TextIO

    def signal(self, number: int) -> None:
        """Send a signal to it, and SIGKILL to all of its session, if it still lives."""
        if processes.is_same(self.pid, self.created):
            with suppress(ProcessLookupError):
                (os.killpg if number == signal.SIGKILL else os.kill)(self.pid, number)

    def close(self) -> None:
        """Close its streams on this side."""
        for stream in (self.incoming, self.outgoing):
            with suppress(OSError):
                stream.close()


class Nursery:
    """Where workers come from; a context manager, at whose end they end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(own_module(__name__), stdin=theirs.fileno(), start_new_session=True)

    def start(self, said: IO[bytes]) -> Worker:
        """A new worker, whose standard error goes to `said`.

        Raises:
            ConnectionError: The nursery ended.
        """
        their_in, incoming = os.pipe()
        outgoing, their_out = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._ours, [b"w"], [their_in, their_out, said.fileno()])
                answer = self._ours.recv(64)
        finally:
            os.close(their_in)
            os.close(their_out)
        if not answer:
            raise ConnectionError("the process that starts tests ended")
        pid = int(answer)
        return Worker(pid, processes.created(pid), os.fdopen(incoming, "w"), os.fdopen(outgoing))

    def close(self) -> None:
        """End it."""
        self._ours.close()
        self._process.wait()


def main() -> None:
    """Start a worker for each request."""
    from spacerun.smoke import worker

    for name in _NEEDED:
        import_module(name)
    ours = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody here waits for them
    channel = socket.socket(fileno=os.dup(0))
    while True:
        request, streams, _, _ = socket.recv_fds(channel, 1, _STREAMS)
        if not request:
            return
        pid = os.fork()
        if not pid:
            break
        for stream in streams:
            os.close(stream)
        channel.send(b"%d" % pid)
    signal.signal(signal.SIGCHLD, ours)
    channel.close()
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    worker.main()


if __name__ == "__main__":
    main()
