"""The variables by which Hugging Face tells an app about its machine and about itself, told of this machine.

Hub documentation, "Spaces Overview", built-in variables. `SYSTEM` is not in it, but Gradio and others ask for it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun.memory.host import total_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

_GIB: Final = 1024**3
# A GPU in the name of its product → Hugging Face's hardware with one of it, of several sizes the largest, and with N.
_FLAVORS: Final = (
    (r"\bL40S\b", {1: "l40sx1", 4: "l40sx4", 8: "l40sx8"}),
    (r"\bL4\b", {1: "l4x1", 4: "l4x4"}),
    (r"\bT4\b", {1: "t4-medium"}),
    (r"\bA10G\b", {1: "a10g-large", 2: "a10g-largex2", 4: "a10g-largex4"}),
    (r"\bA100\b", {1: "a100-large", 4: "a100x4", 8: "a100x8"}),
    (r"\bH100\b", {1: "h100", 8: "h100x8"}),
    (r"\bRTX PRO 6000\b", {1: "rtx-pro-6000", 2: "rtx-pro-6000x2", 4: "rtx-pro-6000x4", 8: "rtx-pro-6000x8"}),
)
_MAKERS: Final = re.compile(r"\b(?:NVIDIA|GeForce|Quadro|Tesla)\b", re.IGNORECASE)

LIKE_HUB: Final = {
    "SPACE_ID": "owner/name", "SPACE_AUTHOR_NAME": "owner", "SPACE_REPO_NAME": "name", "SPACE_TITLE": "title",
    "SPACE_HOST": "owner-name.hf.space", "SYSTEM": "spaces",
}  # fmt: skip
"""What `--like-hub` sets, with examples."""


def machine_variables(gpus: Sequence[str]) -> dict[str, str]:
    """`ACCELERATOR`, `CPU_CORES` and `MEMORY`.

    Args:
        gpus: Names of the GPUs that the app sees.
    """
    return {
        "ACCELERATOR": _accelerator(gpus),
        "CPU_CORES": str(_cores()),
        "MEMORY": f"{max(1, total_bytes() // _GIB)}Gi",
    }


def hub_variables(space: str, title: str) -> dict[str, str]:
    """What an app on Hugging Face knows about itself; with it, Gradio makes no share link.

    Args:
        space: `owner/name`; a local folder counts as its owner's, whose name is `local`.
        title: Title of the card, if it has one.
    """
    owner, _, name = space.rpartition("/") if not Path(space).is_absolute() else ("local", "", Path(space).name)
    # A subdomain: of letters, digits and dashes.
    host = re.sub(r"[^a-z0-9]+", "-", f"{owner}-{name}".lower()).strip("-")
    return {
        "SPACE_ID": f"{owner}/{name}",
        "SPACE_AUTHOR_NAME": owner,
        "SPACE_REPO_NAME": name,
        "SPACE_TITLE": title or name,
        "SPACE_HOST": f"{host}.hf.space",
        "SYSTEM": "spaces",
    }


def _accelerator(gpus: Sequence[str]) -> str:
    """Hugging Face's name of such hardware; of what it does not have, the product's own name in that form."""
    if not gpus:
        return "none"
    first, count = gpus[0], len(gpus)
    for pattern, flavors in _FLAVORS:
        # A part of a GPU (MIG) is none of them.
        if count in flavors and "MIG" not in first and all(re.search(pattern, name) for name in gpus):
            return flavors[count]
    name = re.sub(r"[^a-z0-9]+", "-", _MAKERS.sub("", first).lower()).strip("-") or "gpu"
    return name if count == 1 else f"{name}x{count}"


def _cores(root: Path = Path("/")) -> int:
    """CPU cores that this process may use, within the limit of this container, rounded up.

    Linux, Documentation/admin-guide/cgroup-v2.rst (`cpu.max`) and scheduler/sched-bwc.rst.

    Args:
        root: Folder that stands for `/`.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    folder = root / "sys/fs/cgroup"
    quotas = _words(folder / "cpu.max"), _words(folder / "cpu/cpu.cfs_quota_us", folder / "cpu/cpu.cfs_period_us")
    for quota in quotas:
        match quota:
            case [str(most), str(period)] if most.isdigit() and period.isdigit() and int(period):
                cores = min(cores, -(-int(most) // int(period)))
    return max(1, cores)


def _words(*files: Path) -> list[str]:
    try:
        return " ".join(file.read_text() for file in files).split()
    except (OSError, ValueError):
        return []
