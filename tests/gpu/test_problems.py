"""Each failure has its own sentence and its own remedy, which fits the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pynvml
import pytest

from spacerun.gpu import problems
from spacerun.gpu.problems import Machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BARE = Machine()
CARD = Machine(card=True, module=True)
EVERY_PROBLEM = [
    *(problems.no_library(m) for m in (BARE, Machine(macos=True), Machine(wsl=True), Machine(card=True), CARD)),
    problems.not_loaded(BARE),
    problems.mismatch(BARE),
    problems.no_permission(BARE),
    problems.lost(),
    problems.unavailable([(1, "GPU is lost")]),
    problems.driver_error("Unknown Error", BARE),
    problems.garbled(BARE),
    problems.too_old(),
    problems.no_devices(BARE),
    problems.hidden(2, ""),
    problems.mig_without_instance(0),
]


def test_no_two_failures_share_a_sentence_or_a_remedy() -> None:
    assert len({problem.message for problem in EVERY_PROBLEM}) == len(EVERY_PROBLEM)
    assert len({problem.remedy for problem in EVERY_PROBLEM}) == len(EVERY_PROBLEM)


@pytest.mark.parametrize("problem", EVERY_PROBLEM, ids=lambda problem: problem.kind)
def test_the_message_is_one_sentence_without_a_line_break(problem: problems.DriverProblem) -> None:
    assert problem.message.endswith(".")
    assert ". " not in problem.message
    assert "\n" not in problem.message + problem.remedy


@pytest.mark.parametrize(
    ("code", "command"),
    [
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "sudo modprobe nvidia"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "sudo reboot"),
        (pynvml.NVML_ERROR_NO_PERMISSION, "sudo usermod -aG video $USER"),
        (pynvml.NVML_ERROR_GPU_IS_LOST, "sudo dmesg | grep -i xid"),
        (pynvml.NVML_ERROR_FUNCTION_NOT_FOUND, "Install a newer driver"),
        (pynvml.NVML_ERROR_UNKNOWN, "nvidia-smi"),
    ],
)
def test_nvmls_error_gets_the_command_that_mends_it(code: int, command: str) -> None:
    assert command in problems.of_error(code, "words", BARE).remedy


@pytest.mark.parametrize(
    ("machine", "said", "command"),
    [
        (BARE, "No NVIDIA GPU was found", "spacerun launch SPACE --gpu none"),
        (Machine(macos=True), "macOS", "--gpu none"),
        (Machine(wsl=True), "WSL", "wsl --shutdown"),
        (Machine(card=True), "no NVIDIA driver", "sudo ubuntu-drivers install"),
        (CARD, "its library libnvidia-ml.so.1 was not found", "LD_LIBRARY_PATH"),
        (Machine(container=True, card=True), "this container", "docker run --gpus all"),
        (Machine(container=True, module=True), "this container", "nvidia.com/gpu: 1"),
        (Machine(tegra=True), "Jetson", "JetPack 6"),
        (Machine(tegra=True, container=True), "Jetson's GPU", "docker run --runtime nvidia"),
        (Machine(container=True), "No NVIDIA GPU was found", "--gpu none"),
    ],
)
def test_a_missing_library_is_explained_by_the_machine(machine: Machine, said: str, command: str) -> None:
    problem = problems.of_error(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "words", machine)
    assert said in problem.message
    assert command in problem.remedy


@pytest.mark.parametrize(
    ("problem", "command"),
    [
        (problems.not_loaded, "docker run --gpus all"),
        (problems.mismatch, "Stop the container"),
        (problems.no_permission, "docker run --gpus all"),
        (problems.no_devices, "docker run --gpus all"),
        (lambda machine: problems.of_error(pynvml.NVML_ERROR_UNKNOWN, "Unknown Error", machine), "container anew"),
    ],
)
def test_within_a_container_the_remedy_is_the_containers(
    problem: Callable[[Machine], problems.DriverProblem], command: str
) -> None:
    assert command in problem(Machine(container=True)).remedy
    assert command not in problem(BARE).remedy


def test_a_driver_that_garbles_text_is_replaced_where_it_was_installed() -> None:
    assert "in Windows" in problems.garbled(Machine(wsl=True)).remedy
    assert "Windows" not in problems.garbled(BARE).remedy


def test_a_jetson_is_told_by_its_release_file_or_its_chip(tmp_path: Path) -> None:
    for path, text in (("etc/nv_tegra_release", "# R36\n"), ("sys/devices/soc0/family", "Tegra\n")):
        root = tmp_path / path.split("/")[0]
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text(text)
        assert problems.look(root).tegra
    (root / path).write_text("i.MX\n")
    assert not problems.look(root).tegra


def test_the_machine_is_read_from_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert problems.look(tmp_path) == Machine()

    def put(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    # A disk controller, NVIDIA's audio function of a card, and another maker's display: none of them a GPU for CUDA.
    for place, vendor, kind in (
        ("00", "0x8086", "0x010802"),
        ("01", "0x10de", "0x040300"),
        ("02", "0x1002", "0x030000"),
    ):
        put(f"sys/bus/pci/devices/0000:{place}:00.0/vendor", vendor + "\n")
        put(f"sys/bus/pci/devices/0000:{place}:00.0/class", kind + "\n")
    assert problems.look(tmp_path) == Machine()

    put("sys/bus/pci/devices/0000:3b:00.0/vendor", "0x10de\n")
    put("sys/bus/pci/devices/0000:3b:00.0/class", "0x030200\n")
    assert problems.look(tmp_path) == Machine(card=True)
    put("proc/driver/nvidia/version", "NVRM version: 550.54.14\n")
    put(".dockerenv", "")
    put("proc/version", "Linux version 5.15.153.1-microsoft-standard-WSL2\n")
    assert problems.look(tmp_path) == Machine(card=True, module=True, container=True, wsl=True)
