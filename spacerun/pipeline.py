"""The pipeline: which stage follows which, and what runs beside what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spacerun import sdks
from spacerun.environment.as_of import parse_as_of
from spacerun.environment.bytecode import warm
from spacerun.lanes import Lanes
from spacerun.space.git import scrub_git_environment
from spacerun.stages import Prepared, locating, preparing, starting

if TYPE_CHECKING:
    from spacerun.progress import StageClock
    from spacerun.stages import Located, Options


def locate(options: Options, clock: StageClock) -> Located:
    """Find, clone, read: everything that is known before anything big is fetched and anything is executed."""
    scrub_git_environment()
    # What the user typed is judged before the network is asked.
    parse_as_of(options.as_of)
    locating.read_locked(options)
    with Lanes() as lanes:
        checking = lanes.run(lambda: preparing.check_gpus(options, clock))
        found, checkout = locating.obtain(options, clock)
    return locating.read(options, clock, found, checkout, checking.result())


def prepare(located: Located, options: Options, clock: StageClock) -> Prepared:
    """Everything up to the start. The environment is made while the large files stream in."""
    sdk = sdks.of(located.card.runner)
    environment = None
    with Lanes() as lanes:
        if located.found and not preparing.has_large_files(located.checkout):
            lanes.run(lambda: preparing.fetch_large_files(located, options, clock))
        if sdk.wants_python:
            making = lanes.run(lambda: preparing.make_environment(located, options, clock))
            # What Gradio imports is compiled as long as large files still stream in.
            warming = lanes.run(lambda: warm(making.result()[1]))
    if sdk.wants_python:
        located, environment = making.result()
        warming.result().stop()
    if options.lock and environment:
        preparing.export_lock(located, environment, options.lock)
    source = preparing.edit(located, environment, clock) if environment else located.source
    built = sdk.build(starting.site(located, environment, options), clock)
    return Prepared(located, environment, source, built)
