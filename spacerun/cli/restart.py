"""`spacerun restart`: start an app again."""

from __future__ import annotations

from spacerun.cli import options as o
from spacerun.cli.session import Session


def restart(
    name: o.AppName,
    env: o.Env = None,
    env_file: o.EnvFile = None,
    pass_token: o.PassToken = False,
    json_output: o.Json = False,
    verbose: o.Verbose = False,
) -> None:
    """Start an app again with the same options: one that runs, or one that has ended.

    It keeps its name, its port and its log, and gets a new public link. One that has ended runs detached from then on.
    Of what it was given with --env, --env-file or --pass-token only the names are kept: give that again.
    """
    with Session("restart", as_json=json_output, verbose=verbose) as session:
        from rich.text import Text

        from spacerun import hub
        from spacerun.app import registry
        from spacerun.app.restart import restart as restart_app
        from spacerun.app.variables import given_variables
        from spacerun.progress import StageClock

        registry.reap_orphans()
        record = registry.find(name)
        with StageClock(session.progress).stage("start", f"starting {record.id} again") as stage:
            again = restart_app(
                record,
                token=hub.token() if pass_token else None,
                given=given_variables(env or (), env_file or ()),
                on_line=session.progress.note if verbose else lambda _: None,
                on_warning=session.progress.warn,
            )
            stage.text = f"it answers at {again.url}"
        session.emit({"restarted": again.to_json()})
        session.print(Text(f"Restarted {again.id} at {again.share_url or again.url}."))
