"""Running uv: a clean environment for it, its progress line by line, its errors in words."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun.children import child
from spacerun.errors import PackagesError, PrerequisiteError, SpacerunError
from spacerun.text import names_secret, one_line, printable, size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STAGE: Final = "environment"

_PREFIXES_DROPPED: Final = ("GIT_", "PYTHON", "CONDA", "VIRTUAL_ENV", "SPACERUN_", "HF_", "HUGGING", "__PYVENV")
# uv settings that would make it install somewhere else than told, and the width at which it would break its lines.
_UV_DROPPED: Final = frozenset({
    "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_BREAK_SYSTEM_PACKAGES", "UV_PROJECT", "UV_PROJECT_ENVIRONMENT",
    "UV_WORKING_DIR", "UV_WORKING_DIRECTORY", "UV_COMPILE_BYTECODE", "COLUMNS",
})  # fmt: skip
_TRUST_ANCHORS: Final = frozenset({"GIT_SSL_CAINFO", "GIT_SSL_CAPATH"})

# What git may do for a `git+` requirement: http and https always; ssh and local files only where the
# requirement itself (or the user's own `insteadOf`) says so, never from a submodule (CVE-2022-39253).
_GIT_CONFIG: Final = {
    "protocol.allow": "never",
    "protocol.http.allow": "always",
    "protocol.https.allow": "always",
    "protocol.ssh.allow": "user",
    "protocol.file.allow": "user",
    "core.askPass": "true",
}

_NO_SPACE = re.compile(r"No space left on device|os error 28\b|Disk quota exceeded|os error 122\b")
_NO_NETWORK = re.compile(
    r"dns error|tcp connect error|client error \(Connect\)|Network is unreachable|operation timed out"
    r"|Could not resolve host|Connection refused|Failed to connect to"
    r"|HTTP status (?:server error|client error \(429)|connection closed before message completed",
)
_ERROR_START = re.compile(r"^(?:error:|\s*\u00d7)", re.MULTILINE)
# uv before 0.10 draws a tree of causes, newer ones write a word before each.
_LEADER = re.compile(r"^(?:error:|cause:|hint:|[\u00d7\u2500-\u257f\u25b6\s]+)+\s*")


class UnresolvableError(PackagesError):
    """The requirements contradict each other, or name what no index has."""


# `sysconfig`, which it asks, fails when two threads are its first callers (seen on Python 3.11).
_finding = threading.Lock()


def find_uv() -> Path:
    """The uv binary: that of the `uv` package, else the one on PATH.

    Raises:
        PrerequisiteError: There is none.
    """
    with suppress(ImportError, FileNotFoundError), _finding:
        from uv import find_uv_bin

        return Path(find_uv_bin())
    found = shutil.which("uv")
    if not found:
        raise PrerequisiteError(
            "uv, which makes the environments, is not installed.", hint="python -m pip install uv", stage=STAGE
        )
    return Path(found)


def clean_environment() -> dict[str, str]:
    """The caller's environment variables without what a Space's packages must not see or be led astray by.

    Builds run strangers' code, and uv expands `${NAME}` in requirement files, so whatever looks like a secret stays
    out, but for the passwords of the user's own indexes (`UV_INDEX_<NAME>_PASSWORD`).
    """
    kept = {name: value for name, value in os.environ.items() if _is_kept(name)}
    kept["GIT_TERMINAL_PROMPT"] = "0"
    kept["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes"
    kept["GIT_CONFIG_COUNT"] = str(len(_GIT_CONFIG))
    for number, (name, value) in enumerate(_GIT_CONFIG.items()):
        kept[f"GIT_CONFIG_KEY_{number}"] = name
        kept[f"GIT_CONFIG_VALUE_{number}"] = value
    return kept


def _is_kept(name: str) -> bool:
    if name in _TRUST_ANCHORS or name.startswith("UV_INDEX"):
        return True
    return not (name.startswith(_PREFIXES_DROPPED) or name in _UV_DROPPED or names_secret(name))


def _configured_by() -> Path:
    # uv reads uv.toml and [tool.uv] of the working directory and its parents. A Space's own must not count (pip,
    # which Hugging Face's builder runs, knows neither), the user's must: an empty project leaves only the latter.
    from spacerun.paths import home

    folder = home().cache / "no-project"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run_uv(
    arguments: Sequence[str | Path],
    *,
    doing: str,
    cwd: Path | None = None,
    offline: bool = False,
    variables: dict[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """Run uv and return what it printed on stdout.

    It runs in a session of its own: no prompt reaches the terminal, and an interruption ends it with all its children.

    Args:
        arguments: Subcommand and options.
        doing: What fails if it fails, as the start of a sentence: `"The packages could not be installed"`.
        cwd: Working directory, from which relative paths in requirements count.
        offline: Use uv's cache only.
        variables: Environment variables to add.
        on_line: Receives each line of progress, printable.

    Raises:
        UnresolvableError: No set of packages satisfies the requirements.
        PackagesError: uv failed otherwise; the message holds its own explanation.
        PrerequisiteError: uv is absent or the disk is full.
    """
    command = [str(find_uv()), *map(str, arguments), "--color", "never", "--project", str(_configured_by())]
    if offline:
        command.append("--offline")
    lines: list[str] = []
    environment = clean_environment() | (variables or {})
    with tempfile.TemporaryFile() as output:
        with child(command, cwd=cwd, env=environment, stdout=output.fileno(), stderr=subprocess.PIPE) as process:
            for raw in process.stderr or ():
                line = printable(raw.decode(errors="replace")).rstrip()
                lines.append(line)
                if on_line and line.strip():
                    on_line(line.strip())
            status = process.wait()
        if status:
            raise _explained(doing, "\n".join(lines), status)
        output.seek(0)
        return output.read().decode(errors="replace")


def _explained(doing: str, text: str, status: int) -> SpacerunError:
    started = _ERROR_START.search(text)
    explanation = text[started.start() :] if started else text
    data = {"uv": explanation[-8000:]}
    if _NO_SPACE.search(text):
        return no_space(doing, one_line(explanation, 300))
    if status < 0:
        return PackagesError(f"{doing}: uv was ended by signal {-status}.", stage=STAGE, data=data)
    said = _sentence(explanation)
    if "network was disabled" in text:
        hint = "Run it once without --offline."
        return UnresolvableError(f"{doing} offline: {said}", hint=hint, stage=STAGE, data=data)
    if "No solution found" in text:
        hint = "Change the requirements, or add what is missing with --with PACKAGE."
        return UnresolvableError(f"{doing}: {said}", hint=hint, stage=STAGE, data=data)
    if _NO_NETWORK.search(text):
        hint = "Check the network and the proxy; --offline uses only what was downloaded before."
        return PackagesError(f"{doing}: {said}", hint=hint, stage=STAGE, data=data, passing=True)
    return PackagesError(
        f"{doing}: {said}", hint="Run it again with --verbose to see all of it.", stage=STAGE, data=data
    )


def _sentence(explanation: str) -> str:
    """What uv explains, a chain of causes over several lines, as one line: its first and its last links."""
    links = [link for line in explanation.splitlines() if (link := _LEADER.sub("", line).strip())]
    said = " ".join(" ".join(links).split())
    said = said.removeprefix("No solution found when resolving dependencies").lstrip(": ")
    return said if len(said) <= 900 else f"{said[:300]} … {said[-600:]}"  # noqa: PLR2004


def no_space(doing: str, detail: str) -> PrerequisiteError:
    """The error for a full disk, naming the folders that fill it and what is free there."""
    from spacerun.paths import home

    left = [
        f"{folder} has {size(free)} ({free} bytes) left"
        for folder in (home().environments, uv_cache())
        if (free := free_bytes(folder)) is not None
    ]
    return PrerequisiteError(
        f"{doing}: no space left on the disk; {', '.join(left)}. {detail}".strip(),
        hint="Free some space: `spacerun prune`, `uv cache prune`, or set SPACERUN_HOME to a larger disk.",
        stage=STAGE,
    )


def uv_cache() -> Path:
    """Where uv keeps what it downloaded (its own rule: `$UV_CACHE_DIR`, else below the user's cache folder)."""
    told = os.environ.get("UV_CACHE_DIR")
    if told:
        return Path(told)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "uv"


def free_bytes(folder: Path) -> int | None:
    """Bytes free for this user on the disk of `folder`, which need not exist yet; None where that cannot be told."""
    for existing in (folder, *folder.parents):
        with suppress(OSError):
            return shutil.disk_usage(existing).free
    return None
