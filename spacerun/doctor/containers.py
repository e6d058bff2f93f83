"""Whether there is a container engine that really runs a container."""

from __future__ import annotations

from spacerun.containers.engine import try_engines
from spacerun.doctor import Check


def container() -> Check:
    """The first engine that runs a container."""
    failures = []
    for tried in try_engines():
        if tried.failure is None:
            return Check("container", "ok", f"{tried.name} runs containers ({tried.path})")
        failures.append(f"{tried.name} is installed, but runs no container: {tried.failure}")
    return Check("container", "remark", "; ".join(failures) or "no docker and no podman; Gradio Spaces need none")
