"""Which repositories there are, under which names, and who may read them."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.hub.wire import HubError, Moved

if TYPE_CHECKING:
    from tests.hub.repository import Kind, Repo

PREFIXES: dict[Kind, str] = {"model": "", "dataset": "datasets/", "space": "spaces/"}


@dataclass(frozen=True)
class Caller:
    """Who asks; `user` is None for an anonymous caller."""

    user: str | None = None


@dataclass
class Registry:
    """Repositories, former names and tokens."""

    repos: dict[tuple[Kind, str], Repo] = field(default_factory=dict)
    moved: dict[tuple[Kind, str], str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def caller(self, authorization: str | None) -> Caller:
        """Who sent this `Authorization` header: a Bearer token, or a token as the password of any user.

        Raises:
            HubError: 401; the token is unknown.
        """
        if not authorization:
            return Caller()
        scheme, _, credentials = authorization.partition(" ")
        token = credentials.strip()
        if scheme.lower() == "basic":
            try:
                token = base64.b64decode(token, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                token = ""
        if token not in self.tokens:
            raise HubError(401, "Invalid credentials in Authorization header")
        return Caller(self.tokens[token])

    def find(self, kind: Kind, repo_id: str, caller: Caller, *, content: bool = False) -> Repo:
        """The repository, if `caller` may know of it (and, with `content`, read its files).

        Raises:
            Moved: It has another name now.
            HubError: 401 or 404 if missing or private, 401 or 403 if gated. An anonymous caller cannot tell
                missing from private.
        """
        new_name = self.moved.get((kind, repo_id))
        repo = self.repos.get((kind, new_name or repo_id))
        owner_or_reader = repo is not None and caller.user in {repo.id.split("/")[0], *repo.readers}
        if repo is None or (repo.private and not owner_or_reader):
            # huggingface_hub takes a bare 401 for "missing or private" on https addresses only; the code makes it
            # draw the same conclusion on loopback.
            if caller.user is None:
                raise HubError(401, "Invalid username or password.", "RepoNotFound")
            raise HubError(404, "Repository not found", "RepoNotFound")
        if new_name:
            raise Moved(new_name)
        if content and repo.gated and not owner_or_reader:
            if caller.user is None:
                message = f"Access to {kind} {repo_id} is restricted. You must have access to it and be authenticated."
                raise HubError(401, message, "GatedRepo")
            message = f"Access to {kind} {repo_id} is restricted and you are not in the authorized list."
            raise HubError(403, message, "GatedRepo")
        return repo

    def readable(self, kind: Kind, caller: Caller) -> list[Repo]:
        """The repositories of a kind that `caller` may know of."""
        repos = (repo for (of, _), repo in self.repos.items() if of == kind)
        return [repo for repo in repos if not repo.private or caller.user in {repo.id.split("/")[0], *repo.readers}]

    def by_subdomain(self, name: str) -> str | None:
        """The Space that `https://NAME.hf.space` shows."""
        for kind, repo_id in self.repos:
            if kind == "space" and subdomain(repo_id) == name:
                return repo_id
        return None


def subdomain(repo_id: str) -> str:
    """`owner-name`: lower case, everything but letters and digits made a dash."""
    return re.sub(r"[^a-z0-9]+", "-", repo_id.lower()).strip("-")
