"""Where the code puts what it downloads, so that a path loaded later is known for the model that it came from."""

from __future__ import annotations

import ast
import posixpath
import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from spacerun.needs.naming import is_weights
from spacerun.needs.values import Const, External, Values, texts
from spacerun.source.literals import within_space
from spacerun.source.scopes import called_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.needs.flow import Flow
    from spacerun.needs.reach import Reach
    from spacerun.source.scopes import Use

_URL: Final = re.compile(r"https?://[^\s'\"]+")
# Calls that run a command.
STARTERS: Final = frozenset({"system", "popen", "run", "call", "check_call", "check_output", "Popen", "getoutput"})
# Functions that fetch an address, and where they say into which file.
_RETRIEVERS: Final = {
    "urllib.request.urlretrieve": "filename", "wget.download": "out", "gdown.download": "output",
    "gdown.cached_download": "path", "torch.hub.download_url_to_file": "dst", "requests.get": "",
    "urllib.request.urlopen": "", "httpx.get": "", "basicsr.utils.download_util.load_file_from_url": "model_dir",
}  # fmt: skip


@dataclass(frozen=True)
class Fetched:
    """Something the code downloads.

    Attributes:
        use: The call.
        id: A model's name, or an address.
        path: The file or folder within the Space that it is put at; None where that cannot be told.
        file: The file of the model; None for a whole one.
        is_url: Whether `id` is an address.
    """

    use: Use
    id: str
    path: str | None
    file: str | None = None
    is_url: bool = False


class Downloads:
    """What the code of a Space downloads."""

    def __init__(self, flow: Flow, reach: Reach) -> None:
        self._flow = flow
        self.rows: tuple[Fetched, ...] = tuple(row for use in reach.calls() for row in self._of(use))

    def at(self, path: str) -> Fetched | None:
        """What lies at `path`, a file or folder within the Space, once the code has fetched it."""
        for row in self.rows:
            if row.path is not None and (path == row.path or path.startswith(f"{row.path}/".lstrip("/"))):
                return row
        return None

    @cached_property
    def folders(self) -> frozenset[str]:
        """Folders that the code fills itself: `checkpoints/x` is no model of an owner called checkpoints."""
        found = {row.path.partition("/")[0] for row in self.rows if row.path}
        for module in self._flow.project.modules.values():
            for node in ast.walk(module.scopes.module.node) if module.scopes else ():
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and is_weights(node.value):
                    path = within_space(node.value)
                    if path and path.count("/") >= 1 and "://" not in node.value:
                        found.add(path.partition("/")[0])
        return frozenset(found)

    def _of(self, use: Use) -> Iterator[Fetched]:
        call = use.expression
        if not isinstance(call, ast.Call):
            return
        name = called_name(call)
        if name in {"hf_hub_download", "snapshot_download"}:
            yield from self._of_hub(use, name)
        elif name in STARTERS:
            yield from self._of_command(use, call)
        else:
            for function in self._flow.values(use.of(call.func)):
                if isinstance(function, External) and function.name in _RETRIEVERS:
                    yield from self._of_retriever(use, _RETRIEVERS[function.name])

    def _of_hub(self, use: Use, name: str) -> Iterator[Fetched]:
        whole = name == "snapshot_download"
        for frame in self._flow.callers.contexts(use.scope):
            ids = texts(self._flow.arguments(use, frame, "repo_id", at=0) or ())
            files: list[str | None] = [None]
            if not whole:
                files = list(texts(self._flow.arguments(use, frame, "filename", at=1) or ())) or [None]
            folders = texts(self._flow.arguments(use, frame, "local_dir", "cache_dir") or ())
            for model in ids:
                for file in files:
                    for folder in folders:
                        place = within_space(folder)
                        path = None if place is None else posixpath.join(place, file or "").rstrip("/")
                        yield Fetched(use, model, path, file)

    def _of_retriever(self, use: Use, target: str) -> Iterator[Fetched]:
        for frame in self._flow.callers.contexts(use.scope):
            targets = texts(self._flow.arguments(use, frame, target, at=1) or ()) if target else []
            for url in texts(self._flow.arguments(use, frame, "url", "id", at=0) or ()):
                path = within_space(targets[0]) if len(targets) == 1 else None
                yield Fetched(use, url, path, is_url=True)

    def _of_command(self, use: Use, call: ast.Call) -> Iterator[Fetched]:
        """`os.system("wget URL -O file")`."""
        words: list[str] = []
        for value in self._flow.values(use.of(call.args[0])) if call.args else ():
            words += _words((value,))
        for at, word in enumerate(words):
            if _URL.fullmatch(word):
                yield Fetched(use, word, _target(words, at), is_url=True)


def _words(values: Values) -> list[str]:
    found: list[str] = []
    for value in values:
        parts = getattr(value, "elements", None)
        if parts is not None:
            found += [text for part in parts for text in texts(part)]
        elif isinstance(value, Const) and isinstance(value.value, str):
            for line in re.split(r"&&|;|\n", value.value):
                try:
                    found += shlex.split(line)
                except ValueError:
                    found += line.split()
    return found


def _target(words: list[str], at: int) -> str | None:
    """The file that `wget`, `curl` or `aria2c` writes an address to."""
    folder, name = "", words[at].partition("?")[0].rpartition("/")[2]
    for option, value in pairwise(words):
        if option in {"-O", "-o", "--output-document", "--output", "--out"}:
            name = value
        elif option in {"-P", "-d", "--directory-prefix", "--dir"}:
            folder = value
    return within_space(posixpath.join(folder, name)) if name else None
