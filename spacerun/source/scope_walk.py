"""The scopes of one module, read from its syntax tree in one walk."""

from __future__ import annotations

import ast
from functools import cached_property
from typing import Final

from spacerun.source.binder import Binder, Comprehension
from spacerun.source.scopes import (
    ANY,
    Blocks,
    Definition,
    Entered,
    Function,
    Imported,
    Parameter,
    Position,
    Receiver,
    Scope,
    Typed,
    Use,
    called_name,
    dotted,
    end,
)

# Methods that put their argument into a container; of those in the second row it is a container itself.
_PUT_IN: Final = frozenset({"append", "add", "insert", "appendleft", "setdefault"})
_PUT_ALL_IN: Final = frozenset({"extend", "update"})


class ModuleScopes(Binder, ast.NodeVisitor):
    """The scopes of one module.

    Attributes:
        calls: Every call, with where it stands.
        launches: Every `….launch` that is handed to another function, which may call it.
        passed: Names of variables and attributes that are used other than by a call.
        stars: Modules imported from with `*`.
        imports: Every import, at whatever depth.
        inner: The scope of each lambda and comprehension, by the identity of its node.
        tests: What has to be true, or false, for a conditional block to run, by the number of the block.
        tries: From where to where each `try` body reaches that has handlers.
        subscripts: Every `container[key]`, read or written.
        exits: Every `if` without `else` whose body leaves the function or loop: its test, and where it ends.
        raises: What every `raise` raises.
        asserts: What every `assert` tests.
    """

    def __init__(self, tree: ast.Module, file: str) -> None:
        super().__init__(Scope(tree, None, file))
        self.calls: list[Use] = []
        self.launches: list[Use] = []
        self.passed: set[str] = set()
        self.stars: list[Imported] = []
        self.imports: list[Imported] = []
        self.inner: dict[int, Scope] = {}
        self.tests: dict[int, tuple[Use, bool]] = {}
        self.tries: list[tuple[Position, Position]] = []
        self.subscripts: list[Use] = []
        self.exits: list[tuple[Use, Position]] = []
        self.raises: list[Use] = []
        self.asserts: list[Use] = []
        self._called: set[int] = set()
        self._visit_all(tree.body)

    def _visit_all(self, nodes: list[ast.stmt] | list[ast.expr]) -> None:
        for node in nodes:
            self.visit(node)

    def _visit_block(self, nodes: list[ast.stmt], *, loop: bool = False) -> None:
        """Visit statements that may not run; those of a loop may run after one that follows them in the text."""
        if nodes:
            self._blocks += (-id(nodes[0]) if loop else id(nodes[0]),)
            self._visit_all(nodes)
            self._blocks = self._blocks[:-1]

    def _visit_function(self, node: Function) -> None:
        self._visit_all(node.decorator_list)
        return_type = self._use(node.returns) if node.returns else None
        inner, around, blocks = self._parameters(node)
        inner.return_type = return_type
        self._visit_all(node.body)
        self._leave(around, blocks)
        self._bind(node.name, end(node), defined=inner)

    def _parameters(self, node: Function | ast.Lambda) -> tuple[Scope, Scope, Blocks]:
        arguments = node.args
        plain = [*arguments.posonlyargs, *arguments.args]
        defaults: dict[str, ast.expr | None] = dict(
            zip([a.arg for a in plain[len(plain) - len(arguments.defaults) :]], arguments.defaults, strict=True)
        )
        defaults |= dict(zip([a.arg for a in arguments.kwonlyargs], arguments.kw_defaults, strict=True))
        self._visit_all([default for default in defaults.values() if default])
        around_uses = {
            argument.arg: (
                self._use(argument.annotation) if argument.annotation else None,
                self._use(default) if (default := defaults.get(argument.arg)) else None,
            )
            for argument in [*plain, *arguments.kwonlyargs]
        }
        inner, around, blocks = self._enter(node)
        owner = inner.method_of
        for name, (annotation, value) in around_uses.items():
            defined: Definition = Parameter(name, inner, annotation, value)
            if owner and name == inner.self_name:
                defined = Receiver(owner, is_class="classmethod" in inner.decorators)
            self._bind(name, (node.lineno, node.col_offset), defined=defined)
        for argument in (arguments.vararg, arguments.kwarg):
            if argument:
                self._bind(argument.arg, end(argument), defined=Parameter(argument.arg, inner, starred=True))
        return inner, around, blocks

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """A function: its own scope."""
        self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """A coroutine: its own scope."""
        self._visit_function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """A lambda: its own scope."""
        inner, around, blocks = self._parameters(node)
        self.inner[id(node)] = inner
        inner.returns.append(self._use(node.body))
        self.visit(node.body)
        self._leave(around, blocks)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """A class: its own scope."""
        self._visit_all([*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)])
        inner, around, blocks = self._enter(node)
        self._visit_all(node.body)
        self._leave(around, blocks)
        self._bind(node.name, end(node), defined=inner)

    def _visit_comprehension(self, node: Comprehension) -> None:
        inner, around, blocks = self._enter(node)
        for generator in node.generators:
            self._bind_target(generator.target, (node.lineno, node.col_offset), self._use(generator.iter), (ANY,))
        if not isinstance(node, ast.DictComp):
            inner.returns.append(self._use(node.elt))
        self.inner[id(node)] = inner
        self.generic_visit(node)
        self._leave(around, blocks)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension  # noqa: N815

    def visit_Assign(self, node: ast.Assign) -> None:
        """`a = b = value`."""
        self.visit(node.value)
        for target in node.targets:
            self._bind_target(target, end(node.value), self._use(node.value))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """`a: type = value`."""
        if node.value:
            self.visit(node.value)
        value = self._use(node.value) if node.value else None
        self._bind_target(node.target, end(node), None, defined=Typed(self._use(node.annotation), value))

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """`a += value`."""
        self.visit(node.value)
        if isinstance(node.op, ast.Add) and isinstance(node.value, ast.List | ast.Tuple):
            self._put(node.target, self._use(node.value), (ANY,))
        else:
            self._bind_target(node.target, end(node.value), None)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        """`(a := value)`."""
        self.visit(node.value)
        self._bind_target(node.target, end(node.value), self._use(node.value))

    def _visit_with(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars:
                entered = Entered(self._use(item.context_expr))
                self._bind_target(item.optional_vars, end(item.context_expr), None, defined=entered)
        self._visit_all(node.body)

    visit_With = visit_AsyncWith = _visit_with  # noqa: N815

    def _visit_for(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._bind_target(node.target, end(node.iter), self._use(node.iter), (ANY,))
        self._visit_block(node.body, loop=True)
        self._visit_block(node.orelse)

    visit_For = visit_AsyncFor = _visit_for  # noqa: N815

    def _visit_if(self, node: ast.If | ast.While) -> None:
        self.visit(node.test)
        if isinstance(node, ast.If):
            test = self._use(node.test)
            self.tests[id(node.body[0])] = (test, True)
            if node.orelse:
                self.tests[id(node.orelse[0])] = (test, False)
            elif isinstance(node.body[-1], ast.Return | ast.Continue | ast.Break):
                self.exits.append((test, end(node)))
        self._visit_block(node.body, loop=isinstance(node, ast.While))
        self._visit_block(node.orelse)

    visit_If = visit_While = _visit_if  # noqa: N815

    def visit_IfExp(self, node: ast.IfExp) -> None:
        """`a if test else b`."""
        self.visit(node.test)
        test = self._use(node.test)
        self._visit_operand(node.body, test, holds=True)
        self._visit_operand(node.orelse, test, holds=False)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """`a and b`, `a or b`: the second may not be evaluated."""
        around = self._blocks
        for before, operand in zip([None, *node.values], node.values, strict=False):
            if before is not None:
                self.tests[id(operand)] = (self._use(before), isinstance(node.op, ast.And))
                self._blocks += (id(operand),)
            self.visit(operand)
        self._blocks = around

    def _visit_operand(self, node: ast.expr, test: Use, *, holds: bool) -> None:
        self.tests[id(node)] = (test, holds)
        self._blocks += (id(node),)
        self.visit(node)
        self._blocks = self._blocks[:-1]

    def visit_Try(self, node: ast.Try) -> None:
        """`try`: what its body binds holds afterwards, unless a handler binds it too."""
        self._visit_all(node.body)
        if node.handlers:
            first = node.body[0]
            self.tries.append(((first.lineno, first.col_offset), end(node.body[-1])))
        for handler in node.handlers:
            if handler.name:
                self._bind(handler.name, end(handler.type or handler.body[0]))
            self._visit_block(handler.body)
        self._visit_block(node.orelse)
        self._visit_all(node.finalbody)

    visit_TryStar = visit_Try  # noqa: N815

    def visit_match_case(self, node: ast.match_case) -> None:
        """`case`: a conditional block."""
        for part in ast.walk(node.pattern):
            if isinstance(part, ast.MatchAs | ast.MatchStar) and part.name:
                self._bind(part.name, end(part))
        self._visit_block(node.body)

    def visit_Import(self, node: ast.Import) -> None:
        """`import a.b as c`."""
        for alias in node.names:
            imported = Imported(alias.name, top=alias.asname is None)
            self.imports.append(imported)
            self._bind(alias.asname or alias.name.partition(".")[0], end(node), defined=imported)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """`from a import b as c`."""
        for alias in node.names:
            imported = Imported(node.module or "", alias.name, node.level)
            self.imports.append(imported)
            if alias.name == "*":
                self.stars.append(imported)
            else:
                self._bind(alias.asname or alias.name, end(node), defined=imported)

    def visit_Global(self, node: ast.Global) -> None:
        """`global a`."""
        self._scope.outer.update(dict.fromkeys(node.names, self.module))

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        """`nonlocal a`."""
        for name in node.names:
            scope = self._scope.parent
            while scope and name not in scope.bindings:
                scope = scope.parent
            self._scope.outer[name] = scope or self.module

    def visit_Return(self, node: ast.Return) -> None:
        """`return value`."""
        self._scope.returns.append(self._use(node.value) if node.value else None)
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        """`raise value`."""
        if node.exc:
            self.raises.append(self._use(node.exc))
        self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> None:
        """`assert test`."""
        self.asserts.append(self._use(node.test))
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """`container[key]`."""
        self.subscripts.append(self._use(node))
        self.generic_visit(node)

    def _visit_yield(self, node: ast.Yield | ast.YieldFrom) -> None:
        self._scope.generates = True
        self.generic_visit(node)

    visit_Yield = visit_YieldFrom = _visit_yield  # noqa: N815

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """An f-string."""
        self._strings += 1
        self.generic_visit(node)
        self._strings -= 1

    def visit_Call(self, node: ast.Call) -> None:
        """A call."""
        self.calls.append(self._use(node))
        self._called.add(id(node.func))
        if isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr in _PUT_IN:
                self._put(node.func.value, self._use(node.args[-1]))
            elif node.func.attr in _PUT_ALL_IN:
                self._put(node.func.value, self._use(node.args[0]), (ANY,))
        if not _is_partial(node):
            for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                handed = argument.args[0] if isinstance(argument, ast.Call) and _is_partial(argument) else argument
                if isinstance(handed, ast.Attribute) and handed.attr == "launch":
                    self.launches.append(self._use(handed))
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """A name that is used."""
        if id(node) not in self._called:
            self.passed.add(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """An attribute that is used."""
        if id(node) not in self._called:
            self.passed.add(node.attr)
        self.visit(node.value)

    def in_try(self, use: Use) -> bool:
        """Whether an exception at `use` is handled in the same function or module, as far as the text tells."""
        return any(start <= use.position <= stop for start, stop in self.tries)

    @cached_property
    def calls_by_name(self) -> dict[str, list[Use]]:
        """The calls by the last part of the name that is called."""
        found: dict[str, list[Use]] = {}
        for use in self.calls:
            if isinstance(use.expression, ast.Call):
                found.setdefault(called_name(use.expression), []).append(use)
        return found


def _is_partial(call: ast.Call) -> bool:
    name = dotted(call.func) or ""
    return name.rpartition(".")[2] == "partial" and bool(call.args)
