"""The smoke test as a function: `spacerun.smoke_test`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from spacerun import given
from spacerun.api import working
from spacerun.smoke import asking
from spacerun.smoke.contract import parse_call
from spacerun.smoke.job import Level
from spacerun.smoke.suite import Settings
from spacerun.smoke.suite import smoke_test as test

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date

    from spacerun.given import StrPath
    from spacerun.progress import Progress
    from spacerun.smoke.job import Job
    from spacerun.smoke.result import Report, Result

Word = Literal["plan", "environment", "imports", "start", "calls"]


def smoke_test(
    *spaces: StrPath,
    until: Word | None = None,
    require: Word | None = None,
    calls: Iterable[Mapping[str, Any]] = (),
    jobs: int = 1,
    retries: int = 2,
    fail_fast: bool = False,
    resume: bool = False,
    prune_after: bool = False,
    space_timeout: float = 3600.0,
    screenshot: bool = False,
    share: bool = False,
    require_share: bool = False,
    share_timeout: float = 30.0,
    gpu: str | int = "auto",
    python: str | None = None,
    as_of: str | date = "auto",
    locked: StrPath | None = None,
    reuse_torch: Literal["auto", "off"] = "auto",
    with_: Iterable[str] = (),
    replace_model: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    env_file: Iterable[StrPath] = (),
    pass_token: bool = False,
    timeout: float | None = None,
    system_packages: Literal["ask", "yes", "no"] = "ask",
    attempts: int = 3,
    like_hub: bool = False,
    no_container: bool = False,
    prebuilt: bool = False,
    force: bool = False,
    offline: bool = False,
    on_result: Callable[[Result], None] = lambda _: None,
    progress: bool | None = None,
) -> Report:
    """Launch Spaces, prove that they work, and stop them: `spacerun smoke-test`, whose options these are.

    A Space that fails is no exception: `Report.ok` tells, and each `Result` has its `message`, `hint` and `exit_code`.

    Args:
        *spaces: As for `spacerun.launch`.
        until: How far to test; None for as far as the Space's own files say and this machine allows.
        require: What must be proven, or the Space fails.
        calls: Calls of the apps: `endpoint`, and if wanted `data` and `expect`, as in `[[tool.spacerun.smoke.calls]]`.
        jobs: How many to test at the same time.
        retries: How often to test a Space again for which the network failed.
        fail_fast: End with the first Space that fails.
        resume: Take over the results of the same test if that was interrupted.
        prune_after: Remove what each test brought to this disk.
        space_timeout: Seconds that the test of one Space may take.
        screenshot: Take a picture of each page (extra: `spacerun[screenshot]`).
        share: Make and prove a public link, too.
        require_share: See `spacerun.launch`, and so for all that follow.
        share_timeout: See there.
        gpu: See there.
        python: See there.
        as_of: See there.
        locked: See there.
        reuse_torch: See there.
        with_: See there.
        replace_model: See there.
        env: See there.
        env_file: See there.
        pass_token: See there.
        timeout: See there.
        system_packages: See there.
        attempts: See there.
        like_hub: See there.
        no_container: See there.
        prebuilt: See there.
        force: See there.
        offline: See there.
        on_result: Called with each result as it comes, in another thread.
        progress: Whether to show how it goes on; None: in a notebook and on a terminal.

    Raises:
        UsageError: An argument makes no sense.
        RefusedError: The same test is under way.
        KeyboardInterrupt: It was given up; nothing is left running.
    """
    from spacerun.environment.system import Consent
    from spacerun.stages import Options

    given.require("jobs", jobs, 1, 64)
    given.require("retries", retries, 0, 10)
    given.require("space_timeout", space_timeout, 1)
    given.require("timeout", timeout, 1)
    given.require("share_timeout", share_timeout, 1)
    given.require("attempts", attempts, 1, 6)
    if screenshot:
        from spacerun.smoke.screenshot import require as require_browser

        require_browser()
    options = Options(
        space="",
        share=share or require_share,
        require_share=require_share,
        share_seconds=share_timeout,
        gpu=str(gpu),
        python=python,
        as_of=given.day(as_of),
        locked=given.path(locked),
        reuse_torch=reuse_torch == "auto",
        packages=given.several(with_),
        replaced_models=given.replaced(replace_model),
        variables=given.variables(env, env_file),
        pass_token=pass_token,
        timeout_seconds=timeout,
        system_packages=Consent(system_packages),
        attempts=attempts,
        like_hub=like_hub,
        no_container=no_container,
        prebuilt=prebuilt,
        force=force,
        offline=offline,
    )
    wanted = asking.jobs(
        map(given.space, spaces),
        options,
        until=Level.of(until) if until else None,
        require=Level.of(require) if require else None,
        calls=[parse_call(call, "calls") for call in calls],
        screenshot=screenshot,
        seconds=space_timeout,
    )
    with working(progress) as listener:
        report = test(
            wanted, Settings(jobs, retries, fail_fast, prune_after), _Listener(listener, on_result), resume=resume
        )
    if report.interrupted:
        raise KeyboardInterrupt
    return report


class _Listener:
    """See `spacerun.smoke.suite.Listener`."""

    def __init__(self, progress: Progress, on_result: Callable[[Result], None]) -> None:
        self._progress = progress
        self._on_result = on_result

    def began(self, job: Job) -> Progress:  # noqa: ARG002
        """See `Listener`."""
        return self._progress

    def line(self, job: Job, text: str) -> None:
        """Ignore it: the log is in a file, which the result names."""

    def ended(self, job: Job, result: Result) -> None:  # noqa: ARG002
        """See `Listener`."""
        self._on_result(result)
