"""Submodules that lie on the same Hub; all others are named and left out."""

from __future__ import annotations

import configparser
import shlex
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from spacerun import hub
from spacerun.paths import locked
from spacerun.space import git
from spacerun.space.lfs import fill
from spacerun.space.pointers import find_pointers
from spacerun.space.tree import Checkout
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.progress import Progress


def fill_submodules(checkout: Checkout, *, url: str, token: str | None, progress: Progress) -> tuple[str, ...]:
    """Fetch the submodules of `checkout` whose repository is on the Hub in use, at depth 1.

    A submodule's address is a stranger's text: git would run a program for `ext::…` and read this disk for
    `file://…` (gitmodules(5), git-submodule(1)), so only the Hub's own scheme and host are asked.

    Returns:
        Paths of the submodules fetched.

    Raises:
        FetchError: One on this Hub, or a large file in it, cannot be fetched.
    """
    fetched = []
    for name, path, address in _declared(checkout, url):
        if not _on_this_hub(address):
            update = shlex.join(
                ["git", "-C", str(checkout.directory), "submodule", "update", "--init", "--depth", "1", "--", path]
            )
            progress.warn(
                f"Submodule {one_line(path)} lies outside of this Hub ({one_line(address)}) and was left out. "
                f"If you trust it: {one_line(update, 1000)}"
            )
            continue
        progress.update("clone", f"cloning submodule {one_line(path)}")
        settings = {f"submodule.{name}.url": address, f"url.{address}.insteadOf": address}
        runner = git.command(checkout.directory, git.git_environment(url, token=token, settings=settings))
        try:
            with locked(f"space-{checkout.space.replace('/', '--')}"):
                runner.submodule("update", "--init", "--depth", "1", "--", path)
        except git.command_error() as error:
            raise git.fetch_error(error, f"Submodule {one_line(path)}") from error
        _fill(checkout, path, address, token=token, progress=progress)
        fetched.append(path)
    return tuple(fetched)


def _fill(checkout: Checkout, path: str, address: str, *, token: str | None, progress: Progress) -> None:
    """Put the large files of a submodule in place."""
    directory = checkout.directory / path
    repo = git.repository(directory, git.git_environment("https://"))
    commit = repo.head.commit.hexsha
    inner = Checkout(checkout.space, commit, directory, Path(repo.git_dir), find_pointers(repo, commit))
    fill(inner, url=address.rstrip("/").removesuffix(".git"), token=token, progress=progress)


def _declared(checkout: Checkout, url: str) -> Iterator[tuple[str, str, str]]:
    """Name, path and absolute address of each submodule that the commit really holds."""
    file = checkout.directory / ".gitmodules"
    if file.is_symlink() or not file.is_file():
        return
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string("\n".join(line.strip() for line in file.read_text(errors="replace").splitlines()))
    except configparser.Error:
        return
    held = _held_submodules(checkout)
    for section in parser.sections():
        path = parser.get(section, "path", fallback="")
        address = parser.get(section, "url", fallback="")
        if path in held:
            name = section.removeprefix("submodule").strip().strip('"')
            relative = address.startswith(("./", "../"))
            yield name, path, urljoin(url.rstrip("/") + "/", address) if relative else address


def _held_submodules(checkout: Checkout) -> set[str]:
    repo = git.repository(checkout.directory, git.git_environment("https://"))
    entries = repo.git.ls_tree("-r", "-z", checkout.commit).split("\0")
    return {entry.partition("\t")[2] for entry in entries if entry.startswith("160000 ")}


def _on_this_hub(address: str) -> bool:
    ours, theirs = urlsplit(hub.endpoint()), urlsplit(address)
    return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)
