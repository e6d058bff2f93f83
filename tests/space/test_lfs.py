"""Large files: no pointer is left, whatever the machine, the repository and the Hub do."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from spacerun import editing
from spacerun.errors import ExitCode, FetchError, PrerequisiteError
from spacerun.paths import home, tree_bytes
from spacerun.space import git
from spacerun.space.lfs import fill, still_pointers
from spacerun.space.pointers import parse_pointer
from spacerun.space.tree import read_state
from spacerun.space.update import changes
from tests.hub import Corrupt, MissingObject, Status
from tests.space.conftest import FILES, contents, published

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.hub import Hub
    from tests.space.conftest import Machine, Tools

WEIGHTS = bytes(range(256)) * 4096
LARGE: dict[str, str | bytes] = {"a.bin": WEIGHTS, "deep/b c ü.bin": WEIGHTS[1:], "same.bin": WEIGHTS}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


def oid(content: bytes | str) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()


def lose(hub: Hub, content: bytes) -> None:
    """Take an object off the Hub altogether."""
    hub.objects.path(oid(content)).unlink()
    hub.repo("owner/hello").lfs_objects.discard(oid(content))


@pytest.fixture(params=["tools", "without_git_lfs"])
def either_way(request: pytest.FixtureRequest) -> Tools:
    """With git-lfs, and on a machine that has none and no way to get it."""
    tools: Tools = request.getfixturevalue(request.param)
    return tools


# -- the way there -----------------------------------------------------------------------------------------------------


def test_no_pointer_is_left(hub: Hub, machine: Machine, either_way: Tools) -> None:
    """Without system-wide filters and with an empty home, where plain `git lfs pull` skips everything."""
    hub.publish("owner/hello", {**FILES, **LARGE})
    checkout = machine.check_out("owner/hello")
    assert {pointer.path: (pointer.oid, pointer.size) for pointer in checkout.pointers} == {
        path: (oid(content), len(content)) for path, content in LARGE.items()
    }
    assert still_pointers(checkout) == list(checkout.pointers)
    assert hub.bytes_sent("cdn") == 0
    machine.fill(checkout)
    assert still_pointers(checkout) == []
    assert contents(checkout.directory) == published({**FILES, **LARGE})
    assert hub.bytes_sent("cdn") == 2 * len(WEIGHTS) - 1  # what two files share comes once
    assert changes(checkout, editing.unedited).paths == ()
    # On this disk: once in the store, once in the tree, and nothing besides.
    assert tree_bytes(home().lfs) < 2.2 * len(WEIGHTS)
    used_lfs = [call for call in either_way.calls if call.startswith("git-lfs pull")]
    assert bool(used_lfs) == bool(shutil.which("git-lfs"))
    assert any("through the Hub instead" in note for note in machine.progress.notes) != bool(used_lfs)


def test_plain_git_lfs_would_have_left_pointers(hub: Hub, machine: Machine, tools: Tools, tmp_path: Path) -> None:
    """The trap exists on this machine: what the test before proves is not for nothing."""
    hub.publish("owner/hello", {**FILES, **LARGE})
    for command in (["clone", "-q", hub.url("owner/hello"), "clone"], ["-C", "clone", "lfs", "pull"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, capture_output=True)
    assert parse_pointer("", (tmp_path / "clone/a.bin").read_bytes())


def test_pointers_count_whatever_gitattributes_say(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", {**FILES, "a.bin": WEIGHTS, ".gitattributes": "*.bin text\n"})
    assert (machine.get("owner/hello").directory / "a.bin").read_bytes() == WEIGHTS


def test_a_page_of_many_large_files(hub: Hub, machine: Machine, either_way: Tools) -> None:
    files = {f"part-{number:03}.bin": f"{number}".encode() * 500 for number in range(60)}
    hub.publish("owner/hello", {**FILES, **files})
    assert contents(machine.get("owner/hello").directory) == published({**FILES, **files})


class Elsewhere:
    """Another LFS server, which writes down who calls."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked.append(self.path)
                self.send_error(500)

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    running = Elsewhere()
    yield running
    running.server.shutdown()
    running.server.server_close()


