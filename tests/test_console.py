"""Progress where lines cannot be redrawn: lines, and fewer of them the longer it takes."""

from __future__ import annotations

import io
from itertools import pairwise
from types import SimpleNamespace

import pytest

from spacerun import console
from spacerun.console import ConsoleProgress, can_redraw, in_notebook

# What ipykernel and jupyter_client set in the environment of a kernel; `!command` inherits it.
KERNEL = {"JPY_PARENT_PID": "1", "FORCE_COLOR": "1", "TERM": "xterm-color"}


def test_half_an_hour_is_no_wall_of_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(monotonic=lambda: clock.now, now=0.0)
    monkeypatch.setattr(console, "time", clock)
    file = io.StringIO()
    progress = ConsoleProgress(file=file)
    progress.start("lfs", "fetching large files")
    said = []
    while clock.now < 1800:
        clock.now += 0.5
        before = len(file.getvalue())
        progress.update("lfs", "fetching large files:", int(clock.now) << 20, 1800 << 20)
        if len(file.getvalue()) > before:
            said.append(clock.now)
    assert said[:4] == [10.5, 31.0, 71.5, 132.0]
    assert max(after - one for one, after in pairwise(said)) < 61
    assert len(said) < 35
    assert "fetching large files: 10.0 MiB of 1.8 GiB" in file.getvalue()


@pytest.mark.parametrize("variables", [KERNEL, {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}])
def test_a_notebook_gets_plain_text(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name in ("CI", *KERNEL, "MPLBACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-color")
    terminal = Terminal()
    ConsoleProgress(file=terminal).warn("careful")
    assert "\x1b[" in terminal.getvalue()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    cell = Terminal()
    progress = ConsoleProgress(file=cell)
    assert in_notebook()
    assert not can_redraw(progress.console)
    progress.warn("careful")
    assert cell.getvalue() == "! careful\n"
