"""What is to be started, and what is known about an app that was."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

Status = Literal["starting", "running", "stopped", "ended", "crashed", "failed"]
"""`stopped`: on request. `ended`: by itself, with status 0. `crashed`: otherwise. `failed`: never answered soundly."""


@dataclass(frozen=True)
class AppSpec:
    """How to start an app. Its environment variables are passed beside it, for they may hold secrets.

    Attributes:
        id: Short unique name, also of the run folder: `alpaca-lora-3f2a`.
        space: `owner/name`, or the path of a local folder.
        revision: Full commit, or None for a local folder.
        sdk: SDK of the Space; with `gradio` the soundness of its API is part of "answers".
        command: Absolute path of the interpreter, then its arguments.
        directory: Working folder of the app.
        host: Address the app is asked to bind.
        port: Port the app is asked to bind; it may take another one.
        share: Whether a share link is expected.
        require_share: Whether an app without a proven share link is a failure.
        timeout_seconds: How long it may take to answer, in seconds in which nothing grows.
        watch: Folders whose growth stops that clock (download caches).
        gpus: UUIDs of the GPUs that it sees; what it takes of them is measured.
        estimate: What it was expected to take of them: `signature`, `low_bytes`, `expected_bytes`, `high_bytes`.
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

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> AppSpec:
        """The inverse of `to_json`."""
        tuples = {name: tuple(value[name]) for name in ("command", "watch", "gpus")}
        return cls(**{**value, **tuples})


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
        names = [field.name for field in fields(cls)]
        if not isinstance(value, dict) or not all(name in value for name in names):
            return None
        return cls(**{name: value[name] for name in names})
