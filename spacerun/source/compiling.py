"""Whether the Space's own Python can compile a source."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

from spacerun.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

# Runs in the Space's Python, 3.7 and later: prints why the source on stdin does not compile.
_COMPILE: Final = """
import sys
try:
    compile(sys.stdin.buffer.read(), sys.argv[1], "exec", dont_inherit=True)
except SyntaxError as error:
    text = "%s (%s, line %s)" % (error.msg, sys.argv[1], error.lineno)
except Exception as error:
    text = "%s: %s" % (type(error).__name__, error)
else:
    sys.exit(0)
sys.stdout.buffer.write(text.encode("utf-8", "replace"))
sys.exit(1)
"""
_SECONDS: Final = 60


def compiles(python: Path, source: bytes, filename: str) -> str | None:
    """Compile `source` by the interpreter `python`, without running it.

    Returns:
        None if it compiles, else the reason as one printable line.
    """
    command = [str(python), "-I", "-W", "ignore", "-c", _COMPILE, filename]
    try:
        done = subprocess.run(command, input=source, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return one_line(f"{python} could not compile it: {error}")
    if done.returncode == 0:
        return None
    said = done.stdout or done.stderr or f"{python} ended with status {done.returncode}".encode()
    return one_line(said.decode("utf-8", "replace"))
