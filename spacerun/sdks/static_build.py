"""The build of a static Space (`app_build_command`), made in a copy of its files and kept by what it was made from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun.children import child
from spacerun.environment.uv import STAGE, clean_environment
from spacerun.errors import PackagesError, PrerequisiteError
from spacerun.paths import home, locked, read_json, sha256, write_json
from spacerun.text import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spacerun.progress import StageClock
    from spacerun.sdks.base import Site

_STATE_FILE: Final = "build.json"  # written last: a build without it is not complete
_TREE: Final = "tree"
_LEFT_OUT: Final = frozenset({".git", "node_modules"})
_LOCKS: Final = ("package-lock.json", "npm-shrinkwrap.json")
_SHELL: Final = "/bin/sh"
_TOOLS: Final = frozenset({"npm", "npx", "node", "yarn", "pnpm", "bun", "make"})
_SHOWN_LINES: Final = 15


def build(site: Site, clock: StageClock) -> Path:
    """The folder of the built files; nothing is run where the same files were built before.

    Hugging Face builds in a job and keeps the result in `refs/convert/build` (hub-docs, "Static HTML Spaces").

    Raises:
        PrerequisiteError: npm, or what the command names, is not here.
        PackagesError: The build failed, or made no page.
    """
    command = site.card.build_command
    with clock.stage("environment", f"building: {one_line(command, 80)}") as stage:
        key = _key(site)
        folder = home().builds / key
        with locked(f"build-{key}"):
            if read_json(folder / _STATE_FILE) is None:
                _make(site, folder, clock)
                stage.text = f"built by {one_line(command, 80)}"
            else:
                stage.text = f"{one_line(command, 80)} (as built before)"
        os.utime(folder)
    return folder / _TREE


def _make(site: Site, folder: Path, clock: StageClock) -> None:
    _require_programs(site)
    shutil.rmtree(folder, ignore_errors=True)
    tree = folder / _TREE
    _copy(site.directory, tree)
    variables = clean_environment() | {"CI": "true", "NO_COLOR": "1", "npm_config_fund": "false"} | dict(site.given)
    for step in _steps(site):
        _run(step, tree, variables, clock)
    page = tree / site.card.app_file
    if not page.is_file():
        raise PackagesError(
            f"The build made no {one_line(site.card.app_file)}, which the card names as its page.",
            hint=f"See what it made: {tree}",
        )
    write_json(folder / _STATE_FILE, {"space": site.name, "commit": site.commit, "command": site.card.build_command})


def _steps(site: Site) -> Iterator[list[str]]:
    if (site.directory / "package.json").is_file():
        exact = any((site.directory / name).is_file() for name in _LOCKS)
        offline = ["--offline"] if site.offline else []
        yield ["npm", "ci" if exact else "install", "--no-audit", *offline]
    yield [_SHELL, "-c", site.card.build_command]


def _require_programs(site: Site) -> None:
    wanted = {word for word in site.card.build_command.split() if word in _TOOLS}
    wanted |= {"npm"} if (site.directory / "package.json").is_file() else set()
    missing = sorted(name for name in wanted if shutil.which(name) is None)
    if missing:
        raise PrerequisiteError(
            f"This Space is built by `{one_line(site.card.build_command, 80)}`, and {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not here.",
            hint="Node.js brings npm: https://nodejs.org, or sudo apt-get install nodejs npm",
        )


def _run(command: Sequence[str], tree: Path, variables: dict[str, str], clock: StageClock) -> None:
    shown = command[-1] if command[0] == _SHELL else " ".join(command)
    last: deque[str] = deque(maxlen=_SHOWN_LINES)
    with child(command, cwd=tree, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        for raw in process.stdout or ():
            line = printable(raw.decode(errors="replace")).rstrip()
            if line:
                last.append(line)
                clock.progress.update(STAGE, line)
        status = process.wait()
    if status:
        raise PackagesError(
            f"The build failed: `{one_line(shown, 100)}` ended with status {status}.",
            hint="\n".join(["Its last lines:", *last] if last else ["It wrote nothing."]),
        )


# -- what it is made from ----------------------------------------------------------------------------------------------


def _files(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The files and links of a Space, as they are now; what `npm` and git made is left out."""
    for folder, folders, names in os.walk(root):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT and name not in links)
        for name in sorted([*names, *links]):
            path = Path(folder) / name
            status = path.lstat()
            if name not in _LEFT_OUT and (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
                yield path, status


def _key(site: Site) -> str:
    """Hash of all that is built, and how."""
    digest = hashlib.sha256(json.dumps([site.card.build_command, sorted(site.given.items())]).encode())
    for path, status in _files(site.directory):
        name, link = path.relative_to(site.directory), stat.S_ISLNK(status.st_mode)
        digest.update(f"\0{name}\0{stat.S_IMODE(status.st_mode)}\0".encode(errors="surrogateescape"))
        digest.update(os.fsencode(path.readlink()) if link else bytes.fromhex(sha256(path)))
    return digest.hexdigest()[:20]


def _copy(root: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for path, _ in _files(root):
        copy = target / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy, follow_symlinks=False)
