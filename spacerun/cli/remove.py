"""`spacerun remove SPACE…`: give the disk of a Space back."""

from __future__ import annotations

from typing import Annotated

import typer

from spacerun.cli import options as o
from spacerun.cli.session import Session


def remove(
    spaces: Annotated[list[str], typer.Argument(metavar="SPACE…", help="owner/name", show_default=False)],
    force: Annotated[
        bool, typer.Option("--force", "-f", envvar="SPACERUN_FORCE", help="Remove files that you changed, too.")
    ] = False,
    json_output: o.Json = False,
) -> None:
    """Remove the clones of Spaces. Changed files are only removed with --force."""
    with Session("remove", as_json=json_output) as session:
        from spacerun.storage import remove as remove_space
        from spacerun.storage import to_json
        from spacerun.text import size

        removed, freed = [], 0
        for space in spaces:
            trees, given_back = remove_space(space, force=force)
            removed += trees
            freed += given_back
            session.print(f"Removed {space}: {size(given_back)} given back.")
        session.emit({"removed": [to_json(item) for item in removed], "freed_bytes": freed})
