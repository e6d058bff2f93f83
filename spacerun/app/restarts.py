"""When an app that crashed is started again."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from spacerun.text import duration

if TYPE_CHECKING:
    from collections.abc import Callable

_FIRST_SECONDS: Final = 1.0
_LONGEST_SECONDS: Final = 60.0
_MOST_CRASHES: Final = 5
_WITHIN_SECONDS: Final = 600.0

GAVE_UP: Final = f"It crashed {_MOST_CRASHES} times within {duration(_WITHIN_SECONDS)}, and is not started again."


class Restarts:
    """Counts the crashes of one app: the pause before each start doubles, until one life was long enough.

    Args:
        clock: Tells the time, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._crashes: deque[float] = deque(maxlen=_MOST_CRASHES)
        self._pause = _FIRST_SECONDS

    def after_crash(self) -> float | None:
        """Take note of a crash, and say how many seconds to wait before the next start; None to give up."""
        now = self._clock()
        if self._crashes and now - self._crashes[-1] > _WITHIN_SECONDS:
            self._pause = _FIRST_SECONDS
        self._crashes.append(now)
        if len(self._crashes) == _MOST_CRASHES and now - self._crashes[0] <= _WITHIN_SECONDS:
            return None
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_SECONDS)
        return pause
