"""What every test may use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.hub import Hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the git, Hugging Face or spacerun settings of whoever runs it."""
    for name in list(os.environ):
        if name.startswith(("GIT_", "HF_", "HUGGING", "SPACERUN_")):
            monkeypatch.delenv(name)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """An empty Hub of its own for each test."""
    with Hub(tmp_path / "hub") as running:
        yield running