def test_a_hostile_lfsconfig_has_no_effect(hub: Hub, machine: Machine, tools: Tools, elsewhere: Elsewhere) -> None:
    config = (
        f"[lfs]\n\turl = {elsewhere.address}/lfs\n\tpushurl = {elsewhere.address}/lfs\n\tfetchexclude = *\n"
        "\tfetchinclude = nothing\n\tskipdownloaderrors = true\n\tconcurrenttransfers = 1\n"
        f'[remote "origin"]\n\tlfsurl = {elsewhere.address}/lfs\n'
        f'[url "{elsewhere.address}/"]\n\tinsteadOf = {hub.endpoint}/\n'
        '[lfs "customtransfer.x"]\n\tpath = touch\n\targs = ran\n[lfs]\n\tstandalonetransferagent = x\n'
    )
    hub.publish("owner/hello", {**FILES, "a.bin": WEIGHTS, ".lfsconfig": config})
    checkout = machine.get("owner/hello")
    assert (checkout.directory / "a.bin").read_bytes() == WEIGHTS
    assert elsewhere.asked == []
    assert not list(checkout.directory.rglob("ran"))
    assert any(call.startswith("git-lfs pull") for call in tools.calls)
    assert machine.progress.notes == []  # git-lfs did it all: there was no need of another way


# -- what is shared ----------------------------------------------------------------------------------------------------


def test_objects_are_shared_between_commits_and_spaces(hub: Hub, machine: Machine, either_way: Tools) -> None:
    hub.publish("owner/hello", {**FILES, "a.bin": WEIGHTS})
    machine.get("owner/hello")
    assert hub.bytes_sent("cdn") == len(WEIGHTS)
    hub.publish("owner/hello", {"app.py": "2", "moved/a.bin": WEIGHTS, "a.bin": None, "new.bin": b"n" * 3000})
    hub.publish("other/space", {**FILES, "weights.bin": WEIGHTS})
    hub.clear_requests()
    second, third = machine.get("owner/hello"), machine.get("other/space")
    assert (second.directory / "moved/a.bin").read_bytes() == WEIGHTS
    assert (third.directory / "weights.bin").read_bytes() == WEIGHTS
    assert hub.bytes_sent("cdn") == 3000
    assert changes(second, editing.unedited).paths == ()
    # They are copies: who writes to one does not write to the others.
    (third.directory / "weights.bin").write_bytes(b"broken")
    assert (second.directory / "moved/a.bin").read_bytes() == WEIGHTS


def test_a_second_run_asks_for_nothing(hub: Hub, machine: Machine, tools: Tools) -> None:
    hub.publish("owner/hello", {**FILES, **LARGE})
    checkout = machine.get("owner/hello")
    hub.clear_requests()
    tools.log.unlink()
    machine.fill(checkout)
    assert hub.requests == []
    assert tools.calls == []


def test_what_was_put_in_place_is_remembered_by_its_time(hub: Hub, machine: Machine, without_git_lfs: Tools) -> None:
    hub.publish("owner/hello", {**FILES, **LARGE})
    checkout = machine.get("owner/hello")
    machine.fill(checkout)
    state = read_state(checkout.directory)
    assert state
    assert state.filled == {path: (checkout.directory / path).stat().st_mtime_ns for path in LARGE}


def test_two_runs_at_once_fetch_once(hub: Hub, machine: Machine, either_way: Tools) -> None:
    hub.publish("owner/hello", {**FILES, **LARGE})
    with ThreadPoolExecutor(3) as pool:
        checkouts = list(pool.map(lambda _: machine.get("owner/hello"), range(3)))
    assert len({checkout.directory for checkout in checkouts}) == 1
    assert contents(checkouts[0].directory) == published({**FILES, **LARGE})
    assert hub.bytes_sent("cdn") == 2 * len(WEIGHTS) - 1


