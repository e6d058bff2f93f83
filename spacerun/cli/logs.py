"""`spacerun logs`: what an app wrote."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from spacerun.cli import options as o
from spacerun.cli.session import Session


def logs(
    name: o.AppName,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines to show.")] = 100,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on showing what it writes, until it ends.")
    ] = False,
) -> None:
    """Show the log of an app, and why it ended, if it has."""
    with Session("logs") as session:
        from spacerun.app import registry
        from spacerun.app.log import follow as follow_log
        from spacerun.app.log import last_lines
        from spacerun.errors import NotFoundError
        from spacerun.text import printable

        record = registry.find(name)
        path = Path(record.log)
        if not path.exists():
            raise NotFoundError(f"The app {record.id} has no log.")
        end = path.stat().st_size
        for line in last_lines(path, lines, end=end):
            sys.stdout.write(f"{printable(line)}\n")
        sys.stdout.flush()
        if follow:
            for line in follow_log(path, end, lambda: not registry.supervised(record)):
                sys.stdout.write(f"{printable(line)}\n")
                sys.stdout.flush()
        ended = registry.load(record.id)
        if ended and not ended.active and ended.reason:
            console = session.progress.console
            console.print(printable(ended.reason), style="bold", markup=False)
            for line in (ended.hint or "").splitlines():
                console.print(printable(line), markup=False)
