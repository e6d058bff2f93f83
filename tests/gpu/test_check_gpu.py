"""`spacerun check-gpu`, as a user types it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests import fake_nvml
from tests.fake_nvml import Gpu, MigInstance, Process
from tests.gpu.conftest import clean_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TWO_GPUS = [
    Gpu("NVIDIA A10G", 23028, 12600, utilization=97, processes=[Process(os.getpid(), 12288)]),
    Gpu("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", 97887, 2, "12.0"),
]


def check_gpu(variables: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment()
    environment.pop("COLUMNS", None)
    return subprocess.run(
        [sys.executable, "-m", "spacerun", "check-gpu", *options],
        env=environment | dict(variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def envelope(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    document = json.loads(done.stdout)
    assert document["schema"] == "spacerun.check-gpu/1"
    return document


def test_json_is_one_success_envelope_with_the_devices(nvml_folder: Path) -> None:
    done = check_gpu(fake_nvml.environment(nvml_folder, TWO_GPUS), "--json")
    assert done.returncode == 0, done.stderr
    document = envelope(done)
    assert document["ok"] is True
    assert document["warnings"] == []
    assert document["data"].keys() == {"devices", "driver", "cuda"}
    assert [device["name"] for device in document["data"]["devices"]] == [gpu.name for gpu in TWO_GPUS]
    assert document["data"]["devices"][0]["processes"][0]["used_bytes"] == 12288 * 1024**2
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("options", "name", "said"),
    [
        ({}, "no GPU", "lists no GPU"),
        ({"fail_init": fake_nvml.DRIVER_NOT_LOADED}, "not loaded", "not loaded in the kernel"),
        ({"fail_init": fake_nvml.LIB_RM_VERSION_MISMATCH}, "mismatch", "different versions"),
    ],
)
def test_a_machine_without_a_gpu_exits_7_and_says_why(
    nvml_folder: Path, options: dict[str, Any], name: str, said: str
) -> None:
    variables = fake_nvml.environment(nvml_folder, [], **options)
    done = check_gpu(variables, "--json")
    assert done.returncode == 7
    document = envelope(done)
    assert document["ok"] is False
    assert document["error"]["name"] == "no_gpu"
    assert document["error"]["exit_code"] == 7
    assert document["error"]["stage"] == "check-gpu"
    assert said in document["error"]["message"]
    assert document["error"]["hint"]
    assert document["data"]["devices"] == []

    plain = check_gpu(variables)
    assert plain.returncode == 7
    assert plain.stdout == ""
    assert said in " ".join(plain.stderr.split())


def test_a_machine_without_a_driver_exits_7_with_no_devices(no_library: dict[str, str]) -> None:
    done = check_gpu(no_library, "--json")
    assert done.returncode == 7
    assert envelope(done)["data"] == {"devices": [], "driver": None, "cuda": None}


def test_a_gpu_hidden_by_cuda_visible_devices_counts_as_none(nvml_folder: Path) -> None:
    variables = fake_nvml.environment(nvml_folder, TWO_GPUS)
    done = check_gpu(variables | {"CUDA_VISIBLE_DEVICES": ""}, "--json")
    assert done.returncode == 7
    assert "unset CUDA_VISIBLE_DEVICES" in envelope(done)["error"]["hint"]
    done = check_gpu(variables | {"CUDA_VISIBLE_DEVICES": "1"}, "--json")
    assert done.returncode == 0
    assert [device["index"] for device in envelope(done)["data"]["devices"]] == [1]


def test_one_lost_gpu_of_two_is_a_warning(nvml_folder: Path) -> None:
    gpus = [Gpu(fails={"handle": fake_nvml.GPU_IS_LOST}), TWO_GPUS[1]]
    done = check_gpu(fake_nvml.environment(nvml_folder, gpus), "--json")
    assert done.returncode == 0
    document = envelope(done)
    assert len(document["data"]["devices"]) == 1
    assert "GPU 0 (GPU is lost)" in document["warnings"][0]


@pytest.mark.parametrize("columns", [50, 60, 80, 120])
def test_the_table_fits_the_terminal_and_cuts_nothing_but_commands(nvml_folder: Path, columns: int) -> None:
    done = check_gpu(fake_nvml.environment(nvml_folder, TWO_GPUS) | {"COLUMNS": str(columns)})
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= columns
    devices, _, processes = done.stdout.partition("\n\n")
    assert "…" not in devices
    for word in ("12.3 / 22.5 GiB", "10.2 GiB", "97 %", "A10G", "Blackwell", "Edition"):
        assert word in devices
    assert "12.0 GiB" in processes
    assert str(os.getpid()) in processes


def test_a_pipe_gets_each_device_on_one_line_without_escapes(nvml_folder: Path) -> None:
    done = check_gpu(fake_nvml.environment(nvml_folder, TWO_GPUS))
    assert "\x1b" not in done.stdout
    assert any(
        "RTX PRO 6000 Blackwell Workstation Edition" in line and "95.6 GiB" in line for line in done.stdout.splitlines()
    )


def test_the_table_explains_mig_and_unified_memory(nvml_folder: Path) -> None:
    gpus = [
        Gpu("NVIDIA A100", 81920, 100, mig=[MigInstance("NVIDIA A100 MIG 1g.10gb", 9856)]),
        Gpu("NVIDIA GB10", fails={"memory": fake_nvml.NOT_SUPPORTED}),
    ]
    out = check_gpu(fake_nvml.environment(nvml_folder, gpus)).stdout
    assert "0:0" in out
    assert "GPU 0 is split into MIG instances" in out
    assert "GPU 1 shares the machine's memory (unified)" in out


def test_the_name_of_a_process_is_shown_as_text_not_as_markup(nvml_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "[red]x[b]").symlink_to("/bin/sleep")
    with subprocess.Popen([tmp_path / "[red]x[b]", "60"]) as sleeper:
        try:
            gpus = [Gpu(processes=[Process(sleeper.pid, 1)])]
            out = check_gpu(fake_nvml.environment(nvml_folder, gpus)).stdout
        finally:
            sleeper.kill()
    assert "[red]x[b]" in out


def test_watch_goes_on_until_ctrl_c(nvml_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "gpus"
    variables = fake_nvml.environment(nvml_folder, TWO_GPUS, file=file)
    fake_nvml.change(file, TWO_GPUS)
    process = subprocess.Popen(
        [sys.executable, "-m", "spacerun", "check-gpu", "--watch"],
        env=clean_environment() | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test runner in the background of a shell has Ctrl-C switched off, and its children with it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - before exec
    )
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert any("A10G" in line for line in lines)
    fake_nvml.change(file, [Gpu("NVIDIA L4", 23034)])
    assert any("L4" in line for line in lines)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    process.stdout.close()
    process.stderr.close()
