"""spacerun in a real Jupyter kernel: what a cell shows, and that no app outlives its cell or its kernel."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.command import SCRIPT, Command, carriers, get
from tests.hub import Hub
from tests.kernel import Kernel
from tests.test_api import PLAIN, README, SILENT, STUBBORN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = pytest.mark.environment

NEEDS_A_SECRET = b"import os\nkey = os.environ['OPENAI_API_KEY']\n" + PLAIN


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with Hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def kernel(hub: Hub, shared_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One for all tests that leave it alive: it takes seconds to start."""
    yield from running_kernel(hub, shared_home, tmp_path_factory.mktemp("kernel"))


@pytest.fixture
def mortal_kernel(hub: Hub, shared_home: Path, tmp_path: Path) -> Iterator[Kernel]:
    """One to be killed."""
    yield from running_kernel(hub, shared_home, tmp_path)


def running_kernel(hub: Hub, home: Path, folder: Path) -> Iterator[Kernel]:
    """A kernel in which `spacerun` is found, with nothing of the user's Jupyter."""
    command = Command(home, {"HF_ENDPOINT": hub.endpoint, "IPYTHONDIR": str(folder / "ipython")})
    kernel = Kernel(folder, command.environment({"PATH": f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"}))
    yield kernel
    kernel.close()
    command.run("stop", "--all")


def publish(hub: Hub, name: str, app: bytes) -> str:
    hub.publish(name, {"README.md": README, "app.py": app})
    return name


def assert_clean(text: str) -> None:
    """Lines, and nothing that only a terminal understands; a pseudo-terminal ends them by CR and LF."""
    assert re.findall(r"[^\n -~\u00a0-\uffff]", text.replace("\r\n", "\n")) == []
    assert all(len(line) < 300 for line in text.splitlines())


@pytest.mark.parametrize("app", [PLAIN, STUBBORN], ids=["plain", "stubborn"])
def test_a_launch_in_a_cell_is_clean_and_ends_with_the_cell(hub: Hub, kernel: Kernel, app: bytes) -> None:
    space = publish(hub, "owner/cell", app)
    mark = f"cell-{len(app)}-6f10"
    cell = kernel.start(f"!spacerun launch {space} --no-share --env MARK={mark}").read_until("Ctrl-C")
    url = re.search(r"http://127\.0\.0\.1:\d+", cell.text)
    assert url
    assert get(url[0])[0] == 200
    assert len(carriers(mark)) == (2 if app == STUBBORN else 1)
    began = time.monotonic()
    kernel.interrupt()
    cell.finish()
    assert time.monotonic() - began < 5
    assert carriers(mark) == []
    assert cell.error is None
    assert_clean(cell.text)
    lines = cell.text.splitlines()
    assert [line for line in lines if line.startswith("✓ clone")]
    assert len(lines) < 30
    if app == PLAIN:
        assert "Interrupted; all that was started has been stopped." in lines[-1]


def test_interrupting_the_cell_while_the_app_starts(hub: Hub, kernel: Kernel) -> None:
    space = publish(hub, "owner/silent", SILENT)
    cell = kernel.start(f"!spacerun launch {space} --no-share --env MARK=starting-0be9").read_until("here")
    assert carriers("starting-0be9")
    kernel.interrupt()
    assert_clean(cell.finish().text)
    assert carriers("starting-0be9") == []
    assert kernel.run("!spacerun ps").text.strip() == "No app is running."


def test_nobody_is_asked_in_a_cell(hub: Hub, kernel: Kernel) -> None:
    space = publish(hub, "owner/secret", NEEDS_A_SECRET)
    cell = kernel.run(f"!spacerun launch {space} --no-share")
    assert "OPENAI_API_KEY" in cell.text
    assert_clean(cell.text)
    assert kernel.run("_exit_code").results[0]["text/plain"] == "14"


def test_the_library_in_cells(hub: Hub, kernel: Kernel) -> None:
    space = publish(hub, "owner/library", PLAIN)
    cell = kernel.run(
        f"import spacerun\napp = spacerun.launch({space!r}, share=False, env={{'MARK': 'library-c2a4'}})\napp"
    )
    assert cell.error is None
    assert_clean(cell.text)
    assert "✓ clone" in cell.text
    assert "tqdm" not in cell.text
    url = kernel.run("print(app.url)").text.strip()
    assert get(url)[0] == 200
    assert f'<a href="{url}"' in cell.results[0]["text/html"]
    waiting = kernel.start("print('waits', flush=True)\napp.wait()").read_until("waits")
    time.sleep(0.5)  # from its last word to the call
    kernel.interrupt()
    assert waiting.finish().error == "KeyboardInterrupt"
    assert carriers("library-c2a4") == []
    assert kernel.run("print(app.status, app.wait())").text == "stopped 0\n"
    with_quiet = kernel.run(f"with spacerun.launch({space!r}, share=False, progress=False) as app: print(app.status)")
    assert with_quiet.text == "running\n"


def test_the_kernel_is_killed(hub: Hub, command: Command, mortal_kernel: Kernel) -> None:
    """Both ways at once: the app of the library, and that of a cell that runs."""
    space = publish(hub, "owner/killed", PLAIN)
    mortal_kernel.run(f"import spacerun\napp = spacerun.launch({space!r}, share=False, env={{'MARK': 'killed-1d7b'}})")
    mortal_kernel.start(f"!spacerun launch {space} --no-share --env MARK=killed-1d7b").read_until("Ctrl-C")
    assert len(carriers("killed-1d7b")) == 2
    mortal_kernel.kill()
    deadline = time.monotonic() + 15
    while carriers("killed-1d7b"):
        assert time.monotonic() < deadline, "the apps outlive the kernel"
        time.sleep(0.1)
    running = command.run("ps", "--json").document["data"]["apps"]
    assert [app for app in running if app["space"] == space] == []
