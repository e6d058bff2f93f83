"""Operators and methods on plain values: nothing but strings, numbers and truths, all of them short."""

from __future__ import annotations

import ast
import operator
import posixpath
import re
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from spacerun.needs.values import (
    MOST,
    UNKNOWN,
    Const,
    External,
    Made,
    Mapping,
    Member,
    Sequence,
    Unknown,
    Value,
    Values,
    certain,
    elements,
    merge,
    truth,
    variables,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Sequence as Row

_LONGEST: Final = 20_000  # characters of a text that is worth building
_WIDE: Final = re.compile(r"%[^a-zA-Z%]*\d{3,}|\*")
_OPERATORS: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARISONS: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: lambda left, right: left is right or left == right,
    ast.IsNot: lambda left, right: not (left is right or left == right),
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
# Methods of a path that name the same file.
_SAME: Final = frozenset({"open", "as_posix", "resolve", "absolute", "expanduser"})
# Methods of strings that do no harm whatever they are called with.
_METHODS: Final = frozenset({
    "strip", "lstrip", "rstrip", "lower", "upper", "title", "capitalize", "replace", "split", "rsplit", "removeprefix",
    "removesuffix", "startswith", "endswith", "partition", "rpartition", "splitlines", "find", "count",
})  # fmt: skip


def pairs(*several: Values) -> Iterable[tuple[Value, ...]]:
    """Each value of the first with each of the second, and so on; only the first `MOST`."""
    for number, row in enumerate(product(*several)):
        if number >= MOST:
            return
        yield row


def _folded(several: Row[Values], compute: Callable[..., Any]) -> Values:
    """`compute` on every combination of plain values; unknown for the others."""
    found: dict[Value, None] = {}
    for row in pairs(*several):
        read_from = variables(row)
        if not all(isinstance(value, Const) for value in row):
            found[Unknown(read_from)] = None
            continue
        try:
            result = _wrapped(compute(*(value.value for value in row if isinstance(value, Const))), read_from)
        except Exception:  # noqa: BLE001 - what Python refuses has no value
            result = Unknown(read_from)
        found[result] = None
    return tuple(found)


def _wrapped(result: Any, read_from: frozenset[str]) -> Value:  # noqa: ANN401 - whatever Python makes of plain values
    if isinstance(result, list | tuple) and len(result) <= MOST and all(isinstance(part, str) for part in result):
        return Sequence(tuple((Const(part, read_from),) for part in result))
    if isinstance(result, str | int | float | bool | None) and len(str(result)) <= _LONGEST:
        return Const(result, read_from)
    return Unknown(read_from)


def joined(parts: Row[Values]) -> Values:
    """An f-string."""
    if made := _downloaded(parts):
        return made
    # "None" in a text is a name that was not set yet.
    return _folded(parts, lambda *texts: Ellipsis if None in texts else "".join(map(str, texts)))


def _downloaded(parts: Row[Values]) -> Values:
    """A path within something downloaded: to whoever asks what is loaded, it is that thing."""
    return next((part for part in parts if any(isinstance(value, Made) for value in part)), ())


def path(parts: Row[Values]) -> Values:
    """Parts of a path joined; what lies in something downloaded is that thing."""
    return _downloaded(parts) or _folded(parts, posixpath.join)


def combined(left: Values, operation: ast.operator, right: Values) -> Values:
    """`left <operation> right`."""
    if isinstance(operation, ast.Div):
        return path([left, right])
    if isinstance(operation, ast.Add):
        rows = [
            Sequence(first.elements + second.elements)
            for first, second in pairs(left, right)
            if isinstance(first, Sequence) and isinstance(second, Sequence)
        ]
        if rows:
            return tuple(rows)
        if made := _downloaded([left, right]):
            return made
    if isinstance(operation, ast.Mod) and any(isinstance(value, Sequence) for value in right):
        return merge(
            _folded([left, *elements((row,))], lambda text, *rest: _bounded(operator.mod, text, tuple(rest)))
            for row in right
        )
    if isinstance(operation, ast.BitOr):  # of dictionaries
        merged = [
            Mapping(first.items + second.items)
            for first, second in pairs(left, right)
            if isinstance(first, Mapping) and isinstance(second, Mapping)
        ]
        return tuple(merged) or UNKNOWN
    compute = _OPERATORS.get(type(operation))
    return _folded([left, right], lambda a, b: _bounded(compute, a, b)) if compute else UNKNOWN


def _bounded(compute: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:  # noqa: ANN401 - plain values
    """`compute`, unless a short source makes it long: `"a" * 10**9`, `"%999999999d"`."""
    longest = max((len(side) for side in (left, right) if isinstance(side, str)), default=1)
    factor = max((side for side in (left, right) if isinstance(side, int)), default=1)
    if compute is operator.mul and longest * factor > _LONGEST:
        raise ValueError("too long")
    if compute is operator.mod and isinstance(left, str) and _WIDE.search(left):
        raise ValueError("too wide")
    return compute(left, right)


def _of_text(text: str, name: str, arguments: tuple[Any, ...]) -> Any:  # noqa: ANN401 - a string, a number, a list
    longest = max((len(argument) for argument in arguments if isinstance(argument, str)), default=1)
    if len(text) * longest > _LONGEST**2 // 10:
        raise ValueError("too long")
    return getattr(text, name)(*arguments)


def compared(left: Values, comparison: ast.cmpop, right: Values) -> Values:
    """`left <comparison> right`."""
    compute = _COMPARISONS[type(comparison)]
    if isinstance(comparison, ast.In | ast.NotIn) and any(isinstance(value, Sequence | Mapping) for value in right):
        inside = merge(elements(right))
        if not certain(inside) or not all(isinstance(value, Const) for value in (*inside, *left)):
            return (Unknown(variables(left)),)
        held = {value.value for value in inside if isinstance(value, Const)}
        return _folded([left], lambda value: (value in held) is isinstance(comparison, ast.In))
    if isinstance(comparison, ast.Is | ast.IsNot) and right == (Const(None),):
        is_none = isinstance(comparison, ast.Is)
        return tuple(
            Unknown(variables((value,)))
            if isinstance(value, Unknown | Made | Member | External)
            else Const((isinstance(value, Const) and value.value is None) is is_none, variables((value,)))
            for value in left
        )
    return _folded([left, right], compute)


def negated(values: Values) -> Values:
    """`not values`."""
    return tuple(
        Unknown(variables((value,))) if (holds := truth(value)) is None else Const(not holds, variables((value,)))
        for value in values
    )


def minus(values: Values) -> Values:
    """`-values`."""
    return _folded([values], operator.neg)


def first_deciding(several: Row[Values], *, stop_at: bool) -> Values:
    """`a or b` (`stop_at` is true) and `a and b` (false): the first that decides, or else the last."""
    found: list[Values] = []
    read_from: frozenset[str] = frozenset()
    for values in several[:-1]:
        found.append(tuple(value for value in values if truth(value) in {stop_at, None}))
        read_from |= variables(values)
        if values and all(truth(value) is stop_at for value in values):
            return merge(found)
    last = several[-1]
    found.append(tuple(Const(v.value, v.variables | read_from) if isinstance(v, Const) else v for v in last))
    return merge(found)


def method(receiver: Value, name: str, arguments: Row[Values], keywords: dict[str, Values]) -> Values:
    """`receiver.name(…)` where the receiver is plain or a container."""
    if isinstance(receiver, Mapping):
        return _of_mapping(receiver, name, arguments)
    if isinstance(receiver, Sequence):
        return (receiver,) if name in {"copy", "tolist"} else UNKNOWN
    return _of_plain(receiver, name, arguments, keywords) if isinstance(receiver, Const) else UNKNOWN


def _of_plain(receiver: Const, name: str, arguments: Row[Values], keywords: dict[str, Values]) -> Values:
    """A method of a string, which may be a path."""
    found = UNKNOWN
    if name in {"read", "read_text"}:
        found = (Member(receiver, name),)
    elif name in _SAME:
        found = (receiver,)
    elif name == "joinpath":
        found = path([(receiver,), *arguments])
    elif name == "join" and arguments:
        found = _folded([(receiver,), *elements(arguments[0])], lambda text, *parts: text.join(parts))
    elif name == "format":
        found = _folded(
            [(receiver,), *arguments, *keywords.values()],
            lambda text, *rest: _formatted(text, rest[: len(arguments)], rest[len(arguments) :], list(keywords)),
        )
    elif name in _METHODS:
        found = _folded([(receiver,), *arguments], lambda text, *rest: _of_text(text, name, rest))
    return found


def _formatted(text: str, row: Row[Any], given: Row[Any], names: list[str]) -> str:
    # Neither attributes nor items, nor widths: `{0.__class__}` and `{:>99999999}` are none of ours.
    fields = {**{str(number): value for number, value in enumerate(row)}, **dict(zip(names, given, strict=True))}
    for name, value in fields.items():
        text = text.replace(f"{{{name}}}", str(value))
    for value in row:
        text = text.replace("{}", str(value), 1)
    if "{" in text:
        raise ValueError(text)
    return text


def _of_mapping(mapping: Mapping, name: str, arguments: Row[Values]) -> Values:
    if name in {"get", "pop", "setdefault"} and arguments:
        default = arguments[1] if len(arguments) > 1 else (Const(None),)
        found = []
        for key in arguments[0]:
            held = mapping.get(key.value) if isinstance(key, Const) else None
            found.append(mapping.values() if not isinstance(key, Const) else default if held is None else held)
        return merge(found)
    if name == "values":
        return (Sequence(tuple(values for _, values in mapping.items)),)
    if name == "items":
        return (Sequence(tuple((Sequence((keys, values)),) for keys, values in mapping.items)),)
    if name == "keys":
        return (Sequence(tuple(keys for keys, _ in mapping.items)),)
    return (mapping,) if name == "copy" else UNKNOWN
