"""What is read from the log of an app that was tested."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from spacerun.app.log import AppLog
from spacerun.smoke.logs import check_log, failures
from tests.smoke.subjects import subject

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.smoke.result import Check


def check(folder: Path, text: str, *, before: str = "", sdk: str = "gradio") -> Check:
    log = folder / "app.log"
    log.write_text(before + text)
    return check_log(subject(sdk=sdk, directory=folder, log=log, log_start=len(before)))


def traceback(code: str) -> str:
    """What this Python writes of an exception."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


PLAIN = traceback("{}['Atlantis']")
CHAINED = traceback("try:\n    {}['a']\nexcept KeyError as error:\n    raise ValueError('no\\nsecond line') from error")
HANDLING = traceback("try:\n    {}['a']\nexcept KeyError:\n    1 / 0")
RESET = traceback("raise ConnectionResetError(104, 'Connection reset by peer')")
GROUP = """\
ERROR:    Exception in ASGI application
  + Exception Group Traceback (most recent call last):
  |   File "/venv/lib/python3.11/site-packages/starlette/_utils.py", line 87, in collapse_excgroups
  |     yield
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/venv/lib/python3.11/site-packages/starlette/requests.py", line 238, in stream
    |     raise ClientDisconnect()
    | {inner}
    +------------------------------------
"""
BOX = """\
╭───── Traceback (most recent call last) ─────╮
│ /app/app.py:3 in <module>                   │
╰─────────────────────────────────────────────╯
ValueError: boxed
"""
THREADS = """\
Traceback (most recent call last):
INFO: other
  File "a.py", line 1, in <module>
INFO:     GET /
    f()
lib.errors.Odd
"""


def test_a_log_without_a_traceback(tmp_path: Path) -> None:
    found = check(tmp_path, "INFO: ready\nRunning on http://127.0.0.1:7860\n", before=PLAIN)
    assert (found.name, found.ok, found.detail) == ("log", True, "no traceback")


def test_tracebacks_are_counted_by_their_last_line(tmp_path: Path) -> None:
    found = check(tmp_path, PLAIN + "INFO: fine\n" + HANDLING + PLAIN)
    assert (found.ok, found.detail) == (False, "KeyError: 'Atlantis' (2 times); ZeroDivisionError: division by zero")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (PLAIN, ("KeyError: 'Atlantis'",)),
        (CHAINED, ("KeyError: 'a'", "ValueError: no")),
        (HANDLING, ("KeyError: 'a'", "ZeroDivisionError: division by zero")),
        ("12:00 ERROR app Traceback (most recent call last):\n" + PLAIN.partition("\n")[2], ("KeyError: 'Atlantis'",)),
        (GROUP.format(inner="KeyError: 'x'"),
         ("ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)", "KeyError: 'x'")),
        (THREADS, ("lib.errors.Odd",)),
        ("".join(f"web  | {line}\n" for line in PLAIN.splitlines()), ("KeyError: 'Atlantis'",)),
        ("50%|##  |\rTraceback (most recent call last):\n" + PLAIN.partition("\n")[2], ("KeyError: 'Atlantis'",)),
        (BOX, ("ValueError: boxed",)),
    ],
    ids=["plain", "cause", "context", "prefix", "group", "threads", "every line", "progress", "rich"],
)  # fmt: skip
def test_a_traceback_is_read_to_its_end(text: str, lines: tuple[str, ...]) -> None:
    (found,) = failures(text.splitlines())
    assert found.lines == lines


def test_real_groups_are_one_failure_each() -> None:
    if sys.version_info < (3, 11):
        pytest.skip("ExceptionGroup came with Python 3.11")
    code = "raise ExceptionGroup('both', [KeyError('a'), ExceptionGroup('in', [OSError('b')])])"
    found = failures((traceback(code) + traceback(code)).splitlines())
    assert [failure.lines[0] for failure in found] == ["ExceptionGroup: both (2 sub-exceptions)"] * 2
    assert [failure.line for failure in found] == ["OSError: b"] * 2


@pytest.mark.parametrize(
    "text",
    [
        "the model says: Traceback (most recent call last): is what Python writes\nResult: 5\n",
        "Traceback (most recent call last):\nResult: 5\n",
        "{'error': 'Traceback (most recent call last):\\n  File \"a.py\"'}\nResult: 5\n",
    ],
)
def test_talk_of_a_traceback_is_none(text: str) -> None:
    assert failures(text.splitlines()) == []


