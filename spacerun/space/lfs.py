"""Large files: every pointer of a working tree replaced by its content, by git-lfs or by the Hub's own client."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from spacerun import hub
from spacerun.children import child
from spacerun.errors import FetchError, PrerequisiteError
from spacerun.paths import home
from spacerun.space import git
from spacerun.space.pointers import is_pointer
from spacerun.text import one_line, size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spacerun.progress import Progress
    from spacerun.space.pointers import Pointer
    from spacerun.space.tree import Checkout

_POLL_SECONDS = 0.2
_CHUNK_BYTES = 1 << 20
_PARALLEL_DOWNLOADS = 4
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
        Modification times (ns), by path, of the files that were put in place without git-lfs.

    Raises:
        FetchError: A file is still a pointer afterwards, or is not what the pointer names.
        PrerequisiteError: The disk is too small.
    """
    waiting = still_pointers(checkout)
    filled = _take_from_store(checkout, waiting)
    waiting = still_pointers(checkout)
    if not waiting:
        return filled
    if offline:
        raise FetchError(
            f"{len(waiting)} large files are not on this disk, for example {one_line(waiting[0].path)}.",
            hint="Launch once without --offline.",
        )
    _require_space(checkout, waiting)
    failure = (
        _pull(checkout, url, token, waiting, progress)
        if git.ensure_installed("git-lfs", progress, stage="lfs")
        else "git-lfs is not installed"
    )
    waiting = still_pointers(checkout)
    if waiting:
        progress.note(
            f"{failure or 'git-lfs left pointers'}: fetching {len(waiting)} large files through the Hub instead."
        )
        filled |= _download_through_hub(checkout, waiting, token, progress)
    waiting = still_pointers(checkout)
    if waiting:
        raise FetchError(
            f"{one_line(waiting[0].path)} is still a Git LFS pointer ({len(waiting)} in all).",
            hint="Run the command again; if it stays so, the Hub does not hold the file.",
        )
    return filled


def still_pointers(checkout: Checkout) -> list[Pointer]:
    """The files of `checkout` whose content is not there yet."""
    return [pointer for pointer in checkout.pointers if is_pointer(checkout.directory / pointer.path)]


def _pull(checkout: Checkout, url: str, token: str | None, waiting: list[Pointer], progress: Progress) -> str | None:
    """Run `git lfs pull`; its complaint if it failed. It exits 0 as well when it skipped everything."""
    settings = {
        # What a `.lfsconfig` in the repository says of these, a stranger says: ours win (git-lfs-config(5)).
        "lfs.url": f"{url}.git/info/lfs",
        "lfs.fetchinclude": "",
        "lfs.fetchexclude": "",
        "lfs.skipdownloaderrors": "false",
        "lfs.storage": str(home().lfs),
        "lfs.locksverify": "false",
        "lfs.transfer.maxretries": "3",  # eight, the default, take over a minute to say that an object is gone
        "filter.lfs.smudge": "git-lfs smudge --skip -- %f",
        "filter.lfs.process": "git-lfs filter-process --skip",
        "filter.lfs.clean": "git-lfs clean -- %f",
    }
    home().lfs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="spacerun-lfs-") as folder:
        report = Path(folder) / "progress"
        environment = git.git_environment(url, token=token, settings=settings)
        environment |= {"GIT_LFS_PROGRESS": str(report)}
        done = threading.Event()
        watcher = threading.Thread(
            target=_watch_progress, args=(report, sum(p.size for p in waiting), done, progress), daemon=True
        )
        watcher.start()
        try:
            for command in (["git", "lfs", "install", "--local", "--skip-repo", "--force"], ["git", "lfs", "pull"]):
                with child(
                    command,
                    cwd=checkout.directory,
                    env=git.scrubbed_environment() | environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                ) as process:
                    _, said = process.communicate()
                if process.returncode:
                    return _complaint(said.decode(errors="replace"))
        finally:
            done.set()
            watcher.join()
    return None


