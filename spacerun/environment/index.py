"""What the package index says of projects: which versions there are, and when each was uploaded (PEP 691, PEP 700)."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from spacerun import toml
from spacerun.environment.as_of import later
from spacerun.environment.python_choice import Published, published
from spacerun.environment.requirements import normalize
from spacerun.lanes import each
from spacerun.paths import home, read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PYPI: Final = "https://pypi.org/simple"
_ACCEPT: Final = "application/vnd.pypi.simple.v1+json"
_TIMEOUT_SECONDS: Final = 20
_LARGEST: Final = 64 << 20
_AT_ONCE: Final = 8
# A version is looked up again only where an answer of another day did not know it.
_FRESH_SECONDS: Final = 24 * 3600


@dataclass(frozen=True)
class Project:
    """What an index says of one project.

    Attributes:
        name: Normalized name.
        uploads: When each version was first uploaded (RFC 3339), by normalized version; empty if there is no such
            project.
        yanked: Versions taken back.
        dated: Whether the index tells upload times.
        pythons: For which Pythons there are files, by normalized version.
    """

    name: str
    uploads: Mapping[str, str]
    yanked: frozenset[str] = frozenset()
    dated: bool = True
    pythons: Mapping[str, Published] = field(default_factory=dict)

    def published(self, version: str) -> Published | None:
        """For which Pythons there are files of `version`, local part aside."""
        found = _version(version.split("+", maxsplit=1)[0])
        return self.pythons.get(found) if found else None

    def uploaded(self, version: str) -> str | None:
        """When `version` was first uploaded, local part (`+cu118`) aside."""
        from packaging.utils import canonicalize_version

        # 4.40 is 4.40.0.
        wanted = canonicalize_version(version.split("+", maxsplit=1)[0])
        return next((when for known, when in self.uploads.items() if canonicalize_version(known) == wanted), None)

    def released_from(self, date: str) -> str | None:
        """The first release made of what was under development on `date` (RFC 3339), pre-releases aside.

        A patch of the line released before is not: its changes are picked from what was under development. Where no
        such release follows within four months, it is the first release of any kind.
        """
        from packaging.version import Version

        newest = self.newest_before(date)
        line = Version(newest).release[:2] if newest else ()
        after = [(when, version) for version, when in self._releases() if when[:19] > date[:19]]
        feature = [item for item in after if Version(item[1]).release[:2] > line]
        soon = [item for item in feature if item[0][:10] <= later(date, days=120)[:10]]
        return min(soon or after, default=(None, None))[1]

    def newest_before(self, date: str) -> str | None:
        """The highest release until `date` (RFC 3339), pre-releases aside."""
        from packaging.version import Version

        earlier = [version for version, when in self._releases() if when[:19] <= date[:19]]
        return max(earlier, key=Version, default=None)

    def _releases(self) -> list[tuple[str, str]]:
        from packaging.version import Version

        return [
            (version, when)
            for version, when in self.uploads.items()
            if version not in self.yanked and not Version(version).is_prerelease
        ]


def ask(wanted: Mapping[str, str | None], *, offline: bool) -> dict[str, Project]:
    """Ask the index that uv uses for projects, several at once. What was learned before is not asked again.

    Args:
        wanted: For each project, the version that matters, or None.
        offline: Use only what was learned before.

    Returns:
        The projects by normalized name, without those for which the index gave no answer.
    """
    base = default_index()
    if base is None or not wanted:
        return {}
    names = {normalize(name): version for name, version in wanted.items()}
    found = each(lambda item: _known_or_asked(base, *item, offline=offline), names.items(), _AT_ONCE)
    return {project.name: project for project in found if project}


def default_index() -> str | None:
    """Address of the index that uv takes packages from, by its own rules; None where it is to use none."""
    if os.environ.get("UV_NO_INDEX", "").lower() in {"1", "true", "yes", "on"}:
        return None
    told = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL")
    if told:
        return re.sub(r"^[\w.-]+=", "", told).rstrip("/")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "uv" / "uv.toml"
    for file in (config, Path("/etc/uv/uv.toml")):
        with suppress(OSError, ValueError, AttributeError):
            if found := _in_configuration(file):
                return found.rstrip("/")
    return _PYPI


def _in_configuration(file: Path) -> str | None:
    content = toml.parse(file.read_text(encoding="utf-8"))
    for index in content.get("index", ()):
        if index.get("default"):
            return str(index["url"])
    told = content.get("index-url") or content.get("pip", {}).get("index-url")
    return str(told) if told else None


def _known_or_asked(base: str, name: str, version: str | None, *, offline: bool) -> Project | None:
    memory = home().cache / "index" / hashlib.sha256(base.encode()).hexdigest()[:12] / f"{name}.json"
    known = read_json(memory)
    if known:
        project = Project(
            name, known["uploads"], frozenset(known["yanked"]), known["dated"], _remembered(known.get("pythons", {}))
        )
        young = time.time() - known["asked"] < _FRESH_SECONDS
        if offline or young or (version and project.uploaded(version)):
            return project
    if offline:
        return None
    listing = _listing(base, name)
    if listing is None:
        return None
    project = _read(name, listing)
    write_json(
        memory,
        {
            "uploads": dict(project.uploads),
            "yanked": sorted(project.yanked),
            "dated": project.dated,
            "pythons": {v: [sorted(p.wheels), sorted(p.sources)] for v, p in project.pythons.items()},
            "asked": time.time(),
        },
    )
    return project


def _listing(base: str, name: str) -> list[dict[str, Any]] | None:
    """The files of a project; empty where the index has none of that name, None where it does not answer."""
    parts = urlsplit(f"{base}/{name}/")
    headers = {"Accept": f"{_ACCEPT}, */*;q=0.1", "Accept-Encoding": "gzip", "User-Agent": "spacerun"}
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    if parts.scheme not in {"http", "https"}:
        return None
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - http or https, see above
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
            body = answer.read(_LARGEST)
            if answer.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
        files = json.loads(body)["files"]
    except urllib.error.HTTPError as error:
        return [] if error.code in {404, 410} else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return [file for file in files if isinstance(file, dict)] if isinstance(files, list) else None


def _read(name: str, files: Iterable[dict[str, Any]]) -> Project:
    uploads: dict[str, str] = {}
    kept: set[str] = set()
    named: dict[str, list[tuple[str, str | None]]] = {}
    dated = True
    for file in files:
        version = _version_of_file(str(file.get("filename", "")), name)
        if version is None:
            continue
        when = str(file.get("upload-time") or "")
        dated = dated and bool(when)
        if when:
            uploads[version] = min(uploads.get(version, when), when)
        if not file.get("yanked"):
            kept.add(version)
        named.setdefault(version, []).append((str(file["filename"]), file.get("requires-python")))
    pythons = {version: published(names) for version, names in named.items()}
    return Project(name, uploads, frozenset(uploads.keys() - kept), dated, pythons)


def _remembered(pythons: Mapping[str, list[list[int]]]) -> dict[str, Published]:
    return {version: Published(*map(frozenset, minors)) for version, minors in pythons.items()}


def _version_of_file(file: str, name: str) -> str | None:
    if file.endswith(".whl"):
        return _version(file.split("-")[1]) if "-" in file else None
    for suffix in (".tar.gz", ".zip", ".tar.bz2"):
        if file.endswith(suffix):
            # An old source distribution's name may hold dashes of its own.
            return _version(file.removesuffix(suffix)[len(name) + 1 :])
    return None


def _version(text: str) -> str | None:
    from packaging.version import InvalidVersion, Version

    try:
        return str(Version(text))
    except InvalidVersion:
        return None
