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
}))
"""


def clean_environment() -> dict[str, str]:
    """The environment without what the developer's own machine says about GPUs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NVML_STUB_", "SPACERUN_"))}
    kept.pop("CUDA_VISIBLE_DEVICES", None)
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
