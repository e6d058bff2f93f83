"""What a Dockerfile says of the image that it makes, read without an engine and without executing anything."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from spacerun.containers.syntax import LARGEST, Instruction, read_instructions, substitute
from spacerun.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

NAME: Final = "Dockerfile"
_ASSIGNMENT: Final = re.compile(r"""([^\s=]+)=((?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])*)""")
_MOST_INSTRUCTIONS: Final = 5000


@dataclass(frozen=True)
class Copy:
    """What a COPY or ADD puts where.

    Attributes:
        sources: Paths in the context.
        target: Absolute path in the image.
        into: Whether `target` is a folder that the sources are put into.
        stage: The stage or image that it copies from; None for the context.
    """

    sources: tuple[str, ...]
    target: str
    into: bool
    stage: str | None = None


@dataclass(frozen=True)
class Dockerfile:
    """The last stage of a Dockerfile, with what it inherits from stages before it.

    Attributes:
        bases: Images that must be had from elsewhere, that of the last stage first.
        stages: How many there are.
        environment: ENV of the image, as far as the Dockerfile sets it.
        arguments: Names of all ARGs.
        directory: WORKDIR at the end; absolute.
        user: USER at the end, or None.
        ports: Ports that EXPOSE names.
        copies: What is copied into it, in order.
        entrypoint: ENTRYPOINT: a list of words, a shell's line, or None.
        command: CMD, likewise.
        instructions: All instructions of the last stage and of those it is made from, in order.
        mounts: `--mount` flags of all stages.
    """

    bases: tuple[str, ...]
    stages: int
    environment: Mapping[str, str]
    arguments: tuple[str, ...]
    directory: str
    user: str | None
    ports: tuple[int, ...]
    copies: tuple[Copy, ...]
    entrypoint: tuple[str, ...] | str | None
    command: tuple[str, ...] | str | None
    instructions: tuple[Instruction, ...]
    mounts: tuple[Mapping[str, str], ...] = ()

    @property
    def base(self) -> str:
        """The image that the last stage begins with; empty where no FROM says."""
        return self.bases[0] if self.bases else ""

    @property
    def secrets(self) -> dict[str, bool]:
        """Ids of the secrets that its RUN lines mount, and whether each is required (`--mount=type=secret`)."""
        found: dict[str, bool] = {}
        for mount in self.mounts:
            if mount.get("type") == "secret":
                target = mount.get("target") or mount.get("dst") or mount.get("destination") or ""
                name = mount.get("id") or posixpath.basename(target)
                required = mount.get("required", "false").lower() in {"", "true", "1"}
                found[name] = found.get(name, False) or required
        found.pop("", None)
        return found


def read_dockerfile(directory: Path, variables: Mapping[str, str] | None = None) -> Dockerfile:
    """Read the Dockerfile of a Space.

    Args:
        directory: Its files.
        variables: Values of ARGs that the user gives.

    Raises:
        NotFoundError: There is none inside of `directory`.
    """
    path = directory / NAME
    try:
        inside = path.resolve().is_relative_to(directory.resolve()) and path.is_file()
        text = path.read_bytes()[:LARGEST].decode(errors="replace") if inside else None
    except (OSError, RuntimeError):
        text = None
    if text is None:
        raise NotFoundError(
            "It is a docker Space, and it has no Dockerfile.",
            hint="A Dockerfile stands beside README.md, in the Space's top folder; tell the Space's author.",
        )
    return parse(text, variables or {})


def parse(text: str, variables: Mapping[str, str] | None = None) -> Dockerfile:
    """Take a Dockerfile apart; see `read_dockerfile`."""
    instructions = list(islice(read_instructions(text), _MOST_INSTRUCTIONS))
    stages = _stages(instructions, variables or {})
    last = stages[-1] if stages else _Stage("")
    external = [stage.base for stage in (last, *stages) if stage.base and stage.base != "scratch"]
    names = [name for row in instructions if row.name == "ARG" for name, _ in _arguments(row.text)]
    return Dockerfile(
        bases=tuple(dict.fromkeys(external)),
        stages=len(stages),
        environment=dict(last.environment),
        arguments=tuple(dict.fromkeys(names)),
        directory=last.directory,
        user=last.user,
        ports=tuple(last.ports),
        copies=tuple(last.copies),
        entrypoint=last.entrypoint,
        command=last.command,
        instructions=tuple(last.instructions),
        mounts=tuple(_mount(value) for row in instructions for value in row.values("mount")),
    )


def _stages(instructions: Sequence[Instruction], given: Mapping[str, str]) -> list[_Stage]:
    """The stages in order; one that begins with another has what that one says."""
    before: dict[str, str] = {}
    named: dict[str, _Stage] = {}
    stages: list[_Stage] = []
    for instruction in instructions:
        if instruction.name == "FROM":
            base, alias = _from(substitute(instruction.text, before))
            parent = named.get(base.lower())
            stages.append(parent.child() if parent else _Stage(base))
            if alias:
                named[alias.lower()] = stages[-1]
        elif stages:
            stages[-1].take(instruction, given, before)
        elif instruction.name == "ARG":
            for name, default in _arguments(instruction.text):
                before[name] = given.get(name, substitute(default or "", before))
    return stages


@dataclass
class _Stage:
    """A stage while it is read; see `Dockerfile`."""

    base: str
    environment: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    directory: str = "/"
    user: str | None = None
    ports: list[int] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    entrypoint: tuple[str, ...] | str | None = None
    command: tuple[str, ...] | str | None = None
    instructions: list[Instruction] = field(default_factory=list)

    def child(self) -> _Stage:
        """A stage that begins as this one ends; ARGs are not inherited."""
        return _Stage(
            self.base,
            dict(self.environment),
            {},
            self.directory,
            self.user,
            list(self.ports),
            list(self.copies),
            self.entrypoint,
            self.command,
            list(self.instructions),
        )

    def take(self, instruction: Instruction, given: Mapping[str, str], globals_: Mapping[str, str]) -> None:
        """Do what `instruction` says, as far as it leaves something in the image's description."""
        self.instructions.append(instruction)
        known = {**self.arguments, **self.environment}
        text = substitute(instruction.text, known)
        match instruction.name:
            case "ARG":
                for name, default in _arguments(instruction.text):
                    value = globals_.get(name, "") if default is None else substitute(default, known)
                    self.arguments[name] = given.get(name, value)
            case "ENV":
                self.environment |= {name: substitute(value, known) for name, value in _assignments(instruction.text)}
            case "WORKDIR":
                self.directory = posixpath.normpath(posixpath.join(self.directory, _unquoted(text)))
            case "USER":
                self.user = text.strip() or self.user
            case "EXPOSE":
                self.ports += [int(port) for word in text.split() if (port := word.partition("/")[0]).isdigit()]
            case "COPY" | "ADD":
                self.copies += _copies(instruction, text, self.directory)
            case "ENTRYPOINT":
                # An image's CMD is for its own ENTRYPOINT (Dockerfile reference, CMD and ENTRYPOINT).
                self.entrypoint, self.command = _words(instruction.text), None
            case "CMD":
                self.command = _words(instruction.text)


