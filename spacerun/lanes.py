"""Stages that run beside each other."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import TYPE_CHECKING, Any, TypeVar

from spacerun import children

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_POLL_SECONDS = 0.1


class Lanes:
    """Runs callables in threads; the first that fails stops the work of all others.

    Used as a context manager: leaving the block waits for every lane, and raises what the first failed one raised.
    """

    def __init__(self) -> None:
        self._lanes: list[Future[Any]] = []

    def run(self, work: Callable[[], _T]) -> Future[_T]:
        """Run `work` in a thread of its own; daemonic, so that an interruption does not wait for it."""
        lane: Future[_T] = Future()

        def body() -> None:
            try:
                lane.set_result(work())
            except BaseException as error:  # noqa: BLE001 - handed over to whoever waits
                lane.set_exception(error)

        self._lanes.append(lane)
        threading.Thread(target=body, daemon=True).start()
        return lane

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._wait()
        except BaseException:
            children.stop_all()
            raise
        if kind is not None:
            children.stop_all()

    def _wait(self) -> None:
        pending = set(self._lanes)
        while pending:
            # In short steps: a signal is only seen between them.
            done, pending = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_EXCEPTION)
            for lane in done:
                lane.result()
