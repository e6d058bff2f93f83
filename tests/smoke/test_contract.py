"""What is asked of a smoke test on the command line and in a Space's own files, and what is made of an output."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from spacerun.errors import UsageError
from spacerun.smoke.contract import Contract, judge, parse_call, parse_calls, read_contract
from spacerun.smoke.job import Call, Level

if TYPE_CHECKING:
    from pathlib import Path


def test_calls_take_data_and_expectations_by_their_position() -> None:
    assert parse_calls(["/a", "/b"], ["[1]", '"x"'], ["2", "/^y/"]) == (
        Call("/a", [1], 2, has_expect=True),
        Call("/b", "x", "/^y/", has_expect=True),
    )


@pytest.mark.parametrize(
    ("endpoints", "data", "expect", "calls"),
    [
        ([], [], [], ()),
        (["/a"], [], [], (Call("/a"),)),
        (["/a", "GET /b?c=d"], [], [], (Call("/a"), Call("GET /b?c=d"))),
        (["/a", "/b"], ["1", "null"], [], (Call("/a", 1), Call("/b", None))),
        (["/a", "/b"], [], ["1", "2"], (Call("/a", None, 1, has_expect=True), Call("/b", None, 2, has_expect=True))),
        (["/a"], [], ["null"], (Call("/a", None, None, has_expect=True),)),
        (["/a"], [], ["some text"], (Call("/a", None, "some text", has_expect=True),)),
        (["/a"], [], ['"3"'], (Call("/a", None, "3", has_expect=True),)),
        (["/a"], [], ["NaN"], (Call("/a", None, "NaN", has_expect=True),)),
        (["POST /a"], ['{"b": [1.5]}'], [], (Call("POST /a", {"b": [1.5]}),)),
        (["3"], [], [], (Call("3"),)),
    ],
)
def test_what_is_left_out_is_left_out_for_every_call(
    endpoints: list[str], data: list[str], expect: list[str], calls: tuple[Call, ...]
) -> None:
    assert parse_calls(endpoints, data, expect) == calls


@pytest.mark.parametrize(
    ("endpoints", "data", "expect", "told"),
    [
        (["/a", "/b"], ["1"], [], "There are 2 --call and 1 --data"),
        (["/a"], ["1", "2"], [], "There are 1 --call and 2 --data"),
        ([], ["1"], [], "There are 0 --call and 1 --data"),
        (["/a", "/b"], [], ["1"], "There are 2 --call and 1 --expect"),
        (["/a"], ["[1, 'x']"], [], "--data [1, 'x'] is not JSON: Expecting value at column 5: 'x']"),
        (["/a"], ["Ada"], [], "--data Ada is not JSON: Expecting value at column 1: Ada"),
        (["/a"], ["[1,\n2"], [], "at line 2, column 2: its end"),
        (["/a"], ["[NaN]"], [], "JSON has no NaN"),
        (["http://example.com/a"], [], [], "not another host"),
        (["GET http://example.com/a"], [], [], "not another host"),
        (["//example.com/a"], [], [], "not another host"),
        (["POST //example.com/a"], [], [], "not another host"),
        (["DELETE /a"], [], [], "neither /NAME nor GET /PATH nor POST /PATH"),
        (["GET a"], [], [], "neither /NAME nor GET /PATH nor POST /PATH"),
        (["/a b"], [], [], "neither /NAME nor GET /PATH nor POST /PATH"),
        (["GET /a\r\nHost: x"], [], [], "neither /NAME nor GET /PATH nor POST /PATH"),
        ([""], [], [], "neither /NAME nor GET /PATH nor POST /PATH"),
        (["GET /a"], ["1"], [], "a GET sends no data; take POST"),
        (["/a"], [], ["/(/"], "its pattern is no regular expression"),
        (["/a"], [], [f"/{'a' * 1001}/"], "its pattern is longer than 1000 characters"),
    ],
)
def test_what_is_not_clear_is_told_before_anything_is_launched(
    endpoints: list[str], data: list[str], expect: list[str], told: str
) -> None:
    with pytest.raises(UsageError) as error:
        parse_calls(endpoints, data, expect)
    assert told in error.value.message
    assert "--" in (error.value.hint or "")


def call(expect: Any) -> Call:
    return Call("/a", [], expect, has_expect=True)


@pytest.mark.parametrize(
    ("expect", "output"),
    [
        ("Hello", "Hello"),
        (1, 1),
        (1, 1.0),
        (0.3, 0.1 + 0.2),
        (1e9, 1e9 + 1),
        ([1.0000001, {"a": 2.0}], [1, {"a": 2.0000001}]),
        (None, None),
        ({"a": [True, None]}, {"a": [True, None]}),
        (["Hello"], "Hello"),
        ([1], 1),
        ([[1]], [[1]]),
        ("/ell/", "Hello"),
        ("/^Hello, (Ada|Grace)!$/", "Hello, Grace!"),
        (r"/\"n\": 3/", {"n": 3}),
        ("/Grüße/", ["Grüße"]),
        ("//", "//"),
    ],
)
def test_what_is_expected(expect: Any, output: Any) -> None:
    assert judge(call(expect), output) is None


@pytest.mark.parametrize(
    ("expect", "output", "told"),
    [
        ("Hello", "Hell", '"Hell" instead of "Hello"'),
        ("3", 3, '3 instead of "3"'),
        (1, True, "true instead of 1"),
        (1, 1.00001, "1.00001 instead of 1"),
        (0.0, 1e-9, "1e-09 instead of 0.0"),
        (None, "", '"" instead of null'),
        (None, False, "false instead of null"),
        ([1, 2], [1], "[1] instead of [1, 2]"),
        ([1], [[1]], "[[1]] instead of [1]"),
        ({"a": 1}, {"a": 1, "b": 2}, '{"a": 1, "b": 2} instead of {"a": 1}'),
        ("/^ell/", "Hello", '"Hello" instead of something like /^ell/'),
    ],
)
def test_what_is_not_expected(expect: Any, output: Any, told: str) -> None:
    assert judge(call(expect), output) == told


def test_without_an_expectation_anything_will_do() -> None:
    assert judge(Call("/a"), {"what": "ever"}) is None


def test_what_is_nested_beyond_measure_equals_nothing() -> None:
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    assert judge(call(deep), [deep]) is not None


def test_a_pattern_without_end_is_ended_by_a_signal() -> None:
    code = "from spacerun.smoke.contract import judge; from spacerun.smoke.job import Call; import signal;"
    code += "signal.setitimer(signal.ITIMER_REAL, 0.2); judge(Call('/a', None, '/(a+)+$/', True), 'a' * 60 + 'b')"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], timeout=20, check=False)
    assert done.returncode < 0
    assert time.monotonic() - began < 10


FULL = """
[tool.spacerun.smoke]
until = "start"
require = "imports"
call_timeout = 2.5
examples = false

