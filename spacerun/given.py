"""What Python code gives as the arguments of a launch, as the options that the stages take."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from spacerun.app.password import Password
from spacerun.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    StrPath = str | os.PathLike[str]


def require(name: str, value: float | None, lowest: float, highest: float = math.inf) -> None:
    """Raise `UsageError` where `value` is given and is not from `lowest` to `highest`."""
    if value is not None and not lowest <= value <= highest:
        span = f"at least {lowest}" if math.isinf(highest) else f"from {lowest} to {highest}"
        raise UsageError(f"{name} is a number {span}, and {value!r} is none.")


def space(name: StrPath) -> str:
    """The Space as a user would type it; a `Path` is a folder, whatever it looks like."""
    return name if isinstance(name, str) else str(path(name))


def path(name: StrPath | None) -> Path | None:
    """The absolute path of a file or folder."""
    return Path(name).expanduser().absolute() if name is not None else None


def day(as_of: str | date) -> str:
    """The day of packages as a user would type it."""
    return as_of if isinstance(as_of, str) else as_of.isoformat()


def password(auth: str | tuple[str, str] | None) -> Password | None:
    """The name and the password of `auth`."""
    if auth is None:
        return None
    return Password.parse(auth if isinstance(auth, str) else ":".join(auth))


def several(words: Iterable[str]) -> tuple[str, ...]:
    """All of `words`; a string is one of them."""
    return (words,) if isinstance(words, str) else tuple(words)


def replaced(models: Mapping[str, str] | None) -> dict[str, str]:
    """New names of models by old ones.

    Raises:
        UsageError: One is not the name of a model.
    """
    from spacerun.needs.replace import replacements

    return replacements(f"{old}={new}" for old, new in (models or {}).items())


def variables(env: Mapping[str, str] | None, files: Iterable[StrPath]) -> dict[str, str]:
    """The variables for the app: those of `env` win over those in `files`.

    Raises:
        UsageError: A name is none, or a file cannot be read.
    """
    from spacerun.app.variables import given_variables

    names = [files] if isinstance(files, (str, os.PathLike)) else files
    return given_variables([f"{name}={value}" for name, value in (env or {}).items()], [Path(name) for name in names])
