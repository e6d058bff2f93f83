"""`spacerun open`: an app in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from spacerun.cli import options as o
from spacerun.cli.session import Session


def open_(
    name: o.AppName,
    public: Annotated[
        bool, typer.Option("--public", help="Open the public link, not the address on this machine.")
    ] = False,
    json_output: o.Json = False,
) -> None:
    """Open a running app in the browser, or print its address where there is none."""
    with Session("open", as_json=json_output) as session:
        from rich.text import Text

        from spacerun.app import registry
        from spacerun.app.browser import open_page
        from spacerun.errors import NotFoundError

        registry.reap_orphans()
        record = registry.find(name, active=True)
        url = record.share_url if public else record.url
        if url is None:
            what = "has no public link" if record.url else "does not answer yet"
            raise NotFoundError(f"{record.id} {what}.", hint=f"See how it is: spacerun logs {record.id}")
        opened = open_page(url)
        session.emit({"id": record.id, "url": url, "opened": opened})
        session.print(Text(f"Opened {url}" if opened else url))
