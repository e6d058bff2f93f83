"""Main memory that a new process can get."""

from __future__ import annotations

from pathlib import Path

_UNLIMITED = 1 << 60


def available_bytes(root: Path = Path("/")) -> int:
    """Bytes of main memory that are to be had: what the system has available, within the limit of this container.

    Linux, Documentation/admin-guide/cgroup-v2.rst (`memory.max`, `memory.current`) and cgroup-v1/memory.rst.

    Args:
        root: Folder that stands for `/`.
    """
    import psutil

    free = int(psutil.virtual_memory().available)
    for limit, used in _limits(root):
        most, taken = _number(limit), _number(used)
        if most is not None and taken is not None and most < _UNLIMITED:
            # Of what is counted as used, the file cache can be had again.
            free = min(free, max(0, most - taken + _file_cache(limit.parent)))
    return free


def total_bytes(root: Path = Path("/")) -> int:
    """Bytes of main memory that there are: the system's, or the limit of this container; see `available_bytes`."""
    import psutil

    limits = [_number(limit) for limit, _ in _limits(root)]
    return min([int(psutil.virtual_memory().total), *(most for most in limits if most is not None)])


def oom_kills() -> int:
    """How many processes the kernel has ended since it started because memory ran out; 0 where it does not tell.

    Linux, `oom_kill` in /proc/vmstat, since 4.13; those within a memory limit (cgroup) count too.
    """
    try:
        rows = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
        return int(rows.get("oom_kill", 0))
    except (OSError, ValueError):
        return 0


def _limits(root: Path) -> tuple[tuple[Path, Path], ...]:
    """The files with the limit and with what is used of it, of both versions of cgroups."""
    folder = root / "sys/fs/cgroup"
    return (
        (folder / "memory.max", folder / "memory.current"),
        (folder / "memory/memory.limit_in_bytes", folder / "memory/memory.usage_in_bytes"),
    )


def _file_cache(folder: Path) -> int:
    try:
        rows = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return int(rows.get("inactive_file", rows.get("total_inactive_file", 0)))
    except (OSError, ValueError):
        return 0


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # `max` is no limit
        return None
