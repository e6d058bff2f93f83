"""Imports what a Space imports from outside: `imports_script.py PROBE ROOT ENTRY RESULTS [DONE]…`.

Runs in the Space's own Python (3.7 and later), alone: the modules are found by `environment/imports_probe.py`, given as
PROBE. Each is told in the file RESULTS, one line of JSON when it begins and one when it is done, so that whoever reads
it knows which one ended the process. Modules named as DONE are left out.

The folder of the Space is not on `sys.path`, although it is when the Space runs: a file of it that is called like a
module which a package imports would be executed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import time
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType
    from typing import Any, TextIO

MAX_MODULES = 1000
MAX_NAMES = 200
MAX_MISSING = 20
MAX_MESSAGE = 500


def load(path: str) -> ModuleType:
    """The module at `path`, which need not be on `sys.path`."""
    spec = importlib.util.spec_from_file_location("imports_probe", path)
    assert spec is not None  # noqa: S101 - it is a Python file
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wanted(probe: ModuleType, root: str, entry: str) -> dict[str, dict[str, Any]]:
    """What is imported from outside: each module with the names taken from it, and where that is first."""
    found: dict[str, dict[str, Any]] = {}

    def want(name: str, members: Sequence[str], file: str, line: int) -> None:
        if name != "__future__" and (name in found or len(found) < MAX_MODULES):
            module = found.setdefault(name, {"file": file, "line": line, "names": []})
            module["names"] += [member for member in members if member not in module["names"]][:MAX_NAMES]

    reader = probe.Reader(root, entry)
    reader.want = want
    reader.run()
    return found


def attempt(statement: str) -> str | None:
    """Execute an import statement, of names that the grammar knows; what it raised, or None."""
    try:
        exec(statement, {"__name__": "__main__"})  # noqa: S102
    except BaseException as error:  # noqa: BLE001 - a module may raise anything, SystemExit too
        return f"{type(error).__name__}: {error}"[:MAX_MESSAGE]
    return None


def import_one(name: str, members: Sequence[str]) -> dict[str, Any]:
    """Import a module and names from it; what went wrong, and how long all that took."""
    began = time.time()
    error = attempt(f"import {name}")
    tried = [] if error else [attempt(f"from {name} import {member}") for member in members]
    return {"error": error, "missing": [text for text in tried if text][:MAX_MISSING], "seconds": time.time() - began}


def tell(results: TextIO, **document: Any) -> None:  # noqa: ANN401
    """Write a line that is there even if the process ends right after."""
    results.write(json.dumps(document) + "\n")
    results.flush()


def main() -> None:
    """Import one module after the other."""
    probe, root, entry, file = sys.argv[1:5]
    left_out = set(sys.argv[5:])
    if sys.version_info < (3, 8):  # noqa: UP036 - runs in the Space's Python
        sys.dont_write_bytecode = True  # for `-X pycache_prefix` is unknown to it
    modules = wanted(load(probe), os.path.realpath(root), entry)
    sys.argv = [entry]  # which some packages read when they are imported
    with Path(file).open("a") as results:
        tell(results, modules=len(modules))
        for name, module in modules.items():
            if name not in left_out:
                tell(results, begins=name, file=module["file"], line=module["line"])
                tell(results, ends=name, **import_one(name, module["names"]))
        tell(results, finished=True)
    # Not held up by threads that were started, nor by what runs at an exit, and with the processes that were started.
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main()
