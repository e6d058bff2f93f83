"""What is decided on a docker Space before anything is built: how it is to run, and what can be read of it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from spacerun.app.doors import LOOPBACK
from spacerun.containers.build import decide_build, prebuilt_image, tag
from spacerun.containers.dockerfile import Dockerfile, read_dockerfile
from spacerun.containers.layout import entry_of
from spacerun.containers.nocontainer import TranslationError, translate, words_of
from spacerun.containers.shell import BeyondError
from spacerun.errors import MissingSecretError, PrerequisiteError, RefusedError, UsageError
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spacerun.containers.run import Container
    from spacerun.gpu.devices import Device
    from spacerun.progress import StageClock
    from spacerun.space.card import SpaceCard
    from spacerun.space.tree import Checkout
    from spacerun.stages import Located, Options

_STEPS: Final = frozenset({"RUN", "COPY", "ADD"})
_TOP: Final = re.compile(r"(/data|/home/user).*", re.DOTALL)
# Images that bring CUDA: their apps expect a GPU.
_CUDA: Final = ("cuda", "nvcr.io/", "pytorch/pytorch", "vllm", "text-generation-inference", "tensorflow:latest-gpu")


@dataclass(frozen=True)
class Contained:
    """A docker Space as it is to run; any other is what its card says.

    Attributes:
        card: Its card, with the Python file that its command starts as the entry.
        packages: Requirements that its Dockerfile names itself.
        variables: Variables that its image sets.
    """

    card: SpaceCard
    packages: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


def contained(card: SpaceCard, checkout: Checkout, options: Options) -> Contained:
    """Decide how a Space is to run.

    Raises:
        UsageError: `--no-container` or `--prebuilt` is of no use with it.
        RefusedError: Without a container it cannot be had.
    """
    asked = "--no-container" if options.no_container else "--prebuilt" if options.prebuilt else ""
    if card.sdk != "docker":
        if asked:
            raise UsageError(
                f"{asked} is for docker Spaces, and this is a {card.sdk} Space.",
                hint=f"Leave it out: {card.sdk} Spaces run without a container.",
            )
        return Contained(card)
    if options.no_container and options.prebuilt:
        raise UsageError("--prebuilt is an image, and --no-container is to do without one.", hint="Give one of them.")
    if options.prebuilt and checkout.is_local:
        raise UsageError("Hugging Face builds no images of folders here.", hint="Leave out --prebuilt.")
    dockerfile = read_dockerfile(checkout.directory, options.variables)
    if options.no_container:
        return _without(card, checkout, dockerfile)
    entry = _entry(dockerfile, checkout) or ""
    run_as = "prebuilt" if options.prebuilt else ""
    return Contained(replace(card, app_file=entry, run_as=run_as), variables=dockerfile.environment)


def require(located: Located) -> None:
    """See to it, before anything big is fetched, that there is an engine for what needs one.

    Raises:
        PrerequisiteError: There is none; its hint offers to do without, where that can be.
    """
    card = located.card
    if card.sdk != "docker" or card.run_as == "nocontainer":
        return
    from spacerun.sdks.docker import engine_here

    try:
        engine_here()
    except PrerequisiteError as error:
        directory = located.checkout.directory
        try:
            translate(read_dockerfile(directory), directory, app_port=card.app_port)
        except TranslationError:
            raise error from None
        error.hint = (
            f"{error.hint}\nIts Dockerfile is Python, pip and a server, which can do without: "
            f"spacerun launch {located.name} --no-container"
        )
        raise


def gpus(located: Located, options: Options) -> tuple[Device, ...]:
    """The GPUs that an app gets.

    A container sees none unless it is told to, and not all of what runs in it can be read: one that is made for CUDA
    gets those that the user lets it have. Any other gets none, for each needs NVIDIA's toolkit.
    """
    fit = located.fit
    if located.card.runner not in {"docker", "prebuilt"} or options.gpu != "auto":
        return fit.gpus
    base = read_dockerfile(located.checkout.directory, options.variables).base.lower()
    if located.needs.gpu_uses or fit.estimate.bytes.high or any(part in base for part in _CUDA):
        return fit.gpus or located.checked.gpus
    return ()


def tell_folders(located: Located, clock: StageClock) -> None:
    """Say which folders of Hugging Face's the code names, and this machine has not; a container has its own."""
    if located.card.runner in {"docker", "prebuilt"}:
        return
    for habit in located.needs.habits:
        if habit.kind == "data" and not os.access(_TOP.sub(r"\1", habit.text), os.W_OK):
            clock.progress.warn(
                f"{one_line(habit.text, 80)} ({one_line(habit.place, 80)}) is a folder that Hugging Face has, and that "
                "this machine has not, or not for you to write to: the app may fail where it uses it."
            )


def require_idle_can_be_told(container: Container, host: str, options: Options) -> None:
    """Refuse `--idle-timeout` where this machine's kernel sends visitors on to a container without telling.

    Raises:
        UsageError: So it is.
    """
    if options.idle_seconds and container.network == "own" and not host.startswith(LOOPBACK):
        raise UsageError(
            f"Who is connected to a container from outside of this machine (--host {host}) cannot be told.",
            hint="Leave out --idle-timeout, or --host.",
        )


def planned(located: Located, options: Options) -> dict[str, Any] | None:
    """What would be built and run, as data; None for a Space without a container. Executes nothing."""
    card = located.card
    if card.sdk != "docker" or card.run_as == "nocontainer":
        return None
    directory = located.checkout.directory
    dockerfile = read_dockerfile(directory, options.variables)
    secrets = [{"name": name, "required": required} for name, required in dockerfile.secrets.items()]
    told: dict[str, Any] = {
        "base": dockerfile.base,
        "images": list(dockerfile.bases),
        "stages": dockerfile.stages,
        "port": card.app_port,
        "user": dockerfile.user,
        "command": _shown(dockerfile),
        "entry": card.app_file or None,
        "build_arguments": [name for name in dockerfile.arguments if name in options.variables],
        "build_secrets": secrets,
    }
    if card.run_as == "prebuilt":
        return told | {"image": prebuilt_image(located.name), "steps": []}
    steps = [f"{row.name} {one_line(row.text, 200)}" for row in dockerfile.instructions if row.name in _STEPS]
    try:
        image = tag(decide_build(located.name, directory, dockerfile, options.variables))
    except MissingSecretError:
        image = None
    return told | {"image": image, "steps": steps}


def _without(card: SpaceCard, checkout: Checkout, dockerfile: Dockerfile) -> Contained:
    try:
        found = translate(dockerfile, checkout.directory, app_port=card.app_port)
    except TranslationError as error:
        raise RefusedError(
            f"{one_line(checkout.space)} does more than Python, pip and a server: {error}.",
            hint="Leave out --no-container: it needs a container.",
            stage="source",
        ) from None
    card = replace(card, app_file=found.entry or "", python_version=found.python, run_as="nocontainer")
    return Contained(card, found.packages, found.variables)


def _entry(dockerfile: Dockerfile, checkout: Checkout) -> str | None:
    try:
        return entry_of(dockerfile, checkout.directory, words_of(dockerfile))
    except BeyondError:
        return None


def _shown(dockerfile: Dockerfile) -> str:
    parts = (
        part if isinstance(part, str) else " ".join(part)
        for part in (dockerfile.entrypoint, dockerfile.command)
        if part
    )
    return one_line(" ".join(parts), 300)
