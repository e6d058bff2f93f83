"""PyTorch's own package index: whether it answers, and which wheels it has."""

from __future__ import annotations

import hashlib
import os
import time
import urllib.error
import urllib.request
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urljoin, urlsplit

from spacerun.paths import home, read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# A mirror of it has the same folders below: `cpu`, `cu118`, …
BASE_VARIABLE: Final = "SPACERUN_TORCH_INDEX"
_OFFICIAL: Final = "https://download.pytorch.org/whl"
_SECONDS: Final = 3
_LARGEST: Final = 8 << 20
_FRESH_SECONDS: Final = 24 * 3600
_RETRY_SECONDS: Final = 600


def base() -> str:
    """The index's address, without the build's folder."""
    return os.environ.get(BASE_VARIABLE, "").rstrip("/") or _OFFICIAL


def is_torch_index(address: str) -> bool:
    """Whether `address` lies on PyTorch's index."""
    return urlsplit(address).hostname in {urlsplit(_OFFICIAL).hostname, urlsplit(base()).hostname}


def wheels(build: str, project: str, *, offline: bool) -> dict[str, str] | None:
    """Addresses, with hashes, of the wheels of `project` for `build`, by file name.

    Args:
        build: `cpu`, `cu118`, …
        project: `torch`, for example.
        offline: Use only what was learned before.

    Returns:
        None where the index does not answer; that is remembered for ten minutes, what it says for a day.
    """
    address = f"{base()}/{build}/{project}/"
    memory = home().cache / "torch-index" / f"{hashlib.sha256(address.encode()).hexdigest()[:16]}.json"
    known = read_json(memory)
    if known and (offline or time.time() - known["asked"] < _FRESH_SECONDS):
        return dict(known["wheels"])
    if offline or _silent():
        return None
    found = _listing(address)
    if found is None:
        write_json(_silence(), {"base": base(), "asked": time.time()})
        return None
    write_json(memory, {"wheels": found, "asked": time.time()})
    return found


def fitting(names: Iterable[str], version: str, minor: int) -> str | None:
    """The wheel among `names` of `version`, local part included, that fits Python 3.`minor` on this machine."""
    from packaging.tags import platform_tags
    from packaging.utils import parse_wheel_filename

    platforms = list(platform_tags())
    best: tuple[int, str] | None = None
    for name in names:
        try:
            _, found, _, tags = parse_wheel_filename(name)
        except ValueError:  # not a wheel, or with tags that no installer takes
            continue
        if str(found) != version:
            continue
        for tag in tags:
            fits = tag.interpreter in {f"cp3{minor}", "py3"} and not tag.abi.endswith("t")
            if fits and tag.platform in [*platforms, "any"]:
                rank = platforms.index(tag.platform) if tag.platform in platforms else len(platforms)
                best = min(best or (rank, name), (rank, name))
    return best[1] if best else None


def _silent() -> bool:
    known = read_json(_silence())
    return bool(known and known["base"] == base() and time.time() - known["asked"] < _RETRY_SECONDS)


def _silence() -> Path:
    return home().cache / "torch-index" / "silent.json"


class _Links(HTMLParser):
    """The links of a simple index's page (PEP 503)."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link to a wheel."""
        target = dict(attrs).get("href") if tag == "a" else None
        if target:
            link = urljoin(self.address, target)
            name = unquote(urlsplit(link).path.rpartition("/")[2])
            if name.endswith(".whl") and urlsplit(link).scheme in {"http", "https"}:
                self.found[name] = link


def _listing(address: str) -> dict[str, str] | None:
    if urlsplit(address).scheme not in {"http", "https"}:
        return None
    request = urllib.request.Request(  # noqa: S310 - http or https, see above
        address, headers={"Accept": "text/html", "User-Agent": "spacerun"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - the same
            links = _Links(answer.url)
            links.feed(answer.read(_LARGEST).decode(errors="replace"))
    except urllib.error.HTTPError as error:
        # An object store says "forbidden" for what it does not have.
        return {} if error.code in {403, 404, 410} else None
    except (OSError, ValueError):
        return None
    return links.found
