"""`plan`: all that `launch` would do, decided without executing anything of the Space."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacerun import sdks
from spacerun.environment.lock_writing import lock_text
from spacerun.environment.python import find_python
from spacerun.environment.resolve import Resolution, ResolvedPackage, resolve
from spacerun.environment.store import load
from spacerun.environment.system import SystemPackages, read_system_packages
from spacerun.errors import PrerequisiteError, RefusedError
from spacerun.paths import write_atomic
from spacerun.pipeline import locate
from spacerun.report import located_data
from spacerun.source.patch import unified_diff
from spacerun.space.lfs import still_pointers
from spacerun.stages import containing, needing
from spacerun.stages.preparing import export_lock, fitted, revisions, system_packages
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spacerun.environment.python import Interpreter
    from spacerun.progress import StageClock
    from spacerun.stages import Located, Options

# Installed files take about three times the bytes of their wheels (measured on Gradio 4 and 6 environments).
_UNPACKED = 3


@dataclass(frozen=True)
class Needed:
    """What a Space loads and needs.

    Attributes:
        located: The Space.
        suggestions: What may stand in for each model that is missing.
    """

    located: Located
    suggestions: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Planned:
    """What a launch would do.

    Attributes:
        located: The Space, its card, its launch calls.
        packages: What would be installed, or is already.
        build: Commands of the Space that would be run to build it.
        container: What image would be made and run, for a Space that runs in a container.
        system_packages: Debian packages that `packages.txt` names, and which of them are missing.
        large_file_bytes: Bytes of large files still to be fetched.
        model_bytes: Bytes of the models that the app surely loads, and that are not in the download cache.
        diff: The edit of the clone as a unified diff.
        suggestions: What may stand in for each model that is missing.
    """

    located: Located
    packages: Resolution
    build: tuple[str, ...]
    container: dict[str, Any] | None
    system_packages: SystemPackages
    large_file_bytes: int
    model_bytes: int
    diff: str
    suggestions: Mapping[str, tuple[str, ...]]

    @property
    def download_bytes(self) -> int:
        """Bytes that a launch would fetch: large files, models, packages; uv's cache may hold some of the latter."""
        return self.large_file_bytes + self.model_bytes + self.packages.download_bytes

    @property
    def disk_bytes(self) -> int:
        """Bytes of disk that a launch would take: large files lie twice, packages are unpacked."""
        return 2 * self.large_file_bytes + self.model_bytes + _UNPACKED * self.packages.download_bytes

    def to_json(self, stages: dict[str, float]) -> dict[str, Any]:
        """The data of `plan --json`."""
        return located_data(self.located) | {
            "packages": [
                {"name": p.name, "version": p.version, "size_bytes": p.size_bytes} for p in self.packages.packages
            ],
            "known_after_install": list(self.packages.unknown),
            "build": list(self.build),
            "container": self.container,
            "system_packages": list(self.system_packages.names),
            "missing_system_packages": list(self.system_packages.missing or ()),
            "decisions": list(self.located.environment_plan.notes),
            "download_bytes": self.download_bytes,
            "model_bytes": self.model_bytes,
            "disk_bytes": self.disk_bytes,
            "suggestions": {model: list(others) for model, others in self.suggestions.items()},
            "diff": self.diff,
            "stages": stages,
        }


def plan(
    options: Options, clock: StageClock, *, build: bool = False, show_needs: Callable[[Needed], None] = lambda _: None
) -> Planned:
    """Decide what `launch` would do with the same options.

    Args:
        options: As for a launch.
        clock: Times the stages.
        build: Build what can only be known so; that runs strangers' code.
        show_needs: Told what the Space loads and needs, while its packages are still to be resolved.
    """
    located = locate(options, clock)
    missing = ((need.replaces or need.id, needing.suggestions(need)) for need in located.models)
    needed = Needed(located, {model: others for model, others in missing if others})
    show_needs(needed)
    located = fitted(located, options, clock)
    resolved = packages(located, clock, build=build, offline=options.is_offline)
    if options.lock:
        _export_lock(located, resolved, options.lock, clock)
    return Planned(
        located=located,
        packages=resolved,
        build=sdks.of(located.card.runner).steps(located.card),
        container=containing.planned(located, options),
        system_packages=system_packages(located),
        large_file_bytes=sum(pointer.size for pointer in still_pointers(located.checkout)),
        model_bytes=needing.missing_bytes(located),
        diff="".join(map(unified_diff, located.source.edits)),
        suggestions=needed.suggestions,
    )


def packages(located: Located, clock: StageClock, *, build: bool, offline: bool) -> Resolution:
    """The packages of the environment that is there already, else what uv resolves without installing."""
    if located.environment_plan.empty:
        return Resolution((), (), 0, split=False)
    made = load(located.environment_plan.key)
    if made:
        installed = tuple(ResolvedPackage(name, version, 0, None, None) for name, version in made.packages)
        return Resolution(installed, (), 0, made.split)
    with clock.stage("environment", "resolving the packages"):
        return resolve(located.environment_plan, _interpreter(located, clock, offline=offline), build=build)


def _export_lock(located: Located, packages: Resolution, file: Path, clock: StageClock) -> None:
    environment = load(located.environment_plan.key)
    if environment:
        export_lock(located, environment, file)
        return
    if packages.unknown:
        raise RefusedError(
            f"A lock needs exact versions, and those of {one_line(', '.join(packages.unknown), 200)} are known only "
            "after they are built.",
            hint="Let it build them: spacerun launch SPACE --lock FILE",
            stage="environment",
        )
    plan = located.environment_plan
    direct = {text.split(" @ ")[0]: text for text in plan.overrides if " @ " in text}
    interpreter = _interpreter(located, clock, offline=False)
    with tempfile.TemporaryDirectory(prefix="spacerun-lock-") as scratch:
        text = lock_text(
            plan,
            None,
            space=located.name,
            commit=located.checkout.commit,
            system_packages=read_system_packages(located.checkout.directory).names,
            requirements=[direct.get(p.name, f"{p.name}=={p.version}") for p in packages.packages],
            python=interpreter.version if interpreter else None,
            scratch=Path(scratch),
            models=revisions(located),
        )
    write_atomic(file.expanduser(), text.encode())


def _interpreter(located: Located, clock: StageClock, *, offline: bool) -> Interpreter | None:
    wanted = located.environment_plan
    try:
        return find_python(
            wanted.python,
            required=wanted.python_required,
            # A plan downloads nothing but small text files, and so no Python.
            offline=True,
            progress=clock.progress,
            fallbacks=wanted.python_fallbacks,
        )
    except PrerequisiteError:
        if offline:
            raise
        return None


def missing_disk(planned: Planned) -> int:
    """Bytes of disk that a launch would lack; 0 where there is room."""
    free = shutil.disk_usage(planned.located.checkout.directory).free
    return max(0, planned.disk_bytes - free)
