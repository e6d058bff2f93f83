"""`spacerun doctor`: what this machine lacks, and what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from spacerun.cli import options as o
from spacerun.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from spacerun.doctor import Check

_MARKS = {"ok": ("✓", "green"), "remark": ("!", "yellow"), "missing": ("✗", "red")}


def doctor(
    fix: Annotated[
        bool,
        typer.Option("--fix", envvar="SPACERUN_FIX", help="Install what is missing, clear up, and look again."),
    ] = False,
    json_output: o.Json = False,
) -> None:
    """Look at git, git-lfs, uv, Pythons, containers, GPUs, disk, Hub and token.

    Exit 13 if git or uv is missing: without them no Space can be launched.
    """
    with Session("doctor", as_json=json_output) as session:
        from dataclasses import asdict

        from spacerun.doctor import examine, mend, require
        from spacerun.errors import PrerequisiteError

        checks = examine()
        if fix:
            mend(checks, session.progress)
            checks = examine()
        session.print(_table(checks))
        data = {"checks": [asdict(check) for check in checks]}
        try:
            require(checks)
        except PrerequisiteError as error:
            error.data = data
            raise
        session.emit(data)


def _table(checks: Sequence[Check]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from spacerun.text import printable

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for check in checks:
        mark, colour = _MARKS[check.status]
        told = Text(printable(check.detail))
        if check.remedy:
            told.append(f"\n→ {printable(check.remedy)}", style="cyan")
        table.add_row(Text(mark, style=colour), check.name, told)
    return table