def _from(text: str) -> tuple[str, str]:
    """Base and name of a stage."""
    words = text.split()
    alias = words[2] if len(words) > 2 and words[1].lower() == "as" else ""  # noqa: PLR2004 - BASE AS NAME
    return (words[0] if words else ""), alias


def _arguments(text: str) -> list[tuple[str, str | None]]:
    """Names and defaults of an ARG."""
    found: list[tuple[str, str | None]] = []
    for word in _split(text):
        name, equals, value = word.partition("=")
        found.append((name, value if equals else None))
    return found


def _assignments(text: str) -> list[tuple[str, str]]:
    """`ENV NAME=VALUE …`, or the old `ENV NAME VALUE`."""
    first = text.split(maxsplit=1)
    if first and "=" not in first[0]:
        return [(first[0], first[1].strip() if len(first) > 1 else "")]
    return [(name, _unquoted(value)) for name, value in _ASSIGNMENT.findall(text)]


def _copies(instruction: Instruction, text: str, directory: str) -> Iterator[Copy]:
    words = _json_words(text)
    parts = list(words) if words is not None else _split(text)
    if len(parts) < 2 or instruction.heredocs:  # noqa: PLR2004 - a source and a target
        return
    *sources, target = parts
    stage = next(iter(instruction.values("from")), None)
    into = target.endswith("/") or target in {".", ".."} or len(sources) > 1
    yield Copy(tuple(sources), posixpath.normpath(posixpath.join(directory, target)), into, stage)


def _words(text: str) -> tuple[str, ...] | str:
    """A command in its exec form, a JSON list; else it is a shell's line."""
    words = _json_words(text)
    return text.strip() if words is None else words


def _json_words(text: str) -> tuple[str, ...] | None:
    if not text.lstrip().startswith("["):
        return None
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return tuple(words) if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


def _mount(text: str) -> Mapping[str, str]:
    pairs = (part.partition("=") for part in text.split(","))
    return {name: value for name, _, value in pairs}


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote is not closed
        return text.split()


def _unquoted(text: str) -> str:
    words = _split(text)
    return " ".join(words) if words else ""
