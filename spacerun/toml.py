"""TOML, read by whichever parser this Python has."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def parse(text: str) -> dict[str, Any]:
    """What `text` says.

    Raises:
        ValueError: It is not TOML.
    """
    # `tomllib` came with Python 3.11; before that it is the package `tomli`.
    parser = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    content: dict[str, Any] = parser.loads(text)
    return content
