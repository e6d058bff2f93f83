"""Attributes, items and calls of what a Space defines itself."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from spacerun.needs import arithmetic, command_line
from spacerun.needs.values import (
    NONE,
    UNKNOWN,
    Const,
    Defined,
    External,
    Frame,
    Local,
    Made,
    Mapping,
    Member,
    Method,
    Object,
    Sequence,
    Unknown,
    Value,
    Values,
    elements,
    merge,
)
from spacerun.source.scopes import Use

if TYPE_CHECKING:
    from spacerun.needs.flow import Flow
    from spacerun.source.scopes import Binding, Scope

_DEEPEST: Final = 6  # calls within calls that are followed with their own arguments
_PROPERTIES: Final = frozenset({"property", "cached_property"})
# Methods of a model or pipeline that give it back.
FLUENT: Final = frozenset({
    "to", "cuda", "cpu", "half", "float", "bfloat16", "eval", "train", "requires_grad_", "to_empty", "merge_and_unload",
    "to_bettertransformer", "share_memory", "compile", "parallelize", "type", "quantize", "fuse_lora",
})  # fmt: skip


class Objects:
    """Answers what functions, classes and objects of a Space give."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    # -- attributes and items ------------------------------------------------------------------------------------------

    def attribute(self, base: Value, name: str) -> Values:
        """What `base.name` may be worth."""
        found = UNKNOWN
        match base:
            case _ if name == "training":  # of a model, which is only asked
                found = (Const(value=False),)
            case External(name=outside):
                found = (External(f"{outside}.{name}"),)
            case Local(location=location):
                found = self._flow.member(location, name) or UNKNOWN
            case Defined(scope=owner) if owner.is_class:
                found = self._of_class(owner, name, None)
            case Object(owner=owner):
                found = self._of_class(owner, name, base)
            case Mapping() | Made():
                held = base.get(name) if isinstance(base, Mapping) else self._keyword(base, name)
                found = (Member(base, name),) if held is None else held
            case Const() if name in {"value", "name", "type", "parent"}:
                found = _of_const(base, name)
            case Member() | Sequence() | Const():
                found = (Member(base, name),)
            case Unknown():
                found = (base,)
        return found

    def _keyword(self, made: Made, name: str) -> Values | None:
        """What a library's configuration object was given under the name of its attribute."""
        call = made.call.expression
        if isinstance(call, ast.Call) and made.name.rpartition(".")[2][:1].isupper():
            for keyword in call.keywords:
                if keyword.arg == name:
                    return self._flow.values(made.call.of(keyword.value), made.frame)
        return None

    def item(self, containers: Values, keys: Values) -> Values:
        """What `container[key]` may be worth."""
        found = []
        for container in containers:
            if isinstance(container, External) and container.name == "os.environ":
                # Without a default: Python raises where it is not set.
                found += [self._variable(key) for key in keys]
            elif isinstance(container, Mapping):
                for key in keys:
                    held = container.get(key.value) if isinstance(key, Const) else container.values()
                    found.append(UNKNOWN if held is None else held)
            elif isinstance(container, Sequence):
                found.append(_element(container, keys))
            elif isinstance(container, Made | Member):
                found.append((container,))  # an element of what a library gives: `load(…)[0]`
            else:
                found.append((container,) if isinstance(container, Unknown) else UNKNOWN)
        return merge(found)

    def _variable(self, key: Value) -> Values:
        if not isinstance(key, Const) or not isinstance(key.value, str):
            return UNKNOWN
        known = key.value in self._flow.setting.variables
        return self._flow.variable(key.value) if known else (Unknown(frozenset({key.value})),)

    def extended(self, container: Value, more: Values) -> Value:
        """A container with something else put into it somewhere."""
        if isinstance(container, Sequence):
            return Sequence((*container.elements, more))
        if isinstance(container, Mapping):
            return Mapping((*container.items, (UNKNOWN, more)))
        return container

    def entered(self, contexts: Values) -> Values:
        """What `with context as name` binds to the name."""
        return contexts

    def above(self, scope: Scope) -> Values:
        """`super()` in a method."""
        owner = scope.method_of
        bases = self.ancestry(owner)[1:] if owner else ()
        return (Object(bases[0]),) if bases else UNKNOWN

    # -- classes -------------------------------------------------------------------------------------------------------

    def bases(self, owner: Scope) -> Values:
        """The classes that a class inherits from."""
        if not isinstance(owner.node, ast.ClassDef) or owner.parent is None:
            return ()
        return merge(self._flow.values(Use(base, owner.parent, ())) for base in owner.node.bases)

    def ancestry(self, owner: Scope) -> tuple[Scope, ...]:
        """A class and its bases in the Space, the nearest first."""
        found: dict[Scope, None] = {}
        waiting = [owner]
        while waiting:
            scope = waiting.pop(0)
            if scope not in found:
                found[scope] = None
                waiting += [base.scope for base in self.bases(scope) if isinstance(base, Defined)]
        return tuple(found)

    def method(self, owner: Scope, name: str) -> Scope | None:
        """The method `name` of a class or of its bases in the Space."""
        for scope in self.ancestry(owner):
            for binding in scope.bindings.get(name, []):
                if isinstance(binding.defined, type(owner)):
                    return binding.defined
        return None

    def _of_class(self, owner: Scope, name: str, instance: Object | None) -> Values:
        defined = self.method(owner, name)
        if defined is not None and not defined.is_class:
            if instance is None or "staticmethod" in defined.decorators:
                return (Defined(defined),)
            if _PROPERTIES.intersection(defined.decorators):
                return self._returned(defined, self._flow.frame(defined, None, None, instance))
            return (Method(defined, instance),)
        found = []
        for scope in self.ancestry(owner):
            assigned = scope.attributes.get(name, []) if instance else []
            rows = [self._assigned(binding, name, scope, instance) for binding in assigned]
            if name in scope.bindings:
                rows.append(self._flow.bound(scope.bindings[name], name, scope, None))
            if rows:
                found.append(merge(rows))
                break
        if instance and instance.made and (given := self._field(instance.made, name)) is not None:
            return given  # of a dataclass, or a settings class
        if found:
            return merge(found)
        outside = [base for base in self.bases(owner) if isinstance(base, External)]
        return tuple(External(f"{base.name}.{name}") for base in outside) or UNKNOWN

    def _assigned(self, binding: Binding, name: str, owner: Scope, instance: Object | None) -> Values:
        """What one `self.name = …` gives, seen from the method that it stands in."""
        place = binding.value.scope if binding.value else owner
        frame = instance.made.of(place) if instance and instance.made else None
        if frame is None and place.method_of is not None:
            frame = self._flow.frame(place, None, None, instance)
        return self._flow.bound([binding], name, place, frame)

    def _field(self, made: Frame, name: str) -> Values | None:
        """The keyword argument of a class without an `__init__` of its own."""
        if not made.scope.is_class or made.call is None or not isinstance(made.call.expression, ast.Call):
            return None
        for keyword in made.call.expression.keywords:
            if keyword.arg == name:
                return self._flow.values(made.call.of(keyword.value), made.outer)
        return None

    # -- calls ---------------------------------------------------------------------------------------------------------

    def called(self, function: Value, use: Use, frame: Frame | None) -> Values:  # noqa: PLR0911 - as `attribute`
        """What the call `use` of something other than a library's function gives."""
        match function:
            case Defined(scope=scope) if scope.is_class:
                init = self.method(scope, "__init__")
                return (self.instance(scope, init, use, frame),)
            case Defined(scope=scope):
                return self._returned(scope, self._inner(scope, use, frame, None))
            case Method(function=scope, receiver=receiver):
                return self._returned(scope, self._inner(scope, use, frame, receiver))
            case Object(owner=owner):
                call = self.method(owner, "__call__") or self.method(owner, "forward")
                return self._returned(call, self._inner(call, use, frame, function)) if call else UNKNOWN
            case Member(name=name) if name in command_line.PARSERS:
                return command_line.parsed(self._flow, name)
            case Member(of=Made() | Member() as made, name=name):
                return (made,) if name in FLUENT else (Made(use, f"{_name(made)}.{name}", frame),)
            case Member(of=receiver, name=name):
                return self._of_plain(receiver, name, use, frame)
        return (function,) if isinstance(function, Unknown) else UNKNOWN

    def instance(self, owner: Scope, init: Scope | None, use: Use, frame: Frame | None) -> Object:
        """An instance of a class, with how it was made."""
        if frame and frame.depth >= _DEEPEST:
            return Object(owner)
        return Object(owner, self._flow.frame(init or owner, use, frame, Object(owner)))

    def _inner(self, scope: Scope, use: Use, frame: Frame | None, receiver: Object | None) -> Frame | None:
        return None if frame and frame.depth >= _DEEPEST else self._flow.frame(scope, use, frame, receiver)

    def _returned(self, function: Scope, frame: Frame | None) -> Values:
        """What a function gives."""
        if function.generates:
            return UNKNOWN
        if not function.returns:
            return NONE
        living = [use for use in function.returns if use is None or not self._flow.is_dead(use.blocks, function, frame)]
        return merge(self._flow.values(use, frame) if use else NONE for use in living)

    def _of_plain(self, receiver: Value, name: str, use: Use, frame: Frame | None) -> Values:
        call = use.expression
        if not isinstance(call, ast.Call) or any(isinstance(argument, ast.Starred) for argument in call.args):
            return UNKNOWN
        arguments = [self._flow.values(use.of(argument), frame) for argument in call.args]
        keywords = {k.arg: self._flow.values(use.of(k.value), frame) for k in call.keywords if k.arg}
        return arithmetic.method(receiver, name, arguments, keywords)


def _of_const(base: Const, name: str) -> Values:
    """The value of an Enum's member, the type of a torch.device, the folder of a path."""
    text = base.value
    if not isinstance(text, str):
        return (base,)
    shown = text.rpartition("/")[0] or "." if name == "parent" else text.partition(":")[0]
    return (Const(shown, base.variables),)


def _name(value: Value) -> str:
    return (
        value.name
        if isinstance(value, Made)
        else f"{_name(value.of)}.{value.name}"
        if isinstance(value, Member)
        else ""
    )


def _element(container: Sequence, keys: Values) -> Values:
    found = []
    for key in keys:
        index = key.value if isinstance(key, Const) else None
        if isinstance(index, int) and -len(container.elements) <= index < len(container.elements):
            found.append(container.elements[index])
        else:
            found.append(merge(elements((container,))))
    return merge(found)
