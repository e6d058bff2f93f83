"""A PyTorch that the machine has already, as notebook images do, lent to an environment instead of 2.5 GB more."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun.environment.requirements import Kind, Line, normalize
from spacerun.environment.torch import FAMILY, TorchChoice, runs_on
from spacerun.environment.torch_table import RELEASES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from importlib.metadata import Distribution

    from spacerun.environment.torch import Card

# What is useless without the torch that it was installed with.
_ATTACHED = re.compile(r"triton|pytorch-triton|nvidia-.+|cuda-(toolkit|bindings|pathfinder)")
_FOLDERS: Final = ("site-packages", "dist-packages")
_OVERLAY: Final = "borrowed"
_CUDA = re.compile(r"^cuda\b[^=]*=\s*['\"](?P<major>\d+)\.(?P<minor>\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Borrowed:
    """Packages of another Python installation.

    Attributes:
        site: The folder that holds them.
        packages: Name and version of each.
        entries: Their files and folders right below `site`.
        needs: What they require beside each other.
    """

    site: str
    packages: tuple[tuple[str, str], ...]
    entries: tuple[str, ...]
    needs: tuple[str, ...]


def find_torch(choice: TorchChoice, card: Card | None, minor: int) -> Borrowed | None:
    """The PyTorch of this machine, if it is the version of `choice`, for Python 3.`minor`, and runs on `card`.

    Starts no process: what is installed is read from its metadata.
    """
    for site in _sites(minor):
        found = {normalize(item.metadata["Name"]): item for item in _distributions(site)}
        torch = found.get("torch")
        if torch is None or torch.version.partition("+")[0] != choice.version:
            continue
        build = _build(site, torch.version)
        if card is None or (build and runs_on(build, card)):
            return _borrowed(site, choice, found)
    return None


def overrides_with(borrowed: Borrowed, overrides: Iterable[str]) -> tuple[str, ...]:
    """`overrides` changed so that nothing of what is lent gets installed."""
    lent = {name for name, _ in borrowed.packages}
    kept = (text for text in overrides if re.split(r"[ =@]", text)[0] not in lent)
    # An override whose marker is never true takes a package out, wherever it is asked for.
    return (*kept, *(f"{name} ; python_version < '0'" for name in sorted(lent)))


def needs_of(borrowed: Borrowed) -> tuple[Line, ...]:
    """What has to be installed for it."""
    return tuple(Line(text, Kind.PACKAGE, normalize(re.split(r"[^\w.-]", text)[0])) for text in borrowed.needs)


def lend(borrowed: Borrowed, venv: Path) -> None:
    """Put `borrowed` on the path of `venv`: links in a folder of its own, after the environment's own packages.

    Links inside of `site-packages` would let an installer that replaces torch delete the files of the other one.
    """
    overlay = venv / _OVERLAY
    overlay.mkdir()
    for name in borrowed.entries:
        (overlay / name).symlink_to(Path(borrowed.site) / name)
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "spacerun-borrowed.pth").write_text(f"{overlay}\n", encoding="utf-8")


def _borrowed(site: Path, choice: TorchChoice, found: dict[str, Distribution]) -> Borrowed:
    release = next((release for release in RELEASES if release.version == choice.version), None)
    expected = dict(zip(FAMILY, (choice.version, release.vision, release.audio), strict=True)) if release else {}
    lent = {
        name: item
        for name, item in found.items()
        if _ATTACHED.fullmatch(name) or name == "torch" or item.version.partition("+")[0] == expected.get(name)
    }
    needs = {
        requirement
        for name in FAMILY
        if name in lent
        for requirement in lent[name].requires or ()
        if "extra ==" not in requirement and normalize(re.split(r"[^\w.-]", requirement)[0]) not in lent
    }
    return Borrowed(
        site=str(site),
        packages=tuple((name, item.version) for name, item in sorted(lent.items())),
        entries=tuple(sorted({entry for item in lent.values() for entry in _entries(site, item)})),
        needs=tuple(sorted(text for text in needs if not _ATTACHED.match(normalize(re.split(r"[^\w.-]", text)[0])))),
    )


def _entries(site: Path, item: Distribution) -> Iterator[str]:
    """The files and folders of a package right below `site`: not its scripts, nor what lies elsewhere."""
    for file in item.files or ():
        top = file.parts[0]
        if top not in {"..", "__pycache__", "bin"} and not top.startswith("/") and (site / top).exists():
            yield top


def _sites(minor: int) -> Iterator[Path]:
    python = shutil.which("python3")
    prefixes = [
        Path(sys.prefix),
        *(Path(told) for name in ("VIRTUAL_ENV", "CONDA_PREFIX") if (told := os.environ.get(name))),
        *([Path(python).parent.parent, Path(python).resolve().parent.parent] if python else []),
        Path(sys.base_prefix),
        *map(Path, ("/opt/conda", "/usr/local", "/usr")),
    ]
    for prefix in dict.fromkeys(prefixes):
        for name in _FOLDERS:
            folder = prefix / "lib" / f"python3.{minor}" / name
            if any(folder.glob("torch-*.dist-info")):
                yield folder


def _distributions(site: Path) -> Iterator[Distribution]:
    import importlib.metadata

    yield from (item for item in importlib.metadata.distributions(path=[str(site)]) if item.metadata["Name"])


def _build(site: Path, version: str) -> str | None:
    """The build of the torch in `site`, like `cu126`; None for the CPU."""
    local = version.partition("+")[2]
    if local.startswith("cu"):
        return local
    try:
        match = _CUDA.search((site / "torch" / "version.py").read_text(encoding="utf-8"))
    except (OSError, UnicodeError):
        return None
    return f"cu{match['major']}{match['minor']}" if match else None


def reusing(choice: TorchChoice, borrowed: Borrowed) -> TorchChoice:
    """`choice` with what is lent in place of what would be downloaded."""
    version = dict(borrowed.packages)["torch"]
    return replace(
        choice,
        build="reused",
        why=f"torch {version} of this machine ({borrowed.site}) is used",
        overrides=overrides_with(borrowed, choice.overrides),
        warning=None if choice.raised_from is None else choice.warning,
    )
