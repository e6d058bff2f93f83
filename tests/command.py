"""Runs the installed console script as a user does, and looks at what it leaves."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCRIPT = Path(sys.executable).with_name("spacerun")
_READY_SECONDS = 240
_STOP_SECONDS = 30


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The `error` of the document."""
        document = self.document
        assert document["ok"] is False
        return document["error"]


@dataclass
class Launched:
    """A running `spacerun launch --json` whose app answers."""

    process: subprocess.Popen[bytes]
    data: dict[str, Any]
    warnings: list[str]
    marker: str
    _err: Path

    @property
    def err(self) -> str:
        """What it wrote on standard error so far."""
        return self._err.read_text(errors="replace")

    def interrupt(self) -> int:
        """Send what Ctrl-C sends; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(_STOP_SECONDS)


@dataclass
class Command:
    """The console script with a home of its own.

    Attributes:
        home: `SPACERUN_HOME`.
        variables: Variables to add to its environment.
        program: What is run.
    """

    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = (str(SCRIPT),)

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of the script."""
        hf_home = str(self.home.parent / "hf-home")
        return os.environ | {"SPACERUN_HOME": str(self.home), "HF_HOME": hf_home} | self.variables | dict(more or {})

    def run(self, *arguments: str, cwd: Path | None = None, timeout: float = 240, **variables: str) -> Done:
        """Run it to its end."""
        done = subprocess.run(
            [*self.program, *arguments],
            cwd=cwd,
            env=self.environment(variables),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    @contextlib.contextmanager
    def launch(self, *arguments: str, cwd: Path | None = None, **variables: str) -> Iterator[Launched]:
        """`spacerun launch --json` from the moment its app answers; ended, if need be, at the end of the block."""
        marker = secrets.token_hex(8)
        err = self.home.parent / f"launch-{marker}.err"
        with err.open("wb") as stream:
            process = subprocess.Popen(
                [*self.program, "launch", *arguments, "--json", "--env", f"LAUNCH_MARKER={marker}"],
                cwd=cwd,
                env=self.environment(variables),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stream,
            )
        try:
            document = _first_document(process, err)
            assert document["ok"], f"{document['error']}\n{err.read_text(errors='replace')}"
            yield Launched(process, document["data"], document["warnings"], marker, err)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
            process.stdout.close()
        assert carriers(marker) == [], "processes of the app are left"


def _first_document(process: subprocess.Popen[bytes], err: Path) -> dict[str, Any]:
    text = ""
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        line = process.stdout.readline().decode()
        text += line
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(text)
        if not line:
            break
    raise AssertionError(f"no JSON document: {text!r}\n{err.read_text(errors='replace')}")


def carriers(marker: str) -> list[int]:
    """Process ids in whose environment `marker` stands."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if marker.encode() in environ.read_bytes():
                found.append(int(environ.parent.name))
    return found


def predict(url: str, endpoint: str, *values: object) -> list[Any]:
    """Call an endpoint of a Gradio 5 or 6 app by its public API (gradio "Querying Gradio apps with curl")."""
    address = f"{url}/gradio_api/call/{endpoint}"
    request = urllib.request.Request(
        address, json.dumps({"data": values}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{address}/{event}", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    assert "event: complete" in lines, lines
    return json.loads(next(line for line in lines if line.startswith("data: ")).removeprefix("data: "))


def get(url: str) -> tuple[int, bytes]:
    """Status and body of a page."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.status, answer.read()
