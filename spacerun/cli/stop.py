"""`spacerun stop`: end running apps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from spacerun.cli.session import Session

if TYPE_CHECKING:
    from spacerun.app.spec import AppRecord


def stop(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="ID|SPACE", help="Apps, as `spacerun ps` shows them, or their Spaces.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Stop every running app.")] = False,
    json_output: Annotated[
        bool, typer.Option("--json", envvar="SPACERUN_JSON", help="Print one JSON document on standard output.")
    ] = False,
) -> None:
    """Stop running apps, with every process that they started."""
    with Session("stop", as_json=json_output) as session:
        from rich.text import Text

        from spacerun.app import registry
        from spacerun.errors import UsageError
        from spacerun.text import one_line

        if bool(names) == everything:
            message = "Name the apps to stop, or give --all." if not names else "Give either names or --all."
            raise UsageError(message, hint="See what is running: spacerun ps")
        lost = registry.reap_orphans()

        def chosen(name: str) -> AppRecord:
            # An app that had lost its supervisor has just been ended: that is what was asked for.
            return next((r for r in lost if name in {r.id, r.space}), None) or registry.find(name, active=True)

        records = registry.records(active=True) if everything else [chosen(name) for name in names or ()]
        stopped = [registry.stop(record) for record in {record.id: record for record in records}.values()]
        session.emit({"stopped": [record.to_json() for record in stopped]})
        for record in stopped:
            session.print(Text(f"Stopped {record.id} ({one_line(record.space)})."))
        if not stopped:
            session.print("No app is running.")
