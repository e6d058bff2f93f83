"""What the expressions of a Space may be worth: constants folded through names, calls, objects and files.

A value is worked out on demand and remembered. A parameter has the values that calls give it: those of one call where
the way into its function is known (a `Frame`), else those of all calls that can be seen, Gradio's events included.
Nothing of the Space is executed.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from spacerun.needs import arithmetic, externals
from spacerun.needs.callers import Callers
from spacerun.needs.objects import Objects
from spacerun.needs.values import (
    NONE,
    UNKNOWN,
    Const,
    Defined,
    External,
    Frame,
    Local,
    Mapping,
    Object,
    Sequence,
    Unknown,
    Value,
    Values,
    elements,
    merge,
    truth,
    variables,
)
from spacerun.source.literals import ROOT
from spacerun.source.scopes import (
    LAST,
    MOST,
    Binding,
    Blocks,
    Entered,
    Imported,
    Parameter,
    Receiver,
    Scope,
    Typed,
    Use,
    dotted,
    reaching,
)
from spacerun.source.values import alternatives

if TYPE_CHECKING:
    from spacerun.needs.flow import Setting
    from spacerun.source.project import Project

_DEEPEST: Final = 80  # expressions within expressions, over all functions on the way
# Steps for one question, and for all: what takes more only running could tell, and no source may take minutes.
_MOST_STEPS: Final = 600
_MOST_STEPS_OF_ALL: Final = 60_000


class Evaluator:
    """Answers what an expression may be worth."""

    def __init__(self, project: Project, setting: Setting) -> None:
        self.project = project
        self.setting = setting
        self.objects = Objects(self)
        self.callers = Callers(self)
        self._known: dict[tuple[int, int], Values] = {}
        self._working: set[tuple[int, int]] = set()
        self._frames: dict[tuple[int, int, int, Object | None], Frame] = {}
        self._importing: set[tuple[str, str]] = set()
        self._steps = self._all_steps = 0
        self._is_cut = False

    def frame(self, scope: Scope, call: Use | None, outer: Frame | None, receiver: Object | None = None) -> Frame:
        """The frame of one call of `scope`; always the same object for the same call."""
        key = (id(scope), id(call.expression) if call else 0, id(outer), receiver)
        if key not in self._frames:
            self._frames[key] = Frame(scope, call, outer, receiver, outer.depth + 1 if outer else 1)
        return self._frames[key]

    def values(self, use: Use, frame: Frame | None = None) -> Values:
        """What `use` may be worth, seen from `frame`; empty for what is never evaluated."""
        key = (id(use.expression), id(frame))
        if key in self._known:
            return self._known[key]
        if not self._working:
            self._steps, self._is_cut = 0, False
        self._steps += 1
        self._all_steps += 1
        if key in self._working:
            return ()
        if len(self._working) > _DEEPEST or self._steps > _MOST_STEPS or self._all_steps > _MOST_STEPS_OF_ALL:
            self._is_cut = True
            return UNKNOWN
        self._working.add(key)
        try:
            found = merge([self._evaluate(use, frame)])
        finally:
            self._working.discard(key)
        if not self._is_cut or not self._working:
            self._known[key] = found
        return found

    def decide(self, test: Use, frame: Frame | None = None) -> bool | None:
        """Whether the condition `test` holds; None if that cannot be told."""
        told = {truth(value) for value in self.values(test, frame)}
        return told.pop() if len(told) == 1 else None

    def is_dead(self, blocks: Blocks, scope: Scope, frame: Frame | None = None) -> bool:
        """Whether one of the conditional `blocks` in `scope` surely never runs."""
        scopes = self.project.scopes(scope.file)
        for block in blocks if scopes else ():
            test = scopes.tests.get(block) if scopes else None
            if test and self.decide(test[0], frame) is (not test[1]):
                return True
        return False

    def _evaluate(self, use: Use, frame: Frame | None) -> Values:  # noqa: C901, PLR0911, PLR0912 - one case, one line
        def of(node: ast.expr) -> Values:
            return self.values(use.of(node), frame)

        match use.expression:
            case ast.Constant(value=str() | int() | float() | bool() | None as value):
                return (Const(value),)
            case ast.Name(id=name):
                return self._name(name, use, frame)
            case ast.Attribute() as node:
                return self._attribute(node, use, frame)
            case ast.Call() as node:
                return self._call(node, use, frame)
            case ast.JoinedStr(values=parts):
                return arithmetic.joined([self._part(use.of(part), frame) for part in parts])
            case ast.Subscript(value=container, slice=key):
                return self.objects.item(of(container), of(key))
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return (Sequence(tuple(self._elements(items, use, frame))),)
            case ast.Dict() as node:
                return (self._mapping(node, use, frame),)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp() | ast.Lambda() as node:
                return self._inner(node, use, frame)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                holds = self.decide(use.of(test), frame)
                return of(body) if holds else of(orelse) if holds is False else merge([of(body), of(orelse)])
            case ast.BoolOp(op=operator, values=nodes):
                return arithmetic.first_deciding([of(node) for node in nodes], stop_at=isinstance(operator, ast.Or))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return arithmetic.negated(of(operand))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return arithmetic.minus(of(operand))
            case ast.BinOp(left=left, op=operation, right=right):
                return arithmetic.combined(of(left), operation, of(right))
            case ast.Compare(left=left, ops=[comparison], comparators=[right]):
                return arithmetic.compared(of(left), comparison, of(right))
            case node if choices := alternatives(node):
                return merge(of(choice) for choice in choices)
        return UNKNOWN

    def _part(self, use: Use, frame: Frame | None) -> Values:
        match use.expression:
            case ast.FormattedValue(value=value, format_spec=None):
                return self.values(use.of(value), frame)
            case ast.FormattedValue():
                return UNKNOWN
        return self.values(use, frame)

    def _elements(self, nodes: list[ast.expr], use: Use, frame: Frame | None) -> list[Values]:
        found: list[Values] = []
        for node in nodes[: MOST * 4]:
            if isinstance(node, ast.Starred):
                found += elements(self.values(use.of(node.value), frame))
            else:
                found.append(self.values(use.of(node), frame))
        return found

    def _mapping(self, node: ast.Dict, use: Use, frame: Frame | None) -> Mapping:
        items: list[tuple[Values, Values]] = []
        for key, value in list(zip(node.keys, node.values, strict=True))[: MOST * 4]:
            values = self.values(use.of(value), frame)
            if key is not None:
                items.append((self.values(use.of(key), frame), values))
            for inner in values if key is None else ():
                items += inner.items if isinstance(inner, Mapping) else [(UNKNOWN, UNKNOWN)]
        return Mapping(tuple(items))

    def _inner(self, node: ast.expr, use: Use, frame: Frame | None) -> Values:
        """A function without a name, or a comprehension."""
        scopes = self.project.scopes(use.scope.file)
        inner = scopes.inner.get(id(node)) if scopes else None
        if inner is None:
            return UNKNOWN
        if isinstance(node, ast.Lambda):
            return (Defined(inner),)
        if isinstance(node, ast.DictComp):
            key, value = (self.values(Use(part, inner, ()), frame) for part in (node.key, node.value))
            return (Mapping(((key, value),)),)
        return (Sequence((merge(self.values(part, frame) for part in inner.returns if part),)),)

    # -- names ---------------------------------------------------------------------------------------------------------

    def _name(self, name: str, use: Use, frame: Frame | None) -> Values:
        scope: Scope | None = use.scope
        while scope:
            bindings = scope.bindings.get(name)
            if bindings and (scope is use.scope or not scope.is_class):
                if len(bindings) > MOST:
                    return UNKNOWN
                in_force = reaching(bindings, use.position, use.blocks) if scope is use.scope else bindings
                return self.bound(in_force, name, scope, frame)
            scope = scope.parent
        return self._implicit(name, use.scope.file)

    def _implicit(self, name: str, file: str) -> Values:
        """A name that Python itself, or an `import *`, has brought."""
        if name == "__file__":
            return (Const(f"{ROOT}/{file}"),)
        if name == "__name__":
            scripts = self.project.scripts or {self.project.entry}
            return (Const("__main__" if file in scripts else file.removesuffix(".py").replace("/", ".")),)
        scopes = self.project.scopes(file)
        outside = ""
        for imported in scopes.stars if scopes else []:
            location = self.project.locate(imported, file)
            if location is None:
                outside = imported.module
            elif found := self.member(location, name):
                return found
        return (External(f"{outside}.{name}" if outside and name[:1].isupper() else f"builtins.{name}"),)

    def member(self, location: str, name: str) -> Values:
        """What the module at `location` has under `name` once it is imported; empty if nothing."""
        key = (location, name)
        if key in self._importing:  # modules that import one another
            return ()
        self._importing.add(key)
        try:
            return self._member(location, name)
        finally:
            self._importing.discard(key)

    def _member(self, location: str, name: str) -> Values:
        file = self.project.file_at(location)
        scopes = self.project.scopes(file) if file else None
        if file and scopes and name in scopes.module.bindings:
            in_force = reaching(scopes.module.bindings[name], LAST, ())
            return self.bound(in_force, name, scopes.module, None)
        for imported in scopes.stars if scopes and file else []:
            inner = self.project.locate(imported, file or "")
            if inner is not None and inner != location and (found := self.member(inner, name)):
                return found
        return (Local(f"{location}/{name}"),) if self.project.file_at(f"{location}/{name}") else ()

    def bound(self, bindings: list[Binding], name: str, scope: Scope, frame: Frame | None) -> Values:
        """What `bindings` of a name in `scope` give, and what is put into it if it is a container."""
        living = [binding for binding in bindings if not self.is_dead(binding.blocks, scope, frame)]
        found = merge(self._binding(binding, scope, frame) for binding in living)
        scopes = self.project.scopes(scope.file)
        puts = scopes.puts.get(name.rpartition(".")[2], []) if scopes else []
        if not puts or len(puts) > MOST or not any(isinstance(value, Sequence | Mapping) for value in found):
            return found
        put = merge(self._binding(binding, scope, None) for binding in puts)
        return tuple(self.objects.extended(value, put) for value in found)

    def _binding(self, binding: Binding, scope: Scope, frame: Frame | None) -> Values:
        found = UNKNOWN
        match binding.defined:
            case None if binding.value:
                found = self.values(binding.value, frame)
            case Imported() as imported:
                found = self._imported(imported, scope.file)
            case Typed(value=use):
                found = self.values(use, frame) if use else ()
            case Entered(context=context):
                found = self.objects.entered(self.values(context, frame))
            case Parameter() as parameter:
                found = self.callers.parameter(parameter, frame)
            case Scope() as defined:
                found = (Defined(defined),)
            case Receiver(owner=owner, is_class=is_class):
                inner = frame.of(scope) if frame else None
                found = (Defined(owner),) if is_class else ((inner and inner.receiver) or Object(owner),)
        for step in binding.path:
            found = merge(elements(found)) if step is None else self.objects.item(found, (Const(step),))
        return found

    def _imported(self, imported: Imported, importer: str) -> Values:
        parts = imported.module.split(".")
        location = self.project.locate(imported, importer)
        if location is None:
            inner = self.project.locate(imported, importer, submodule=True) if imported.name else None
            if inner is not None:
                return (Local(inner),)
            name = parts[0] if imported.top else ".".join([*parts, *([imported.name] if imported.name else [])])
            return (External(name),)
        if imported.name is None:
            return (Local(location.rsplit("/", len(parts) - 1)[0] if imported.top else location),)
        found = self.member(location, imported.name)
        inner = None if found else self.project.locate(imported, importer, submodule=True)
        return (Local(inner),) if inner is not None else found or UNKNOWN

    def _attribute(self, node: ast.Attribute, use: Use, frame: Frame | None) -> Values:
        name = dotted(node)
        scope: Scope | None = use.scope
        while name and scope:
            if name in scope.bindings:  # `state.model = …` binds the dotted name
                return self._name(name, use, frame)
            scope = scope.parent
        return merge(self.objects.attribute(value, node.attr) for value in self.values(use.of(node.value), frame))

    # -- calls ---------------------------------------------------------------------------------------------------------

    def _call(self, node: ast.Call, use: Use, frame: Frame | None) -> Values:
        functions = self.values(use.of(node.func), frame)
        return merge(self.called(function, use, frame) for function in functions) if functions else UNKNOWN

    def called(self, function: Value, use: Use, frame: Frame | None) -> Values:
        """What the call `use` of `function` gives."""
        if isinstance(function, External):
            return externals.call(self, function.name, use, frame)
        return self.objects.called(function, use, frame)

    def arguments(self, use: Use, frame: Frame | None, *names: str, at: int | None = None) -> Values | None:
        """The argument of the call `use` under one of `names`, or at position `at`; None if it is not given."""
        call = use.expression
        if not isinstance(call, ast.Call):
            return None
        for keyword in call.keywords:
            if keyword.arg in names:
                return self.values(use.of(keyword.value), frame)
        if at is not None and at < len(call.args) and not any(isinstance(a, ast.Starred) for a in call.args[: at + 1]):
            return self.values(use.of(call.args[at]), frame)
        for keyword in call.keywords:
            for value in self.values(use.of(keyword.value), frame) if keyword.arg is None else ():
                for name in names if isinstance(value, Mapping) else ():
                    if (found := value.get(name)) is not None:  # type: ignore[union-attr]
                        return found
        return None

    def variable(self, name: str, default: Values = NONE) -> Values:
        """What an environment variable is worth."""
        if name in self.setting.variables:
            return (Const(self.setting.variables[name], frozenset({name})),)
        return tuple(
            Const(value.value, value.variables | {name})
            if isinstance(value, Const)
            else Unknown(variables((value,)) | {name})
            if isinstance(value, Unknown)
            else value
            for value in default
        )
