"""A plan made real: a virtual environment, complete or absent, shared by all Spaces with the same plan."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from spacerun.environment.lock import check_python
from spacerun.environment.lock_writing import write_lock
from spacerun.environment.plan import BASE_LAYER
from spacerun.environment.python import Interpreter, find_python
from spacerun.environment.requirements import Kind
from spacerun.environment.store import Environment, clear, folder_of, load, lock_of, save, touch
from spacerun.environment.torch_reuse import lend
from spacerun.environment.uv import STAGE, UnresolvableError, free_bytes, no_space, run_uv
from spacerun.errors import PackagesError
from spacerun.paths import locked
from spacerun.text import one_line, size

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from spacerun.environment.plan import EnvironmentPlan, InstallStep
    from spacerun.progress import Progress

# A Gradio environment whose wheels are all in uv's cache takes 25 MB of its own; with less than this it is hopeless.
_LEAST_FREE_BYTES: Final = 200 << 20
_WORTH_TELLING: Final = (
    "Resolved",
    "Downloading",
    "Downloaded",
    "Updating",
    "Building",
    "Built",
    "Prepared",
    "Installed",
)


def build(plan: EnvironmentPlan, *, progress: Progress, offline: bool) -> Environment:
    """The environment of `plan`: the one on disk if it is complete, else made now.

    Reuse starts no process. What an earlier, killed run left half-built is removed first.

    Args:
        plan: What to make.
        progress: Told of each step.
        offline: Use only what uv's cache holds.

    Raises:
        PackagesError: The packages cannot be resolved, built or downloaded.
        PrerequisiteError: No such Python, no uv, or no space on the disk.
    """
    ready = load(plan.key)
    if not ready:
        with locked(lock_of(plan.key), on_wait=lambda: progress.note("Another spacerun is making this environment.")):
            ready = load(plan.key) or _make(plan, progress=progress, offline=offline)
    touch(plan.key)
    return ready


def _make(plan: EnvironmentPlan, *, progress: Progress, offline: bool) -> Environment:
    directory = folder_of(plan.key)
    clear(directory)
    _require_space(directory)
    interpreter = find_python(
        plan.python,
        required=plan.python_required,
        offline=offline,
        progress=progress,
        fallbacks=plan.python_fallbacks,
    )
    check_python(plan, interpreter.version)
    # uv outlives a spacerun that is killed outright and goes on writing: a new name each time keeps it out of the next.
    venv = directory / f"venv-{secrets.token_hex(4)}"
    directory.mkdir(parents=True, exist_ok=True)
    try:
        _make_venv(venv, interpreter)
        installer = _Installer(plan, venv, progress=progress, offline=offline)
        for step in plan.steps:
            installer.install_or_split(step)
        if plan.borrowed:
            lend(plan.borrowed, venv)
        _lock(plan, venv, interpreter, progress)
    except BaseException:
        clear(directory)
        raise
    environment = Environment(
        directory=directory,
        python=venv / "bin" / "python",
        python_version=interpreter.version,
        key=plan.key,
        created=True,
        packages=tuple(sorted({*_packages(venv), *(plan.borrowed.packages if plan.borrowed else ())})),
        split=installer.split,
    )
    save(environment)
    return environment


def _lock(plan: EnvironmentPlan, venv: Path, interpreter: Interpreter, progress: Progress) -> None:
    try:
        write_lock(plan, venv, interpreter.version)
    except PackagesError as error:
        # The environment is sound all the same; `--lock` says that it has none.
        progress.note(f"The environment has no lock: {one_line(error.message)}")


def _make_venv(venv: Path, interpreter: Interpreter) -> None:
    run_uv(
        ["venv", venv, "--python", interpreter.path, "--no-project"],
        doing=f"No virtual environment could be made with {interpreter.path}",
    )


class _Installer:
    """Installs the steps of one plan into one virtual environment."""

    def __init__(self, plan: EnvironmentPlan, venv: Path, *, progress: Progress, offline: bool) -> None:
        self.plan = plan
        self.venv = venv
        self.progress = progress
        self.offline = offline
        self.split = plan.split

    def install_or_split(self, step: InstallStep) -> None:
        """Install `step`, or what it says to install otherwise if its requirements contradict each other."""
        try:
            self.install(step)
        except UnresolvableError as error:
            if not step.otherwise:
                raise
            for part in step.otherwise:
                self.install(part)
            if step.name == BASE_LAYER:
                self.progress.note(f"The builder's base layer cannot be had: {one_line(error.message)}")
                return
            self.split = True
            self.progress.warn(
                "The requirements contradict the SDK's version, which was installed after them, as on Hugging Face: "
                + one_line(error.message)
            )

    def install(self, step: InstallStep) -> None:
        """Install `step`.

        What shares a step with a local package comes first and by itself: packages that uv builds while setuptools is
        pointed away from the tree would find each other's files.
        """
        local = [line for line in step.lines if line.kind is Kind.LOCAL]
        if not local:
            self._install(step)
            return
        others = tuple(line for line in step.lines if line.kind is not Kind.LOCAL)
        if any(line.kind is not Kind.OPTION for line in others):
            self._install(replace(step, name=f"{step.name} but local packages", lines=others))
        self._install(step, variables={"UV_CONCURRENT_BUILDS": "1", **_kept_out_of_tree(self.venv.parent)})

    def _install(self, step: InstallStep, variables: dict[str, str] | None = None) -> None:
        files = self.venv.parent / "recipe"
        files.mkdir(exist_ok=True)
        run_uv(
            [
                *("pip", "install", "--python", self.venv / "bin" / "python"),
                *("-r", write_requirements(step, files)),
                *(["--require-hashes"] if _is_hashed(step) else []),
                *step_options(self.plan, step, files),
            ],
            doing="The packages could not be installed",
            cwd=self.plan.directory,
            offline=self.offline,
            variables=variables,
            on_line=lambda line: self._tell(step, line),
        )

    def _tell(self, step: InstallStep, line: str) -> None:
        if line.startswith(_WORTH_TELLING):
            self.progress.update(STAGE, f"{step.name}: {one_line(line)}")


def write_requirements(step: InstallStep, folder: Path) -> Path:
    """Write the requirement file of `step` to `folder`."""
    return _write(folder / f"{_stem(step)}.txt", (line.text for line in step.lines))


def step_options(plan: EnvironmentPlan, step: InstallStep, folder: Path) -> list[str | Path]:
    """Options that `uv pip install` and `uv pip compile` share for `step`; constraints are written to `folder`."""
    # A Space's [tool.uv.sources] means nothing to pip, which the builder runs.
    options: list[str | Path] = ["--no-sources", *(["--no-deps"] if step.exact else [])]
    if step.constraints:
        options += ["-c", _write(folder / f"{_stem(step)}.constraints.txt", step.constraints)]
    if any(line.text.startswith("--extra-index-url") for line in step.lines):
        # As pip does: the best version of all indexes, not all versions of the first index that has one.
        options += ["--index-strategy", "unsafe-best-match"]
    if plan.as_of.date:
        options += ["--exclude-newer", plan.as_of.date]
    for name, date in plan.package_dates:
        options += ["--exclude-newer-package", f"{name}={date}"]
    if plan.overrides:
        options += ["--overrides", _write(folder / "overrides.txt", plan.overrides)]
    if plan.prerelease:
        options += ["--prerelease", "allow"]
    return options


def _is_hashed(step: InstallStep) -> bool:
    return step.exact and any(" --hash=" in line.text for line in step.lines)


def _stem(step: InstallStep) -> str:
    return step.name.replace(" ", "-").removesuffix(".txt")


def _write(file: Path, lines: Iterable[str]) -> Path:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def _kept_out_of_tree(directory: Path) -> dict[str, str]:
    """Variables that make setuptools leave `build` and `*.egg-info` here instead of in a local package's folder.

    All that is built by one call of uv shares that folder, and a wheel holds whatever lies in `build/lib`.
    """
    scratch = directory / "recipe" / "setuptools"
    scratch.mkdir(parents=True, exist_ok=True)
    config = scratch / "distutils.cfg"
    escaped = str(scratch).replace("%", "%%")
    config.write_text(f"[egg_info]\negg_base = {escaped}\n[build]\nbuild_base = {escaped}/build\n", encoding="utf-8")
    return {"DIST_EXTRA_CONFIG": str(config)}


def _packages(venv: Path) -> tuple[tuple[str, str], ...]:
    import importlib.metadata

    sites = [str(path) for path in venv.glob("lib/python*/site-packages")]
    found = importlib.metadata.distributions(path=sites)
    return tuple(sorted({(item.metadata["Name"], item.version) for item in found if item.metadata["Name"]}))


def _require_space(directory: Path) -> None:
    free = free_bytes(directory)
    if free is not None and free < _LEAST_FREE_BYTES:
        raise no_space("The environment cannot be made", f"At least {size(_LEAST_FREE_BYTES)} are needed.")
