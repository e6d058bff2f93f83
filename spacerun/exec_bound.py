"""Become a command that the kernel ends together with its parent.

A script, run by its path: `exec_bound.py PARENT_PID COMMAND...`.

`subprocess` could do this with `preexec_fn`, but code between fork and exec is unsafe in a program with threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2); kept over execve


def main() -> None:
    """Bind this process to its parent, then become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could be bound to
        sys.exit(1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and execve would pass that on
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
