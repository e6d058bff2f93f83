"""Which code of a Space may run: when its entry file is started, and when somebody clicks.

A function counts as soon as its name stands in code that counts, wherever that leads: too much rather than too little.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from spacerun.needs.values import Defined, Method, Object, variables
from spacerun.source.scopes import Function, Imported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.needs.flow import Flow
    from spacerun.source.scope_walk import ModuleScopes
    from spacerun.source.scopes import Scope, Use

# Methods that libraries call by themselves.
_IMPLICIT: Final = frozenset({"forward", "setup", "predict", "run", "build", "load", "handle"})


class Reach:
    """The code of a Space that may run.

    Attributes:
        scopes: Functions, classes and modules whose code may run.
        starting: Those of them that run before the app answers.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self.scopes: set[Scope] = set()
        self._names: set[str] = set()
        self._by_name: dict[str, list[Scope]] = defaultdict(list)
        self._calls: dict[Scope, list[Use]] = defaultdict(list)
        for module in flow.project.all_scopes():
            for scope in module.scopes:
                if isinstance(scope.node, Function | ast.ClassDef):
                    self._by_name[scope.node.name].append(scope)
            for use in module.calls:
                self._calls[use.scope].append(use)
        for file in flow.project.scripts or {flow.project.entry}:
            self._add_file(file)
        self.starting = self._starting()

    def calls(self) -> Iterator[Use]:
        """Every call in code that may run."""
        for scope, uses in self._calls.items():
            if _home(scope) in self.scopes:
                yield from (
                    use for use in uses if not self._flow.is_dead(use.blocks, scope) and not self._is_behind(use)
                )

    def _is_behind(self, use: Use) -> bool:
        """Whether something surely leaves the function before: `if not torch.cuda.is_available(): return`."""
        scopes = self._flow.project.scopes(use.scope.file)
        for test, place in scopes.exits if scopes else ():
            around = test.scope is use.scope and use.blocks[: len(test.blocks)] == test.blocks
            if around and place <= use.position and self._flow.decide(test):
                return not variables(self._flow.values(test))  # a variable may yet be given
        return False

    def holds(self, use: Use) -> bool:
        """Whether `use` stands in code that may run."""
        return _home(use.scope) in self.scopes

    def is_at_start(self, use: Use) -> bool:
        """Whether `use` is evaluated before the app answers."""
        return _home(use.scope) in self.starting

    # -- what may run --------------------------------------------------------------------------------------------------

    def _add_file(self, file: str) -> None:
        scopes = self._flow.project.scopes(file)
        if scopes and scopes.module not in self.scopes:
            self._add(scopes.module, scopes)

    def _add(self, scope: Scope, scopes: ModuleScopes) -> None:
        """Take in `scope`, and what the names in its code lead to."""
        waiting = [(scope, scopes)]
        while waiting:
            scope, scopes = waiting.pop()
            if scope in self.scopes:
                continue
            self.scopes.add(scope)
            reader = _Names(self._flow, scope, scopes)
            for imported in reader.imports:
                self._import(imported, scope.file)
            self._names |= reader.names
            if "globals" in reader.names:  # functions called by the text of their names
                waiting += [(inner, scopes) for inner in scopes.scopes if inner.parent is scopes.module]
            for name in (*reader.names, *(["__init__"] if scope.is_class else [])):
                waiting += self._led_to(name)
            if scope.is_class:
                for inner in self._methods(scope):
                    waiting.append((inner, scopes))

    def _led_to(self, name: str) -> Iterator[tuple[Scope, ModuleScopes]]:
        for found in self._by_name.get(name, []):
            scopes = self._flow.project.scopes(found.file)
            outer = found.parent
            if scopes and found not in self.scopes and (outer is None or not outer.is_class or outer in self.scopes):
                yield found, scopes

    def _methods(self, owner: Scope) -> Iterator[Scope]:
        """The methods of a class that may run although no code names them, and those that some has named already."""
        for name, bindings in owner.bindings.items():
            if name.startswith("__") or name in _IMPLICIT or name in self._names:
                for binding in bindings:
                    if isinstance(binding.defined, type(owner)):
                        yield binding.defined

    def _import(self, imported: Imported, importer: str) -> None:
        project = self._flow.project
        for submodule in (False, True):
            location = project.locate(imported, importer, submodule=submodule)
            parts = location.split("/") if location else []
            for length in range(1, len(parts) + 1):
                file = project.file_at("/".join(parts[:length]))
                if file:
                    self._add_file(file)

    # -- what runs at the start ----------------------------------------------------------------------------------------

    def _starting(self) -> set[Scope]:
        within: dict[Scope, list[Use]] = defaultdict(list)
        for scope, uses in self._calls.items():
            within[_home(scope)] += uses
        found: set[Scope] = set()
        waiting = [scope for scope in self.scopes if scope.parent is None or _is_class_body(scope)]
        while waiting:
            scope = waiting.pop()
            if scope in found:
                continue
            found.add(scope)
            for use in within.get(scope, ()):
                if not self._flow.is_dead(use.blocks, use.scope):
                    waiting += self._called(use)
        return found

    def _called(self, use: Use) -> Iterator[Scope]:
        if not isinstance(use.expression, ast.Call):
            return
        for value in self._flow.values(use.of(use.expression.func)):
            match value:
                case Defined(scope=scope) if scope.is_class:
                    for name in ("__init__", "__post_init__", "__new__"):
                        if method := self._flow.objects.method(scope, name):
                            yield method
                case Defined(scope=scope) | Method(function=scope):
                    yield scope
                case Object(owner=owner) if method := self._flow.objects.method(owner, "__call__"):
                    yield method


