"""Git, run so that neither the caller's environment nor a hostile repository decides what it does."""

from __future__ import annotations

import base64
import errno
import functools
import os
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from spacerun.errors import FetchError, NotFoundError, PrerequisiteError
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from git import Git, Repo

    from spacerun.progress import Progress

# The first that reads GIT_CONFIG_COUNT (its release notes): by it the settings below and the token are given.
OLDEST_GIT = (2, 31)
# What spacerun's git commands never do, whatever the user's configuration or the repository says.
_SETTINGS: dict[str, str] = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.autocrlf": "false",  # the Space's bytes as they are
    "init.templateDir": "",
    "credential.helper": "",  # no ambient credentials for a stranger's repository
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "advice.detachedHead": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "transfer.fsckObjects": "true",
    # Harmless flaws of old commits, which git's own clone takes without a word (git-fsck(1), FSCK MESSAGES).
    "fetch.fsck.zeroPaddedFilemode": "ignore",
    "fetch.fsck.missingSpaceBeforeDate": "ignore",
    "fetch.fsck.badTimezone": "ignore",
    # Large files come in a stage of their own: a checkout leaves pointers, with or without git-lfs installed.
    "filter.lfs.smudge": "",
    "filter.lfs.process": "",
    "filter.lfs.clean": "",
    "filter.lfs.required": "false",
}

# Program, its words for "install without asking", and whether it must be run as root; the first one there is used.
_PACKAGE_MANAGERS = (
    ("apt-get", ("install", "-y"), True),
    ("dnf", ("install", "-y"), True),
    ("brew", ("install",), False),
    ("conda", ("install", "-y", "-c", "conda-forge"), False),
)
# How git says that a server wants another token than it got, or one at all (git's http.c and remote-curl.c).
_NO_ACCESS = (
    "Authentication failed",
    "could not read Username",
    "could not read Password",
    "returned error: 401",
    "returned error: 403",
)
# How it says that the line or the server failed (curl's messages, and git's http.c, remote-curl.c and pkt-line.c).
_PASSING = re.compile(
    r"returned error: (?:429|5\d\d)|Could not resolve host|Failed to connect|Connection (?:refused|reset|timed out)"
    r"|Operation too slow|RPC failed|early EOF|hung up unexpectedly|unexpected disconnect|Empty reply from server",
    re.IGNORECASE,
)
# Prefix of folders in a repository in which files are made before they are moved into the working tree.
SCRATCH = "spacerun-new-"
_scrubbed: dict[str, str] = {}
_borrowers = 0
_borrowers_lock = threading.Lock()
_LEFTOVERS = (
    "*.lock",
    "worktrees/*/*.lock",
    "refs/**/*.lock",
    "objects/pack/tmp_*",
    "objects/*/tmp_obj_*",
    "*.tmp",
)


def scrub_git_environment() -> None:
    """Remove every `GIT_*` from this process's environment.

    Inside any git hook `GIT_DIR` and `GIT_WORK_TREE` name the user's repository, and GitPython hands them on: a
    checkout in our clone would then overwrite files over there. Its `env=` can add variables, not remove them.
    A certificate bundle named by `GIT_SSL_CAINFO` is carried over as a setting.
    """
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        _scrubbed[name] = os.environ.pop(name)
        if name == "GIT_SSL_CAINFO":
            _SETTINGS["http.sslCAInfo"] = _scrubbed[name]


@contextmanager
def git_variables_lent() -> Iterator[None]:
    """Give this process its `GIT_*` back once the block is left, and those that other threads are in: it is not ours.

    ipykernel sets `GIT_PAGER`, for one: without it, the `!git log` of a later cell would wait for a key for ever.
    """
    global _borrowers  # noqa: PLW0603 - as there is one environment for all threads
    with _borrowers_lock:
        _borrowers += 1
    try:
        yield
    finally:
        with _borrowers_lock:
            _borrowers -= 1
            if not _borrowers:
                os.environ.update({name: value for name, value in _scrubbed.items() if name not in os.environ})
                _scrubbed.clear()


def scrubbed_environment() -> dict[str, str]:
    """This process's environment after `scrub_git_environment`."""
    scrub_git_environment()
    return dict(os.environ)


