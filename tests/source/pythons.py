"""Interpreters of other versions than the one that runs the tests, as far as this machine has them."""

import sys
from pathlib import Path

_FOUND = [
    Path(f"~/.pyenv/versions/{version}").expanduser() / "bin" / "python" for version in ("3.7.16", "3.8.18", "3.13.0")
]
OTHER_PYTHONS = [python for python in _FOUND if python.exists()] or [Path(sys.executable)]
