"""A container engine that really runs a container: a client without its daemon answers `--version` as well."""

from __future__ import annotations

import io
import platform
import shutil
import struct
import subprocess
import tarfile
from typing import Final

from spacerun.doctor import Check
from spacerun.text import one_line

_ENGINES: Final = ("docker", "podman")
_SECONDS: Final = 5
_PROGRAM: Final = "exit"
_LOADED_AT: Final = 0x400000
_HEADERS_BYTES: Final = 64 + 56

# By machine: ELF's number for it, and `exit(0)` in its instructions and Linux system call numbers.
_EXITS: Final = {
    "x86_64": (62, bytes.fromhex("b83c000000 31ff 0f05")),  # mov eax, 60; xor edi, edi; syscall
    "aarch64": (183, bytes.fromhex("a80b80d2 000080d2 010000d4")),  # mov x8, 93; mov x0, 0; svc 0
}


def container() -> Check:
    """The first engine that runs a container, made of one program of some 130 bytes: no image has to be fetched."""
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine(), platform.machine())
    installed = [(name, path) for name in _ENGINES if (path := shutil.which(name))]
    if not installed:
        return Check("container", "remark", "no docker and no podman; Gradio Spaces need none")
    if machine not in _EXITS:
        return Check("container", "remark", f"{installed[0][0]} was not tried: no program for {one_line(machine)}")
    failures = []
    for name, path in installed:
        failure = _failure(path, _image(exit_program(machine)))
        if failure is None:
            return Check("container", "ok", f"{name} runs containers ({path})")
        failures.append(f"{name} is installed, but runs no container: {failure}")
    return Check("container", "remark", "; ".join(failures))


def exit_program(machine: str) -> bytes:
    """A static Linux program that ends at once with status 0 (elf(5): file header, one program header, code).

    Args:
        machine: `x86_64` or `aarch64`.
    """
    number, code = _EXITS[machine]
    entry, length = _LOADED_AT + _HEADERS_BYTES, _HEADERS_BYTES + len(code)
    magic = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<16sHHIQQQIHHHHHH", magic, 2, number, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOADED_AT, _LOADED_AT, length, length, 0x10000)
    return header + segment + code


def _image(program: bytes) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(_PROGRAM)
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
    return archive.getvalue()


def _failure(engine: str, image: bytes) -> str | None:
    """Why `engine` cannot run a container; None if it just did."""
    status, said = _run([engine, "import", "-"], image)
    if status != 0:
        return said
    name = said.split()[-1] if said else ""
    try:
        status, said = _run([engine, "run", "--rm", "--network", "none", name, f"/{_PROGRAM}"])
        return None if status == 0 else said
    finally:
        _run([engine, "rmi", "--force", name])


def _run(command: list[str], given: bytes | None = None) -> tuple[int, str]:
    """Exit status and the last line said: on standard output after a success, else on standard error."""
    try:
        done = subprocess.run(command, input=given or b"", capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return 1, f"no answer within {_SECONDS} s"
    except OSError as error:
        return 1, one_line(error.strerror or str(error))
    told = done.stdout if done.returncode == 0 else done.stderr
    lines = told.decode(errors="replace").strip().splitlines()
    return done.returncode, one_line(lines[-1]) if lines else f"exit {done.returncode}"
