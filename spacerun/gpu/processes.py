"""The processes that hold memory of a GPU: whose they are and what they run, without the secrets among it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spacerun.gpu.devices import GpuProcess
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_HIDDEN = "***"
# A command line may be megabytes long; what is shown of it is a line.
_MOST_ARGUMENTS, _LONGEST_ARGUMENT = 100, 1000
# A name that says that its value is a secret. Whole words, so that `--tokenizer` and `--max-tokens` stay readable.
_SECRET = re.compile(
    r"(?<![a-z0-9])(?:token|secret|pass(?:w(?:or)?d|phrase)?|credentials?|auth|(?:api|access|secret|private)[-_]?key)"
    r"(?![a-z0-9])[\w-]*[\"']?(?P<separator>[=:]?)",
    re.IGNORECASE,
)
_FLAG = re.compile(r"-+[\w-]+")
_LOGIN_IN_URL = re.compile(r"(?<=://)[^\s/@]+(?=@)")


def identify(pid: int, used_bytes: int | None) -> GpuProcess:
    """Say what can be seen of a process; nothing of one that has ended, or that runs outside this container.

    Args:
        pid: Process id, as the driver tells it.
        used_bytes: GPU memory that it holds.
    """
    import psutil

    try:
        process = psutil.Process(pid)
    except (psutil.Error, OSError, ValueError):
        return GpuProcess(pid, used_bytes, None)
    return GpuProcess(
        pid,
        used_bytes,
        name=_told(process.name),
        user=_told(process.username),
        command=_told(lambda: command_line(process.cmdline())),
    )


def command_line(arguments: Iterable[str]) -> str:
    """A command line as one printable line, without the values of flags and variables that name a secret.

    Args:
        arguments: The program and its arguments, as `psutil.Process.cmdline` gives them.
    """
    shortened = [argument[:_LONGEST_ARGUMENT] for argument in list(arguments)[:_MOST_ARGUMENTS]]
    return one_line(" ".join(_redacted(shortened)))


def _redacted(arguments: Iterable[str]) -> Iterator[str]:
    follows_its_name = False
    for argument in map(str.strip, arguments):
        if follows_its_name and not argument.startswith("-"):
            follows_its_name = False
            yield _HIDDEN
            continue
        words = argument.split()
        secret = _SECRET.search(words[0]) if words else None
        if secret and secret["separator"] and secret.end() < len(argument):
            yield argument[: secret.end()] + _HIDDEN
        elif len(words) > 1:  # a command within the command, as of `sh -c`
            yield from _redacted(words)
        else:
            ends_with_name = secret is not None and secret.end() == len(argument)
            follows_its_name = ends_with_name and bool(_FLAG.fullmatch(argument) or argument.endswith((":", "=")))
            yield _LOGIN_IN_URL.sub(_HIDDEN, argument)


def _told(ask: Callable[[], str]) -> str | None:
    """The answer as one printable line; None where there is none, as of a process that has ended meanwhile."""
    import psutil

    try:
        return one_line(ask()) or None
    except (psutil.Error, OSError, ValueError):
        return None
