"""The image of a Space: what it is made from, its name by that, and the command that builds it."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun.children import own_module
from spacerun.containers import builder
from spacerun.containers.dockerfile import NAME
from spacerun.containers.engine import Engine, ask
from spacerun.errors import FetchError, MissingSecretError, PackagesError
from spacerun.paths import sha256
from spacerun.text import names_secret, one_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from spacerun.containers.dockerfile import Dockerfile

LABEL: Final = "spacerun.space"
# Neither engine takes a `localhost/` name for one of Docker Hub, where anybody may publish a `spacerun/…`.
_PREFIX: Final = "localhost/spacerun"
_LAST_LINES: Final = 20
_EXISTS_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Build:
    """What an image is built from.

    Attributes:
        space: `owner/name`, or the path of a local folder.
        directory: The context: the Space's files.
        arguments: Build arguments; none of them is secret, for they stay in the image's history.
        secrets: Names of the variables that its RUN lines mount as secrets.
    """

    space: str
    directory: Path
    arguments: Mapping[str, str]
    secrets: tuple[str, ...] = ()


def decide_build(space: str, directory: Path, dockerfile: Dockerfile, given: Mapping[str, str]) -> Build:
    """What to build, with what of the user's variables.

    As on Hugging Face, variables are build arguments where the Dockerfile declares them, and secrets are mounted where
    it asks for them (Hub documentation, "Docker Spaces", secrets and variables management).

    Raises:
        MissingSecretError: The Dockerfile requires a secret that is not given.
    """
    missing = [name for name, required in dockerfile.secrets.items() if required and name not in given]
    if missing:
        raise MissingSecretError(
            f"The Dockerfile of {one_line(space)} is not built without the secret {one_line(missing[0], 80)}.",
            hint=f"Give it: --env {one_line(missing[0], 80)}=…",
            stage="environment",
        )
    arguments = {name: given[name] for name in dockerfile.arguments if name in given and not names_secret(name)}
    return Build(space, directory, arguments, tuple(name for name in dockerfile.secrets if name in given))


def kept_back(dockerfile: Dockerfile, given: Mapping[str, str]) -> tuple[str, ...]:
    """Names of what the Dockerfile takes as build arguments, but would then stand in the image for all to read."""
    return tuple(name for name in dockerfile.arguments if name in given and names_secret(name))


def tag(build: Build) -> str:
    """The name of the image, by the content of all that it is made from: `localhost/spacerun/owner-name:HASH`."""
    digest = hashlib.sha256()
    for part in _content(build):
        digest.update(len(part).to_bytes(8, "big") + part)
    return f"{_PREFIX}/{slug(build.space)}:{digest.hexdigest()[:20]}"


def slug(space: str) -> str:
    """`owner/name`, or the last part of a folder, as image names and Hugging Face's subdomains have it."""
    name = Path(space).name if Path(space).is_absolute() else space
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:80] or "space"


def build_argv(engine: Engine, build: Build, image: str) -> tuple[str, ...]:
    """The command that builds `image`; values of arguments and secrets come from its environment."""
    arguments = [word for name in build.arguments for word in ("--build-arg", name)]
    secrets = [word for name in build.secrets for word in ("--secret", f"id={name},env={name}")]
    # One line for each step, in a log as on a terminal.
    plain = () if engine.kind == "podman" else ("--progress=plain",)
    return (
        engine.path, "build", *plain, "--file", str(build.directory / NAME), "--tag", image,
        "--label", f"{LABEL}={build.space}", *arguments, *secrets, str(build.directory),
    )  # fmt: skip


def exists(engine: Engine, image: str) -> bool:
    """Whether `image` is there."""
    return ask((engine.path, "image", "inspect", "--format", "{{.Id}}", image), seconds=_EXISTS_SECONDS)[0] == 0


