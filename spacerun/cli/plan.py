"""`spacerun plan SPACE`: what a launch would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from spacerun.cli import options as o
from spacerun.cli.session import Session

if TYPE_CHECKING:
    from rich.table import Table

    from spacerun.planning import Needed, Planned


def plan(
    space: o.Space,
    share: o.Share = True,
    host: o.Host = "127.0.0.1",
    gpu: o.Gpu = "auto",
    python: o.Python = None,
    as_of: o.AsOf = "auto",
    lock: o.Lock = None,
    locked: o.Locked = None,
    reuse_torch: o.ReuseTorch = "auto",
    with_: o.With = None,
    replace_model: o.ReplaceModel = None,
    env: o.Env = None,
    env_file: o.EnvFile = None,
    pass_token: o.PassToken = False,
    directory: o.Dir = None,
    like_hub: o.LikeHub = False,
    no_container: o.NoContainer = False,
    prebuilt: o.Prebuilt = False,
    build: Annotated[
        bool,
        typer.Option("--build", envvar="SPACERUN_BUILD", help="Build packages to know them; runs strangers' code."),
    ] = False,
    offline: o.Offline = False,
    json_output: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Show all that `launch` would do, without executing anything of the Space."""
    with Session("plan", as_json=json_output, quiet=quiet, verbose=verbose) as session:
        from rich.syntax import Syntax

        from spacerun.app.variables import given_variables
        from spacerun.cli.needs import model_rows, need_rows
        from spacerun.needs.replace import replacements
        from spacerun.planning import plan as make_plan
        from spacerun.progress import StageClock
        from spacerun.stages import Options

        clock = StageClock(session.progress)
        options = Options(
            space=space,
            share=share,
            host=host,
            gpu=gpu,
            python=python,
            as_of=as_of,
            lock=lock,
            locked=locked,
            reuse_torch=reuse_torch == "auto",
            packages=tuple(with_ or ()),
            replaced_models=replacements(replace_model or ()),
            variables=given_variables(env or (), env_file or ()),
            pass_token=pass_token,
            directory=directory.expanduser().absolute() if directory else None,
            like_hub=like_hub,
            no_container=no_container,
            prebuilt=prebuilt,
            offline=offline,
        )

        def show_needs(needed: Needed) -> None:
            rows = need_rows(needed.located)
            if rows:
                session.print(_grid(rows))
            if needed.located.models:
                session.print(model_rows(needed))

        planned = make_plan(options, clock, build=build, show_needs=show_needs)
        session.emit(planned.to_json(clock.seconds))
        session.print(_table(planned))
        if planned.diff:
            session.print(Syntax(planned.diff, "diff", theme="ansi_dark", background_color="default", word_wrap=True))


def _sdk(planned: Planned) -> str:
    located = planned.located
    if located.environment_plan.empty:
        return located.card.sdk
    if located.card.sdk == "docker":
        return "docker, without a container"
    version = located.environment_plan.gradio or located.card.sdk_version
    return f"{located.card.sdk} {version or '(newest)'}"


def _container(planned: Planned) -> dict[str, str]:
    told = planned.container
    if told is None:
        return {}
    secrets = [f"{row['name']}{' (required)' if row['required'] else ''}" for row in told["build_secrets"]]
    return {
        "Base image": ", ".join(told["images"]),
        "Image": told["image"] or "not without its secrets",
        "Built by": "\n".join(told["steps"]),
        "Build secrets": ", ".join(secrets),
        "Starts": told["command"],
        "Port": f"{told['port']} in the container",
    }


def _system_packages(planned: Planned) -> str:
    wanted = planned.system_packages
    if wanted.missing is None:
        return f"{', '.join(wanted.names)} (this system has no dpkg)"
    return ", ".join(f"{name} (missing)" if name in wanted.missing else name for name in wanted.names)


def _table(planned: Planned) -> Table:
    from spacerun.planning import missing_disk
    from spacerun.stages.fitting import ranged, told
    from spacerun.text import size

    located = planned.located
    environment = located.environment_plan
    packages = planned.packages
    lacking = missing_disk(planned)
    host = located.fit.estimate.host
    rows = {
        "Space": located.name,
        "Revision": located.checkout.commit or "as the folder is now",
        "Folder": str(located.checkout.directory),
        "SDK": _sdk(planned),
        "Python": "" if environment.empty else f"{environment.python} ({environment.python_why})",
        "PyTorch": f"{environment.torch.version} ({environment.torch.build}): {environment.torch.why}"
        if environment.torch
        else "",
        "Packages": ""
        if environment.empty
        else f"{len(packages.packages)}, {size(packages.download_bytes)} to download",
        "Known after install": ", ".join(packages.unknown),
        "Packages of": ""
        if environment.empty
        else f"{(environment.as_of.date or 'today')[:10]} ({environment.as_of.why})",
        "Build": "\n".join(planned.build),
        **_container(planned),
        "Decided": "\n".join(environment.notes),
        "System packages": _system_packages(planned),
        "Large files": f"{size(planned.large_file_bytes)} to download" if planned.large_file_bytes else "",
        "Models": f"{size(planned.model_bytes)} to download" if planned.model_bytes else "",
        "Disk": f"about {size(planned.disk_bytes)}" + (f", {size(lacking)} more than is free" if lacking else ""),
        "GPU": ", ".join(f"{device.label} {device.name}" for device in located.fit.gpus) or "none is used",
        "GPU memory": told(located.fit),
        "Main memory": f"{ranged(host)} of weights" if host.expected else "",
        "Launch": "\n".join(f"{r.file}:{r.line} {r.after} ({r.how}): {r.why}" for r in located.source.rewrites),
    }
    return _grid(rows)


def _grid(rows: dict[str, str]) -> Table:
    """Names and values side by side; what has no value is left out."""
    from rich.table import Table
    from rich.text import Text

    from spacerun.text import one_line

    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        if value:
            shown = "\n".join(one_line(line, 400) for line in value.splitlines())
            table.add_row(Text(name, style="bold"), Text(shown))
    return table
