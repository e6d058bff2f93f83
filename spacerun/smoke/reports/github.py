"""What came of a run, for GitHub Actions: annotations, the summary of the job, outputs of the step.

Sources: GitHub's "Workflow commands for GitHub Actions"; the runner's `ActionCommand.cs`, `ActionCommandManager.cs`.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun.smoke.reports import words
from spacerun.smoke.reports.markdown import summary
from spacerun.text import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spacerun.smoke.reports.baseline import Comparison
    from spacerun.smoke.result import Report, Result

_SUMMARY_BYTES: Final = 1024**2  # of all that a step adds to its summary; what has more is not shown at all
_SHOWN: Final = 10  # annotations of a kind that GitHub shows of one step
_TAIL_LINES: Final = 60
_GROUPS: Final = 50
_MESSAGE: Final = 1000
_NAMED_FILE: Final = re.compile(
    r'File "(?P<frame>[^"\n]{1,300})", line (?P<line>\d{1,6})|(?P<name>[\w./-]{1,200}\.\w{1,5})\b'
)


@contextmanager
def reporting(write: Callable[[str], object]) -> Iterator[Callable[[Report, Comparison | None], None]]:
    """Let nothing that is written in the block be a command to a runner, and tell it of a report at the end.

    Args:
        write: Writes to standard output or error.

    Yields:
        What to call with the report.
    """
    told: list[tuple[Report, Comparison | None]] = []

    def take(report: Report, baseline: Comparison | None) -> None:
        told.append((report, baseline))

    if os.environ.get("GITHUB_ACTIONS") != "true":
        yield take
        return
    try:
        with commands_stopped(write):
            yield take
    finally:
        for report, baseline in told:
            report_to_actions(report, baseline, write)


def report_to_actions(report: Report, baseline: Comparison | None, write: Callable[[str], object]) -> None:
    """Tell GitHub what came of a run, where a job of it runs this: else do nothing.

    Args:
        report: What came of it.
        baseline: What differs from an earlier run.
        write: Writes to standard output or error, in both of which the runner looks for commands.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    annotate(report, write)
    for add, what in ((summarize, "summary"), (outputs, "outputs")):
        try:
            add(report, baseline)
        except OSError as error:
            _command(write, "warning", f"The {what} of the smoke test cannot be written: {error.strerror or error}.")


def annotate(report: Report, write: Callable[[str], object]) -> None:
    """Write an annotation for each Space with which something is wrong, and the end of its log in a group.

    GitHub shows ten errors and ten warnings of a step: of more, the tenth tells how many there are.

    Args:
        report: What came of it.
        write: Writes a text, a line of which may be a command.
    """
    for kind, statuses in (("error", {"failed"}), ("warning", {"network", "partial", "not_run"})):
        results = [result for result in report.results if result.status in statuses]
        shown = results if len(results) <= _SHOWN else results[: _SHOWN - 1]
        for result in shown:
            _command(write, kind, _message(result), title=_heading(result), **_place(result))
        if rest := len(results) - len(shown):
            _command(write, kind, f"{rest} more Spaces; the summary of the job has them all.", title="Smoke test")
    failed = [result for result in report.results if result.status in {"failed", "network"}]
    for result in failed[:_GROUPS]:
        _group(result, write)


def summarize(report: Report, baseline: Comparison | None = None) -> None:
    """Add a report to the summary of the job, as far as there is room.

    Raises:
        OSError: It cannot be written.
    """
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if not file:
        return
    path = Path(file)
    room = _SUMMARY_BYTES - (path.stat().st_size if path.exists() else 0)
    _append(path, summary(report, baseline, room))


def outputs(report: Report, baseline: Comparison | None = None) -> None:
    """Set the outputs of the step.

    `ok` is `true` or `false`; `spaces`, `passed`, `partial`, `failed`, `network` and `not_run` are counts; `seconds`
    is what all of it took; `failed_spaces` and, beside an earlier run, `newly_broken` are names, one a line.

    Raises:
        OSError: They cannot be written.
    """
    file = os.environ.get("GITHUB_OUTPUT")
    if not file:
        return
    values = {"ok": str(report.ok).lower(), **{name: f"{value:g}" for name, value in report.totals.items()}}
    names = {"failed_spaces": [result.space for result in report.results if result.status == "failed"]}
    if baseline:
        names["newly_broken"] = list(baseline.newly_broken)
    lists = {key: "\n".join(one_line(space) for space in spaces) for key, spaces in names.items()}
    simple = (f"{key}={value}\n" for key, value in values.items())
    _append(Path(file), "".join(chain(simple, (_heredoc(key, value) for key, value in lists.items()))))


@contextmanager
def commands_stopped(write: Callable[[str], object]) -> Iterator[None]:
    """Have the runner take nothing that is written meanwhile for a command, whoever wrote it.

    The runner finds commands after blanks at the beginning of a line, `::name::`, and anywhere in it, `##[name]`.
    """
    token = secrets.token_hex(16)
    write(f"::stop-commands::{token}\n")
    try:
        yield
    finally:
        write(f"::{token}::\n")


def _group(result: Result, write: Callable[[str], object]) -> None:
    write(f"::group::{_data(_heading(result))}\n")
    with commands_stopped(write):
        told = [words.reason(result), *(f"✗ {check.name}: {check.detail}" for check in words.failed_checks(result))]
        for line in [*(one_line(text, _MESSAGE) for text in told), *words.lines(result.tail, _TAIL_LINES)]:
            write(f"{line}\n")
        if result.log:
            write(f"The whole log: {one_line(result.log, _MESSAGE)}\n")
    write("::endgroup::\n")


def _heading(result: Result) -> str:
    return f"{words.name(result)} {words.verdict(result)}"


def _message(result: Result) -> str:
    told = [words.reason(result)]
    told += [one_line(f"{known.get('cause', '')}: {known.get('remedy', '')}", _MESSAGE) for known in result.diagnosis]
    return "\n".join(filter(None, [*told, *words.hint(result)])) or words.verdict(result)


def _place(result: Result) -> dict[str, str]:
    """Where an annotation of a Space in the repository belongs: the file that its message or its log names.

    Nothing for a Space of the Hub, and for a folder outside the repository.
    """
    if not result.space.startswith((".", "/", "~")):
        return {}
    folder = Path(result.space).expanduser().resolve()
    root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    if not folder.is_dir() or not folder.is_relative_to(root):
        return {}
    for text in (result.message, *reversed(result.tail)):
        for found in _NAMED_FILE.finditer(printable(text[:_MESSAGE])):
            if file := _inside(folder, found["frame"] or found["name"]):
                line = {"line": found["line"]} if found["line"] else {}
                return {"file": str(file.relative_to(root))} | line
    readme = folder / "README.md"
    return {"file": str(readme.relative_to(root))} if readme.is_file() else {}


def _inside(folder: Path, name: str) -> Path | None:
    """The file of that name, if it is one of the Space's own."""
    try:
        file = (folder / name).resolve()
        return file if file.is_file() and file.is_relative_to(folder) else None
    except (OSError, RuntimeError):  # a loop of links is a RuntimeError before Python 3.13
        return None


def _command(write: Callable[[str], object], name: str, message: str, **properties: str) -> None:
    told = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    write(f"::{name}{' ' if told else ''}{told}::{_data(message)}\n")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _heredoc(name: str, value: str) -> str:
    """A value of several lines; none of them can be the delimiter, which nobody could know."""
    delimiter = f"end-{secrets.token_hex(16)}"
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8", errors="replace") as stream:
        stream.write(text)
