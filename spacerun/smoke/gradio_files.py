"""Files as arguments of a Gradio app, in the form that its version takes them in.

A page uploads a file and sends where it lies: from 4.0 on as `FileData` (gradio `data_classes.py`). Before, a picture
is sent as a data URL, and any other file as a dictionary of its name and such a URL (gradio 3 `components.py`).
"""

from __future__ import annotations

import base64
import mimetypes
from typing import TYPE_CHECKING, Any, Final

from spacerun.smoke.call_outcome import CallError
from spacerun.text import one_line, size

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.smoke.gradio_config import Config

META: Final = {"_type": "gradio.FileData"}

_PICTURE: Final = "image"
_KINDS: Final = frozenset({_PICTURE, "audio", "video", "file", "model3d", "uploadbutton"})
_LISTS: Final = frozenset({"file", "uploadbutton"})  # before 4.0 they are sent a list even of one
_REMOTE: Final = ("http://", "https://")
_INLINE: Final = (*_REMOTE, "data:")
_INLINE_BYTES: Final = 64 * 2**20


def as_sent(value: Any, kind: str, config: Config, directory: Path) -> Any:  # noqa: ANN401
    """An argument as the app takes it, from what a user wrote down.

    A component that takes files is given a path; `FileData` is taken as well, wherever it stands. Only what lies in the
    Space's folder is sent, for what is written down may be a stranger's, and the app may run in a container that is to
    see no more of this machine.

    Args:
        value: What the user wrote.
        kind: The component that takes it.
        config: The app.
        directory: The Space's folder.

    Raises:
        CallError: There is no such file in the Space's folder.
    """
    modern = config.release >= (4, 0)
    if isinstance(value, str) and kind in _KINDS and value:
        if modern:
            data = _file_data(value, directory)
            # A video came with its subtitles until 6.0 (gradio `components/video.py`, `VideoData`).
            return {"video": data, "subtitles": None} if kind == "video" and config.release < (6, 0) else data
        return value if value.startswith(_INLINE) else _inline(_found(value, directory), kind)
    return _resolved(value, directory) if modern else value


def _resolved(value: Any, directory: Path) -> Any:  # noqa: ANN401
    """`value` with the path of each `FileData` in it made absolute."""
    if isinstance(value, list):
        return [_resolved(item, directory) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("meta") == META and isinstance(value.get("path"), str):
        return {**value, **_file_data(value["path"], directory)}
    return {key: _resolved(item, directory) for key, item in value.items()}


def _file_data(path: str, directory: Path) -> dict[str, Any]:
    if path.startswith(_REMOTE):
        return {"path": path, "meta": META}
    found = _found(path, directory)
    return {"path": str(found), "orig_name": found.name, "meta": META}


def inside(path: str, directory: Path) -> Path | None:
    """The file at `path`, relative to `directory` or absolute; None where there is none in that folder."""
    try:
        found = (directory / path).resolve()
        is_there = found.is_relative_to(directory.resolve()) and found.is_file()
    except (OSError, ValueError, RuntimeError):  # no path at all, or links in a circle
        return None
    return found if is_there else None


def _found(path: str, directory: Path) -> Path:
    found = inside(path, directory)
    if found is None:
        raise CallError(f"there is no file {one_line(path, 80)} in the Space's folder to send")
    return found


def _inline(path: Path, kind: str) -> Any:  # noqa: ANN401
    if path.stat().st_size > _INLINE_BYTES:
        raise CallError(f"{one_line(path.name, 80)} is larger than {size(_INLINE_BYTES)}, which no page would send")
    media = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    data = f"data:{media};base64,{base64.b64encode(path.read_bytes()).decode()}"
    if kind == _PICTURE:
        return data
    file = {"name": path.name, "data": data, "is_file": False}
    return [file] if kind in _LISTS else file
