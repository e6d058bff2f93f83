"""`spacerun list`: what is on disk."""

from __future__ import annotations

from spacerun.cli import options as o
from spacerun.cli.session import Session


def list_(json_output: o.Json = False) -> None:
    """Show what spacerun keeps on this disk, with sizes."""
    with Session("list", as_json=json_output) as session:
        from rich.table import Table
        from rich.text import Text

        from spacerun.storage import items, to_json
        from spacerun.text import size

        found = items()
        total = sum(item.size_bytes for item in found)
        session.emit({"items": [to_json(item) for item in found], "total_bytes": total})
        if not found:
            session.print("Nothing is kept on this disk.")
            return
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for heading in ("what", "name", "size", "last used", ""):
            table.add_column(heading, justify="right" if heading == "size" else "left")
        for item in found:
            name = (
                item.name.partition("@")[0] + "@" + item.name.partition("@")[2][:12] if "@" in item.name else item.name
            )
            state = Text("running", style="green") if item.in_use else Text("")
            table.add_row(item.kind, name, size(item.size_bytes), item.last_used[:16].replace("T", " "), state)
        session.print(table)
        session.print(f"{size(total)} in all. Give it back with: spacerun remove owner/name, spacerun prune")
