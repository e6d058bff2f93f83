"""How tensors lie in their storages, told from the pickle of `torch.save` without running it.

A pickle is a program for a small machine, one of whose instructions calls any function there is. Here `pickletools`
reads the instructions, and a machine follows them that knows only things with parts: what a pickle would import is a
name to it, and what it would call is a thing whose parts are the arguments. Nothing that comes out is ever hashed,
compared or shown either: a tuple made of itself forty times over would make that last for years, which is why no
subclass of `pickle.Unpickler` does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spacerun.checkpoints.tensors import UNKNOWN, is_count, is_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# 25 of them make a tensor.
MOST_INSTRUCTIONS: Final = 1_000_000
_LONGEST_NAME: Final = 500
# torch/storage.py, `_dtype_to_storage_type_map`.
_OF_STORAGE: Final[Mapping[str, str]] = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8", "ByteStorage": "U8",
    "BoolStorage": "BOOL", "ComplexDoubleStorage": "C128", "ComplexFloatStorage": "C64",
    "QInt32Storage": "I32", "QInt8Storage": "I8", "QUInt8Storage": "U8",
}  # fmt: skip
# Types without a storage of their own (torch/_utils.py, `_rebuild_tensor_v3`).
_OF_DTYPE: Final[Mapping[str, str]] = {
    "uint16": "U16", "uint32": "U32", "uint64": "U64", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ", "float8_e8m0fnu": "F8_E8M0",
}  # fmt: skip
# torch/_utils.py and torch/_tensor.py: the functions that make a tensor of a storage, or of another such function.
_VIEWS: Final = frozenset({"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_qtensor"})
_TYPED_VIEW: Final = "_rebuild_tensor_v3"
_DTYPE_ARGUMENT: Final = 6
_SUBCLASSES: Final = frozenset({"_rebuild_from_type", "_rebuild_from_type_v2"})
_SUBCLASS_ARGUMENTS: Final = 4
_STORAGE_FIELDS: Final = 3


@dataclass(frozen=True)
class View:
    """A tensor as it lies in a storage.

    Attributes:
        dtype: In the spelling of safetensors; `?` where it is none of theirs.
        storage: Name of the storage.
        offset: Elements of the storage before its first.
        shape: Elements in each dimension.
    """

    dtype: str
    storage: str
    offset: int
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)


def views(pickle: bytes) -> list[tuple[str, View]]:
    """The tensors that a pickle would make, by their names: keys and attributes on the way there, joined by dots.

    Args:
        pickle: The content of `data.pkl`.

    Raises:
        ValueError: It is no pickle, or one of too many instructions.
    """
    from pickletools import genops

    machine = _Machine()
    try:
        for count, (opcode, argument, _) in enumerate(genops(pickle)):
            if count > MOST_INSTRUCTIONS:
                raise ValueError("too many instructions")
            machine.follow(opcode.name, argument)
        return _walk(machine.pop())
    except (IndexError, KeyError) as error:
        raise ValueError("an instruction takes what is not there") from error


@dataclass(frozen=True)
class _Name:
    """What a pickle would import."""

    path: str

    @property
    def last(self) -> str:
        return self.path.rpartition(".")[2]


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str


class _Thing:
    """A list, a dictionary, a set or an object: all that counts are its parts, by their names."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: list[tuple[str | None, Any]] = []

    def append(self, values: Iterable[Any]) -> _Thing:
        """Add parts with a number each."""
        self.parts.extend((str(number), value) for number, value in enumerate(values, len(self.parts)))
        return self

    def update(self, pairs: list[Any]) -> _Thing:
        """Add parts with a key each: keys and values in turn."""
        self.parts.extend((_label(key), value) for key, value in zip(pairs[::2], pairs[1::2], strict=False))
        return self

    def build(self, states: list[Any]) -> None:
        """Add parts without names of their own."""
        self.parts.extend((None, state) for state in states)


