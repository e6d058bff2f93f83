"""The stage that turns a prepared Space into a command, with a port, a start-up hook and variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spacerun import hub
from spacerun.app import registry
from spacerun.app.command import start_command
from spacerun.app.ports import allocate_port
from spacerun.app.spec import AppSpec
from spacerun.app.variables import app_environment, download_cache
from spacerun.gpu.devices import cuda_visible_devices
from spacerun.paths import home
from spacerun.source.hook_files import HookSettings, install_hook
from spacerun.space.tree import space_folder
from spacerun.stages import Ready

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


def _hf_home(located: Located) -> Path:
    """An HF_HOME for this Space alone: what one Space puts there (a tunnel client, remote code), no other runs."""
    if located.found:
        return space_folder(located.found.id) / "hf-home"
    return home().cache / "hf-homes" / located.name.strip("/").replace("/", "--")


def _cuda_choice(prepared: Prepared, choice: str) -> str | None:
    if choice == "auto" and not prepared.gpus:
        return None
    return cuda_visible_devices(prepared.gpus)
