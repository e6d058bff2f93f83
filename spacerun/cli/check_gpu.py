"""`spacerun check-gpu`: the GPUs of this machine, and whether something fits them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from spacerun.cli import options as o
from spacerun.cli.session import Session

if TYPE_CHECKING:
    from spacerun.checking import Answer

_WATCH_SECONDS = 2.0


def check_gpu(
    space: Annotated[
        str | None,
        typer.Argument(metavar="SPACE", help="The Space to check, as for launch.", show_default=False),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            envvar="SPACERUN_MODEL",
            metavar="ID",
            help="A model on the Hub instead of a Space: owner/name, or owner/name/file. Repeatable.",
            show_default=False,
        ),
    ] = None,
    dtype: Annotated[
        Literal["stored", "float32", "float16", "bfloat16", "int8", "nf4", "nf4-dq"],
        typer.Option("--dtype", envvar="SPACERUN_DTYPE", help="In which form --model is loaded."),
    ] = "stored",
    need: Annotated[
        str | None,
        typer.Option(
            "--need",
            envvar="SPACERUN_NEED",
            metavar="SIZE",
            help="A number of bytes instead of a Space, such as 18GiB.",
            show_default=False,
        ),
    ] = None,
    gpu: o.Gpu = "auto",
    explain: Annotated[
        bool, typer.Option("--explain", envvar="SPACERUN_EXPLAIN", help="Show every term, its formula and source.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", envvar="SPACERUN_WATCH", help="Show the GPUs again and again, until Ctrl-C.")
    ] = False,
    ledger: Annotated[
        bool,
        typer.Option("--ledger", envvar="SPACERUN_LEDGER", help="Show what Spaces took here, beside the estimates."),
    ] = False,
    as_of: o.AsOf = "auto",
    replace_model: o.ReplaceModel = None,
    env: o.Env = None,
    env_file: o.EnvFile = None,
    offline: o.Offline = False,
    json_output: o.Json = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> None:
    """Show the GPUs, and whether a Space, a model or a number of bytes fits them.

    Exit 7 if a GPU is needed and there is none, 8 if too little memory is free. CUDA_VISIBLE_DEVICES limits what is
    shown, as it limits what a Space can use.
    """
    with Session("check-gpu", as_json=json_output, quiet=quiet, verbose=verbose) as session:
        from spacerun.errors import UsageError

        asked = [name for name, given in (("SPACE", space), ("--model", model), ("--need", need)) if given]
        asked += [name for name, given in (("--watch", watch), ("--ledger", ledger)) if given]
        if len(asked) > 1:
            raise UsageError(f"{' and '.join(asked)} cannot be given together.", hint="Ask one thing at a time.")
        if ledger:
            _show_ledger(session)
        elif watch:
            _watch(session)
        elif not asked:
            _show_devices(session)
        else:
            from spacerun.checking import check_models, check_need, check_space
            from spacerun.progress import StageClock

            if model:
                answer = check_models(model, dtype, gpu)
            elif need:
                answer = check_need(_bytes(need), gpu)
            else:
                from spacerun.app.variables import given_variables
                from spacerun.needs.replace import replacements
                from spacerun.stages import Options

                options = Options(
                    space=space or "",
                    gpu=gpu,
                    as_of=as_of,
                    replaced_models=replacements(replace_model or ()),
                    variables=given_variables(env or (), env_file or ()),
                    offline=offline,
                )
                answer = check_space(options, StageClock(session.progress))
            _show(session, answer, explain=explain)


def _show_devices(session: Session) -> None:
    from spacerun.gpu.devices import read_devices
    from spacerun.gpu.table import DeviceTable

    report = read_devices()
    if not report.devices:
        raise report.error()
    if report.problem:
        session.progress.warn(f"{report.problem.message} {report.problem.remedy}")
    session.print(DeviceTable(report))
    for note in report.notes if session.as_json else ():  # the table has them
        session.progress.warn(note)
    session.emit(report.to_json())


def _show(session: Session, answer: Answer, *, explain: bool) -> None:
    from spacerun.cli.memory import answer_rows, terms_lines
    from spacerun.gpu.table import DeviceTable

    report = answer.case.report
    if report.devices:
        session.print(DeviceTable(report))
        session.print()
    if explain and answer.fit.estimate.terms:
        for line in terms_lines(answer.fit.estimate):
            session.print(line)
    for row in answer_rows(answer):
        session.print(row)
    if answer.error:
        raise answer.error
    session.emit(answer.to_json())


def _show_ledger(session: Session) -> None:
    from spacerun.cli.memory import ledger_table
    from spacerun.memory import ledger

    entries = ledger.entries()
    session.emit({"ledger": [entry.to_json() for entry in entries]})
    session.print(ledger_table(entries) if entries else "Nothing was measured yet: launch a Space on a GPU.")


def _watch(session: Session) -> None:
    from spacerun.console import stdout_console
    from spacerun.errors import UsageError
    from spacerun.gpu.devices import read_devices
    from spacerun.gpu.watch import watch

    if session.as_json:
        raise UsageError("--watch shows a table; for data ask again and again: spacerun check-gpu --json")
    session.progress.close()
    watch(read_devices, stdout_console(), _WATCH_SECONDS)


def _bytes(text: str) -> int:
    from spacerun.errors import UsageError
    from spacerun.text import parse_size

    try:
        return parse_size(text)
    except ValueError:
        raise UsageError(f"--need {text!r} is no size.", hint="For example: --need 18GiB") from None
