"""Large files: every pointer of a working tree replaced by its content, by git-lfs or by the Hub's own client."""

from __future__ import annotations

import shutil
import subprocess
import threading
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import quote

from spacerun import hub
from spacerun.children import bound, check, child
from spacerun.errors import FetchError, PrerequisiteError
from spacerun.lanes import Lanes
from spacerun.paths import home, locked, sha256
from spacerun.space import git, objects
from spacerun.space.pointers import is_pointer
from spacerun.space.tree import read_state
from spacerun.text import one_line, size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spacerun.progress import Progress
    from spacerun.space.pointers import Pointer
    from spacerun.space.tree import Checkout

_POLL_SECONDS = 0.2
_PARTIAL_CONTENT = 206
_PARALLEL_DOWNLOADS = 4
# How often a line that breaks is taken up again within one run, as long as something came each time.
_ATTEMPTS = 8
# Free space that must remain after the download, in bytes: the environment and the app need some.
_SPARE_BYTES = 256 << 20


def fill(
    checkout: Checkout, *, url: str, token: str | None, progress: Progress, offline: bool = False
) -> dict[str, int]:
    """Put the content of every pointer of `checkout` in place.

    Args:
        checkout: The working tree.
        url: Address of the repository that its objects belong to.
        token: The user's token, or None.
        progress: Told how many bytes have come.
        offline: Take what this disk holds, fetch nothing.

    Returns:
        Modification times (ns), by path, of the files that were put in place without git-lfs, now or before.

    Raises:
        FetchError: A file is still a pointer afterwards, or is not what the pointer names.
        PrerequisiteError: The disk is too small.
    """
    state = read_state(checkout.directory)
    filled = dict(state.filled) if state else {}
    if not still_pointers(checkout):
        return filled
    with (
        git.disk_errors("the large files"),
        locked(
            f"space-{checkout.space.replace('/', '--')}",
            on_wait=lambda: progress.note(f"Another run fetches {checkout.space}."),
        ),
    ):
        if checkout.git_dir:
            git.remove_leftovers(checkout.git_dir)
        filled |= _take_from_store(checkout)
        waiting = still_pointers(checkout)
        if waiting and offline:
            raise FetchError(
                f"{len(waiting)} large files are not on this disk, for example {one_line(waiting[0].path)}.",
                hint="Launch once without --offline.",
            )
        if waiting:
            filled |= _fetch(checkout, waiting, url=url, token=token, progress=progress)
    left = still_pointers(checkout)
    if left:
        raise FetchError(
            f"{one_line(left[0].path)} is still a Git LFS pointer ({len(left)} in all).",
            hint="Run the command again; if it stays so, the Hub does not hold the file.",
        )
    return filled


def still_pointers(checkout: Checkout) -> list[Pointer]:
    """The files of `checkout` whose content is not there yet."""
    return [pointer for pointer in checkout.pointers if is_pointer(checkout.directory / pointer.path)]


def _fetch(
    checkout: Checkout, waiting: list[Pointer], *, url: str, token: str | None, progress: Progress
) -> dict[str, int]:
    arriving = objects.incoming(checkout.space)
    objects.keep_parts(arriving, waiting)
    _require_space(checkout, waiting, objects.received(arriving, waiting))
    failure: str | None = "git-lfs is not installed"
    with _watched(arriving, waiting, progress):
        if git.ensure_installed("git-lfs", progress, stage="lfs"):
            failure = _pull(checkout, arriving, waiting, url=url, token=token, progress=progress)
        left = still_pointers(checkout)
        if not left:
            return {}
        progress.note(
            f"{failure or 'git-lfs left pointers'}: fetching {len(left)} large files through the Hub instead."
        )
        _download(checkout, arriving, left, url=url, token=token, progress=progress)
    return _take_from_store(checkout)


def _take_from_store(checkout: Checkout) -> dict[str, int]:
    """Copy what is in the shared store, also from other working trees."""
    found = ((pointer, objects.stored(pointer)) for pointer in still_pointers(checkout))
    return {pointer.path: objects.place(checkout, pointer, source) for pointer, source in found if source}


def _pull(
    checkout: Checkout, arriving: Path, waiting: list[Pointer], *, url: str, token: str | None, progress: Progress
) -> str | None:
    """Run `git lfs pull`, again as long as it fails and yet gets further; its last complaint, if it has one."""
    environment = git.scrubbed_environment() | git.git_environment(url, token=token, settings=_settings(arriving, url))
    program = shutil.which("git-lfs") or "git-lfs"
    complaint: str | None = None
    for attempt in range(_ATTEMPTS):
        before = objects.received(arriving, waiting)
        if attempt:
            progress.note(f"{complaint}; going on from {size(before)}.")
        # It exits 0 as well when it skipped everything; without filters in the configuration it does.
        for arguments in (("install", "--local", "--skip-repo", "--force"), ("pull",)):
            complaint = _run(bound(program, *arguments), checkout.directory, environment)
            if complaint:
                break
        objects.keep_parts(arriving, waiting)
        if not complaint or objects.received(arriving, waiting) <= before:
            break
    return complaint


