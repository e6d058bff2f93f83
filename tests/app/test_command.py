"""The command that starts a Space, by its SDK."""

from __future__ import annotations

from pathlib import Path

from spacerun.app.command import start_command

PYTHON = Path("/venv/bin/python")


def test_gradio_runs_as_on_hugging_face() -> None:
    assert start_command("gradio", PYTHON, "src/app.py", host="127.0.0.1", port=7860) == (
        "/venv/bin/python",
        "src/app.py",
    )


def test_an_entry_file_is_never_an_option() -> None:
    assert start_command("gradio", PYTHON, "-c.py", host="127.0.0.1", port=7860)[1:] == ("./-c.py",)


def test_streamlit_gets_host_and_port_by_flags() -> None:
    command = start_command("streamlit", PYTHON, "app.py", host="127.0.0.1", port=8501)
    assert command[:5] == ("/venv/bin/python", "-m", "streamlit", "run", "app.py")
    assert {"--server.address=127.0.0.1", "--server.port=8501", "--server.headless=true"} <= set(command)
