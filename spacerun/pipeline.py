"""The pipeline: which stage follows which, and what runs beside what."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from spacerun import editing, hub
from spacerun.app import registry
from spacerun.app.command import LAUNCHABLE, start_command
from spacerun.app.ports import allocate_port
from spacerun.app.spec import AppSpec
from spacerun.app.variables import app_environment, download_cache
from spacerun.environment.as_of import LATEST, Evidence, decide, parse_as_of
from spacerun.environment.asked import requirement_files
from spacerun.environment.build import build
from spacerun.environment.bytecode import warm
from spacerun.environment.decision import Wanted, added, choose, decided_plan
from spacerun.environment.learning import gather
from spacerun.environment.lock import locked_plan, read_lock
from spacerun.environment.lock_writing import lock_text
from spacerun.environment.system import Consent, provide, read_system_packages
from spacerun.environment.torch_fit import fit_torch
from spacerun.errors import PackagesError, UsageError
from spacerun.gpu.devices import cuda_visible_devices, read_devices, select
from spacerun.ladder import Choice, lacking_packages, recall
from spacerun.lanes import Lanes
from spacerun.paths import home, write_atomic
from spacerun.source.hook_files import HookSettings, install_hook
from spacerun.space.card import read_card
from spacerun.space.checkout import check_out
from spacerun.space.find import find, remember
from spacerun.space.git import scrub_git_environment
from spacerun.space.history import last_change
from spacerun.space.lfs import fill, still_pointers
from spacerun.space.reference import LocalRef, SpaceRef, parse
from spacerun.space.submodules import fill_submodules
from spacerun.space.tree import Checkout, read_state, space_folder, update_state
from spacerun.text import one_line, size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from spacerun.environment.as_of import Rung
    from spacerun.environment.lock import Lock
    from spacerun.environment.plan import EnvironmentPlan
    from spacerun.environment.store import Environment
    from spacerun.gpu.devices import Device, DeviceReport
    from spacerun.ladder import Attempt
    from spacerun.progress import StageClock
    from spacerun.space.card import SpaceCard
    from spacerun.space.find import FoundSpace

    # All GPUs, and those that the app will see.
    Checked = tuple[DeviceReport, tuple[Device, ...]]


@dataclass(frozen=True)
class Options:
    """What the user asked for; see `spacerun launch --help`."""

    space: str
    share: bool = True
    require_share: bool = False
    host: str = "127.0.0.1"
    port: int | None = None
    gpu: str = "auto"
    python: str | None = None
    as_of: str = "auto"
    lock: Path | None = None
    locked: Path | None = None
    reuse_torch: bool = True
    packages: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    pass_token: bool = False
    directory: Path | None = None
    timeout_seconds: float | None = None
    system_packages: Consent = Consent.ASK
    confirm: Callable[[str], bool | None] | None = None
    attempts: int = 3
    offline: bool = False


@dataclass(frozen=True)
class Located:
    """A Space whose small files are here, and all that can be decided from them."""

    name: str
    found: FoundSpace | None
    checkout: Checkout
    card: SpaceCard
    source: editing.SourceEdit
    wanted: Wanted
    evidence: Evidence
    environment_plan: EnvironmentPlan


@dataclass(frozen=True)
class Prepared:
    """A Space that is ready to start."""

    located: Located
    environment: Environment
    devices: DeviceReport
    gpus: tuple[Device, ...]
    source: editing.SourceEdit
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True)
class Ready:
    """What to start, and the variables to start it with, which may be secret."""

    spec: AppSpec
    variables: dict[str, str]


def locate(options: Options, clock: StageClock) -> Located:
    """Find, clone, read: everything that is known before anything big is fetched and anything is executed."""
    scrub_git_environment()
    parse_as_of(options.as_of)
    lock = _lock(options)
    reference = parse(options.space, endpoint=hub.endpoint())
    offline = options.offline or hub.is_offline()
    found: FoundSpace | None = None
    if isinstance(reference, LocalRef):
        if options.directory:
            raise UsageError("--dir is for a Space on the Hub; a local folder runs where it is.")
        if not reference.directory.is_dir():
            raise UsageError(f"There is no folder {reference.directory}.", hint="Check the path, or give owner/name.")
        checkout = Checkout(str(reference.directory), None, reference.directory)
    else:
        with clock.stage("find", f"finding {options.space}") as stage:
            found = find(reference, progress=clock.progress, offline=offline)
            stage.text = f"{found.id} at {found.commit[:12]}"
        with clock.stage("clone", f"cloning {found.id}") as stage:
            token = hub.token()
            checkout = check_out(
                found,
                directory=options.directory,
                token=token,
                progress=clock.progress,
                unedited=editing.unedited,
                in_use=in_use,
                offline=offline,
            )
            remember(found, asked=reference.id if isinstance(reference, SpaceRef) else found.id)
            stage.text = f"{found.files} files"
    with clock.stage("source", "reading the code") as stage:
        card = read_card(checkout.directory)
        for warning in card.warnings:
            clock.progress.warn(warning)
        _require_launchable(card, found.id if found else str(checkout.directory))
        source = editing.decide(
            checkout,
            card.app_file,
            share=options.share,
            host=options.host,
            port=options.port,
            in_use=in_use(checkout.directory),
        )
        for warning in source.warnings:
            clock.progress.warn(warning)
        before = Choice() if lock else recall(found.id if found else "", checkout.commit).choice
        wanted = Wanted(
            checkout.directory,
            sdk=card.sdk,
            sdk_version=card.sdk_version,
            python_version=card.python_version,
            python_override=options.python or before.python,
            extra_packages=tuple(dict.fromkeys((*options.packages, *before.packages))),
            imports=source.imports,
            entry=card.app_file,
        )
        evidence = Evidence() if lock else _evidence(options, wanted, checkout, found, offline=offline)
        as_of = LATEST if lock else choose(options.as_of, evidence)
        if before.rung and options.as_of == "auto":
            as_of = decide(evidence, before.rung) or as_of
        plan = decided_plan(wanted, as_of, evidence, progress=clock.progress, offline=offline)
        if lock:
            space = found.id if found else str(checkout.directory)
            plan = locked_plan(lock, plan, space=space, commit=checkout.commit, python=options.python)
        stage.text = f"{card.app_file}: {_count(source)}"
    return Located(
        found.id if found else str(checkout.directory), found, checkout, card, source, wanted, evidence, plan
    )


def _lock(options: Options) -> Lock | None:
    """The lock that `--locked` names; it leaves nothing to choose."""
    if options.locked is None:
        return None
    if options.packages or options.as_of != "auto":
        raise UsageError("--locked takes the packages of the lock, so --with and --as-of cannot change them.")
    return read_lock(options.locked)


def _evidence(
    options: Options, wanted: Wanted, checkout: Checkout, found: FoundSpace | None, *, offline: bool
) -> Evidence:
    """What decides the date, as far as the user leaves it to be decided."""
    given = parse_as_of(options.as_of)
    if given == LATEST:
        return Evidence()
    changed = None
    if given is None:
        requirements = requirement_files(checkout.directory)
        changed = last_change(checkout, found, app_file=wanted.entry or "", requirements=requirements, offline=offline)
    return gather(wanted, changed, offline=offline)


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
    if as_of is None or located.environment_plan.locked:
        return None
    wanted = added(located.wanted, extra_packages)
    wanted = replace(wanted, python_override=python or wanted.python_override)
    offline = options.offline or hub.is_offline()
    plan = decided_plan(wanted, as_of, located.evidence, progress=clock.progress, offline=offline)
    return replace(located, wanted=wanted, environment_plan=plan)


def prepare(located: Located, options: Options, clock: StageClock) -> Prepared:
    """Everything up to the start. The environment is made while the large files stream in."""
    offline = options.offline or hub.is_offline()
    with Lanes() as lanes:
        if located.found and not _has_large_files(located.checkout):
            lanes.run(lambda: _fetch_large_files(located, clock, offline=offline))
        checking = lanes.run(lambda: check_gpus(options, clock))
        making = lanes.run(lambda: _make_environment(located, checking.result(), options, clock))
        # What Gradio imports is compiled as long as large files still stream in.
        warming = lanes.run(lambda: warm(making.result()[1]))
    located, environment = making.result()
    devices, gpus = checking.result()
    warming.result().stop()
    if options.lock:
        export_lock(located, environment, options.lock)
    with clock.stage("rewrite", "editing the launch call") as stage:
        source = editing.apply(located.checkout, located.source, environment.python)
        stage.text = "; ".join(one_line(f"{r.file}:{r.line} {r.after} ({r.how})") for r in source.rewrites)
    return Prepared(located, environment, devices, gpus, source)


def provide_system_packages(located: Located, options: Options, clock: StageClock) -> None:
    """Install what the Space's packages.txt asks for, as far as the user allows it."""
    packages = read_system_packages(located.checkout.directory)
    provide(packages, options.system_packages, confirm=options.confirm, progress=clock.progress)


