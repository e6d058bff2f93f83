"""A machine with any GPUs, for subprocesses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests import fake_nvml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Report = dict[str, Any]

# The report, and what the JSON of the command leaves out.
_READ = """
import dataclasses, json
from spacerun.gpu.devices import read_devices
report = read_devices()
print(json.dumps(report.to_json() | {
    "problem": report.problem and dataclasses.asdict(report.problem),
    "hidden": [device.label for device in report.hidden],
    "notes": report.notes,
}))
"""


def clean_environment() -> dict[str, str]:
    """The environment without what the developer's own machine says about GPUs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NVML_STUB_", "SPACERUN_"))}
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        kept.pop(name, None)
    return kept


@pytest.fixture
def read(nvml_folder: Path) -> Callable[..., Report]:
    """Read the devices of a made-up machine, in a new process as the linker demands."""

    def run(*gpus: fake_nvml.Gpu, variables: Mapping[str, str] | None = None, **options: Any) -> Report:
        environment = clean_environment() | fake_nvml.environment(nvml_folder, gpus, **options) | dict(variables or {})
        done = subprocess.run(
            [sys.executable, "-c", _READ], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout)

    return run


@pytest.fixture
def no_library(tmp_path: Path) -> dict[str, str]:
    """Variables under which no NVML can be loaded, on a machine that has one too: the linker stops at a broken file."""
    (tmp_path / "libnvidia-ml.so.1").write_text("not a library\n" * 100)
    return {"LD_LIBRARY_PATH": str(tmp_path)}


@pytest.fixture
def machine(nvml_folder: Path) -> Callable[..., dict[str, str]]:
    """The variables of a made-up machine, under which a terminal is what its own variables say."""

    def variables(*gpus: fake_nvml.Gpu, **options: Any) -> dict[str, str]:
        environment = clean_environment() | fake_nvml.environment(nvml_folder, gpus, **options)
        for name in ("CI", "JPY_PARENT_PID", "LINES"):
            environment.pop(name, None)
        return environment | {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}

    return variables
