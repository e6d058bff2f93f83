"""The Hub as tests use it: publish repositories, get an endpoint, see what was asked for."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.hub import publishing, repository
from tests.hub.faults import Faults
from tests.hub.lfs import Cdn
from tests.hub.listener import Listener
from tests.hub.registry import Registry
from tests.hub.routes import Router

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType

    from typing_extensions import Self

    from tests.hub.publishing import Content
    from tests.hub.repository import Kind
    from tests.hub.wire import Request

CDN_HOST = "localhost"
HUB_HOST = "127.0.0.1"


@dataclass
class Exchange:
    """One request and what became of it. `status` is 0 until an answer begins."""

    method: str
    host: str
    path: str
    query: str
    authorization: str | None
    status: int = 0
    bytes_sent: int = 0
    finished: bool = False

    @property
    def has_authorization(self) -> bool:
        """Whether credentials were sent."""
        return self.authorization is not None

    @property
    def kind(self) -> str:
        """`cdn`, `git`, `lfs` (the batch API), `api` or `file`."""
        if self.host == CDN_HOST:
            return "cdn"
        if "/info/lfs/" in self.path:
            return "lfs"
        if self.path.endswith(("/info/refs", "/git-upload-pack")):
            return "git"
        return "api" if self.path.startswith("/api/") and "/resolve-cache/" not in self.path else "file"


class Hub:
    """A stand-in for huggingface.co, served on loopback while used as a context manager.

    Args:
        root: An empty folder for its repositories.
        port: Port to listen on; 0 takes a free one.
        log: Called with each finished exchange.
    """

    def __init__(self, root: Path, *, port: int = 0, log: Callable[[Exchange], None] | None = None) -> None:
        self.root = root
        self.faults = Faults()
        self.registry = Registry()
        self._log = log
        self._numbers = itertools.count()
        self._exchanges: list[Exchange] = []
        self._changed = threading.Condition()
        self._listener = Listener(HUB_HOST, port, self)
        self.objects = publishing.ObjectStore(root / "lfs")
        self.cdn = Cdn(self.objects, f"http://{CDN_HOST}:{self.port}")
        self.router = Router(self.registry, self.cdn, CDN_HOST)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    @property
    def port(self) -> int:
        """The port of both host names."""
        return self._listener.port

    @property
    def endpoint(self) -> str:
        """The value for `HF_ENDPOINT`."""
        return f"http://{HUB_HOST}:{self.port}"

    def url(self, repo_id: str, kind: Kind = "space") -> str:
        """The address of a repository's page, which is also the one to clone."""
        return f"{self.endpoint}/{self.router.prefix(kind)}{repo_id}"

    # -- what is on the Hub ----------------------------------------------------------------------------------------

    def publish(  # noqa: PLR0913 - keywords of a test helper, each with a default
        self,
        repo_id: str,
        files: Path | Mapping[str, Content],
        *,
        kind: Kind = "space",
        branch: str = "main",
        message: str = "Upload files",
        date: datetime | None = None,
        lfs: Sequence[str] = publishing.LFS_PATTERNS,
        private: bool | None = None,
        gated: bool | None = None,
        readers: Sequence[str] = (),
    ) -> str:
        """Add a commit to a repository, which is created if need be.

        Args:
            repo_id: `owner/name`.
            files: A folder, or contents by path: bytes, text, a file to copy, an `Executable`, `Symlink` or
                `Gitlink`; None deletes. Files not named stay as they are.
            kind: Kind of repository.
            branch: Branch to commit to; a new one starts from `main`.
            message: Commit message.
            date: Author and committer date; default: an hour after the commit before.
            lfs: Patterns, as in `.gitattributes`, of the files to store with git-lfs.
            private: Whether only the owner and `readers` may see it; None leaves it as it is.
            gated: Whether only the owner and `readers` may download from it; None leaves it as it is.
            readers: Further users who may read it.

        Returns:
            The full commit id.
        """
        repo = self.registry.repos.get((kind, repo_id)) or self._create(kind, repo_id)
        if private is not None:
            repo.private = private
        if gated is not None:
            repo.gated = gated
        repo.readers.update(readers)
        contents = publishing.read_folder(files) if isinstance(files, Path) else files
        return publishing.commit(
            repo, self.objects, contents, ref=f"refs/heads/{branch}", message=message, date=date, lfs=lfs
        )

    def pull_request(
        self,
        repo_id: str,
        number: int,
        files: Mapping[str, Content],
        *,
        kind: Kind = "space",
        message: str = "Propose a change",
        lfs: Sequence[str] = publishing.LFS_PATTERNS,
    ) -> str:
        """Add a commit to `refs/pr/NUMBER`, which starts from `main`; its full id."""
        repo = self.repo(repo_id, kind)
        return publishing.commit(
            repo, self.objects, files, ref=f"refs/pr/{number}", message=message, date=None, lfs=lfs
        )

    def tag(self, repo_id: str, name: str, revision: str = "main", *, kind: Kind = "space") -> None:
        """Tag a revision."""
        self._set_ref(repo_id, kind, f"refs/tags/{name}", revision)

    def branch(self, repo_id: str, name: str, revision: str = "main", *, kind: Kind = "space") -> None:
        """Make a branch point to a revision, also backwards."""
        self._set_ref(repo_id, kind, f"refs/heads/{name}", revision)

    def rename(self, old: str, new: str, *, kind: Kind = "space") -> None:
        """Give a repository another name; the old one redirects."""
        repo = self.registry.repos.pop((kind, old))
        repo.id = new
        self.registry.repos[kind, new] = repo
        for key, target in self.registry.moved.items():
            if key[0] == kind and target == old:
                self.registry.moved[key] = new
        self.registry.moved[kind, old] = new

    def delete(self, repo_id: str, *, kind: Kind = "space") -> None:
        """Take a repository off the Hub."""
        del self.registry.repos[kind, repo_id]

    def add_token(self, token: str, user: str) -> None:
        """Make `token` a valid one of `user`, who may read what `user` owns."""
        self.registry.tokens[token] = user

    def set_info(self, repo_id: str, *, kind: Kind = "space", **facts: Any) -> None:
        """Override what the API says about a repository: `runtime={"stage": "PAUSED"}`, `likes=3`, ..."""
        self.repo(repo_id, kind).info.update(facts)

    def repo(self, repo_id: str, kind: Kind = "space") -> repository.Repo:
        """The repository as it is stored."""
        return self.registry.repos[kind, repo_id]

    def _create(self, kind: Kind, repo_id: str) -> repository.Repo:
        # A name can be used again after a rename, so the folder has a number.
        path = self.root / "git" / f"{next(self._numbers)}-{kind}-{repo_id.replace('/', '--')}.git"
        repo = repository.Repo(kind, repo_id, path)
        repository.create(repo.path)
        self.registry.moved.pop((kind, repo_id), None)
        self.registry.repos[kind, repo_id] = repo
        return repo

    def _set_ref(self, repo_id: str, kind: Kind, ref: str, revision: str) -> None:
        repo = self.repo(repo_id, kind)
        commit = repo.resolve(revision)
        if commit is None:
            raise ValueError(f"{repo_id} has no revision {revision}")
        repository.git(repo.path, "update-ref", ref, commit)

    # -- the line ------------------------------------------------------------------------------------------------------

    def go_offline(self) -> None:
        """Refuse every connection from now on, and break those that are open."""
        self._listener.pause()

    def go_online(self) -> None:
        """Accept connections again, at the same address."""
        self._listener.start()

    # -- what was asked ------------------------------------------------------------------------------------------------

    @property
    def requests(self) -> list[Exchange]:
        """The requests so far, once those under way have been answered (waits two seconds at most)."""
        deadline = time.monotonic() + 2
        with self._changed:
            self._changed.wait_for(
                lambda: all(exchange.finished for exchange in self._exchanges),
                timeout=max(0.0, deadline - time.monotonic()),
            )
            return list(self._exchanges)

    def clear_requests(self) -> None:
        """Forget the requests so far."""
        with self._changed:
            self._exchanges.clear()

    def bytes_sent(self, kind: str | None = None) -> int:
        """Bytes of bodies sent so far; only of one kind of exchange if `kind` is given (see `Exchange.kind`)."""
        return sum(e.bytes_sent for e in self.requests if kind in {None, e.kind})

    def begin(self, request: Request) -> Exchange:
        """Record a request that came in."""
        exchange = Exchange(request.method, request.host, request.path, request.query, request.authorization)
        with self._changed:
            self._exchanges.append(exchange)
        return exchange

    def end(self, exchange: Exchange) -> None:
        """Record that nothing more will be sent for a request."""
        with self._changed:
            exchange.finished = True
            self._changed.notify_all()
        if self._log:
            self._log(exchange)
