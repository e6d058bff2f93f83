"""A Dockerfile that is Python, pip and a server, as an environment and a command; or why it is more than that."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from spacerun.containers.layout import entry_of, in_space, root_of
from spacerun.containers.pip import PipError, read_pip
from spacerun.containers.shell import BeyondError, commands, expanded
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from spacerun.containers.dockerfile import Dockerfile
    from spacerun.containers.syntax import Instruction

HOST, PORT = "{host}", "{port}"
"""What stands in a command for the address and the port to listen on."""

_BASE: Final = re.compile(
    r"(?:docker\.io/)?(?:library/)?python(?::(3(?:\.\d+){0,2})?(?:-?[a-z][\w.-]*)?)?(?:@sha256:\w+)?"
)
# They prepare users and folders for the container; there is none.
_PREPARING: Final = frozenset({
    "useradd", "adduser", "groupadd", "addgroup", "usermod", "chown", "chmod", "true", "echo", "set", "whoami", "ls",
})  # fmt: skip
_TELLS_NOTHING: Final = frozenset({
    "FROM", "ARG", "ENV", "LABEL", "EXPOSE", "WORKDIR", "USER", "COPY", "ADD", "CMD", "ENTRYPOINT", "HEALTHCHECK",
    "VOLUME", "STOPSIGNAL", "MAINTAINER", "RUN",
})  # fmt: skip
_SERVERS: Final = frozenset({
    "uvicorn", "gunicorn", "hypercorn", "daphne", "waitress-serve", "streamlit", "gradio", "flask", "fastapi",
    "chainlit", "panel", "bokeh", "solara", "marimo", "mesop", "voila", "shiny", "nicegui",
})  # fmt: skip
_SHELLS: Final = frozenset({"sh", "bash", "/bin/sh", "/bin/bash"})
# The app has its own from spacerun: the container's would lead nowhere, or past the user's caches.
_NOT_TAKEN: Final = re.compile(
    r"PATH|HOME|USER|PYTHONPATH|.*_HOME|.*_CACHE|.*CACHE_DIR|MPLCONFIGDIR|LD_LIBRARY_PATH|PIP_.*|DEBIAN_.*"
)
_READ_ANYWAY: Final = "requirements.txt"
_LARGEST_FILE: Final = 1 << 20
_EVERYWHERE: Final = ("0.0.0.0", "::", "[::]")  # noqa: S104
_FOUND_ANYWHERE: Final = ("/tmp", "/dev", "/proc", "/etc/ssl")  # noqa: S108


@dataclass(frozen=True)
class Translation:
    """How to start a Space without its container.

    Attributes:
        python: Version of the base image's Python, `3.10`, or None where it says none.
        packages: Requirements that its pip lines name, and the files that they name but requirements.txt.
        folder: Working folder, relative to the Space.
        command: Program and arguments, with `HOST` and `PORT` in them.
        variables: Its ENV, likewise.
        entry: The Python file that is started, relative to the Space; None where that cannot be told.
    """

    python: str | None
    packages: tuple[str, ...]
    folder: str
    command: tuple[str, ...]
    variables: Mapping[str, str]
    entry: str | None


class TranslationError(Exception):
    """A Dockerfile does more than can be done without a container; the text says what, as a clause."""


def translate(dockerfile: Dockerfile, directory: Path, *, app_port: int) -> Translation:
    """What a Dockerfile comes to without a container.

    Args:
        dockerfile: The Dockerfile.
        directory: The Space's files.
        app_port: The port that its server listens on in the container.

    Raises:
        TranslationError: It does more.
    """
    python = _python(dockerfile)
    packages: list[str] = []
    files: list[str] = []
    for instruction in dockerfile.instructions:
        if instruction.name not in _TELLS_NOTHING:
            raise TranslationError(f"it has a line {instruction.name} (line {instruction.line})")
        if instruction.name == "RUN":
            for command in _commands(instruction):
                pip = _read_run(dockerfile, directory, instruction, command)
                packages += pip[0]
                files += pip[1]
    if any(copy.stage for copy in dockerfile.copies):
        raise TranslationError("it copies files from another image")
    for name in dict.fromkeys(files):
        if name != _READ_ANYWAY:
            packages += _lines(directory, name)
    folder = root_of(dockerfile, directory)
    if folder is None:
        raise TranslationError(f"its files are laid out otherwise in {one_line(dockerfile.directory, 80)}")
    words = _command(dockerfile, app_port)
    return Translation(
        python=python,
        packages=tuple(dict.fromkeys(packages)),
        folder=folder,
        command=words,
        variables=dict(_variables(dockerfile, app_port)),
        entry=entry_of(dockerfile, directory, words),
    )


def _lines(directory: Path, name: str) -> list[str]:
    """The requirements in a file of the Space."""
    text = (directory / name).read_bytes()[:_LARGEST_FILE].decode(errors="replace")
    lines = [line.partition(" #")[0].strip() for line in text.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if options := [line for line in found if line.startswith("-") or line.endswith("\\")]:
        raise TranslationError(f"{one_line(name, 80)} holds more than requirements: {one_line(options[0], 80)}")
    return found


def words_of(dockerfile: Dockerfile) -> tuple[str, ...]:
    """The command that the image starts, as words; empty where it is more than one command, or none.

    Raises:
        BeyondError: A shell does more than to start one program.
    """
    entrypoint, command = dockerfile.entrypoint, dockerfile.command
    if isinstance(entrypoint, str) and entrypoint:
        return _of_line(entrypoint, dockerfile.environment)  # a shell's ENTRYPOINT ignores CMD
    before = tuple(entrypoint or ())
    if isinstance(command, str):
        words = (*before, *_of_line(command, dockerfile.environment))
    else:
        words = (*before, *(command or ()))
    # A shell's line, given to the shell by the author.
    if len(words) == 3 and words[0] in _SHELLS and words[1] in {"-c", "-lc"}:  # noqa: PLR2004
        return _of_line(words[2], dockerfile.environment)
    return words


def _of_line(line: str, variables: Mapping[str, str]) -> tuple[str, ...]:
    found = commands(line)
    if len(found) != 1:
        raise BeyondError(line[:80])
    words = [expanded(word, variables) for word in found[0]]
    return tuple(words[1:] if words[0] == "exec" else words)


def _python(dockerfile: Dockerfile) -> str | None:
    if dockerfile.stages > 1:
        raise TranslationError(f"it builds in {dockerfile.stages} stages")
    match = _BASE.fullmatch(dockerfile.base)
    if match is None:
        raise TranslationError(f"its base image is {one_line(dockerfile.base, 80) or 'not named'}, not Python's")
    # `python:3` is the newest.
    return match[1] if match[1] and "." in match[1] else None


def _commands(instruction: Instruction) -> list[list[str]]:
    if instruction.text.startswith("["):
        raise TranslationError(f"line {instruction.line} runs {one_line(instruction.text, 80)}")
    try:
        lines = instruction.heredocs or (instruction.text,)
        return [command for line in lines for command in commands(line)]
    except BeyondError as error:
        raise TranslationError(f"line {instruction.line} is more than plain commands: {one_line(str(error))}") from None


def _read_run(
    dockerfile: Dockerfile, directory: Path, instruction: Instruction, command: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Packages and requirement files that a command of RUN installs; none where it only prepares the container."""
    nothing: tuple[list[str], list[str]] = ([], [])
    words = [word for word in command if word != "sudo"]
    program = PurePosixPath(words[0]).name if words else "true"
    arguments = words[1:]
    if program in _PREPARING or (program == "rm" and "/var/lib/apt/lists" in " ".join(arguments)):
        return nothing
    if program == "mkdir":
        _refuse_inside(dockerfile, directory, arguments)
        return nothing
    if program in {"apt-get", "apt"} and {"update", "upgrade", "clean", "autoremove"} & set(arguments):
        return nothing
    try:
        pip = read_pip(program, arguments)
    except PipError as error:
        raise TranslationError(f"line {instruction.line} {error}") from None
    if pip is None:
        raise TranslationError(f"line {instruction.line} runs {one_line(' '.join(words), 80)}")
    files = []
    for name in pip.files:
        found = in_space(dockerfile, directory, name)
        if found is None:
            raise TranslationError(f"line {instruction.line} installs {one_line(name, 80)}, which the Space has not")
        files.append(found)
    return list(pip.packages), files


