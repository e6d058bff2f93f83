"""Bring one commit of a Space into a repository, at depth 1, and see that its links stay inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spacerun.errors import RefusedError
from spacerun.space import git
from spacerun.space.entries import content, entries
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from git import Repo

    from spacerun.progress import Progress
    from spacerun.space.find import FoundSpace

_MOST_LINKS = 40


def fetch(found: FoundSpace, git_dir: Path, *, token: str | None, progress: Progress) -> Repo:
    """Bring the found commit into the repository at `git_dir`, at depth 1; free if it is there already.

    The commit is asked for by its hash; a server that refuses that is asked for the ref, at last for everything.

    Raises:
        FetchError: The server does not give it.
    """
    environment = git.git_environment(found.url, token=token)
    git.remove_leftovers(git_dir)
    _require_repository(git_dir, environment)
    repo = git.repository(git_dir, environment)
    if _has_commit(repo, found.commit):
        return repo
    failure: Exception | None = None
    for refspec, depth in (
        (f"+{found.commit}:{_kept_ref(found.commit)}", 1),
        (f"+{_full_ref(found.revision)}:refs/spacerun/fetched", 1),
        ("+refs/*:refs/spacerun/all/*", None),
    ):
        options: dict[str, Any] = {"depth": depth} if depth else {"unshallow": (git_dir / "shallow").exists()}
        try:
            _fetch_with_progress(repo, found.url, refspec, options, progress)
            repo.git.update_ref(_kept_ref(found.commit), found.commit)
        except git.command_error() as error:
            failure = failure or error
            if _is_transport_failure(error):
                break
        else:
            return repo
    raise git.fetch_error(failure or ValueError("the server did not send it"), f"{found.id}@{found.commit[:8]}")


def _fetch_with_progress(repo: Repo, url: str, refspec: str, options: dict[str, Any], progress: Progress) -> None:
    from git import RemoteProgress
    from git.cmd import handle_process_output

    class Counter(RemoteProgress):
        def update(
            self, _op_code: int, cur_count: str | float, max_count: str | float | None = None, message: str = ""
        ) -> None:
            share = f"{float(cur_count) / float(max_count):.0%} " if max_count else ""
            progress.update("clone", f"cloning: {share}{one_line(message, 80)}")

    counter = Counter()
    process = repo.git.fetch(
        "--no-tags", "--progress", "--", url, refspec, as_process=True, universal_newlines=True, **options
    )
    handle_process_output(process, None, counter.new_message_handler(), finalizer=None, decode_streams=False)
    process.wait(stderr="\n".join(counter.error_lines + counter.other_lines))


def _kept_ref(commit: str) -> str:
    """The ref that keeps a fetched commit; git writes it after all its objects are there and connected."""
    return f"refs/spacerun/commits/{commit}"


def _full_ref(revision: str | None) -> str:
    if revision is None:
        return "HEAD"
    return revision if revision.startswith("refs/") else f"refs/heads/{revision}"


def _is_transport_failure(error: Exception) -> bool:
    said = str(error)
    return any(
        sign in said
        for sign in (
            "Could not resolve",
            "Failed to connect",
            "early EOF",
            "Authentication failed",
            "RPC failed",
            "No space left",
        )
    )


def _has_commit(repo: Repo, commit: str) -> bool:
    try:
        repo.git.rev_parse("--verify", "--quiet", _kept_ref(commit))
    except git.command_error():
        return False
    return True


def _require_repository(git_dir: Path, environment: dict[str, str]) -> None:
    """Make the repository; a second `git init` completes one that a kill left half made (git-init(1))."""
    if (git_dir / "objects" / "info").is_dir():  # what `git init` makes last
        return
    git_dir.mkdir(parents=True, exist_ok=True)
    runner = git.command(git_dir.parent, environment)
    if git_dir.name == ".git":
        runner.init("--quiet", "--initial-branch=main")
    else:
        runner.init("--quiet", "--bare", "--initial-branch=main", str(git_dir))


def refuse_escaping_links(repo: Repo, commit: str) -> None:
    """Raise `RefusedError` if a symbolic link of `commit` leads out of the working tree.

    Git LFS has written through such links (CVE-2025-26625), and a server that serves its folder would follow them.
    """
    targets = {
        path: content(repo, entry.blob).decode("utf-8", "surrogateescape")
        for path, entry in entries(repo, commit).items()
        if entry.is_link
    }
    for path, target in targets.items():
        if _escapes(path, targets):
            raise RefusedError(
                f"A symbolic link in the Space leads outside of it: {one_line(path)} → {one_line(target)}.",
                hint="Tell its author; a clone by hand would follow it.",
            )


def _escapes(path: str, targets: Mapping[str, str]) -> bool:
    """Whether following `path`, through other links as well, leaves the tree whose links are `targets`."""
    here: list[str] = []
    ahead = path.split("/")[::-1]
    followed = 0
    while ahead:
        part = ahead.pop()
        if part == "..":
            if not here:
                return True
            here.pop()
        elif part not in {"", "."}:
            here.append(part)
            target = targets.get("/".join(here))
            if target is not None:
                followed += 1
                if target.startswith("/"):
                    return True
                if followed > _MOST_LINKS:
                    return False  # the kernel gives up as well (path_resolution(7)), so it leads nowhere
                here.pop()
                ahead += target.split("/")[::-1]
    return False
