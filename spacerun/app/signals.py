"""What the user's signals mean to whoever looks after an app."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


class Signals:
    """SIGINT, SIGTERM and SIGHUP interrupt once; while the app is being ended, another one means: at once."""

    def __init__(self) -> None:
        self.ending = False
        self.hurry = False
        self._before: dict[signal.Signals, object] = {}

    def begin(self) -> None:
        """Start over: a signal interrupts again, and so does one that came while something was being ended."""
        self.ending = False
        if self.hurry:
            self.ending = True
            raise KeyboardInterrupt

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) != signal.SIG_IGN:  # `nohup`, or a shell's background job
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.ending:
            self.hurry = True
            return
        self.ending = True
        raise KeyboardInterrupt
