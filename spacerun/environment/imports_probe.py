"""Tells which modules a Space imports whatever happens and its environment lacks: `imports_probe.py ROOT ENTRY`.

Runs in the Space's own Python (3.8 and later), which parses the source by its own grammar. Imports and executes
nothing of the Space: it reads source, and asks the import system where a module of that name would come from.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import sys

TYPE_CHECKING = False  # importing typing takes longer than all the rest
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeGuard

MAX_FILES = 300
MAX_BYTES = 2_000_000
MAX_ENTRIES = 20_000
CATCHING = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


class Reader:
    """Follows the imports of a Space from its entry file through its own modules."""

    def __init__(self, root: str, entry: str) -> None:
        self.root = root
        self.roots = list(dict.fromkeys([os.path.dirname(os.path.join(root, entry)), root]))
        self.own = own_modules(root)
        self.seen: set[str] = set()
        self.waiting = [os.path.join(root, entry)]
        self.wanted: dict[str, tuple[str, int]] = {}

    def run(self) -> dict[str, tuple[str, int]]:
        """Map each module that is wanted from outside to the file and line that import it first."""
        main = True
        while self.waiting and len(self.seen) < MAX_FILES:
            path = self.waiting.pop(0)
            if path in self.seen:
                continue
            self.seen.add(path)
            tree = parse(path)
            if tree is not None and not self.read(path, tree, main=main):
                break
            main = False
        return self.wanted

    def read(self, path: str, tree: ast.Module, *, main: bool) -> bool:
        """Read one file; False where it installs something by itself, so that nothing is known of what comes after."""
        faked = set(faked_modules(tree))
        for statement in statements(tree.body, main=main):
            if installs(statement):
                return False
            level = (statement.level or 0) if isinstance(statement, ast.ImportFrom) else 0
            for name, members in imported(statement):
                top = name.partition(".")[0]
                if level or top in self.own:
                    self.follow(path, name, members, level)
                elif top and top not in faked:
                    self.want(name, members, os.path.relpath(path, self.root), statement.lineno)
        return True

    def want(self, name: str, members: Sequence[str], file: str, line: int) -> None:  # noqa: ARG002
        """Note a module from outside, and where it is imported: of it, the top-level name is what is wanted."""
        self.wanted.setdefault(name.partition(".")[0], (file, line))

    def follow(self, path: str, name: str, members: Sequence[str], level: int) -> None:
        """Remember the files of a module of the Space, of the packages above it and of what is taken from it."""
        parts = name.split(".") if name else []
        bases = self.roots
        if level:
            base = os.path.dirname(path)
            for _ in range(level - 1):
                base = os.path.dirname(base)
            bases = [base]
        for base in bases:
            for count in range(len(parts) + 1):
                stem = os.path.join(base, *parts[:count])
                stems = [stem] if count else []
                if count == len(parts):
                    stems += [os.path.join(stem, member) for member in members]
                for candidate in stems:
                    for file in (candidate + ".py", os.path.join(candidate, "__init__.py")):
                        if os.path.isfile(file):
                            self.waiting.append(file)


def imported(statement: ast.stmt) -> Iterable[tuple[str, Sequence[str]]]:
    """The modules that a statement imports, each with the names that are taken from it."""
    if isinstance(statement, ast.Import):
        return [(alias.name, ()) for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        return [(statement.module or "", [alias.name for alias in statement.names])]
    return []


def own_modules(root: str) -> set[str]:
    """Names that modules of the Space may have: of every source file and every folder in it."""
    names: set[str] = set()
    count = 0
    for _, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        names.update(folders)
        names.update(file.partition(".")[0] for file in files if file.endswith((".py", ".so", ".pyx")))
        count += len(files)
        if count > MAX_ENTRIES:
            break
    return names


def parse(path: str) -> ast.Module | None:
    """The syntax tree of a file, or None where it cannot be had."""
    try:
        with open(path, "rb") as stream:
            return ast.parse(stream.read(MAX_BYTES))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def statements(body: Sequence[ast.stmt], *, main: bool) -> Iterator[ast.stmt]:
    """The statements that run whenever the file does, as far as that can be told from their form."""
    for statement in body:
        yield statement
        if runs_its_body(statement, main=main):
            yield from statements(statement.body, main=main)


def runs_its_body(statement: ast.stmt, *, main: bool) -> TypeGuard[ast.With | ast.ClassDef | ast.If | ast.Try]:
    """Whether what stands within a statement runs, and fails, as if it stood by itself."""
    if isinstance(statement, ast.If):
        return main and is_main(statement.test)
    if isinstance(statement, ast.Try):
        return not any(catches(handler) for handler in statement.handlers)
    return isinstance(statement, (ast.With, ast.ClassDef))


def is_main(test: ast.expr) -> bool:
    """Whether a condition is `__name__ == "__main__"`."""
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def catches(handler: ast.ExceptHandler) -> bool:
    """Whether an exception handler takes a missing module."""
    kinds: Sequence[ast.expr | None] = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or getattr(kind, "attr", getattr(kind, "id", "")) in CATCHING for kind in kinds)


def installs(statement: ast.stmt) -> bool:
    """Whether a statement runs pip, or fetches a repository, from which modules may come as well."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return False
    words = " ".join(texts(statement)).split()
    return ("pip" in words and "install" in words) or ("git" in words and "clone" in words)


def texts(statement: ast.AST) -> Iterator[str]:
    """The texts that stand in a statement."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def faked_modules(tree: ast.AST) -> Iterator[str]:
    """Modules that the source puts into `sys.modules` by itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and getattr(node.value, "attr", "") == "modules":
            yield from texts(node)


def is_provided(name: str) -> bool:
    """Whether the standard library or the environment has a module of this name."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return True


def main() -> None:
    """Print what is missing as JSON."""
    root, entry = os.path.realpath(sys.argv[1]), sys.argv[2]
    wanted = Reader(root, entry).run()
    missing = [
        {"module": name, "file": file, "line": line} for name, (file, line) in wanted.items() if not is_provided(name)
    ]
    print(json.dumps(missing))


if __name__ == "__main__":
    main()
