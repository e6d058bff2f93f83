"""Names bound in the scopes of one module, as a walk over its syntax tree goes on."""

from __future__ import annotations

import ast
from typing import TypeAlias

from spacerun.source.scopes import (
    SOMETIME,
    Binding,
    Blocks,
    Definition,
    Function,
    Path,
    Position,
    Scope,
    Use,
    dotted,
)

Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Binder(ast.NodeVisitor):
    """Knows in which scope and in which conditional blocks a walk is, and binds names there.

    Attributes:
        module: The outermost scope.
        puts: What is put into containers anywhere, by the last part of the container's name.
        scopes: All scopes, the module's own first.
    """

    def __init__(self, module: Scope) -> None:
        self.module = module
        self.puts: dict[str, list[Binding]] = {}
        self.scopes = [module]
        self._scope = module
        self._blocks: Blocks = ()
        self._strings = 0

    def _use(self, expression: ast.expr) -> Use:
        return Use(expression, self._scope, self._blocks, in_string=self._strings > 0)

    def _bind(
        self,
        name: str,
        position: Position,
        *,
        value: Use | None = None,
        path: Path = (),
        defined: Definition | None = None,
    ) -> None:
        scope = self._scope.outer.get(name, self._scope)
        # From another scope one cannot tell when it happens.
        blocks = self._blocks if scope is self._scope else SOMETIME
        scope.bindings.setdefault(name, []).append(Binding(position, blocks, value, path, defined))

    def _bind_target(
        self,
        target: ast.expr,
        position: Position,
        value: Use | None,
        path: Path = (),
        defined: Definition | None = None,
    ) -> None:
        if isinstance(target, ast.Name):
            self._bind(target.id, position, value=value, path=path, defined=defined)
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
                bound = Binding(position, SOMETIME, value, path, defined)
                owner.attributes.setdefault(target.attr, []).append(bound)
            elif name:
                self._bind(name, position, value=value, path=path, defined=defined)
        elif isinstance(target, ast.Subscript):
            self.visit(target)
            self._put(target.value, value, path)
        else:
            self.visit(target)

    def _put(self, container: ast.expr, value: Use | None, path: Path = ()) -> None:
        """`container[…] = value`, or the like."""
        name = (dotted(container) or "").rpartition(".")[2]
        self.puts.setdefault(name, []).append(Binding((0, 0), SOMETIME, value, path))

    def _enter(self, node: Function | ast.Lambda | Comprehension | ast.ClassDef) -> tuple[Scope, Scope, Blocks]:
        inner, around, blocks = Scope(node, self._scope, self.module.file), self._scope, self._blocks
        self.scopes.append(inner)
        self._scope, self._blocks = inner, ()
        return inner, around, blocks

    def _leave(self, around: Scope, blocks: Blocks) -> None:
        self._scope, self._blocks = around, blocks
