"""Work that is done beside other work: stages, and many requests at once."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import TYPE_CHECKING, Any, TypeVar

from spacerun import children

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_T = TypeVar("_T")
_A = TypeVar("_A")
_POLL_SECONDS = 0.1


class Lanes:
    """Runs callables in threads; the first that fails stops the work of all others.

    Used as a context manager: leaving the block waits for every lane, and raises what the first failed one raised.
    """

    def __init__(self) -> None:
        self._lanes: list[Future[Any]] = []
        self._children = children.Family()

    def run(self, work: Callable[[], _T]) -> Future[_T]:
        """Run `work` in a thread of its own; daemonic, so that an interruption does not wait for it."""
        lane: Future[_T] = Future()

        def body() -> None:
            try:
                with self._children.entered():
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
                _wait(self._lanes)
        except BaseException:
            self._children.stop()
            raise
        if kind is not None:
            self._children.stop()


def each(work: Callable[[_A], _T], items: Iterable[_A], at_once: int) -> list[_T]:
    """What `work` makes of each item, in their order; some are done beside each other.

    The threads are daemonic: neither an interruption nor the end of the program waits for them, as it does for those of
    `concurrent.futures`. Once the first item fails or the caller is interrupted, no other is begun.

    Args:
        work: Called with one item, in any thread.
        items: The items.
        at_once: How many are done at the same time, at most.

    Raises:
        BaseException: What the first that failed raised.
    """
    lanes: list[tuple[_A, Future[_T]]] = [(item, Future()) for item in items]
    pending = deque(lanes)

    def body() -> None:
        while pending:
            try:
                item, lane = pending.popleft()
            except IndexError:  # another thread was quicker
                return
            try:
                lane.set_result(work(item))
            except BaseException as error:  # noqa: BLE001 - handed over to whoever waits
                lane.set_exception(error)

    try:
        for _ in range(min(at_once, len(lanes))):
            threading.Thread(target=body, daemon=True).start()
        _wait(lane for _, lane in lanes)
    finally:
        pending.clear()
    return [lane.result() for _, lane in lanes]


def _wait(lanes: Iterable[Future[Any]]) -> None:
    """Wait until all are done, or raise what the first that failed raised."""
    pending = set(lanes)
    while pending:
        # In short steps: a signal is only seen between them.
        done, pending = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_EXCEPTION)
        for lane in done:
            lane.result()
