"""The folders of this machine that a container sees: the Space's own `/data`, and its own cache."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from spacerun.containers.build import slug
from spacerun.containers.run import CACHE, DATA
from spacerun.paths import home
from spacerun.space.tree import space_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from spacerun.containers.dockerfile import Dockerfile

# huggingface_hub and transformers look for models there; a Dockerfile that names one of them may have filled it.
_DECIDED: Final = frozenset({
    "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE", "TORCH_HOME", "XDG_CACHE_HOME",
})  # fmt: skip
_BAKED: Final = re.compile(
    r"snapshot_download|hf_hub_download|from_pretrained|huggingface-cli|\bhf download\b|torch\.hub"
)


def folders_of(space: str, *, in_clone: bool) -> dict[str, Path]:
    """Path in the container → folder of this machine; they are made if need be.

    Any user id of the container may write to them; on this machine nobody else gets past the folder around them.
    """
    data = data_folder(space, in_clone=in_clone)
    data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    data.parent.chmod(0o700)
    found = {DATA: data, CACHE: data.with_name("cache")}
    for folder in found.values():
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
    return found


def data_folder(space: str, *, in_clone: bool) -> Path:
    """What is `/data` in the containers of a Space.

    Args:
        space: `owner/name`, or the path of a local folder.
        in_clone: Whether it is the former.
    """
    around = space_folder(space) if in_clone else home().data / "local" / _unique(space)
    return around / "container" / "data"


def _unique(folder: str) -> str:
    """A name for a local folder; its last part may be that of others as well."""
    return f"{slug(folder)}-{hashlib.sha256(folder.encode()).hexdigest()[:8]}"


def places(dockerfile: Dockerfile) -> Mapping[str, str]:
    """Variables that lead downloads to the cache, where they outlive the container.

    None where the Dockerfile says where they go, or fills the usual place while it is built: what lies there already
    must be found.
    """
    baked = any(_BAKED.search(row.text + "".join(row.heredocs)) for row in dockerfile.instructions if row.name == "RUN")
    if baked or _DECIDED & dockerfile.environment.keys():
        return {}
    return {"HF_HOME": f"{CACHE}/huggingface", "TORCH_HOME": f"{CACHE}/torch"}
