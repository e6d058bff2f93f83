"""The name of an environment: a hash of all that it is made from."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spacerun.environment.requirements import Line

# Part of every key: raised when the same plan would be built differently.
RECIPE: Final = 4

# Settings of uv that change what gets installed.
_UV_SETTINGS: Final = (
    "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX",
    "UV_INDEX_STRATEGY", "UV_EXCLUDE_NEWER", "UV_RESOLUTION", "UV_PRERELEASE", "UV_TORCH_BACKEND", "UV_CONSTRAINT",
    "UV_OVERRIDE", "UV_NO_BINARY", "UV_NO_BUILD",
)  # fmt: skip
# What a local package is built from; other files in its folder may change while the app runs.
_BUILD_FILES: Final = frozenset({"pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in"})
_SOURCES: Final = frozenset({".py", ".pyx", ".pxd", ".c", ".cc", ".cpp", ".h", ".hpp", ".cu", ".cuh", ".rs"})
_MAX_SOURCES: Final = 20_000


def key_of(root: Path, lines: Iterable[Line], facts: dict[str, Any]) -> str:
    """The key of an environment that holds `lines`; equal keys mean equal environments.

    Args:
        root: The Space's files, resolved.
        lines: All requirements.
        facts: What else decides, as JSON takes it.
    """
    local = sorted({line for line in lines if line.path}, key=lambda line: line.text)
    made_from = {
        **facts,
        "recipe": RECIPE,
        "platform": [sys.platform, platform.machine()],
        "uv": {name: value for name in _UV_SETTINGS if (value := os.environ.get(name))},
        "local": [str(root), *(fingerprint(line) for line in local)] if local else [],
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:20]


def fingerprint(line: Line) -> str:
    """Hash of what a local requirement is built from; of its code only where that is copied (not editable)."""
    digest = hashlib.sha256()
    path = line.path
    if path is None or not path.exists():
        return ""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    for file in _build_files(path, code=not line.editable):
        digest.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode(errors="surrogateescape"))
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _build_files(folder: Path, *, code: bool) -> list[Path]:
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        for name in sorted(names):
            file = Path(parent) / name
            wanted = name in _BUILD_FILES or (code and file.suffix in _SOURCES)
            if wanted and file.is_file() and not file.is_symlink():
                found.append(file)
        if not code or len(found) > _MAX_SOURCES:
            break
    return found
