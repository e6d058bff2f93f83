"""The command line: one file per command."""

from __future__ import annotations

from typing import Annotated

import typer

from spacerun import __version__
from spacerun.cli.check_gpu import check_gpu
from spacerun.cli.doctor import doctor
from spacerun.cli.launch import launch
from spacerun.cli.list import list_
from spacerun.cli.logs import logs
from spacerun.cli.open import open_
from spacerun.cli.plan import plan
from spacerun.cli.prune import prune
from spacerun.cli.ps import ps
from spacerun.cli.remove import remove
from spacerun.cli.restart import restart
from spacerun.cli.smoke_test import smoke_test
from spacerun.cli.stop import stop

app = typer.Typer(
    name="spacerun",
    help="Clone and launch any Hugging Face Space on your own GPU machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    rich_markup_mode="markdown",
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"spacerun {__version__}")
        raise typer.Exit


@app.callback()
def _spacerun(
    _version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


app.command()(launch)
app.command()(plan)
app.command("check-gpu")(check_gpu)
app.command("smoke-test")(smoke_test)
app.command()(ps)
app.command()(logs)
app.command()(stop)
app.command()(restart)
app.command("open")(open_)
app.command("list")(list_)
app.command()(remove)
app.command()(prune)
app.command()(doctor)
