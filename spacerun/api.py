"""spacerun as a library: `spacerun.launch` and `spacerun.plan`, which run the same stages as the commands."""

from __future__ import annotations

import atexit
import os
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from spacerun import given
from spacerun.app.handle import App
from spacerun.errors import SpacerunError
from spacerun.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date
    from typing import Literal

    from spacerun.console import ConsoleProgress
    from spacerun.given import StrPath
    from spacerun.progress import SilentProgress

__all__ = ["App", "Plan", "launch", "plan"]


def launch(
    space: StrPath,
    *,
    share: bool = True,
    require_share: bool = False,
    share_timeout: float = 30.0,
    auth: str | tuple[str, str] | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    gpu: str | int = "auto",
    python: str | None = None,
    as_of: str | date = "auto",
    lock: StrPath | None = None,
    locked: StrPath | None = None,
    reuse_torch: Literal["auto", "off"] = "auto",
    with_: Iterable[str] = (),
    replace_model: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    env_file: Iterable[StrPath] = (),
    pass_token: bool = False,
    dir: StrPath | None = None,
    timeout: float | None = None,
    system_packages: Literal["ask", "yes", "no"] = "ask",
    attempts: int = 3,
    restart: Literal["no", "on-failure"] = "no",
    idle_timeout: str | None = None,
    like_hub: bool = False,
    no_container: bool = False,
    prebuilt: bool = False,
    force: bool = False,
    offline: bool = False,
    detach: bool = False,
    progress: bool | None = None,
) -> App:
    """Clone a Space, make its environment, start it, and return once it answers.

    Each argument is the option of `spacerun launch` that has its name (docs/commands.md). Nobody is asked anything:
    what the command would ask for is an error, or a warning.

    Args:
        space: `owner/name`, `owner/name@REVISION`, a Space's address, or a folder: `./my-space`, or a `Path`.
        share: Make a public link. Whoever has the link can use the app, unless `auth` asks for a password.
        require_share: Fail without a working link.
        share_timeout: Seconds that the link may take to appear, and from then on to answer.
        auth: Name and password that everybody is asked for: two strings, or one as `USER:PASSWORD`.
        host: Address that the app listens on.
        port: Port that the app listens on; None for 7860, else the next free one.
        gpu: Which GPUs the app may see: `auto`, `none`, an index, several (`0,1`), or a UUID.
        python: Python version instead of the card's.
        as_of: Take packages as they were on this day; `auto` for the day of the Space's last change, or `latest`.
        lock: File in which to write down all that the environment holds.
        locked: File, written by `lock`, whose environment to make, exactly.
        reuse_torch: Whether the PyTorch that this machine has may be used.
        with_: Packages to install, too.
        replace_model: Models to load instead of those that the Space names, by these.
        env: Variables for the app.
        env_file: Files with variables for the app.
        pass_token: Give the app the user's Hugging Face token.
        dir: Folder to clone into and keep up to date.
        timeout: Seconds until the app must answer; None for the card's, else half an hour.
        system_packages: Whether the Debian packages in packages.txt may be installed; `ask`: no, but it is told how.
        attempts: How often to start it, from 1 to 6, each time with other packages if these may help.
        restart: `on-failure` starts it again when it crashes after it had answered.
        idle_timeout: Stop it once nobody was connected to it for so long: `90s`, `30m`, `2h`.
        like_hub: Tell the app that it runs on Hugging Face.
        no_container: Run a docker Space without a container, if its Dockerfile is Python, pip and a server.
        prebuilt: Run a docker Space from the image that Hugging Face built, instead of building one.
        force: Start although memory does not suffice, or a model that it needs cannot be had.
        offline: Use what is on this disk.
        detach: Let the app outlive this interpreter. Otherwise it is ended when this process ends, however that does.
        progress: Whether to show the stages, line by line; None: in a notebook and on a terminal.

    Raises:
        SpacerunError: As the command would fail; its class says of what kind, `hint` what to do, and `exit_code` is
            that of the command. Nothing is left running then.
        KeyboardInterrupt: Nothing is left running either.
    """
    from spacerun import launching
    from spacerun.app.idle import idle_seconds
    from spacerun.environment.system import Consent
    from spacerun.progress import StageClock
    from spacerun.report import launch_data
    from spacerun.stages import Options

    given.require("port", port, 1, 65535)
    given.require("timeout", timeout, 1)
    given.require("share_timeout", share_timeout, 1)
    given.require("attempts", attempts, 1, 6)
    options = Options(
        space=given.space(space),
        share=share or require_share,
        require_share=require_share,
        share_seconds=share_timeout,
        password=given.password(auth),
        host=host,
        port=port,
        gpu=str(gpu),
        python=python,
        as_of=given.day(as_of),
        lock=given.path(lock),
        locked=given.path(locked),
        reuse_torch=reuse_torch == "auto",
        packages=given.several(with_),
        replaced_models=given.replaced(replace_model),
        variables=given.variables(env, env_file),
        pass_token=pass_token,
        directory=given.path(dir),
        timeout_seconds=timeout,
        system_packages=Consent(system_packages),
        attempts=attempts,
        restart=restart,
        idle_seconds=idle_seconds(idle_timeout),
        like_hub=like_hub,
        no_container=no_container,
        prebuilt=prebuilt,
        force=force,
        offline=offline,
    )
    with working(progress) as listener:
        clock = StageClock(listener)
        launched = launching.launch_supervised(options, clock, tied=not detach)
        data = launch_data(launched.prepared, launched.record, clock.seconds)
        app = App(launched.record.id, launched.record.space, tuple(listener.warnings), data, launched.record)
    if not detach:
        # The app would be ended anyway; this way it is by the time that the interpreter is gone.
        atexit.register(partial(_end, app, os.getpid()))
    return app


