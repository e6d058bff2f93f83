"""Spaces of every period of Gradio and Streamlit, served by the loopback Hub, started and asked for a prediction.

    python -m tests.periods [--only 3.20.1,4.44.0] [--columns hand,latest,default,touched]

Each Space names its SDK's version in the card, as Hugging Face pre-fills it, and pins nothing else. Columns: `hand`,
what `pip install` of the same gives today; `latest`, `spacerun launch --as-of latest`; `default`, `spacerun launch` of
a Space last changed in its period; `touched`, the same with a commit 18 months later that changed only the README.
"Sound" is HTTP 200 on `/` and a prediction with the expected value; for Streamlit, one run of the script without an
exception. This installs some fifty environments: allow half an hour.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from spacerun.environment.python import find_installed
from spacerun.environment.uv import find_uv
from tests.command import Command
from tests.hub import Hub

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GRADIO_APP = b"""\
import gradio as gr
import numpy

def greet(name):
    return "Hello, " + name + "!"

demo = gr.Interface(greet, "text", "text")
demo.launch()
"""
STREAMLIT_APP = b"""\
import streamlit as st
import numpy

name = st.text_input("name", "Ada")
st.write("Hello, " + name + "!")
open("ran.txt", "w").write("Hello, " + name + "!")
"""
_TOUCHED_DAYS = 548
_ANSWER_SECONDS = 90

# Asks the app by the client that belongs to its Gradio, else by the route of its time (gradio/routes.py).
_PREDICT = """
import json, sys, urllib.request
url = sys.argv[1]
try:
    from gradio_client import Client
except ImportError:
    Client = None
if Client is not None:
    try:
        client = Client(url, verbose=False)
    except TypeError:
        client = Client(url)
    value = client.predict("Ada", fn_index=0)
else:
    body = json.dumps({"data": ["Ada"], "fn_index": 0}).encode()
    request = urllib.request.Request(url + "/api/predict/", body, {"Content-Type": "application/json"})
    value = json.load(urllib.request.urlopen(request, timeout=30))["data"][0]
