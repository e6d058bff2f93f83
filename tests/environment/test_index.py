"""Upload dates from the package index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spacerun.environment.index import ask, default_index
from tests.environment.conftest import Index

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_uploads_are_asked_once_and_remembered_for_offline(index: Index) -> None:
    index.wheel("numpy", "1.24.3", day="2023-04-22")
    (project,) = ask({"NumPy": "1.24.3"}, offline=False).values()
    assert project.uploaded("1.24.3") == "2023-04-22T00:00:00Z"
    assert project.uploaded("1.24.3+cpu") == "2023-04-22T00:00:00Z"
    assert project.uploaded("1.24.3.0") == "2023-04-22T00:00:00Z"
    assert project.uploaded("9") is None
    index.asked.clear()
    assert ask({"numpy": "1.24.3"}, offline=False)["numpy"] == project
    assert ask({"numpy": None}, offline=True)["numpy"] == project
    assert index.asked == []


def test_an_unknown_project_is_empty_and_one_that_gives_no_answer_is_left_out(index: Index) -> None:
    assert not ask({"no-such-project": "1"}, offline=False)["no-such-project"].uploads
    index.server.shutdown()
    index.server.server_close()
    assert ask({"numpy": None}, offline=False) == {}
    assert ask({"torch": None}, offline=True) == {}


def test_releases_before_and_after_a_date_pass_over_prereleases(index: Index) -> None:
    for version, day in [
        ("1.0", "2023-01-01"),
        ("1.1rc1", "2023-02-01"),
        ("0.9.1", "2023-02-02"),
        ("1.1", "2023-03-01"),
    ]:
        index.wheel("lib", version, day=day)
    project = ask({"lib": None}, offline=False)["lib"]
    assert project.newest_before("2023-02-15T00:00:00Z") == "1.0"
    assert project.newest_before("2022-02-15T00:00:00Z") is None
    assert project.released_from("2023-01-15T00:00:00Z") == "1.1"
    assert project.released_from("2024-01-15T00:00:00Z") is None


def test_a_patch_is_not_made_of_what_is_under_development(index: Index) -> None:
    # transformers: LLaMA came to the main branch on 2023-03-16, 4.27.2 to .4 are patches without it.
    days = {"4.27.1": "2023-03-15", "4.27.2": "2023-03-20", "4.27.4": "2023-03-29", "4.28.0": "2023-04-13"}
    days |= {"4.28.1": "2023-04-14"}
    for version, day in days.items():
        index.wheel("lib", version, day=day)
    project = ask({"lib": None}, offline=False)["lib"]
    assert project.released_from("2023-03-18T00:00:00Z") == "4.28.0"
    # Nothing but patches within four months: then a patch it is.
    assert project.released_from("2022-11-01T00:00:00Z") == "4.27.1"
    assert project.released_from("2023-04-13T12:00:00Z") == "4.28.1"


def test_an_index_without_dates_is_told_as_such(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.wheel("lib", "1.0")
    index.uploaded["lib-1.0-py3-none-any.whl"] = ""
    monkeypatch.setattr(Index, "_entry", lambda self, file: {"filename": file, "url": f"{self.base}/files/{file}"})
    assert not ask({"lib": "1.0"}, offline=False)["lib"].dated


def test_the_index_is_the_one_that_uv_uses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_index() == "https://pypi.org/simple"
    (tmp_path / "uv").mkdir()
    (tmp_path / "uv/uv.toml").write_text(
        '[[index]]\nurl = "https://first/simple"\n[[index]]\nurl = "https://mine/simple/"\ndefault = true\n'
    )
    assert default_index() == "https://mine/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "corp=https://corp/simple")
    assert default_index() == "https://corp/simple"
    monkeypatch.setenv("UV_NO_INDEX", "1")
    assert default_index() is None
