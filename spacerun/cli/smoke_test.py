"""`spacerun smoke-test SPACE…`: proof that Spaces work."""

from __future__ import annotations

import signal
import sys
from pathlib import Path  # noqa: TC003 - Typer reads the signature at run time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from spacerun.cli import options as o
from spacerun.cli.session import Session
from spacerun.environment.system import Consent

if TYPE_CHECKING:
    from spacerun.smoke.reports.baseline import Comparison
    from spacerun.smoke.result import Report

_Level = Literal["plan", "environment", "imports", "start", "calls"]


def smoke_test(
    spaces: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SPACE…",
            help="owner/name, owner/name@REVISION, a Space's address, or a folder: `.`",
            show_default=False,
        ),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            envvar="SPACERUN_FROM",
            metavar="FILE",
            help="Test the Spaces in FILE as well, one a line; `-` is standard input.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        _Level | None,
        typer.Option(
            "--until",
            envvar="SPACERUN_UNTIL",
            help="How far to test. Default: as far as the Space says and this machine allows.",
            show_default=False,
        ),
    ] = None,
    require: Annotated[
        _Level | None,
        typer.Option(
            "--require", envvar="SPACERUN_REQUIRE", help="Fail where less than this is proven.", show_default=False
        ),
    ] = None,
    call: Annotated[
        list[str] | None,
        typer.Option(
            "--call",
            envvar="SPACERUN_CALL",
            metavar="ENDPOINT",
            help="Call this endpoint of the app: /predict, or GET /health. Repeatable.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            envvar="SPACERUN_DATA",
            metavar="JSON",
            help="What the call before it is given: a list of arguments.",
            show_default=False,
        ),
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            "--expect",
            envvar="SPACERUN_EXPECT",
            metavar="JSON|TEXT|/PATTERN/",
            help="What must come back from it.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option("--jobs", "-j", envvar="SPACERUN_JOBS", min=1, max=64, help="How many to test at the same time."),
    ] = 1,
    retries: Annotated[
        int,
        typer.Option(
            "--retries",
            envvar="SPACERUN_RETRIES",
            min=0,
            max=10,
            help="How often to try again where the network failed.",
        ),
    ] = 2,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", envvar="SPACERUN_FAIL_FAST", help="End with the first Space that fails.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", envvar="SPACERUN_RESUME", help="Go on where the same test was interrupted."),
    ] = False,
    prune_after: Annotated[
        bool,
        typer.Option(
            "--prune-after",
            envvar="SPACERUN_PRUNE_AFTER",
            help="Remove what each test brought to this disk: clone, environment, image, models.",
        ),
    ] = False,
    space_timeout: Annotated[
        float,
        typer.Option(
            "--space-timeout",
            envvar="SPACERUN_SPACE_TIMEOUT",
            metavar="SECONDS",
            min=1,
            help="How long the test of one Space may take in all.",
        ),
    ] = 3600.0,
    junit: Annotated[
        Path | None,
        typer.Option(
            "--junit", envvar="SPACERUN_JUNIT", metavar="FILE", help="Write a JUnit report.", show_default=False
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            envvar="SPACERUN_HTML",
            metavar="DIR",
            help="Write a page with all that is known.",
            show_default=False,
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline",
            envvar="SPACERUN_BASELINE",
            metavar="FILE",
            help="Compare with an earlier --json document: newly broken, mended, slower.",
            show_default=False,
        ),
    ] = None,
    screenshot: Annotated[
        bool,
        typer.Option(
            "--screenshot",
            envvar="SPACERUN_SCREENSHOT",
            help="Take a picture of the page (extra: spacerun[screenshot]).",
        ),
    ] = False,
    share: o.Share = False,
    require_share: o.RequireShare = False,
    share_timeout: o.ShareTimeout = 30.0,
    gpu: o.Gpu = "auto",
    python: o.Python = None,
    as_of: o.AsOf = "auto",
    locked: o.Locked = None,
    reuse_torch: o.ReuseTorch = "auto",
    with_: o.With = None,
    replace_model: o.ReplaceModel = None,
    env: o.Env = None,
    env_file: o.EnvFile = None,
    pass_token: o.PassToken = False,
    timeout: o.Timeout = None,
    system_packages: o.SystemPackages = Consent.ASK,
    attempts: o.Attempts = 3,
    like_hub: o.LikeHub = False,
    no_container: o.NoContainer = False,
    prebuilt: o.Prebuilt = False,
    force: o.Force = False,
    offline: o.Offline = False,
    json_output: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Launch each Space, prove that it works, and stop it; report for people and for CI.

    Exit code: 0 if all pass. Of one Space its own, as of `launch`, and 12 if a check failed; of several, 12.
    """
    from spacerun.smoke.reports.github import reporting

    # What `--json` writes is one document; a runner reads its commands from standard error as well.
    with (
        reporting(sys.stderr.write) as tell_actions,
        Session("smoke-test", as_json=json_output, quiet=quiet, verbose=verbose) as session,
    ):
        from spacerun.app.variables import given_variables
        from spacerun.cli.smoke_screen import Screen
        from spacerun.needs.replace import replacements
        from spacerun.smoke import asking
        from spacerun.smoke.contract import parse_calls
        from spacerun.smoke.job import Level
        from spacerun.smoke.reports.baseline import compare, read_baseline
        from spacerun.smoke.suite import Settings
        from spacerun.smoke.suite import smoke_test as test
        from spacerun.stages import Options

        if screenshot:
            from spacerun.smoke.screenshot import require as require_browser

            require_browser()
        before = read_baseline(baseline) if baseline else None
        options = Options(
            space="",
            share=share or require_share,
            require_share=require_share,
            share_seconds=share_timeout,
            gpu=gpu,
            python=python,
            as_of=as_of,
            locked=locked.expanduser().absolute() if locked else None,
            reuse_torch=reuse_torch == "auto",
            packages=tuple(with_ or ()),
            replaced_models=replacements(replace_model or ()),
            variables=given_variables(env or (), env_file or ()),
            pass_token=pass_token,
            timeout_seconds=timeout,
            system_packages=system_packages,
            force=force,
            attempts=attempts,
            like_hub=like_hub,
            no_container=no_container,
            prebuilt=prebuilt,
            offline=offline,
        )
        wanted = asking.jobs(
            [*(spaces or ()), *(asking.read_spaces(from_) if from_ else ())],
            options,
            until=Level.of(until) if until else None,
            require=Level.of(require) if require else None,
            calls=parse_calls(call or (), data or (), expect or ()),
            screenshot=screenshot,
            seconds=space_timeout,
            verbose=session.progress.verbose,
        )
        # CI services cancel a job by SIGINT or SIGTERM; either way it is to tell what is known.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        screen = Screen(session.progress, alone=len(wanted) == 1)
        report = test(wanted, Settings(jobs, retries, fail_fast, prune_after), screen, resume=resume)
        comparison = compare(report, before) if before else None
        tell_actions(report, comparison)
        _report(session, report, comparison, junit=junit, html=html)


def _report(
    session: Session, report: Report, comparison: Comparison | None, *, junit: Path | None, html: Path | None
) -> None:
    from spacerun.smoke.reports.html import write_html
    from spacerun.smoke.reports.junit import write_junit
    from spacerun.smoke.reports.terminal import table
    from spacerun.smoke.verdict import failure

    session.progress.close()
    if junit:
        write_junit(report, junit.expanduser())
    if html:
        page = write_html(report, html.expanduser(), comparison)
        session.progress.note(f"The report is in {page}.")
    session.print(table(report, comparison))
    data = report.to_json() | ({"baseline": comparison.to_json()} if comparison else {})
    if report.interrupted:
        session.interrupted(data)
    if error := failure(report):
        error.data = data
        raise error
    session.emit(data)
