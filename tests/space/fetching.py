"""Fetches a Space as a launch does, to be killed: `python -m tests.space.fetching SPACE [DIRECTORY]`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from spacerun import editing
from spacerun.progress import SilentProgress
from spacerun.space.checkout import check_out
from spacerun.space.find import find, remember
from spacerun.space.lfs import fill
from spacerun.space.reference import SpaceRef, parse
from spacerun.space.tree import update_state


def main(space: str, directory: str | None = None) -> None:
    progress = SilentProgress()
    reference = parse(space, endpoint=os.environ["HF_ENDPOINT"])
    assert isinstance(reference, SpaceRef)
    found = find(reference, progress=progress)
    print("found", flush=True)
    checkout = check_out(
        found,
        directory=Path(directory) if directory else None,
        token=None,
        progress=progress,
        unedited=editing.unedited,
        in_use=lambda _: False,
    )
    print("checked out", flush=True)
    remember(found, asked=reference.id)
    filled = fill(checkout, url=found.url, token=None, progress=progress)
    update_state(checkout.directory, large_files=True, filled=filled)
    print("filled", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
