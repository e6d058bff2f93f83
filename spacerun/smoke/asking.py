"""What a user asks for, as jobs."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spacerun import hub
from spacerun.app.ports import DEFAULT_PORT
from spacerun.environment.system import Consent
from spacerun.errors import UsageError
from spacerun.smoke.job import Job, Level
from spacerun.space.reference import LocalRef, parse
from spacerun.stages import Options
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spacerun.smoke.job import Call

_MOST: Final = 100_000


def read_spaces(file: Path) -> list[str]:
    """The Spaces that a file names, one a line; `#` begins a comment, and `-` is standard input.

    Raises:
        UsageError: It cannot be read, or names none.
    """
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--from {file} cannot be read: {one_line(str(error))}.") from error
    spaces = [line for row in text.splitlines() if (line := row.partition("#")[0].strip())]
    if not spaces:
        raise UsageError(f"--from {file} names no Space.", hint="Write one a line: owner/name")
    return spaces[:_MOST]


def jobs(
    spaces: Iterable[str],
    options: Options,
    *,
    until: Level | None,
    require: Level | None,
    calls: Sequence[Call],
    screenshot: bool,
    seconds: float,
    verbose: bool = False,
) -> list[Job]:
    """A job for each Space, each once.

    Raises:
        UsageError: A name is none, none is given, or more is required than is tested.
    """
    names = list(dict.fromkeys(map(_full_name, spaces)))
    if not names:
        raise UsageError("There is no Space to test.", hint="Name one, or a folder: spacerun smoke-test .")
    if until and require and require > until:
        raise UsageError(f"--until {until.word} ends before --require {require.word}.")
    if calls and until and until < Level.CALLS:
        raise UsageError(f"--until {until.word} makes no calls, and --call gives some.")
    job = Job(
        space="",
        options=options_to_json(options),
        until=until,
        require=require,
        calls=tuple(calls),
        screenshot=screenshot,
        seconds=seconds,
        verbose=verbose,
    )
    return [replace(job, space=name) for name in names]


def options_to_json(options: Options) -> dict[str, Any]:
    """What of `options` a test on another machine needs, as JSON has it."""
    return {
        "share": options.share,
        "require_share": options.require_share,
        "share_seconds": options.share_seconds,
        "gpu": options.gpu,
        "python": options.python,
        "as_of": options.as_of,
        "locked": str(options.locked) if options.locked else None,
        "reuse_torch": options.reuse_torch,
        "packages": list(options.packages),
        "variables": dict(options.variables),
        "pass_token": options.pass_token,
        "timeout_seconds": options.timeout_seconds,
        "system_packages": options.system_packages.value,
        "replaced_models": dict(options.replaced_models),
        "force": options.force,
        "attempts": options.attempts,
        "like_hub": options.like_hub,
        "no_container": options.no_container,
        "prebuilt": options.prebuilt,
        "offline": options.offline,
    }


def options_from_json(job: Job) -> Options:
    """The options of a job."""
    given = dict(job.options)
    locked, consent = given.pop("locked", None), given.pop("system_packages", None)
    if consent:
        given["system_packages"] = Consent(consent)
    if "packages" in given:
        given["packages"] = tuple(given["packages"])
    given.setdefault("share", False)
    # Many a Space insists on the port of Hugging Face, so that no other gets it.
    return Options(space=job.space, first_port=DEFAULT_PORT + 1, locked=Path(locked) if locked else None, **given)


def _full_name(space: str) -> str:
    reference = parse(space, endpoint=hub.endpoint())
    return str(reference.directory) if isinstance(reference, LocalRef) else space
