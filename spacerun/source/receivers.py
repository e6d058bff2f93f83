"""Which expressions of a Space's modules stand for a Gradio app: a small data flow over their scopes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final, Protocol

from spacerun.source.scopes import (
    ANY, SOMETIME, Binding, Blocks, Entered, Imported, Parameter, Path, Position, Receiver, Scope, Typed, Use, dotted,
)  # fmt: skip
from spacerun.source.values import Kind, Loaded, Local, Value, alternatives, called, gradio_attribute, merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spacerun.source.scope_walk import ModuleScopes

_END: Final[Position] = (1 << 31, 0)
# Rounds until names that depend on one another in circles have settled; real code needs one or two.
_ROUNDS: Final = 20
# Containers within containers; a function that walks a tree would go on for good.
_DEEPEST: Final = 4
# Decorators that leave the arguments and the result of a function as they are.
_TRANSPARENT: Final = frozenset({"staticmethod", "classmethod", "property", "cached_property", "cache", "lru_cache"})
_VIEWS: Final = frozenset({"values", "items"})


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
        self._annotations: dict[int, ast.expr | None] = {}
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

    def _merged(self, uses: Iterable[Use], path: Path = ()) -> Value:
        return merge([self.value(use, path) for use in uses])

    def _evaluate(self, use: Use, path: Path) -> Value:
        match use.expression:
            case ast.Call() as node:
                return self._call(node, use, path)
            case ast.Name(id=name):
                return self._name(name, use, path)
            case ast.Attribute() as node:
                return self._attribute(node, use, path)
            case ast.Subscript(value=container, slice=ast.Constant(value=int() | str() as key)):
                return self.value(use.of(container), (key, *path))
            case ast.Subscript(value=container, slice=index) if not isinstance(index, ast.Slice):
                return self.value(use.of(container), (ANY, *path))
            case ast.Tuple() | ast.List() | ast.Set() | ast.Dict():
                return self._element(use, path)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.Lambda() as node:
                scopes = self._modules.scopes(use.scope.file)
                inner = scopes.inner.get(id(node)) if scopes else None
                if inner is None or isinstance(node, ast.Lambda):
                    return Local(inner) if inner and not path else Kind.OTHER
                return self._returned(inner, path[1:]) if path else Kind.OTHER
            case ast.Constant(value=None):
                return Kind.NOTHING
            case node:
                return self._merged(map(use.of, alternatives(node)), path) if alternatives(node) else Kind.OTHER

    def _element(self, use: Use, path: Path) -> Value:
        """An element of a tuple, list, set or dictionary that is written out."""
        if not path:
            return Kind.OTHER
        key, rest = path[0], path[1:]
        if isinstance(use.expression, ast.Dict):
            pairs = list(zip(use.expression.keys, use.expression.values, strict=True))
            if any(name is None for name, _ in pairs):
                return Kind.OTHER
            if key is not ANY and all(isinstance(name, ast.Constant) for name, _ in pairs):
                pairs = [(name, value) for name, value in pairs if isinstance(name, ast.Constant) and name.value == key]
            return self._merged([use.of(value) for _, value in pairs], rest)
        elements = use.expression.elts if isinstance(use.expression, ast.Tuple | ast.List | ast.Set) else []
        if any(isinstance(element, ast.Starred) for element in elements):
            return Kind.OTHER
        if isinstance(key, int):
            return self.value(use.of(elements[key]), rest) if key < len(elements) else Kind.NOTHING
        return self._merged(map(use.of, elements), rest)

    def _name(self, name: str, use: Use, path: Path) -> Value:
        scope: Scope | None = use.scope
        while scope:
            bindings = scope.bindings.get(name)
            if bindings and (scope is use.scope or not scope.is_class):
                reaching = _reaching(bindings, use.position, use.blocks) if scope is use.scope else bindings
                return self._bound(reaching, name, path, scope.file)
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
                value := self._member(location, name, path)
            ) is not Kind.OTHER:
                return value
        return Kind.OTHER

    def _member(self, location: str, name: str, path: Path) -> Value:
        """What the module at `location` has under `name` once it is imported."""
        file = self._modules.file_at(location)
        scopes = self._modules.scopes(file) if file else None
        if file and scopes and name in scopes.module.bindings:
            return self._bound(_reaching(scopes.module.bindings[name], _END, ()), name, path, file)
        value = self._starred(name, file, path) if file else Kind.OTHER
        if value is Kind.OTHER and not path and self._modules.file_at(f"{location}/{name}"):
            return Loaded(f"{location}/{name}")
        return value

    def _bound(self, bindings: list[Binding], name: str, path: Path, file: str) -> Value:
        """What `bindings` give; for an element of a container, also what is put into it anywhere."""
        values = [self._binding(binding, path, file) for binding in bindings]
        scopes = self._modules.scopes(file)
        if path and scopes:
            puts = scopes.puts.get(name.rpartition(".")[2], [])
            values += [self._binding(binding, path[1:], file) for binding in puts]
        return merge(values)

    def _binding(self, binding: Binding, path: Path, file: str) -> Value:
        match binding.defined:
            case None:
                return self.value(binding.value, binding.path + path) if binding.value else Kind.OTHER
            case Imported() as imported:
                return self._imported(imported, file, path)
            case Typed(type=annotation, value=use):
                value: Value = self.value(use, path) if use else Kind.OTHER
                typed = Kind.OTHER if path else self._instance_of(annotation)
                return typed if value is Kind.OTHER else value
            case Entered(context=context):
                return self._entered(context) if not path else Kind.OTHER
            case Parameter() as parameter:
                return self._parameter(parameter, path)
            case Scope() as defined:
                return Kind.OTHER if path else Local(defined)
            case Receiver(owner=owner, is_class=is_class):
                return Kind.OTHER if path else Local(owner, instance=not is_class)

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
        value = self._member(location, imported.name, path) if location is not None else Kind.OTHER
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
        return self._attribute_of(self.value(use.of(node.value)), node.attr, path)

    def _attribute_of(self, base: Value, name: str, path: Path) -> Value:
        if isinstance(base, Loaded):
            return self._member(base.location, name, path)
        if isinstance(base, Kind):
            return Kind.OTHER if path else gradio_attribute(base, name)
        defined = self._method(base.scope, name)
        if defined is not None:
            if base.instance and {"property", "cached_property"} & set(defined.decorators):
                return self._returned(defined, path)
            return Kind.OTHER if path else Local(defined)
        owner = self._assigns(base.scope, name)
        if owner:
            assigned = [*owner.attributes.get(name, []), *owner.bindings.get(name, [])]
            return self._bound(assigned, name, path, owner.file)
        inherited = base.instance and not path and self._is_gradio_class(base.scope)
        return gradio_attribute(Kind.APP, name) if inherited else Kind.OTHER

    def _assigns(self, owner: Scope, name: str) -> Scope | None:
        """The class, or the first of its bases in the Space, that assigns to the attribute `name`."""
        if name in owner.attributes or name in owner.bindings:
            return owner
        return next((found for base in self._local_bases(owner) if (found := self._assigns(base, name))), None)

    def _method(self, owner: Scope, name: str) -> Scope | None:
        """The method `name` that the class, or one of its bases in the Space, defines."""
        for binding in owner.bindings.get(name, []):
            if isinstance(binding.defined, Scope):
                return binding.defined
        return next((found for base in self._local_bases(owner) if (found := self._method(base, name))), None)

    def _bases(self, owner: Scope) -> list[Value]:
        if not isinstance(owner.node, ast.ClassDef) or owner.parent is None:
            return []
        return [self.value(Use(base, owner.parent, ())) for base in owner.node.bases]

    def _local_bases(self, owner: Scope) -> list[Scope]:
        return [base.scope for base in self._bases(owner) if isinstance(base, Local) and base.scope is not owner]

    def _is_gradio_class(self, owner: Scope) -> bool:
        return Kind.MAKER in self._bases(owner) or any(map(self._is_gradio_class, self._local_bases(owner)))

    def _call(self, node: ast.Call, use: Use, path: Path) -> Value:
        if isinstance(node.func, ast.Name) and node.func.id == "super" and not path:
            owner = use.scope.method_of
            return Kind.APP if owner and self._is_gradio_class(owner) else Kind.OTHER
        match node:
            case ast.Call(func=ast.Name(id="getattr"), args=[target, ast.Constant(value=str() as name), *_]):
                return self._attribute_of(self.value(use.of(target)), name, path)
            case ast.Call(func=ast.Name(id="partial") | ast.Attribute(attr="partial"), args=[function], keywords=_):
                # Bound keywords give way to those of the call, so that the call can be edited.
                return self.value(use.of(function), path)
            case ast.Call(func=ast.Attribute(value=container, attr="get" | "pop"), args=[key, *_]) if not path:
                constant = key.value if isinstance(key, ast.Constant) else None
                element = constant if isinstance(constant, int | str) else ANY
                value = self.value(use.of(container), (element,))
                if value is not Kind.OTHER:
                    return value
            case ast.Call(func=ast.Attribute(value=container, attr="values" | "items" as view), args=[]) if path:
                rest = path[1:] if view == "values" else path[2:] if path[1:2] == (1,) else None
                return self.value(use.of(container), (ANY, *rest)) if rest is not None else Kind.OTHER
            case ast.Call(func=ast.Name(id="enumerate"), args=[container, *_]) if path[1:2] == (1,):
                return self.value(use.of(container), (ANY, *path[2:]))
            case ast.Call(func=ast.Name(id="list" | "tuple" | "set" | "reversed" | "sorted"), args=[container]) if path:
                return self.value(use.of(container), (ANY, *path[1:]))
        return self._result(self.value(use.of(node.func)), path)

    def _result(self, function: Value, path: Path) -> Value:
        if isinstance(function, Kind):
            return Kind.OTHER if path and function is not Kind.NOTHING else called(function)
        if isinstance(function, Loaded):
            return Kind.OTHER
        if function.scope.is_class:
            if function.instance:
                method = self._method(function.scope, "__call__")
                return self._returned(method, path) if method else Kind.OTHER
            return Kind.OTHER if path else Local(function.scope, instance=True)
        return self._returned(function.scope, path)

    def _returned(self, function: Scope, path: Path) -> Value:
        typed = self._instance_of(function.return_type) if function.return_type and not path else Kind.OTHER
        if function.generates or not function.returns:
            return Kind.OTHER
        value = merge([self.value(use, path) if use else Kind.NOTHING for use in function.returns])
        return typed if value is Kind.OTHER else value

    def _entered(self, context: Use) -> Value:
        value = self.value(context)
        if isinstance(value, Local) and value.instance:
            enter = self._method(value.scope, "__enter__")
            return self._returned(enter, ()) if enter else value
        return value  # Gradio's `__enter__` returns the object itself

    def _instance_of(self, annotation: Use) -> Value:
        match annotation.expression:
            case ast.Constant(value=str() as text):
                inner = self._written(annotation.expression, text)
                return self._instance_of(annotation.of(inner)) if inner else Kind.OTHER
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return merge([self._instance_of(annotation.of(part)) for part in (left, right)])
            case ast.Subscript(value=ast.Name(id="Optional") | ast.Attribute(attr="Optional"), slice=inner):
                return self._instance_of(annotation.of(inner))
        value = self.value(annotation)
        if isinstance(value, Local) and value.scope.is_class and not value.instance:
            return Local(value.scope, instance=True)
        return Kind.APP if value is Kind.MAKER else Kind.NOTHING if value is Kind.NOTHING else Kind.OTHER

    def _written(self, node: ast.expr, text: str) -> ast.expr | None:
        """The annotation that a string holds; always the same object, as values are known by the identity of nodes."""
        if id(node) not in self._annotations:
            try:
                inner = ast.parse(text.strip(), mode="eval").body
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                self._annotations[id(node)] = None
            else:
                self._annotations[id(node)] = ast.increment_lineno(inner, node.lineno - 1)
        return self._annotations[id(node)]

    def _parameter(self, parameter: Parameter, path: Path) -> Value:
        """A parameter is what every call of its function gives it, as far as all of them can be seen."""
        if parameter.annotation and not path:
            typed = self._instance_of(parameter.annotation)
            if typed is not Kind.OTHER:
                return typed
        function = parameter.function
        name = getattr(function.node, "name", None) if function else None
        if function is None or name is None or set(function.decorators) - _TRANSPARENT:
            return Kind.OTHER
        owner, meant = function.method_of, Local(function)
        if owner and name == "__init__":
            name, meant = getattr(owner.node, "name", name), Local(owner)
        given: list[Value] = []
        for scopes in self._modules.all_scopes():
            if name in scopes.passed:
                return Kind.OTHER  # someone else may call it, with anything
            for call in scopes.calls_by_name.get(name, []):
                if isinstance(call.expression, ast.Call):
                    callee = self.value(call.of(call.expression.func))
                    if callee == meant:
                        bound = owner is not None and "staticmethod" not in function.decorators
                        given.append(self._argument(call, call.expression, parameter, function, path, bound=bound))
                    elif callee is Kind.OTHER and owner and meant == Local(function):
                        return Kind.OTHER  # it may be this method, of an object that cannot be traced
        return merge(given) if given else Kind.OTHER

    def _argument(
        self, use: Use, call: ast.Call, parameter: Parameter, function: Scope, path: Path, *, bound: bool
    ) -> Value:
        if any(isinstance(argument, ast.Starred) for argument in call.args):
            return Kind.OTHER
        if any(keyword.arg is None for keyword in call.keywords):
            return Kind.OTHER
        position = function.parameters.index(parameter.name) - bound if parameter.name in function.parameters else -1
        if 0 <= position < len(call.args):
            return self.value(use.of(call.args[position]), path)
        named = next((keyword.value for keyword in call.keywords if keyword.arg == parameter.name), None)
        if named is not None:
            return self.value(use.of(named), path)
        return self.value(parameter.default, path) if parameter.default else Kind.OTHER


def _reaching(bindings: list[Binding], place: Position, blocks: Blocks) -> list[Binding]:
    """Those of `bindings` that are in force at `place` in the same scope: back to the one that surely replaced the rest."""
    loops = {block for block in blocks if block < SOMETIME[0]}
    reaching: list[Binding] = []
    replaced = False
    for binding in reversed(bindings):
        if binding.position > place:
            if loops.intersection(binding.blocks):
                reaching.append(binding)
        elif not replaced:
            reaching.append(binding)
            replaced = blocks[: len(binding.blocks)] == binding.blocks
    return reaching or bindings
