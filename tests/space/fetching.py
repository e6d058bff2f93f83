"""Fetches a Space as a launch does, in a process of its own that can be killed, with all imports done before."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from typing import TYPE_CHECKING

import filelock  # noqa: F401 - what the room imports late is imported here once for all
import git  # noqa: F401
import huggingface_hub.hf_api  # noqa: F401

from spacerun import (
    editing,
    exec_bound,  # noqa: F401
)
from spacerun.progress import SilentProgress
from spacerun.space.checkout import check_out
from spacerun.space.find import find, remember
from spacerun.space.lfs import fill
from spacerun.space.reference import SpaceRef, parse
from spacerun.space.tree import update_state

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.space.fetching"])


class Fetching:
    """A process that fetches `space`, to `directory` if that is given."""

    def __init__(self, space: str, directory: Path | None = None) -> None:
        self._said, said = _CONTEXT.Pipe(duplex=False)
        self.process = _CONTEXT.Process(target=_run, args=(dict(os.environ), said, space, directory))
        self.process.start()
        said.close()

    def said(self) -> list[str]:
        """What it said before it ended, or was ended."""
        found = []
        try:
            while True:
                found.append(self._said.recv())
        except (EOFError, ConnectionError):
            return found

    def kill(self) -> None:
        """As `kill -9` does."""
        self.process.kill()
        self.process.join()


def _run(environment: dict[str, str], said: Connection, space: str, directory: Path | None) -> None:
    os.environ.clear()
    os.environ.update(environment)
    try:
        _fetch(said, space, directory)
    except BaseException:
        said.send(traceback.format_exc())
        raise


def _fetch(said: Connection, space: str, directory: Path | None) -> None:
    progress = SilentProgress()
    reference = parse(space, endpoint=os.environ["HF_ENDPOINT"])
    assert isinstance(reference, SpaceRef)
    found = find(reference, progress=progress)
    said.send("found")
    checkout = check_out(
        found,
        directory=directory,
        token=None,
        progress=progress,
        unedited=editing.unedited,
        in_use=lambda _: False,
    )
    said.send("checked out")
    remember(found, asked=reference.id)
    filled = fill(checkout, url=found.url, token=None, progress=progress)
    update_state(checkout.directory, large_files=True, filled=filled)
    said.send("filled")
