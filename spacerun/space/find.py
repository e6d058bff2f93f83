"""Find a Space on the Hub and resolve its revision to a full commit."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from spacerun import hub
from spacerun.errors import FetchError, NotFoundError
from spacerun.paths import home, read_json, write_json
from spacerun.space.reference import SpaceRef, SubdomainRef, is_valid_name
from spacerun.text import one_line

if TYPE_CHECKING:
    from spacerun.progress import Progress

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DEFAULT = "(default)"


@dataclass(frozen=True)
class FoundSpace:
    """A Space as the Hub describes it at one commit.

    Attributes:
        id: `owner/name`, as it is called today.
        commit: Full commit hash that the asked revision stands for.
        revision: What was asked for; None is the default branch.
        private: Whether reading it needs a token.
        files: Number of files.
        lfs_bytes: Sum of the sizes of its LFS objects, in bytes.
    """

    id: str
    commit: str
    revision: str | None
    private: bool
    files: int
    lfs_bytes: int

    @property
    def url(self) -> str:
        """Address of its git repository."""
        return f"{hub.endpoint()}/spaces/{self.id}"


def find(reference: SpaceRef | SubdomainRef, *, progress: Progress, offline: bool = False) -> FoundSpace:
    """Ask the Hub, with one request, which commit `reference` stands for; offline, what it last was.

    Raises:
        NotFoundError: Missing, private or gated, or no such revision.
        FetchError: The Hub cannot be reached or does not answer as one.
    """
    if isinstance(reference, SubdomainRef):
        reference = _by_subdomain(reference, progress)
    if offline:
        return _remembered(reference)
    from huggingface_hub.errors import HfHubHTTPError

    with _folder_hint(reference), hub.hub_errors(f"Space {reference.id}", revision=reference.revision):
        info = hub.retrying(
            lambda: hub.api().space_info(
                reference.id, revision=reference.revision, files_metadata=True, timeout=hub.TIMEOUT_SECONDS
            ),
            HfHubHTTPError,
            progress,
        )
        files = info.siblings or []
        found = FoundSpace(
            id=_checked_id(info.id),
            commit=_checked_commit(info.sha, reference.id),
            revision=reference.revision,
            private=bool(info.private),
            files=len(files),
            lfs_bytes=sum(file.lfs.size for file in files if file.lfs),
        )
    if found.id.lower() != reference.id.lower():
        progress.note(f"{reference.id} is called {found.id} now.")
    return found


def remember(found: FoundSpace, asked: str) -> None:
    """Keep what was found, so that `--offline` knows which commit `asked` (`owner/name`) last stood for."""
    for name in {found.id, asked}:
        path = _memory(name)
        known = read_json(path) or {}
        known[found.revision or _DEFAULT] = asdict(found)
        write_json(path, known)


def last_commit(space: str, revision: str | None) -> str | None:
    """The commit that `revision` of `space` stood for when it was last launched; None if it never was."""
    known = (read_json(_memory(space)) or {}).get(revision or _DEFAULT)
    return known["commit"] if known else None


def _memory(space: str) -> Path:
    return home().spaces / space.replace("/", "--") / "revisions.json"


def _remembered(reference: SpaceRef) -> FoundSpace:
    known = read_json(_memory(reference.id)) or {}
    entry = known.get(reference.revision or _DEFAULT)
    if entry is None and reference.revision:
        entry = next((e for e in known.values() if e["commit"] == reference.revision), None)
    if entry is None:
        raise NotFoundError(
            f"{reference.id}{'@' + reference.revision if reference.revision else ''} is not on this disk.",
            hint="Launch it once without --offline.",
        )
    return FoundSpace(**{**entry, "revision": reference.revision})


def _by_subdomain(reference: SubdomainRef, progress: Progress) -> SpaceRef:
    """Hub route `GET /api/spaces/by-subdomain/<subdomain>`, which huggingface_hub has no method for."""
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import (
        build_hf_headers,
        get_session,
        hf_raise_for_status,
    )

    address = f"{hub.endpoint()}/api/spaces/by-subdomain/{quote(reference.subdomain, safe='')}"

    def ask() -> str:
        answer = get_session().get(address, headers=build_hf_headers(), timeout=hub.TIMEOUT_SECONDS)
        hf_raise_for_status(answer)
        return str(answer.json()["id"])

    with hub.hub_errors(f"Space https://{reference.subdomain}.hf.space"):
        owner, name = _checked_id(hub.retrying(ask, HfHubHTTPError, progress)).split("/")
    return SpaceRef(owner, name)


def _checked_id(value: str) -> str:
    parts = value.split("/")
    if len(parts) != 2 or not all(is_valid_name(part) for part in parts):  # noqa: PLR2004
        raise FetchError(f"The Hub named a Space {one_line(value)!r}, which cannot be a Space's name.")
    return value


def _checked_commit(value: str | None, space: str) -> str:
    if not value or not _COMMIT.fullmatch(value):
        raise FetchError(
            f"{space} has no commit yet." if not value else f"The Hub named a commit {one_line(value)!r}.",
            hint="Push a first commit to it, or ask for another revision.",
        )
    return value


class _folder_hint:  # noqa: N801 - reads as a statement where it is used
    """Adds to a "not found" that a folder of that name exists here."""

    def __init__(self, reference: SpaceRef) -> None:
        self._reference = reference

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, NotFoundError) and Path(self._reference.id).is_dir():
            error.hint = f"There is a folder of that name here: for that, type ./{self._reference.id}"