def _complaint(said: str) -> str:
    """What git-lfs said when it failed, as one line; a full disk is an error of its own."""
    if "no space left" in said.lower():
        raise PrerequisiteError(
            "The disk is full: the large files could not be written.",
            hint="Free some space, for example with: spacerun prune",
        )
    lines = [line for line in said.splitlines() if line.strip()]
    return f"git-lfs failed ({one_line(lines[0]) if lines else 'without a word'})"


def _watch_progress(report: Path, total: int, done: threading.Event, progress: Progress) -> None:
    """Sum up what git-lfs writes to `GIT_LFS_PROGRESS`: `download 1/2 123/456 path` (git-lfs-config(5))."""
    received: dict[str, int] = {}
    position = 0
    while not done.wait(_POLL_SECONDS):
        try:
            with report.open("rb") as stream:
                stream.seek(position)
                lines = stream.read()
        except OSError:
            continue
        complete = lines.rfind(b"\n") + 1
        position += complete
        for line in lines[:complete].decode("utf-8", "replace").splitlines():
            words = line.split(" ", 3)
            if len(words) == 4 and words[0] == "download":  # noqa: PLR2004
                received[words[3]] = int(words[2].partition("/")[0])
        progress.update("lfs", "fetching large files:", sum(received.values()), total)


def _store_path(oid: str) -> Path:
    """Where git-lfs keeps an object (git-lfs `fs.go`, `ObjectPathname`)."""
    return home().lfs / "objects" / oid[:2] / oid[2:4] / oid


def _take_from_store(checkout: Checkout, waiting: Iterable[Pointer]) -> dict[str, int]:
    """Copy what another working tree has already fetched."""
    filled = {}
    for pointer in waiting:
        stored = _store_path(pointer.oid)
        if stored.is_file() and stored.stat().st_size == pointer.size:
            filled[pointer.path] = _place(stored, checkout.directory / pointer.path)
    return filled


def _place(source: Path, target: Path) -> int:
    """Copy `source` over the pointer at `target` in one step; the result's modification time in ns."""
    mode = target.stat().st_mode
    temporary = target.with_name(f".{target.name[:100]}.spacerun")
    shutil.copyfile(source, temporary)
    temporary.chmod(mode)
    temporary.replace(target)
    return target.stat().st_mtime_ns


def _download_through_hub(
    checkout: Checkout, waiting: list[Pointer], token: str | None, progress: Progress
) -> dict[str, int]:
    """Fetch the objects of `waiting` with huggingface_hub, which resumes what a cut left, and check their hashes."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    cache = home().cache / "hub"

    def download(pointer: Pointer) -> Path:
        with hub.hub_errors(f"{checkout.space}: {one_line(pointer.path)}", revision=checkout.commit):
            return Path(
                hub.retrying(
                    lambda: hf_hub_download(
                        checkout.space,
                        pointer.path,
                        repo_type="space",
                        revision=checkout.commit,
                        cache_dir=cache,
                        token=token or False,
                        endpoint=hub.endpoint(),
                    ),
                    HfHubHTTPError,
                    progress,
                )
            ).resolve()

    filled: dict[str, int] = {}
    received = 0
    total = sum(pointer.size for pointer in waiting)
    with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
        for pointer, blob in zip(waiting, pool.map(download, waiting), strict=True):
            if _sha256(blob) != pointer.oid:
                blob.unlink()
                raise FetchError(
                    f"{one_line(pointer.path)} arrived with another content than its pointer names.",
                    hint="Run the command again; the wrong file has been removed.",
                )
            stored = _store_path(pointer.oid)
            stored.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(blob, stored)
            filled[pointer.path] = _place(stored, checkout.directory / pointer.path)
            received += pointer.size
            progress.update("lfs", "fetching large files:", received, total)
    shutil.rmtree(cache, ignore_errors=True)
    return filled


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _require_space(checkout: Checkout, waiting: list[Pointer]) -> None:
    # Each object lies twice: in the store that all trees share, and in the tree.
    needed = 2 * sum(pointer.size for pointer in waiting) + _SPARE_BYTES
    free = shutil.disk_usage(checkout.directory).free
    if free < needed:
        raise PrerequisiteError(
            f"The large files need {size(needed)} of disk, and {checkout.directory} has {size(free)} left.",
            hint="Free some space with `spacerun prune`, or set SPACERUN_HOME to a larger disk.",
        )
