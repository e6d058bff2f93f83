"""`spacerun ps`: the running apps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from spacerun.cli.session import Session

if TYPE_CHECKING:
    from rich.table import Table

_UNKNOWN = "—"


def ps(
    everything: Annotated[bool, typer.Option("--all", "-a", help="Show the latest apps that have ended, too.")] = False,
    json_output: Annotated[
        bool, typer.Option("--json", envvar="SPACERUN_JSON", help="Print one JSON document on standard output.")
    ] = False,
) -> None:
    """Show the running apps: where they are, what they take, and how they are."""
    with Session("ps", as_json=json_output) as session:
        from rich.text import Text

        from spacerun.app import registry
        from spacerun.app.health import survey
        from spacerun.text import one_line

        for record in registry.reap_orphans():
            session.progress.warn(f"{record.id} had lost the process that looked after it; what was left is ended.")
        apps = [app.to_json() for app in survey(registry.records(active=not everything))]
        session.emit({"apps": apps})
        if not apps:
            session.print("No app was started yet." if everything else "No app is running.")
            return
        session.print(_table(apps), wide=True)
        for app in apps:
            if app["reason"]:
                session.print(Text(f"{app['id']}: {one_line(app['reason'], 1000)}", style="dim"), wide=True)


def _table(apps: list[dict[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from spacerun.text import one_line, size

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("ID", "SPACE", "URL", "SHARE", "PID", "UP", "CPU", "MEMORY", "GPU MEMORY", "HEALTH"):
        right = heading in {"PID", "UP", "CPU", "MEMORY", "GPU MEMORY"}
        table.add_column(heading, no_wrap=True, justify="right" if right else "left")
    for app in apps:
        lives = app["health"] is not None
        gpu = app["gpu_memory_bytes"]
        table.add_row(
            app["id"],
            Text(one_line(app["space"])),
            Text(app["url"] or _UNKNOWN if lives else _UNKNOWN),
            Text(app["share_url"] or _UNKNOWN if lives else _UNKNOWN),
            str(app["pid"] or _UNKNOWN) if lives else _UNKNOWN,
            _duration(app["uptime_seconds"]) if lives else _UNKNOWN,
            f"{app['cpu_percent']:.0f} %" if lives else _UNKNOWN,
            size(app["memory_bytes"]) if lives else _UNKNOWN,
            _UNKNOWN if gpu is None else size(gpu),
            Text(_state(app), style="green" if app["health"] == "answers" else "yellow" if lives else "dim"),
        )
    return table


def _state(app: dict[str, Any]) -> str:
    if app["health"]:
        return f"{app['health']}, restarted {app['restarts']}×" if app["restarts"] else str(app["health"])
    return f"crashed ({app['exit_code']})" if app["status"] == "crashed" and app["exit_code"] else str(app["status"])


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {rest}s" if minutes else f"{rest}s"