@dataclass(frozen=True)
class Plan:
    """What a launch would do.

    Attributes:
        space: `owner/name`, or the path of a folder.
        revision: Full commit; None for a folder.
        python: Version of Python that it runs on.
        download_bytes: What would be fetched, in bytes: large files, models, packages.
        disk_bytes: What that takes of the disk, in bytes.
        diff: The edit of the clone as a unified diff.
        warnings: What is not as expected.
        data: All of it, as `spacerun plan --json` tells it.
    """

    space: str
    revision: str | None
    python: str
    download_bytes: int
    disk_bytes: int
    diff: str = field(repr=False)
    warnings: tuple[str, ...] = field(repr=False)
    data: Mapping[str, Any] = field(repr=False, compare=False)


def plan(
    space: StrPath,
    *,
    share: bool = True,
    host: str = "127.0.0.1",
    gpu: str | int = "auto",
    python: str | None = None,
    as_of: str | date = "auto",
    lock: StrPath | None = None,
    locked: StrPath | None = None,
    reuse_torch: Literal["auto", "off"] = "auto",
    with_: Iterable[str] = (),
    replace_model: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    env_file: Iterable[StrPath] = (),
    pass_token: bool = False,
    dir: StrPath | None = None,
    like_hub: bool = False,
    no_container: bool = False,
    prebuilt: bool = False,
    build: bool = False,
    offline: bool = False,
    progress: bool | None = None,
) -> Plan:
    """Decide all that `launch` would do with the same arguments, without executing anything of the Space.

    `build` builds packages that can only be known so; that runs strangers' code.

    Raises:
        SpacerunError: As the command would fail.
    """
    from spacerun import planning
    from spacerun.progress import StageClock
    from spacerun.stages import Options

    options = Options(
        space=given.space(space),
        share=share,
        host=host,
        gpu=str(gpu),
        python=python,
        as_of=given.day(as_of),
        lock=given.path(lock),
        locked=given.path(locked),
        reuse_torch=reuse_torch == "auto",
        packages=given.several(with_),
        replaced_models=given.replaced(replace_model),
        variables=given.variables(env, env_file),
        pass_token=pass_token,
        directory=given.path(dir),
        like_hub=like_hub,
        no_container=no_container,
        prebuilt=prebuilt,
        offline=offline,
    )
    with working(progress) as listener:
        clock = StageClock(listener)
        planned = planning.plan(options, clock, build=build)
        located = planned.located
    return Plan(
        space=located.name,
        revision=located.checkout.commit,
        python=located.environment_plan.python,
        download_bytes=planned.download_bytes,
        disk_bytes=planned.disk_bytes,
        diff=planned.diff,
        warnings=tuple(listener.warnings),
        data=planned.to_json(clock.seconds),
    )


def _end(app: App, pid: int) -> None:
    """Stop `app` as the interpreter ends; one that was forked from it ends for itself alone."""
    if os.getpid() == pid:
        app.stop()


@contextmanager
def working(shown: bool | None) -> Iterator[ConsoleProgress | SilentProgress]:  # noqa: FBT001 - a setting, passed on
    """Work inside somebody else's program: yields who is told of it, puts the environment back, makes failures safe."""
    from spacerun.console import ConsoleProgress, cell_output, in_notebook
    from spacerun.progress import SilentProgress
    from spacerun.space.git import git_variables_lent

    if cell_output():
        with warnings.catch_warnings():
            # huggingface_hub imports it, and where a notebook has no widgets it complains, once.
            warnings.simplefilter("ignore")
            import_module("tqdm.auto")
    if shown is None:
        shown = in_notebook() or (sys.stderr is not None and sys.stderr.isatty())
    progress = ConsoleProgress(file=cell_output()) if shown else SilentProgress()
    try:
        with git_variables_lent():
            yield progress
    except SpacerunError as error:
        _show(error)
        raise
    finally:
        if isinstance(progress, ConsoleProgress):
            progress.close()


def _show(error: SpacerunError) -> None:
    """Let a traceback show what the command would: the hint, too, and a stranger's text as text."""
    error.message = printable(error.message)
    error.args = (error.message,)
    if error.hint:
        error.hint = printable(error.hint)
        if sys.version_info >= (3, 11):
            error.add_note(error.hint)
