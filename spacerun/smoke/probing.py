"""Looking at an app that answers: the checks that go with what it is."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun.app import registry
from spacerun.smoke.calls import check_calls, check_gradio
from spacerun.smoke.gradio_config import read_config
from spacerun.smoke.job import Level
from spacerun.smoke.links import check_links
from spacerun.smoke.logs import check_log
from spacerun.smoke.pages import check_answers, check_page, check_script
from spacerun.smoke.result import Check
from spacerun.smoke.subject import Subject
from spacerun.stages.starting import clean_variables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spacerun.app.spec import AppRecord
    from spacerun.smoke.contract import Contract
    from spacerun.smoke.job import Job
    from spacerun.stages import Options, Prepared

_CALL_SECONDS: Final = 300.0
_NO_GRADIO: Final = frozenset({"static", "streamlit"})
_SHOT: Final = "page.png"
_DESCRIPTIONS: Final = 2  # `config` and `api`, which come before the examples


@dataclass(frozen=True)
class Probed:
    """What was seen of an app.

    Attributes:
        checks: In the order in which they were made.
        called: Whether something of it was really called, or all of a page was looked at, and not only its address.
        screenshot: Path of a picture of its page.
        console: What a browser complained of.
    """

    checks: tuple[Check, ...]
    called: bool
    screenshot: str | None = None
    console: tuple[str, ...] = ()


def probe(
    prepared: Prepared,
    record: AppRecord,
    *,
    options: Options,
    job: Job,
    contract: Contract,
    until: Level,
) -> Probed:
    """Look at an app that answers, as far as `until` says."""
    log = Path(record.log)
    environment = prepared.environment
    subject = Subject(
        url=record.url or "",
        sdk=prepared.located.card.runner,
        card=prepared.located.card,
        directory=prepared.located.checkout.directory,
        python=environment.python if environment else None,
        variables=clean_variables(prepared, options),
        log=log,
        log_start=log.stat().st_size,
        log_inode=log.stat().st_ino,
        artefacts=Path(job.artefacts),
        call_seconds=contract.call_seconds or _CALL_SECONDS,
        alive=lambda: registry.alive(registry.load(record.id) or record),
    )
    config = read_config(subject.url) if subject.sdk not in _NO_GRADIO else None
    api = check_gradio(subject, config) if config else iter(())
    checks = list(_timed(_looked_at(subject, api, gradio=config is not None)))
    if record.share_url:
        checks.append(Check("share", ok=True, detail=record.share_url))
    calls = (*contract.calls, *job.calls)
    worked = []
    if until is Level.CALLS:
        examples = api if contract.examples else iter(())
        worked = list(_timed(chain(_worked(subject), examples, check_calls(subject, config, calls))))
    checks += worked
    shot = None
    if job.screenshot:
        from spacerun.smoke.screenshot import take

        subject.artefacts.mkdir(parents=True, exist_ok=True)
        shot = take(subject, file=subject.artefacts / _SHOT, gradio=config is not None)
        checks += shot.checks
    checks += _timed([check_log(subject)])
    return Probed(
        tuple(checks),
        called=any(check.ok and not check.skipped for check in worked),
        screenshot=str(shot.path) if shot and shot.path else None,
        console=shot.console if shot else (),
    )


def _looked_at(subject: Subject, api: Iterator[Check], *, gradio: bool) -> Iterator[Check]:
    """What every app has, and the description of its API where Gradio serves it."""
    yield check_answers(subject)
    yield check_page(subject, gradio=gradio)
    yield from islice(api, _DESCRIPTIONS)


def _worked(subject: Subject) -> Iterator[Check]:
    """What shows that it works where it has no functions to call."""
    if subject.sdk == "streamlit":
        yield check_script(subject)
    elif subject.sdk == "static":
        yield from check_links(subject)


def _timed(checks: Iterable[Check]) -> Iterator[Check]:
    """The same checks, each with the time that it took."""
    began = time.monotonic()
    for check in checks:
        now = time.monotonic()
        yield check if check.seconds else replace(check, seconds=round(now - began, 3))
        began = now