def ready(prepared: Prepared, options: Options) -> Ready:
    """The command, the port, the start-up hook and the variables of the app."""
    located, environment = prepared.located, prepared.environment
    app_id = registry.new_id(located.name)
    port = allocate_port(options.host, options.port)
    hook = install_hook(
        registry.hook_folder(app_id),
        HookSettings(share=options.share, host=options.host, port=options.port, spare=port),
    )
    variables = app_environment(
        venv=environment.python.parent.parent,
        bytecode=environment.bytecode,
        hook=hook,
        hf_home=_hf_home(located),
        host=options.host,
        port=port,
        cuda_visible_devices=_cuda_choice(prepared, options.gpu),
        token=hub.token() if options.pass_token else None,
        given=options.variables,
    )
    spec = AppSpec(
        id=app_id,
        space=located.name,
        revision=located.checkout.commit,
        sdk=located.card.sdk,
        command=start_command(
            located.card.sdk, environment.python, located.card.app_file, host=options.host, port=port
        ),
        directory=str(located.checkout.directory),
        host=options.host,
        port=port,
        share=options.share,
        require_share=options.require_share,
        timeout_seconds=options.timeout_seconds or located.card.startup_seconds,
        watch=(str(download_cache()),),
    )
    return Ready(spec, variables)


