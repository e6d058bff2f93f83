"""Static Spaces: files, built by npm first where the card says so, and a small server in front of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun.sdks import static_build, static_server
from spacerun.sdks.base import Command, Sdk, any_page
from spacerun.text import one_line

if TYPE_CHECKING:
    from spacerun.app.spec import AppSpec
    from spacerun.progress import StageClock
    from spacerun.sdks.base import Judge, Site
    from spacerun.space.card import SpaceCard


class _Static:
    wants_python = False
    asks_password = False

    def steps(self, card: SpaceCard) -> tuple[str, ...]:
        return ("npm install", one_line(card.build_command, 200)) if card.build_command else ()

    def build(self, site: Site, clock: StageClock) -> str:
        if site.given:
            clock.progress.warn(
                f"{', '.join(site.given)} will stand in the page itself, as on Hugging Face: "
                "whoever opens it can read the values."
            )
        return str(static_build.build(site, clock)) if site.card.build_command else ""

    def command(self, site: Site, built: str, *, host: str, port: int) -> Command:
        # Neither the Space's own modules nor its start-up hook reach a server that executes nothing of the Space.
        server = (sys.executable, "-I", "-S", static_server.__file__)
        folder = Path(built) if built else site.directory
        headers = [f"--header={name}:{value}" for name, value in site.card.headers]
        variables = [f"--variable={name}" for name in site.given]
        return Command((*server, *headers, *variables, "--", host, str(port), str(folder), site.card.app_file))

    def judge(self, spec: AppSpec) -> Judge:  # noqa: ARG002
        return any_page


SDK: Final[Sdk] = _Static()
