"""Git's smart HTTP protocol, by git's own `http-backend` run as a CGI program."""

from __future__ import annotations

import subprocess
import tempfile
from typing import IO, TYPE_CHECKING

from tests.hub.faults import RefuseSha
from tests.hub.repository import git_environment
from tests.hub.wire import CHUNK, HubError, Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hub.repository import Repo


def serve(repo: Repo, action: str, request: Request) -> Response:
    """Answer `info/refs` and `git-upload-pack`; pushing is refused.

    Raises:
        HubError: 403 for a push.
    """
    if "git-receive-pack" in (action, *request.parameters.get("service", ())):
        raise HubError(403, "You are not allowed to push to this repository.")
    environment = git_environment() | {
        "GIT_PROJECT_ROOT": str(repo.path.parent),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{repo.path.name}/{action}",
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.query,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(request.body)),
    }
    if not any(isinstance(fault, RefuseSha) for fault in request.faults):
        environment |= {
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "uploadpack.allowAnySHA1InWant",
            "GIT_CONFIG_VALUE_0": "true",
        }
    # A file, not a pipe: nobody then has to write while nobody reads.
    with tempfile.TemporaryFile() as body:
        body.write(request.body)
        body.seek(0)
        process = subprocess.Popen(
            ["git", "http-backend"],
            stdin=body,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
    assert process.stdout is not None
    status, headers = 200, {}
    while line := process.stdout.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers[name] = value.strip()
    return Response(status, headers, _output(process, process.stdout), None)


def _output(process: subprocess.Popen[bytes], stream: IO[bytes]) -> Iterator[bytes]:
    try:
        with stream:
            while piece := stream.read1(CHUNK):  # type: ignore[attr-defined]
                yield piece
    finally:
        process.kill()
        process.wait()
