"""The command that starts a Space, by its SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# The SDKs whose apps can be started.
LAUNCHABLE = frozenset({"gradio", "streamlit"})


def start_command(sdk: str, python: Path, app_file: str, *, host: str, port: int) -> tuple[str, ...]:
    """Program and arguments, to be run in the Space's folder.

    Args:
        sdk: One of `LAUNCHABLE`.
        python: The environment's interpreter.
        app_file: The entry file, relative to the Space's folder.
        host: Address to listen on.
        port: Port to listen on; Gradio has it from the variables.
    """
    # A file name that begins with a dash would be read as an option.
    entry = f"./{app_file}" if app_file.startswith("-") else app_file
    if sdk == "streamlit":
        # Flags win over the Space's own .streamlit/config.toml (Streamlit "Configuration").
        flags = {"server.address": host, "server.port": port, "server.headless": "true"}
        options = [f"--{name}={value}" for name, value in flags.items()]
        return (str(python), "-m", "streamlit", "run", entry, *options, "--browser.gatherUsageStats=false")
    return (str(python), entry)
