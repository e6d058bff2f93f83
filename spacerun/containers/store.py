"""The images that were built here: one state file each, written when it is complete, so that they can be given back."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from spacerun.containers.engine import ask
from spacerun.paths import home, read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.containers.engine import Engine

_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Image:
    """An image.

    Attributes:
        name: `localhost/spacerun/owner-name:HASH`.
        space: `owner/name`, or the path of a local folder.
        engine: Absolute path of the engine that has it.
        size_bytes: Its size; what it shares with other images counts for each.
        last_used: When an app was last started from it, in seconds since the epoch.
    """

    name: str
    space: str
    engine: str
    size_bytes: int
    last_used: float


def remember(engine: Engine, name: str, space: str) -> None:
    """Note that `name` is complete, and used now."""
    status, said = ask((engine.path, "image", "inspect", "--format", "{{.Size}}", name), seconds=_SECONDS)
    size = int(said) if status == 0 and said.isdigit() else 0
    write_json(_file(name), asdict(Image(name, space, engine.path, size, time.time())))


def images() -> list[Image]:
    """All that were built here and not removed by `remove`."""
    rows = (read_json(file) for file in sorted(_folder().glob("*.json")))
    return [image for row in rows if (image := _read(row))]


def remove(image: Image) -> bool:
    """Remove `image`; whether it is gone. Its engine refuses while a container uses it."""
    status, _ = ask((image.engine, "rmi", image.name), seconds=_SECONDS)
    gone = status == 0 or ask((image.engine, "image", "inspect", image.name), seconds=_SECONDS)[0] != 0
    if gone:
        _file(image.name).unlink(missing_ok=True)
    return gone


def _folder() -> Path:
    return home().cache / "images"


def _file(name: str) -> Path:
    return _folder() / f"{name.rpartition('/')[2].replace(':', '-')}.json"


def _read(row: Any) -> Image | None:  # noqa: ANN401 - whatever stands in the file
    try:
        return Image(**row)
    except TypeError:
        return None
