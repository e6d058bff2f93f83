"""Reads sources given as text, as a Space would be read."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from spacerun.needs.flow import Setting
from spacerun.needs.report import Needs, read_needs
from spacerun.source.project import read_project

if TYPE_CHECKING:
    from spacerun.needs.loads import Load


def read(source: str, *, gpu: bool = True, variables: dict[str, str] | None = None, **files: str) -> Needs:
    """What `app.py` and further files need; `config__yaml` stands for `config.yaml`, `lib__a__py` for `lib/a.py`."""
    raws = {"app.py": textwrap.dedent(source).encode()}
    for name, text in files.items():
        folders, _, suffix = name.rpartition("__")
        raws[f"{folders.replace('__', '/')}.{suffix}"] = textwrap.dedent(text).encode()
    folders = {path.rpartition("/")[0] for path in raws}
    setting = Setting(gpu, variables or {}, raws.get, lambda path: path in raws or path in folders)
    return read_needs(read_project("app.py", raws.get), setting)


def loads(source: str, **options: object) -> list[Load]:
    """The models that a source loads."""
    return list(read(source, **options).loads)  # type: ignore[arg-type]


def ids(source: str, **options: object) -> list[str | None]:
    """Their names, in alphabetical order."""
    return sorted((load.id for load in loads(source, **options)), key=str)
