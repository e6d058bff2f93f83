"""Time to the first answer: `spacerun launch` next to the same steps by hand, in one run.

    python -m benchmarks.launch [--megabytes 50] [--bandwidth 30] [--runs 2]

The Space is a small Gradio app with one large file, served by the loopback Hub of the tests. By hand means the recipe
that tutorials give: `git lfs clone`, `python -m venv`, `pip install -r requirements.txt`, `python app.py`. "Cold"
starts with empty caches and nothing on disk; "warm" starts the same Space again. Every row ends when `/` answers 200.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from tests.command import Command
from tests.hub import Bandwidth, Hub

if TYPE_CHECKING:
    from collections.abc import Iterator

GRADIO = "6.31.0"
README = f"---\nsdk: gradio\nsdk_version: {GRADIO}\n---\n".encode()
APP = b"""\
import gradio as gr
demo = gr.Interface(lambda name: f"Hello, {name}!", "text", "text")
demo.launch()
"""
SPACE = "owner/bench"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=50, help="size of the large file")
    parser.add_argument("--bandwidth", type=float, default=0, help="MB/s of the Hub; 0 is unlimited")
    parser.add_argument("--runs", type=int, default=2)
    arguments = parser.parse_args()
    rows: dict[str, list[float]] = {}
    for _ in range(arguments.runs):
        with tempfile.TemporaryDirectory() as folder, Hub(Path(folder) / "hub") as hub:
            if arguments.bandwidth:
                hub.faults.add(Bandwidth(int(arguments.bandwidth * 1e6)))
            large = os.urandom(arguments.megabytes * 1_000_000)
            files = {"README.md": README, "app.py": APP, "weights.bin": large}
            hub.publish(SPACE, {**files, "requirements.txt": f"gradio=={GRADIO}\n".encode()})
            for name, seconds in (*by_hand(hub, Path(folder)), *with_spacerun(hub, Path(folder))):
                rows.setdefault(name, []).append(seconds)
                print(f"{name:<44} {seconds:6.1f} s", flush=True)
    report(rows)


def by_hand(hub: Hub, folder: Path) -> Iterator[tuple[str, float]]:
    """The recipe, step by step."""
    home = folder / "by-hand"
    home.mkdir()
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_", "PYTHON"))}
    variables |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_CACHE_DIR": str(home / "pip-cache"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HOME": str(home / "hf"),
    }
    clone, python = home / "clone", home / "venv" / "bin" / "python"
    base = sys.executable if sys.prefix == sys.base_prefix else f"{sys.base_prefix}/bin/python3"
    began = time.monotonic()
    for name, command in (
        ("git lfs clone", ["git", "lfs", "clone", "--quiet", hub.url(SPACE), str(clone)]),
        ("python -m venv", [base, "-m", "venv", str(home / "venv")]),
        ("pip install -r", [str(python), "-m", "pip", "install", "-q", "-r", str(clone / "requirements.txt")]),
    ):
        step = time.monotonic()
        subprocess.run(command, env=variables, check=True, capture_output=True)
        yield f"  by hand: {name}", time.monotonic() - step
    with app_by_hand(python, clone, variables) as seconds:
        yield "  by hand: python app.py", seconds
        yield "by hand, cold", time.monotonic() - began
    with app_by_hand(python, clone, variables) as seconds:
        yield "by hand, warm (python app.py alone)", seconds


@contextlib.contextmanager
def app_by_hand(python: Path, clone: Path, variables: dict[str, str]) -> Iterator[float]:
    """Start the app; the seconds until it answered."""
    port = free_port()
    began = time.monotonic()
    process = subprocess.Popen(
        [python, "app.py"],
        cwd=clone,
        env=variables | {"GRADIO_SERVER_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_answer(f"http://127.0.0.1:{port}/", process)
        yield time.monotonic() - began
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def with_spacerun(hub: Hub, folder: Path) -> Iterator[tuple[str, float]]:
    """The same with the console script."""
    for name, cache in (("empty uv cache", folder / "uv-cache"), ("uv cache filled", folder / "uv-cache")):
        command = Command(
            folder / name.replace(" ", "-") / "home", {"HF_ENDPOINT": hub.endpoint, "UV_CACHE_DIR": str(cache)}
        )
        command.home.mkdir(parents=True)
        for state in ("cold", "warm"):
            began = time.monotonic()
            with command.launch(SPACE, "--no-share") as launched:
                seconds = time.monotonic() - began
                for stage, spent in launched.data["stages"].items():
                    yield f"  spacerun, {state}, {name}: {stage}", spent
                yield f"spacerun, {state}, {name}", seconds
        shutil.rmtree(command.home)


def report(rows: dict[str, list[float]]) -> None:
    """Medians and ratios."""
    medians = {name: statistics.median(values) for name, values in rows.items() if not name.startswith(" ")}
    longest = max(medians.values())
    print()
    for name, seconds in medians.items():
        peer = medians["by hand, warm (python app.py alone)" if "warm" in name else "by hand, cold"]
        bar = "█" * max(1, round(40 * seconds / longest))
        print(f"{name:<40} {seconds:6.1f} s  {peer / seconds:5.1f} times as fast  {bar}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_for_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return when `url` answers 200."""
    while process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
            if answer.status == 200:  # noqa: PLR2004
                return
        time.sleep(0.05)
    raise SystemExit("the app ended before it answered")


if __name__ == "__main__":
    main()
