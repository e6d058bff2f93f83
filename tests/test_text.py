"""A stranger's text on a user's terminal."""

from __future__ import annotations

import os
import time

import pytest

from spacerun.text import one_line, printable, size


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünï → 漢字 🦙\tx\n", "plain ünï → 漢字 🦙\tx\n"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq\x1b\\x", "qx"),
        ("a\x9b31mb", "a31mb"),
        ("bell\x07 back\x08 nul\x00 del\x7f", "bell back nul del"),
        ("progress 1%\rprogress 2%", "progress 1%progress 2%"),
        ("user\u202etxt.exe\u202c", "usertxt.exe"),
        ("\u2066a\u2069\u200b\u200f\ufeff\u061c", "a"),
        ("line\u2028separator\u2029", "lineseparator"),
        ("tag\U000e0041\U000e007f", "tag"),
        ("hf_abcdefghijklmnop and hf_short", "hf_*** and hf_short"),
        ("hf_abcd\u200befghijkl", "hf_***"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_name_that_is_not_utf8_can_be_printed() -> None:
    assert printable(os.fsdecode(b"caf\xe9.txt")).encode() == "caf\ufffd.txt".encode()


def test_one_line() -> None:
    assert one_line(" a\n\tb \r\n c ") == "a b c"
    assert one_line("x" * 300) == "x" * 199 + "…"
    assert one_line("x" * 10, 10) == "x" * 10
    assert one_line("x" * 11, 10) == "x" * 9 + "…"


def test_long_hostile_text_takes_no_time() -> None:
    began = time.perf_counter()
    for text in ("\x1b[" * 500_000, "\x1b]" + "x" * 1_000_000, "hf_" * 300_000, "\x1b" * 1_000_000):
        printable(text)
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1610612736, "1.5 GiB"),
        (5 << 40, "5.0 TiB"),
        (1 << 50, "1024.0 TiB"),
    ],
)
def test_size(count: int, shown: str) -> None:
    assert size(count) == shown
