"""Whether an app gave its GPU memory back, told by the stand-in for the driver in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from spacerun.smoke import gpu
from tests import fake_nvml
from tests.fake_nvml import Gpu, Process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Looks, lets the GPUs change, and looks again: at each line of standard input once.
_CHECK = """
import dataclasses, json, subprocess, sys
from spacerun.smoke import gpu

gpu._SECONDS = 0.6
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
input()
before = gpu.held(sys.argv[1:])
print(before is not None, flush=True)
input()
print(json.dumps(dataclasses.asdict(gpu.check_returned(before))), flush=True)
child.communicate(b"\\n")
"""
_UUID = "GPU-11111111-2222-3333-4444-555555555555"
_OTHER = "GPU-99999999-2222-3333-4444-555555555555"


def card(used_mib: int, *processes: Process, **more: Any) -> Gpu:
    return Gpu(used_mib=used_mib, uuid=_UUID, processes=processes, **more)


@pytest.fixture
def check(nvml_folder: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """What comes of the check where the GPUs become others; they may depend on the id of a child of whoever checks."""

    def run(before: Callable[[int], list[Gpu]], after: Callable[[int], list[Gpu]], **options: Any) -> dict[str, Any]:
        file = tmp_path / "nvml"
        variables = fake_nvml.environment(nvml_folder, [card(0)], file=file)
        command = [sys.executable, "-c", _CHECK, _UUID]
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, env=os.environ | variables, **streams) as process:
            child = int(process.stdout.readline())
            fake_nvml.change(file, before(child))
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "True\n"
            fake_nvml.change(file, after(child), **options)
            process.stdin.write("\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

    return run


def test_no_gpus_no_check() -> None:
    assert gpu.held(()) is None


def test_without_a_driver_there_is_no_check(nvml_folder: Path) -> None:
    code = f"from spacerun.smoke import gpu; print(gpu.held(['{_UUID}']), gpu.held(['GPU-0']))"
    for options in ({"fail_init": fake_nvml.DRIVER_NOT_LOADED}, {}):
        variables = fake_nvml.environment(
            nvml_folder, [Gpu(uuid="GPU-99999999-2222-3333-4444-555555555555")], **options
        )
        done = subprocess.run([sys.executable, "-c", code], env=os.environ | variables, capture_output=True, check=True)
        assert done.stdout == b"None None\n"


def test_memory_that_is_back_is_sound(check: Callable[..., dict[str, Any]]) -> None:
    found = check(lambda _: [card(500)], lambda _: [card(550)])
    assert (found["name"], found["ok"], found["skipped"]) == ("gpu-memory", True, False)
    assert found["detail"] == "550.0 MiB in use, 500.0 MiB before"


def test_memory_that_nobody_gives_back_is_told(check: Callable[..., dict[str, Any]]) -> None:
    found = check(lambda _: [card(500)], lambda _: [card(2548)])
    assert not found["ok"]
    assert found["detail"] == "2.0 GiB not given back after 1 s by whom the driver does not name"


def test_a_process_that_outlived_its_app_is_named(check: Callable[..., dict[str, Any]]) -> None:
    found = check(lambda _: [card(500)], lambda child: [card(1524, Process(child, 1024))])
    assert not found["ok"]
    assert found["detail"].startswith("1.0 GiB not given back after 1 s, held by python")


def test_what_others_took_meanwhile_does_not_count_and_is_named(check: Callable[..., dict[str, Any]]) -> None:
    ours = Process(os.getpid(), 100)
    found = check(
        lambda _: [card(600, ours)], lambda _: [card(4696, Process(os.getpid(), 2148), Process(2**22 + 7, 2048))]
    )
    assert found["ok"]
    assert found["detail"].startswith("4.6 GiB in use, 600.0 MiB before; others took 4.0 GiB meanwhile: ")
    assert f"({os.getpid()}), a process not to be seen from here ({2**22 + 7})" in found["detail"]


def test_what_others_gave_back_hides_nothing(check: Callable[..., dict[str, Any]]) -> None:
    found = check(lambda _: [card(4596, Process(os.getpid(), 4096))], lambda _: [card(1524)])
    assert (found["ok"], found["detail"].partition(" not")[0]) == (False, "1.0 GiB")


def test_a_driver_that_does_not_say_who_holds_what_proves_nothing(check: Callable[..., dict[str, Any]]) -> None:
    found = check(lambda _: [card(500)], lambda _: [card(2548, Process(os.getpid(), None))])
    assert (found["ok"], found["skipped"]) == (True, True)
    assert found["detail"].startswith("the driver does not say how much others hold: python")


def test_a_driver_that_is_gone_proves_nothing(check: Callable[..., dict[str, Any]]) -> None:
    found = check(lambda _: [card(500)], lambda _: [], fail_init=fake_nvml.DRIVER_NOT_LOADED)
    assert (found["ok"], found["skipped"], found["detail"]) == (True, True, "the driver no longer answers")
