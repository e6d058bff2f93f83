"""The stage that turns a prepared Space into a command, with a port, a start-up hook and variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spacerun import hub
from spacerun.app import registry
from spacerun.app.command import start_command
from spacerun.app.ports import allocate_port
from spacerun.app.spec import AppSpec
from spacerun.app.variables import app_environment, download_cache
from spacerun.gpu.devices import cuda_visible_devices
from spacerun.memory import ledger
from spacerun.paths import home
from spacerun.source.hook_files import FetchedModel, HookSettings, install_hook
from spacerun.space.tree import space_folder
from spacerun.stages import Ready
from spacerun.stages.preparing import revisions

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.stages import Located, Options, Prepared


def ready(prepared: Prepared, options: Options) -> Ready:
    """The command, the port, the start-up hook and the variables of the app."""
    located, environment = prepared.located, prepared.environment
    app_id = registry.new_id(located.name)
    port = allocate_port(options.host, options.port)
    hook = install_hook(
        registry.hook_folder(app_id),
        HookSettings(options.share, options.host, options.port, spare=port, models=_fetched(located, options)),
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
        gpus=tuple(device.uuid for device in located.fit.gpus),
        estimate=_expected(located),
    )
    return Ready(spec, variables)


def _hf_home(located: Located) -> Path:
    """An HF_HOME for this Space alone: what one Space puts there (a tunnel client, remote code), no other runs."""
    if located.found:
        return space_folder(located.found.id) / "hf-home"
    return home().cache / "hf-homes" / located.name.strip("/").replace("/", "--")


def _fetched(located: Located, options: Options) -> dict[str, FetchedModel]:
    """Models to fetch otherwise than the code says: those that are replaced, and those that a lock pins."""
    pinned = revisions(located) if options.locked else {}
    fetched = {model: FetchedModel(model, revision) for model, revision in pinned.items()}
    return fetched | {old: FetchedModel(new, pinned.get(new)) for old, new in options.replaced_models.items()}


def _expected(located: Located) -> dict[str, Any] | None:
    """What the app is expected to take of its GPUs, for the ledger."""
    fit = located.fit
    if not fit.gpus:
        return None
    span = fit.estimate.bytes
    return {
        "signature": ledger.signature(fit.estimate),
        "device": " + ".join(device.name for device in fit.gpus),
        "low_bytes": span.low,
        "expected_bytes": span.expected,
        "high_bytes": span.high,
    }


def _cuda_choice(prepared: Prepared, choice: str) -> str | None:
    gpus = prepared.located.fit.gpus
    if choice == "auto" and not gpus:
        return None
    return cuda_visible_devices(gpus)