class _Machine:
    """Follows the instructions of a pickle (pickletools, `opcodes`), and makes nothing but things with parts."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memory: dict[int, Any] = {}

    def follow(self, name: str, argument: Any) -> None:  # noqa: ANN401
        """Follow one instruction; one that is not in the table is a constant."""
        step = _STEPS.get(name)
        if step:
            step(self, argument)
        else:
            self.push(argument)

    def push(self, value: Any) -> None:  # noqa: ANN401
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> Any:  # noqa: ANN401
        """Take the last value."""
        return self.stack.pop()

    def popped(self, count: int) -> list[Any]:
        """Take the last `count` values, in their order."""
        return [self.stack.pop() for _ in range(count)][::-1]

    def marked(self) -> list[Any]:
        """Take all values since the last mark."""
        at = self.marks.pop()
        values = self.stack[at:]
        del self.stack[at:]
        return values

    def drop(self) -> None:
        """Take the last value away, or the mark that lies on it."""
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def keep(self, place: int) -> None:
        """Remember the last value."""
        self.memory[place] = self.stack[-1]

    def filled(self, values: list[Any]) -> tuple[_Thing, list[Any]]:
        """The thing on the stack, below the values that were taken for it; what is no thing takes nothing in."""
        target = self.stack[-1]
        return (target if isinstance(target, _Thing) else _Thing()), values


# What each instruction does; one that is not here puts a constant on the stack.
_STEPS: Final[Mapping[str, Callable[[_Machine, Any], object]]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP", "READONLY_BUFFER"), lambda *_: None),
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "POP": lambda m, _: m.drop(),
    "POP_MARK": lambda m, _: m.marked(),
    "DUP": lambda m, _: m.push(m.stack[-1]),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda m, place: m.keep(place)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda m, place: m.push(m.memory[place])),
    "MEMOIZE": lambda m, _: m.keep(len(m.memory)),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "TUPLE1": lambda m, _: m.push(tuple(m.popped(1))),
    "TUPLE2": lambda m, _: m.push(tuple(m.popped(2))),
    "TUPLE3": lambda m, _: m.push(tuple(m.popped(3))),
    "TUPLE": lambda m, _: m.push(tuple(m.marked())),
    **dict.fromkeys(("EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"), lambda m, _: m.push(_Thing())),
    **dict.fromkeys(("LIST", "FROZENSET"), lambda m, _: m.push(_Thing().append(m.marked()))),
    "DICT": lambda m, _: m.push(_Thing().update(m.marked())),
    "APPEND": lambda m, _: _Thing.append(*m.filled(m.popped(1))),
    **dict.fromkeys(("APPENDS", "ADDITEMS"), lambda m, _: _Thing.append(*m.filled(m.marked()))),
    "SETITEM": lambda m, _: _Thing.update(*m.filled(m.popped(2))),
    "SETITEMS": lambda m, _: _Thing.update(*m.filled(m.marked())),
    "BUILD": lambda m, _: _Thing.build(*m.filled(m.popped(1))),
    "GLOBAL": lambda m, path: m.push(_Name(path.replace(" ", "."))),
    "STACK_GLOBAL": lambda m, _: m.push(_Name(".".join(map(_text, m.popped(2))))),
    "REDUCE": lambda m, _: m.push(_called(*m.popped(2))),
    "NEWOBJ": lambda m, _: m.push(_called(*m.popped(2))),
    "NEWOBJ_EX": lambda m, _: m.push(_called(*m.popped(3)[:2])),
    "INST": lambda m, _: m.push(_called(None, tuple(m.marked()))),
    "OBJ": lambda m, _: m.push(_called(None, tuple(m.marked()))),
    "PERSID": lambda m, _: m.push(None),
    "BINPERSID": lambda m, _: m.push(_storage(m.pop())),
}


def _called(function: Any, arguments: Any) -> Any:  # noqa: ANN401
    """A view, where the function makes one of a storage; else a thing that holds the arguments."""
    if isinstance(function, _Name) and isinstance(arguments, tuple):
        if function.last in _VIEWS and (view := _view(function.last, arguments)):
            return view
        if function.last in _SUBCLASSES and len(arguments) >= _SUBCLASS_ARGUMENTS:
            made, _, inner, state = arguments[:_SUBCLASS_ARGUMENTS]
            return _holding((_view(made.last, inner) if isinstance(made, _Name) else None, state))
    return _holding(arguments if isinstance(arguments, tuple) else (arguments,))


def _holding(values: tuple[Any, ...]) -> _Thing:
    """A thing with these parts, the first of which goes by its own name."""
    thing = _Thing()
    for number, value in enumerate(values):
        thing.parts.append((str(number) if number else None, value))
    return thing


def _view(function: str, arguments: Any) -> View | None:  # noqa: ANN401
    if not isinstance(arguments, tuple) or len(arguments) < _STORAGE_FIELDS:
        return None
    storage, offset, shape = arguments[:_STORAGE_FIELDS]
    if not (isinstance(storage, _Storage) and is_count(offset) and is_shape(shape)):
        return None
    dtype = storage.dtype
    if function == _TYPED_VIEW:
        given = arguments[_DTYPE_ARGUMENT] if len(arguments) > _DTYPE_ARGUMENT else None
        dtype = _OF_DTYPE.get(given.last, UNKNOWN) if isinstance(given, _Name) else UNKNOWN
    return View(dtype, storage.key, offset, shape)


def _storage(identity: Any) -> _Storage | None:  # noqa: ANN401
    """What the identity of a storage says: `("storage", torch.FloatStorage, "0", "cpu", 1000)`."""
    if not isinstance(identity, tuple) or len(identity) < _STORAGE_FIELDS:
        return None
    _, kind, key = identity[:_STORAGE_FIELDS]
    if not (isinstance(kind, _Name) and isinstance(key, str)):
        return None
    return _Storage(key, _OF_STORAGE.get(kind.last, UNKNOWN))


def _walk(root: Any) -> list[tuple[str, View]]:  # noqa: ANN401
    """All views within `root`, each thing on the way looked into once."""
    found: list[tuple[str, View]] = []
    seen: set[int] = set()
    pending: list[tuple[str, Any]] = [("", root)]
    while pending:
        name, value = pending.pop()
        if isinstance(value, View):
            found.append((name, value))
        elif isinstance(value, (_Thing, tuple)) and id(value) not in seen:
            seen.add(id(value))
            parts = value.parts if isinstance(value, _Thing) else [(str(n), part) for n, part in enumerate(value)]
            pending.extend((_joined(name, label), part) for label, part in reversed(parts))
    return found


def _joined(name: str, label: str | None) -> str:
    return f"{name}.{label}"[-_LONGEST_NAME:] if name and label is not None else label or name


def _label(key: Any) -> str | None:  # noqa: ANN401
    if isinstance(key, str):
        return key[-_LONGEST_NAME:]
    return str(key) if is_count(key) else None


def _text(value: Any) -> str:  # noqa: ANN401
    return value[-_LONGEST_NAME:] if isinstance(value, str) else ""
