"""What is to be started, and what is known about an app that was."""

from __future__ import annotations

import os
from dataclasses import MISSING, asdict, dataclass, field, fields
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from spacerun.app.password import Password
from spacerun.containers.run import Container

if TYPE_CHECKING:
    from pathlib import Path

Status = Literal["starting", "running", "stopped", "ended", "crashed", "failed"]
"""`stopped`: on request. `ended`: by itself, with status 0. `crashed`: otherwise. `failed`: never answered soundly."""


@dataclass(frozen=True)
class AppSpec:
    """How to start an app. Its environment variables are passed beside it, for they may hold secrets.

    Attributes:
        id: Short unique name, also of the run folder: `alpaca-lora-3f2a`.
        space: `owner/name`, or the path of a local folder.
        revision: Full commit, or None for a local folder.
        sdk: SDK of the Space, which tells when its app answers (`sdks/`).
        command: Absolute path of the interpreter, then its arguments.
        directory: Working folder of the app.
        host: Address the app is asked to bind.
        port: Port the app is asked to bind; it may take another one.
        share: Whether a share link is expected.
        require_share: Whether an app without a proven share link is a failure.
        timeout_seconds: How long it may take to answer, in seconds in which nothing grows.
        watch: Folders whose growth stops that clock (download caches).
        gpus: UUIDs of the GPUs that it sees; what it takes of them is measured.
        estimate: What it was expected to take of them: `signature`, `low_bytes`, `expected_bytes`, `high_bytes`; of
            main memory: `host_bytes`; and what would make it take less: `advice`, one sentence each.
        restart: `on-failure` starts it again when it crashes after it had answered.
        idle_seconds: After how many seconds in which nobody uses it it is stopped; None for never.
        own: Its variables that spacerun made: none of them is secret.
        given: Names of those that the user gave. Their values may be secret and are not kept.
        share_seconds: How long a share link may take to appear, and again to answer, in seconds.
        offline: Whether the network is left alone: then spacerun makes no share link itself.
        password: Who may use it; only a salted hash of the password is in there.
        gate: Address and port of the login page in front of it, while it listens on this machine only; None where it
            has a login page of its own, as Gradio does.
        container: The container that it runs in; None where it is a process of this machine.
    """

    id: str
    space: str
    revision: str | None
    sdk: str
    command: tuple[str, ...]
    directory: str
    host: str
    port: int
    share: bool
    require_share: bool
    timeout_seconds: float
    watch: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    estimate: dict[str, Any] | None = None
    restart: Literal["no", "on-failure"] = "no"
    idle_seconds: float | None = None
    own: dict[str, str] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    share_seconds: float = 30.0
    offline: bool = False
    password: Password | None = None
    gate: tuple[str, int] | None = None
    container: Container | None = None

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> AppSpec:
        """The inverse of `to_json`."""
        names = ("command", "watch", "gpus", "given")
        others: dict[str, Any] = {name: tuple(value[name]) for name in names if name in value}
        if value.get("password"):
            others["password"] = Password(**value["password"])
        if value.get("gate"):
            host, port = value["gate"]
            others["gate"] = (host, port)
        if value.get("container"):
            others["container"] = Container.from_json(value["container"])
        return cls(**{**value, **others})


@dataclass(frozen=True)
class AppRecord:
    """What the registry knows about an app.

    Attributes:
        id: As in the `AppSpec`, and so are `space`, `revision`, `sdk` and `directory`.
        status: Where it is in its life.
        pid: Its main process, or None while there is none yet.
        started: Creation time of that process, in seconds since the epoch: a pid alone may be reused.
        supervisor_pid: The spacerun process that looks after it.
        supervisor_started: Creation time of that one.
        port: The port it listens on; until it answers, the one it was asked to take.
        url: Where it answers on this machine, or None until it does.
        share_url: The proven public address, if any.
        log: Path of its log.
        exit_code: Exit status, 128 + N for one that signal N ended; None while it runs or where nobody saw it end.
        started_at: When it was started, ISO 8601 UTC.
        reason: Why it ended, or is started again, as a sentence; None while there is nothing to say.
        hint: What is known about that and what helps, line by line; None likewise.
        restarts: How often it was started again.
        ready: Whether it answers, and its share link is proven or has failed.
        reach: Who can reach it, as a sentence; None until it answers.
    """

    id: str
    space: str
    revision: str | None
    sdk: str
    status: Status
    pid: int | None
    started: float | None
    supervisor_pid: int
    supervisor_started: float
    port: int
    url: str | None
    share_url: str | None
    log: str
    exit_code: int | None
    started_at: str
    directory: str
    reason: str | None = None
    hint: str | None = None
    restarts: int = 0
    ready: bool = False
    reach: str | None = None

    @property
    def active(self) -> bool:
        """Whether, as far as was written down, it has not ended."""
        return self.status in {"starting", "running"}

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> AppRecord | None:
        """The inverse of `to_json`; None for what is not a whole record."""
        if not isinstance(value, dict):
            return None
        known = {row.name: value[row.name] for row in fields(cls) if row.name in value}
        # A record of an older spacerun lacks what came later.
        whole = all(row.name in known for row in fields(cls) if row.default is MISSING)
        return cls(**known) if whole else None


def new_record(spec: AppSpec, log: Path, created: float) -> AppRecord:
    """The record of an app that is about to be started.

    Args:
        spec: The app.
        log: Its log.
        created: Creation time of this process, which looks after it, in seconds since the epoch.
    """
    return AppRecord(
        id=spec.id,
        space=spec.space,
        revision=spec.revision,
        sdk=spec.sdk,
        status="starting",
        pid=None,
        started=None,
        supervisor_pid=os.getpid(),
        supervisor_started=created,
        port=spec.port,
        url=None,
        share_url=None,
        log=str(log),
        exit_code=None,
        started_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        directory=spec.directory,
    )
