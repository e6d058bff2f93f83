"""An app as Python sees it: where it answers, what it writes, and its end."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacerun.app import processes, registry
from spacerun.app.log import last_lines
from spacerun.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from spacerun.app.spec import AppRecord, Status

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class App:
    """An app that was launched; as a context manager it is stopped at the end of the block.

    Attributes:
        id: Its name for `spacerun ps`, `logs` and `stop`.
        space: `owner/name`, or the path of a folder.
        warnings: What was not as expected while it was launched.
        data: What `spacerun launch --json` tells of it.
    """

    id: str
    space: str
    warnings: tuple[str, ...] = field(repr=False, compare=False)
    data: Mapping[str, Any] = field(repr=False, compare=False)
    _launched: AppRecord = field(repr=False, compare=False)

    @property
    def url(self) -> str:
        """Where it answers on this machine."""
        return self._record.url or self._launched.url or ""

    @property
    def share_url(self) -> str | None:
        """Its proven public address, if it has one."""
        return self._record.share_url

    @property
    def pid(self) -> int | None:
        """Process id of its main process."""
        return self._record.pid

    @property
    def log(self) -> Path:
        """The file with what it writes."""
        return Path(self._launched.log)

    @property
    def status(self) -> Status:
        """Where it is in its life: `running`; `stopped` on request; `ended` by itself; `crashed`."""
        record = self._record
        if record.active and not registry.supervised(record):
            record = self._record  # its end may have been noted between the two looks
            return "crashed" if record.active else record.status
        return record.status

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends.

        Args:
            timeout: How long, in seconds; None for as long as it takes.

        Returns:
            Its exit status; 128 + N where signal N ended it, and 0 where it was stopped on request.

        Raises:
            TimeoutError: It still runs.
            KeyboardInterrupt: The user gave up, by Ctrl-C or by interrupting the cell: it was stopped.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while registry.supervised(self._launched):
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError(f"{self.id} still runs after {timeout:g} s.")
                time.sleep(_POLL_SECONDS)
        except KeyboardInterrupt:
            self.stop()
            raise
        record = self._record
        if record.active:
            registry.reap_orphans()  # whoever looked after it was killed, and the kernel killed it with that
        if record.status == "stopped":
            return 0
        return processes.exit_status(-signal.SIGKILL) if record.exit_code is None else record.exit_code

    def stop(self) -> None:
        """Stop it with every process that it started, if it has not ended. Interrupted, it kills them at once."""
        record = self._record
        if not record.active:
            return
        try:
            registry.stop(record)
        except KeyboardInterrupt:
            registry.stop(record, grace=0.0)
            raise

    def logs(self, lines: int = 100) -> str:
        """The last `lines` lines of what it wrote, made printable."""
        return "\n".join(printable(line) for line in last_lines(self.log, lines))

    def __enter__(self) -> App:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def _repr_html_(self) -> str:
        """What a notebook shows; the names are a stranger's."""
        links = [
            f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer">{escape(url)}</a>'
            for url in (self.url, self.share_url)
            if url
        ]
        return f"<p><strong>{escape(printable(self.space))}</strong> ({self.status}) {' · '.join(links)}</p>"

    @property
    def _record(self) -> AppRecord:
        """What is known about it now. It may have been forgotten, as old apps that ended are."""
        return registry.load(self.id) or replace(self._launched, status="ended")