def test_offline_large_files_come_from_the_store_or_not_at_all(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", {**FILES, "a.bin": WEIGHTS})
    machine.get("owner/hello")
    hub.publish("other/space", {**FILES, "weights.bin": WEIGHTS})
    hub.publish("third/space", {**FILES, "new.bin": WEIGHTS[2:]})
    same, new = machine.check_out("other/space"), machine.check_out("third/space")
    hub.go_offline()
    machine.fill(same, offline=True)
    assert (same.directory / "weights.bin").read_bytes() == WEIGHTS
    with pytest.raises(FetchError, match=r"1 large files are not on this disk, for example new\.bin") as raised:
        machine.fill(new, offline=True)
    assert raised.value.hint == "Launch once without --offline."


# -- what the Hub may do -----------------------------------------------------------------------------------------------


def test_wrong_content_is_refused_and_removed(hub: Hub, machine: Machine, either_way: Tools) -> None:
    hub.publish("owner/hello", {**FILES, "a.bin": WEIGHTS})
    checkout = machine.check_out("owner/hello")
    hub.faults.add(Corrupt(), host="localhost")
    with pytest.raises(FetchError, match=r"^a\.bin arrived with another content than its pointer names\.$"):
        machine.fill(checkout)
    wrong = bytes([WEIGHTS[0] ^ 0xFF]) + WEIGHTS[1:]
    left = [path for path in machine.home.rglob("*") if path.is_file() and path.read_bytes()[:512] == wrong[:512]]
    assert left == []
    assert still_pointers(checkout) == list(checkout.pointers)
    hub.faults.clear()
    machine.fill(checkout)
    assert (checkout.directory / "a.bin").read_bytes() == WEIGHTS


def test_a_missing_object_is_named(hub: Hub, machine: Machine, either_way: Tools) -> None:
    hub.publish("owner/hello", {**FILES, "a.bin": WEIGHTS, "b.bin": WEIGHTS[1:]})
    lose(hub, WEIGHTS[1:])
    checkout = machine.check_out("owner/hello")
    with pytest.raises(FetchError, match=r"b\.bin") as raised:
        machine.fill(checkout)
    assert raised.value.exit_code == ExitCode.FETCH
    assert "\n" not in raised.value.message
    assert parse_pointer("", (checkout.directory / "b.bin").read_bytes())


def test_what_the_batch_api_does_not_know_comes_another_way(hub: Hub, machine: Machine, tools: Tools) -> None:
    hub.publish("owner/hello", {**FILES, **LARGE})
    hub.faults.add(MissingObject(oid(WEIGHTS)))
    assert contents(machine.get("owner/hello").directory) == published({**FILES, **LARGE})
    assert any("through the Hub instead" in note for note in machine.progress.notes)


def test_a_busy_hub_is_waited_for(hub: Hub, machine: Machine, without_git_lfs: Tools) -> None:
    hub.publish("owner/hello", {**FILES, "a.bin": WEIGHTS})
    checkout = machine.check_out("owner/hello")
    rules = [
        hub.faults.add(Status(429, retry_after=1), path="*/resolve/*", times=1),
        hub.faults.add(Status(503), path="*/resolve/*", times=1),
    ]
    machine.fill(checkout)
    assert (checkout.directory / "a.bin").read_bytes() == WEIGHTS
    assert [rule.hits for rule in rules] == [1, 1]


def test_an_unreachable_hub_is_one_sentence(
    hub: Hub, machine: Machine, either_way: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.publish("owner/hello", {**FILES, "a.bin": WEIGHTS})
    checkout = machine.check_out("owner/hello")
    hub.go_offline()
    monkeypatch.setattr(time, "sleep", lambda _: None)  # huggingface_hub waits between its attempts
    with pytest.raises(FetchError, match=r"^The Hub at http://127\.0\.0\.1:\d+ cannot be reached"):
        machine.fill(checkout)


# -- what the machine may lack -----------------------------------------------------------------------------------------


def install_by(tools: Tools) -> str:
    return f"ln -sf {shutil.which('git-lfs', path=tools.path)} {tools.folder}/git-lfs"


def test_git_lfs_is_installed_by_apt_get(
    hub: Hub, machine: Machine, without_git_lfs: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = without_git_lfs
    monkeypatch.setattr(git.os, "geteuid", lambda: 0)
    updated = tools.folder / "updated"
    tools.add(
        "apt-get",
        f'case "$1" in update) : > {updated};; install) [ -e {updated} ] || exit 100; {install_by(tools)};; esac',
    )
    hub.publish("owner/hello", {**FILES, **LARGE})
    assert contents(machine.get("owner/hello").directory) == published({**FILES, **LARGE})
    calls = [call for call in tools.calls if call.startswith("apt-get")]
    assert [call.split()[1] for call in calls] == ["install", "update", "install"]
    assert calls[0].endswith(" git-lfs")
    assert machine.progress.notes == [f"Installed git-lfs with: {calls[0]}"]


def test_git_lfs_is_installed_by_password_less_sudo(
    hub: Hub, machine: Machine, without_git_lfs: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = without_git_lfs
    monkeypatch.setattr(git.os, "geteuid", lambda: 1000)
    tools.add("apt-get", install_by(tools))
    tools.add("sudo", '[ "$1" = -n ] || exit 1; shift; exec "$@"')
    hub.publish("owner/hello", {**FILES, **LARGE})
    assert contents(machine.get("owner/hello").directory) == published({**FILES, **LARGE})
    assert [call.split()[:4] for call in tools.calls if call.startswith("sudo")] == [
        ["sudo", "-n", "apt-get", "install"]
    ]


@pytest.mark.parametrize("installer", ["dnf", "brew", "conda"])
def test_git_lfs_is_installed_by_whatever_there_is(
    machine: Machine, without_git_lfs: Tools, installer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git.os, "geteuid", lambda: 0 if installer == "dnf" else 1000)
    without_git_lfs.add(installer, install_by(without_git_lfs))
    assert git.ensure_installed("git-lfs", machine.progress, stage="lfs")
    assert [call.split()[:2] for call in without_git_lfs.calls] == [[installer, "install"]]


def test_sudo_that_wants_a_password_is_no_way(
    hub: Hub, machine: Machine, without_git_lfs: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git.os, "geteuid", lambda: 1000)
    without_git_lfs.add("apt-get", "exit 1")
    without_git_lfs.add("sudo", "echo 'sudo: a password is required' >&2; exit 1")
    hub.publish("owner/hello", {**FILES, **LARGE})
    assert contents(machine.get("owner/hello").directory) == published({**FILES, **LARGE})


def test_a_broken_git_lfs_is_told_and_gone_round(hub: Hub, machine: Machine, tools: Tools) -> None:
    tools.add("git-lfs", "echo 'git-lfs: cannot execute: \033[31mbad' >&2; exit 126")
    hub.publish("owner/hello", {**FILES, "a.bin": WEIGHTS})
    assert (machine.get("owner/hello").directory / "a.bin").read_bytes() == WEIGHTS
    assert machine.progress.notes == [
        "git-lfs failed (git-lfs: cannot execute: bad): fetching 1 large files through the Hub instead."
    ]


def test_a_git_lfs_that_is_killed_starts_nothing_else(hub: Hub, machine: Machine, tools: Tools) -> None:
    """As when another lane has failed, or Ctrl-C was pressed."""
    tools.add("git-lfs", "kill -9 $$")
    hub.publish("owner/hello", {**FILES, "a.bin": WEIGHTS})
    with pytest.raises(FetchError, match="git-lfs was stopped"):
        machine.get("owner/hello")
    assert hub.bytes_sent("cdn") == 0


# -- room on the disk --------------------------------------------------------------------------------------------------


def test_too_small_a_disk_is_said_before_anything_comes(
    hub: Hub, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.publish("owner/hello", {**FILES, **LARGE})
    checkout = machine.check_out("owner/hello")
    usage = shutil.disk_usage(machine.home)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=(256 << 20) + 2 * len(WEIGHTS)))
    with pytest.raises(PrerequisiteError, match=r"The large files need .* of disk, and .* left") as raised:
        machine.fill(checkout)
    assert raised.value.exit_code == ExitCode.PREREQUISITE
    assert "spacerun prune" in (raised.value.hint or "")
    assert hub.bytes_sent("cdn") == 0
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=(256 << 20) + 6 * len(WEIGHTS)))
    machine.fill(checkout)


@pytest.fixture
def small_disk(machine: Machine) -> Iterator[Path]:
    """Three MiB for all that spacerun keeps."""
    machine.home.mkdir()
    umount = shutil.which("umount")
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "spacerun-test", str(machine.home)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield machine.home
    subprocess.run([umount or "umount", "--lazy", str(machine.home)], check=True)


def test_a_disk_that_fills_up_meanwhile(
    hub: Hub, machine: Machine, small_disk: Path, either_way: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = os.urandom(4 << 20)
    hub.publish("owner/hello", {**FILES, "a.bin": big})
    checkout = machine.check_out("owner/hello")
    monkeypatch.setattr("spacerun.space.lfs._require_space", lambda *_: None)
    with pytest.raises(PrerequisiteError, match=r"The disk is full: the large files could not be written\."):
        machine.fill(checkout)
    assert parse_pointer("", (checkout.directory / "a.bin").read_bytes())


def test_a_disk_too_small_for_the_clone(hub: Hub, machine: Machine, small_disk: Path) -> None:
    hub.publish("owner/hello", {**FILES, "noise.dat": os.urandom(4 << 20)})
    with pytest.raises(PrerequisiteError, match=r"The disk is full: .* could not be written") as raised:
        machine.check_out("owner/hello")
    assert raised.value.exit_code == ExitCode.PREREQUISITE


def test_a_full_disk_and_other_trouble_are_told_apart() -> None:
    with pytest.raises(PrerequisiteError), git.disk_errors("x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(PermissionError), git.disk_errors("x"):
        raise PermissionError(errno.EACCES, "Permission denied")


# -- pointers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (POINTER, 12345),
        (POINTER.rstrip(b"\n"), 12345),
        (POINTER.replace(b"oid", b"ext-0-foo sha256:" + b"1" * 64 + b"\noid"), 12345),
        (POINTER + b"x" * 2000, None),
        (POINTER.replace(b"v1", b"v2"), None),
        (POINTER.replace(b"sha256", b"sha1"), None),
        (POINTER.replace(b"12345", b"-1"), None),
        (POINTER.replace(b"12345", b"9" * 30), None),
        (b" " + POINTER, None),
        (b"", None),
    ],
)
def test_what_is_a_pointer(text: bytes, size: int | None) -> None:
    pointer = parse_pointer("a.bin", text)
    assert (pointer.size if pointer else None) == size


def test_the_state_of_a_later_version_is_read(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", FILES)
    checkout = machine.check_out("owner/hello")
    file = checkout.directory.with_name(checkout.directory.name + ".json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "from_the_future": 1}))
    (checkout.directory / "mine.txt").write_text("mine")
    assert machine.check_out("owner/hello") == checkout
    assert (checkout.directory / "mine.txt").read_text() == "mine"


def test_fill_of_a_local_folder_does_nothing(machine: Machine, tmp_path: Path) -> None:
    from spacerun.space.tree import Checkout

    local = Checkout(str(tmp_path), None, tmp_path)
    assert fill(local, url="", token=None, progress=machine.progress) == {}
