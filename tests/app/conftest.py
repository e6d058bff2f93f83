"""Small programs run as a Space, and what is left of them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from spacerun.app import launch_detached, registry
from spacerun.app.spec import AppSpec

if TYPE_CHECKING:
    from tests.app.tunnel_service import TunnelService

APPS = Path(__file__).parent / "apps"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def carriers(app_id: str) -> list[int]:
    """Living processes that carry the app's marker, read from /proc by other code than spacerun's."""
    marker = str(registry.hook_folder(app_id)).encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z" and marker in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@dataclass
class Space:
    """A program under `tests/app/apps` to be run as an app, with what it needs to know in its environment."""

    name: str
    spec: AppSpec
    environment: dict[str, str]
    witness: Path
    """File in which the program notes pids of processes that nobody else knows."""

    def noted_pids(self) -> list[int]:
        return [int(line) for line in self.witness.read_text().split()] if self.witness.exists() else []

    def leftovers(self) -> list[int]:
        """Processes of the app that live: by its marker, and by what it noted itself."""
        noted = [pid for pid in self.noted_pids() if psutil.pid_exists(pid)]
        alive = [pid for pid in noted if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
        return sorted({*carriers(self.spec.id), *alive})


@dataclass
class Listener:
    """Collects what `supervise` reports."""

    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    answers: list = field(default_factory=list)
    ready: list = field(default_factory=list)

    def callbacks(self) -> dict:
        return {
            "on_line": self.lines.append,
            "on_warning": self.warnings.append,
            "on_answer": self.answers.append,
            "on_ready": self.ready.append,
        }


@pytest.fixture(autouse=True)
def spacerun_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPACERUN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def space(tmp_path: Path):
    """Make a `Space`: `space("answers", ANY="value", sdk="docker")`; lower-case names go to the `AppSpec`."""
    made: list[Space] = []

    def make(program: str, **settings) -> Space:
        variables = {name: str(value) for name, value in settings.items() if name.isupper()}
        asked = {name: value for name, value in settings.items() if not name.isupper()}
        port = asked.pop("port", None) or free_port()
        spec = AppSpec(
            **{
                "id": registry.new_id(f"owner/{program}"),
                "space": f"owner/{program}",
                "revision": "0" * 40,
                "sdk": "docker",
                "command": (sys.executable, str(APPS / f"{program}.py")),
                "directory": str(tmp_path),
                "host": "127.0.0.1",
                "port": port,
                "share": False,
                "require_share": False,
                "timeout_seconds": 20.0,
                **asked,
            }
        )
        witness = tmp_path / f"{spec.id}.pids"
        environment = {
            "PATH": os.environ["PATH"],
            "PORT": str(port),
            "WITNESS": str(witness),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join((str(registry.hook_folder(spec.id)), str(APPS))),
            **variables,
        }
        made.append(Space(program, spec, environment, witness))
        return made[-1]

    yield make
    for one in made:
        for pid in one.leftovers():  # so that a failing test leaves nothing either
            psutil.Process(pid).kill()


@pytest.fixture
def detached(space):
    """Launch an app detached, and end it with the test."""
    apps = []

    def launch(program, **settings):
        app = space(program, **settings)
        apps.append(app)
        return app, launch_detached(app.spec, app.environment)

    yield launch
    for app in apps:
        record = registry.load(app.spec.id)
        if record and record.active:
            registry.stop(record)


@pytest.fixture
def listener() -> Listener:
    return Listener()


class Foreground:
    """`supervise` in a process of its own, as `spacerun launch` runs it: signals can be sent to it."""

    def __init__(self, space: Space, tunnels: TunnelService | None) -> None:
        import json

        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "foreground.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.process.stdin.write(json.dumps([space.spec.to_json(), space.environment, tunnels and tunnels.to_json()]))
        self.process.stdin.close()
        self.lines: list[str] = []

    def read_until(self, beginning: str) -> str:
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith(beginning):
                return line.rstrip("\n")
        raise AssertionError(f"ended without {beginning!r}: {self.lines}")

    def wait(self, seconds: float = 20) -> int:
        return self.process.wait(seconds)


@pytest.fixture
def foreground():
    running: list[Foreground] = []

    def start(space: Space, tunnels: TunnelService | None = None) -> Foreground:
        running.append(Foreground(space, tunnels))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
        one.process.stdout.close()


def wait_for(condition, seconds: float = 15.0):
    """The first true value of `condition()`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("it did not come true in time")
