"""Ctrl-C while the Hub is asked about models, and does not answer."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.command import SCRIPT, Command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CARD = "---\nsdk: gradio\nsdk_version: 6.31.0\n---\n"
MISSING = b"HTTP/1.1 404 Not Found\r\nX-Error-Code: RepoNotFound\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Silent:
    """A server that says of everything that it is not there, and nothing at all where the path holds `silent_of`."""

    def __init__(self, silent_of: bytes) -> None:
        self.asked = threading.Event()
        self._silent_of = silent_of
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._silent_of in connection.recv(65536).split(b"\r\n")[0]:
                self._held.append(connection)
                self.asked.set()
                return
            connection.sendall(MISSING)
            connection.close()

    def close(self) -> None:
        for connection in (self._socket, *self._held):
            connection.close()


@pytest.fixture
def silent(request: pytest.FixtureRequest) -> Iterator[Silent]:
    server = Silent(request.param)
    yield server
    server.close()


@pytest.mark.parametrize(
    ("silent", "code"),
    [
        (b"/api/models/owner/", 'from transformers import AutoModel\nAutoModel.from_pretrained("owner/{}")'),
        (b"/adapter_config.json", 'from peft import AutoPeftModel\nAutoPeftModel.from_pretrained("owner/{}")'),
        (b"/api/models?search=", 'from transformers import AutoModel\nAutoModel.from_pretrained("owner/{}")'),
    ],
    indirect=["silent"],
    ids=["who may read a model", "the base of an adapter", "what may stand in for a model"],
)
def test_ctrl_c_does_not_wait_for_a_silent_hub(command: Command, silent: Silent, tmp_path: Path, code: str) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "README.md").write_text(CARD)
    (folder / "app.py").write_text("\n".join(code.format(n) for n in range(3)))
    process = subprocess.Popen(
        [SCRIPT, "plan", folder, "--json"],
        env=command.environment({"HF_ENDPOINT": silent.endpoint}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert silent.asked.wait(60), process.communicate(timeout=1)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, err = process.communicate(timeout=60)
        assert time.monotonic() - began < 4, err  # 10 s and more, until the Hub was given up
        assert process.returncode == 130
        assert json.loads(out)["error"]["name"] == "interrupted"
    finally:
        process.kill()
        process.communicate()