def git_environment(url: str, *, token: str | None = None, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment for git commands that talk to `url`.

    The token goes into `GIT_CONFIG_*` (git-config(1)) under the URL's own scheme and host: it is neither in argv
    nor on disk, and is not sent to the host that LFS objects come from.

    Args:
        url: Address of the repository.
        token: The user's token, or None.
        settings: Further git settings; they win over the defaults.
    """
    parts = urlsplit(url)
    merged = dict(_SETTINGS)
    if parts.scheme != "https":
        merged[f"protocol.{parts.scheme}.allow"] = "always"
    if parts.netloc:
        # The longest match wins: an `insteadOf` of the user's, often towards SSH, has no say here (git-config(1)).
        merged[f"url.{url}.insteadOf"] = url
    if token:
        # Basic with the token as password is the Hub's documented way; "hf_user" is huggingface_hub's own default.
        credentials = base64.b64encode(f"hf_user:{token}".encode()).decode()
        merged[f"http.{parts.scheme}://{parts.netloc}/.extraHeader"] = f"Authorization: Basic {credentials}"
    merged.update(settings or {})
    environment = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "GIT_OPTIONAL_LOCKS": "0", "GIT_LFS_SKIP_SMUDGE": "1"}
    environment["GIT_CONFIG_COUNT"] = str(len(merged))
    for index, (key, value) in enumerate(merged.items()):
        environment[f"GIT_CONFIG_KEY_{index}"] = key
        environment[f"GIT_CONFIG_VALUE_{index}"] = value
    return environment


def require_git() -> None:
    """Raise `PrerequisiteError` where git is not installed, or too old to obey `git_environment`."""
    found = shutil.which("git")
    if found is None:
        raise PrerequisiteError("git is not installed, and Spaces are git repositories.", hint=install_hint("git"))
    version = _version_of(found)
    if version < OLDEST_GIT:
        said = ".".join(map(str, version)) or "of an unknown version"
        raise PrerequisiteError(
            f"git is {said}, and what guards against a hostile repository needs 2.31.", hint=install_hint("git")
        )


@functools.cache
def _version_of(program: str) -> tuple[int, ...]:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else ()


def install_command(package: str) -> str | None:
    """The command that installs a system package on this machine; None where no package manager is known."""
    for manager, words, as_root in _PACKAGE_MANAGERS:
        if shutil.which(manager):
            return " ".join([*(["sudo"] if as_root and os.geteuid() != 0 else []), manager, *words, package])
    return None


def install_hint(package: str) -> str:
    """What to do for want of a system package."""
    install = install_command(package)
    return f"Install it with: {install}" if install else f"Install {package} with your system's package manager."


def ensure_installed(program: str, progress: Progress, *, stage: str) -> bool:
    """Whether `program` is there, after installing the package of that name where this machine lets us.

    Tries apt-get, dnf (as root or by password-less sudo), brew and conda, whichever the machine has.

    Args:
        program: `git` or `git-lfs`.
        progress: Told of each attempt.
        stage: Stage in which it happens.
    """
    if shutil.which(program):
        return True
    for installer in _installers(program):
        progress.update(stage, f"installing {program}: {' '.join(installer)}")
        with suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                installer,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=180,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                check=False,
            )
        if shutil.which(program):
            progress.note(f"Installed {program} with: {' '.join(installer)}")
            return True
    return False


def _installers(package: str) -> Iterator[list[str]]:
    root = [] if os.geteuid() == 0 else ["sudo", "-n"] if shutil.which("sudo") else None
    for manager, words, as_root in _PACKAGE_MANAGERS:
        if not shutil.which(manager) or (as_root and root is None):
            continue
        before = (root or []) if as_root else []
        install = [*before, manager, *words, package]
        yield install
        if manager == "apt-get":
            # Most images come without package lists: the first attempt is free where they are there.
            yield from ([*before, manager, "update"], install)


def command(folder: Path, environment: Mapping[str, str] | None = None) -> Git:
    """A GitPython command runner in `folder`; local only unless `environment` allows a protocol."""
    require_git()
    scrub_git_environment()
    from git import Git

    runner = Git(folder)
    runner.update_environment(**(environment or git_environment("https://")))
    return runner


def repository(git_dir: Path, environment: Mapping[str, str]) -> Repo:
    """The GitPython repository at `git_dir`."""
    require_git()
    scrub_git_environment()
    from git import Repo

    repo = Repo(git_dir)
    repo.git.update_environment(**environment)
    return repo


def remove_leftovers(git_dir: Path) -> None:
    """Remove what a `kill -9` left in a repository: locks, and files that were being written.

    Only to be called under the Space's own lock, so that no living spacerun holds them.
    """
    for pattern in _LEFTOVERS:
        for leftover in git_dir.glob(pattern):
            leftover.unlink(missing_ok=True)
    for scratch in git_dir.glob(f"{SCRATCH}*"):
        shutil.rmtree(scratch, ignore_errors=True)


def command_error() -> type[Exception]:
    """What GitPython raises when git fails; a function, since importing GitPython takes 0.1 s."""
    from git.exc import GitCommandError

    return GitCommandError


def fetch_error(error: Exception, what: str) -> FetchError | NotFoundError | PrerequisiteError:
    """A failed git command, told in one sentence."""
    said = str(getattr(error, "stderr", "") or error)
    lines = [line for line in said.replace("'", "").splitlines() if line.strip()]
    fatal = [line for line in lines if "fatal:" in line or "error:" in line] or lines[-1:]
    text = one_line(fatal[0].partition("stderr:")[2] or fatal[0]) if fatal else type(error).__name__
    if "No space left on device" in said:
        return disk_full(what)
    if any(sign in said for sign in _NO_ACCESS):
        return NotFoundError(
            f"{what} may not be read: it is private, or its owner wants to know who uses it.",
            hint="Ask for access on its page, then log in with: hf auth login",
        )
    return FetchError(
        f"{what} could not be fetched: {text}",
        hint="Check the network and try again; what has arrived is kept.",
        passing=_PASSING.search(said) is not None,
    )


def disk_full(what: str) -> PrerequisiteError:
    """What to say when the disk has no room for `what`."""
    return PrerequisiteError(
        f"The disk is full: {what} could not be written.",
        hint="Free some space, for example with: spacerun prune",
    )


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn a full disk met while `what` is written into an error that says so."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise disk_full(what) from error
        raise
