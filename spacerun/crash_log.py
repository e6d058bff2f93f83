"""What is kept of a bug of ours."""

from __future__ import annotations

import os
import platform
import time
import traceback
from typing import TYPE_CHECKING

from spacerun import __version__
from spacerun.paths import home, write_atomic
from spacerun.text import printable

if TYPE_CHECKING:
    from pathlib import Path


def write_crash_log(command: str, error: BaseException) -> Path:
    """Write down what a report of the bug needs: versions and the traceback; the file.

    Args:
        command: Name of the command that failed.
        error: What it failed with.
    """
    lines = [
        f"spacerun {__version__} {command}, Python {platform.python_version()}, {platform.platform()}",
        "".join(traceback.format_exception(error)),
    ]
    path = home().logs / f"crash-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.log"
    write_atomic(path, printable("\n".join(lines)).encode())
    return path
