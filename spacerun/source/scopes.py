"""What a module's scopes hold: names, what they are bound to, and where each expression stands."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Position: TypeAlias = tuple[int, int]
Blocks: TypeAlias = tuple[int, ...]
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
# Which element of a container: an index, a key, or ANY of them.
Key: TypeAlias = "int | str | None"
Path: TypeAlias = tuple[Key, ...]
ANY: Final = None
LAST: Final[Position] = (1 << 31, 0)
# Bindings of one name, or calls of one function, beyond which it counts as unknown: a source must not take minutes.
MOST: Final = 300
# Blocks of a binding that may happen at any time: it never replaces the ones before it.
SOMETIME: Final[Blocks] = (-1,)


@dataclass(eq=False, repr=False)
class Scope:
    """A module, class, function, lambda or comprehension.

    Attributes:
        node: Its syntax tree.
        parent: The scope around it.
        file: Path of its module within the Space.
        bindings: What each name, or dotted name, is bound to here, in the order of the text.
        outer: Names declared `global` or `nonlocal`, with the scope that has them.
        returns: The values this function returns; None for a bare `return`.
        return_type: The annotation of what it returns.
        generates: Whether it is a generator.
        attributes: Of a class: what its methods assign to `self.NAME`.
    """

    node: ast.AST
    parent: Scope | None
    file: str
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    outer: dict[str, Scope] = field(default_factory=dict)
    returns: list[Use | None] = field(default_factory=list)
    return_type: Use | None = None
    generates: bool = False
    attributes: dict[str, list[Binding]] = field(default_factory=dict)

    @property
    def is_class(self) -> bool:
        """Whether it is a class."""
        return isinstance(self.node, ast.ClassDef)

    @property
    def method_of(self) -> Scope | None:
        """The class scope, if this is a method."""
        is_function = isinstance(self.node, ast.FunctionDef | ast.AsyncFunctionDef)
        return self.parent if is_function and self.parent and self.parent.is_class else None

    @property
    def decorators(self) -> list[str]:
        """The last part of each decorator's name: `property`, `cached_property`, `cache`; "" for an unnamed one."""
        nodes = [node.func if isinstance(node, ast.Call) else node for node in getattr(self.node, "decorator_list", [])]
        return [(dotted(node) or "").rpartition(".")[2] for node in nodes]

    @property
    def parameters(self) -> list[str]:
        """Names of a function's parameters that a positional argument reaches."""
        arguments = self.node.args if isinstance(self.node, Function | ast.Lambda) else None
        return [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)] if arguments else []

    @property
    def self_name(self) -> str | None:
        """The name of a method's first parameter."""
        if self.method_of is None or "staticmethod" in self.decorators:
            return None
        return next(iter(self.parameters), None)


@dataclass(frozen=True, eq=False)
class Use:
    """An expression and where it is evaluated.

    Attributes:
        expression: The expression.
        scope: The scope it is in.
        blocks: The conditional blocks around it within that scope, outermost first; negative for a loop.
        in_string: It stands inside an f-string.
    """

    expression: ast.expr
    scope: Scope
    blocks: Blocks
    in_string: bool = False

    @property
    def position(self) -> Position:
        """Where it begins."""
        return self.expression.lineno, self.expression.col_offset

    def of(self, expression: ast.expr) -> Use:
        """Another expression at the same place."""
        return Use(expression, self.scope, self.blocks, self.in_string)


@dataclass(frozen=True)
class Imported:
    """What an import binds a name to.

    Attributes:
        module: `a.b` of `import a.b` and `from a.b import c`.
        name: `c` of `from a.b import c`.
        level: Number of dots before the module.
        top: Whether the first part alone is bound, as by `import a.b`.
    """

    module: str
    name: str | None = None
    level: int = 0
    top: bool = False


@dataclass(frozen=True, eq=False)
class Parameter:
    """A parameter of a function; `starred` for `*args` and `**kwargs`."""

    name: str
    function: Scope
    annotation: Use | None = None
    default: Use | None = None
    starred: bool = False


@dataclass(frozen=True, eq=False)
class Receiver:
    """The first parameter of a method: `self` or `cls`."""

    owner: Scope
    is_class: bool


@dataclass(frozen=True, eq=False)
class Entered:
    """What `with … as NAME` binds."""

    context: Use


@dataclass(frozen=True, eq=False)
class Typed:
    """A value whose type the author wrote beside it; `value` is None where there is only the type."""

    type: Use
    value: Use | None


Definition: TypeAlias = "Scope | Imported | Parameter | Receiver | Entered | Typed"


@dataclass(frozen=True, eq=False)
class Binding:
    """One place where a name gets a value.

    Attributes:
        position: Where the name has the value from on: line and column.
        blocks: The conditional blocks around it within its scope.
        value: The expression bound; None if it is none of the below or beyond this analysis.
        path: Which element of `value`, if it is unpacked.
        defined: The function or class defined, or another thing that is no plain expression.
    """

    position: Position
    blocks: Blocks
    value: Use | None = None
    path: Path = ()
    defined: Definition | None = None


def reaching(bindings: list[Binding], place: Position, blocks: Blocks) -> list[Binding]:
    """Those of `bindings` in force at `place` in the same scope: back to the one that surely replaced the rest."""
    loops = {block for block in blocks if block < SOMETIME[0]}
    found: list[Binding] = []
    replaced = False
    for binding in reversed(bindings):
        if binding.position > place:
            if loops.intersection(binding.blocks):
                found.append(binding)
        elif not replaced:
            found.append(binding)
            replaced = blocks[: len(binding.blocks)] == binding.blocks
    return found or bindings


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


def called_name(call: ast.Call) -> str:
    """The last part of the name that is called; empty where it has none: `f()()`."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
