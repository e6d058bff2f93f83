"""What the stages of a launch hand to one another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from spacerun import hub
from spacerun.environment.system import Consent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from spacerun.app.password import Password
    from spacerun.app.spec import AppSpec
    from spacerun.editing import SourceEdit
    from spacerun.environment.as_of import Evidence
    from spacerun.environment.decision import Wanted
    from spacerun.environment.plan import EnvironmentPlan
    from spacerun.environment.store import Environment
    from spacerun.gpu.devices import Device, DeviceReport
    from spacerun.ladder import Attempt
    from spacerun.memory.estimate import Setting
    from spacerun.memory.model import Model
    from spacerun.memory.verdict import Fit
    from spacerun.needs.models import ModelNeed
    from spacerun.needs.report import Needs
    from spacerun.space.card import SpaceCard
    from spacerun.space.find import FoundSpace
    from spacerun.space.tree import Checkout


@dataclass(frozen=True)
class Options:
    """What the user asked for; see `spacerun launch --help`."""

    space: str
    share: bool = True
    require_share: bool = False
    share_seconds: float = 30.0
    password: Password | None = None
    host: str = "127.0.0.1"
    port: int | None = None
    first_port: int | None = None
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
    ask: Callable[[str], str | None] | None = None
    replaced_models: Mapping[str, str] = field(default_factory=dict)
    force: bool = False
    attempts: int = 3
    restart: Literal["no", "on-failure"] = "no"
    idle_seconds: float | None = None
    like_hub: bool = False
    no_container: bool = False
    prebuilt: bool = False
    offline: bool = False

    @property
    def is_offline(self) -> bool:
        """Whether the network is left alone, by the option or by the user's own setting."""
        return self.offline or hub.is_offline()


@dataclass(frozen=True)
class Checked:
    """The GPUs of this machine.

    Attributes:
        devices: All of them.
        gpus: Those that the user lets the app have; which of them it gets is decided by what it takes.
    """

    devices: DeviceReport
    gpus: tuple[Device, ...]


@dataclass(frozen=True)
class Located:
    """A Space whose small files are here, and all that can be decided from them.

    Attributes:
        models: What it names, and who may read that.
        sized: What of it is loaded into memory, with what is in its files.
        setting: Under which assumptions its memory is estimated.
        fit: Whether it fits this machine, and which GPUs it gets.
    """

    name: str
    found: FoundSpace | None
    checkout: Checkout
    card: SpaceCard
    checked: Checked
    source: SourceEdit
    needs: Needs
    models: tuple[ModelNeed, ...]
    wanted: Wanted
    evidence: Evidence
    environment_plan: EnvironmentPlan
    sized: tuple[Model, ...]
    setting: Setting
    fit: Fit


@dataclass(frozen=True)
class Prepared:
    """A Space that is ready to start.

    Attributes:
        located: What was known before.
        environment: Its virtual environment; None where its SDK wants no Python.
        source: What was done to its code.
        built: What its SDK built: a folder, an image; empty for nothing.
        attempts: How it was tried to start so far.
    """

    located: Located
    environment: Environment | None
    source: SourceEdit
    built: str = ""
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True)
class Ready:
    """What to start, and the variables to start it with, which may be secret."""

    spec: AppSpec
    variables: dict[str, str]
