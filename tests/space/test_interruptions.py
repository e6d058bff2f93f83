"""Cut lines and kills at any moment: the next run completes, and does not fetch again what has come."""

from __future__ import annotations

import os
import random
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import pytest

from spacerun.errors import FetchError
from spacerun.space.lfs import still_pointers
from tests.hub import Bandwidth, Cut, Fault, Latency
from tests.space.conftest import FILES, contents, published
from tests.space.fetching import Fetching

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.hub import Hub
    from tests.space.conftest import Machine, Tools

WEIGHTS = random.Random(1).randbytes(3_000_000)


@dataclass
class Allowance(Fault):
    """A line that breaks for good after so many bytes."""

    left: int

    def body(self, pieces: Iterable[bytes], length: int | None) -> Iterator[bytes]:
        for piece in pieces:
            part = piece[: self.left]
            self.left -= len(part)
            yield part
            if not self.left:
                raise ConnectionAbortedError


@contextmanager
def fetching(space: str, directory: Path | None = None) -> Iterator[Fetching]:
    """A process that fetches; killed when the block is left."""
    running = Fetching(space, directory)
    try:
        yield running
    finally:
        running.kill()


def complete(space: str, directory: Path | None = None) -> None:
    with fetching(space, directory) as running:
        assert running.said()[-1:] == ["filled"]


def wait_for_bytes(hub: Hub, count: int) -> None:
    deadline = time.monotonic() + 30
    while sum(exchange.bytes_sent for exchange in hub._exchanges if exchange.kind == "cdn") < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_for_end_of_git_lfs(machine: Machine) -> None:
    """The kernel ends git-lfs with the process that started it."""

    def living() -> list[psutil.Process]:
        return [
            process
            for process in psutil.process_iter(["name", "status", "environ"])
            if process.info["name"] == "git-lfs"
            and process.info["status"] != psutil.STATUS_ZOMBIE
            and (process.info["environ"] or {}).get("SPACERUN_HOME") == str(machine.home)
        ]

    deadline = time.monotonic() + 5
    while living():
        assert time.monotonic() < deadline, "git-lfs outlived the process that started it"
        time.sleep(0.02)


