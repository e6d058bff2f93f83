"""Docker Spaces: an image built from the Dockerfile, run as Hugging Face runs it, and looked after by its engine."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from spacerun.containers import store
from spacerun.containers.build import (
    client_variables,
    decide_build,
    exists,
    kept_back,
    prebuilt_image,
    pull,
    run_build,
    tag,
)
from spacerun.containers.dockerfile import read_dockerfile
from spacerun.containers.engine import Engine, find_engine
from spacerun.containers.folders import folders_of, places
from spacerun.containers.run import Container, Gpu, Network, Run, container_name, network_of, run_argv, split_variables
from spacerun.errors import FetchError
from spacerun.sdks.base import Command, Sdk, any_page
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spacerun.app.spec import AppSpec
    from spacerun.progress import StageClock
    from spacerun.sdks.base import Judge, Site
    from spacerun.space.card import SpaceCard

_PASSED_ON: Final = ("HF_ENDPOINT", "HF_HUB_OFFLINE", "TZ")
"""Settings of the user that a container has as well."""


class _Docker:
    wants_python = False
    asks_password = False

    def steps(self, card: SpaceCard) -> tuple[str, ...]:  # noqa: ARG002
        return ()

    def build(self, site: Site, clock: StageClock) -> str:
        with clock.stage("environment", "building the image") as stage:
            engine = engine_here()
            dockerfile = read_dockerfile(site.directory, site.given)
            given = variables_of(site)
            for name in kept_back(dockerfile, given):
                clock.progress.warn(
                    f"{one_line(name, 80)} is no build argument: whoever has the image could read it there. "
                    "A Dockerfile takes a secret by `RUN --mount=type=secret`."
                )
            build = decide_build(site.name, site.directory, dockerfile, given)
            image = tag(build)
            made = not exists(engine, image)
            if made:
                if site.offline:
                    clock.progress.warn("Offline, the image can be built only if nothing has to be fetched for it.")
                run_build(
                    engine, build, image, given, lambda line: clock.progress.update("environment", one_line(line))
                )
            store.remember(engine, image, site.name)
            _tell_network(engine, image, site, clock)
            stage.text = f"{image} ({'built' if made else 'as built before'})"
        return image

    def command(self, site: Site, built: str, *, host: str, port: int) -> Command:
        engine = engine_here()
        network = _network(engine, built)
        app_port = site.card.app_port
        container = Container(engine.kind, engine.path, container_name(site.app), app_port, network)
        dockerfile = read_dockerfile(site.directory)
        folders = folders_of(site.name, in_clone=site.commit is not None)
        inline, names = split_variables(variables_of(site))
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        run = Run(
            container,
            site.app,
            built,
            host,
            port,
            folders={inside: str(here) for inside, here in folders.items()},
            variables={**passed, **site.told, **places(dockerfile), **inline},
            names=names,
            gpus=tuple(Gpu(device.label, device.uuid) for device in site.gpus),
        )
        return Command(
            run_argv(engine, run),
            client_variables(),
            container=container,
            port=app_port if network == "host" else None,
            watch=tuple(str(here) for here in folders.values()),
        )

    def judge(self, spec: AppSpec) -> Judge:  # noqa: ARG002
        return any_page  # any server may be in a container, and all have one


class _Prebuilt(_Docker):
    """The image that Hugging Face built."""

    def build(self, site: Site, clock: StageClock) -> str:
        with clock.stage("environment", "fetching the image") as stage:
            engine, image = engine_here(), prebuilt_image(site.name)
            if not site.offline:
                pull(engine, image, lambda line: clock.progress.update("environment", one_line(line)))
            elif not exists(engine, image):
                raise FetchError(f"The image {image} is not here.", hint="Run it once without --offline.")
            store.remember(engine, image, site.name)
            _tell_network(engine, image, site, clock)
            stage.text = image
        return image


SDK: Final[Sdk] = _Docker()
PREBUILT: Final[Sdk] = _Prebuilt()


def engine_here() -> Engine:
    """The engine that runs containers here, tried once.

    Raises:
        PrerequisiteError: There is none.
    """
    return _engine(os.environ.get("PATH", ""))


def variables_of(site: Site) -> Mapping[str, str]:
    """What the user gives the app: the token, if it is passed on, and `--env`."""
    return {**site.token, **site.given}


@lru_cache(maxsize=1)
def _engine(path: str) -> Engine:  # noqa: ARG001 - another PATH, another engine
    return find_engine()


@lru_cache(maxsize=8)
def _network(engine: Engine, image: str) -> Network:
    return network_of(engine, image)


def _tell_network(engine: Engine, image: str, site: Site, clock: StageClock) -> None:
    if _network(engine, image) == "host":
        clock.progress.warn(
            f"{engine.kind} gives containers this machine's own network here: the app listens on port "
            f"{site.card.app_port}, and at the address that its code says."
        )
