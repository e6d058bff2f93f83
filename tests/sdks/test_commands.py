"""What each SDK is started by."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from spacerun import sdks
from spacerun.environment.store import Environment
from spacerun.errors import PrerequisiteError, UsageError
from spacerun.sdks.base import Site
from spacerun.source.scripts import runner
from spacerun.space.card import read_card

PYTHON = Path("/venv/bin/python")


def site(folder: Path, sdk: str, entry: str, content: bytes = b"", **given: str) -> Site:
    (folder / "README.md").write_text(f"---\nsdk: {sdk}\napp_file: {entry}\n---\n")
    (folder / entry).parent.mkdir(parents=True, exist_ok=True)
    (folder / entry).write_bytes(content)
    environment = Environment(folder / "environment", PYTHON, "3.11.7", "key", created=False, packages=())
    return Site("owner/name", None, folder, read_card(folder), environment if sdk != "static" else None, given=given)


def argv(where: Site, port: int = 7860) -> tuple[str, ...]:
    return sdks.of(where.card.sdk).command(where, "", host="127.0.0.1", port=port).argv


def test_gradio_runs_as_on_hugging_face(tmp_path: Path) -> None:
    assert argv(site(tmp_path, "gradio", "src/app.py")) == ("/venv/bin/python", "src/app.py")


@pytest.mark.parametrize("sdk", ["gradio", "streamlit"])
def test_an_entry_file_is_never_an_option(tmp_path: Path, sdk: str) -> None:
    command = argv(site(tmp_path, sdk, "-c.py"))
    assert "./-c.py" in command
    assert "-c.py" not in command


def test_streamlit_gets_host_and_port_by_flags(tmp_path: Path) -> None:
    command = argv(site(tmp_path, "streamlit", "app.py"), 8501)
    assert command[:5] == ("/venv/bin/python", "-m", "streamlit", "run", "app.py")
    assert {"--server.address=127.0.0.1", "--server.port=8501", "--server.headless=true"} <= set(command)


def test_a_static_space_is_served_by_a_process_that_sees_none_of_its_python(tmp_path: Path) -> None:
    command = argv(site(tmp_path, "static", "index.html", KEY="a secret"))
    assert command[:3] == (sys.executable, "-I", "-S")
    assert command[-4:] == ("127.0.0.1", "7860", str(tmp_path), "index.html")
    assert "--variable=KEY" in command
    assert not any("a secret" in word for word in command)


@pytest.mark.parametrize(
    ("name", "beginning", "expected"),
    [
        ("app.py", b"", None),
        ("app.py", b"#!/bin/bash\n", None),  # Hugging Face runs it by Python, whatever its first line says
        ("app", b"import gradio", None),
        ("Makefile", b"run:\n", "make"),
        ("deploy/makefile", b"", "make"),
        ("build.mk", b"", "make"),
        ("run.sh", b"", "bash"),
        ("run.sh", b"#!/bin/sh\n", "sh"),
        ("start", b"#!/usr/bin/env bash\n", "bash"),
        ("start", b"#! /usr/local/bin/zsh -e\n", "zsh"),
        ("start", b"#!/usr/bin/env python3\n", None),
    ],
)
def test_what_an_entry_file_is_run_by(name: str, beginning: bytes, expected: str | None) -> None:
    assert runner(name, beginning) == expected


def test_a_program_that_is_not_here_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PrerequisiteError, match="Makefile is run by make, which is not here"):
        argv(site(tmp_path, "gradio", "Makefile"))


def test_an_sdk_without_a_module_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="does not launch holodeck Spaces"):
        sdks.of("holodeck")
