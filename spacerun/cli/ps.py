"""`spacerun ps`: the running apps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from spacerun.cli.session import Session

if TYPE_CHECKING:
    from rich.table import Table


def ps(
    json_output: Annotated[
        bool, typer.Option("--json", envvar="SPACERUN_JSON", help="Print one JSON document on standard output.")
    ] = False,
) -> None:
    """Show the running apps."""
    with Session("ps", as_json=json_output) as session:
        from spacerun.app import registry
        from spacerun.app.health import survey

        for record in registry.reap_orphans():
            session.progress.warn(f"{record.id} had lost the process that looked after it; what was left is ended.")
        apps = survey(registry.records(active=True))
        session.emit({"apps": [app.to_json() for app in apps]})
        session.print(_table([app.to_json() for app in apps]) if apps else "No app is running.")


def _table(apps: list[dict[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from spacerun.text import one_line, size

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("ID", "SPACE", "URL", "SHARE", "PID", "UP", "MEMORY", "HEALTH"):
        right = heading in {"PID", "UP", "MEMORY"}
        # What is copied from here must not be broken; the Space may be a long path.
        table.add_column(heading, overflow="fold", no_wrap=heading != "SPACE", justify="right" if right else "left")
    for app in apps:
        table.add_row(
            app["id"],
            Text(one_line(app["space"])),
            Text(app["url"] or "-"),
            Text(app["share_url"] or "-"),
            str(app["pid"] or "-"),
            _duration(app["uptime_seconds"]),
            size(app["memory_bytes"]),
            Text(app["health"], style="green" if app["health"] == "answers" else "yellow"),
        )
    return table


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {rest}s" if minutes else f"{rest}s"
