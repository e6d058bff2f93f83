"""File downloads: `resolve` and `raw`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.hub.registry import PREFIXES
from tests.hub.wire import HubError, Request, Response

if TYPE_CHECKING:
    from tests.hub.lfs import Cdn
    from tests.hub.repository import Entry, Repo


def find_commit(repo: Repo, revision: str) -> str:
    """The commit that `revision` names.

    Raises:
        HubError: 404; there is none.
    """
    commit = repo.resolve(revision)
    if commit is None:
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    return commit


def answer(repo: Repo, action: str, revision: str, path: str, request: Request, cdn: Cdn) -> Response:
    """Answer `raw` (a file as git stores it: for LFS the pointer) and `resolve` (its content).

    Raises:
        HubError: 404 for an unknown revision or file.
    """
    commit = find_commit(repo, revision)
    entry = _find_file(repo, commit, path)
    if action == "raw":
        headers = {"X-Repo-Commit": commit, "Content-Type": "text/plain; charset=utf-8"}
        return Response.content(repo.blob(entry.oid), request, headers)
    return _resolve(repo, revision, commit, entry, cdn)


def _resolve(repo: Repo, revision: str, commit: str, entry: Entry, cdn: Cdn) -> Response:
    """Say where the content is: on the CDN for LFS, else behind a relative redirect."""
    path = entry.path
    headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
    if entry.lfs:
        headers |= {
            "Location": cdn.address(entry.lfs.oid, path.rsplit("/", 1)[-1]),
            "X-Linked-Size": str(entry.lfs.size),
            "X-Linked-ETag": f'"{entry.lfs.oid}"',
        }
        return Response.text("Found. Redirecting.", 302, headers)
    original = quote(f"/{PREFIXES[repo.kind]}{repo.id}/resolve/{revision}/{path}", safe="")
    target = f"/api/resolve-cache/{repo.kind}s/{repo.id}/{commit}/{quote(path)}"
    headers |= {"Location": f"{target}?{original}=&etag=%22{entry.oid}%22", "ETag": f'"{entry.oid}"'}
    return Response.text("Temporary Redirect.", 307, headers)


def cached(repo: Repo, commit: str, path: str, request: Request) -> Response:
    """The content of a regular file."""
    entry = _find_file(repo, find_commit(repo, commit), path)
    name = path.rsplit("/", 1)[-1]
    headers = {
        "X-Repo-Commit": commit,
        "ETag": f'"{entry.oid}"',
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(name)}; filename=\"{quote(name)}\";",
    }
    return Response.content(repo.blob(entry.oid), request, headers)


def _find_file(repo: Repo, commit: str, path: str) -> Entry:
    for entry in repo.tree(commit):
        if entry.path == path and entry.type == "file":
            return entry
    raise HubError(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": commit})
