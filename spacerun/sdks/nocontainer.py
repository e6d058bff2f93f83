"""Docker Spaces without a container (`--no-container`): their server in an environment of spacerun's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spacerun.containers.dockerfile import read_dockerfile
from spacerun.containers.nocontainer import HOST, PORT, Translation, translate
from spacerun.errors import PackagesError
from spacerun.sdks.base import Command, Sdk, Unbuilt, any_page

if TYPE_CHECKING:
    from spacerun.app.spec import AppSpec
    from spacerun.sdks.base import Judge, Site


class _NoContainer(Unbuilt):
    wants_python = True
    asks_password = False

    def command(self, site: Site, built: str, *, host: str, port: int) -> Command:  # noqa: ARG002
        translation = translate(read_dockerfile(site.directory), site.directory, app_port=site.card.app_port)

        def filled(word: str) -> str:
            return word.replace(HOST, host).replace(PORT, str(port))

        program, *arguments = translation.command
        argv = (_program(site, program), *map(filled, arguments))
        variables = {name: filled(value) for name, value in translation.variables.items()}
        return Command(_in_folder(translation, argv), variables)

    def judge(self, spec: AppSpec) -> Judge:  # noqa: ARG002
        return any_page


SDK: Final[Sdk] = _NoContainer()


def _program(site: Site, name: str) -> str:
    """The environment's Python, or a program that a package brought."""
    assert site.environment is not None  # noqa: S101 - narrows the type: it is made for an SDK that wants Python
    python = site.environment.python
    if name == "python":
        return str(python)
    program = python.with_name(name)
    if not program.exists():
        raise PackagesError(
            f"The Dockerfile starts {name}, and none of the packages that it installs brings that.",
            hint=f"Add the one that does: --with {name}",
            stage="start",
        )
    return str(program)


def _in_folder(translation: Translation, argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command in the folder of the Space that is the image's working folder."""
    if not translation.folder:
        return argv
    return ("/bin/sh", "-c", 'cd -- "$0" && exec "$@"', translation.folder, *argv)
