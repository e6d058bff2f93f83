"""Many small Spaces: `spacerun smoke-test` with `-j 1` and `-j 2`, next to the same by hand, in one run.

    python -m benchmarks.smoke [--spaces 40] [--by-hand 5] [--prune-after]

Each Space is a Gradio app with an example, served by the loopback Hub of the tests. By hand means, for each of them:
`git clone`, `uv venv`, `uv pip install`, `python app.py`, wait until it answers, call its function over HTTP, kill.
Each row begins with nothing on disk but uv's cache, which all share and which is warm. Memory is what all of its
processes hold at once, pages that they share counted once (proportional set size); disk is what lies there afterwards.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from spacerun.environment.uv import find_uv
from spacerun.paths import tree_bytes
from tests.command import Command, predict
from tests.hub import Hub

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GRADIO = "6.31.0"
APP = """\
import gradio as gr
def greet(name):
    return f"{number}: hello, {{name}}!"
gr.Interface(greet, "text", "text", examples=["Ada"]).launch()
"""
_SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class Row:
    """What was measured."""

    what: str
    spaces: int
    seconds: float
    peak_bytes: int
    disk_bytes: int


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spaces", type=int, default=40)
    parser.add_argument("--by-hand", type=int, default=5, help="how many of them are done by hand")
    parser.add_argument("--prune-after", action="store_true", help="measure that as well")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Hub(Path(folder) / "hub") as hub:
        names = [f"owner/small-{number:02}" for number in range(arguments.spaces)]
        for number, name in enumerate(names):
            card = f"---\nsdk: gradio\nsdk_version: {GRADIO}\n---\n"
            hub.publish(name, {"README.md": card, "app.py": APP.format(number=number)})
        show(measured("warming uv's cache", Path(folder, "warm"), 1, tested(hub, names[:1], "-j", "1")))
        show(measured("by hand", Path(folder, "hand"), arguments.by_hand, by_hand(hub, names[: arguments.by_hand])))
        for options in (("-j", "1"), ("-j", "2"), *([("-j", "2", "--prune-after")] if arguments.prune_after else [])):
            home = Path(folder, "-".join(options).replace("--", "") or "one")
            show(measured(" ".join(["smoke-test", *options]), home, len(names), tested(hub, names, *options)))


def tested(hub: Hub, names: Sequence[str], *options: str) -> Callable[[Path], None]:
    """By `spacerun smoke-test`."""

    def run(home: Path) -> None:
        command = Command(home / "spacerun", {"HF_ENDPOINT": hub.endpoint})
        done = command.run("smoke-test", *names, *options, "--json", timeout=3600)
        results = json.loads(done.out)["data"]["results"]
        assert [row["proven"] for row in results] == ["calls"] * len(names), done.err  # noqa: S101 - a benchmark

    return run


def by_hand(hub: Hub, names: Sequence[str]) -> Callable[[Path], None]:
    """By the steps of a script that people write."""

    def run(home: Path) -> None:
        for number, name in enumerate(names):
            folder = home / name.replace("/", "--")
            subprocess.run(["git", "clone", "--quiet", hub.url(name), folder], check=True)
            base = sys.executable if sys.prefix == sys.base_prefix else f"{sys.base_prefix}/bin/python3"
            uv, python = find_uv(), folder / ".venv" / "bin" / "python"
            subprocess.run([uv, "venv", "--quiet", folder / ".venv", "--python", base], check=True)
            subprocess.run([uv, "pip", "install", "--quiet", "--python", python, f"gradio=={GRADIO}"], check=True)
            _started(folder, python, 8100 + number)

    return run


def _started(folder: Path, python: Path, port: int) -> None:
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    app = subprocess.Popen([python, "app.py"], cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        while app.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url, timeout=5).read()
                break
            time.sleep(0.2)
        assert re.search("hello, Ada", str(predict(url, "greet", "Ada")))  # noqa: S101 - a benchmark
    finally:
        app.send_signal(signal.SIGKILL)
        app.wait()


def measured(what: str, home: Path, spaces: int, work: Callable[[Path], None]) -> Row:
    """What `work` takes."""
    home.mkdir()
    over, peak = threading.Event(), [0]

    def sample() -> None:
        us = psutil.Process()
        before = {child.pid for child in us.children(recursive=True)}
        while not over.wait(_SAMPLE_SECONDS):
            held = 0
            for child in us.children(recursive=True):
                with contextlib.suppress(psutil.Error, OSError):
                    held += child.memory_full_info().pss if child.pid not in before else 0
            peak[0] = max(peak[0], held)

    watch = threading.Thread(target=sample)
    watch.start()
    began = time.monotonic()
    try:
        work(home)
    finally:
        seconds = time.monotonic() - began
        over.set()
        watch.join()
    row = Row(what, spaces, seconds, peak[0], tree_bytes(home))
    shutil.rmtree(home)
    return row


def show(row: Row) -> None:
    """Print one row."""
    each = row.seconds / row.spaces
    memory, disk = row.peak_bytes / 2**20, row.disk_bytes / 2**20
    print(
        f"{row.what:<34} {row.spaces:3} Spaces {row.seconds:7.1f} s {each:6.2f} s each"
        f" {memory:7.0f} MiB at most {disk:7.0f} MiB on disk",
        flush=True,
    )


if __name__ == "__main__":
    main()
