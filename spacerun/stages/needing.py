"""The stage that tells what the code loads and needs, and refuses what cannot start: before anything is installed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from spacerun import hub
from spacerun.app.machine import LIKE_HUB
from spacerun.app.variables import download_cache, seen_by_app
from spacerun.errors import MissingSecretError, NotFoundError, UsageError
from spacerun.needs import adapters
from spacerun.needs.access import Access, HubModel, ask
from spacerun.needs.flow import Setting
from spacerun.needs.habits import Habit
from spacerun.needs.models import ModelNeed, join, preloads
from spacerun.needs.replacements import candidates
from spacerun.needs.report import Needs, read_needs
from spacerun.paths import locked, read_json, write_json
from spacerun.report import located_data
from spacerun.space.tree import space_folder
from spacerun.text import names_secret, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from spacerun.editing import SourceEdit
    from spacerun.needs.load import Load
    from spacerun.needs.variables import Variable
    from spacerun.progress import StageClock
    from spacerun.space.card import SpaceCard
    from spacerun.space.find import FoundSpace
    from spacerun.space.tree import Checkout
    from spacerun.stages import Checked, Located, Options

_MOST_ASKED: Final = 100
_HIDDEN: Final = "***"
_KEPT_SECONDS: Final = 24 * 3600.0
_KEPT: Final = 500
_TOKENS: Final = frozenset({"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN", "HUGGINGFACE_TOKEN"})


def read(options: Options, checkout: Checkout, card: SpaceCard, source: SourceEdit, checked: Checked) -> Needs:
    """What the code says, read as for this machine and with what the user gives the app."""
    if source.project is None:
        return Needs()
    directory = checkout.directory.resolve()

    def path(name: str) -> Path | None:
        # A link that leads out of the Space is not the Space's.
        found = (directory / name).resolve()
        return found if found.is_relative_to(directory) else None

    def content(name: str) -> bytes | None:
        found = path(name)
        return found.read_bytes() if found and found.is_file() else None

    def exists(name: str) -> bool:
        found = path(name)
        return bool(found and found.exists())

    setting = Setting(bool(checked.gpus), _variables(options, content(".env"), source), content, exists)
    needs = read_needs(source.project, setting)
    if needs.gpu_uses and not setting.gpu:
        # It does not run here; what it would take on a machine where it does is what is to be told.
        needs = read_needs(source.project, replace(setting, gpu=True))
    login = (Habit("oauth", "README.md", "hf_oauth: true"),) if card.oauth else ()
    return replace(needs, habits=(*needs.habits, *login))


def _variables(options: Options, dotenv: bytes | None, source: SourceEdit) -> Mapping[str, str]:
    """The variables that the app will see: its own `.env` among them, if it reads one; secrets without their values."""
    token = hub.token() if options.pass_token else None
    seen = seen_by_app(options.variables, token, like_hub=options.like_hub)
    # What is read of the code is shown, and a secret may be part of it.
    seen = {name: _HIDDEN if value and names_secret(name) else value for name, value in seen.items()}
    if dotenv is None or "dotenv" not in source.imports:
        return seen
    rows = (line.removeprefix("export ").partition("=") for line in dotenv.decode(errors="replace").splitlines())
    own = {name.strip(): value.strip().strip("'\"") for name, equals, value in rows if equals and "#" not in name}
    return own | seen


def models(
    options: Options,
    card: SpaceCard,
    found: FoundSpace | None,
    name: str,
    needs: Needs,
    pinned: Mapping[str, str | None],
) -> tuple[ModelNeed, ...]:
    """The models of a Space, and who may read each, all asked of the Hub at once.

    Raises:
        UsageError: `--replace-model` names a model that the Space does not.
    """
    others = {
        "the card": card.models,
        "preload_from_hub": preloads(card.preloads),
        "the Hub": found.models if found else (),
    }
    joined = join(needs.loads, others, options.replaced_models)
    offline = options.is_offline
    bases = () if offline else adapters.bases(load for load in needs.loads if load.id not in options.replaced_models)
    joined += _bases(needs.loads, bases, {need.id for need in joined})
    known = {need.replaces or need.id for need in joined}
    if strangers := [old for old in options.replaced_models if old not in known]:
        raise UsageError(
            f"{one_line(name)} loads no model {one_line(strangers[0], 80)}, as far as its code tells.",
            hint=f"It loads: {one_line(', '.join(sorted(known)) or 'none that can be told', 300)}",
        )
    wanted = {need.id: need.load.revision if need.load else None for need in joined if need.on_hub}
    asked = dict(list(wanted.items())[:_MOST_ASKED])
    answers = _remembered(name, asked) if found and not pinned else {}
    if not offline:
        fresh = ask((model, revision) for model, revision in asked.items() if model not in answers)
        answers |= fresh
        if found:
            _remember(name, fresh, asked)
    return tuple(
        replace(need, found=_pinned(answers[need.id], pinned)) if need.on_hub and need.id in answers else need
        for need in joined
    )


def _bases(loads: Sequence[Load], bases: Sequence[tuple[str, str]], known: set[str]) -> tuple[ModelNeed, ...]:
    """The base models that adapters bring, which are loaded as these are."""
    by_id = {load.id: load for load in loads if load.brings_base}
    return tuple(
        ModelNeed(
            base,
            (f"adapter_config.json of {adapter}",),
            replace(by_id[adapter], id=base, role="weights", brings_base=False, file=None),
        )
        for adapter, base in dict(bases).items()
        if base not in known
    )


def _pinned(model: HubModel, pinned: Mapping[str, str | None]) -> HubModel:
    return replace(model, revision=pinned[model.id]) if pinned.get(model.id) else model


def require(located: Located, options: Options, clock: StageClock) -> Options:
    """Refuse to go on without what the app does not start without; the options, with what the user was asked for.

    Raises:
        MissingSecretError: A value is missing, and nobody is there to give it.
        NotFoundError: A model is missing, private or gated.
    """
    options = require_secrets(located, options)
    require_models(located, options, clock)
    return options


def require_models(located: Located, options: Options, clock: StageClock) -> None:
    """Refuse to go on without a model that the app starts with, unless `--force` is given.

    Raises:
        NotFoundError: It is missing, private or gated.
    """
    problems = [(need, told) for need in located.models if (told := _problem(need, located, options))]
    fatal = next((told for need, told in problems if need.required and not options.force), None)
    for _, told in problems:
        if told is not fatal:
            clock.progress.warn(" ".join(told))
    if fatal:
        hint = f"{fatal[1]}. Or start it all the same: --force"
        raise NotFoundError(fatal[0], hint=hint, stage="source", data=located_data(located))


def require_secrets(located: Located, options: Options) -> Options:
    """Ask the user for what the app does not start without; the options, with what was answered.

    Raises:
        MissingSecretError: A value is missing, and nobody is there to give it.
    """
    given = dict(options.variables)
    missing = [row for row in located.needs.variables if row.required and row.name not in given]
    for row in missing:
        value = (
            options.ask(f"{located.name} does not start without {row.name} ({row.places[0]}). Its value")
            if options.ask
            else None
        )
        if value is None:
            raise _missing_secret(located, missing)
        given[row.name] = value
    return replace(options, variables=given)


def _missing_secret(located: Located, missing: Sequence[Variable]) -> MissingSecretError:
    names = ", ".join(dict.fromkeys(row.name for row in missing))
    first = missing[0]
    give = " ".join(f"--env {row.name}=…" for row in missing)
    token = " (or your own token: --pass-token)" if any(row.name in _TOKENS for row in missing) else ""
    as_there = " (or all that Hugging Face sets: --like-hub)" if LIKE_HUB.keys() & set(names.split(", ")) else ""
    return MissingSecretError(
        f"{located.name} does not start without {one_line(names)}, which {one_line(first.places[0])} reads.",
        hint=f"Give it: spacerun launch {located.name} {give}{token}{as_there}. To try without: --env {first.name}=",
        stage="source",
        data=located_data(located),
    )


def _problem(need: ModelNeed, located: Located, options: Options) -> tuple[str, str] | None:
    """What stands between the app and a model, and what to do about it; None where nothing is known to."""
    found = need.found
    if found is None or need.load is None or found.access in {Access.PUBLIC, Access.UNKNOWN}:
        return None
    where = need.sources[0]
    has_token = options.pass_token or any(name in options.variables for name in _TOKENS)
    again = f"spacerun launch {located.name}"
    if found.readable:
        if has_token:
            return None
        kind = "gated" if found.access is Access.GATED else "private"
        return (
            f"{need.id} ({where}) is {kind}, and the app gets no token.",
            f"Yours may read it: {again} --pass-token",
        )
    if found.access is Access.GATED:
        return (
            f"{need.id} ({where}) is gated: its owner wants to know who uses it.",
            f"Accept its terms at {found.page}, log in with `hf auth login`, then: {again} --pass-token",
        )
    stand_ins = suggestions(need)
    replacement = stand_ins[0] if stand_ins else "NEW"
    more = f" (or {', '.join(stand_ins[1:])})" if len(stand_ins) > 1 else ""
    return (
        f"{need.id} ({where}) is missing or private.",
        f"Try another: {again} --replace-model {need.replaces or need.id}={replacement}{more}",
    )


def missing_bytes(located: Located) -> int:
    """Bytes of the models that the app surely loads and the download cache lacks, as far as they are known."""
    from huggingface_hub import try_to_load_from_cache

    cache = download_cache()
    missing: dict[tuple[str, str], int] = {}
    for need in located.models:
        found = need.found
        if found is None or need.load is None or need.load.choice:
            continue
        for file in need.files or ():
            if not isinstance(try_to_load_from_cache(need.id, file, cache_dir=cache, revision=found.revision), str):
                missing[need.id, file] = found.sizes[file]
    return sum(missing.values())


def suggestions(need: ModelNeed) -> tuple[str, ...]:
    """What may stand in for a model that is missing."""
    if need.access is not Access.MISSING or (need.found and need.found.readable):
        return ()
    found = ask((candidate.id, None) for candidate in candidates(need.replaces or need.id))
    return tuple(model.id for model in found.values() if model.access is not Access.MISSING)


# -- what was asked within a day -------------------------------------------------------------------------------------


def _remembered(space: str, wanted: Mapping[str, str | None]) -> dict[str, HubModel]:
    """Public models that were found within a day: the next launch asks nobody."""
    rows = read_json(_memory(space)) or {}
    found = {}
    for name, row in rows.items() if isinstance(rows, dict) else ():
        try:
            if name in wanted and time.time() - row["asked"] < _KEPT_SECONDS and row["for"] == wanted[name]:
                found[name] = HubModel.from_json(row["model"])
        except (TypeError, KeyError, ValueError):
            continue
    return found


def _remember(space: str, fresh: Mapping[str, HubModel], wanted: Mapping[str, str | None]) -> None:
    public = {name: model for name, model in fresh.items() if model.access is Access.PUBLIC}
    if not public:
        return
    with locked(f"models-{space.replace('/', '--')[-100:]}"):
        before = read_json(_memory(space))
        now = time.time()
        rows = {name: {"asked": now, "for": wanted[name], "model": model.to_json()} for name, model in public.items()}
        merged = (before if isinstance(before, dict) else {}) | rows
        write_json(_memory(space), dict(list(merged.items())[-_KEPT:]))


def _memory(space: str) -> Path:
    return space_folder(space) / "models.json"
