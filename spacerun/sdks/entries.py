"""The command that an entry file stands for: Python, a shell script, a Makefile."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from spacerun.errors import PrerequisiteError
from spacerun.source.scripts import runner
from spacerun.text import one_line

if TYPE_CHECKING:
    from spacerun.sdks.base import Site


def start_entry(site: Site) -> tuple[str, ...]:
    """Program and arguments that start the entry file of a Space, to be run in its folder.

    Hugging Face runs every entry file by Python; a script of another kind says itself by its name or its first line
    what it is run by, and finds the Space's Python first on its PATH.

    Raises:
        PrerequisiteError: The program that runs it is not here.
    """
    name = site.card.app_file
    # A file name that begins with a dash would be read as an option.
    entry = f"./{name}" if name.startswith("-") else name
    program = runner(name, _beginning(site))
    if program is None:
        assert site.environment is not None  # noqa: S101 - narrows the type: it is made for an SDK that wants Python
        return (str(site.environment.python), entry)
    found = shutil.which(program)
    if found is None:
        raise PrerequisiteError(
            f"{one_line(name)} is run by {program}, which is not here.",
            hint=f"Install it, for example: sudo apt-get install {program}",
            stage="start",
        )
    return (found, "-f", entry) if program == "make" else (found, entry)


def _beginning(site: Site) -> bytes:
    with (site.directory / site.card.app_file).open("rb") as stream:
        return stream.read(256)
