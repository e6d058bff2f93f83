"""What came of a run as JUnit XML, which GitHub's actions, GitLab and Jenkins show.

Each Space is a `<testsuite>`, with a `<testcase>` for each stage that it went through, each check that was made, and
each level that it did not reach. What the readers make of that decides:

- dorny/test-reporter (`java-junit-parser.ts`) has a row for each suite, its time, and its cases below; it leaves out
  the class where that is the name of the suite. EnricoMi/publish-unit-test-result-action says class and name.
- GitLab (`lib/gitlab/ci/parsers/test/junit.rb`) takes the text of a failure and passes over its `message`, so the
  text begins with that. Beside a merge request it shows nothing but the `name` of a case (`test_report/index.vue`):
  each has its Space in it. It and Jenkins know a case of an earlier run by class and name.
- Jenkins (`CaseResult.java`) takes what is before the last dot of a class for its package: a Space's dots are
  replaced.

A Space that did not get to an end for the network's sake has an `<error>`, one that failed a `<failure>`; where
checks found it, they have it, and their stage has no case of its own, or it would count twice.

Valid for the XML schema of Jenkins' xUnit plugin (`junit-10.xsd`) and, which asks for more, for the one of Ant's
reports (windyroad/JUnit-Schema): every suite has a host, a package, an id and a time stamp without a zone, the
properties come first, then the cases, then both outputs; a case has at most one child; `<testsuites>` has no
attributes.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from spacerun.paths import write_atomic
from spacerun.smoke.job import Level
from spacerun.smoke.reports import words
from spacerun.text import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spacerun.smoke.result import Check, Report, Result

# What XML 1.0 has no way to say (section 2.2, "Char"); lone surrogates cannot be encoded either.
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAIL_LINES: Final = 200
_TEXT: Final = 64 * 1024  # characters of one text
_DETAIL: Final = 2000
_NAME: Final = 120
_WHOLE: Final = "smoke test"
_EPOCH: Final = "1970-01-01T00:00:00"


@dataclass(frozen=True)
class _Case:
    """A test case.

    Attributes:
        name: Which, the same in every run.
        seconds: How long it took.
        kind: `failure`, `error` or `skipped`; None for one that passed.
        what: The type of a failure or error.
        message: What is wrong, or why it was skipped, as a line.
        text: The same at length.
    """

    name: str
    seconds: float = 0.0
    kind: str | None = None
    what: str = ""
    message: str = ""
    text: str = ""


def write_junit(report: Report, file: Path) -> None:
    """Write a report as JUnit XML; see above for what is in it.

    Raises:
        OSError: The file cannot be written.
    """
    root = ET.Element("testsuites")
    for number, result in enumerate(report.results):
        root.append(_suite(result, number, report.started_at))
    ET.indent(root)
    write_atomic(file, ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")


def _suite(result: Result, number: int, began: str) -> ET.Element:
    name = words.name(result)
    cases = _distinct(list(_cases(result)))
    kinds = Counter(case.kind for case in cases)
    suite = _element(
        "testsuite",
        name=name,
        package=_package(name),
        id=str(number),
        hostname="localhost",  # what the schema asks for where it is not told
        timestamp=_without_zone(result.started_at or began),
        tests=str(len(cases)),
        failures=str(kinds["failure"]),
        errors=str(kinds["error"]),
        skipped=str(kinds["skipped"]),
        time=_time(result.seconds),
    )
    properties = ET.SubElement(suite, "properties")
    for key, value in _properties(result).items():
        properties.append(_element("property", name=key, value=value))
    suite.extend(_testcase(case, name) for case in cases)
    ET.SubElement(suite, "system-out").text = _output(result)
    ET.SubElement(suite, "system-err").text = _remarks(result)
    return suite


def _cases(result: Result) -> Iterator[_Case]:
    """The stages, the checks, and the levels that were not reached."""
    if result.status == "not_run":
        yield _Case(_WHOLE, kind="skipped", message=words.reason(result, _DETAIL) or "It was not run.")
        return
    is_at_fault = result.status in {"failed", "network"}
    for stage, seconds in result.stages.items():
        if not (is_at_fault and stage == result.stage):
            yield _Case(_stage(stage), seconds)
    if is_at_fault and not _found_by_check(result):
        name = _stage(result.stage) if result.stage else _WHOLE
        yield _Case(name, result.stages.get(result.stage or "", 0.0), *_fault(result))
    for check in result.checks:
        yield _checked(check, result)
    if result.status == "partial":
        reached = Level.of(result.proven) if result.proven else 0
        for level in Level:
            if level > reached:
                yield _Case(f"level {level.word}", kind="skipped", message=words.reason(result, _DETAIL))


def _stage(stage: str) -> str:
    return f"stage {one_line(stage, _NAME)}"


def _found_by_check(result: Result) -> bool:
    """Whether the message is that of a check, and not of a stage that failed after it."""
    return any(result.message.startswith(f"{check.name}: ") for check in words.failed_checks(result))


def _fault(result: Result) -> tuple[str, str, str, str]:
    """The kind of its fault, its type, message and text."""
    kind = "error" if result.status == "network" else "failure"
    what = "network" if result.status == "network" else one_line(result.stage or "failed", _NAME)
    message = words.reason(result, _DETAIL)
    return kind, what, message, _text(message, *_help(result), *words.lines(result.tail, _TAIL_LINES))


def _checked(check: Check, result: Result) -> _Case:
    name, detail = f"check {one_line(check.name, _NAME)}", one_line(check.detail, _DETAIL)
    if check.skipped:
        return _Case(name, check.seconds, "skipped", message=detail or "skipped")
    if check.ok:
        return _Case(name, check.seconds)
    what = "network" if result.status == "network" else "check"
    kind = "error" if result.status == "network" else "failure"
    text = _text(detail, *_help(result), *words.lines(result.tail, _TAIL_LINES))
    return _Case(name, check.seconds, kind, what, detail or "failed", text)


def _help(result: Result) -> Iterator[str]:
    for known in result.diagnosis:
        yield one_line(f"{known.get('cause', '')}: {known.get('remedy', '')}", _DETAIL)
    yield from words.hint(result)


def _distinct(cases: list[_Case]) -> list[_Case]:
    """The same cases; those of one name are numbered, or readers take the last for all of them."""
    seen: Counter[str] = Counter()
    distinct = []
    for case in cases:
        seen[case.name] += 1
        again = seen[case.name]
        distinct.append(replace(case, name=f"{case.name} {again}") if again > 1 else case)
    return distinct


def _testcase(case: _Case, space: str) -> ET.Element:
    element = _element("testcase", classname=_package(space), name=f"{case.name} ({space})", time=_time(case.seconds))
    if case.kind == "skipped":
        skipped = _element("skipped", message=case.message)
        skipped.text = _clean(case.message)
        element.append(skipped)
    elif case.kind:
        fault = _element(case.kind, type=case.what, message=case.message)
        fault.text = _clean(case.text)
        element.append(fault)
    return element


def _properties(result: Result) -> dict[str, str]:
    told = {
        "revision": result.revision or "",
        "sdk": one_line(result.sdk),
        "proven": result.proven or "",
        "status": result.status,
        "exit_code": str(result.exit_code),
        "gpus": ", ".join(one_line(str(gpu)) for gpu in result.memory.get("gpus") or ()),
        "expected_gpu_bytes": str(result.memory.get("expected_bytes") or ""),
        "peak_gpu_bytes": str(result.memory.get("peak_bytes") or ""),
    }
    return {key: value for key, value in told.items() if value}


def _output(result: Result) -> str:
    """The end of the app's log."""
    tail = _text(*words.lines(result.tail, _TAIL_LINES))
    return tail + (f"\nThe whole log: {one_line(result.log, _DETAIL)}" if result.log else "")


def _remarks(result: Result) -> str:
    """What was not as it should be, but no fault."""
    told = [
        *(f"warning: {one_line(text, _DETAIL)}" for text in result.warnings),
        *(f"tried again: {one_line(text, _DETAIL)}" for text in result.retries),
        *(f"browser: {one_line(text, _DETAIL)}" for text in result.console),
    ]
    return _text(*told)


def _text(*texts: str) -> str:
    """Lines as one text; of one that is too long, its end."""
    text = _clean("\n".join(text for text in texts if text))
    return text if len(text) <= _TEXT else "…" + text[-_TEXT:]


def _element(tag: str, **attributes: str) -> ET.Element:
    return ET.Element(tag, {name: _clean(value) for name, value in attributes.items()})


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", printable(text))


def _package(space: str) -> str:
    return space.replace(".", "_")


def _time(seconds: float) -> str:
    return f"{max(seconds, 0.0):.3f}"


def _without_zone(moment: str) -> str:
    """`2026-03-02T08:15:00+00:00` as `2026-03-02T08:15:00`: UTC, as all times here."""
    found = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", moment)
    return found[0] if found else _EPOCH