def run_build(
    engine: Engine, build: Build, image: str, given: Mapping[str, str], on_line: Callable[[str], None]
) -> None:
    """Build `image`.

    Raises:
        PackagesError: It cannot be built; the hint holds what the engine said last.
    """
    values = {name: given[name] for name in (*build.arguments, *build.secrets)}
    status, lines = _run(build_argv(engine, build, image), {**client_variables(), **_BUILDKIT, **values}, on_line)
    if status:
        raise PackagesError(
            f"The image of {one_line(build.space)} could not be built ({Path(engine.path).name} ended with {status}).",
            hint="\n".join(["The last it said:", *lines]) if lines else None,
            stage="environment",
            data={"build": lines},
        )


def prebuilt_image(space: str) -> str:
    """The image that Hugging Face built ("Run locally", at a Space's menu)."""
    return f"registry.hf.space/{slug(space)}:latest"


def pull_argv(engine: Engine, image: str) -> tuple[str, ...]:
    """The command that fetches `image`; Hugging Face builds for one platform only."""
    return (engine.path, "pull", "--platform=linux/amd64", image)


def pull(engine: Engine, image: str, on_line: Callable[[str], None]) -> None:
    """Fetch `image`.

    Raises:
        FetchError: It cannot be had.
    """
    status, lines = _run(pull_argv(engine, image), client_variables(), on_line)
    if status:
        raise FetchError(
            f"The image {image} could not be fetched: {one_line(lines[-1]) if lines else 'no reason was given'}.",
            hint="Hugging Face keeps images of public Spaces that run. Without --prebuilt it is built here.",
            stage="environment",
        )


def client_variables() -> dict[str, str]:
    """What of the user's environment an engine's client needs; no secret is among it."""
    return {
        name: value
        for name, value in os.environ.items()
        if (name in CLIENT_NAMES or name.lower() in _PROXIES or name.startswith(_CLIENT_PREFIXES))
        and not names_secret(name)
    }


CLIENT_NAMES: Final = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
    "XDG_CACHE_HOME", "DBUS_SESSION_BUS_ADDRESS", "REGISTRY_AUTH_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR",
})  # fmt: skip
"""Variables by which the client itself goes; podman(1), docker(1), XDG Base Directory Specification."""

_CLIENT_PREFIXES: Final = ("CONTAINER_", "CONTAINERS_", "DOCKER_", "STORAGE_", "BUILDAH_")
_PROXIES: Final = frozenset({"http_proxy", "https_proxy", "no_proxy", "all_proxy"})
# `--secret` is BuildKit's, which Docker has by default since 23.0.
_BUILDKIT: Final = {"DOCKER_BUILDKIT": "1"}


def is_clients(name: str) -> bool:
    """Whether the engine's client itself goes by variable `name`."""
    return name in CLIENT_NAMES or name.lower() in _PROXIES or name.startswith((*_CLIENT_PREFIXES, "LD_"))


def _run(
    command: Sequence[str], environment: Mapping[str, str], on_line: Callable[[str], None]
) -> tuple[int, list[str]]:
    """Exit status of an engine's command that takes its time, and its last lines, made printable."""
    last: list[str] = []
    process = subprocess.Popen(
        own_module(builder.__name__, str(os.getpid()), *command),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        with process.stdout or nullcontext(()) as lines:
            for raw in lines:
                line = printable(raw.decode(errors="replace")).rstrip()
                if line:
                    last = [*last[1 - _LAST_LINES :], line]
                    on_line(line)
    except BaseException:
        process.terminate()
        raise
    finally:
        process.wait()
    return process.returncode, last


def _content(build: Build) -> Iterator[bytes]:
    for name, value in sorted(build.arguments.items()):
        yield f"{name}={value}".encode()
    for path in _files(build.directory):
        status = path.lstat()
        yield os.fsencode(path.relative_to(build.directory))
        if stat.S_ISLNK(status.st_mode):
            yield b"link " + os.fsencode(path.readlink())
        elif stat.S_ISREG(status.st_mode):
            # Of the permissions git keeps but this one.
            yield b"program" if status.st_mode & stat.S_IXUSR else b"file"
            yield bytes.fromhex(sha256(path))


def _files(directory: Path) -> Iterator[Path]:
    """Files and links in a fixed order, without git's own."""
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if name != ".git")
        linked = [name for name in folders if (Path(folder) / name).is_symlink()]
        yield from (Path(folder) / name for name in sorted([*names, *linked]) if name != ".git")
