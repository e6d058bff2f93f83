"""The stage that turns a prepared Space into a command, with a port, a start-up hook and variables."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from spacerun import hub, sdks
from spacerun.app import registry
from spacerun.app.machine import hub_variables, machine_variables
from spacerun.app.ports import DEFAULT_PORT, LOCALHOST, allocate_port, release_port
from spacerun.app.spec import AppSpec
from spacerun.app.variables import app_environment, download_cache, given_names, own_variables, token_variables
from spacerun.containers.build import is_clients
from spacerun.gpu.devices import cuda_visible_devices
from spacerun.memory import ledger
from spacerun.memory.advice import if_it_runs_out
from spacerun.paths import home
from spacerun.sdks.base import Site
from spacerun.source.hook_files import FetchedModel, HookSettings, install_hook
from spacerun.space.tree import space_folder
from spacerun.stages import Ready, containing, fitting
from spacerun.stages.preparing import revisions

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.environment.store import Environment
    from spacerun.sdks.base import Sdk
    from spacerun.stages import Located, Options, Prepared


def ready(prepared: Prepared, options: Options) -> Ready:
    """The command, the port, the start-up hook and the variables of the app."""
    located = prepared.located
    sdk = sdks.of(located.card.runner)
    app_id = registry.new_id(located.name)
    host, port, gate = _address(sdk, options)
    here = replace(site(located, prepared.environment, options), app=app_id)
    command = sdk.command(here, prepared.built, host=host, port=port)
    if command.port and command.port != port:
        port, gate = _moved(command.port, host, port, gate)
    if command.container:
        containing.require_idle_can_be_told(command.container, host, options)
    hook = install_hook(
        registry.hook_folder(app_id),
        HookSettings(
            # Where it believes to be on Hugging Face, Gradio before 3.45 ends when it is asked for a link. And one
            # inside of another app is behind that app's link and login page.
            options.share and not options.like_hub and sdk.asks_password,
            options.host,
            options.port,
            spare=port,
            models=_fetched(located, options),
            auth=asdict(options.password) if options.password and sdk.asks_password else None,
        ),
    )
    own = own_variables(
        environment=prepared.environment,
        hook=hook,
        hf_home=_hf_home(located),
        host=host,
        port=port,
        cuda_visible_devices=_cuda_choice(prepared, options.gpu),
        hub=here.told,
    ) | dict(command.variables)
    token = _token(options)
    # What the engine's client itself goes by, a container has from its command.
    given = {name: value for name, value in here.given.items() if not (command.container and is_clients(name))}
    spec = AppSpec(
        id=app_id,
        space=located.name,
        revision=located.checkout.commit,
        sdk=located.card.sdk,
        command=command.argv,
        directory=str(located.checkout.directory),
        host=host,
        port=port,
        share=options.share,
        require_share=options.require_share,
        timeout_seconds=options.timeout_seconds or located.card.startup_seconds,
        watch=(str(download_cache()), *command.watch),
        gpus=tuple(device.uuid for device in located.fit.gpus),
        estimate=_expected(located),
        restart=options.restart,
        idle_seconds=options.idle_seconds,
        own=own,
        given=given_names(token, given),
        share_seconds=options.share_seconds,
        offline=options.is_offline,
        password=options.password,
        gate=gate,
        container=command.container,
    )
    return Ready(spec, app_environment(own, token=token, given=given))


def clean_variables(prepared: Prepared, options: Options) -> dict[str, str]:
    """The variables of the app for what else runs in its environment: without the start-up hook, and no secret."""
    located = prepared.located
    own = own_variables(
        environment=prepared.environment,
        hook=home().apps,
        hf_home=_hf_home(located),
        host=options.host,
        port=options.port or DEFAULT_PORT,
        cuda_visible_devices=_cuda_choice(prepared, options.gpu),
        hub=_hub_variables(located, options),
    )
    return {name: value for name, value in app_environment(own, token=None, given={}).items() if name != "PYTHONPATH"}


def site(located: Located, environment: Environment | None, options: Options) -> Site:
    """What an SDK builds and starts."""
    return Site(
        name=located.name,
        commit=located.checkout.commit,
        directory=located.checkout.directory,
        card=located.card,
        environment=environment,
        gpus=containing.gpus(located, options),
        given=options.variables,
        offline=options.is_offline,
        token=token_variables(_token(options)),
        told=_hub_variables(located, options),
    )


def _address(sdk: Sdk, options: Options) -> tuple[str, int, tuple[str, int] | None]:
    """Where the app listens, and where the login page in front of it does, if there is one.

    Gradio has one of its own. Any other app hides behind it, on this machine only.
    """
    asked = options.host, allocate_port(options.host, options.port, first=options.first_port)
    if options.password is None or sdk.asks_password:
        return *asked, None
    return LOCALHOST, allocate_port(LOCALHOST, None, first=options.first_port), asked


def _token(options: Options) -> str | None:
    return hub.token() if options.pass_token else None


def _moved(fixed: int, host: str, port: int, gate: tuple[str, int] | None) -> tuple[int, tuple[str, int] | None]:
    """The port that an app takes in any case, and the login page elsewhere if that had it."""
    release_port(port)
    in_the_way = gate is not None and gate[1] == fixed
    if in_the_way:
        release_port(fixed)
    # That very port or none: what is left of an earlier app's connections is no reason to refuse it.
    allocate_port(host, fixed, again=True)
    return fixed, (gate[0], allocate_port(gate[0], None)) if gate and in_the_way else gate


def _hub_variables(located: Located, options: Options) -> dict[str, str]:
    """What Hugging Face tells its apps about their machine, and with `--like-hub` about themselves."""
    machine = machine_variables([device.name for device in located.fit.gpus])
    return machine | (hub_variables(located.name, located.card.title or "") if options.like_hub else {})


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
    # A measurement is to be held against an estimate, not against the measurement before it.
    span = fit.estimate.assumed or fit.estimate.bytes
    return {
        "signature": ledger.signature(fit.estimate),
        "device": " + ".join(device.name for device in fit.gpus),
        "low_bytes": span.low,
        "expected_bytes": span.expected,
        "high_bytes": span.high,
        "host_bytes": fit.estimate.host.expected,
        "advice": if_it_runs_out(fitting.case(located)),
    }


def _cuda_choice(prepared: Prepared, choice: str) -> str | None:
    gpus = prepared.located.fit.gpus
    if choice == "auto" and not gpus:
        return None
    return cuda_visible_devices(gpus)