print(json.dumps(value))
"""


@dataclass(frozen=True)
class Period:
    """A version of an SDK and the day it was released."""

    sdk: str
    version: str
    released: str
    python: str = "3.10"

    @property
    def name(self) -> str:
        """For the table."""
        return f"{self.sdk} {self.version}"

    @property
    def last_changed(self) -> datetime:
        """When a Space of the period was last changed: ten days after the release, or now."""
        day = datetime.fromisoformat(self.released).replace(tzinfo=timezone.utc) + timedelta(days=10)
        return min(day, datetime.now(timezone.utc) - timedelta(hours=1))


PERIODS = (
    Period("gradio", "2.9.4", "2022-04-15"),
    Period("gradio", "3.0", "2022-05-16"),
    Period("gradio", "3.20.1", "2023-03-06"),
    Period("gradio", "3.36.0", "2023-07-04"),
    Period("gradio", "3.50.2", "2023-10-19"),
    Period("gradio", "4.0.2", "2023-10-31"),
    Period("gradio", "4.19.0", "2024-02-15"),
    Period("gradio", "4.44.0", "2024-09-10"),
    Period("gradio", "5.0.0", "2024-10-09"),
    Period("gradio", "5.23.0", "2025-03-24"),
    Period("gradio", "5.49.1", "2025-10-08"),
    Period("gradio", "6.31.0", "2026-11-15"),
    Period("streamlit", "1.10.0", "2022-06-02"),
    Period("streamlit", "1.40.0", "2024-11-06"),
    Period("streamlit", "1.67.0", "2026-11-05"),
)


@dataclass(frozen=True)
class Outcome:
    """How one start went: `rung` is None by hand, `problem` None where it was sound."""

    rung: str | None
    problem: str | None
    seconds: float

    def __str__(self) -> str:
        rung = f" ({self.rung})" if self.rung else ""
        return f"sound{rung}" if self.problem is None else f"**{self.problem}**{rung}"


def publish(hub: Hub, period: Period, *, touched: bool) -> str:
    """Publish the Space of a period; its name."""
    name = f"{period.sdk}/v{period.version.replace('.', '-')}{'-touched' if touched else ''}"
    readme = f"---\ntitle: Greeter\nsdk: {period.sdk}\nsdk_version: {period.version}\n---\n".encode()
    app = GRADIO_APP if period.sdk == "gradio" else STREAMLIT_APP
    files = {"README.md": readme, "app.py": app, "requirements.txt": b"numpy\n"}
    hub.publish(name, files, date=period.last_changed)
    if touched:
        later = min(period.last_changed + timedelta(days=_TOUCHED_DAYS), datetime.now(timezone.utc))
        hub.publish(name, {"README.md": readme.replace(b"Greeter", b"The greeter")}, date=later)
    return name


def by_spacerun(command: Command, period: Period, space: str, *arguments: str) -> Outcome:
    """Launch with the console script and ask for a prediction."""
    began = time.monotonic()
    try:
        with command.launch(space, "--no-share", "--timeout", "120", *arguments) as launched:
            rung = launched.data["rung"]
            environment = Path(launched.data["environment"])
            python = next(environment.glob("venv-*/bin/python"))
            problem = check(period, launched.data["url"], python, Path(launched.data["directory"]))
            return Outcome(rung, problem, time.monotonic() - began)
    except AssertionError as error:
        return Outcome(None, _brief(_message(str(error))), time.monotonic() - began)


def _message(text: str) -> str:
    """The message of the error envelope that an assertion shows, or the text itself."""
    with contextlib.suppress(ValueError, SyntaxError, TypeError, KeyError):
        return str(ast.literal_eval(text.splitlines()[0])["message"])
    return text


def by_hand(period: Period, space_app: bytes, folder: Path) -> Outcome:
    """What someone gets today who installs what the Space names and starts it."""
    began = time.monotonic()
    folder.mkdir(parents=True)
    (folder / "app.py").write_bytes(space_app)
    interpreter = find_installed(period.python)
    assert interpreter is not None, f"Python {period.python} is needed"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("UV_", "PIP_", "PYTHON"))}
    python = folder / "venv" / "bin" / "python"
    for arguments in (
        ["venv", "-q", "--python", str(interpreter.path), str(folder / "venv")],
        ["pip", "install", "-q", "--python", str(python), "numpy", f"{period.sdk}=={period.version}"],
    ):
        done = subprocess.run([find_uv(), *arguments], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            return Outcome(None, _brief(done.stderr), time.monotonic() - began)
    with _running(python, folder, environment, period.sdk) as (process, url, log):
        problem = _wait_for_page(process, url, log) or check(period, url, python, folder)
    return Outcome(None, problem, time.monotonic() - began)


@contextlib.contextmanager
def _running(
    python: Path, folder: Path, environment: dict[str, str], sdk: str
) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    streamlit = ["-m", "streamlit", "run", "app.py", f"--server.port={port}", "--server.headless=true"]
    command = [str(python), *(["app.py"] if sdk == "gradio" else streamlit)]
    log = folder / "log"
    variables = environment | {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=stream, stderr=stream)
    try:
        yield process, f"http://127.0.0.1:{port}", log
    finally:
        process.terminate()
        process.wait(20)


def _wait_for_page(process: subprocess.Popen[bytes], url: str, log: Path) -> str | None:
    deadline = time.monotonic() + _ANSWER_SECONDS
    status = None
    while time.monotonic() < deadline:
        if process.poll() is not None:
            lines = log.read_text(errors="replace").strip().splitlines()
            return _brief(lines[-1] if lines else "ended")
        try:
            with urllib.request.urlopen(url, timeout=10):
                return None
        except urllib.error.HTTPError as error:
            status = error.code
            break
        except OSError:
            time.sleep(0.2)
    return f"HTTP {status}" if status else "no answer"


def check(period: Period, url: str, python: Path, directory: Path) -> str | None:
    """Why the app is not sound; None if it is."""
    if period.sdk == "streamlit":
        return _check_streamlit(url, directory)
    asked = subprocess.run([python, "-c", _PREDICT, url], capture_output=True, text=True, timeout=120, check=False)
    if asked.returncode:
        lines = asked.stderr.strip().splitlines()
        return _brief(f"prediction: {lines[-1] if lines else 'failed'}")
    value = json.loads(asked.stdout.strip().splitlines()[-1])
    return None if value == "Hello, Ada!" else _brief(f"predicted {value!r}")


def _check_streamlit(url: str, directory: Path) -> str | None:
    """A session runs the script: opened here as a browser opens it, by the WebSocket."""
    host, _, port = url.removeprefix("http://").partition(":")
    for path in ("/_stcore/stream", "/stream"):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            request = (
                f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Protocol: streamlit\r\n\r\n"
            )
            connection.sendall(request.encode())
            if b" 101 " not in connection.recv(4096):
                continue
            # An empty BackMsg with `rerun_script` set (streamlit/proto/BackMsg.proto, field 11 or its successor) is
            # what a page sends first; recent releases run the script on connecting.
            connection.sendall(b"\x82\x82\x00\x00\x00\x00\x5a\x00")
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                if (directory / "ran.txt").exists():
                    return None if (directory / "ran.txt").read_text() == "Hello, Ada!" else "wrong output"
                time.sleep(0.1)
    return "the script did not run"


def _brief(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0] if lines else "failed").replace("|", "/")[:110]


def run(periods: Sequence[Period], columns: Sequence[str]) -> dict[str, dict[str, Outcome]]:
    """Start every period in every column."""
    rows: dict[str, dict[str, Outcome]] = {}
    with tempfile.TemporaryDirectory(prefix="periods-") as folder, Hub(Path(folder) / "hub") as hub:
        command = Command(Path(folder) / "own" / "home", {"HF_ENDPOINT": hub.endpoint})
        command.home.mkdir(parents=True)
        for period in periods:
            spaces = {touched: publish(hub, period, touched=touched) for touched in (False, True)}
            app = GRADIO_APP if period.sdk == "gradio" else STREAMLIT_APP
            starts = {
                "hand": lambda p=period, a=app: by_hand(p, a, Path(folder) / "by-hand" / p.name.replace(" ", "-")),
                "latest": lambda p=period, s=spaces: by_spacerun(
                    command, p, s[False], "--as-of", "latest", "--attempts", "1"
                ),
                "default": lambda p=period, s=spaces: by_spacerun(command, p, s[False]),
                "touched": lambda p=period, s=spaces: by_spacerun(command, p, s[True]),
            }
            rows[period.name] = {column: starts[column]() for column in columns}
            print(f"| {period.name} | " + " | ".join(map(str, rows[period.name].values())) + " |", flush=True)
    return rows


def main() -> None:
    """Print the table; exit 1 if a default start was not sound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="versions, separated by commas")
    parser.add_argument("--columns", default="hand,latest,default,touched")
    arguments = parser.parse_args()
    only = arguments.only.split(",") if arguments.only else None
    periods = [period for period in PERIODS if not only or period.version in only]
    columns = arguments.columns.split(",")
    print("| | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    rows = run(periods, columns)
    defaults = [outcome for row in rows.values() for column, outcome in row.items() if column in {"default", "touched"}]
    sound = [outcome for outcome in defaults if outcome.problem is None]
    first = [outcome for outcome in sound if outcome.rung == "as-of"]
    print(f"\n{len(sound)} of {len(defaults)} default starts are sound, {len(first)} on the first rung.")
    sys.exit(len(sound) < len(defaults))


if __name__ == "__main__":
    main()
