"""Which expression a name stands for: the scopes of one module and what is bound in them."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TypeAlias

Position: TypeAlias = tuple[int, int]
Blocks: TypeAlias = tuple[int, ...]
_Def: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(eq=False)
class Scope:
    """A module, class, function, lambda or comprehension.

    Attributes:
        node: Its syntax tree.
        parent: The scope around it.
        bindings: What each name, or dotted name, is bound to here, in the order of the text.
        outer: Names declared `global` or `nonlocal`, with the scope that has them.
        returns: The values this function returns; None for a bare `return`.
        generates: Whether it is a generator.
        attributes: Of a class: what its methods assign to `self.NAME`.
    """

    node: ast.AST
    parent: Scope | None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    outer: dict[str, Scope] = field(default_factory=dict)
    returns: list[Use | None] = field(default_factory=list)
    generates: bool = False
    attributes: dict[str, list[Binding]] = field(default_factory=dict)

    @property
    def method_of(self) -> Scope | None:
        """The class scope, if this is a method."""
        function = isinstance(self.node, ast.FunctionDef | ast.AsyncFunctionDef)
        return self.parent if function and self.parent and isinstance(self.parent.node, ast.ClassDef) else None

    @property
    def decorators(self) -> list[str]:
        """The last part of the name of each decorator: `property`, `cached_property`, `cache`."""
        nodes = getattr(self.node, "decorator_list", [])
        return [name.rpartition(".")[2] for name in map(dotted, nodes) if name]

    @property
    def self_name(self) -> str | None:
        """The name of a method's first parameter."""
        if self.method_of is None or not isinstance(self.node, ast.FunctionDef | ast.AsyncFunctionDef):
            return None
        if "staticmethod" in self.decorators:
            return None
        parameters = [*self.node.args.posonlyargs, *self.node.args.args]
        return parameters[0].arg if parameters else None


@dataclass(frozen=True, eq=False)
class Use:
    """An expression and where it is evaluated.

    Attributes:
        expression: The expression.
        scope: The scope it is in.
        blocks: The conditional blocks around it within that scope, outermost first.
        in_string: It stands inside an f-string.
    """

    expression: ast.expr
    scope: Scope
    blocks: Blocks
    in_string: bool = False


@dataclass(frozen=True, eq=False)
class Binding:
    """One place where a name gets a value.

    Attributes:
        position: Where the name has the value from on: line and column.
        blocks: The conditional blocks around it within its scope.
        value: The expression bound; None if it is none of the below or beyond this analysis.
        path: Which element of `value`, if it is unpacked.
        defined: The function or class defined, what is imported (`a.b`), the annotation of a parameter, or the
            class whose method has it as first parameter.
    """

    position: Position
    blocks: Blocks
    value: Use | None = None
    path: tuple[int, ...] = ()
    defined: Scope | str | Annotation | Receiver | None = None


@dataclass(frozen=True, eq=False)
class Annotation:
    """The type of a parameter."""

    type: Use


@dataclass(frozen=True, eq=False)
class Receiver:
    """The first parameter of a method: `self` or `cls`."""

    owner: Scope


def end(node: ast.stmt | ast.expr | ast.arg | ast.excepthandler | ast.pattern) -> Position:
    """The place behind `node`."""
    return node.end_lineno or node.lineno, node.end_col_offset or node.col_offset


def dotted(expression: ast.expr) -> str | None:
    """`a.b.c` as text, or None for anything but names and attributes."""
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Attribute):
        base = dotted(expression.value)
        return base and f"{base}.{expression.attr}"
    return None


