"""The stages up to the plan: find the Space, clone it, read its code, decide on its environment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spacerun import editing, hub, sdks
from spacerun.app import registry
from spacerun.environment.as_of import LATEST, Evidence, decide, parse_as_of
from spacerun.environment.asked import requirement_files
from spacerun.environment.decision import Wanted, choose, decided_plan
from spacerun.environment.learning import gather
from spacerun.environment.lock import locked_plan, read_lock
from spacerun.environment.plan import no_plan
from spacerun.errors import UsageError
from spacerun.ladder import Choice, recall
from spacerun.lanes import Lanes
from spacerun.source.rewrite import Wanted as Launched
from spacerun.space.card import read_card
from spacerun.space.checkout import check_out
from spacerun.space.find import find, remember
from spacerun.space.history import last_change
from spacerun.space.reference import LocalRef, SpaceRef, parse
from spacerun.space.tree import Checkout
from spacerun.stages import Located, containing, fitting, needing, sizing

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.environment.lock import Lock
    from spacerun.environment.plan import EnvironmentPlan
    from spacerun.progress import StageClock
    from spacerun.space.card import SpaceCard
    from spacerun.space.find import FoundSpace
    from spacerun.stages import Checked, Options


def obtain(options: Options, clock: StageClock) -> tuple[FoundSpace | None, Checkout]:
    """The Space as the Hub knows it and its small files on this disk; a local folder is taken as it is."""
    reference = parse(options.space, endpoint=hub.endpoint())
    if isinstance(reference, LocalRef):
        if options.directory:
            raise UsageError("--dir is for a Space on the Hub; a local folder runs where it is.")
        if not reference.directory.is_dir():
            raise UsageError(f"There is no folder {reference.directory}.", hint="Check the path, or give owner/name.")
        return None, Checkout(str(reference.directory), None, reference.directory)
    with clock.stage("find", f"finding {options.space}") as stage:
        found = find(reference, progress=clock.progress, offline=options.is_offline)
        stage.text = f"{found.id} at {found.commit[:12]}"
    with clock.stage("clone", f"cloning {found.id}") as stage:
        checkout = check_out(
            found,
            directory=options.directory,
            token=hub.token(),
            progress=clock.progress,
            unedited=editing.unedited,
            in_use=in_use,
            offline=options.is_offline,
        )
        remember(found, asked=reference.id if isinstance(reference, SpaceRef) else found.id)
        stage.text = f"{found.files} files"
    return found, checkout


def read(
    options: Options, clock: StageClock, found: FoundSpace | None, checkout: Checkout, checked: Checked
) -> Located:
    """What the card and the code say, and the environment that follows; the Hub is asked for models beside it."""
    with clock.stage("source", "reading the code") as stage:
        own = containing.contained(read_card(checkout.directory), checkout, options)
        card = own.card
        sdk = sdks.of(card.runner)
        source = _decided_edit(options, checkout, card, edited=sdk.wants_python)
        for warning in (*card.warnings, *source.warnings):
            clock.progress.warn(warning)
        if (options.lock or options.locked) and not sdk.wants_python:
            raise UsageError(f"A {card.sdk} Space installs no packages, so there is nothing to lock.")
        lock = read_locked(options)
        needs = needing.read(
            replace(options, variables={**own.variables, **options.variables}), checkout, card, source, checked
        )
        before = Choice() if lock else recall(checkout.space, checkout.commit).choice
        wanted = Wanted(
            checkout.directory,
            sdk=card.sdk,
            sdk_version=card.sdk_version,
            python_version=card.python_version,
            python_override=options.python or before.python,
            extra_packages=tuple(dict.fromkeys((*options.packages, *before.packages))),
            imports=source.imports,
            entry=card.app_file,
            named=own.packages,
        )
        with Lanes() as lanes:
            asking = lanes.run(
                lambda: needing.models(options, card, found, checkout.space, needs, lock.models if lock else {})
            )
            weighing = lanes.run(
                lambda: sizing.read_models(asking.result(), found, checkout, offline=options.is_offline)
            )
            evidence, plan = Evidence(), no_plan(checkout.directory)
            if sdk.wants_python:
                evidence = evidence if lock else _evidence(options, wanted, checkout, found)
                plan = _plan(options, clock, wanted, evidence, before, lock)
        if lock:
            plan = locked_plan(lock, plan, space=checkout.space, commit=checkout.commit, python=options.python)
        models, sized = asking.result(), weighing.result()
        fit, setting = fitting.fit(checkout.space, sized, needs, plan, checked, options.gpu)
        said = _count(source) if sdk.wants_python else "no Python to install"
        stage.text = f"{card.app_file or card.sdk}: {said}" + (f", {len(models)} models" if models else "")
    return Located(
        name=checkout.space,
        found=found,
        checkout=checkout,
        card=card,
        checked=checked,
        source=source,
        needs=needs,
        models=models,
        wanted=wanted,
        evidence=evidence,
        environment_plan=plan,
        sized=sized,
        setting=setting,
        fit=fit,
    )


def read_locked(options: Options) -> Lock | None:
    """The lock that `--locked` names; it leaves nothing to choose."""
    if options.locked is None:
        return None
    if options.packages or options.as_of != "auto":
        raise UsageError("--locked takes the packages of the lock, so --with and --as-of cannot change them.")
    return read_lock(options.locked)


def _plan(
    options: Options, clock: StageClock, wanted: Wanted, evidence: Evidence, before: Choice, lock: Lock | None
) -> EnvironmentPlan:
    as_of = LATEST if lock else choose(options.as_of, evidence)
    if before.rung and options.as_of == "auto":
        as_of = decide(evidence, before.rung) or as_of
    return decided_plan(wanted, as_of, evidence, progress=clock.progress, offline=options.is_offline)


def _evidence(options: Options, wanted: Wanted, checkout: Checkout, found: FoundSpace | None) -> Evidence:
    """What decides the date, as far as the user leaves it to be decided."""
    given = parse_as_of(options.as_of)
    if given == LATEST:
        return Evidence()
    changed = None
    if given is None:
        requirements = requirement_files(checkout.directory)
        changed = last_change(
            checkout, found, app_file=wanted.entry or "", requirements=requirements, offline=options.is_offline
        )
    return gather(wanted, changed, offline=options.is_offline)


def in_use(directory: Path) -> bool:
    """Whether a running app works in `directory`."""
    return any(record.directory == str(directory) for record in registry.records(active=True) if registry.alive(record))


def _decided_edit(options: Options, checkout: Checkout, card: SpaceCard, *, edited: bool) -> editing.SourceEdit:
    if not edited and (card.sdk != "docker" or not card.app_file):
        return editing.NO_CODE
    source = editing.decide(
        checkout,
        card.app_file,
        # Gradio inside of another server is behind that one's link.
        Launched(options.share and card.run_as != "nocontainer", options.host, options.port),
        in_use=in_use(checkout.directory),
        models=options.replaced_models,
    )
    # What goes into an image is read, and stays as it is.
    return source if edited else replace(source, edits=(), in_clone=False, warnings=())


def _count(source: editing.SourceEdit) -> str:
    edits = sum(rewrite.how == "edit" for rewrite in source.rewrites)
    hooks = len(source.rewrites) - edits
    parts = [f"{edits} launch call{'s' if edits != 1 else ''} to edit"] if edits else []
    return ", ".join([*parts, *(["the start-up hook"] if hooks else [])]) or "its launch call is as wanted"
