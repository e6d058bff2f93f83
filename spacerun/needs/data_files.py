"""Data that the code reads from files of the Space: JSON, YAML, TOML."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from spacerun import toml
from spacerun.needs.values import MOST, UNKNOWN, Const, Mapping, Member, Sequence, Values, merge, texts
from spacerun.source.literals import within_space

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeGuard

    from spacerun.needs.flow import Flow
    from spacerun.needs.values import Frame, Value
    from spacerun.source.scopes import Use

_LARGEST: Final = 256 * 1024
_DEEPEST: Final = 12


def read_json(flow: Flow, use: Use, frame: Frame | None) -> Values:
    """`json.load(open(path))`."""
    return _read(flow, use, frame, json.loads)


def read_yaml(flow: Flow, use: Use, frame: Frame | None) -> Values:
    """`yaml.safe_load(open(path))`."""
    return _read(flow, use, frame, _yaml)


def read_toml(flow: Flow, use: Use, frame: Frame | None) -> Values:
    """`tomllib.load(open(path))`."""
    return _read(flow, use, frame, toml.parse)


def _yaml(text: str) -> Any:  # noqa: ANN401 - whatever the file holds
    import yaml

    # An alias can blow a few lines up to gigabytes.
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
        raise ValueError("aliases")
    return yaml.safe_load(text)


def _read(flow: Flow, use: Use, frame: Frame | None, parse: Callable[[str], Any]) -> Values:
    given = flow.arguments(use, frame, at=0) or ()
    # `json.load(open(path))`, and `json.loads(open(path).read())`
    paths = texts(tuple(value.of if is_content(value) else value for value in given))
    found = []
    for text in paths:
        path = within_space(text)
        raw = flow.setting.read(path) if path else None
        if raw is None or len(raw) > _LARGEST:
            continue
        try:
            found.append(_values(parse(raw.decode()), 0))
        except Exception:  # noqa: BLE001, S112 - a stranger's file may hold anything
            continue
    return merge(found) or UNKNOWN


def is_content(value: Value) -> TypeGuard[Member]:
    """Whether `value` is what is read from a file of the Space."""
    return isinstance(value, Member) and value.name in {"read", "read_text"} and isinstance(value.of, Const)


def _values(data: Any, depth: int) -> Values:  # noqa: ANN401 - whatever the file holds
    if depth > _DEEPEST:
        return UNKNOWN
    if isinstance(data, dict):
        items = [((Const(str(key)),), _values(value, depth + 1)) for key, value in list(data.items())[: MOST * 4]]
        return (Mapping(tuple(items)),)
    if isinstance(data, list):
        return (Sequence(tuple(_values(value, depth + 1) for value in data[: MOST * 4])),)
    return (Const(data),) if isinstance(data, str | int | float | bool | None) else UNKNOWN
