"""Who calls a function of the Space, and with what: calls, Gradio's events, command lines."""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Final

from spacerun.needs import widgets
from spacerun.needs.values import (
    UNKNOWN,
    Const,
    Defined,
    Frame,
    Mapping,
    Method,
    Sequence,
    Unknown,
    Value,
    Values,
    elements,
    merge,
)
from spacerun.source.scopes import Use, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.needs.flow import Flow
    from spacerun.needs.values import Object
    from spacerun.source.scopes import Parameter, Scope

_MOST: Final = 60  # calls of one function that are looked at
_CONTEXTS: Final = 24  # ways into one function that are told apart
_DEEPEST: Final = 4
# What makes a command of a function: its parameters come from the command line, so have their defaults.
_RUNNERS: Final = frozenset({"fire.Fire", "Fire", "typer.run"})
_COMMANDS: Final = frozenset({"command", "main", "callback"})


class Callers:
    """Answers who calls a function."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._sites: dict[int, list[tuple[Use, Object | None]]] = {}
        self._looking: set[int] = set()

    @cached_property
    def _handed(self) -> dict[str, list[tuple[Use, ast.expr]]]:
        """Calls in which a function may be an argument, by the last part of its name."""
        found: dict[str, list[tuple[Use, ast.expr]]] = defaultdict(list)
        for scopes in self._flow.project.all_scopes():
            for use in scopes.calls:
                call = use.expression
                for argument in _arguments(call) if isinstance(call, ast.Call) else ():
                    if name := _shown(argument):
                        found[name].append((use, argument))
        return found

    @cached_property
    def _calls_by_name(self) -> dict[str, list[Use]]:
        """The calls of all modules, by the last part of the name that is called."""
        found: dict[str, list[Use]] = defaultdict(list)
        for scopes in self._flow.project.all_scopes():
            for name, uses in scopes.calls_by_name.items():
                found[name] += uses[:_MOST]
        return found

    @cached_property
    def _heirs_of(self) -> dict[Scope, list[Scope]]:
        """The classes that inherit from a class of the Space."""
        found: dict[Scope, list[Scope]] = defaultdict(list)
        for scopes in self._flow.project.all_scopes():
            for scope in scopes.scopes:
                for above in self._flow.objects.ancestry(scope)[1:] if scope.is_class else ():
                    found[above].append(scope)
        return found

    @cached_property
    def _lambdas(self) -> dict[int, set[str]]:
        """The names that lambdas are bound to, by the identity of their nodes."""
        found: dict[int, set[str]] = defaultdict(set)
        for scopes in self._flow.project.all_scopes():
            for scope in scopes.scopes:
                for name, bindings in scope.bindings.items():
                    for binding in bindings:
                        if binding.value and isinstance(binding.value.expression, ast.Lambda):
                            found[id(binding.value.expression)].add(name)
        return found

    def calls(self, function: Scope) -> list[tuple[Use, Object | None]]:
        """The calls of a function of the Space, each with what comes before its arguments."""
        key = id(function)
        if key not in self._sites:
            if key in self._looking:
                return []
            self._looking.add(key)
            try:
                self._sites[key] = list(self._called(function))[:_MOST]
            finally:
                self._looking.discard(key)
        return self._sites[key]

    def _called(self, function: Scope) -> Iterator[tuple[Use, Object | None]]:
        owner, name = function.method_of, getattr(function.node, "name", "")
        names = {name} if name else self._lambdas.get(id(function.node), set())
        if owner and name == "__init__":
            names |= {getattr(heir.node, "name", "") for heir in self._heirs(owner)}
        for use in (use for name in names for use in self._calls_by_name.get(name, ())):
            callee = self._flow.values(use.of(use.expression.func)) if isinstance(use.expression, ast.Call) else ()
            for value in callee:
                if isinstance(value, Method) and value.function is function:
                    yield use, value.receiver
                elif isinstance(value, Defined) and self._leads_to(value.scope, function, owner):
                    yield use, None
            # A method of an object that cannot be traced: by its name, if it is no everyday name.
            if owner and callee and all(isinstance(value, Unknown) for value in callee) and "_" in name.strip("_"):
                yield use, None

    def _heirs(self, owner: Scope) -> Iterator[Scope]:
        """A class, and those that inherit from it."""
        yield owner
        yield from self._heirs_of.get(owner, ())

    def _leads_to(self, called: Scope, function: Scope, owner: Scope | None) -> bool:
        if called is function:
            return True
        return bool(owner and called.is_class and self._flow.objects.method(called, "__init__") is function)

    def contexts(self, scope: Scope, depth: int = 0) -> tuple[Frame | None, ...]:
        """The ways into `scope` that are told apart; None alone where they are not."""
        if scope.parent is None or scope.is_class or depth >= _DEEPEST:
            return (None,)
        frames: dict[Frame, None] = {}
        for use, receiver in self.calls(scope):
            if use.scope is scope:
                continue
            for outer in self.contexts(use.scope, depth + 1):
                frames[self._flow.frame(scope, use, outer, receiver)] = None
        if self.is_handed_over(scope):
            return (*frames, None) if len(frames) < _CONTEXTS else (None,)
        return tuple(frames) if 0 < len(frames) <= _CONTEXTS else (None,)

    def parameter(self, parameter: Parameter, frame: Frame | None) -> Values:
        """What a parameter of a function may be worth."""
        function = parameter.function
        inner = frame.of(function) if frame else None
        if inner is not None and inner.call is not None:
            return self._argument(inner.call, parameter, inner.outer, inner.receiver)
        found = [self._argument(use, parameter, None, receiver) for use, receiver in self.calls(function)]
        found += self._from_events(parameter)
        if not found or self._is_command(function):
            found.append(self._default(parameter))
        return merge(found)

    def _argument(self, use: Use, parameter: Parameter, outer: Frame | None, receiver: Object | None) -> Values:
        """What one call gives a parameter."""
        function = parameter.function
        if parameter.starred:
            return self._rest(use, parameter, outer)
        bound = function.method_of is not None and "staticmethod" not in function.decorators
        positional = function.parameters
        unbound = bound and receiver is None and self._is_unbound(use, function)
        if bound and not unbound:
            positional = positional[1:]
        at = positional.index(parameter.name) if parameter.name in positional else None
        given = self._flow.arguments(use, outer, parameter.name, at=at)
        return self._default(parameter) if given is None else given

    def _is_unbound(self, use: Use, function: Scope) -> bool:
        """`Class.method(object, …)`: rare, and told by one argument more than parameters."""
        call = use.expression
        return isinstance(call, ast.Call) and len(call.args) == len(function.parameters) > 0

    def _rest(self, use: Use, parameter: Parameter, outer: Frame | None) -> Values:
        """`**kwargs`: the keyword arguments that no parameter takes; `*args` are not told apart."""
        call, names = use.expression, set(parameter.function.parameters)
        if not isinstance(call, ast.Call) or getattr(parameter.function.node, "args", None) is None:
            return UNKNOWN
        if parameter.function.node.args.kwarg is None or parameter.function.node.args.kwarg.arg != parameter.name:  # type: ignore[attr-defined]
            return UNKNOWN
        items: list[tuple[Values, Values]] = []
        for keyword in call.keywords:
            values = self._flow.values(use.of(keyword.value), outer)
            if keyword.arg is not None and keyword.arg not in names:
                items.append(((Const(keyword.arg),), values))
            for value in values if keyword.arg is None else ():
                items += value.items if isinstance(value, Mapping) else []
        return (Mapping(tuple(items)),)

    def _default(self, parameter: Parameter) -> Values:
        for option in self._options(parameter):
            return option
        if parameter.default is None:
            return UNKNOWN
        values = self._flow.values(parameter.default)
        return merge(widgets.shown(self._flow, value) for value in values)

    def _options(self, parameter: Parameter) -> Iterator[Values]:
        """`@click.option("--name", default=…)`, which wins over what the function says."""
        scope = parameter.function
        for node in getattr(scope.node, "decorator_list", []):
            use = Use(node, scope.parent or scope, ())
            if isinstance(node, ast.Call) and (dotted(node.func) or "").rpartition(".")[2] == "option":
                names = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                if any(name.lstrip("-").replace("-", "_") == parameter.name for name in names):
                    yield self._flow.arguments(use, None, "default") or (Const(None),)

    def _is_command(self, function: Scope) -> bool:
        if _COMMANDS.intersection(function.decorators):
            return True
        return any(
            isinstance(use.expression, ast.Call) and (dotted(use.expression.func) or "") in _RUNNERS
            for use, _ in self.is_handed_over(function)
        )

    # -- functions that are handed over --------------------------------------------------------------------------------

    def is_handed_over(self, function: Scope) -> list[tuple[Use, ast.expr]]:
        """The calls that `function` is an argument of."""
        name = getattr(function.node, "name", None) or f"lambda {id(function.node)}"
        return [
            (use, argument)
            for use, argument in self._handed.get(name, [])[:_MOST]
            if any(_is_function(value, function) for value in self._flow.values(use.of(argument)))
        ]

    def _from_events(self, parameter: Parameter) -> Iterator[Values]:
        """What Gradio's components, or a thread's arguments, give a parameter of a function that is handed over."""
        function = parameter.function
        names = function.parameters[1 if function.method_of and "staticmethod" not in function.decorators else 0 :]
        if parameter.name not in names:
            return
        at = names.index(parameter.name)
        for use, argument in self.is_handed_over(function):
            call = use.expression
            if not isinstance(call, ast.Call):
                continue
            if (dotted(call.func) or "").rpartition(".")[2] in {"Thread", "Process"}:
                row = self._flow.arguments(use, None, "args") or ()
                given = self._flow.arguments(use, None, "kwargs") or ()
                yield from (
                    held for value in given if isinstance(value, Mapping) if (held := value.get(parameter.name))
                )
                yield from (
                    value.elements[at] for value in row if isinstance(value, Sequence) and at < len(value.elements)
                )
                continue
            yield self._component(use, call, argument, at)

    def _component(self, use: Use, call: ast.Call, function: ast.expr, at: int) -> Values:
        """The component of an event's `inputs` that fills a parameter."""
        position = call.args.index(function) + 1 if function in call.args else None
        inputs = self._flow.arguments(use, None, "inputs", at=position)
        if inputs is None and (more := self._flow.arguments(use, None, "additional_inputs")) is not None:
            inputs, at = more, at - 2  # a ChatInterface gives the message and the history first
        rows = [list(elements((value,))) if isinstance(value, Sequence) else [(value,)] for value in inputs or ()]
        found = [row[at] for row in rows if 0 <= at < len(row)]
        # `inputs="text"` names a component.
        found = [UNKNOWN if any(isinstance(value, Const) for value in values) else values for values in found]
        return merge(widgets.shown(self._flow, value) for values in found for value in values) if found else UNKNOWN


def _is_function(value: Value, function: Scope) -> bool:
    if isinstance(value, Method):
        return value.function is function
    return isinstance(value, Defined) and value.scope is function


def _shown(argument: ast.expr) -> str:
    """By what a function that is an argument is found again."""
    return f"lambda {id(argument)}" if isinstance(argument, ast.Lambda) else (dotted(argument) or "").rpartition(".")[2]


def _arguments(call: ast.Call) -> Iterator[ast.expr]:
    for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
        if isinstance(argument, ast.Call) and (dotted(argument.func) or "").rpartition(".")[2] == "partial":
            yield from argument.args[:1]
        else:
            yield argument
