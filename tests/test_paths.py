"""Where things lie, and files written so that a kill at any moment does no harm."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from spacerun.paths import home, locked, machine_folder, read_json, tree_bytes, write_atomic, write_json


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACERUN_HOME", str(tmp_path / "spacerun"))


def test_everything_lies_below_spacerun_home(tmp_path: Path) -> None:
    root = tmp_path / "spacerun"
    here = home()
    for folder in (here.spaces, here.apps, here.environments, here.lfs, here.logs, here.locks):
        assert folder.is_relative_to(root)
    assert not root.exists()


def test_a_relative_home_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPACERUN_HOME", "here")
    assert home().data == tmp_path / "here"
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("SPACERUN_HOME", "~/there")
    assert home().data == tmp_path / "user/there"


def test_the_platforms_folders_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACERUN_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert home().data.is_relative_to(tmp_path)
    assert home().cache.is_relative_to(tmp_path)
    assert home().data != home().cache


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([letter]) * 200_000 for letter in b"ab"]
    write_atomic(path, contents[0])
    done = threading.Event()

    def write() -> None:
        for number in range(60):
            write_atomic(path, contents[number % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    reads = 0
    while not done.is_set():
        assert path.read_bytes() in contents
        reads += 1
    writer.join()
    assert reads > 10
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_modes(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "plain", b"x")
        write_atomic(tmp_path / "secret", b"x", mode=0o600)
        write_atomic(tmp_path / "program", b"x", mode=0o755)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"plain": 0o640, "secret": 0o600, "program": 0o755}


def test_the_umask_of_other_threads_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("umask was changed"))
    write_atomic(tmp_path / "file", b"x")


def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomic(tmp_path / "file", b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        write_atomic(tmp_path / "file", b"new")
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {"file": b"old"}


def test_the_unfinished_file_lies_where_it_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(os, "fsync", lambda _: os._exit(9) if os.environ.get("DIE") else None)
    child = os.fork()
    if not child:
        os.environ["DIE"] = "1"
        write_atomic(tmp_path / "tree/file", b"new", scratch=tmp_path / "scratch")
    os.waitpid(child, 0)
    assert list((tmp_path / "tree").iterdir()) == []
    assert len(list((tmp_path / "scratch").iterdir())) == 1
    write_atomic(tmp_path / "tree/file", b"new", scratch=tmp_path / "scratch")
    assert (tmp_path / "tree/file").read_bytes() == b"new"


def test_long_names(tmp_path: Path) -> None:
    name = "n" * 255
    write_atomic(tmp_path / name, b"x")
    assert (tmp_path / name).read_bytes() == b"x"


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "deep/er/file.json"
    write_json(path, {"b": [1, None], "a": "ü"})
    assert read_json(path) == {"a": "ü", "b": [1, None]}
    assert read_json(tmp_path / "missing.json") is None
    path.write_text('{"cut off')
    assert read_json(path) is None
    path.write_bytes(b"\xff\xfe\x00")
    assert read_json(path) is None


HOLD = """
import sys, time
from spacerun.paths import locked
with locked("test"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_waits_for_its_holder_and_survives_its_death() -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        threading.Timer(0.5, holder.kill).start()
        waited = []
        began = time.monotonic()
        with locked("test", on_wait=lambda: waited.append(True)):
            assert 0.3 < time.monotonic() - began < 10
        assert waited == [True]
    finally:
        holder.kill()
        holder.communicate()


def test_a_free_lock_is_taken_without_a_word() -> None:
    with locked("test", on_wait=lambda: pytest.fail("waited")), locked("other"):
        pass


def test_tree_bytes_counts_hard_links_once_and_follows_no_links(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    (outside / "big").write_bytes(b"x" * 1_000_000)
    (folder / "deep").mkdir(parents=True)
    (folder / "a").write_bytes(b"x" * 100_000)
    once = tree_bytes(folder)
    assert 100_000 <= once < 200_000
    (folder / "deep/b").hardlink_to(folder / "a")
    (folder / "link").symlink_to(outside)
    assert tree_bytes(folder) < once + 10_000
    assert tree_bytes(tmp_path / "missing") == 0


def test_the_machines_folder_is_one_for_all_homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folders = set()
    for name in ("one", "two"):
        monkeypatch.setenv("SPACERUN_HOME", str(tmp_path / name))
        folders.add(machine_folder())
    assert folders == {tmp_path / "spacerun"}
    assert (tmp_path / "spacerun").stat().st_mode & 0o777 == 0o700


def test_a_machines_folder_that_others_can_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("SPACERUN_HOME", str(tmp_path / "home"))
    (tmp_path / "spacerun").mkdir()
    (tmp_path / "spacerun").chmod(0o777)
    assert machine_folder() == tmp_path / "home" / "cache" / "locks"
