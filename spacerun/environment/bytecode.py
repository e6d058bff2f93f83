"""Compiling what an app is going to import, while something else is being downloaded."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spacerun.children import kill, start
from spacerun.environment.uv import clean_environment

if TYPE_CHECKING:
    from spacerun.environment.store import Environment


@dataclass(frozen=True)
class Warming:
    """Compilation in the background."""

    process: subprocess.Popen[bytes] | None

    def wait(self, timeout: float | None = None) -> bool:
        """Wait at most `timeout` seconds; whether it is done."""
        try:
            return self.process is None or self.process.wait(timeout) is not None
        except subprocess.TimeoutExpired:
            return False

    def stop(self) -> None:
        """End it. What is compiled so far serves: each file is written in one step."""
        if self.process:
            kill(self.process)


def warm(environment: Environment, modules: tuple[str, ...] = ("gradio",)) -> Warming:
    """Import `modules` once in the background, so that their bytecode lies ready in `environment.bytecode`.

    uv installs no bytecode. Importing compiles just what the app needs, a third of what is installed; nothing is
    started where that was done before. It is worth its while only beside something else that takes seconds: call
    `stop` when the app starts.

    Args:
        environment: Where.
        modules: Modules of packages, never of the Space.
    """
    done = environment.bytecode / f".warm-{'-'.join(modules)}"
    if done.exists():
        return Warming(None)
    code = f"import sys\nimport {', '.join(modules)}\nopen(sys.argv[1], 'w').close()\n"
    process = start(
        # -I: neither PYTHON* variables nor the working directory count, hence -X instead of PYTHONPYCACHEPREFIX.
        [environment.python, "-I", "-X", f"pycache_prefix={environment.bytecode}", "-c", code, done],
        cwd=environment.directory,
        env=clean_environment() | {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return Warming(process)