[[tool.spacerun.smoke.calls]]
endpoint = "/split"
data = [10, 4]
expect = "2.50 each"

[[tool.spacerun.smoke.calls]]
endpoint = "GET /health"
"""
WHOLE = Contract(
    until=Level.START,
    require=Level.IMPORTS,
    calls=(Call("/split", [10, 4], "2.50 each", has_expect=True), Call("GET /health")),
    examples=False,
    call_seconds=2.5,
)


@pytest.mark.parametrize("name", ["spacerun.toml", "pyproject.toml"])
def test_a_space_asks_in_either_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FULL)
    assert read_contract(tmp_path) == WHOLE


def test_spacerun_toml_counts_where_both_ask(tmp_path: Path) -> None:
    (tmp_path / "spacerun.toml").write_text("[tool.spacerun.smoke]\nuntil = 'plan'\n")
    (tmp_path / "pyproject.toml").write_text(FULL)
    assert read_contract(tmp_path) == Contract(until=Level.PLAN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[project]\nname = 'x'\n",
        "[tool.spacerun]\n",
        "this is [ not TOML",  # and none of ours
        "tool = 3 # spacerun",
        "[" * 50_000,
    ],
)
def test_a_file_that_asks_nothing_is_none_of_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert read_contract(tmp_path) == Contract()


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("untill = 'plan'", "spacerun.toml: [tool.spacerun.smoke]: the key 'untill' is not known."),
        ("until = 'moon'", "until must be one of plan, environment, imports, start, calls."),
        ("until = 3", "until must be one of"),
        ("require = ['plan']", "require must be one of"),
        ("call_timeout = '10m'", "call_timeout must be a number of seconds above 0."),
        ("call_timeout = 0", "call_timeout must be a number of seconds above 0."),
        ("call_timeout = true", "call_timeout must be a number of seconds above 0."),
        ("call_timeout = inf", "call_timeout must be a number of seconds above 0."),
        ("call_timeout = nan", "call_timeout must be a number of seconds above 0."),
        ("examples = 1", "examples must be true or false."),
        ("calls = 'all'", "calls must be at most 100 tables"),
        ("calls = [1]", "[tool.spacerun.smoke]: calls[0] must be a table with endpoint, data, expect."),
        ("calls = [{endpoint = '/a'}, {data = 1}]", "calls[1]: endpoint must be text"),
        ("calls = [{endpoint = '/a', timeout = 1}]", "calls[0]: the key 'timeout' is not known."),
        ("calls = [{endpoint = '/a', data = [2026-01-01]}]", "calls[0]: data must be what JSON can hold."),
        ("calls = [{endpoint = '/a', expect = nan}]", "calls[0]: expect must be what JSON can hold."),
        ("calls = [{endpoint = 'https://example.com/'}]", "calls[0]: only the app itself is called"),
        ("calls = [{endpoint = '/a', expect = '/[/'}]", "calls[0]: its pattern is no regular expression"),
        (f"calls = [{', '.join(['{endpoint = 1}'] * 101)}]", "calls must be at most 100 tables"),
        ("until = ", "spacerun.toml is not TOML: "),
        (f"x = {'[' * 5000}", "spacerun.toml is not TOML: "),
    ],
)
def test_what_cannot_be_understood_is_told_with_its_file_and_key(tmp_path: Path, table: str, told: str) -> None:
    (tmp_path / "spacerun.toml").write_text(f"[tool.spacerun.smoke]\n{table}\n")
    with pytest.raises(UsageError) as error:
        read_contract(tmp_path)
    assert told in error.value.message
    assert error.value.message.startswith("spacerun.toml")


def test_a_file_outside_of_the_space_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "space").mkdir()
    (tmp_path / "secret.toml").write_text(FULL)
    (tmp_path / "space" / "pyproject.toml").symlink_to(tmp_path / "secret.toml")
    with pytest.raises(UsageError, match=r"pyproject\.toml leads out of the Space's folder"):
        read_contract(tmp_path / "space")


def test_a_link_within_the_space_is_read(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "smoke.toml").write_text(FULL)
    (tmp_path / "spacerun.toml").symlink_to(tmp_path / "conf" / "smoke.toml")
    assert read_contract(tmp_path) == WHOLE


def test_what_is_no_file_of_moderate_size_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").mkdir()
    assert read_contract(tmp_path) == Contract()
    (tmp_path / "spacerun.toml").write_text("#" * 300_000)
    with pytest.raises(UsageError, match=r"spacerun\.toml is larger than 256\.0 KiB"):
        read_contract(tmp_path)
    (tmp_path / "spacerun.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"spacerun\.toml cannot be read"):
        read_contract(tmp_path)


def test_a_call_of_the_library_is_read_like_one_of_a_file() -> None:
    assert parse_call({"endpoint": "/a", "expect": None}, "calls") == Call("/a", None, None, has_expect=True)
    with pytest.raises(UsageError, match="calls: data must be what JSON can hold"):
        parse_call({"endpoint": "/a", "data": math.inf}, "calls")
    with pytest.raises(UsageError, match="calls must be a table"):
        parse_call("/a", "calls")
