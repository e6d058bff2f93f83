"""Whose a process is and what it runs, without secrets, whatever its command line holds."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from spacerun.gpu.processes import command_line
from tests.fake_nvml import Gpu, Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gpu.conftest import Report

SLEEP = "import time; time.sleep(60)"


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["python", "app.py", "--port", "7860"], "python app.py --port 7860"),
        (["app", "--token", "S3CRET", "--port", "1"], "app --token *** --port 1"),
        (["app", "--hf-token=S3CRET"], "app --hf-token=***"),
        (["app", "--api-key=S3CRET", "--model", "m"], "app --api-key=*** --model m"),
        (["app", "--apikey", "S3CRET"], "app --apikey ***"),
        (["app", "--api_key", "S3CRET"], "app --api_key ***"),
        (["app", "-password", "S3CRET word"], "app -password ***"),
        (["app", "--password=S3CRET word"], "app --password=***"),
        (["app", "--auth", "user:S3CRET"], "app --auth ***"),
        (["app", "--CLIENT_SECRET", "S3CRET"], "app --CLIENT_SECRET ***"),
        (["app", "--use-auth-token", "--port", "1"], "app --use-auth-token --port 1"),
        (["app", "--token"], "app --token"),
        (["app", "--token="], "app --token="),
        (["env", "HF_TOKEN=S3CRET", "app"], "env HF_TOKEN=*** app"),
        (["sh", "-c", "exec app --token S3CRET --port 1"], "sh -c exec app --token *** --port 1"),
        (["sh", "-c", "cd /x && WANDB_API_KEY=S3CRET app"], "sh -c cd /x && WANDB_API_KEY=*** app"),
        (["app", '{"api_key": "S3CRET", "x": 1}'], 'app {"api_key":***'),
        (["app", '{"x": 1, "password":"S3CRET"}'], 'app {"x": 1, "password":***'),
        (["app", "https://user:S3CRET@host/path"], "app https://***@host/path"),
        (["app", "https://host/?token=S3CRET"], "app https://host/?token=***"),
        (["app", "hf_abcdefghijklmnop"], "app hf_***"),
        (["app", "--tokenizer", "org/name", "--max-tokens", "5"], "app --tokenizer org/name --max-tokens 5"),
        (["app", "secret", "of", "passage.py"], "app secret of passage.py"),
        (["app", "", "two  words\nand a line"], "app two words and a line"),
        (["app", "\x1b[31mred\x1b[0m\x07", "\udcff\udcfe"], "app red \ufffd\ufffd"),
        (["app", "[bold]x[/bold]"], "app [bold]x[/bold]"),
        ([], ""),
    ],
)
def test_a_command_line_is_one_line_without_secrets(arguments: list[str], shown: str) -> None:
    assert command_line(arguments) == shown


def test_a_command_line_of_megabytes_is_cut_at_once() -> None:
    started = time.perf_counter()
    assert len(command_line(["app", "a-" * 10**6, *["--token-" * 100] * 10**4])) == 200
    assert time.perf_counter() - started < 0.5


def _process_of(report: Report) -> dict[str, Any]:
    (process,) = report["devices"][0]["processes"]
    return process


def test_the_command_of_a_real_process_is_told_without_its_secrets(read: Callable[..., Report]) -> None:
    arguments = ["--token", "S3CRET", "--api-key=S3CRET", "hf_abcdefghijklmnop", b"\xff\x1b[31m"]
    with subprocess.Popen([sys.executable, "-c", SLEEP, *arguments]) as sleeper:
        try:
            process = _process_of(read(Gpu(processes=[Process(sleeper.pid, 1)])))
        finally:
            sleeper.kill()
    assert process["command"].endswith("time.sleep(60) --token *** --api-key=*** hf_*** \ufffd")
    assert process["user"] == psutil.Process().username()


def test_a_process_that_ended_between_two_questions_is_told_as_far_as_it_was_seen(read: Callable[..., Report]) -> None:
    # A zombie answers for its name and its user, and no more for its command line.
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as ended:
        assert ended.stdout is not None
        ended.stdout.read()
        while psutil.Process(ended.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        process = _process_of(read(Gpu(processes=[Process(ended.pid, 7)])))
    assert process["name"]
    assert process["user"] == psutil.Process().username()
    assert process["command"] is None
    assert process["used_bytes"] == 7 * 1024**2


def test_a_process_that_is_gone_is_told_by_its_number(read: Callable[..., Report]) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    process = _process_of(read(Gpu(processes=[Process(ended.pid, 7)])))
    assert process == {"pid": ended.pid, "used_bytes": 7 * 1024**2, "name": None, "user": None, "command": None}


@pytest.mark.parametrize("pid", [0, 2**31, 2**32 - 1])
def test_an_absurd_process_id_is_told_without_a_name(read: Callable[..., Report], pid: int) -> None:
    assert _process_of(read(Gpu(processes=[Process(pid, 7)])))["name"] is None
