"""What came of a smoke test: plain data, for reports and for machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["passed", "partial", "failed", "network", "not_run"]
"""`partial`: sound as far as this machine allows, which is not all the way. `network`: that failed, and not the Space.
`not_run`: it was not tested, for the run ended before."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What: `answers`, `page`, `config`, `example /predict`, …
        ok: Whether it is as it should be.
        detail: What was seen, as a phrase; of a failure, what was expected instead.
        seconds: How long it took, in seconds.
        skipped: Whether it could not be made; `detail` says why, and `ok` is true.
    """

    name: str
    ok: bool
    detail: str = ""
    seconds: float = 0.0
    skipped: bool = False


@dataclass(frozen=True)
class Result:
    """What came of the test of one Space.

    Attributes:
        space: As the user named it.
        ok: Whether nothing is wrong with it, as far as it was tested.
        proven: The furthest level that it reached (`Level.word`); None for none.
        exit_code: What `smoke-test` of this Space alone exits with.
        seconds: How long all of it took, in seconds.
        status: In one word.
        stage: Stage in which it failed; None where it did not.
        message: What is wrong, as a sentence; empty where nothing is.
        hint: What helps, line by line; empty where nothing is known.
        limit: Why it was not tested further, as a phrase; empty where it was tested all the way.
        revision: Full commit; None for a folder, and where it is not known.
        sdk: SDK and its version, `gradio 4.44.0`; empty where it is not known.
        stages: Seconds that each stage took, by its name.
        checks: What was looked at.
        diagnosis: The known breakages that explain a failure: `id`, `cause`, `remedy`, `source`.
        warnings: What was not as expected.
        log: Path of the app's log, kept beside the report; None where it never wrote one.
        tail: The last lines of that log, made printable.
        screenshot: Path of a picture of the page, or None.
        console: What the browser complained of on the page.
        retries: The network faults for which it was tried again.
        memory: Of GPU memory: `expected_bytes`, `peak_bytes`, `gpus` (names), as far as known.
        started_at: When it began, ISO 8601 UTC.
        port_taken: Whether it insists on a port that something else had.
    """

    space: str
    ok: bool
    proven: str | None
    exit_code: int
    seconds: float
    status: Status
    stage: str | None = None
    message: str = ""
    hint: str = ""
    limit: str = ""
    revision: str | None = None
    sdk: str = ""
    stages: dict[str, float] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    diagnosis: tuple[dict[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    log: str | None = None
    tail: tuple[str, ...] = ()
    screenshot: str | None = None
    console: tuple[str, ...] = ()
    retries: tuple[str, ...] = ()
    memory: dict[str, Any] = field(default_factory=dict)
    started_at: str = ""
    port_taken: bool = False

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Result:
        """The inverse of `to_json`."""
        lists = ("diagnosis", "warnings", "tail", "console", "retries")
        checks = tuple(Check(**check) for check in value["checks"])
        return cls(**{**value, **{name: tuple(value[name]) for name in lists}, "checks": checks})


@dataclass(frozen=True)
class Report:
    """What came of a whole run.

    Attributes:
        results: One for each Space, in the order in which they were given.
        seconds: How long all of it took, in seconds.
        started_at: When it began, ISO 8601 UTC.
        interrupted: Whether it was given up before its end.
    """

    results: tuple[Result, ...]
    seconds: float
    started_at: str
    interrupted: bool = False

    def count(self, *statuses: Status) -> int:
        """How many Spaces have one of these statuses."""
        return sum(result.status in statuses for result in self.results)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with any of them, and all were tested."""
        return not self.interrupted and all(result.ok for result in self.results)

    @property
    def totals(self) -> dict[str, int | float]:
        """How many have each status, and how many there are; `seconds` all of it took."""
        names: tuple[Status, ...] = ("passed", "partial", "failed", "network", "not_run")
        return {"spaces": len(self.results), **{name: self.count(name) for name in names}, "seconds": self.seconds}

    def to_json(self) -> dict[str, Any]:
        """The data of `smoke-test --json`."""
        return {
            "results": [result.to_json() for result in self.results],
            "totals": self.totals,
            "interrupted": self.interrupted,
            "started_at": self.started_at,
        }
