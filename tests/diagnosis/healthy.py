"""Logs of apps that were well: started for real, answered 200, and left what stands in `healthy.txt.xz`.

`python -m tests.diagnosis.healthy ENVIRONMENT FOLDER` starts every app below FOLDER (one folder each, with `run.py` or
`app.py`) with the Python of the virtual environment ENVIRONMENT and adds the logs of those that answer. The apps were
Gradio's own demos (github.com/gradio-app/gradio, folder `demo`) and light public Spaces, on several versions of Gradio,
each with packages of its own time; the names tell which.
"""

from __future__ import annotations

import lzma
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

STORE = Path(__file__).with_name("healthy.txt.xz")
_TITLE = "\x1e"
_SECONDS = 45.0


def healthy_logs() -> dict[str, str]:
    """The logs by the name of their app and its Gradio."""
    parts = lzma.decompress(STORE.read_bytes()).decode().split(_TITLE)[1:]
    return {name: log for name, _, log in (part.partition("\n") for part in parts)}


def save(logs: dict[str, str]) -> None:
    """Replace all logs."""
    text = "".join(f"{_TITLE}{name}\n{logs[name]}" for name in sorted(logs))
    STORE.write_bytes(lzma.compress(text.encode(), preset=9))


def log_of(python: Path, folder: Path) -> str | None:
    """What the app in `folder` writes until it answers 200, or None if it never does."""
    with tempfile.TemporaryDirectory() as scratch, socket.socket() as probe:
        place = Path(scratch) / "app"
        shutil.copytree(folder, place)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        entry = "run.py" if (place / "run.py").exists() else "app.py"
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                [python, entry],
                cwd=place,
                env={
                    "PATH": f"{python.parent}{os.pathsep}/usr/bin{os.pathsep}/bin",
                    "HOME": scratch,
                    "GRADIO_SERVER_PORT": str(port),
                    "GRADIO_ANALYTICS_ENABLED": "False",
                    "PYTHONUNBUFFERED": "1",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            well = _answers(process, port)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            log.seek(0)
            text = log.read().decode(errors="replace")
    return text.replace(scratch, "/space").replace(str(python.parent.parent), "/env") if well else None


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.4)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                time.sleep(1.0)
                return answer.status == 200 and process.poll() is None
        except urllib.error.HTTPError:
            return False
        except OSError:
            continue
    return False


def main() -> None:
    """Add the logs of the apps in the folder of the second argument."""
    python = Path(sys.argv[1]) / "bin" / "python"
    version = subprocess.run(
        [python, "-c", "import importlib.metadata as m; print(m.version('gradio'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    logs = healthy_logs() if STORE.exists() else {}
    for folder in sorted(Path(sys.argv[2]).iterdir()):
        text = log_of(python, folder) if folder.is_dir() else None
        if text is not None:
            logs[f"{folder.name} on Gradio {version}"] = text
            print(folder.name)
    save(logs)


if __name__ == "__main__":
    main()
