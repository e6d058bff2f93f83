"""Where spacerun keeps things, and how files there are written so that a kill at any moment does no harm."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Home:
    """The folders that spacerun owns. `data` holds what is worth keeping, `cache` what can be made again."""

    data: Path
    cache: Path

    @property
    def spaces(self) -> Path:
        """Clones: one repository per Space and one working tree per (Space, commit)."""
        return self.data / "spaces"

    @property
    def apps(self) -> Path:
        """One folder per running (or ended) app: its record, its log, its start-up hook."""
        return self.data / "apps"

    @property
    def runs(self) -> Path:
        """What smoke tests left: results, logs, pictures; one folder per run."""
        return self.data / "smoke"

    @property
    def environments(self) -> Path:
        """Virtual environments, named by the hash of what they were made from."""
        return self.cache / "environments"

    @property
    def builds(self) -> Path:
        """Built files of static Spaces, named by the hash of what they were built from."""
        return self.cache / "builds"

    @property
    def lfs(self) -> Path:
        """Git LFS objects, shared between all working trees."""
        return self.cache / "lfs"

    @property
    def tunnel(self) -> Path:
        """The program that makes share links."""
        return self.cache / "tunnel"

    @property
    def logs(self) -> Path:
        """Crash reports of spacerun itself."""
        return self.cache / "logs"

    @property
    def locks(self) -> Path:
        """Lock files between spacerun processes."""
        return self.cache / "locks"


def home() -> Home:
    """The folders in use: all under `$SPACERUN_HOME` if that is set, else the platform's user folders."""
    root = os.environ.get("SPACERUN_HOME")
    if root:
        base = Path(root).expanduser().absolute()
        return Home(data=base, cache=base / "cache")
    import platformdirs

    return Home(data=platformdirs.user_data_path("spacerun"), cache=platformdirs.user_cache_path("spacerun"))


def write_atomic(path: Path, content: bytes, *, mode: int | None = None, scratch: Path | None = None) -> None:
    """Replace `path` by `content` in one step, so that a reader sees the old or the new file, never a part.

    Args:
        path: File to write; its folder is made if needed.
        content: The bytes.
        mode: Permission bits of the result; default: those of a file made by `open`.
        scratch: Folder on the same file system for the unfinished file; default: the folder of `path`.
    """
    folder = scratch or path.parent
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{path.name[:100]}.{os.urandom(4).hex()}.tmp"
    # The kernel applies the umask, which only a change of it could tell, and that would reach other threads.
    permissions = 0o666 if mode is None else 0o600
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, permissions)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any, *, mode: int | None = None) -> None:  # noqa: ANN401
    """Write `value` as JSON, atomically."""
    write_atomic(path, json.dumps(value, indent=1, sort_keys=True).encode() + b"\n", mode=mode)


def read_json(path: Path) -> Any:  # noqa: ANN401
    """The JSON in `path`, or None where the file is absent or not JSON."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def machine_folder() -> Path:
    """A folder of this user for what belongs to the machine, such as its ports, whatever `SPACERUN_HOME` says.

    `$XDG_RUNTIME_DIR` (XDG Base Directory Specification), else the folder for temporary files; there, one that is not
    this user's alone is not used.
    """
    import stat
    import tempfile

    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime, "spacerun") if runtime else Path(tempfile.gettempdir(), f"spacerun-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return home().locks
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022
    return folder if mine else home().locks


@contextmanager
def locked(name: str, *, folder: Path | None = None, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock `name` between all spacerun processes of this user.

    The operating system releases it when its holder dies, however it dies.

    Args:
        name: Name of the lock: letters, digits, `.`, `_` and `-`.
        folder: Where the lock lies; default: with those of this home.
        on_wait: Called once if another process holds the lock.
    """
    import filelock

    folder = folder or home().locks
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        if on_wait:
            on_wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def is_held(name: str) -> bool:
    """Whether a process of this user holds the lock `name`; see `locked`."""
    import filelock

    lock = filelock.FileLock(home().locks / f"{name}.lock")
    home().locks.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return True
    lock.release()
    return False


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def tree_bytes(path: Path) -> int:
    """Bytes of disk that `path` and all below it take, hard links counted once, in bytes."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                status = os.lstat(Path(folder) / name)
            except OSError:
                continue
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_blocks * 512
    return total