def _settings(arriving: Path, url: str) -> dict[str, str]:
    return {
        # What a `.lfsconfig` in the repository says of these, a stranger says: ours win (git-lfs-config(5)).
        "lfs.url": f"{url}.git/info/lfs",
        "lfs.fetchinclude": "",
        "lfs.fetchexclude": "",
        "lfs.skipdownloaderrors": "false",
        "lfs.storage": str(arriving),
        "lfs.locksverify": "false",
        "lfs.transfer.maxretries": "3",  # eight, the default, take over a minute to say that an object is gone
        "filter.lfs.smudge": "git-lfs smudge --skip -- %f",
        "filter.lfs.process": "git-lfs filter-process --skip",
        "filter.lfs.clean": "git-lfs clean -- %f",
    }


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> str | None:
    """Run git-lfs; what it complained of, as one line, if it failed."""
    with child(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        _, output = process.communicate()
    said = output.decode(errors="replace")
    if process.returncode < 0:
        raise FetchError("git-lfs was stopped.", hint="Run the command again; what has arrived is kept.")
    if process.returncode and "no space left" in said.lower():
        raise git.disk_full("the large files")
    lines = [line for line in said.splitlines() if line.strip()] or ["without a word"]
    return f"git-lfs failed ({one_line(lines[0])})" if process.returncode else None


def _download(
    checkout: Checkout, arriving: Path, waiting: list[Pointer], *, url: str, token: str | None, progress: Progress
) -> None:
    """Fetch objects by huggingface_hub's client, from where what came before ends, and check their hashes."""
    queue: SimpleQueue[Pointer] = SimpleQueue()
    for pointer in {pointer.oid: pointer for pointer in waiting}.values():
        queue.put(pointer)

    def work() -> None:
        while True:
            try:
                pointer = queue.get_nowait()
            except Empty:
                return
            address = f"{url}/resolve/{checkout.commit}/{quote(pointer.path)}"
            with hub.hub_errors(f"{one_line(pointer.path)} of {checkout.space}", revision=checkout.commit):
                part = objects.part(arriving, pointer.oid)
                _download_part(address, part, pointer, token, progress)
            if sha256(part) != pointer.oid:
                part.unlink()
                raise FetchError(
                    f"{one_line(pointer.path)} arrived with another content than its pointer names.",
                    hint="Run the command again; the wrong file has been removed.",
                )
            objects.store(pointer, part)

    with Lanes() as lanes:
        for _ in range(_PARALLEL_DOWNLOADS):
            lanes.run(work)


def _download_part(address: str, part: Path, pointer: Pointer, token: str | None, progress: Progress) -> None:
    """Bring `part` to its full size, from where it ends."""
    from huggingface_hub.errors import HfHubHTTPError

    for attempt in range(_ATTEMPTS):
        before = _size(part)
        try:
            hub.retrying(lambda: _get_rest(address, part, pointer, token), HfHubHTTPError, progress)
        except Exception as error:
            if not hub.is_transport_error(error) or _size(part) <= before or attempt == _ATTEMPTS - 1:
                raise
        if _size(part) >= pointer.size:
            return


def _get_rest(address: str, part: Path, pointer: Pointer, token: str | None) -> None:
    # hf_hub_download starts anew in each run: its unfinished files have random names and are removed on failure. And
    # http_get, on which it rests, writes ten megabytes at a time; what came of the last ones is lost with the line.
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    if _size(part) > pointer.size:
        part.unlink()
    start = _size(part)
    if start == pointer.size:
        return
    headers = build_hf_headers(token=token or False) | {"Accept-Encoding": "identity", "Range": f"bytes={start}-"}
    with get_session().stream("GET", address, headers=headers, timeout=hub.TIMEOUT_SECONDS) as answer:
        hf_raise_for_status(answer)
        with part.open("ab") as stream:
            if answer.status_code != _PARTIAL_CONTENT:
                stream.truncate(0)
            for piece in answer.iter_bytes():
                check()
                stream.write(piece)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _watched(arriving: Path, waiting: list[Pointer], progress: Progress) -> Iterator[None]:
    """Tell how many bytes have come, as long as the block runs."""
    total = sum({pointer.oid: pointer.size for pointer in waiting}.values())
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_POLL_SECONDS):
            progress.update("lfs", "fetching large files:", objects.received(arriving, waiting), total)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _require_space(checkout: Checkout, waiting: list[Pointer], received: int) -> None:
    total = sum(pointer.size for pointer in waiting)
    coming = sum({pointer.oid: pointer.size for pointer in waiting}.values()) - received
    # Each object lies twice: in the store that all trees share, and in the tree.
    one_disk = checkout.directory.stat().st_dev == home().lfs.stat().st_dev
    for folder, needed in ((checkout.directory, total + coming * one_disk), (home().lfs, coming)):
        free = shutil.disk_usage(folder).free
        if free < needed + _SPARE_BYTES:
            raise PrerequisiteError(
                f"The large files need {size(needed + _SPARE_BYTES)} of disk, and {folder} has {size(free)} left.",
                hint="Free some space with `spacerun prune`, or set SPACERUN_HOME to a larger disk.",
            )
