"""An app under test, as its checks see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spacerun.space.card import SpaceCard


@dataclass(frozen=True)
class Subject:
    """An app that answers.

    Attributes:
        url: Where, without a trailing slash.
        sdk: What starts it: `gradio`, `streamlit`, `static`, `docker` (the card's `runner`).
        card: What the Space's card says.
        directory: The Space's files.
        python: The Python of its environment; None where it has none.
        variables: A clean environment for what runs in that Python: no secret of the user is in it.
        log: The app's log.
        log_start: Bytes that were in it when the checks began.
        artefacts: Folder for what checks leave.
        call_seconds: How long one call may take, in seconds.
        alive: Says whether the app still runs.
        log_inode: The log's inode when the checks began, by which it is found again once it was rotated; 0 where it is
            not known.
    """

    url: str
    sdk: str
    card: SpaceCard
    directory: Path
    python: Path | None
    variables: dict[str, str]
    log: Path
    log_start: int
    artefacts: Path
    call_seconds: float
    alive: Callable[[], bool]
    log_inode: int = 0