class ModuleScopes(ast.NodeVisitor):
    """The scopes of one module.

    Attributes:
        module: The outermost scope.
        calls: Every call, with where it stands.
        stars: Modules imported from with `*`.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.module = Scope(tree, None)
        self.calls: list[Use] = []
        self.stars: set[str] = set()
        self._scope = self.module
        self._blocks: Blocks = ()
        self._strings = 0
        self._visit_all(tree.body)

    def _visit_all(self, nodes: list[ast.stmt] | list[ast.expr]) -> None:
        for node in nodes:
            self.visit(node)

    def _visit_block(self, nodes: list[ast.stmt]) -> None:
        """Visit statements that may not run."""
        if nodes:
            self._blocks += (id(nodes[0]),)
            self._visit_all(nodes)
            self._blocks = self._blocks[:-1]

    def _use(self, expression: ast.expr) -> Use:
        return Use(expression, self._scope, self._blocks, in_string=self._strings > 0)

    def _bind(
        self,
        name: str,
        position: Position,
        *,
        value: Use | None = None,
        path: tuple[int, ...] = (),
        defined: Scope | str | Annotation | Receiver | None = None,
    ) -> None:
        scope = self._scope.outer.get(name, self._scope)
        # From another scope one cannot tell when it happens: such a binding never replaces the ones before it.
        blocks = self._blocks if scope is self._scope else (-1,)
        scope.bindings.setdefault(name, []).append(Binding(position, blocks, value, path, defined))

    def _bind_target(self, target: ast.expr, position: Position, value: Use | None, path: tuple[int, ...] = ()) -> None:
        if isinstance(target, ast.Name):
            self._bind(target.id, position, value=value, path=path)
        elif isinstance(target, ast.Tuple | ast.List):
            starred = any(isinstance(element, ast.Starred) for element in target.elts)
            for index, element in enumerate(target.elts):
                self._bind_target(element, position, None if starred else value, (*path, index))
        elif isinstance(target, ast.Starred):
            self._bind_target(target.value, position, None)
        elif isinstance(target, ast.Attribute):
            self.visit(target.value)
            owner, name = self._scope.method_of, dotted(target)
            if owner and isinstance(target.value, ast.Name) and target.value.id == self._scope.self_name:
                bound = Binding(position, (-1,), value, path)
                owner.attributes.setdefault(target.attr, []).append(bound)
            elif name:
                self._bind(name, position, value=value, path=path)
        else:
            self.visit(target)

    def _enter(self, node: _Def | ast.Lambda | _Comprehension | ast.ClassDef) -> tuple[Scope, Scope, Blocks]:
        inner, around, blocks = Scope(node, self._scope), self._scope, self._blocks
        self._scope, self._blocks = inner, ()
        return inner, around, blocks

    def _leave(self, around: Scope, blocks: Blocks) -> None:
        self._scope, self._blocks = around, blocks

    def _visit_function(self, node: _Def) -> None:
        self._visit_all(node.decorator_list)
        inner, around, blocks = self._parameters(node)
        self._visit_all(node.body)
        self._leave(around, blocks)
        self._bind(node.name, end(node), defined=inner)

    def _parameters(self, node: _Def | ast.Lambda) -> tuple[Scope, Scope, Blocks]:
        arguments = node.args
        self._visit_all([*arguments.defaults, *(default for default in arguments.kw_defaults if default)])
        defined: dict[str, Annotation | Receiver] = {
            argument.arg: Annotation(self._use(argument.annotation))
            for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            if argument.annotation
        }
        entered = self._enter(node)
        if self._scope.self_name and self._scope.method_of:
            defined[self._scope.self_name] = Receiver(self._scope.method_of)
        for argument in ast.walk(arguments):
            if isinstance(argument, ast.arg):
                self._bind(argument.arg, end(argument), defined=defined.get(argument.arg))
        return entered

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """A function: its own scope."""
        self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """A coroutine: its own scope."""
        self._visit_function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """A lambda: its own scope."""
        _, around, blocks = self._parameters(node)
        self.visit(node.body)
        self._leave(around, blocks)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """A class: its own scope."""
        self._visit_all([*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)])
        inner, around, blocks = self._enter(node)
        self._visit_all(node.body)
        self._leave(around, blocks)
        self._bind(node.name, end(node), defined=inner)

    def _visit_comprehension(self, node: _Comprehension) -> None:
        _, around, blocks = self._enter(node)
        for generator in node.generators:
            self._bind_target(generator.target, end(generator.iter), None)
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
            self._bind_target(node.target, end(node.value), self._use(node.value))

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """`a += value`."""
        self.visit(node.value)
        self._bind_target(node.target, end(node.value), None)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        """`(a := value)`."""
        self.visit(node.value)
        self._bind_target(node.target, end(node.value), self._use(node.value))

    def _visit_with(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            if item.optional_vars:
                # Gradio's `__enter__` returns the object itself.
                use = self._use(item.context_expr)
                self._bind_target(item.optional_vars, end(item.context_expr), use)
        self._visit_all(node.body)

    visit_With = visit_AsyncWith = _visit_with  # noqa: N815

    def _visit_for(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._bind_target(node.target, end(node.iter), None)
        self._visit_block(node.body)
        self._visit_block(node.orelse)

    visit_For = visit_AsyncFor = _visit_for  # noqa: N815

    def _visit_if(self, node: ast.If | ast.While) -> None:
        self.visit(node.test)
        self._visit_block(node.body)
        self._visit_block(node.orelse)

    visit_If = visit_While = _visit_if  # noqa: N815

    def visit_Try(self, node: ast.Try) -> None:
        """`try`: what its body binds holds afterwards, unless a handler binds it too."""
        self._visit_all(node.body)
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
            name, module = alias.asname, alias.name
            if name is None:
                name = module = module.partition(".")[0]
            self._bind(name, end(node), defined=module)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """`from a import b as c`."""
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            if alias.name == "*":
                self.stars.add(module)
            else:
                self._bind(alias.asname or alias.name, end(node), defined=f"{module}.{alias.name}")

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
        self.generic_visit(node)
