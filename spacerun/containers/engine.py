"""A container engine that really runs a container: a client without its daemon answers `--version` as well."""

from __future__ import annotations

import io
import os
import platform
import shutil
import struct
import subprocess
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from spacerun.errors import PrerequisiteError
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Kind = Literal["podman", "docker"]

# podman needs no daemon, and of a user who is not root it is rootless by itself.
_NAMES: Final[tuple[Kind, ...]] = ("podman", "docker")
_SECONDS: Final = 5.0
_PATIENT_SECONDS: Final = 30.0
_PROGRAM: Final = "exit"
_LOADED_AT: Final = 0x400000
_HEADERS_BYTES: Final = 64 + 56

# By machine: ELF's number for it, and `exit(0)` in its instructions and Linux system call numbers.
_EXITS: Final = {
    "x86_64": (62, bytes.fromhex("b83c000000 31ff 0f05")),  # mov eax, 60; xor edi, edi; syscall
    "aarch64": (183, bytes.fromhex("a80b80d2 000080d2 010000d4")),  # mov x8, 93; mov x0, 0; svc 0
}


_NOT_RUNNING: Final = (
    "Mend that, and see whether it did: spacerun doctor. Docker needs its daemon to run, and you in the group docker."
)


@dataclass(frozen=True)
class Engine:
    """A program that makes and runs containers.

    Attributes:
        kind: Whose options it takes; `docker` may be podman under that name.
        path: Absolute path of it.
        rootless: Whether a container's root is nobody on this machine.
    """

    kind: Kind
    path: str
    rootless: bool = False


@dataclass(frozen=True)
class Tried:
    """An engine that is installed, and why it runs no container; None if it just did."""

    name: str
    path: str
    failure: str | None


def find_engine() -> Engine:
    """The engine that runs containers here: a rootless one if there is any.

    Raises:
        PrerequisiteError: There is none.
    """
    failures, found = [], []
    for tried in try_engines(_PATIENT_SECONDS):
        if tried.failure is not None:
            failures.append(f"{tried.name} is installed, but runs no container: {tried.failure}")
            continue
        engine = _described(tried.path)
        if engine.rootless:
            return engine
        found.append(engine)
    if found:
        return found[0]
    raise PrerequisiteError(
        "A docker Space runs in a container, and "
        + ("; ".join(failures) if failures else "neither podman nor docker is installed")
        + ".",
        hint=_NOT_RUNNING if failures else _how_to_install(),
        stage="environment",
    )


def try_engines(seconds: float = _SECONDS) -> Iterator[Tried]:
    """Each engine that is installed, tried by a container of one program of some 130 bytes: no image is fetched.

    Args:
        seconds: How long each of its commands may take.
    """
    program = exit_program(machine()) if machine() in _EXITS else None
    for name in _NAMES:
        path = shutil.which(name)
        if path:
            failure = (
                _failure(path, _image(program), seconds)
                if program
                else f"no program for {one_line(machine())} to try it"
            )
            yield Tried(name, path, failure)


def machine() -> str:
    """This machine's instruction set as Linux names it."""
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine(), platform.machine())


def exit_program(name: str) -> bytes:
    """A static Linux program that ends at once with status 0 (elf(5): file header, one program header, code).

    Args:
        name: `x86_64` or `aarch64`.
    """
    number, code = _EXITS[name]
    entry, length = _LOADED_AT + _HEADERS_BYTES, _HEADERS_BYTES + len(code)
    magic = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<16sHHIQQQIHHHHHH", magic, 2, number, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOADED_AT, _LOADED_AT, length, length, 0x10000)
    return header + segment + code


def ask(command: Sequence[str], given: bytes | None = None, seconds: float = _SECONDS) -> tuple[int, str]:
    """Exit status of an engine's command, and what it said: on standard output after a success, else its last line."""
    try:
        done = subprocess.run(command, input=given or b"", capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return 1, f"no answer within {seconds:g} s"
    except OSError as error:
        return 1, one_line(error.strerror or str(error))
    if done.returncode == 0:
        return 0, done.stdout.decode(errors="replace").strip()
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return done.returncode, one_line(lines[-1]) if lines else f"exit {done.returncode}"


def _image(program: bytes) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(_PROGRAM)
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
    return archive.getvalue()


def _failure(path: str, image: bytes, seconds: float) -> str | None:
    """Why the engine at `path` cannot run a container; None if it just did."""
    status, said = ask([path, "import", "-"], image, seconds)
    if status != 0:
        return said
    name = said.split()[-1] if said else ""
    try:
        status, said = ask([path, "run", "--rm", "--network", "none", name, f"/{_PROGRAM}"], seconds=seconds)
        return None if status == 0 else said
    finally:
        ask([path, "rmi", "--force", name], seconds=seconds)


def _described(path: str) -> Engine:
    # Debian's `podman-docker` and others install podman as `docker`.
    _, version = ask([path, "--version"])
    if "podman" in version.lower():
        _, said = ask([path, "info", "--format", "{{.Host.Security.Rootless}}"])
        return Engine("podman", path, said.lower() == "true")
    _, said = ask([path, "info", "--format", "{{.SecurityOptions}}"])
    return Engine("docker", path, "name=rootless" in said)


def _how_to_install() -> str:
    managers = {
        "apt-get": "apt-get install -y podman",
        "dnf": "dnf install -y podman",
        "pacman": "pacman -S podman",
        "zypper": "zypper install -y podman",
        "brew": "brew install podman && podman machine init && podman machine start",
    }
    for manager, command in managers.items():
        if shutil.which(manager):
            return command if os.geteuid() == 0 or manager == "brew" else f"sudo {command}"
    return "Install podman: https://podman.io/docs/installation"
