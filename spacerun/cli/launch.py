"""`spacerun launch SPACE`: the main job."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from spacerun.cli import options as o
from spacerun.cli.session import Session
from spacerun.environment.system import Consent

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.panel import Panel

    from spacerun.app.spec import AppRecord
    from spacerun.progress import StageClock
    from spacerun.stages import Prepared, Ready


def launch(
    space: o.Space,
    share: o.Share = True,
    require_share: o.RequireShare = False,
    host: o.Host = "127.0.0.1",
    port: o.Port = None,
    gpu: o.Gpu = "auto",
    python: o.Python = None,
    as_of: o.AsOf = "auto",
    lock: o.Lock = None,
    locked: o.Locked = None,
    reuse_torch: o.ReuseTorch = "auto",
    with_: o.With = None,
    replace_model: o.ReplaceModel = None,
    env: o.Env = None,
    env_file: o.EnvFile = None,
    pass_token: o.PassToken = False,
    directory: o.Dir = None,
    timeout: o.Timeout = None,
    system_packages: o.SystemPackages = Consent.ASK,
    attempts: o.Attempts = 3,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            envvar="SPACERUN_FORCE",
            help="Start although memory does not suffice, or a model that it needs cannot be had.",
        ),
    ] = False,
    offline: o.Offline = False,
    detach: Annotated[
        bool,
        typer.Option("--detach", "-d", envvar="SPACERUN_DETACH", help="Return once it answers; see `spacerun ps`."),
    ] = False,
    json_output: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Clone a Space, make its environment, and start it with a link.

    The app's log appears on standard output. Ctrl-C stops the app and everything that it started.
    """
    with Session("launch", as_json=json_output, quiet=quiet, verbose=verbose) as session:
        from functools import partial

        from spacerun import launching
        from spacerun.app.variables import given_variables
        from spacerun.needs.replace import replacements
        from spacerun.progress import StageClock
        from spacerun.stages import Options

        options = Options(
            space=space,
            share=share or require_share,
            require_share=require_share,
            host=host,
            port=port,
            gpu=gpu,
            python=python,
            as_of=as_of,
            lock=lock,
            locked=locked,
            reuse_torch=reuse_torch == "auto",
            packages=tuple(with_ or ()),
            replaced_models=replacements(replace_model or ()),
            variables=given_variables(env or (), env_file or ()),
            pass_token=pass_token,
            directory=directory.expanduser().absolute() if directory else None,
            timeout_seconds=timeout,
            system_packages=system_packages,
            confirm=session.confirm,
            ask=session.ask,
            force=force,
            attempts=attempts,
            offline=offline,
        )
        clock = StageClock(session.progress)
        run = _run_detached if detach else _run
        launching.launch(options, clock, partial(run, session, clock))


def _run(session: Session, clock: StageClock, prepared: Prepared, ready: Ready, worked: Callable[[], None]) -> None:
    """Start the app and stay with it until it ends."""
    from spacerun.app.run import supervise
    from spacerun.errors import AppCrashedError
    from spacerun.progress import ticking

    began = time.monotonic()
    progress = session.progress
    log = sys.stderr if session.as_json else sys.stdout

    def show_answer(record: AppRecord) -> None:
        worked()
        clock.record("start", f"it answers at {record.url}", time.monotonic() - began)
        if ready.spec.share:
            progress.start("share", "waiting for the share link")

    def show_ready(record: AppRecord) -> None:
        if ready.spec.share:
            clock.record("share", record.share_url or "", time.monotonic() - began - clock.seconds["start"])
        _show_ready(session, clock, prepared, record, end="Ctrl-C")

    progress.start("start", "starting the app")
    with ticking(progress, "start", "starting the app"):
        code = supervise(
            ready.spec,
            ready.variables,
            on_line=lambda line: progress.log(line, log),
            on_answer=show_answer,
            on_ready=show_ready,
            on_warning=progress.warn,
        )
    if code:
        raise AppCrashedError(
            f"The app ended with status {code}.", hint=f"Read its log: spacerun logs {ready.spec.id}", stage="start"
        )


def _run_detached(
    session: Session, clock: StageClock, prepared: Prepared, ready: Ready, worked: Callable[[], None]
) -> None:
    """Start the app under a supervisor of its own and return once it answers."""
    from spacerun.app.detach import launch_detached

    show_line = session.progress.note if session.progress.verbose else lambda _: None
    with clock.stage("start", "starting the app") as stage:
        record = launch_detached(ready.spec, ready.variables, on_line=show_line, on_warning=session.progress.warn)
        stage.text = f"it answers at {record.url}"
    worked()
    _show_ready(session, clock, prepared, record, end=f"spacerun stop {record.id}")


def _show_ready(session: Session, clock: StageClock, prepared: Prepared, record: AppRecord, *, end: str) -> None:
    from spacerun.report import launch_data

    session.emit(launch_data(prepared, record, clock.seconds))
    session.progress.close()
    session.progress.console.print(_panel(prepared, record, end=end))


def _panel(prepared: Prepared, record: AppRecord, *, end: str) -> Panel:
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_row("Local", Text(record.url or "", style="bold cyan"))
    if record.share_url:
        table.add_row("Public", Text(record.share_url, style="bold green"))
        table.add_row("", Text("Anyone who has the public link can use the app.", style="dim"))
    table.add_row("Folder", Text(prepared.located.checkout.directory.as_posix(), style="dim"))
    table.add_row("Log", Text(record.log, style="dim"))
    table.add_row("Stop", Text(end, style="dim"))
    return Panel(
        table, title=Text(prepared.located.card.title or prepared.located.name), expand=False, border_style="green"
    )
