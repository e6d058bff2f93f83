"""What the package index and git servers say of requirements, and what is really resolved with it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from spacerun.environment.as_of import LATEST, AsOf, Dated, Evidence, Rung
from spacerun.environment.decision import Wanted, added, decided_plan
from spacerun.environment.learning import gather
from spacerun.environment.python import find_installed
from spacerun.environment.resolve import resolve
from spacerun.progress import SilentProgress
from tests.environment.conftest import BUILDER, Index

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.environment.plan import EnvironmentPlan

SPRING = AsOf("2023-04-01T00:00:00Z", Rung.AS_OF, "a day of spring")


def wanted(space: Path, requirements: str, **changes: Any) -> Wanted:
    (space / "requirements.txt").write_text(requirements)
    chosen: dict[str, Any] = {"sdk": "gradio", "sdk_version": "3.20.1"}
    return Wanted(space, python_version=f"3.{sys.version_info.minor}", **(chosen | changes))


def planned(asked: Wanted, as_of: AsOf = SPRING, evidence: Evidence | None = None) -> EnvironmentPlan:
    return decided_plan(asked, as_of, evidence or Evidence(), progress=SilentProgress(), offline=False)


def resolved(plan: EnvironmentPlan) -> dict[str, str]:
    return {package.name: package.version for package in resolve(plan, find_installed(plan.python)).packages}


def published(index: Index, **releases: dict[str, str]) -> None:
    """Publish versions by day, and the builder's own packages as of 2022."""
    for name, version in BUILDER.items():
        index.wheel(name, version, day="2022-01-01")
    for name, version in {"pip": "22.3.1", "setuptools": "65.0.0", "uvicorn": "0.20.0"}.items():
        index.wheel(name, version, day="2022-06-01")
    for name, days in {"gradio": {"3.20.1": "2023-03-06"}, **releases}.items():
        for version, day in days.items():
            index.wheel(name.replace("_", "-"), version, day=day)


def test_evidence_is_the_release_of_the_sdk_and_the_newest_exact_version(index: Index, space: Path) -> None:
    published(index, numpy={"1.24.2": "2023-02-05", "1.24.3": "2023-04-22"}, torch={"2.0.0": "2023-03-15"})
    changed = Dated("requirements.txt changed", "2023-03-01T00:00:00Z")
    found = gather(wanted(space, "numpy==1.24.3\ntorch==2.0.0+cu118\nabsent==1\n"), changed, offline=False)
    assert found == Evidence(
        changed=changed,
        sdk=Dated("gradio 3.20.1 was released", "2023-03-06T00:00:00Z"),
        pins=Dated("numpy 1.24.3 was uploaded", "2023-04-22T00:00:00Z"),
    )


def test_an_index_that_is_silent_leaves_only_the_change(index: Index, space: Path) -> None:
    asked = wanted(space, "numpy==1.24.3\n")
    index.server.shutdown()
    index.server.server_close()
    assert gather(asked, None, offline=False) == Evidence()


def test_the_newest_of_the_day_is_taken_with_what_the_builder_brought(index: Index, space: Path) -> None:
    published(index, drifting={"1.0": "2023-01-01", "2.0": "2024-01-01"}, setuptools={"67.0.0": "2023-03-01"})
    versions = resolved(planned(wanted(space, "drifting\n")))
    assert versions["drifting"] == "1.0"
    assert (versions["gradio"], versions["setuptools"], versions["protobuf"]) == ("3.20.1", "67.0.0", "3.20.3")
    assert "spaces" not in versions


def test_the_client_of_gradio_3_is_that_of_its_release(index: Index, space: Path) -> None:
    published(index, gradio_client={"0.2.10": "2023-07-20", "0.10.0": "2024-02-01"})
    index.wheel("gradio", "3.38.0", requires=("gradio-client>=0.2",), day="2023-07-25")
    late = AsOf("2024-03-01T00:00:00Z", Rung.AS_OF, "")
    evidence = Evidence(sdk=Dated("gradio 3.38.0 was released", "2023-07-25T00:00:00Z"))
    asked = wanted(space, "", sdk_version="3.38.0")
    assert resolved(planned(asked, late, evidence))["gradio-client"] == "0.2.10"
    assert resolved(planned(asked, AsOf(None, Rung.PERIOD_PINS, ""), evidence))["gradio-client"] == "0.2.10"
    assert resolved(planned(asked, late))["gradio-client"] == "0.10.0"


