"""The log: what listeners get, and what is read back."""

from __future__ import annotations

import threading
import time

import pytest

from spacerun.app import log as app_log
from spacerun.app.log import AppLog, follow, last_lines


@pytest.fixture
def lines():
    return []


def test_lines_are_put_together_from_pieces(tmp_path, lines):
    log = AppLog(tmp_path / "app.log", lines.append)
    for piece in (b"on", b"e\ntwo\n\nthr\xc3", b"\xa4e", b"\r\n"):
        log.feed(piece)
    assert lines == ["one", "two", "", "thräe"]
    assert (tmp_path / "app.log").read_bytes() == b"one\ntwo\n\nthr\xc3\xa4e\r\n"
    assert log.tail(2) == ["two", "thräe"]


def test_a_progress_bar_is_shown_now_and_then_and_at_its_end(tmp_path, lines, monkeypatch):
    log = AppLog(tmp_path / "app.log", lines.append)
    monkeypatch.setattr(app_log, "_REDRAW_SECONDS", 0.2)
    for percent in range(100):
        log.feed(b"\r%d%%" % percent)
        time.sleep(0.01)
    log.feed(b"\r100%\nnext\n")
    assert lines[-2:] == ["100%", "next"]
    assert 3 <= len(lines) <= 9
    assert all(line.endswith("%") and "\r" not in line for line in lines[:-1])


def test_a_line_without_an_end_is_cut_into_pieces(tmp_path, lines):
    log = AppLog(tmp_path / "app.log", lines.append)
    for _ in range(100):
        log.feed(b"x" * 1000)
    log.feed(b"\n")
    assert "".join(lines) == "x" * 100_000
    assert max(map(len, lines)) == 16 * 2**10


def test_a_full_disk_does_not_stop_the_reading(tmp_path, lines):
    log = AppLog(tmp_path / "app.log", lines.append)
    log._stream.close()
    log._stream = open("/dev/full", "ab", buffering=0)  # noqa: SIM115, PTH123
    log.feed(b"one\n")
    log.feed(b"two\n")
    assert lines == ["one", "two"]


def test_the_last_lines_reach_into_the_file_before(tmp_path):
    log = AppLog(tmp_path / "app.log", lambda _: None, file_bytes=5000)
    for number in range(1000):
        log.feed(b"line %d\n" % number)
    assert (tmp_path / "app.log").stat().st_size <= 5000
    assert (tmp_path / "app.log.1").stat().st_size <= 5000
    have = len((tmp_path / "app.log").read_text().splitlines())
    assert last_lines(tmp_path / "app.log", have + 10) == [f"line {n}" for n in range(990 - have, 1000)]
    assert last_lines(tmp_path / "app.log", 0) == []
    assert last_lines(tmp_path / "missing.log", 5) == []


def test_following_goes_on_across_a_rotation(tmp_path):
    log = AppLog(tmp_path / "app.log", lambda _: None, file_bytes=2000)
    log.feed(b"before\n")
    got, over = [], threading.Event()
    reader = threading.Thread(target=lambda: got.extend(follow(tmp_path / "app.log", 7, over.is_set)))
    reader.start()
    for number in range(300):
        log.feed(b"line %d\n" % number)
        time.sleep(0.005)
    log.feed(b"end")
    over.set()
    reader.join(10)
    assert got == [*(f"line {number}" for number in range(300)), "end"]
    assert (tmp_path / "app.log.1").exists()
