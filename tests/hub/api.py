"""The REST API: the routes that huggingface_hub 1.x and 2.x call to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from tests.hub.files import find_commit
from tests.hub.info import repo_info, runtime, safetensors_headers
from tests.hub.wire import HubError, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.hub.lfs import Cdn
    from tests.hub.registry import Caller
    from tests.hub.repository import Commit, Entry, Repo

_PAGE = 1000
_EXPANDED_PAGE = 50


def whoami(caller: Caller) -> Response:
    """The user to whom the token belongs.

    Raises:
        HubError: 401 without a token.
    """
    if caller.user is None:
        raise HubError(401, "Invalid username or password.")
    token = {"displayName": "loopback", "role": "read", "createdAt": "2024-01-01T00:00:00.000Z"}
    auth = {"type": "access_token", "accessToken": token}
    return Response.json(
        {"type": "user", "id": "0", "name": caller.user, "fullname": caller.user, "orgs": [], "auth": auth}
    )


def search_models(repos: Sequence[Repo], request: Request) -> Response:
    """Answer `GET /api/models?search=&sort=&limit=`: ids that hold the text, the most downloaded first."""
    wanted = request.parameters.get("search", [""])[-1].lower()
    rows = [
        {
            "_id": repo.id,
            "id": repo.id,
            "modelId": repo.id,
            "private": repo.private,
            "gated": "manual" if repo.gated else False,
            "downloads": repo.info.get("downloads", 0),
            "likes": repo.info.get("likes", 0),
            "tags": [],
        }
        for repo in repos
        if wanted in repo.id.lower()
    ]
    page, headers = _page(sorted(rows, key=lambda row: -row["downloads"]), request, _PAGE)
    return Response.json(page, headers=headers)


def repository(repo: Repo, action: str, argument: str, path: str, request: Request, cdn: Cdn) -> Response:
    """Answer `/api/{kind}s/{id}[/action[/argument[/path]]]`.

    Raises:
        HubError: 404 for a route that the Hub lacks, or that this stand-in does.
    """
    answers: dict[str, Callable[[], Response]] = {
        "": lambda: _info(repo, "main", request, cdn),
        "revision": lambda: _info(repo, argument, request, cdn),
        "tree": lambda: _tree(repo, argument, path, request),
        "refs": lambda: _refs(repo, request),
        "commits": lambda: _commits(repo, argument or "main", request),
        "auth-check": lambda: Response.json({}),
    }
    if request.method == "POST":
        answers = {"paths-info": lambda: _paths_info(repo, argument, request)}
    elif repo.kind == "space":
        answers["runtime"] = lambda: Response.json(runtime(repo, find_commit(repo, "main")))
    elif repo.kind == "model":
        answers["safetensors-metadata"] = lambda: _safetensors(repo, argument, path, cdn)
    if action not in answers:
        raise HubError(404, "Sorry, we can't find the page you are looking for.")
    return answers[action]()


def _info(repo: Repo, revision: str, request: Request, cdn: Cdn) -> Response:
    """Everything, or only what `?expand=` asks for."""
    info = repo_info(repo, find_commit(repo, revision), cdn, blobs=request.flag("blobs"))
    wanted = {*request.parameters.get("expand", []), *request.parameters.get("expand[]", [])}
    if wanted:
        info = {name: info[name] for name in ("_id", "id", *wanted) if name in info}
    return Response.json(info)


def _safetensors(repo: Repo, folder_or_name: str, name: str, cdn: Cdn) -> Response:
    index = "/".join(filter(None, (folder_or_name, name)))
    return Response.json(safetensors_headers(repo, find_commit(repo, "main"), index, cdn))


def _tree(repo: Repo, revision: str, path: str, request: Request) -> Response:
    commit = find_commit(repo, revision)
    inside = f"{path}/" if path else ""
    entries = [
        entry
        for entry in repo.tree(commit)
        if entry.path.startswith(inside) and (request.flag("recursive") or "/" not in entry.path.removeprefix(inside))
    ]
    if path and not any(entry.path == path and entry.type == "directory" for entry in repo.tree(commit)):
        raise HubError(404, f"{path} does not exist on {revision}", "EntryNotFound", {"X-Repo-Commit": commit})
    expand = request.flag("expand")
    page, headers = _page(entries, request, _EXPANDED_PAGE if expand else _PAGE)
    commits = repo.last_commits(commit) if expand else {}
    return Response.json([_item(entry, commits.get(entry.path)) for entry in page], headers=headers)


def _paths_info(repo: Repo, revision: str, request: Request) -> Response:
    commit = find_commit(repo, revision)
    form = parse_qs(request.body.decode())
    wanted = set(form.get("paths", []))
    commits = repo.last_commits(commit) if form.get("expand", [""])[0].lower() == "true" else {}
    return Response.json([_item(entry, commits.get(entry.path)) for entry in repo.tree(commit) if entry.path in wanted])


def _item(entry: Entry, commit: Commit | None) -> dict[str, Any]:
    item: dict[str, Any] = {"type": entry.type, "oid": entry.oid, "size": entry.size, "path": entry.path}
    if entry.lfs:
        item["lfs"] = {"oid": entry.lfs.oid, "size": entry.lfs.size, "pointerSize": entry.lfs.pointer_size}
    if commit:
        item["lastCommit"] = {"id": commit.id, "title": commit.title, "date": commit.date}
    return item


def _refs(repo: Repo, request: Request) -> Response:
    groups = {"branches": "refs/heads/", "converts": "refs/convert/", "tags": "refs/tags/"}
    if request.flag("include_prs"):
        groups["pullRequests"] = "refs/pr/"
    refs = repo.refs()
    return Response.json(
        {
            group: [
                {"name": ref.removeprefix(prefix), "ref": ref, "targetCommit": commit}
                for ref, commit in refs.items()
                if ref.startswith(prefix)
            ]
            for group, prefix in groups.items()
        }
    )


def _commits(repo: Repo, revision: str, request: Request) -> Response:
    log = repo.log(find_commit(repo, revision))
    page, headers = _page(log, request, _EXPANDED_PAGE)
    items = [
        {
            "id": commit.id,
            "title": commit.title,
            "message": commit.message.strip(),
            "authors": [{"user": commit.author}],
            "date": commit.date,
        }
        for commit in page
    ]
    return Response.json(items, headers={"X-Total-Count": str(len(log)), **headers})


def _page(items: Sequence[Any], request: Request, size: int) -> tuple[Sequence[Any], dict[str, str]]:
    """One page, and the `Link` to the next one if there is one."""
    parameters = {name: values[-1] for name, values in request.parameters.items()}
    size = min(int(parameters.get("limit", size)), size)
    start = int(parameters.get("cursor", 0))
    if start + size >= len(items):
        return items[start:], {}
    query = urlencode({**parameters, "cursor": start + size})
    origin = f"http://{request.headers['Host']}"
    return items[start : start + size], {"Link": f'<{origin}{request.path}?{query}>; rel="next"'}
