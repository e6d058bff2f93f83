"""`spacerun launch SPACE`: the main job."""

from __future__ import annotations

import os
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
    from rich.text import Text

    from spacerun.app.spec import AppRecord
    from spacerun.progress import StageClock
    from spacerun.stages import Prepared, Ready


def launch(
    space: o.Space,
    share: o.Share = True,
    require_share: o.RequireShare = False,
    share_timeout: o.ShareTimeout = 30.0,
    auth: o.Auth = None,
    qr: o.Qr = False,
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
    restart: o.Restart = "no",
    idle_timeout: o.IdleTimeout = None,
    like_hub: o.LikeHub = False,
    no_container: o.NoContainer = False,
    prebuilt: o.Prebuilt = False,
    force: o.Force = False,
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
        from spacerun.app.idle import idle_seconds
        from spacerun.app.password import Password
        from spacerun.app.variables import given_variables
        from spacerun.needs.replace import replacements
        from spacerun.progress import StageClock
        from spacerun.stages import Options

        os.environ.pop("SPACERUN_AUTH", None)  # what is started from here on has no use for it
        options = Options(
            space=space,
            share=share or require_share,
            require_share=require_share,
            share_seconds=share_timeout,
            password=None if auth is None else Password.parse(auth),
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
            restart=restart,
            idle_seconds=idle_seconds(idle_timeout),
            like_hub=like_hub,
            no_container=no_container,
            prebuilt=prebuilt,
            offline=offline,
        )
        clock = StageClock(session.progress)
        if detach:
            show_line = session.progress.note if session.progress.verbose else lambda _: None
            launched = launching.launch_supervised(options, clock, on_line=show_line)
            end = f"spacerun stop {launched.record.id}"
            _show_ready(session, clock, launched.prepared, launched.record, end=end, qr=qr)
        else:
            launching.launch(options, clock, partial(_run, session, clock, qr))


def _run(
    session: Session,
    clock: StageClock,
    qr: bool,
    prepared: Prepared,
    ready: Ready,
    worked: Callable[[], None],
) -> None:
    """Start the app and stay with it until it ends."""
    from spacerun.app.run import supervise
    from spacerun.postmortem import explainer
    from spacerun.progress import ticking

    began = time.monotonic()
    progress = session.progress
    log = sys.stderr if session.as_json else sys.stdout

    def show_answer(record: AppRecord) -> None:
        if "start" in clock.seconds:
            progress.note(f"It answers again at {record.url}.")
            return
        worked()
        clock.record("start", f"it answers at {record.url}", time.monotonic() - began)
        if ready.spec.share:
            progress.start("share", "waiting for the share link")

    def show_ready(record: AppRecord) -> None:
        if ready.spec.share and "share" not in clock.seconds:
            clock.record("share", record.share_url or "", time.monotonic() - began - clock.seconds["start"])
        _show_ready(session, clock, prepared, record, end="Ctrl-C", qr=qr)

    progress.start("start", "starting the app")
    with ticking(progress, "start", "starting the app"):
        supervise(
            ready.spec,
            ready.variables,
            on_line=lambda line: progress.log(line, log),
            on_answer=show_answer,
            on_ready=show_ready,
            on_warning=progress.warn,
            explain=explainer(ready.spec),
        )


def _show_ready(
    session: Session, clock: StageClock, prepared: Prepared, record: AppRecord, *, end: str, qr: bool
) -> None:
    from spacerun.report import launch_data

    session.emit(launch_data(prepared, record, clock.seconds))
    session.progress.close()
    session.progress.console.print(_panel(prepared, record, end=end))
    if qr and record.url:
        session.progress.console.print(_qr_code(record.share_url or record.url))


def _qr_code(url: str) -> Text:
    """The QR code of `url` in half blocks, of which the drawn ones are the light ones."""
    import io

    import segno
    from rich.text import Text

    drawn = io.StringIO()
    segno.make(url, micro=False).terminal(drawn, compact=True)
    return Text(drawn.getvalue(), style="#ffffff on #000000")


def _panel(prepared: Prepared, record: AppRecord, *, end: str) -> Panel:
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    from spacerun.app.ways import ways_in

    table = Table.grid(padding=(0, 2))
    table.add_row("Local", Text(record.url or "", style="bold cyan"))
    if record.share_url:
        table.add_row("Public", Text(record.share_url, style="bold green"))
    for way in ways_in(record.url) if record.url and not record.share_url else ():
        table.add_row(way.where, Text(way.text))
    table.add_row("Open to", Text(record.reach or ""))
    table.add_row("Folder", Text(prepared.located.checkout.directory.as_posix(), style="dim"))
    table.add_row("Log", Text(record.log, style="dim"))
    table.add_row("Stop", Text(end, style="dim"))
    return Panel(
        table, title=Text(prepared.located.card.title or prepared.located.name), expand=False, border_style="green"
    )