def test_a_package_of_the_users_may_be_younger_than_the_space(index: Index, space: Path) -> None:
    published(index, drifting={"1.0": "2023-01-01", "2.0": "2024-01-01"}, added={"5.0": "2024-06-01"})
    versions = resolved(planned(added(wanted(space, "drifting\n"), ("added==5.0",))))
    assert (versions["added"], versions["drifting"]) == ("5.0", "1.0")


def test_torch_of_an_index_without_dates_is_bounded_by_the_day(index: Index, space: Path, monkeypatch: Any) -> None:
    published(index, torch={"1.13.1": "2022-12-15", "2.0.0": "2023-03-15", "2.5.0": "2024-10-17"})
    other = Index()
    for version in ("1.13.1+cu118", "2.0.0+cu118", "2.5.0+cu118"):
        other.wheel("torch", version, day="")
    monkeypatch.setattr("spacerun.environment.learning._PYTORCH", other.base.removeprefix("http://"))
    monkeypatch.setattr(Index, "_entry", _without_empty_days(Index._entry))
    try:
        plan = planned(wanted(space, f"--extra-index-url {other.url}\ntorch\n"))
        assert resolved(plan)["torch"] == "2.0.0+cu118"
        assert any("torch<=2.0.0" in note for note in plan.notes)
        exact = planned(wanted(space, f"--extra-index-url {other.url}\ntorch==1.13.1+cu118\n"))
        assert resolved(exact)["torch"] == "1.13.1+cu118"
    finally:
        other.server.shutdown()
        other.server.server_close()


def _without_empty_days(entry: Any) -> Any:
    def made(self: Index, file: str) -> dict[str, Any]:
        made_entry: dict[str, Any] = entry(self, file)
        return made_entry if self.uploaded[file] else {k: v for k, v in made_entry.items() if k != "upload-time"}

    return made


def test_what_only_another_index_has_is_taken_without_a_date(index: Index, space: Path, monkeypatch: Any) -> None:
    published(index)
    other = Index()
    other.wheel("special", "1.0", day="")
    monkeypatch.setattr(Index, "_entry", _without_empty_days(Index._entry))
    try:
        assert resolved(planned(wanted(space, f"--extra-index-url {other.url}\nspecial\n")))["special"] == "1.0"
    finally:
        other.server.shutdown()
        other.server.server_close()


def test_pins_of_the_period_bound_the_packages_of_today(index: Index, space: Path) -> None:
    published(index, pydantic={"1.10.7": "2023-03-01", "2.12": "2025-10-01"})
    index.wheel("gradio", "3.20.1", requires=("pydantic",), day="2023-03-06")
    asked = wanted(space, "")
    assert resolved(planned(asked, AsOf(None, Rung.PERIOD_PINS, "")))["pydantic"] == "1.10.7"
    assert resolved(planned(asked, LATEST))["pydantic"] == "2.12"


def test_a_base_layer_that_cannot_be_had_stops_nothing(index: Index, space: Path) -> None:
    published(index)
    del index.files["protobuf-3.20.3-py3-none-any.whl"]
    resolution = resolve(plan := planned(wanted(space, "")), find_installed(plan.python))
    assert "gradio" in {package.name for package in resolution.packages}
    assert not resolution.split


def test_wrong_lines_of_a_windows_file_resolve_as_meant(index: Index, space: Path) -> None:
    published(index, scikit_learn={"1.2.2": "2023-03-08"})
    plan = planned(wanted(space, "sklearn==0.0\r\nuuid\r\n--no-cache-dir\r\ngradio==3.20.1 --index-url https://x\r\n"))
    assert resolved(plan)["scikit-learn"] == "1.2.2"
    assert len(plan.notes) == 5
