"""Which part of the Hub answers which path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

from tests.hub import api, files, git_http, lfs
from tests.hub.registry import PREFIXES, Caller, Registry
from tests.hub.wire import HubError, Moved, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hub.lfs import Cdn
    from tests.hub.repository import Kind

_KIND = r"(?P<kind>models|datasets|spaces)"
_ID = r"(?P<id>[^/]+(?:/[^/]+)?)"
# A revision with a slash comes encoded, except that git's own names of pull requests are taken as they are.
_REVISION = r"(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+)"
_API_ACTION = r"(?P<action>revision|tree|paths-info|refs|commits|auth-check|runtime|safetensors-metadata)"
_API = re.compile(rf"/api/{_KIND}/{_ID}(?:/{_API_ACTION}(?:/{_REVISION}(?:/(?P<path>.+))?)?)?")
_API_BARE = re.compile(rf"/api/{_KIND}/(?P<id>[^/]+)/{_API_ACTION}(?:/{_REVISION}(?:/(?P<path>.+))?)?")
_CACHE = re.compile(rf"/api/resolve-cache/{_KIND}/{_ID}/(?P<revision>[0-9a-f]{{40}})/(?P<path>.+)")
_PAGE = rf"/(?:(?P<kind>spaces|datasets)/)?{_ID}"
_FILE = re.compile(rf"{_PAGE}/(?P<action>resolve|raw)/{_REVISION}/(?P<path>.+)")
_GIT = re.compile(rf"{_PAGE}/(?P<action>info/refs|git-upload-pack|git-receive-pack)")
_LFS = re.compile(rf"{_PAGE}/info/lfs/(?P<action>objects/batch|locks/verify)")
_SEARCH = re.compile(r"/api/models")
_BY_SUBDOMAIN = re.compile(r"/api/spaces/by-subdomain/(?P<name>[^/]+)")


class Router:
    """Finds the answer to a request.

    Args:
        registry: What is on the Hub.
        cdn: Where LFS objects are.
        cdn_host: The host name under which `cdn` is asked.
    """

    def __init__(self, registry: Registry, cdn: Cdn, cdn_host: str) -> None:
        self.registry = registry
        self.cdn = cdn
        self.cdn_host = cdn_host

    @staticmethod
    def prefix(kind: Kind) -> str:
        """What stands before `owner/name` in addresses."""
        return PREFIXES[kind]

    def answer(self, request: Request) -> Response:
        """The answer, errors and redirects included."""
        try:
            if request.host == self.cdn_host:
                return self.cdn.serve(request)
            return self._route(request)
        except HubError as error:
            is_git = "/info/" in request.path or request.path.endswith("-pack")
            if is_git and error.status == 401:
                # The scheme that makes git and git-lfs ask for a password.
                error.headers["WWW-Authenticate"] = 'Basic realm="Authentication required", charset="UTF-8"'
            return error.response(as_json=request.path.startswith("/api/") or "/info/lfs/" in request.path)

    def _route(self, request: Request) -> Response:
        caller = self.registry.caller(request.authorization)
        if request.path == "/":
            return Response.text("<!doctype html><title>Loopback Hub</title>", kind="text/html; charset=utf-8")
        if request.path == "/api/whoami-v2":
            return api.whoami(caller)
        if _SEARCH.fullmatch(request.path):
            return api.search_models(self.registry.readable("model", caller), request)
        if match := _BY_SUBDOMAIN.fullmatch(request.path):
            found = self.registry.by_subdomain(match["name"])
            repo = self.registry.find("space", found or match["name"], caller)
            return api.repository(repo, "", "", "", request, self.cdn)
        for pattern in (_CACHE, _API_BARE, _API, _GIT, _LFS, _FILE):
            if match := pattern.fullmatch(request.path):
                return self._repository(pattern, match, request, caller)
        raise HubError(404, "Sorry, we can't find the page you are looking for.")

    def _repository(self, pattern: re.Pattern[str], match: re.Match[str], request: Request, caller: Caller) -> Response:
        groups = {name: unquote(value or "") for name, value in match.groupdict().items()}
        kind = cast("Kind", (groups["kind"] or "models").removesuffix("s"))
        over_git = pattern in {_GIT, _LFS}
        repo_id = groups["id"].removesuffix(".git") if over_git else groups["id"]
        action, revision, path = (groups.get(name, "") for name in ("action", "revision", "path"))
        gated = over_git or pattern in {_CACHE, _FILE} or action == "auth-check"
        try:
            repo = self.registry.find(kind, repo_id, caller, content=gated)
        except Moved as moved:
            start, end = match.span("id")
            target = request.path[:start] + moved.repo_id + request.path[end:]
            return self._redirect(target, request, over_git=over_git)
        answers: dict[re.Pattern[str], Callable[[], Response]] = {
            _GIT: lambda: git_http.serve(repo, action, request),
            _LFS: lambda: lfs.answer(repo, action, self.cdn, request),
            _CACHE: lambda: files.cached(repo, revision, path, request),
            _FILE: lambda: files.answer(repo, action, revision, path, request, self.cdn),
        }
        if pattern in answers:
            return answers[pattern]()
        return api.repository(repo, action, revision, path, request, self.cdn)

    @staticmethod
    def _redirect(target: str, request: Request, *, over_git: bool) -> Response:
        if request.query:
            target += f"?{request.query}"
        if over_git:
            target = f"http://{request.headers['Host']}{target}"
        # 307 keeps the method, which a POST to the LFS batch API needs; git itself moves for good.
        status = 301 if request.path.endswith("/info/refs") else 307
        return Response.text(f"Redirecting to {target}", status, {"Location": target})
