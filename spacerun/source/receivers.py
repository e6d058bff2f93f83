"""Which expressions of a Space's modules stand for a Gradio app: a small data flow over their scopes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final, Protocol

from spacerun.source.containers import elements, handed_out, subscripted, taken
from spacerun.source.objects import Objects
from spacerun.source.scopes import (
    LAST,
    MOST,
    Binding,
    Entered,
    Imported,
    Parameter,
    Path,
    Receiver,
    Scope,
    Typed,
    Use,
    dotted,
    reaching,
)
from spacerun.source.values import Kind, Loaded, Local, Value, alternatives, gradio_attribute, merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spacerun.source.scope_walk import ModuleScopes

# Rounds until names that depend on one another in circles have settled; real code needs one or two.
_ROUNDS: Final = 20
# Containers within containers; a function that walks a tree would go on for good.
_DEEPEST: Final = 4


class Modules(Protocol):
    """The modules of a Space."""

    def scopes(self, file: str) -> ModuleScopes | None:
        """The scopes of one of them; None where it cannot be read."""

    def all_scopes(self) -> Sequence[ModuleScopes]:
        """The scopes of all of them."""

    def locate(self, imported: Imported, importer: str, *, submodule: bool = False) -> str | None:
        """Where the module (or, with `submodule`, the name in it) lies that `importer` imports; None if elsewhere."""

    def file_at(self, location: str) -> str | None:
        """The file of the module at `location`; None where there is none."""


class Receivers:
    """Answers what an expression stands for.

    Names may depend on one another in circles (`demo = demo.queue()` in a loop). A value that is asked for while it is
    being worked out counts as NOTHING at first; then all is worked out anew with the result, until it stays the same.
    """

    def __init__(self, modules: Modules) -> None:
        self._modules = modules
        self._known: dict[tuple[int, Path], Value] = {}
        self._assumed: dict[tuple[int, Path], Value] = {}
        self._working: set[tuple[int, Path]] = set()
        self._objects = Objects(self, modules.all_scopes())
        self._settled = True

    def values(self, uses: Sequence[Use]) -> list[Value]:
        """What each of `uses` stands for."""
        for _ in range(_ROUNDS):
            self._settled = True
            found = [self.value(use) for use in uses]
            if self._settled:
                return found
            self._known.clear()
        return [Kind.OTHER] * len(uses)

    def value(self, use: Use, path: Path = ()) -> Value:
        """What `use` stands for in this round; with `path`, the element of it that unpacking takes."""
        if len(path) > _DEEPEST:
            return Kind.OTHER
        key = (id(use.expression), path)
        if key in self._known:
            return self._known[key]
        if key in self._working:
            return self._assumed.setdefault(key, Kind.NOTHING)
        self._working.add(key)
        try:
            value = self._evaluate(use, path)
        finally:
            self._working.discard(key)
        self._known[key] = value
        if self._assumed.get(key, value) != value:
            self._assumed[key] = value
            self._settled = False
        return value

    def _merged(self, use: Use, parts: Iterable[tuple[ast.expr, Path]]) -> Value:
        return merge([self.value(use.of(part), path) for part, path in parts])

    def _evaluate(self, use: Use, path: Path) -> Value:
        value: Value = Kind.OTHER
        match use.expression:
            case ast.Call() as node:
                value = self._call(node, use, path)
            case ast.Name(id=name):
                value = self._name(name, use, path)
            case ast.Attribute() as node:
                value = self._attribute(node, use, path)
            case ast.Subscript() as node:
                read = subscripted(node, path)
                value = self._merged(use, [read]) if read else Kind.OTHER
            case ast.Tuple() | ast.List() | ast.Set() | ast.Dict() as node:
                parts = elements(node, path)
                value = Kind.OTHER if parts is None else self._merged(use, parts)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.Lambda() as node:
                value = self._inner(node, use, path)
            case ast.Constant(value=None):
                value = Kind.NOTHING
            case node if choices := alternatives(node):
                value = self._merged(use, [(choice, path) for choice in choices])
        return value

    def _inner(self, node: ast.expr, use: Use, path: Path) -> Value:
        """A function without a name, or an element of a comprehension."""
        scopes = self._modules.scopes(use.scope.file)
        inner = scopes.inner.get(id(node)) if scopes else None
        if inner is None or isinstance(node, ast.Lambda) is bool(path):
            return Kind.OTHER
        return self._objects.returned(inner, path[1:]) if path else Local(inner)

    def _name(self, name: str, use: Use, path: Path) -> Value:
        scope: Scope | None = use.scope
        while scope:
            bindings = scope.bindings.get(name)
            if bindings and (scope is use.scope or not scope.is_class):
                if len(bindings) > MOST:
                    return Kind.OTHER
                in_force = reaching(bindings, use.position, use.blocks) if scope is use.scope else bindings
                return self.bound(in_force, name, path, scope.file)
            scope = scope.parent
        return self._starred(name, use.scope.file, path)

    def _starred(self, name: str, file: str, path: Path) -> Value:
        """A name that only an `import *` can have brought."""
        scopes = self._modules.scopes(file)
        for imported in scopes.stars if scopes else []:
            if not imported.level and imported.module.partition(".")[0] == "gradio":
                value: Value = gradio_attribute(Kind.GRADIO, name)
                if value is Kind.MAKER and not path:
                    return value
            elif (location := self._modules.locate(imported, file)) and (
                value := self.member(location, name, path)
            ) is not Kind.OTHER:
                return value
        return Kind.OTHER

    def member(self, location: str, name: str, path: Path) -> Value:
        """What the module at `location` has under `name` once it is imported."""
        file = self._modules.file_at(location)
        scopes = self._modules.scopes(file) if file else None
        if file and scopes and name in scopes.module.bindings:
            return self.bound(reaching(scopes.module.bindings[name], LAST, ()), name, path, file)
        value = self._starred(name, file, path) if file else Kind.OTHER
        if value is Kind.OTHER and not path and self._modules.file_at(f"{location}/{name}"):
            return Loaded(f"{location}/{name}")
        return value

    def bound(self, bindings: list[Binding], name: str, path: Path, file: str) -> Value:
        """What `bindings` give; for an element of a container, also what is put into it anywhere."""
        values = [self._binding(binding, path, file) for binding in bindings]
        scopes = self._modules.scopes(file)
        if path and scopes:
            puts = scopes.puts.get(name.rpartition(".")[2], [])
            if len(puts) > MOST:
                return Kind.OTHER
            values += [self._binding(binding, path[1:], file) for binding in puts]
        return merge(values)

    def _binding(self, binding: Binding, path: Path, file: str) -> Value:
        value: Value = Kind.OTHER
        match binding.defined:
            case None if binding.value:
                value = self.value(binding.value, binding.path + path)
            case Imported() as imported:
                value = self._imported(imported, file, path)
            case Typed(type=annotation, value=use):
                value = self.value(use, path) if use else Kind.OTHER
                if value is Kind.OTHER and not path:
                    value = self._objects.instance_of(annotation)
            case Entered(context=context) if not path:
                value = self._objects.entered(context)
            case Parameter() as parameter:
                value = self._objects.parameter(parameter, path)
            case Scope() as defined if not path:
                value = Local(defined)
            case Receiver(owner=owner, is_class=is_class) if not path:
                value = Local(owner, instance=not is_class)
        return value

    def _imported(self, imported: Imported, importer: str, path: Path) -> Value:
        parts = imported.module.split(".")
        if parts[0] == "gradio" and not imported.level:
            value: Value = Kind.GRADIO
            for part in [] if imported.top else [*parts[1:], *([imported.name] if imported.name else [])]:
                value = gradio_attribute(value, part) if isinstance(value, Kind) else Kind.OTHER
            return Kind.OTHER if path else value
        location = self._modules.locate(imported, importer)
        if imported.name is None:
            if location is None or path:
                return Kind.OTHER
            return Loaded(location.rsplit("/", len(parts) - 1)[0] if imported.top else location)
        value = self.member(location, imported.name, path) if location is not None else Kind.OTHER
        if value is Kind.OTHER and not path:
            inner = self._modules.locate(imported, importer, submodule=True)
            return Loaded(inner) if inner else Kind.OTHER
        return value

    def _attribute(self, node: ast.Attribute, use: Use, path: Path) -> Value:
        name = dotted(node)
        scope: Scope | None = use.scope
        while name and scope:
            if name in scope.bindings:  # `state.demo = gr.Blocks()` binds the dotted name
                return self._name(name, use, path)
            scope = scope.parent
        return self._objects.attribute_of(self.value(use.of(node.value)), node.attr, path)

    def _call(self, node: ast.Call, use: Use, path: Path) -> Value:
        if isinstance(node.func, ast.Name) and node.func.id == "super" and not path:
            owner = use.scope.method_of
            return Kind.APP if owner and self._objects.is_gradio_class(owner) else Kind.OTHER
        match node:
            case ast.Call(func=ast.Name(id="getattr"), args=[target, ast.Constant(value=str() as name), *_]):
                return self._objects.attribute_of(self.value(use.of(target)), name, path)
        read = handed_out(node, path)
        if read:
            value = self._merged(use, [read])
            # Keywords that a `partial` holds give way to those of the call; what it holds by position does not.
            return Kind.OTHER if value is Kind.LAUNCH and len(node.args) > 1 else value
        read = taken(node)
        if read and not path:
            value = self._merged(use, [read])
            if value is not Kind.OTHER:
                return value
        return self._objects.result(self.value(use.of(node.func)), path)
