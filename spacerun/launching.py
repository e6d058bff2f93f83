"""The launch itself: prepare, start, and where it fails for a reason that other packages may mend, try those."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from spacerun import ladder, pipeline, postmortem
from spacerun.app import registry
from spacerun.app.detach import launch_detached
from spacerun.errors import AppCrashedError, PackagesError, ProbeError, SpacerunError
from spacerun.ladder import Attempt, Choice, Limits, Memory
from spacerun.report import located_data, prepared_data
from spacerun.stages import containing, fitting, needing, preparing, starting
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spacerun.app.spec import AppRecord, AppSpec
    from spacerun.diagnosis import Finding
    from spacerun.progress import StageClock
    from spacerun.stages import Located, Options, Prepared, Ready

_LIKE_HUB: Final = (
    "Gradio makes no public link where it believes to be on Hugging Face (--like-hub); spacerun tries to make one."
)
_EXPLAINED: Final = (PackagesError, AppCrashedError, ProbeError)


def launch(options: Options, clock: StageClock, start: Callable[[Prepared, Ready, Callable[[], None]], None]) -> None:
    """Launch a Space; `options.attempts` says how often it may be started, each time with other packages.

    Args:
        options: What the user asked for.
        clock: Times the stages; its progress is told of each attempt that failed, why, and what is tried next.
        start: Starts the app, calls its third argument once the app answers, and returns when it is done with it.

    Raises:
        SpacerunError: The last attempt failed; its hint says why, as far as that is known.
    """
    registry.reap_orphans()
    if options.like_hub and options.share:
        clock.progress.warn(_LIKE_HUB)
    located = pipeline.locate(options, clock)
    containing.require(located)
    containing.tell_folders(located, clock)
    options = needing.require(located, options, clock)
    fitting.require(located, options, clock)
    preparing.provide_system_packages(located, options, clock)
    climb = Climb(options, clock, located)

    def use(prepared: Prepared) -> None:
        start(*climb.ready(prepared), climb.worked)

    climb.run(use)


@dataclass(frozen=True)
class Launched:
    """An app that answers, under a supervisor of its own, and what it was made from."""

    prepared: Prepared
    record: AppRecord


def launch_supervised(
    options: Options, clock: StageClock, *, tied: bool = False, on_line: Callable[[str], None] = lambda _: None
) -> Launched:
    """Launch a Space under a supervisor process of its own, and return once it answers.

    Args:
        options: What the user asked for.
        clock: As for `launch`.
        tied: Whether the app ends when this process ends, however it does; else it outlives it.
        on_line: Called with each line of the app's log until it answers, made printable.

    Raises:
        SpacerunError: As `launch`.
    """
    launched: list[Launched] = []

    def start(prepared: Prepared, ready: Ready, worked: Callable[[], None]) -> None:
        with clock.stage("start", "starting the app") as stage:
            record = launch_detached(
                ready.spec, ready.variables, tied=tied, on_line=on_line, on_warning=clock.progress.warn
            )
            stage.text = f"it answers at {record.url}"
        worked()
        launched.append(Launched(prepared, record))

    launch(options, clock, start)
    return launched[0]


class Climb:
    """The attempts of one launch.

    Args:
        options: What the user asked for.
        clock: Told of each attempt.
        located: The Space, with the choice of packages to begin with.

    Attributes:
        options: As above; they may be changed between the making of the environment and the start.
        located: The Space, with the present choice of packages.
    """

    def __init__(self, options: Options, clock: StageClock, located: Located) -> None:
        self.options = options
        self.clock = clock
        self.located = located
        self.attempts: list[Attempt] = []
        self._tried: set[str] = set()
        self._ready: Ready | None = None
        self.limits = Limits(
            1 if options.locked else options.attempts, dates=options.as_of == "auto", python=options.python is None
        )
        # Choices are told from what the Space and the user ask for, without what worked the last time.
        wanted = replace(located.wanted, extra_packages=options.packages, python_override=options.python)
        self.asked = replace(located, wanted=wanted)

    @property
    def choice(self) -> Choice:
        """How the packages of the present attempt are chosen."""
        wanted, rung = self.located.wanted, self.located.environment_plan.as_of.rung
        first = self.asked.environment_plan.as_of.rung
        return Choice(
            rung=rung if rung is not first or self._recalled.rung else None,
            packages=tuple(p for p in wanted.extra_packages if p not in self.options.packages),
            python=wanted.python_override if wanted.python_override != self.options.python else None,
        )

    def run(self, use: Callable[[Prepared], None]) -> None:
        """Prepare the Space, and again with another choice of packages while `use` fails for want of that.

        Raises:
            SpacerunError: The last attempt failed; its hint says why, as far as that is known.
        """
        while not self._attempt(use):
            pass

    def ready(self, prepared: Prepared) -> tuple[Prepared, Ready]:
        """What to start, with its GPUs chosen anew.

        Raises:
            GpuMemoryError: What was free is free no more.
        """
        self.located = fitting.renewed(prepared.located, self.options, self.clock)
        prepared = replace(prepared, located=self.located)
        self._ready = starting.ready(prepared, self.options)
        return replace(prepared, attempts=(*self.attempts, self._noted())), self._ready

    def worked(self) -> None:
        """Remember the present choice: the next launch begins with it."""
        located = self.located
        memory = Memory(self.choice, checked=located.environment_plan.key)
        ladder.memorize(located.name, located.checkout.commit, memory)

    def _attempt(self, use: Callable[[Prepared], None]) -> bool:
        """Try the present choice; False if it failed and another one is at hand."""
        prepared: Prepared | None = None
        self._ready = None
        self._tried.add(self.located.environment_plan.key)
        try:
            prepared = pipeline.prepare(self.located, self.options, self.clock)
            self.located = prepared.located
            use(prepared)
        except SpacerunError as error:
            known = prepared_data(prepared) if prepared else located_data(self.located)
            error.data = known | error.data
            if not isinstance(error, _EXPLAINED):
                raise
            self.clock.progress.finish(error.stage or "start", "", 0.0)
            findings = postmortem.findings(error)
            self.attempts.append(self._noted(error, findings))
            following = None if self._ready and _is_over(self._ready) else self._following()
            if following is None:
                raise _explained(self.attempts, self._ready.spec if self._ready else None) from None
            self.clock.progress.warn(_told(error, findings, ladder.describe(*following[1:])))
            self.located = following[0]
            return False
        return True

    def _following(self) -> tuple[Located, Choice, Choice] | None:
        """What to try next, its choice and the present one; None where nothing is left."""
        for choice in ladder.next_choices(self.attempts, self.limits):
            located = preparing.replan(
                self.asked,
                self.options,
                self.clock,
                rung=choice.rung,
                extra_packages=choice.packages,
                python=choice.python,
            )
            if located and located.environment_plan.key not in self._tried:
                return located, choice, self.choice
        return None

    def _noted(self, error: SpacerunError | None = None, findings: tuple[Finding, ...] = ()) -> Attempt:
        plan = self.located.environment_plan
        return Attempt(self.choice, plan.as_of.rung, plan.as_of.date, error, findings)

    @property
    def _recalled(self) -> Choice:
        return ladder.recall(self.asked.name, self.asked.checkout.commit).choice


def _is_over(ready: Ready) -> bool:
    """Whether the app had answered, or was stopped on request: then its end is no failure to start."""
    record = registry.load(ready.spec.id)
    return bool(record and (record.url or record.restarts)) or registry.stop_requested(ready.spec.id)


def _told(error: SpacerunError, findings: tuple[Finding, ...], following: str) -> str:
    cause = findings[0].cause if findings else one_line(error.message.rstrip("."), 300)
    what = "The packages do not fit" if isinstance(error, PackagesError) else "It did not start"
    return f"{what}: {cause}. Trying {following}."


def _explained(attempts: Sequence[Attempt], spec: AppSpec | None) -> SpacerunError:
    """The failure to show, with what is known about it: the last, unless that was only a package that cannot be had."""
    shown = attempts[-2] if ladder.added_in_vain(attempts) else attempts[-1]
    error, findings = shown.error, shown.findings
    assert error is not None  # noqa: S101 - narrows the type: all of them failed
    if "diagnosis" not in error.data:  # an app that had answered was explained when it crashed
        postmortem.annotate(error, findings, spec)
    error.data = {**error.data, "attempts": [attempt.to_json() for attempt in attempts]}
    return error
