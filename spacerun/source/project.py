"""The Python of one Space: the entry file, and every file of the Space that it imports or starts."""

from __future__ import annotations

import ast
import posixpath
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from spacerun.source.literals import literal_text, within_space
from spacerun.source.python_text import PythonText, SourceError
from spacerun.source.scope_walk import ModuleScopes
from spacerun.source.scopes import Imported, dotted
from spacerun.source.scripts import runner, spawns_of_script
from spacerun.source.spawned import Spawn, spawns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# More than these no real Space has of its own; a vendored library is left to the start-up hook.
_MOST_FILES: Final = 400
_MOST_BYTES: Final = 2 << 20


@dataclass(frozen=True)
class Module:
    """One source file.

    Attributes:
        file: Its path within the Space.
        raw: Its bytes.
        text: The same as Python reads them; None where that fails.
        scopes: Its scopes; None where it cannot be parsed.
        problem: Why it cannot be read or parsed, as part of a sentence.
    """

    file: str
    raw: bytes
    text: PythonText | None
    scopes: ModuleScopes | None
    problem: str | None = None

    @classmethod
    def read(cls, file: str, raw: bytes) -> Module:
        """Parse a file."""
        text = None
        try:
            text = PythonText.decode(raw)
            return cls(file, raw, text, ModuleScopes(text.tree, file))
        except SourceError as error:
            return cls(file, raw, text, None, str(error))
        except RecursionError:
            return cls(file, raw, text, None, "it is nested too deeply")


@dataclass(frozen=True)
class Project:
    """The modules of a Space that run when its entry file does, as far as imports and commands are written out.

    Attributes:
        entry: Path of the entry file.
        modules: The modules by path, the entry file first.
        folders: Where its modules are looked for.
        scripts: The files that are started, the entry file among them; the others are imported.
        out_of_reach: Children that the start-up hook does not reach: file, and what starts them.
        left_out: Files that are too large, or too many.
    """

    entry: str
    modules: Mapping[str, Module]
    folders: tuple[str, ...] = ("",)
    scripts: frozenset[str] = frozenset()
    out_of_reach: tuple[tuple[str, Spawn], ...] = ()
    left_out: tuple[str, ...] = ()

    @cached_property
    def imports(self) -> frozenset[str]:
        """Top-level names of all modules that the Space's own code imports, its own among them."""
        return frozenset(
            imported.module.partition(".")[0]
            for scopes in self.all_scopes()
            for imported in scopes.imports
            if imported.module and not imported.level
        )

    def scopes(self, file: str) -> ModuleScopes | None:
        """The scopes of one file; None where it cannot be parsed or does not belong to the Space."""
        module = self.modules.get(file)
        return module.scopes if module else None

    def all_scopes(self) -> tuple[ModuleScopes, ...]:
        """The scopes of all files."""
        return tuple(module.scopes for module in self.modules.values() if module.scopes)

    def locate(self, imported: Imported, importer: str, *, submodule: bool = False) -> str | None:
        """Where the module (or, with `submodule`, the name in it) lies that `importer` imports; None if elsewhere."""
        return next(
            (place for place in _places(imported, importer, self.folders, submodule) if self.file_at(place)), None
        )

    def file_at(self, location: str) -> str | None:
        """The file of the module at `location`; None where there is none."""
        return next((file for file in _files_at(location) if file in self.modules), None)

    def replaced(self, sources: Mapping[str, bytes]) -> Project:
        """The same with other bytes in some files."""
        modules = {
            file: Module.read(file, sources[file]) if file in sources else module
            for file, module in self.modules.items()
        }
        return replace(self, modules=modules)


def read_project(entry: str, read: Callable[[str], bytes | None]) -> Project:
    """Read the entry file and all that it leads to.

    Args:
        entry: Path of the entry file within the Space.
        read: Gives the bytes of a file, by its path within the Space; None where there is none.
    """
    reader = _Reader(entry, read)
    reader.follow()
    return Project(
        entry,
        reader.modules,
        tuple(reader.folders),
        frozenset(reader.scripts),
        tuple(dict.fromkeys(reader.out_of_reach)),
        tuple(reader.left_out),
    )


