"""Which expressions of a module stand for a Gradio app: a small data flow over its scopes."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

from spacerun.source.scopes import Annotation, Binding, ModuleScopes, Receiver, Scope, Use, dotted

if TYPE_CHECKING:
    from collections.abc import Iterable

# Whatever gradio 2.9 to 6.31 exports that is, or returns, an object with Gradio's `launch`.
_MAKERS: Final = frozenset({
    "Blocks", "ChatInterface", "Interface", "Launchable", "Parallel", "Series", "Server", "TabbedInterface", "Workflow",
    "load", "load_chat", "load_openapi",
})  # fmt: skip
# `gr.Interface.load(…)`: class methods that return an app.
_CLASS_MAKERS: Final = frozenset({"load", "from_pipeline", "from_config"})


class Kind(Enum):
    """What an expression stands for, as far as `launch` is concerned."""

    GRADIO = "the package, or a part of it"
    MAKER = "a class or function that gives an app"
    APP = "an app"
    LAUNCH = "the method `launch` of an app"
    NOTHING = "None"
    OTHER = "anything else, or unknown"


@dataclass(frozen=True)
class Local:
    """A function or class of this module; with `instance`, an object of the class."""

    scope: Scope
    instance: bool = False


Value: TypeAlias = Kind | Local


def _merge(values: Iterable[Value]) -> Value:
    """The one thing that all `values` are, None aside; OTHER if they differ."""
    distinct = set(values)
    if len(distinct) > 1:
        distinct.discard(Kind.NOTHING)
    return distinct.pop() if len(distinct) == 1 else Kind.OTHER


class Receivers:
    """Answers what an expression of one module stands for."""

    def __init__(self, scopes: ModuleScopes) -> None:
        self._stars = any(module.partition(".")[0] == "gradio" for module in scopes.stars)
        self._known: dict[tuple[int, tuple[int, ...]], Value] = {}

    def value(self, use: Use, path: tuple[int, ...] = ()) -> Value:
        """What `use` stands for; with `path`, the element of it that unpacking takes."""
        key = (id(use.expression), path)
        if key not in self._known:
            self._known[key] = Kind.NOTHING  # a cycle adds nothing: `demo = demo.queue()` in a loop
            self._known[key] = self._evaluate(use, path)
        return self._known[key]

    def _evaluate(self, use: Use, path: tuple[int, ...]) -> Value:
        match use.expression:
            case ast.Call() as node:
                return self._call(node, use, path)
            case ast.Name() as node if not path:
                return self._name(node.id, use)
            case ast.Attribute() as node if not path:
                return self._attribute(node, use)
            case (ast.Tuple() | ast.List()) as node:
                return self._element(use, node.elts, path)
            case ast.Constant(value=None):
                return Kind.NOTHING
            case node:
                return _merge([self.value(_at(part, use), path) for part in _alternatives(node)])

    def _element(self, use: Use, elements: list[ast.expr], path: tuple[int, ...]) -> Value:
        starred = any(isinstance(element, ast.Starred) for element in elements)
        if not path or path[0] >= len(elements) or starred:
            return Kind.OTHER
        return self.value(_at(elements[path[0]], use), path[1:])

    def _name(self, name: str, use: Use) -> Value:
        scope: Scope | None = use.scope
        while scope:
            bindings = scope.bindings.get(name)
            if bindings and (scope is use.scope or not isinstance(scope.node, ast.ClassDef)):
                reaching = _reaching(bindings, use) if scope is use.scope else bindings
                return _merge([self._binding(binding) for binding in reaching])
            scope = scope.parent
        return Kind.MAKER if self._stars and name in _MAKERS else Kind.OTHER

    def _binding(self, binding: Binding) -> Value:
        match binding.defined:
            case str(imported):
                package, *parts = imported.split(".")
                value: Value = Kind.GRADIO if package == "gradio" else Kind.OTHER
                for part in parts:
                    value = _gradio_attribute(value, part)
                return value
            case Scope() as scope:
                return Local(scope)
            case Receiver(owner):
                return Local(owner, instance=True)
            case Annotation(type=annotation):
                return self._instance_of(self.value(annotation))
            case None:
                return self.value(binding.value, binding.path) if binding.value else Kind.OTHER

    def _attribute(self, node: ast.Attribute, use: Use) -> Value:
        name = dotted(node)
        if name:  # `state.demo = gr.Blocks()` binds the dotted name
            value = self._name(name, use)
            if value is not Kind.OTHER:
                return value
        base = self.value(_at(node.value, use))
        if isinstance(base, Local):
            return self._local_attribute(base, node.attr)
        if base is Kind.APP:
            return _app_attribute(node.attr)
        return _gradio_attribute(base, node.attr)

    def _local_attribute(self, base: Local, name: str) -> Value:
        defined = self._method(base.scope, name)
        if defined is not None:
            if base.instance and {"property", "cached_property"} & set(defined.decorators):
                return self._returned(defined, ())
            return Local(defined)
        assigned = [*base.scope.attributes.get(name, []), *base.scope.bindings.get(name, [])]
        if assigned:
            return _merge([self._binding(binding) for binding in assigned])
        return _app_attribute(name) if base.instance and self._is_gradio_class(base.scope) else Kind.OTHER

    def _method(self, owner: Scope, name: str) -> Scope | None:
        """The method `name` that the class, or one of its bases in this module, defines."""
        for binding in owner.bindings.get(name, []):
            if isinstance(binding.defined, Scope):
                return binding.defined
        bases = (base for base in self._bases(owner) if isinstance(base, Local) and base.scope is not owner)
        return next((found for base in bases if (found := self._method(base.scope, name))), None)

    def _bases(self, owner: Scope) -> list[Value]:
        if not isinstance(owner.node, ast.ClassDef) or owner.parent is None:
            return []
        return [self.value(Use(base, owner.parent, ())) for base in owner.node.bases]

    def _is_gradio_class(self, owner: Scope) -> bool:
        return any(
            base is Kind.MAKER
            or (isinstance(base, Local) and base.scope is not owner and self._is_gradio_class(base.scope))
            for base in self._bases(owner)
        )

    def _call(self, node: ast.Call, use: Use, path: tuple[int, ...]) -> Value:
        if isinstance(node.func, ast.Name) and node.func.id == "super" and not path:
            owner = use.scope.method_of
            return Kind.APP if owner and self._is_gradio_class(owner) else Kind.OTHER
        function = self.value(_at(node.func, use))
        if isinstance(function, Local) and not function.instance:
            if isinstance(function.scope.node, ast.ClassDef):
                return Kind.OTHER if path else Local(function.scope, instance=True)
            return self._returned(function.scope, path)
        return Kind.APP if function is Kind.MAKER and not path else Kind.OTHER

    def _returned(self, function: Scope, path: tuple[int, ...]) -> Value:
        if function.generates or not function.returns:
            return Kind.OTHER
        return _merge([self.value(use, path) if use else Kind.NOTHING for use in function.returns])

    def _instance_of(self, annotation: Value) -> Value:
        if isinstance(annotation, Local):
            return Local(annotation.scope, instance=True)
        return Kind.APP if annotation is Kind.MAKER else Kind.OTHER


def _at(expression: ast.expr, use: Use) -> Use:
    return Use(expression, use.scope, use.blocks)


def _alternatives(node: ast.expr) -> list[ast.expr]:
    """The expressions of which `node` has the value of one."""
    match node:
        case ast.Await(value=value) | ast.NamedExpr(value=value):
            return [value]
        case ast.IfExp(body=body, orelse=orelse):
            return [body, orelse]
        case ast.BoolOp(values=values):
            return values
        case _:
            return []


def _reaching(bindings: list[Binding], use: Use) -> list[Binding]:
    """Those of `bindings` that a use in the same scope may see: back to the one that surely replaced the rest."""
    place = (use.expression.lineno, use.expression.col_offset)
    reaching: list[Binding] = []
    for binding in reversed(bindings):
        if binding.position <= place:
            reaching.append(binding)
            if use.blocks[: len(binding.blocks)] == binding.blocks:
                break
    return reaching or bindings


def _gradio_attribute(base: Value, name: str) -> Value:
    if base is Kind.GRADIO:
        return Kind.MAKER if name in _MAKERS else Kind.GRADIO
    return Kind.MAKER if base is Kind.MAKER and name in _CLASS_MAKERS else Kind.OTHER


def _app_attribute(name: str) -> Value:
    return {"launch": Kind.LAUNCH, "queue": Kind.MAKER, "__enter__": Kind.MAKER}.get(name, Kind.OTHER)
