"""A real Jupyter kernel, used as a notebook uses it: a cell at a time, some of them interrupted."""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING, Any

from jupyter_client import KernelManager

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SECONDS = 90


class Kernel:
    """A kernel of this Python, started in `folder` with `variables` as its environment."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._manager = KernelManager(connection_file=str(folder / "kernel.json"))
        self._manager.start_kernel(cwd=str(folder), env=dict(variables))
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=_SECONDS)

    def run(self, code: str) -> Cell:
        """The cell `code`, run to its end."""
        return self.start(code).finish()

    def start(self, code: str) -> Cell:
        """The cell `code`, just begun."""
        return Cell(self._client, self._client.execute(code))

    def interrupt(self) -> None:
        """What the stop button does."""
        self._manager.interrupt_kernel()

    def kill(self) -> None:
        """Kill it with SIGKILL, as the kernel's out-of-memory killer and "restart" do; nothing if it is dead."""
        if self._manager.is_alive():
            self._manager.shutdown_kernel(now=True)

    def close(self) -> None:
        """Kill it, and forget it."""
        self.kill()
        self._client.stop_channels()
        self._manager.cleanup_resources()


class Cell:
    """What a cell has shown so far.

    Attributes:
        text: What it wrote, standard output and error as they came.
        results: Its last value and what it displayed, by media type.
        error: Name of the exception that ended it, if one did.
    """

    def __init__(self, client: Any, message: str) -> None:
        self.text = ""
        self.results: list[dict[str, str]] = []
        self.error: str | None = None
        self._client = client
        self._message = message
        self._over = False

    def read_until(self, text: str) -> Cell:
        """Wait until it has written `text`."""
        return self._read(lambda: text in self.text)

    def finish(self) -> Cell:
        """Wait until it has ended."""
        return self._read(lambda: self._over)

    def _read(self, enough: Any) -> Cell:
        deadline = time.monotonic() + _SECONDS
        while not enough():
            assert not self._over, f"the cell ended: {self.text!r} {self.error}"
            assert time.monotonic() < deadline, f"the cell goes on: {self.text!r}"
            try:
                message = self._client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") == self._message:
                self._take(message["msg_type"], message["content"])
        return self

    def _take(self, kind: str, content: dict[str, Any]) -> None:
        if kind == "stream":
            self.text += content["text"]
        elif kind in {"execute_result", "display_data"}:
            self.results.append(content["data"])
        elif kind == "error":
            self.error = content["ename"]
        elif kind == "status":
            self._over = content["execution_state"] == "idle"
