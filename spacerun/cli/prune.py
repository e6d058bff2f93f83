"""`spacerun prune`: give back what nothing uses."""

from __future__ import annotations

from typing import Annotated

import typer

from spacerun.cli import options as o
from spacerun.cli.session import Session


def prune(
    everything: Annotated[
        bool, typer.Option("--all", envvar="SPACERUN_ALL", help="Clones in which nothing was changed, too.")
    ] = False,
    json_output: o.Json = False,
) -> None:
    """Remove environments that no running app uses, and large files that no clone needs."""
    with Session("prune", as_json=json_output) as session:
        from spacerun.storage import prune as prune_storage
        from spacerun.storage import to_json
        from spacerun.text import size

        removed, freed = prune_storage(everything=everything)
        session.emit({"removed": [to_json(item) for item in removed], "freed_bytes": freed})
        for item in removed:
            session.print(f"Removed {item.kind} {item.name}")
        session.print(f"{size(freed)} given back.")
