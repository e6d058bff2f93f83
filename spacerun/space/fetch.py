"""Bring one commit of a Space into a repository, at depth 1, and see that its links stay inside."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from spacerun.errors import RefusedError
from spacerun.space import git
from spacerun.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from git import Repo

    from spacerun.progress import Progress
    from spacerun.space.find import FoundSpace


def fetch(found: FoundSpace, git_dir: Path, *, token: str | None, progress: Progress) -> Repo:
    """Bring the found commit into the repository at `git_dir`, at depth 1; free if it is there already.

    The commit is asked for by its hash; a server that refuses that is asked for the ref, at last for everything.

    Raises:
        FetchError: The server does not give it.
    """
    environment = git.git_environment(found.url, token=token)
    if not (git_dir / "HEAD").exists():
        git.command(git_dir.parent, environment).init("--quiet", "--bare", "--initial-branch=main", str(git_dir))
    _remove_stale_locks(git_dir)
    repo = git.repository(git_dir, environment)
    if _has_commit(repo, found.commit):
        return repo
    attempts: tuple[tuple[str, dict[str, Any]], ...] = (
        (f"+{found.commit}:{_kept_ref(found.commit)}", {"depth": 1}),
        (f"+{_full_ref(found.revision)}:refs/spacerun/fetched", {"depth": 1}),
        ("+refs/*:refs/spacerun/all/*", {"unshallow": True} if (git_dir / "shallow").exists() else {}),
    )
    failure: Exception | None = None
    for refspec, options in attempts:
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
            progress.update("clone", f"cloning: {share}{message}")

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


def _remove_stale_locks(git_dir: Path) -> None:
    # Only called under this Space's own lock, so no living spacerun holds them: they are what a kill -9 left.
    for lock in (*git_dir.glob("*.lock"), *git_dir.glob("worktrees/*/*.lock"), *git_dir.glob("refs/**/*.lock")):
        lock.unlink(missing_ok=True)


def refuse_escaping_links(repo: Repo, commit: str) -> None:
    """Raise `RefusedError` if a symbolic link of `commit` leads out of the working tree.

    Git LFS has written through such links (CVE-2025-26625), and a server that serves its folder would follow them.
    """
    for item in git.blobs(repo, commit):
        if item.mode != item.link_mode:
            continue
        path = str(item.path)
        target = item.data_stream.read().decode("utf-8", "replace")
        if target.startswith("/") or _escapes(PurePosixPath(path).parent / target):
            raise RefusedError(
                f"A symbolic link in the Space leads outside of it: {one_line(path)} → {one_line(target)}.",
                hint="Tell its author; a clone by hand would follow it.",
            )


def _escapes(path: PurePosixPath) -> bool:
    depth = 0
    for part in path.parts:
        depth += -1 if part == ".." else 0 if part == "." else 1
        if depth < 0:
            return True
    return False
