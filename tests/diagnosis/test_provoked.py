"""Breakages caused for real: the combination is installed, the line is run, and what comes out is explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spacerun.diagnosis import explain
from tests.diagnosis.provoke import PROVOCATIONS, Provocation, provoke

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "provocation",
    [pytest.param(p, marks=pytest.mark.slow if p.slow else pytest.mark.environment, id=p.name) for p in PROVOCATIONS],
)
def test_a_provoked_breakage_is_explained(provocation: Provocation, tmp_path: Path) -> None:
    said = provoke(provocation, tmp_path)
    findings = explain(said.splitlines())
    assert findings, said
    assert findings[0].id == provocation.finds