@pytest.mark.parametrize("way", ["tools", "without_git_lfs"])
def test_a_line_cut_at_half_within_one_run(
    hub: Hub, machine: Machine, way: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(way)
    hub.publish("owner/hello", {**FILES, "a.bin": WEIGHTS})
    rule = hub.faults.add(Cut(0.5), host="localhost", times=3)
    assert (machine.get("owner/hello").directory / "a.bin").read_bytes() == WEIGHTS
    assert rule.hits == 3
    assert hub.bytes_sent("cdn") == len(WEIGHTS)


@pytest.mark.parametrize("way", ["tools", "without_git_lfs"])
def test_after_a_kill_at_half_the_next_run_fetches_the_rest(
    hub: Hub, machine: Machine, way: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(way)
    hub.publish("owner/hello", {**FILES, "a.bin": WEIGHTS})
    rule = hub.faults.add(Bandwidth(3_000_000), host="localhost")
    with fetching("owner/hello") as running:
        wait_for_bytes(hub, len(WEIGHTS) // 2)
        running.kill()
        wait_for_end_of_git_lfs(machine)
    assert hub.bytes_sent("cdn") < len(WEIGHTS)
    hub.faults.remove(rule)
    hub.clear_requests()
    complete("owner/hello")
    assert hub.bytes_sent("cdn") <= 0.6 * len(WEIGHTS)
    (tree,) = (path for path in (machine.home / "spaces/owner--hello/trees").iterdir() if path.is_dir())
    assert (tree / "a.bin").read_bytes() == WEIGHTS
    assert not [path for path in machine.home.rglob("*") if path.is_file() and ".part" in path.name]


@pytest.mark.parametrize("way", ["tools", "without_git_lfs"])
def test_after_a_line_that_stays_cut_the_next_run_fetches_the_rest(
    hub: Hub, machine: Machine, way: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    request.getfixturevalue(way)
    hub.publish("owner/hello", {**FILES, "a.bin": WEIGHTS})
    checkout = machine.check_out("owner/hello")
    gone = hub.faults.add(Allowance(len(WEIGHTS) // 2), host="localhost")
    monkeypatch.setattr(time, "sleep", lambda _: None)  # huggingface_hub waits between its attempts
    with pytest.raises(FetchError):
        machine.fill(checkout)
    hub.faults.remove(gone)
    hub.clear_requests()
    machine.fill(checkout)
    assert (checkout.directory / "a.bin").read_bytes() == WEIGHTS
    assert hub.bytes_sent("cdn") <= 0.6 * len(WEIGHTS)


def test_one_way_goes_on_where_the_other_was_killed(hub: Hub, machine: Machine, tools: Tools) -> None:
    hub.publish("owner/hello", {**FILES, "a.bin": WEIGHTS})
    rule = hub.faults.add(Bandwidth(3_000_000), host="localhost")
    with fetching("owner/hello") as running:
        wait_for_bytes(hub, len(WEIGHTS) // 2)
        running.kill()
        wait_for_end_of_git_lfs(machine)
    hub.faults.remove(rule)
    hub.clear_requests()
    tools.add("git-lfs", "echo broken >&2; exit 1")
    checkout = machine.get("owner/hello")
    assert (checkout.directory / "a.bin").read_bytes() == WEIGHTS
    assert hub.bytes_sent("cdn") <= 0.6 * len(WEIGHTS)


def test_kills_at_any_moment_do_no_harm(hub: Hub, machine: Machine, tmp_path: Path) -> None:
    """A Space, its update in a folder of the user's, and the update of a tree: each killed again and again."""
    chosen = tmp_path / "chosen"
    first = {**FILES, **{f"many/{number}.txt": f"{number}\n" * 200 for number in range(40)}, "a.bin": WEIGHTS[:400_000]}
    hub.publish("owner/hello", first)
    complete("owner/hello", chosen)
    complete("owner/hello")
    for folder in (chosen, *tree_folders(machine)):
        (folder / "mine.txt").write_text("mine")
        (folder / "data/notes.txt").write_text("my notes\n")
    second = {
        **{f"many/{number}.txt": f"{number} again\n" * 300 for number in range(5, 45)},
        **{f"many/{number}.txt": None for number in range(5)},
        "a.bin": WEIGHTS[400_000:900_000],
        "new.bin": WEIGHTS[900_000:1_200_000],
    }
    commit = hub.publish("owner/hello", second)
    expected = published({path: text for path, text in {**first, **second}.items() if text is not None})
    expected |= {"mine.txt": b"mine", "data/notes.txt": b"my notes\n"}

    hub.faults.add(Latency(0.01))
    hub.faults.add(Bandwidth(3_000_000))
    dice = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID", "1"))
    stages = set()
    for kill in range(10):
        hub.clear_requests()
        with fetching("owner/hello", chosen if kill % 2 else None) as running:
            requests = dice.randint(1, 8)  # of at most so many: one to the API, two to git, the rest for large files
            while running.process.is_alive() and len(hub._exchanges) < requests:
                time.sleep(0.002)
            time.sleep(dice.random() * 0.06)
            running.kill()
            stages.add(len(running.said()))
        wait_for_end_of_git_lfs(machine)
        if kill % 3 == 0:  # what a kill of git itself may leave
            for lock in ("index.lock", "config.lock", "shallow.lock", "refs/spacerun/x.lock"):
                for repository in (chosen / ".git", machine.home / "spaces/owner--hello/repository.git"):
                    (repository / lock).parent.mkdir(parents=True, exist_ok=True)
                    (repository / lock).touch()
        if kill % 4 == 3:  # upstream moves on meanwhile
            text = f"{kill}\n" * 300
            commit = hub.publish("owner/hello", {"many/20.txt": text, "new.bin": WEIGHTS[kill : 300_000 + kill]})
            expected |= {"many/20.txt": text.encode(), "new.bin": WEIGHTS[kill : 300_000 + kill]}
    hub.faults.clear()
    complete("owner/hello", chosen)
    complete("owner/hello")
    assert len(stages) > 1, "every kill struck at the same stage"
    assert contents(chosen) == expected
    assert contents(machine.home / "spaces/owner--hello/trees" / commit) == expected
    for folder in (chosen, machine.home / "spaces/owner--hello/trees" / commit):
        status = subprocess.run(
            ["git", "-C", str(folder), "status", "--porcelain"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        assert [line for line in status if ".bin" not in line] == [" M data/notes.txt", "?? mine.txt"]


def tree_folders(machine: Machine) -> list[Path]:
    return [path for path in (machine.home / "spaces/owner--hello/trees").iterdir() if path.is_dir()]


@pytest.mark.parametrize("left", ["init", "worktree", "tree", "marker", "update"])
def test_what_a_kill_leaves_half_made(hub: Hub, machine: Machine, tmp_path: Path, left: str) -> None:
    """The rare moments, made by hand."""
    from spacerun.space.tree import update_state

    commit = hub.publish("owner/hello", FILES)
    repository = machine.home / "spaces/owner--hello/repository.git"
    tree = machine.home / "spaces/owner--hello/trees" / commit
    chosen = tmp_path / "chosen"
    expected = published(FILES)
    if left == "init":  # git init has written HEAD, and no more
        (repository / "refs").mkdir(parents=True)
        (repository / "HEAD").write_text("ref: refs/heads/main\n")
    elif left == "worktree":  # git worktree add locks what it makes
        machine.check_out("owner/hello")
        tree.with_name(f"{commit}.json").unlink()
        subprocess.run(["git", "-C", str(repository), "worktree", "lock", str(tree)], check=True)
        (tree / "app.py").write_text("")
    elif left == "tree":
        machine.check_out("owner/hello")
        tree.with_name(f"{commit}.json").unlink()
        (tree / "app.py").unlink()
    elif left == "marker":
        (chosen / ".git").mkdir(parents=True)
    else:  # half of the files are of the new commit; then upstream moves on
        machine.check_out("owner/hello", directory=chosen)
        (chosen / "mine.txt").write_text("mine")
        second = hub.publish("owner/hello", {"app.py": "2", "data/notes.txt": "two\n", "new.txt": "new"})
        subprocess.run(
            ["git", "-C", str(chosen), "fetch", "-q", hub.url("owner/hello"), second], check=True, capture_output=True
        )
        update_state(chosen, advancing_to=second)
        (chosen / "app.py").write_text("2")
        (chosen / "new.txt").write_text("new")
        hub.publish("owner/hello", {"app.py": FILES["app.py"], "new.txt": "newer"})
        expected |= {"data/notes.txt": b"two\n", "new.txt": b"newer", "mine.txt": b"mine"}
    if left in {"marker", "update"}:
        assert contents(machine.get("owner/hello", directory=chosen).directory) == expected
    else:
        assert contents(machine.get("owner/hello").directory) == expected
        assert still_pointers(machine.get("owner/hello")) == []