def export_lock(located: Located, environment: Environment, file: Path) -> None:
    """Write the lock of this Space to `file`."""
    text = lock_text(
        located.environment_plan,
        environment,
        space=located.name,
        commit=located.checkout.commit,
        system_packages=read_system_packages(located.checkout.directory).names,
    )
    write_atomic(file.expanduser(), text.encode())


def check_gpus(options: Options, clock: StageClock) -> Checked:
    """The GPUs of this machine, and those that the app will see."""
    with clock.stage("check-gpu", "asking NVML for the GPUs") as stage:
        devices = read_devices()
        gpus = select(devices, options.gpu)
        stage.text = ", ".join(_describe(device) for device in gpus) or "no GPU is used"
    return devices, gpus


def fitted(located: Located, checked: Checked, options: Options, clock: StageClock) -> Located:
    """`located` with the PyTorch, if it brings one, that runs on the GPUs that the app will see."""
    devices, gpus = checked
    plan = fit_torch(
        located.environment_plan,
        gpus,
        devices,
        imports=located.wanted.imports,
        progress=clock.progress,
        offline=options.offline or hub.is_offline(),
        # What another installation holds has no hash.
        reuse=options.reuse_torch and options.lock is None,
    )
    return replace(located, environment_plan=plan)


def in_use(directory: Path) -> bool:
    """Whether a running app works in `directory`."""
    return any(record.directory == str(directory) for record in registry.records(active=True) if registry.alive(record))


def _fetch_large_files(located: Located, clock: StageClock, *, offline: bool) -> None:
    checkout, found = located.checkout, located.found
    assert found is not None  # noqa: S101 - only clones have large files to fetch
    waiting = still_pointers(checkout)
    with clock.stage("lfs", "fetching large files") as stage:
        token = hub.token()
        filled = fill(checkout, url=found.url, token=token, progress=clock.progress, offline=offline)
        if not offline:
            fill_submodules(checkout, url=found.url, token=token, progress=clock.progress)
        update_state(checkout.directory, large_files=True, filled=filled)
        stage.text = f"{len(waiting)} files, {size(sum(p.size for p in waiting))}" if waiting else ""


def _has_large_files(checkout: Checkout) -> bool:
    state = read_state(checkout.directory)
    return bool(state and state.large_files and not still_pointers(checkout))


def _make_environment(
    located: Located, checked: Checked, options: Options, clock: StageClock
) -> tuple[Located, Environment]:
    """The environment, and the plan that it follows: what the code imports and the plan lacks is added, if known."""
    offline = options.offline or hub.is_offline()
    with clock.stage("environment", "making the environment") as stage:
        located = fitted(located, checked, options, clock)
        environment = build(located.environment_plan, progress=clock.progress, offline=offline)
        lacking = () if options.locked else lacking_packages(located, environment, clock.progress)
        fuller = replan(located, options, clock, extra_packages=lacking) if lacking else None
        if fuller:
            fuller = fitted(fuller, checked, options, clock)
            try:
                environment = build(fuller.environment_plan, progress=clock.progress, offline=offline)
                located = fuller
            except PackagesError as error:
                clock.progress.warn(f"{', '.join(lacking)} could not be added: {error.message}")
        version = next((version for name, version in environment.packages if name == "gradio"), None)
        stage.text = f"Python {environment.python_version}" + (f", gradio {version}" if version else "")
        stage.text += "" if environment.created else " (as made before)"
    return located, environment


def _hf_home(located: Located) -> Path:
    """An HF_HOME for this Space alone: what one Space puts there (a tunnel client, remote code), no other runs."""
    if located.found:
        return space_folder(located.found.id) / "hf-home"
    return home().cache / "hf-homes" / located.name.strip("/").replace("/", "--")


def _require_launchable(card: SpaceCard, name: str) -> None:
    if card.sdk not in LAUNCHABLE:
        raise UsageError(
            f"{one_line(name)} is a {card.sdk} Space, and spacerun launches {' and '.join(sorted(LAUNCHABLE))} Spaces.",
            hint="Its files can be had with: hf download --repo-type space owner/name",
        )


def _cuda_choice(prepared: Prepared, choice: str) -> str | None:
    if choice == "auto" and not prepared.gpus:
        return None
    return cuda_visible_devices(prepared.gpus)


def _describe(device: Device) -> str:
    free = f", {size(device.free_bytes)} free" if device.free_bytes is not None else ""
    return f"GPU {device.label} {one_line(device.name)}{free}"


def _count(source: editing.SourceEdit) -> str:
    edits = sum(rewrite.how == "edit" for rewrite in source.rewrites)
    hooks = len(source.rewrites) - edits
    parts = [f"{edits} launch call{'s' if edits != 1 else ''} to edit"] if edits else []
    return ", ".join([*parts, *(["the start-up hook"] if hooks else [])]) or "its launch call is as wanted"
