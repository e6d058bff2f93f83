"""`spacerun launch SPACE`: the main job."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from spacerun.cli import options as o
from spacerun.cli.session import Session

if TYPE_CHECKING:
    from rich.panel import Panel

    from spacerun.app.spec import AppRecord
    from spacerun.pipeline import Prepared


def launch(
    space: o.Space,
    share: o.Share = True,
    require_share: o.RequireShare = False,
    host: o.Host = "127.0.0.1",
    port: o.Port = None,
    gpu: o.Gpu = "auto",
    python: o.Python = None,
    with_: o.With = None,
    env: o.Env = None,
    env_file: o.EnvFile = None,
    pass_token: o.PassToken = False,
    directory: o.Dir = None,
    timeout: o.Timeout = None,
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
        from spacerun import pipeline
        from spacerun.app.detach import launch_detached
        from spacerun.app.run import supervise
        from spacerun.app.variables import given_variables
        from spacerun.progress import StageClock
        from spacerun.report import launch_data

        options = pipeline.Options(
            space=space,
            share=share or require_share,
            require_share=require_share,
            host=host,
            port=port,
            gpu=gpu,
            python=python,
            packages=tuple(with_ or ()),
            variables=given_variables(env or (), env_file or ()),
            pass_token=pass_token,
            directory=directory.expanduser().absolute() if directory else None,
            timeout_seconds=timeout,
            offline=offline,
        )
        clock = StageClock(session.progress)
        prepared = pipeline.prepare(options, clock)
        ready = pipeline.ready(prepared, options)
        log_stream = sys.stderr if json_output else sys.stdout

        def show_line(line: str) -> None:
            log_stream.write(line + "\n")
            log_stream.flush()

        def show_ready(record: AppRecord) -> None:
            session.emit(launch_data(prepared, record, clock.seconds))
            session.progress.close()
            session.progress.console.print(_panel(prepared, record, detached=detach))

        if detach:
            with clock.stage("start", "starting the app"):
                record = launch_detached(ready.spec, ready.variables)
            show_ready(record)
            return
        with clock.stage("start", "starting the app"):
            session.progress.close()
            code = supervise(
                ready.spec,
                ready.variables,
                on_line=show_line,
                on_ready=show_ready,
                on_warning=session.progress.warn,
            )
    raise typer.Exit(code)


def _panel(prepared: Prepared, record: AppRecord, *, detached: bool) -> Panel:
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_row("Local", Text(record.url or "", style="bold cyan"))
    if record.share_url:
        table.add_row("Public", Text(record.share_url, style="bold green"))
        table.add_row("", Text("Anyone who has the public link can use the app.", style="dim"))
    table.add_row("Log", Text(record.log, style="dim"))
    end = f"spacerun stop {record.id}" if detached else "Ctrl-C"
    table.add_row("Stop", Text(end, style="dim"))
    return Panel(
        table, title=Text(prepared.located.card.title or prepared.located.name), expand=False, border_style="green"
    )
