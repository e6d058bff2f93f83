"""What is to be tested: one Space, how far, and by which calls. Plain data, so that it can be sent to any machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any


class Level(IntEnum):
    """How far a Space is proven to work; each includes those before it."""

    PLAN = 1
    ENVIRONMENT = 2
    IMPORTS = 3
    START = 4
    CALLS = 5

    @property
    def word(self) -> str:
        """Its name as users type it."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Level:
        """The level called `word`.

        Raises:
            KeyError: There is none.
        """
        return cls[word.upper()]


@dataclass(frozen=True)
class Call:
    """A call of an app that a user wrote down.

    Attributes:
        endpoint: `/predict` for an endpoint of Gradio; `GET /health` or `POST /api` for any server.
        data: What is sent: the list of arguments for Gradio; any JSON for another server; None for nothing.
        expect: What must come back: JSON that it equals, `/PATTERN/` that is found in it, or text that it equals; None
            for anything but an error.
        has_expect: Whether anything is expected: JSON `null` may be.
    """

    endpoint: str
    data: Any = None
    expect: Any = None
    has_expect: bool = False


@dataclass(frozen=True)
class Job:
    """The test of one Space.

    Attributes:
        space: As the user named it; the path of a folder is absolute.
        options: The fields of `spacerun.stages.Options` that differ from their defaults, as JSON has them. It may hold
            secret variables: a job is never written to disk.
        until: How far to go; None for as far as the machine allows.
        require: How far it must come; None for as far as the machine allows.
        calls: Calls to make, beside those that the Space's own files ask for.
        screenshot: Whether a browser takes a picture of the page.
        artefacts: Folder for the files that the test leaves: its log, its screenshot.
        seconds: How long all of it may take, in seconds.
        verbose: Whether what the app and the tools write is passed on line by line.
    """

    space: str
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    until: Level | None = None
    require: Level | None = None
    calls: tuple[Call, ...] = ()
    screenshot: bool = False
    artefacts: str = ""
    seconds: float = 3600.0
    verbose: bool = False

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Job:
        """The inverse of `to_json`."""
        levels = {name: Level(value[name]) if value[name] else None for name in ("until", "require")}
        return cls(**{**value, **levels, "calls": tuple(Call(**call) for call in value["calls"])})
