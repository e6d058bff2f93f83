"""Find a Space on the Hub and resolve its revision to a full commit."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from spacerun import hub
from spacerun.errors import FetchError, NotFoundError
from spacerun.paths import home, locked, read_json, write_json
from spacerun.space.reference import SpaceRef, SubdomainRef, is_valid_name
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        models: Models that the Hub itself found in its card and code.
    """

    id: str
    commit: str
    revision: str | None
    private: bool
    files: int
    lfs_bytes: int
    models: tuple[str, ...] = ()

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
    if offline:
        return _remembered(reference)
    if isinstance(reference, SubdomainRef):
        reference = _by_subdomain(reference, progress)
    from huggingface_hub.errors import HfHubHTTPError

    with _folder_hint(reference.id), hub.hub_errors(f"Space {reference.id}", revision=reference.revision):
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
            models=tuple(model for model in info.models or () if isinstance(model, str)),
        )
    if found.id.lower() != reference.id.lower():
        progress.note(f"{reference.id} is called {found.id} now.")
    if Path(reference.id).is_dir():
        progress.note(f"This is {reference.id} on the Hub; for the folder of that name, type ./{reference.id}")
    return found


def remember(found: FoundSpace, asked: str) -> None:
    """Keep what was found, so that `--offline` knows which commit `asked` (`owner/name`) last stood for."""
    with locked("revisions"):
        for name in {found.id, asked}:
            path = _memory(name)
            known = read_json(path) or {}
            known[found.revision or _DEFAULT] = asdict(found)
            write_json(path, known)


def _memory(space: str) -> Path:
    return home().spaces / space.replace("/", "--") / "revisions.json"


def _remembered(reference: SpaceRef | SubdomainRef) -> FoundSpace:
    if isinstance(reference, SubdomainRef):
        name, revision = f"https://{reference.subdomain}.hf.space", None
        path = next(
            (path for path in home().spaces.glob("*/revisions.json") if _subdomain(path) == reference.subdomain), None
        )
    else:
        name, revision = reference.id, reference.revision
        path = _memory(reference.id)
    known = (read_json(path) if path else None) or {}
    entry = known.get(revision or _DEFAULT)
    if entry is None and revision:
        entry = next((e for e in known.values() if e["commit"] == revision), None)
    if entry is None:
        with _folder_hint(name):
            raise NotFoundError(
                f"{name}{'@' + revision if revision else ''} is not on this disk.",
                hint="Launch it once without --offline.",
            )
    return FoundSpace(**{**entry, "revision": revision, "models": tuple(entry.get("models", ()))})


def _subdomain(memory: Path) -> str:
    """The Hub's subdomain for a Space: lower case, everything but letters and digits made a dash."""
    return re.sub(r"[^a-z0-9]+", "-", memory.parent.name.lower()).strip("-")


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


@contextmanager
def _folder_hint(space: str) -> Iterator[None]:
    """Add to a failure that a folder of that name exists here."""
    try:
        yield
    except (NotFoundError, FetchError) as error:
        if Path(space).is_dir():
            error.hint = f"There is a folder of that name here: for that, type ./{space}"
        raise