class _Names(ast.NodeVisitor):
    """The names and imports in the code of one scope, without the bodies of its functions and classes."""

    def __init__(self, flow: Flow, scope: Scope, scopes: ModuleScopes) -> None:
        self._flow = flow
        self._tests = scopes.tests
        self.names: set[str] = set()
        self.imports: list[Imported] = []
        body = getattr(scope.node, "body", [])
        for node in body if isinstance(body, list) else [body]:
            self.visit(node)

    def visit_If(self, node: ast.If) -> None:
        """Only the branch that may run."""
        test = self._tests.get(id(node.body[0]))
        holds = self._flow.decide(test[0]) if test else None
        self.visit(node.test)
        for child in [*(node.body if holds is not False else []), *(node.orelse if holds is not True else [])]:
            self.visit(child)

    def _visit_definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        for child in node.decorator_list:
            self.visit(child)
        if isinstance(node, ast.ClassDef):
            for child in (*node.bases, *(keyword.value for keyword in node.keywords)):
                self.visit(child)
        else:
            arguments = node.args
            for default in (*arguments.defaults, *filter(None, arguments.kw_defaults)):
                self.visit(default)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _visit_definition  # noqa: N815

    def visit_Name(self, node: ast.Name) -> None:
        """A name that is used."""
        if isinstance(node.ctx, ast.Load):
            self.names.add(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """An attribute that is used."""
        self.names.add(node.attr)
        self.visit(node.value)

    def visit_Import(self, node: ast.Import) -> None:
        """`import a.b`."""
        self.imports += [Imported(alias.name) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """`from a import b`; under another name, the old one is taken for used."""
        self.names.update(alias.name for alias in node.names if alias.asname)
        self.imports += [
            Imported(node.module or "", None if alias.name == "*" else alias.name, node.level) for alias in node.names
        ]


def _home(scope: Scope) -> Scope:
    """The function, class or module that a comprehension or lambda stands in."""
    while scope.parent and not isinstance(scope.node, Function | ast.ClassDef):
        scope = scope.parent
    return scope


def _is_class_body(scope: Scope) -> bool:
    while scope.is_class and scope.parent:
        scope = scope.parent
    return scope.parent is None
