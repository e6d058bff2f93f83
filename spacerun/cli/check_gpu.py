"""`spacerun check-gpu`: the GPUs of this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from spacerun.cli.session import Session


def check_gpu(
    json_output: Annotated[
        bool, typer.Option("--json", envvar="SPACERUN_JSON", help="Print one JSON document on standard output.")
    ] = False,
) -> None:
    """Show the GPUs, their free memory and who uses it; exit 7 if there is none.

    CUDA_VISIBLE_DEVICES limits what is shown, as it limits what a Space can use.
    """
    from spacerun.gpu.devices import read_devices
    from spacerun.gpu.table import DeviceTable

    with Session("check-gpu", as_json=json_output) as session:
        report = read_devices()
        if not report.devices:
            raise report.error()
        if report.problem:
            session.progress.warn(f"{report.problem.message} {report.problem.remedy}")
        session.print(DeviceTable(report))
        session.emit(report.to_json())
