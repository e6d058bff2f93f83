"""What an expression of a Space's code may be worth, as far as that can be told without running it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spacerun.source.scopes import Scope, Use

Plain: TypeAlias = "str | int | float | bool | None"
Values: TypeAlias = "tuple[Value, ...]"

# More than these are not told apart: a table of a thousand models is "one of many".
MOST: Final = 100
# Values within a container, and within its containers, beyond which it is unknown.
_HEAVIEST: Final = 3000


@dataclass(frozen=True)
class Const:
    """A plain value, and the environment variables it was read from."""

    value: Plain
    variables: frozenset[str] = frozenset()

    def __eq__(self, other: object) -> bool:
        # 1, 1.0 and True are equal in Python, and not the same here.
        return (
            isinstance(other, Const)
            and type(self.value) is type(other.value)
            and self.value == other.value
            and self.variables == other.variables
        )

    def __hash__(self) -> int:
        return hash((type(self.value), self.value, self.variables))


@dataclass(frozen=True)
class External:
    """Something outside of the Space, by its full name: `torch.float16`."""

    name: str


@dataclass(frozen=True)
class Local:
    """A module of the Space: its path without `.py` or `/__init__.py`."""

    location: str


@dataclass(frozen=True)
class Defined:
    """A function or class of the Space."""

    scope: Scope


@dataclass(frozen=True)
class Object:
    """An instance of a class of the Space; `made` is the frame of its `__init__`, where that is known."""

    owner: Scope
    made: Frame | None = None


@dataclass(frozen=True)
class Method:
    """A function of the Space, bound to what comes first in its call."""

    function: Scope
    receiver: Object


@dataclass(frozen=True)
class Made:
    """What a call of something outside of the Space gives; `name` says what is called."""

    call: Use
    name: str
    frame: Frame | None = None


@dataclass(frozen=True)
class Member:
    """An attribute, nearly always a method, of something."""

    of: Value
    name: str


@dataclass(frozen=True, eq=False)
class _Container:
    """Knows its size and its hash: containers of containers are compared again and again."""

    weight: int = field(init=False)
    _hash: int = field(init=False)

    def _weigh(self, parts: tuple[Any, ...], several: Iterable[Values]) -> None:
        weight = 1 + sum(getattr(value, "weight", 1) for values in several for value in values)
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "_hash", hash(parts))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, eq=False)
class Sequence(_Container):
    """A list, tuple, set, or what is taken element by element; each element may be one of several values."""

    elements: tuple[Values, ...]

    def __post_init__(self) -> None:
        self._weigh(self.elements, self.elements)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._hash == other._hash and self.elements == other.elements

    __hash__ = _Container.__hash__


@dataclass(frozen=True, eq=False)
class Mapping(_Container):
    """A dictionary, or an object that is read like one; each key and each value may be one of several."""

    items: tuple[tuple[Values, Values], ...]

    def __post_init__(self) -> None:
        self._weigh(self.items, (values for row in self.items for values in row))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and self._hash == other._hash and self.items == other.items

    __hash__ = _Container.__hash__

    def get(self, key: Plain) -> Values | None:
        """What is under `key`: the values of its own item, and of those with unknown keys; None if there are none."""
        own = [values for keys, values in self.items if any(isinstance(k, Const) and k.value == key for k in keys)]
        loose = [values for keys, values in self.items if not all(isinstance(k, Const) for k in keys)]
        return merge([*own[-1:], *loose]) if own or loose else None

    def values(self) -> Values:
        """All its values."""
        return merge(values for _, values in self.items)


@dataclass(frozen=True)
class Unknown:
    """What only running the code could tell, and the environment variables that play a part in it."""

    variables: frozenset[str] = frozenset()


Value: TypeAlias = "Const | External | Local | Defined | Object | Method | Made | Member | Sequence | Mapping | Unknown"
UNKNOWN: Final[Values] = (Unknown(),)
NONE: Final[Values] = (Const(None),)


@dataclass(frozen=True, eq=False)
class Frame:
    """One way to come into a function of the Space.

    Attributes:
        scope: The function.
        call: The call; None where only the receiver is known.
        outer: The frame that the call stands in.
        receiver: What comes before the call's arguments.
        depth: How many frames are around it.
    """

    scope: Scope
    call: Use | None = None
    outer: Frame | None = None
    receiver: Object | None = None
    depth: int = field(default=0)

    def of(self, scope: Scope) -> Frame | None:
        """This frame, or the one around it, that belongs to `scope`."""
        frame: Frame | None = self
        while frame and frame.scope is not scope:
            frame = frame.outer
        return frame


def merge(several: Iterable[Values]) -> Values:
    """All the values, each once; only the first `MOST`, and unknown ones, of too many."""
    found: dict[Value, None] = {}
    for value in chain.from_iterable(several):
        found[value if getattr(value, "weight", 0) <= _HEAVIEST else Unknown()] = None
    if len(found) <= MOST:
        return tuple(found)
    return (*list(found)[:MOST], *UNKNOWN)


def plain(values: Values) -> list[Plain]:
    """The plain ones among `values`."""
    return [value.value for value in values if isinstance(value, Const)]


def texts(values: Values) -> list[str]:
    """The strings among `values`."""
    return [value for value in plain(values) if isinstance(value, str)]


def certain(values: Values) -> bool:
    """Whether it is surely one of `values`."""
    return bool(values) and not any(isinstance(value, Unknown) for value in values)


def variables(values: Values) -> frozenset[str]:
    """The environment variables that `values` were read from."""
    return frozenset(name for value in values if isinstance(value, Const | Unknown) for name in value.variables)


def elements(values: Values) -> Iterator[Values]:
    """What a loop over `values` meets, one after the other; unknown for what cannot be looped over."""
    for value in values:
        if isinstance(value, Sequence):
            yield from value.elements
        elif isinstance(value, Mapping):
            yield from (keys for keys, _ in value.items)
        elif not isinstance(value, Const) or isinstance(value.value, str):
            yield UNKNOWN


def truth(value: Value) -> bool | None:
    """Whether `value` is true where a condition stands; None if that cannot be told."""
    if isinstance(value, Const):
        return bool(value.value)
    if isinstance(value, Sequence):
        return bool(value.elements) or None
    if isinstance(value, Mapping):
        return bool(value.items) or None
    return True if isinstance(value, Defined | Object | Method | Local) else None
