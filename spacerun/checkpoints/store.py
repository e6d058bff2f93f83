"""What lies in many files, read at once, and remembered: the files of a commit never change."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from spacerun import lanes, paths
from spacerun.checkpoints import json_text
from spacerun.checkpoints.reading import contents, is_told
from spacerun.checkpoints.tensors import Contents
from spacerun.checkpoints.unreadable import AbsentError, ClosedError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from spacerun.checkpoints.places import Place

AT_ONCE: Final = 8
LARGEST_CONFIG: Final = 1024 * 1024
# The headers of the largest models have 30 MB; a stranger's may take 0.2 s to parse for each MB.
MOST_BYTES: Final = 128 * 1024 * 1024
MOST_REMEMBERED: Final = 200
_FORMAT: Final = 1


@dataclass(frozen=True)
class Read:
    """What was read of a place.

    Attributes:
        contents: What lies in each file.
        problems: Why a file could not be read, a sentence for each. No file is in both.
        configs: The small JSON files that are there.
    """

    contents: Mapping[str, Contents]
    problems: Mapping[str, str]
    configs: Mapping[str, Any]


def read_all(place: Place, files: Mapping[str, int], *, configs: Iterable[str] = ()) -> Read:
    """What lies in all of `files`, read eight at once; none is downloaded, and one that cannot be read harms no other.

    What was read of a commit on the Hub is remembered, and never asked for again.

    Args:
        place: Where they lie.
        files: Their sizes in bytes, by path.
        configs: Small JSON files to read as well; one that is absent is no problem.
    """
    configs = tuple(dict.fromkeys(configs))
    memory = _recall(place)
    known = {name: Contents(size) for name, size in files.items() if not is_told(name)}
    known |= {name: old for name, old in memory.contents.items() if files.get(name) == old.size_bytes}
    weights = [name for name in files if name not in known]
    texts = [name for name in configs if name not in memory.configs]
    metered = _Metered(place)
    jobs: list[Callable[[], Any]] = [partial(contents, metered, name, files[name]) for name in weights]
    jobs += [partial(_config, metered, name) for name in texts]
    answers = lanes.each(metered.answer, jobs, AT_ONCE)

    problems = {
        name: answer.message
        for name, answer in zip((*weights, *texts), answers, strict=True)
        if isinstance(answer, UnreadableError)
    }
    new = _Memory(
        {name: answer for name, answer in zip(weights, answers, strict=False) if name not in problems},
        {name: answer for name, answer in zip(texts, answers[len(weights) :], strict=True) if name not in problems},
    )
    memory = _Memory({**memory.contents, **new.contents}, {**memory.configs, **new.configs})
    if new.contents or new.configs:
        _remember(place, memory)
    known |= new.contents
    return Read(
        {name: known[name] for name in files if name in known},
        problems,
        {name: memory.configs[name] for name in configs if memory.configs.get(name) is not None},
    )


class _Metered:
    """A place, until it turns out to be closed, or too much was read of it."""

    def __init__(self, place: Place) -> None:
        self.name = place.name
        self._place = place
        self._closed: ClosedError | None = None
        self._left = MOST_BYTES

    def read(self, file: str, start: int, stop: int) -> bytes:
        """See `Place`."""
        if self._closed:
            raise self._closed
        if self._left < 0:
            raise ClosedError("The headers of its files are larger than those of any model.")
        found = self._place.read(file, start, stop)
        self._left -= len(found)
        return found

    def answer(self, job: Callable[[], Any]) -> Any:  # noqa: ANN401
        """What `job` comes to, or why it comes to nothing."""
        try:
            return job()
        except UnreadableError as error:
            if isinstance(error, ClosedError):
                self._closed = error
            return error


def _config(place: Place, name: str) -> Any:  # noqa: ANN401
    """A small JSON file; None where there is none."""
    try:
        text = place.read(name, 0, LARGEST_CONFIG + 1)
    except AbsentError:
        return None
    if len(text) > LARGEST_CONFIG:
        raise UnreadableError("It is larger than 1 MiB.")
    try:
        return json_text.parse(text)
    except ValueError as error:
        raise UnreadableError("It is not JSON.") from error


# -- what was read before ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Memory:
    """What was read of one commit; a config that is not there is None."""

    contents: Mapping[str, Contents] = field(default_factory=dict)
    configs: Mapping[str, Any] = field(default_factory=dict)


def _recall(place: Place) -> _Memory:
    """What was read of `place` before; nothing where it may have changed, or what is there is not ours."""
    path = _path(place)
    try:
        document = paths.read_json(path) if path else None
    except RecursionError:
        return _Memory()
    if not isinstance(document, dict) or document.get("format") != _FORMAT or document.get("place") != place.name:
        return _Memory()
    rows, configs = document.get("contents"), document.get("configs")
    if not isinstance(rows, dict) or not isinstance(configs, dict):
        return _Memory()
    found = {}
    for name, row in rows.items():
        with suppress(ValueError):
            found[name] = Contents.from_json(row)
    return _Memory(found, configs)


def _remember(place: Place, memory: _Memory) -> None:
    path = _path(place)
    if path is None:
        return
    rows = {name: found.to_json() for name, found in memory.contents.items()}
    document = {"format": _FORMAT, "place": place.name, "contents": rows, "configs": memory.configs}
    with suppress(OSError):  # it is only asked for again
        paths.write_atomic(path, json.dumps(document).encode())
        _tidy(path.parent)


def _tidy(folder: Path) -> None:
    """Keep the newest."""
    ages = sorted((path.stat().st_mtime, path) for path in folder.iterdir())
    for _, path in ages[:-MOST_REMEMBERED]:
        path.unlink(missing_ok=True)


def _path(place: Place) -> Path | None:
    if place.name is None:
        return None
    return paths.home().cache / "checkpoints" / f"{hashlib.sha256(place.name.encode()).hexdigest()[:32]}.json"
