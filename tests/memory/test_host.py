"""Main memory that is to be had, within the limit of a container."""

from __future__ import annotations

import psutil
import pytest

from spacerun.memory.host import available_bytes

GIB = 1024**3


def control_group(root, version: int, limit: str, used: int, cache: int = 0):
    folder = root / "sys/fs/cgroup" / ("" if version == 2 else "memory")
    folder.mkdir(parents=True)
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{names[2]} {cache}\n")
    return root


def test_without_a_limit_it_is_what_the_system_has(tmp_path) -> None:
    assert available_bytes(tmp_path) == pytest.approx(psutil.virtual_memory().available, rel=0.05)
    assert available_bytes(control_group(tmp_path, 2, "max", GIB)) > 0.9 * psutil.virtual_memory().available


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_has_what_its_limit_leaves(tmp_path, version) -> None:
    root = control_group(tmp_path, version, str(GIB), GIB // 2, cache=GIB // 4)
    assert available_bytes(root) == 3 * GIB // 4