class _Reader:
    def __init__(self, entry: str, read: Callable[[str], bytes | None]) -> None:
        self._read = read
        self._absent: set[str] = set()
        self._waiting: list[str] = []
        self.modules: dict[str, Module] = {}
        self.left_out: list[str] = []
        self.out_of_reach: list[tuple[str, Spawn]] = []
        self.scripts = {entry}
        # Python looks in the folder of the script first; PYTHONPATH names the root on Hugging Face.
        self.folders = [posixpath.dirname(entry), "", "src"]
        self._add(entry)
        raw = self.modules[entry].raw if entry in self.modules else b""
        if runner(entry, raw):
            self.modules[entry] = Module(entry, raw, None, None)  # neither read as Python nor in need of an edit
            for spawn in spawns_of_script(raw):
                self._start(spawn, entry)

    def follow(self) -> None:
        """Read on until nothing new turns up; a folder that is added late may hold what was not found before."""
        before = -1
        while before != len(self.folders):
            before = len(self.folders)
            self._absent.clear()
            self._waiting = list(self.modules)
            while self._waiting:
                module = self.modules[self._waiting.pop(0)]
                if module.scopes:
                    self._follow(module.file, module.scopes)

    def _add(self, file: str) -> bool:
        if file in self.modules:
            return True
        if file in self._absent or (raw := self._read(file)) is None:
            self._absent.add(file)
            return False
        if len(self.modules) >= _MOST_FILES or (self.modules and len(raw) > _MOST_BYTES):
            self._absent.add(file)
            self.left_out.append(file)
            return False
        self.modules[file] = Module.read(file, raw)
        self._waiting.append(file)
        return True

    def _follow(self, file: str, scopes: ModuleScopes) -> None:
        for folder in _added_folders(scopes, file):
            if folder not in self.folders:
                self.folders.insert(1, folder)
        for imported in scopes.imports:
            if imported.level or imported.module.partition(".")[0] != "gradio":
                self._import(imported, file)
        for spawn in spawns(scopes):
            self._start(spawn, file)
            if spawn.blind:
                self.out_of_reach.append((file, spawn))

    def _import(self, imported: Imported, file: str) -> bool:
        found = False
        for submodule in (False, True) if imported.name not in {None, "*"} else (False,):
            for place in _places(imported, file, self.folders, submodule):
                package, module = _files_at(place)
                if self._add(package) or self._add(module):
                    found = True
                    self._add_parents(place)
                    break
        return found

    def _add_parents(self, place: str) -> None:
        """Importing `a.b` runs `a/__init__.py` first."""
        folder = posixpath.dirname(place)
        while folder and folder not in self.folders:
            self._add(f"{folder}/__init__.py")
            folder = posixpath.dirname(folder)

    def _start(self, spawn: Spawn, file: str) -> None:
        if spawn.module and all(part.isidentifier() for part in spawn.module.split(".")):
            self._import(Imported(spawn.module), file)
            self._import(Imported(f"{spawn.module}.__main__"), file)
        for folder in (within_space(spawn.folder) or "", "", posixpath.dirname(file)) if spawn.script else ():
            path = within_space(spawn.script or "", folder)
            if path and self._add(path):
                self.scripts.add(path)
                if posixpath.dirname(path) not in self.folders:
                    self.folders.append(posixpath.dirname(path))
                return


def _places(imported: Imported, importer: str, folders: tuple[str, ...] | list[str], submodule: bool) -> Iterator[str]:  # noqa: FBT001 - private
    """Where a module may lie, the first choice first; without `.py` or `/__init__.py`."""
    parts = imported.module.split(".") if imported.module else []
    parts += [imported.name] if submodule and imported.name else []
    bases: tuple[str, ...] | list[str] = folders
    if imported.level:
        base = posixpath.dirname(importer)
        for _ in range(imported.level - 1):
            base = posixpath.dirname(base)
        bases = [base]
    for base in bases:
        yield posixpath.join(base, *parts)


def _files_at(location: str) -> tuple[str, str]:
    # A package comes before a module of the same name (importlib's FileFinder).
    return posixpath.join(location, "__init__.py"), f"{location}.py"


def _added_folders(scopes: ModuleScopes, file: str) -> Iterator[str]:
    """Folders of the Space that a module puts on `sys.path`."""
    for use in scopes.calls:
        call = use.expression
        if isinstance(call, ast.Call) and dotted(call.func) in {
            "sys.path.append",
            "sys.path.insert",
            "site.addsitedir",
        }:
            folder = within_space(literal_text(call.args[-1], file)) if call.args else None
            if folder is not None:
                yield folder