def _refuse_inside(dockerfile: Dockerfile, directory: Path, arguments: Sequence[str]) -> None:
    """A folder made beside the code may be one that the code writes to; the Space's files stay as they are."""
    for word in arguments:
        path = posixpath.normpath(posixpath.join(dockerfile.directory, word))
        inside = PurePosixPath(path).is_relative_to(dockerfile.directory) and path != dockerfile.directory
        if not word.startswith("-") and inside and in_space(dockerfile, directory, path) is None:
            raise TranslationError(f"it makes a folder {one_line(path, 80)} beside the code")


def _command(dockerfile: Dockerfile, app_port: int) -> tuple[str, ...]:
    try:
        words = words_of(dockerfile)
    except BeyondError as error:
        raise TranslationError(f"it starts by a shell that does more: {one_line(str(error), 80)}") from None
    if not words:
        raise TranslationError("it says no command to start")
    program = PurePosixPath(words[0]).name
    if not (re.fullmatch(r"python(3(\.\d+)?)?", program) or program in _SERVERS):
        raise TranslationError(f"it starts {one_line(' '.join(words), 80)}, which is no Python server")
    arguments = [_listening(_in_folder(dockerfile, word), app_port) for word in words[1:]]
    return ("python" if program.startswith("python") else program, *arguments)


def _in_folder(dockerfile: Dockerfile, word: str) -> str:
    """A word of the command with a path in the container's working folder as one relative to it."""
    if not word.startswith("/"):
        return word
    path = PurePosixPath(posixpath.normpath(word))
    if path.is_relative_to(dockerfile.directory) and dockerfile.directory != "/":
        return str(path.relative_to(dockerfile.directory))
    if path.is_relative_to("/tmp"):  # noqa: S108
        return word
    raise TranslationError(f"its command names {one_line(word, 80)}, which is there in the container only")


def _listening(word: str, app_port: int) -> str:
    """A word with the address and port of the container's server as those to be chosen."""
    option, equals, value = word.rpartition("=")
    host, colon, port = value.rpartition(":")
    if value in _EVERYWHERE:
        return f"{option}{equals}{HOST}"
    if value == str(app_port):
        return f"{option}{equals}{PORT}"
    if colon and port == str(app_port) and host in {*_EVERYWHERE, ""}:
        return f"{option}{equals}{HOST}:{PORT}"
    return word


def _variables(dockerfile: Dockerfile, app_port: int) -> Iterator[tuple[str, str]]:
    for name, value in dockerfile.environment.items():
        if _NOT_TAKEN.fullmatch(name):
            continue
        if value.startswith("/") and not value.startswith(_FOUND_ANYWHERE):
            raise TranslationError(f"its variable {one_line(name, 40)} names {one_line(value, 80)} in the container")
        yield name, _listening(value, app_port)
