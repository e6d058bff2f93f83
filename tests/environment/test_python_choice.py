"""Which Python: what the card says, else what the Space's files and pins leave."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from spacerun.environment import python_choice, python_syntax
from spacerun.environment.python import find_installed
from spacerun.environment.python_choice import Hints, Published, PythonChoice, choose_python, published

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command import Command
    from tests.environment.conftest import Index

NESTED_QUOTES = b"""name = {"a": 1}\nprint(f"{name["a"]}")\n"""
BACKSLASH = b"""print(f"{'\\n'.join(['a'])}")\n"""


def choose(root: Path, card: str | None = None, gradio: str | None = "4.44.0", **changes: object) -> PythonChoice:
    return choose_python(root, card=card, override=None, gradio=gradio, hints=Hints(**changes))  # type: ignore[arg-type]


def files(*names: str, requires: str | None = None) -> list[tuple[str, str | None]]:
    return [(name, requires) for name in names]


def wheels(name: str, version: str, *tags: str) -> list[tuple[str, str | None]]:
    return files(*(f"{name}-{version}-{tag}-{tag}-manylinux2014_x86_64.whl" for tag in tags))


@pytest.fixture(autouse=True)
def _on_x86_64(monkeypatch: pytest.MonkeyPatch) -> None:
    import re

    monkeypatch.setattr(python_choice, "_PLATFORM", re.compile("any|.*x86_64"))
    python_choice._fitting.cache_clear()


def test_without_a_reason_it_is_3_10_as_on_hugging_face(space: Path) -> None:
    choice = choose(space)
    assert (choice.version, choice.required, choice.why) == ("3.10", False, "the default")


@pytest.mark.parametrize(
    ("gradio", "never"),
    [("2.9.4", "3.12"), ("3.50.2", "3.12"), ("4.44.0", "3.13"), ("5.0.0", "3.13"), ("5.49.1", "3.9"), ("3.36", "3.7")],
)
def test_a_python_that_gradio_does_not_import_on_is_never_fallen_back_to(space: Path, gradio: str, never: str) -> None:
    choice = choose(space, gradio=gradio)
    assert choice.version == "3.10"
    assert never not in choice.fallbacks
    assert "3.11" in choice.fallbacks


def test_an_unknown_gradio_is_the_newest(space: Path) -> None:
    assert choose(space, gradio=None).fallbacks == ("3.11", "3.12", "3.13", "3.14")


def test_the_cards_python_wins_over_every_other_reason_and_stays_text(space: Path) -> None:
    (space / "fast.cpython-39-x86_64-linux-gnu.so").touch()
    choice = choose(space, "3.10", pinned={"old==1": published(wheels("old", "1", "cp38"))})
    assert choice == PythonChoice("3.10", required=True, why="python_version in README.md")


def test_an_extension_built_for_another_python_decides(space: Path) -> None:
    (space / "lib").mkdir()
    (space / "lib/fast.cpython-39-x86_64-linux-gnu.so").touch()
    (space / "lib/win.cp38-win_amd64.pyd").touch()
    choice = choose(space)
    assert choice.version == "3.9"
    assert choice.fallbacks == ()
    assert choice.why == "fast.cpython-39-x86_64-linux-gnu.so is built for Python 3.9"


def test_extensions_for_several_pythons_leave_the_default(space: Path) -> None:
    for minor in (39, 310):
        (space / f"fast.cpython-{minor}-x86_64-linux-gnu.so").touch()
    assert choose(space).version == "3.10"


@pytest.mark.parametrize(
    ("listed", "version"),
    [
        (wheels("torch", "1.8.0", "cp36", "cp37", "cp38", "cp39"), "3.9"),
        (wheels("new", "1", "cp312", "cp313"), "3.12"),
        (files("new-1-py3-none-any.whl", "new-1.tar.gz", requires=">=3.11"), "3.11"),
        (files("new-1-cp311-abi3-manylinux2014_x86_64.whl"), "3.11"),
        (wheels("old", "1", "cp38", "cp39") + files("old-1.tar.gz"), "3.9"),
        # A source distribution without any binary wheel beside it builds anywhere.
        (files("pure-1.tar.gz"), "3.10"),
        (wheels("x", "1", "cp39", "cp310"), "3.10"),
        (files("x-1-cp38-abi3-manylinux2014_x86_64.whl"), "3.10"),
        (files("x-1-py2.py3-none-any.whl"), "3.10"),
        # What is not for this machine does not count.
        (files("x-1-cp310-cp310-win_amd64.whl", "x-1-cp39-cp39-manylinux2014_x86_64.whl"), "3.9"),
    ],
)
def test_a_pin_without_a_wheel_for_the_default_decides(
    space: Path, listed: list[tuple[str, str | None]], version: str
) -> None:
    choice = choose(space, pinned={"a-pin==1": published(listed)})
    assert choice.version == version
    assert ("a-pin==1" in choice.why) == (version != "3.10")


def test_a_contradiction_among_pins_keeps_what_counts_more(space: Path) -> None:
    choice = choose(
        space, gradio="5.49.1", pinned={"old==1": Published(frozenset({9})), "new==1": Published(frozenset({12}))}
    )
    assert choice.version == "3.12", "Gradio 5 does not run on 3.9, so that pin cannot be had"


@pytest.mark.parametrize("source", [NESTED_QUOTES, BACKSLASH])
def test_source_of_python_3_12_is_seen_from_the_file_that_the_app_imports(space: Path, source: bytes) -> None:
    (space / "app.py").write_bytes(b"from tools import texts\n")
    (space / "tools").mkdir()
    (space / "tools/texts.py").write_bytes(source)
    choice = choose(space, entry="app.py")
    assert choice.version == "3.12"
    assert choice.why.startswith("tools/texts.py is not Python 3.10 but Python 3.12")


def test_source_that_nobody_imports_or_nobody_can_read_says_nothing(space: Path) -> None:
    (space / "app.py").write_bytes(b"import broken\nprint 1")
    (space / "broken.py").write_bytes(b"print 1")
    (space / "unused.py").write_bytes(NESTED_QUOTES)
    assert choose(space, entry="app.py").version == "3.10"


def test_fstrings_that_every_python_reads_leave_the_default(space: Path) -> None:
    source = b"""a = {'k': 1}\nprint(f"{a['k']!r:>{10}} {{}} \\n", f'''{a["k"]\n}''', f"{f'{a}'}")\n"""
    (space / "app.py").write_bytes(source)
    assert choose(space, entry="app.py").why == "the default"


def test_pins_are_looked_up_on_the_index_that_uv_uses(index: Index, space: Path, command: Command) -> None:
    index.wheel("fresh", "1.0")
    index.requires_python["fresh-1.0-py3-none-any.whl"] = ">=3.11"
    (space / "README.md").write_text("---\nsdk: gradio\nsdk_version: 4.44.0\n---\n")
    (space / "app.py").write_text("import gradio as gr\ngr.Interface(str, 'text', 'text').launch()\n")
    (space / "requirements.txt").write_text("fresh==1.0\n")
    done = command.run("plan", str(space), "--json")
    assert done.code == 0, done.err
    data = done.document["data"]
    assert (data["python"], data["python_why"]) == ("3.11", "fresh==1.0 is published for no Python 3.10")
    assert "Python       3.11 (fresh==1.0 is published" in command.run("plan", str(space), COLUMNS="200").out


def test_the_common_case_asks_no_other_python(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "run", forbidden)
    monkeypatch.setattr(subprocess, "Popen", forbidden)
    (space / "app.py").write_bytes(b"import gradio\nmatch 1:\n    case 1: print(f'{1}')\n")
    assert choose(space, entry="app.py").version == "3.10"


def test_other_pythons_parse_isolated_and_run_nothing(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "executed"
    touch = f"open({str(marker)!r}, 'w')\n".encode()
    (space / "app.py").write_bytes(touch + NESTED_QUOTES)
    for name in ("ast.py", "sitecustomize.py"):
        (space / name).write_bytes(touch)
    monkeypatch.chdir(space)
    other = next(
        (minor for minor in (12, 13, 14) if minor != sys.version_info.minor and find_installed(f"3.{minor}")), 0
    )
    if not other:
        pytest.skip("no second Python of 3.12 or later is installed")
    asked: list[list[str]] = []
    run = subprocess.run

    def watched(command: list[str | Path], **options: Any) -> object:
        asked.append([str(part) for part in command])
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", watched)
    parses = python_syntax.minors_that_parse(space, "app.py", (10, other))
    assert parses == python_syntax.Parses("app.py", frozenset({other}))
    assert [command[1] for command in asked if "ast.parse" in command[3]] == ["-I"]
    assert not marker.exists()


def test_a_wheel_with_tags_that_mean_nothing_is_passed_over() -> None:
    names = ["odd-1.0-py3--any.whl", "odd-1.0-cp311.-cp311-any.whl", "odd-1.0-py3-none-any.whl"]
    assert published((name, None) for name in names) == published([("odd-1.0-py3-none-any.whl", None)])


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2021-07-20", "3.9"), ("2021-12-31", "3.9"), ("2022-01-01", "3.10"), ("2026-05-01", "3.10"), (None, "3.10")],
)
def test_a_python_that_had_no_wheels_on_the_day_is_not_taken(space: Path, day: str | None, expected: str) -> None:
    choice = choose_python(space, card=None, override=None, gradio="", day=day)
    assert choice.version == expected
    assert choice.why == ("the default" if expected == "3.10" else f"Python 3.10 was too new on {day}")
    assert choose_python(space, card="3.10", override=None, gradio="", day=day).version == "3.10"
