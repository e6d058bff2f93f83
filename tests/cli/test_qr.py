"""The QR code of `--qr`, read back from what is printed."""

from __future__ import annotations

import segno

from spacerun.cli.launch import _qr_code

# Two rows of the code in each line of text, dark where a scanner sees light or dark on either background.
UPPER = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}


def printed(url: str) -> list[list[int]]:
    rows: list[list[int]] = []
    for line in _qr_code(url).plain.splitlines():
        pairs = [UPPER[character] for character in line]
        rows += [[upper for upper, _ in pairs], [lower for _, lower in pairs]]
    return rows


def test_the_code_that_is_printed_is_that_of_the_link() -> None:
    url = "https://0123456789abcdef01.gradio.live"
    rows = printed(url)
    wanted = [[int(bit) for bit in row] for row in segno.make(url, micro=False).matrix]
    light = [[1 - bit for bit in row] for row in wanted]
    size = len(wanted)
    found = [
        [row[left : left + size] for row in rows[top : top + size]]
        for top in range(len(rows) - size + 1)
        for left in range(len(rows[0]) - size + 1)
    ]
    assert wanted in found or light in found
    assert printed(url) != printed(url + "/other")
