"""Git requirements as of a date: which commit of a branch was the newest then."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from spacerun.environment.as_of import later
from spacerun.environment.index import ask
from spacerun.environment.requirements import Kind, Line, normalize
from spacerun.environment.uv import clean_environment
from spacerun.paths import home, locked, read_json, write_json
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from spacerun.progress import Progress

_GIT_URL = re.compile(
    r"^(?P<before>(?:[A-Za-z0-9][\w.-]*\s*(?:\[[^\]]*\])?\s*@\s*)?)git\+(?P<url>[a-z]+://[^\s#;]+)(?P<after>.*)$"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ABBREVIATED = re.compile(r"[0-9a-f]{7,40}")
_SETTINGS: Final = (
    f"core.hooksPath={os.devnull}",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
)
_CLONE_SECONDS: Final = 300
_NO_ANSWER: Final = "no answer"
_ASK_AGAIN_SECONDS: Final = 24 * 3600
_STEP: Final = "environment"
# Commits alone: a few megabytes even of large projects. Where a server cannot leave files out, all comes.
_FETCH: Final = ("fetch", "--quiet", "--no-tags", "--filter=tree:0", "--no-write-fetch-head")


@dataclass(frozen=True)
class Pinned:
    """A git requirement as of a date.

    Attributes:
        line: What to install instead.
        why: What was decided, as a sentence.
        newer: Packages that have to be younger than the date, with the date until which they may be.
    """

    line: Line
    why: str
    newer: tuple[tuple[str, str], ...] = ()


def pin(lines: Iterable[Line], date: str, *, progress: Progress, offline: bool) -> dict[Line, Pinned]:
    """The git requirements of `lines` that follow a branch, each at the newest first-parent commit before `date`.

    First-parent, because a branch merged later brings commits that are older than the merge.

    Args:
        lines: Lines of requirement files.
        date: RFC 3339.
        progress: Told what is fetched.
        offline: Use only what was learned before.

    Returns:
        What becomes of each requirement that is not taken as it stands.
    """
    found: dict[Line, Pinned] = {}
    for line in lines:
        match = _GIT_URL.match(line.text) if line.kind is Kind.REMOTE else None
        if match is None:
            continue
        url, ref = _split(match["url"])
        if ref and _ABBREVIATED.fullmatch(ref):
            continue
        commit = _commit_before(url, ref, date, progress=progress, offline=offline)
        if commit is None:
            if released := _released_after(line, url, date, offline=offline):
                found[line] = released
        elif commit:
            text = f"{match['before']}git+{url}@{commit}{match['after']}"
            why = f"{one_line(line.text, 120)} is taken at {commit[:12]}, the newest commit before {date[:10]}."
            found[line] = Pinned(replace(line, text=text), why)
    return found


def _split(url: str) -> tuple[str, str | None]:
    """A repository's address and the branch, tag or commit after its `@`."""
    address, at, ref = url.rpartition("@")
    # The `@` of `ssh://git@host/…` stands before the path.
    return (address, ref) if at and "/" in address.partition("://")[2] else (url, None)


def _commit_before(url: str, ref: str | None, date: str, *, progress: Progress, offline: bool) -> str | None:
    """The newest commit before `date`; empty where `ref` is a tag, None where the repository cannot be read."""
    name = hashlib.sha256(f"{url}\0{ref or ''}".encode()).hexdigest()[:20]
    memory = home().cache / "git-pins" / f"{name}.json"
    known: dict[str, str] = read_json(memory) or {}
    if date in known:
        return known[date]
    # A server that did not answer is not waited for at every launch.
    asked = float(known.get(_NO_ANSWER, 0))
    if offline or shutil.which("git") is None or time.time() - asked < _ASK_AGAIN_SECONDS:
        return None
    with locked(f"git-pins-{name}"):
        progress.update(_STEP, f"looking up {one_line(url, 80)} as of {date[:10]}")
        commit = _look_up(memory.with_suffix(".git"), url, ref, date)
        write_json(memory, known | ({_NO_ANSWER: str(time.time())} if commit is None else {date: commit}))
    return commit


def _look_up(repository: Path, url: str, ref: str | None, date: str) -> str | None:
    wanted = f"refs/heads/{ref}" if ref else "HEAD"
    try:
        if not (repository / "HEAD").is_file():
            shutil.rmtree(repository, ignore_errors=True)
            repository.parent.mkdir(parents=True, exist_ok=True)
            _git(repository.parent, "init", "--quiet", "--bare", "--template=", str(repository))
        try:
            _git(repository, *_FETCH, url, f"+{wanted}:refs/heads/taken")
        except subprocess.CalledProcessError as error:
            missing = b"couldn't find remote ref" in (error.stderr or b"")
            return "" if ref and missing else None
        said = _git(repository, "rev-list", "-1", "--first-parent", f"--before={date}", "refs/heads/taken").strip()
        if not said:
            # All of its history is younger than the date: its first commit comes closest.
            said = _git(repository, "rev-list", "--first-parent", "--reverse", "refs/heads/taken").split("\n")[0]
    except (OSError, subprocess.SubprocessError):
        return None
    return said if _COMMIT.fullmatch(said) else None


def _git(folder: Path, *arguments: str) -> str:
    # The variables that uv's own git gets: no caller's GIT_*, no prompt, few protocols; the user's `insteadOf` counts
    # here as it does when uv fetches the commit.
    return subprocess.run(
        ["git", *(word for setting in _SETTINGS for word in ("-c", setting)), *arguments],
        cwd=folder,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_CLONE_SECONDS,
        check=True,
    ).stdout.decode(errors="replace")


def _released_after(line: Line, url: str, date: str, *, offline: bool) -> Pinned | None:
    """The project's first release of what was developed on `date`, in place of a repository that cannot be reached."""
    name = line.name or normalize(urlsplit(url).path.rstrip("/").rpartition("/")[2].removesuffix(".git"))
    project = ask({name: None}, offline=offline).get(name)
    version = project.released_from(date) if project else None
    if project is None or version is None:
        return None
    extras = re.match(r"[\w.-]+\s*(\[[^\]]*\])", line.text)
    marker = line.text.partition(" ;")[1:]
    text = f"{name}{extras[1] if extras else ''}=={version}{''.join(marker)}"
    why = (
        f"{one_line(url, 100)} cannot be reached: {name} {version}, its first release after {date[:10]}, "
        "is taken from the package index."
    )
    return Pinned(Line(text, Kind.PACKAGE, name), why, ((name, later(project.uploads[version], days=1)),))
