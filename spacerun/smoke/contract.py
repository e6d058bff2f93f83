"""What users and Spaces ask of a smoke test: calls to make, and what must come back."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spacerun import toml
from spacerun.errors import UsageError
from spacerun.smoke.job import Call, Level
from spacerun.text import one_line, size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FILES: Final = ("spacerun.toml", "pyproject.toml")
"""Where a Space says what it asks for; the first that has the table counts."""

HTTP_CALL: Final = re.compile(r"(GET|POST) (/\S*)")
"""An endpoint that is a plain request, of whatever server: `GET /health`."""

_TABLE: Final = "tool.spacerun.smoke"
_PATTERN: Final = re.compile(r"/(.+)/", re.DOTALL)
_NAME: Final = re.compile(r"/?[^\s/][^\s]*|/")
_LARGEST: Final = 256 * 1024
_LONGEST_PATTERN: Final = 1000
_SEARCHED: Final = 100_000
_MOST_CALLS: Final = 100
_DEEPEST: Final = 100
_ALIKE: Final = 1e-6
_LEVELS: Final = ", ".join(level.word for level in Level)
_EXAMPLE: Final = """--call /predict --data '["Ada"]' --expect '"Hello, Ada!"'"""


@dataclass(frozen=True)
class Contract:
    """What a Space's own files ask for.

    Attributes:
        until: How far to go; None for no wish.
        require: How far it must come; None for no wish.
        calls: Calls to make.
        examples: Whether its own examples are called.
        call_seconds: How long one call may take, in seconds; None for no wish.
    """

    until: Level | None = None
    require: Level | None = None
    calls: tuple[Call, ...] = ()
    examples: bool = True
    call_seconds: float | None = None


def parse_calls(endpoints: Sequence[str], data: Sequence[str], expect: Sequence[str]) -> tuple[Call, ...]:
    """The calls of `--call ENDPOINT --data JSON --expect …`: the n-th of each belong together.

    Args:
        endpoints: What `--call` was given.
        data: What `--data` was given: one for each call, or none at all.
        expect: What `--expect` was given, likewise.

    Raises:
        UsageError: It is not clear what belongs to which call, or something is not as it should be.
    """
    for option, given in (("--data", data), ("--expect", expect)):
        if given and len(given) != len(endpoints):
            raise UsageError(
                f"There are {len(endpoints)} --call and {len(given)} {option}, so what belongs to which is not clear.",
                hint=f"Give one {option} with each --call, or none: {_EXAMPLE}",
            )
    calls = []
    for number, endpoint in enumerate(endpoints):
        sent = _json_of(data[number]) if data else None
        wanted = _expected(expect[number]) if expect else None
        call = Call(endpoint.strip(), sent, wanted, has_expect=bool(expect))
        if problem := _problem(call):
            raise UsageError(f"--call {one_line(endpoint, 80)}: {problem}", hint=f"Write it as {_EXAMPLE}")
        calls.append(call)
    return tuple(calls)


def _json_of(text: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        reason = f"{error.msg} at {where}: {one_line(text[error.pos : error.pos + 20]) or 'its end'}"
    except (ValueError, RecursionError) as error:
        reason = str(error)
    raise UsageError(
        f"--data {one_line(text, 60)} is not JSON: {reason}.",
        hint="""Quote it for the shell, and texts within: --data '["Ada", 3]'""",
    )


def _refuse(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}")


def _expected(text: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _problem(call: Call) -> str | None:
    """What is wrong with a call, as a clause; None where nothing is."""
    if "://" in call.endpoint or call.endpoint.split(" ")[-1].startswith("//"):
        return "only the app itself is called, not another host."
    request = HTTP_CALL.fullmatch(call.endpoint)
    if not request and not _NAME.fullmatch(call.endpoint):
        return "this is neither /NAME nor GET /PATH nor POST /PATH."
    if request and request[1] == "GET" and call.data is not None:
        return "a GET sends no data; take POST."
    return _pattern_problem(call.expect)


def _pattern_problem(expect: object) -> str | None:
    pattern = _PATTERN.fullmatch(expect) if isinstance(expect, str) else None
    if pattern is None:
        return None
    if len(pattern[1]) > _LONGEST_PATTERN:
        return f"its pattern is longer than {_LONGEST_PATTERN} characters."
    try:
        re.compile(pattern[1])
    except (re.error, RecursionError, OverflowError) as error:
        return f"its pattern is no regular expression: {one_line(str(error), 80)}."
    return None


def read_contract(directory: Path) -> Contract:
    """What the Space in `directory` asks for: `[tool.spacerun.smoke]` in `spacerun.toml`, else in `pyproject.toml`.

    Raises:
        UsageError: What it asks for cannot be understood; the message names the file and the key.
    """
    for name in FILES:
        text = _text(directory, name)
        if "spacerun" not in text:
            continue  # whatever else stands there is none of ours, however wrong it is
        try:
            content = toml.parse(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{name} is not TOML: {one_line(str(error), 120)}.") from error
        table: Any = content
        for key in _TABLE.split("."):
            table = table.get(key, {}) if isinstance(table, dict) else {}
        if table:
            return _contract(table, f"{name}: [{_TABLE}]")
    return Contract()


def _text(directory: Path, name: str) -> str:
    path = directory / name
    if not path.is_file():
        return ""
    if not path.resolve().is_relative_to(directory.resolve()):
        raise UsageError(f"{name} leads out of the Space's folder, so it is not read.")
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise UsageError(f"{name} is larger than {size(_LARGEST)}, so it is not read.")
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name} cannot be read: {one_line(str(error), 120)}.") from error


def _contract(value: object, where: str) -> Contract:
    given = _table(value, where, ("until", "require", "call_timeout", "examples", "calls"))
    calls = given.get("calls", [])
    if not isinstance(calls, list) or len(calls) > _MOST_CALLS:
        raise UsageError(f"{where}: calls must be at most {_MOST_CALLS} tables, [[{_TABLE}.calls]].")
    examples = given.get("examples", True)
    if not isinstance(examples, bool):
        raise UsageError(f"{where}: examples must be true or false.")
    return Contract(
        until=_level(given, "until", where),
        require=_level(given, "require", where),
        calls=tuple(parse_call(call, f"{where}: calls[{number}]") for number, call in enumerate(calls)),
        examples=examples,
        call_seconds=_seconds(given, "call_timeout", where),
    )


def _level(given: Mapping[str, Any], key: str, where: str) -> Level | None:
    if key not in given:
        return None
    try:
        return Level.of(given[key])
    except (KeyError, AttributeError):
        raise UsageError(f"{where}: {key} must be one of {_LEVELS}.") from None


def _seconds(given: Mapping[str, Any], key: str, where: str) -> float | None:
    value = given.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise UsageError(f"{where}: {key} must be a number of seconds above 0.")
    return float(value)


def parse_call(value: object, where: str) -> Call:
    """One call, written down as a table or a dictionary: `endpoint`, and if wanted `data` and `expect`.

    Args:
        value: The table.
        where: Where it stands, for what is said of it.

    Raises:
        UsageError: It is not as it should be.
    """
    given = _table(value, where, ("endpoint", "data", "expect"))
    endpoint = given.get("endpoint")
    if not isinstance(endpoint, str):
        raise UsageError(f"{where}: endpoint must be text, such as '/predict' or 'GET /health'.")
    for key in ("data", "expect"):
        try:  # TOML has dates, and numbers that are none
            json.dumps(given.get(key), allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise UsageError(f"{where}: {key} must be what JSON can hold.") from None
    call = Call(endpoint.strip(), given.get("data"), given.get("expect"), has_expect="expect" in given)
    if problem := _problem(call):
        raise UsageError(f"{where}: {problem}")
    return call


def _table(value: object, where: str, keys: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} must be a table with {', '.join(keys)}.")
    if unknown := next((key for key in value if key not in keys), None):
        raise UsageError(
            f"{where}: the key {one_line(repr(unknown), 60)} is not known.", hint=f"It may be {', '.join(keys)}."
        )
    return value


def judge(call: Call, output: Any) -> str | None:  # noqa: ANN401
    """Why what came back is not what was expected, as a phrase; None where it is.

    A pattern of the kind that takes forever is not found out: it is searched for in no more than 100 kB, which cannot
    hold it back, but the test is a process of its own whose time is limited, and which a signal ends meanwhile, for
    Python's `re` looks for signals as it goes.

    Args:
        call: What was expected.
        output: What came back: JSON, or text.
    """
    if not call.has_expect:
        return None
    pattern = _PATTERN.fullmatch(call.expect) if isinstance(call.expect, str) else None
    if pattern:
        text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
        if re.search(pattern[1], text[:_SEARCHED]):
            return None
        return f"{_told(output)} instead of something like {one_line(call.expect, 60)}"
    # A function with one output may be written down with or without a list around it.
    wrapped = isinstance(call.expect, list) and len(call.expect) == 1 and not isinstance(output, list)
    if _equal(call.expect, output) or (wrapped and _equal(call.expect[0], output)):
        return None
    return f"{_told(output)} instead of {_told(call.expect)}"


def _equal(one: Any, other: Any, depth: int = 0) -> bool:  # noqa: ANN401
    """Whether two values of JSON are the same; numbers with a fraction need only be close."""
    if depth > _DEEPEST or isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return one == other or math.isclose(one, other, rel_tol=_ALIKE)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other, [depth + 1] * len(one)))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key], depth + 1) for key in one)
    return bool(one == other)


def _told(value: Any) -> str:  # noqa: ANN401
    return one_line(json.dumps(value, ensure_ascii=False), 60)
