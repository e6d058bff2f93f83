"""A build that ends whole: `python -m spacerun.containers.builder PARENT_PID COMMAND...`.

Killed, podman leaves the step that it runs, and a container half-made (seen with 4.3: on SIGTERM, too). A step that
fails it tidies up after. So this process stands between, outlives `kill -9` of its parent, and lets the step fail.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Final

_POLL_SECONDS: Final = 0.1
_TIDY_SECONDS: Final = 15.0


def main() -> None:
    """Run the command in the arguments to its end, or to that of the parent."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    pump = threading.Thread(target=_pass_on, args=(process,), daemon=True)
    pump.start()
    while process.poll() is None and not asked and os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    if process.poll() is None:
        end(process)
    pump.join(1.0)
    sys.exit(process.returncode if process.returncode >= 0 else 128 - process.returncode)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a build: its steps first, so that the engine tidies up; then the engine, if it goes on fetching."""
    deadline = time.monotonic() + _TIDY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        _kill_steps(process.pid)
        time.sleep(_POLL_SECONDS)
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
    process.wait()


def _pass_on(process: subprocess.Popen[bytes]) -> None:
    """Write what it says to standard output, and read on when nobody listens: it would end at once, untidily."""
    for line in process.stdout or ():
        with suppress(OSError):
            os.write(1, line)


def _kill_steps(engine: int) -> None:
    """Kill what runs below an engine and is another program."""
    import psutil

    with suppress(psutil.Error):
        own = psutil.Process(engine)
        for child in own.children(recursive=True):
            with suppress(psutil.Error):
                if child.exe() != own.exe():
                    child.kill()


if __name__ == "__main__":
    main()