def test_exceptions_of_visitors_who_left_are_said_and_do_not_count(tmp_path: Path) -> None:
    left = GROUP.format(inner="starlette.requests.ClientDisconnect")
    waiting = traceback("try:\n    raise type('EndOfStream', (Exception,), {'__module__': 'anyio'})\n"
                        "except Exception:\n    raise RuntimeError('No response returned.')")  # fmt: skip
    found = check(tmp_path, RESET + left + waiting)
    assert found.ok
    assert found.detail == (
        "no traceback but of visitors who left: ConnectionResetError: [Errno 104] Connection reset by peer; "
        "RuntimeError: No response returned.; starlette.requests.ClientDisconnect"
    )


def test_an_error_of_the_app_beside_one_of_a_visitor_counts(tmp_path: Path) -> None:
    assert check(tmp_path, RESET + PLAIN).detail == "KeyError: 'Atlantis'"
    wrapped = traceback("try:\n    raise ConnectionResetError\nexcept OSError:\n    raise ValueError('from the Hub')")
    assert check(tmp_path, wrapped).detail == "ValueError: from the Hub"
    assert not check(tmp_path, traceback("raise RuntimeError('No response returned.')")).ok


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n",
         "panic: runtime error: index out of range [5] with length 3"),
        ("2024/01/01 http: panic serving 127.0.0.1:5000: boom\ngoroutine 7 [running]:\n",
         "2024/01/01 http: panic serving 127.0.0.1:5000: boom"),
        ("thread 'main' panicked at src/main.rs:2:5:\nboom\n", "thread 'main' panicked at src/main.rs:2:5:"),
        ("(node:1) UnhandledPromiseRejectionWarning: Oh: x\n", "(node:1) UnhandledPromiseRejectionWarning: Oh: x"),
        ('Exception in thread "main" java.lang.Error: x\n', 'Exception in thread "main" java.lang.Error: x'),
        ("Unhandled exception. System.Exception: x\n", "Unhandled exception. System.Exception: x"),
    ],
)  # fmt: skip
def test_panics_of_other_languages_count_in_containers(tmp_path: Path, text: str, line: str) -> None:
    found = check(tmp_path, text, sdk="docker")
    assert (found.ok, found.detail) == (False, line)
    assert check(tmp_path, text, sdk="gradio").ok


def test_a_panic_that_is_only_named_is_none(tmp_path: Path) -> None:
    assert check(tmp_path, "panic: at the disco\nplaying\n", sdk="docker").ok


def test_colours_and_hostile_text_stay_out_of_the_detail(tmp_path: Path) -> None:
    text = PLAIN.replace("KeyError", "\x1b[1;35mKeyError\x1b[0m").replace("Atlantis", "\u202ehf_abcdefgh12345")
    assert check(tmp_path, text).detail == "KeyError: 'hf_***'"


def test_what_was_written_before_a_rotation_is_found(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    log = AppLog(path, lambda _: None, file_bytes=10_000)
    log.feed(b"x" * 2000 + b"\n" + PLAIN.encode())
    app = subject(directory=tmp_path, log=path, log_start=path.stat().st_size, log_inode=path.stat().st_ino)
    log.feed(CHAINED.encode())
    log.feed(b"x" * 9000 + b"\n")
    assert (tmp_path / "app.log.1").is_file()
    assert path.stat().st_size > app.log_start
    assert check_log(app).detail == "ValueError: no"
    log.feed(HANDLING.encode())
    log.close()
    assert check_log(app).detail == "ValueError: no; ZeroDivisionError: division by zero"


def test_a_rotation_shows_by_the_size_where_the_inode_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "app.log.1").write_text("x" * 500 + "\n" + PLAIN)
    (tmp_path / "app.log").write_text("INFO: new\n")
    app = subject(directory=tmp_path, log=tmp_path / "app.log", log_start=400)
    assert check_log(app).detail == "KeyError: 'Atlantis'"


def test_after_two_rotations_all_that_is_left_is_read(tmp_path: Path) -> None:
    (tmp_path / "app.log.1").write_text(PLAIN)
    (tmp_path / "app.log").write_text(HANDLING)
    app = subject(directory=tmp_path, log=tmp_path / "app.log", log_start=10_000, log_inode=1)
    assert check_log(app).detail == "KeyError: 'Atlantis'; ZeroDivisionError: division by zero"


def test_a_log_that_is_not_there_has_no_traceback(tmp_path: Path) -> None:
    assert check_log(subject(directory=tmp_path)).ok
