"""What an SDK is to a launch: what is built beforehand, how the app is started, and when it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from spacerun.app.answer import Answer, Listener

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.app.spec import AppSpec
    from spacerun.containers.run import Container
    from spacerun.environment.store import Environment
    from spacerun.gpu.devices import Device
    from spacerun.progress import StageClock
    from spacerun.space.card import SpaceCard

Judge = Callable[[Listener], Answer | None]
"""Says of a page that loads what to make of it: an answer, or None where it is too early to tell.

Called again and again; raises `ProbeError` where the page loads, but what is behind it does not work.
"""


def any_page(listener: Listener) -> Answer | None:
    """A `Judge` for what has no more than a page: whatever loads is an answer."""
    return Answer(listener, gradio=False)


@dataclass(frozen=True)
class Site:
    """A Space whose files are all here, ready to be built and started.

    Attributes:
        name: `owner/name`, or the path of a local folder.
        commit: Full commit, or None for a local folder.
        directory: Its files. A local folder is the user's: nothing in it is ever written.
        card: What its card says.
        environment: Its virtual environment; None where its SDK wants no Python.
        gpus: The GPUs that it gets.
        given: Variables of `--env` and `--env-file`, which may be secret.
        offline: Whether the network is left alone.
        token: The variables that hold the user's token, if it is passed on.
        told: What Hugging Face tells its apps about their machine and themselves.
        app: Id of the app; empty before it has one.
    """

    name: str
    commit: str | None
    directory: Path
    card: SpaceCard
    environment: Environment | None
    gpus: tuple[Device, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict)
    offline: bool = False
    token: Mapping[str, str] = field(default_factory=dict, repr=False)
    told: Mapping[str, str] = field(default_factory=dict)
    app: str = ""


@dataclass(frozen=True)
class Command:
    """How an app is started, in the Space's folder.

    Attributes:
        argv: Absolute path of a program, then its arguments.
        variables: Further variables, none of them secret.
        container: The container that it runs, if it runs one: the variables are then those of the engine's client.
        port: The port that the app takes whatever it is asked; None where it takes the one asked for.
        watch: Folders that it downloads to, beside the user's download cache.
    """

    argv: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    container: Container | None = None
    port: int | None = None
    watch: tuple[str, ...] = ()


class Sdk(Protocol):
    """A kind of Spaces. Each has a module of its name in this package, which holds it as `SDK`."""

    @property
    def wants_python(self) -> bool:
        """Whether it runs in a virtual environment with the Space's requirements; else its code is not read either."""

    @property
    def asks_password(self) -> bool:
        """Whether it asks for the password of `--auth` itself; else a login page stands in front of it."""

    def steps(self, card: SpaceCard) -> tuple[str, ...]:
        """What `build` does, one command each, for `plan`. Executes nothing."""

    def build(self, site: Site, clock: StageClock) -> str:
        """Build what the app is started from; once built, the next launch does nothing.

        Returns:
            What was built, for `command`: a folder, an image. Empty where nothing is.

        Raises:
            PackagesError: The Space's own build failed.
            PrerequisiteError: A program that it takes is missing.
        """

    def command(self, site: Site, built: str, *, host: str, port: int) -> Command:
        """How the app is started so that it listens on `host` and `port`.

        Args:
            site: The Space.
            built: From `build`.
            host: Address to listen on.
            port: Port to listen on.
        """

    def judge(self, spec: AppSpec) -> Judge:
        """What tells when an app that was just started answers: made anew for each of its lives."""


class Unbuilt:
    """What the SDKs share that start an app from the Space's files as they are."""

    def steps(self, card: SpaceCard) -> tuple[str, ...]:  # noqa: ARG002
        """See `Sdk`."""
        return ()

    def build(self, site: Site, clock: StageClock) -> str:  # noqa: ARG002
        """See `Sdk`."""
        return ""
