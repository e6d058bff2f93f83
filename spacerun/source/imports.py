"""Which packages a source imports."""

from __future__ import annotations

import ast

from spacerun.source.python_text import PythonText, SourceError


def imported_modules(source: bytes) -> frozenset[str]:
    """Top-level names of the modules that `source` imports anywhere; empty if it does not parse on this Python."""
    try:
        tree = PythonText.decode(source).tree
    except SourceError:
        return frozenset()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return frozenset(found)
