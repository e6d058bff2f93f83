"""`spacerun logs`: what an app wrote."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from spacerun.cli.session import Session


def logs(
    name: Annotated[str, typer.Argument(metavar="ID|SPACE", help="An app, as `spacerun ps` shows it, or its Space.")],
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines to show.")] = 100,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on showing what it writes, until it ends.")
    ] = False,
) -> None:
    """Show the log of an app, also after it has ended."""
    with Session("logs"):
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
