"""The stages before the start: large files, GPUs, environment, system packages, lock."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spacerun import editing, hub
from spacerun.environment.as_of import decide
from spacerun.environment.build import build
from spacerun.environment.decision import added, decided_plan
from spacerun.environment.lock_writing import lock_text
from spacerun.environment.system import SystemPackages, provide, read_system_packages
from spacerun.environment.torch_fit import fit_torch
from spacerun.errors import PackagesError
from spacerun.gpu.devices import read_devices, select
from spacerun.ladder import lacking_packages
from spacerun.paths import write_atomic
from spacerun.space.lfs import fill, still_pointers
from spacerun.space.submodules import fill_submodules
from spacerun.space.tree import read_state, update_state
from spacerun.stages import Checked
from spacerun.text import one_line, size

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.editing import SourceEdit
    from spacerun.environment.as_of import Rung
    from spacerun.environment.store import Environment
    from spacerun.gpu.devices import Device
    from spacerun.progress import StageClock
    from spacerun.space.tree import Checkout
    from spacerun.stages import Located, Options


def fetch_large_files(located: Located, options: Options, clock: StageClock) -> None:
    """Put the large files and the submodules of a clone in place."""
    checkout, found = located.checkout, located.found
    assert found is not None  # noqa: S101 - only clones have large files to fetch
    waiting = still_pointers(checkout)
    with clock.stage("lfs", "fetching large files") as stage:
        token = hub.token()
        filled = fill(checkout, url=found.url, token=token, progress=clock.progress, offline=options.is_offline)
        if not options.is_offline:
            fill_submodules(checkout, url=found.url, token=token, progress=clock.progress)
        # Offline, submodules were left out.
        update_state(checkout.directory, large_files=not options.is_offline, filled=filled)
        stage.text = f"{len(waiting)} files, {size(sum(p.size for p in waiting))}" if waiting else ""


def has_large_files(checkout: Checkout) -> bool:
    """Whether all of them are in place."""
    state = read_state(checkout.directory)
    return bool(state and state.large_files and not still_pointers(checkout))


def check_gpus(options: Options, clock: StageClock) -> Checked:
    """The GPUs of this machine, and those that the app will see."""
    with clock.stage("check-gpu", "asking NVML for the GPUs") as stage:
        devices = read_devices()
        gpus = select(devices, options.gpu)
        stage.text = ", ".join(_describe(device) for device in gpus) or "no GPU is used"
    return Checked(devices, gpus)


def fitted(located: Located, options: Options, clock: StageClock) -> Located:
    """`located` with the PyTorch, if it brings one, that runs on the GPUs that the app will see."""
    if located.environment_plan.empty:
        return located
    plan = fit_torch(
        located.environment_plan,
        located.checked.gpus,
        located.checked.devices,
        imports=located.wanted.imports,
        progress=clock.progress,
        offline=options.is_offline,
        # What another installation holds has no hash.
        reuse=options.reuse_torch and options.lock is None,
    )
    return replace(located, environment_plan=plan)


def make_environment(located: Located, options: Options, clock: StageClock) -> tuple[Located, Environment]:
    """The environment, and the plan that it follows: what the code imports and the plan lacks is added, if known."""
    with clock.stage("environment", "making the environment") as stage:
        located = fitted(located, options, clock)
        environment = build(located.environment_plan, progress=clock.progress, offline=options.is_offline)
        lacking = () if options.locked else lacking_packages(located, environment, clock.progress)
        fuller = replan(located, options, clock, extra_packages=lacking) if lacking else None
        if fuller:
            fuller = fitted(fuller, options, clock)
            try:
                environment = build(fuller.environment_plan, progress=clock.progress, offline=options.is_offline)
                located = fuller
            except PackagesError as error:
                clock.progress.warn(f"{', '.join(lacking)} could not be added: {error.message}")
        sdk = located.card.sdk
        version = next((version for name, version in environment.packages if name == sdk), None)
        stage.text = f"Python {environment.python_version}" + (f", {sdk} {version}" if version else "")
        stage.text += "" if environment.created else " (as made before)"
    return located, environment


def edit(located: Located, environment: Environment, clock: StageClock) -> SourceEdit:
    """Edit the launch calls in the clone."""
    with clock.stage("rewrite", "editing the launch call") as stage:
        source = editing.apply(located.checkout, located.source, environment.python)
        stage.text = "; ".join(one_line(f"{r.file}:{r.line} {r.after} ({r.how})") for r in source.rewrites)
    return source


def replan(
    located: Located,
    options: Options,
    clock: StageClock,
    *,
    rung: Rung | None = None,
    extra_packages: tuple[str, ...] = (),
    python: str | None = None,
) -> Located | None:
    """`located` with another environment: packages chosen as `rung` says, or some added.

    Args:
        located: What was decided before.
        options: What the user asked for.
        clock: Its progress is told what was decided.
        rung: How to choose packages; None keeps the date.
        extra_packages: Requirements to add to those of the user.
        python: Version of Python; None keeps it.

    Returns:
        None where `rung` has nothing to go by, such as no release date of the SDK.
    """
    as_of = located.environment_plan.as_of if rung is None else decide(located.evidence, rung)
    if as_of is None or located.environment_plan.locked or located.environment_plan.empty:
        return None
    wanted = added(located.wanted, extra_packages)
    wanted = replace(wanted, python_override=python or wanted.python_override)
    plan = decided_plan(wanted, as_of, located.evidence, progress=clock.progress, offline=options.is_offline)
    return replace(located, wanted=wanted, environment_plan=plan)


def provide_system_packages(located: Located, options: Options, clock: StageClock) -> None:
    """Install what the Space's packages.txt asks for, as far as the user allows it."""
    packages = system_packages(located)
    provide(packages, options.system_packages, confirm=options.confirm, progress=clock.progress)


def system_packages(located: Located) -> SystemPackages:
    """What the Space's packages.txt asks for; Hugging Face reads none where there is no Python, and neither do we."""
    if located.environment_plan.empty:
        return SystemPackages()
    return read_system_packages(located.checkout.directory)


def export_lock(located: Located, environment: Environment, file: Path) -> None:
    """Write the lock of this Space to `file`."""
    text = lock_text(
        located.environment_plan,
        environment,
        space=located.name,
        commit=located.checkout.commit,
        system_packages=read_system_packages(located.checkout.directory).names,
        models=revisions(located),
    )
    write_atomic(file.expanduser(), text.encode())


def revisions(located: Located) -> dict[str, str]:
    """The models of the Hub that the Space loads, each with the commit that it is at."""
    found = {need.id: need.found.revision for need in located.models if need.load and need.on_hub and need.found}
    return {model: revision for model, revision in found.items() if revision}


def _describe(device: Device) -> str:
    free = f", {size(device.free_bytes)} free" if device.free_bytes is not None else ""
    return f"GPU {device.label} {one_line(device.name)}{free}"
