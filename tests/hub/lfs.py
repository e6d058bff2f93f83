"""The git-lfs batch API, and the CDN that serves objects at signed addresses on another host name."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.hub.faults import MissingObject
from tests.hub.wire import HubError, Request, Response

if TYPE_CHECKING:
    from tests.hub.publishing import ObjectStore
    from tests.hub.repository import Repo

_MEDIA_TYPE = {"Content-Type": "application/vnd.git-lfs+json; charset=utf-8"}


class Cdn:
    """Serves LFS objects to whoever holds an address signed by the Hub.

    Args:
        objects: The objects.
        origin: Scheme, host and port at which it is reached.
    """

    def __init__(self, objects: ObjectStore, origin: str) -> None:
        self.objects = objects
        self.origin = origin
        self.lifetime = 3600.0
        self._key = secrets.token_bytes(32)

    def address(self, oid: str, name: str | None = None) -> str:
        """A signed address of the object, good for `lifetime` seconds."""
        path = f"/repos/{oid[:2]}/{oid[2:4]}/{oid}"
        expires = str(time.time() + self.lifetime)
        disposition = ""
        if name is not None:
            value = f"inline; filename*=UTF-8''{quote(name)}; filename=\"{name}\";"
            disposition = f"&response-content-disposition={quote(value, safe='')}"
        signature = self._sign(path, expires)
        return f"{self.origin}{path}?Expires={expires}&Signature={signature}&Key-Pair-Id=LOOPBACK{disposition}"

    def serve(self, request: Request) -> Response:
        """Answer a GET or HEAD.

        Raises:
            HubError: 400 if credentials were sent beside the signature, as object stores do; 403 if the
                signature is missing, wrong or too old; 404.
        """
        if request.authorization is not None:
            raise HubError(400, "Only one auth mechanism allowed")
        expires = request.parameters.get("Expires", [""])[0]
        signature = request.parameters.get("Signature", [""])[0]
        if not hmac.compare_digest(signature, self._sign(request.path, expires)):
            raise HubError(403, "SignatureDoesNotMatch")
        if float(expires) < time.time():
            raise HubError(403, "Request has expired")
        oid = request.path.rsplit("/", 1)[-1]
        path = self.objects.path(oid)
        if not path.is_file():
            raise HubError(404, "NoSuchKey")
        headers = {"Content-Type": "binary/octet-stream", "ETag": f'"{oid}"'}
        if disposition := request.parameters.get("response-content-disposition"):
            headers["Content-Disposition"] = disposition[0]
        return Response.content(path, request, headers)

    def _sign(self, path: str, expires: str) -> str:
        return hmac.new(self._key, f"{path}?{expires}".encode(), hashlib.sha256).hexdigest()


def answer(repo: Repo, action: str, cdn: Cdn, request: Request) -> Response:
    """Answer `objects/batch` and `locks/verify`: there are no locks.

    Raises:
        HubError: 403 for an upload.
    """
    if action == "locks/verify":
        return Response.json({"ours": [], "theirs": []}, headers=_MEDIA_TYPE)
    return _batch(repo, cdn, request)


def _batch(repo: Repo, cdn: Cdn, request: Request) -> Response:
    """Where to download each object asked for (git-lfs, docs/api/batch.md)."""
    wanted = json.loads(request.body)
    if wanted.get("operation") != "download":
        raise HubError(403, "You are not allowed to push to this repository.", headers=_MEDIA_TYPE)
    missing = [fault.oid for fault in request.faults if isinstance(fault, MissingObject)]
    objects: list[dict[str, Any]] = []
    for item in wanted["objects"]:
        oid = item["oid"]
        answer = {"oid": oid, "size": item["size"]}
        if oid in repo.lfs_objects and oid not in missing and None not in missing:
            action = {"href": cdn.address(oid), "expires_in": int(cdn.lifetime)}
            objects.append({**answer, "authenticated": True, "actions": {"download": action}})
        else:
            objects.append({**answer, "error": {"code": 404, "message": "Object does not exist"}})
    return Response.json({"transfer": "basic", "objects": objects, "hash_algo": "sha256"}, headers=_MEDIA_TYPE)
