"""Functions, classes and their objects: attributes, results, annotations, parameters."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final, Protocol

from spacerun.source.scopes import MOST, Binding, Parameter, Path, Scope, Use
from spacerun.source.values import Kind, Loaded, Local, Value, called, gradio_attribute, merge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spacerun.source.scope_walk import ModuleScopes

# Decorators that leave the arguments and the result of a function as they are.
_TRANSPARENT: Final = frozenset({"staticmethod", "classmethod", "property", "cached_property", "cache", "lru_cache"})


class Flow(Protocol):
    """Follows names and expressions; see `Receivers`."""

    def value(self, use: Use, path: Path = ()) -> Value:
        """What an expression, or an element of it, stands for."""

    def bound(self, bindings: list[Binding], name: str, path: Path, file: str) -> Value:
        """What a name stands for, given its bindings."""

    def member(self, location: str, name: str, path: Path) -> Value:
        """What a module has under a name."""


class Objects:
    """Answers what the functions, classes and objects of a Space give."""

    def __init__(self, flow: Flow, modules: Sequence[ModuleScopes]) -> None:
        self._flow = flow
        self._modules = modules
        self._annotations: dict[int, ast.expr | None] = {}

    def attribute_of(self, base: Value, name: str, path: Path) -> Value:
        """What `base.name` stands for."""
        if isinstance(base, Loaded):
            return self._flow.member(base.location, name, path)
        if isinstance(base, Kind):
            return Kind.OTHER if path else gradio_attribute(base, name)
        defined = self._method(base.scope, name)
        if defined is not None:
            is_property = base.instance and {"property", "cached_property"} & set(defined.decorators)
            return self.returned(defined, path) if is_property else Kind.OTHER if path else Local(defined)
        owner = self._assigns(base.scope, name)
        if owner:
            assigned = [*owner.attributes.get(name, []), *owner.bindings.get(name, [])]
            return self._flow.bound(assigned, name, path, owner.file)
        inherited = base.instance and not path and self.is_gradio_class(base.scope)
        return gradio_attribute(Kind.APP, name) if inherited else Kind.OTHER

    def is_gradio_class(self, owner: Scope) -> bool:
        """Whether a class is one of Gradio's apps, by inheritance."""
        return Kind.MAKER in self._bases(owner) or any(map(self.is_gradio_class, self._local_bases(owner)))

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
        return [self._flow.value(Use(base, owner.parent, ())) for base in owner.node.bases]

    def _local_bases(self, owner: Scope) -> list[Scope]:
        return [base.scope for base in self._bases(owner) if isinstance(base, Local) and base.scope is not owner]

    def result(self, function: Value, path: Path) -> Value:
        """What a call of `function` gives."""
        if isinstance(function, Kind):
            return Kind.OTHER if path and function is not Kind.NOTHING else called(function)
        if isinstance(function, Loaded):
            return Kind.OTHER
        if not function.scope.is_class:
            return self.returned(function.scope, path)
        if not function.instance:
            return Kind.OTHER if path else Local(function.scope, instance=True)
        method = self._method(function.scope, "__call__")
        return self.returned(method, path) if method else Kind.OTHER

    def returned(self, function: Scope, path: Path) -> Value:
        """What a function, lambda or comprehension gives: by its values, else by its annotation."""
        if function.generates or not function.returns:
            return Kind.OTHER
        typed = self.instance_of(function.return_type) if function.return_type and not path else Kind.OTHER
        value = merge([self._flow.value(use, path) if use else Kind.NOTHING for use in function.returns])
        return typed if value is Kind.OTHER else value

    def entered(self, context: Use) -> Value:
        """What `with context as name` binds to the name."""
        value = self._flow.value(context)
        if isinstance(value, Local) and value.instance:
            enter = self._method(value.scope, "__enter__")
            return self.returned(enter, ()) if enter else value
        return value  # Gradio's `__enter__` returns the object itself

    def instance_of(self, annotation: Use) -> Value:
        """What has the type that `annotation` names."""
        match annotation.expression:
            case ast.Constant(value=str() as text):
                inner = self._written(annotation.expression, text)
                return self.instance_of(annotation.of(inner)) if inner else Kind.OTHER
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return merge([self.instance_of(annotation.of(part)) for part in (left, right)])
            case ast.Subscript(value=ast.Name(id="Optional") | ast.Attribute(attr="Optional"), slice=inner):
                return self.instance_of(annotation.of(inner))
        value = self._flow.value(annotation)
        if isinstance(value, Local) and value.scope.is_class and not value.instance:
            return Local(value.scope, instance=True)
        return {Kind.MAKER: Kind.APP, Kind.NOTHING: Kind.NOTHING}.get(value, Kind.OTHER)  # type: ignore[arg-type]

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

    def parameter(self, parameter: Parameter, path: Path) -> Value:
        """A parameter is of its type, or else what every call of its function gives it, if all of them can be seen."""
        if parameter.annotation and not path:
            typed = self.instance_of(parameter.annotation)
            if typed is not Kind.OTHER:
                return typed
        function = parameter.function
        if parameter.starred or set(function.decorators) - _TRANSPARENT:
            return Kind.OTHER
        calls = self._calls_of(function)
        return merge([self._argument(use, parameter, function, path) for use in calls]) if calls else Kind.OTHER

    def _calls_of(self, function: Scope) -> list[Use] | None:
        """Every call of a function; None if there may be others."""
        owner, name, meant = function.method_of, getattr(function.node, "name", ""), Local(function)
        if owner and name == "__init__":
            name, meant = getattr(owner.node, "name", ""), Local(owner)
        found: list[Use] = []
        for scopes in self._modules:
            if not name or name in scopes.passed:
                return None  # someone else may call it
            calls = scopes.calls_by_name.get(name, [])
            if len(calls) > MOST:
                return None
            for use in calls:
                callee = self._flow.value(use.of(use.expression.func)) if isinstance(use.expression, ast.Call) else None
                if callee == meant:
                    found.append(use)
                elif callee is Kind.OTHER and meant.scope.method_of:
                    return None  # it may be this method, of an object that cannot be traced
        return found

    def _argument(self, use: Use, parameter: Parameter, function: Scope, path: Path) -> Value:
        """What one call of `function` gives its `parameter`."""
        call = use.expression
        if not isinstance(call, ast.Call) or any(isinstance(argument, ast.Starred) for argument in call.args):
            return Kind.OTHER
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        if None in given:
            return Kind.OTHER
        bound = function.method_of is not None and "staticmethod" not in function.decorators
        given |= dict(zip(function.parameters[bound:], call.args, strict=False))
        if parameter.name in given:
            return self._flow.value(use.of(given[parameter.name]), path)
        return self._flow.value(parameter.default, path) if parameter.default else Kind.OTHER
