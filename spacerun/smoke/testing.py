"""The test of one Space: as far as it is asked for, and as this machine allows."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from spacerun import pipeline, postmortem, sdks
from spacerun.app import registry
from spacerun.app.run import supervise
from spacerun.app.running import Over
from spacerun.errors import (
    AppCrashedError,
    GpuMemoryError,
    MissingSecretError,
    PrerequisiteError,
    ProbeError,
    SpacerunError,
)
from spacerun.launching import Climb
from spacerun.memory.verdict import Verdict
from spacerun.progress import StageClock
from spacerun.smoke import gpu, plan_checks, probing
from spacerun.smoke.contract import Contract, read_contract
from spacerun.smoke.desk import Need
from spacerun.smoke.facts import LOG, Facts
from spacerun.smoke.imports import check_imports
from spacerun.smoke.job import Level
from spacerun.stages import containing, fitting, needing, preparing, starting

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.app.spec import AppRecord
    from spacerun.smoke.desk import Desk
    from spacerun.smoke.job import Job
    from spacerun.smoke.result import Check, Result
    from spacerun.stages import Located, Options, Prepared, Ready


class Test:
    """The test of one Space.

    Args:
        job: What is to be tested.
        options: As for a launch of it.
        desk: Asked for what tests share, and told how far it is.
        warnings: The list that warnings are added to, when the desk is told of them.
    """

    __test__ = False  # pytest takes what is called so for a test of its own

    def __init__(self, job: Job, options: Options, desk: Desk, warnings: list[str]) -> None:
        self._job = job
        self._options = options
        self._desk = desk
        self._clock = StageClock(desk.progress)
        self._facts = Facts(job, self._clock.seconds, warnings)
        self._until = job.until or Level.CALLS
        self._require: Level | None = None
        self._contract = Contract()

    def run(self) -> Result:
        """Test it; nothing of it runs afterwards, however it ends."""
        try:
            self._run()
            return self._facts.result(self._unmet())
        except SpacerunError as error:
            return self._facts.result(error)

    def given_up(self) -> Result:
        """What is known of a test that was ended from outside."""
        return self._facts.result(SpacerunError("The test was ended before it was over."))

    def crashed(self, error: Exception, log: Path) -> Result:
        """What is known of a test in which spacerun itself failed."""
        told = f"Something went wrong inside spacerun: {type(error).__name__}."
        return self._facts.result(SpacerunError(told, hint=f"Please report it with this file: {log}"))

    def _run(self) -> None:
        registry.reap_orphans()
        located = self._facts.located = pipeline.locate(self._options, self._clock)
        self._heed_contract(located)
        self._note_use(located)
        self._facts.checks += plan_checks.check_plan(located)
        needing.require_models(located, self._options, self._clock)
        self._limit_to_machine(located)
        self._require_secrets(located)
        if self._until is Level.PLAN:
            self._facts.checks.append(plan_checks.check_resolved(located, self._options, self._clock))
            self._reach(Level.PLAN)
        else:
            self._reach(Level.PLAN)
            preparing.provide_system_packages(located, self._options, self._clock)
            climb = Climb(self._options, self._clock, located)
            climb.run(partial(self._use, climb, tuple(self._facts.checks)))
        if failed := [check for check in self._facts.checks if not check.ok]:
            raise ProbeError(_told(failed), stage="source")

    def _heed_contract(self, located: Located) -> None:
        """Go by what the Space's own files ask for, where the user does not say otherwise."""
        contract = self._contract = read_contract(located.checkout.directory)
        if contract.until and not self._job.until:
            # A Space that wants little of itself proven has not passed what others have.
            asked = f"its own files ask for no more than `until = {contract.until.word!r}`"
            self._lower(contract.until, ProbeError(asked, hint="To test all of it: --until calls", stage="probe"))
        self._require = self._job.require or (None if self._job.until else contract.require)

    def _note_use(self, located: Located) -> None:
        if located.found:
            self._desk.uses("space", located.found.id)
        for need in located.models:
            if need.on_hub and need.load:
                self._desk.uses("model", need.id)

    def _limit_to_machine(self, located: Located) -> None:
        """Go no further than this machine allows.

        Too little GPU memory is no limit yet: what other tests hold is free again once they are over.
        """
        if self._until is Level.PLAN:
            return
        try:
            containing.require(located)
        except PrerequisiteError as error:
            self._lower(Level.PLAN, error)
        if self._options.force:
            return
        for problem in fitting.problems(located, self._options):
            if not isinstance(problem, GpuMemoryError):
                self._lower(_before_start(located), problem)

    def _lower(self, level: Level, why: SpacerunError) -> None:
        if level < self._until:
            self._until, self._facts.limit = level, why

    def _require_secrets(self, located: Located) -> None:
        try:
            needing.require_secrets(located, self._options)
        except MissingSecretError as error:
            if self._until >= Level.START:
                raise
            self._clock.progress.warn(error.message)

    def _use(self, climb: Climb, checks: tuple[Check, ...], prepared: Prepared) -> None:
        """Test what was prepared, by the present choice of packages."""
        self._facts.located = prepared.located
        self._facts.checks = [*checks, *plan_checks.check_prepared(prepared)]
        self._reach(Level.ENVIRONMENT)
        if prepared.environment:
            self._desk.uses("environment", prepared.environment.key)
        if prepared.built:
            self._desk.uses("build", prepared.built)
        if self._until >= Level.START:
            self._start(climb, prepared)
        elif self._until is Level.IMPORTS:
            self._import(prepared)

    def _import(self, prepared: Prepared) -> None:
        """Import what the code imports, and nothing of the Space's own."""
        environment, located = prepared.environment, prepared.located
        if environment is None:
            return
        with self._clock.stage("imports", "importing what the code imports") as stage:
            checks = list(
                check_imports(
                    environment.python,
                    located.checkout.directory,
                    located.card.app_file,
                    variables=starting.clean_variables(prepared, self._options),
                    has_gpu=bool(located.fit.gpus),
                    seconds=self._job.seconds,
                )
            )
            stage.text = checks[-1].detail if checks else ""
        self._facts.checks += checks
        failed = next((check for check in checks if not check.ok), None)
        if failed:
            # `diagnosis/` knows errors as Python tells them.
            raise AppCrashedError(_told([failed]), stage="imports", data={"raised": failed.detail})
        self._reach(Level.IMPORTS)

    def _start(self, climb: Climb, prepared: Prepared) -> None:
        leased = self._lease(climb, prepared.located)
        try:
            try:
                prepared, ready = climb.ready(prepared)
            except GpuMemoryError as error:
                self._end_before_start(error, prepared)
                return
            if prepared.located.fit.verdict is Verdict.TOO_SMALL and not self._options.force:
                self._end_before_start(_too_small(prepared.located, climb.options), prepared)
                return
            self._supervise(climb, prepared, ready)
        finally:
            if leased:
                self._desk.give_back()

    def _lease(self, climb: Climb, located: Located) -> bool:
        """Wait for the GPUs that it gets; whether it takes any."""
        fit = located.fit
        if not fit.gpus or fit.verdict in {Verdict.NOT_NEEDED, Verdict.NO_GPU}:
            return False
        every = tuple(device for device in located.checked.devices.devices if not device.is_mig_parent)
        allowed = every if self._options.gpu == "auto" else located.checked.gpus
        together = len(fit.gpus) > 1
        need = Need(
            gpus=tuple(device.uuid for device in (fit.gpus if together else allowed)),
            bytes=None if fit.estimate.unknown else fit.estimate.bytes.high,
            together=together,
        )
        climb.options = replace(climb.options, gpu=",".join(self._desk.lease(need)))
        return True

    def _end_before_start(self, why: SpacerunError, prepared: Prepared) -> None:
        self._lower(_before_start(prepared.located), why)
        if self._until is Level.IMPORTS:
            self._import(prepared)

    def _supervise(self, climb: Climb, prepared: Prepared, ready: Ready) -> None:
        self._facts.ready = ready
        before = gpu.held(ready.spec.gpus)
        began = time.monotonic()

        def answered(record: AppRecord) -> None:
            climb.worked()
            self._clock.record("start", f"it answers at {record.url}", time.monotonic() - began)

        self._clock.progress.start("start", "starting the app")
        try:
            supervise(
                ready.spec,
                ready.variables,
                on_line=self._desk.line,
                on_answer=answered,
                on_ready=partial(self._probe, prepared, ready),
                on_warning=self._clock.progress.warn,
                explain=postmortem.explainer(ready.spec),
            )
        except SpacerunError:
            self._clock.seconds.setdefault("start", round(time.monotonic() - began, 3))
            raise
        probed = self._facts.probed
        if probed is None or not registry.stop_requested(ready.spec.id):
            raise AppCrashedError("The app ended before its test was over.", stage="probe")
        checks = list(probed.checks)
        if before:
            checks.append(gpu.check_returned(before))
            self._facts.checks.append(checks[-1])
        if failed := [check for check in checks if not check.ok]:
            log = str(registry.run_folder(ready.spec.id) / LOG)
            raise ProbeError(_told(failed), stage="probe", data={"log": log})

    def _probe(self, prepared: Prepared, ready: Ready, record: AppRecord) -> None:
        """Look at an app that answers, then have it ended; where it crashed meanwhile, whoever supervises it tells."""
        self._reach(Level.START)
        with self._clock.stage("probe", "testing the app") as stage:
            self._facts.probed = probing.probe(
                prepared,
                record,
                options=self._options,
                job=self._job,
                contract=self._contract,
                until=self._until,
            )
            self._facts.checks += self._facts.probed.checks
            stage.text = f"{len(self._facts.probed.checks)} checks"
        if self._facts.probed.called and all(check.ok for check in self._facts.probed.checks):
            self._reach(Level.CALLS)
        if registry.alive(record):
            registry.request_stop(ready.spec.id)
            raise Over(registry.STOPPED)

    def _reach(self, level: Level) -> None:
        self._facts.proven = max(self._facts.proven or level, level)

    def _unmet(self) -> SpacerunError | None:
        """What is to be said where less is proven than is required."""
        if self._require is None or (self._facts.proven or 0) >= self._require:
            return None
        if self._facts.limit:
            return self._facts.limit
        proven = self._facts.proven.word if self._facts.proven else "nothing"
        return ProbeError(
            f"Proven to {proven}, and {self._require.word} is required.",
            hint="Give calls to make: --call ENDPOINT --data JSON, or [[tool.spacerun.smoke.calls]] in spacerun.toml.",
            stage="probe",
        )


def _before_start(located: Located) -> Level:
    """How far a Space goes where it may not be started."""
    return Level.IMPORTS if sdks.of(located.card.runner).wants_python else Level.ENVIRONMENT


def _too_small(located: Located, options: Options) -> SpacerunError:
    return next(problem for problem in fitting.problems(located, options) if isinstance(problem, GpuMemoryError))


def _told(failed: list[Check]) -> str:
    first = failed[0]
    others = len(failed) - 1
    more = f" ({others} more {'checks' if others > 1 else 'check'} failed)" if others else ""
    return f"{first.name}: {first.detail}{more}"
