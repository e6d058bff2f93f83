"""What uv is given, and what its failures turn into."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from spacerun.children import stop_all
from spacerun.environment.uv import UnresolvableError, clean_environment, run_uv
from spacerun.errors import ExitCode, PackagesError, PrerequisiteError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def fake_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script in uv's place; the test writes its body."""
    file = tmp_path / "uv"
    monkeypatch.setattr("spacerun.environment.uv.find_uv", lambda: file)
    return file


def behave(file: Path, body: str) -> None:
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


def fail_with(file: Path, stderr: str, status: int = 1) -> None:
    (file.parent / "stderr").write_text(stderr)
    behave(file, f"cat {file.parent / 'stderr'} >&2; exit {status}")


def failure(offline: bool = False) -> PackagesError | PrerequisiteError:
    with pytest.raises((PackagesError, PrerequisiteError)) as caught:
        run_uv(["pip", "install"], doing="The packages could not be installed", offline=offline)
    return caught.value


def test_the_child_sees_neither_secrets_nor_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {
        "HTTPS_PROXY",
        "SSL_CERT_FILE",
        "UV_INDEX_URL",
        "UV_INDEX_MINE_PASSWORD",
        "UV_CACHE_DIR",
        "PATH",
        "LANG",
        "CUDA_HOME",
    }
    dropped = {
        "GIT_DIR", "GIT_WORK_TREE", "VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH",
        "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "SPACERUN_HOST",
        "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_PROJECT", "UV_PUBLISH_TOKEN", "COLUMNS",
    }  # fmt: skip
    for name in kept | dropped:
        monkeypatch.setenv(name, "x")
    clean = clean_environment()
    assert kept <= clean.keys()
    assert not dropped & clean.keys()
    assert clean["GIT_TERMINAL_PROMPT"] == "0"


def test_git_may_not_run_commands_as_transports(tmp_path: Path) -> None:
    done = subprocess.run(
        ["git", "ls-remote", f"ext::touch {tmp_path}/ran"], env=clean_environment(), capture_output=True, check=False
    )
    assert done.returncode != 0
    assert b"'ext' not allowed" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_unsatisfiable_requirements_are_explained_by_uv(fake_uv: Path) -> None:
    fail_with(
        fake_uv,
        "Using Python 3.10\nerror: No solution found when resolving dependencies\n"
        "  cause: Because there is no version of gradio==99 and you require gradio==99, they are unsatisfiable.\n",
    )
    error = failure()
    assert isinstance(error, UnresolvableError)
    assert error.exit_code == ExitCode.ENVIRONMENT == 6
    assert error.message == (
        "The packages could not be installed: Because there is no version of gradio==99 and you require gradio==99, "
        "they are unsatisfiable."
    )


def test_an_older_uv_that_draws_its_causes_is_understood(fake_uv: Path) -> None:
    fail_with(
        fake_uv,
        "  \u00d7 No solution found when resolving dependencies:\n  ╰─▶ Because a was not found,\n      give up.\n",
    )
    error = failure()
    assert isinstance(error, UnresolvableError)
    assert error.message.endswith("installed: Because a was not found, give up.")


@pytest.mark.parametrize("text", ["No space left on device (os error 28)", "Disk quota exceeded (os error 122)"])
def test_a_full_disk_names_the_folder_and_its_bytes(fake_uv: Path, tmp_path: Path, text: str) -> None:
    fail_with(fake_uv, f"error: Failed to install: torch.whl\n  cause: failed to write: {text}\n", 2)
    error = failure()
    assert error.exit_code == ExitCode.PREREQUISITE
    assert f"{tmp_path / 'home/cache/environments'} has" in error.message
    assert "bytes) left" in error.message
    assert "prune" in str(error.hint)


def test_an_unreachable_index_points_at_the_network(tmp_path: Path) -> None:
    with pytest.raises(PackagesError, match=r"127\.0\.0\.1:9") as caught:
        run_uv(
            ["pip", "install", "--target", tmp_path, "--index-url", "http://127.0.0.1:9/simple", "absent"],
            doing="The packages could not be installed",
            variables={"UV_HTTP_RETRIES": "0"},
        )
    assert not isinstance(caught.value, UnresolvableError)
    assert "network" in str(caught.value.hint)


def test_offline_points_at_offline(fake_uv: Path) -> None:
    fail_with(
        fake_uv, "error: No solution found\n  cause: x was not found in the cache\n\nhint: the network was disabled.\n"
    )
    assert "without --offline" in str(failure(offline=True).hint)


def test_a_long_log_is_trimmed_and_made_printable(fake_uv: Path) -> None:
    noise = "\x1b[31mwall of text\x1b[0m\x1b]0;title\x07\n" * 5000
    fail_with(fake_uv, f"error: Failed to build `flash-attn`\n{noise}No module named 'torch'\n")
    error = failure()
    assert len(error.message) < 1100
    assert "\x1b" not in error.message
    assert "flash-attn" in error.message
    assert "No module named 'torch'" in error.message


def test_an_interruption_kills_the_whole_tree(fake_uv: Path, tmp_path: Path) -> None:
    behave(fake_uv, f"sleep 300 & echo $! > {tmp_path}/grandchild; echo ready >&2; sleep 300")

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_uv(["pip"], doing="x", on_line=interrupt)
    assert is_gone(int((tmp_path / "grandchild").read_text()))


def test_stop_all_ends_a_run_in_another_thread(fake_uv: Path, tmp_path: Path) -> None:
    behave(fake_uv, "echo ready >&2; exec sleep 300")
    ready = threading.Event()
    raised: list[Exception] = []

    def run() -> None:
        try:
            run_uv(["pip"], doing="x", on_line=lambda _: ready.set())
        except PackagesError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(20)
    stop_all()
    thread.join(20)
    assert not thread.is_alive()
    assert "ended by signal 9" in str(raised[0])


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except (ProcessLookupError, psutil.NoSuchProcess):
            return True
        time.sleep(0.05)
    return False
