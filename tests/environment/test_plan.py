"""What an environment is to be made of, and when two Spaces share one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from spacerun.environment.as_of import AsOf, Rung
from spacerun.environment.plan import EnvironmentPlan, make_plan
from spacerun.errors import PackagesError, UsageError
from tests.environment.conftest import plan_for

if TYPE_CHECKING:
    from pathlib import Path


def lines(plan: EnvironmentPlan) -> list[list[str]]:
    return [[line.text for line in step.lines] for step in plan.steps]


AS_OF = AsOf("2024-01-01T00:00:00Z", Rung.GIVEN, "asked for")
SEED = ["pip", "setuptools<81", "huggingface-hub", "requests", "protobuf<4", "click<8.1"]
BESIDE = ["uvicorn>=0.14.0", "websockets>=10.4"]
SDK = ["gradio[oauth]==4.44.0", *BESIDE, "fastapi<0.113.0", "spaces"]


def test_requirements_and_sdk_are_resolved_together(space: Path) -> None:
    (space / "pre-requirements.txt").write_text("pip==23.0\n")
    (space / "limits.txt").write_text("numpy<2")
    plan = plan_for(space, "torch\n-c limits.txt\n")
    assert lines(plan) == [SEED, ["pip==23.0"], ["torch", *SDK]]
    assert plan.steps[-1].constraints == ("numpy<2",)
    assert [[line.text for line in step.lines] for step in plan.steps[-1].otherwise] == [["torch"], SDK]
    assert (plan.gradio, plan.split, plan.warnings) == ("4.44.0", False, ())
    assert plan.sources == ("pre-requirements.txt", "requirements.txt", "limits.txt")


@pytest.mark.parametrize(
    "pin", ["gradio==3.50.2", "gradio<4", "Gradio[x] == 3.9 --hash=sha256:0", "gradio @ https://h/g.whl"]
)
def test_a_contradicting_pin_loses_to_the_card_and_that_is_said(space: Path, pin: str) -> None:
    plan = plan_for(space, f"{pin}\ntorch\n")
    assert lines(plan) == [SEED, [pin, "torch"], SDK]
    assert plan.split
    assert pin[:8] in plan.warnings[0]
    assert "4.44.0 is installed" in plan.warnings[0]


@pytest.mark.parametrize(
    "pin", ["gradio", "gradio>=4", "gradio==4.44.0", "gradio==4.44.* --hash=sha256:0", "gradio_client==1"]
)
def test_an_agreeing_pin_is_no_conflict(space: Path, pin: str) -> None:
    plan = plan_for(space, pin)
    assert lines(plan) == [SEED, [pin, *SDK]]
    assert not plan.warnings


def test_without_sdk_version_gradio_is_added_only_where_requirements_do_not_name_it(space: Path) -> None:
    assert lines(plan_for(space, "torch", sdk_version=None)) == [SEED, ["torch", "gradio[oauth]", *BESIDE, "spaces"]]
    named = plan_for(space, "gradio==3.20.1", sdk_version=None)
    assert lines(named) == [SEED, ["gradio==3.20.1", *BESIDE, "spaces"]]
    assert named.gradio == "3.20.1"


def test_spaces_is_not_added_where_requirements_name_it(space: Path) -> None:
    listed = plan_for(space, "spaces==0.30.0", imports=frozenset({"spaces"}))
    assert lines(listed) == [SEED, ["spaces==0.30.0", *SDK[:-1]]]


def test_an_sdk_without_packages_installs_only_what_is_asked(space: Path) -> None:
    assert lines(plan_for(space, "flask", sdk="static", sdk_version=None)) == [SEED[:2], ["flask"]]
    assert lines(plan_for(space, "x", sdk="streamlit", sdk_version="1.10.0")) == [SEED, ["x", "streamlit==1.10.0"]]


@pytest.mark.parametrize("version", ["4.0 --index-url https://evil.example", "latest", "4.0\nevil", "==4"])
def test_an_sdk_version_that_is_none_is_refused(space: Path, version: str) -> None:
    with pytest.raises(PackagesError, match="which is not a version"):
        plan_for(space, sdk_version=version)


@pytest.mark.parametrize(("card", "override", "expected"), [
    (None, None, ("3.10", False)),
    ("3.10", None, ("3.10", True)),
    ("3.9.13", None, ("3.9.13", True)),
    ("3.9", "3.12", ("3.12", True)),
])  # fmt: skip
def test_the_python_version_stays_text(
    space: Path, card: str | None, override: str | None, expected: tuple[str, bool]
) -> None:
    plan = plan_for(space, python_version=card, python_override=override)
    assert (plan.python, plan.python_required) == expected


@pytest.mark.parametrize("text", ["3.1", "2.7", "3", "three", "3.10; rm -rf /", "3.10.x", "-3.10"])
def test_a_python_version_that_is_none_is_one_sentence(space: Path, text: str) -> None:
    with pytest.raises(PackagesError, match="is not one that Spaces run on"):
        plan_for(space, python_version=text)
    with pytest.raises(UsageError, match="is not one that Spaces run on"):
        plan_for(space, python_override=text)


@pytest.mark.parametrize("extra", ["--index-url=https://x", "", "numpy <<2", "two words"])
def test_an_extra_package_that_is_none_is_a_usage_error(space: Path, extra: str) -> None:
    with pytest.raises(UsageError, match="--with takes a package"):
        plan_for(space, extra_packages=(extra,))


def test_an_extra_package_stays_in_force_where_steps_are_split(space: Path) -> None:
    plan = plan_for(space, "gradio==3.9", extra_packages=("pydantic<2",))
    assert lines(plan) == [SEED, ["gradio==3.9", "pydantic<2"], [*SDK, "pydantic<2"]]


def test_the_key_is_the_same_for_what_installs_the_same(tmp_path: Path) -> None:
    keys = set()
    for number, text in enumerate(["torch\nnumpy\n", "torch\r\n# comment\r\n\r\nnumpy  # why\r\n"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        keys.add(plan_for(folder, text).key)
    assert len(keys) == 1


@pytest.mark.parametrize("change", [
    {"sdk_version": "4.44.1"}, {"python_version": "3.8"}, {"extra_packages": ("numpy",)}, {"as_of": AS_OF},
    {"imports": frozenset({"datasets"})}, {"requirements": "torch==2.0"}, {"included": "b==2"}, {"limits": "numpy<3"},
    {"before": "pip<24"}, {"index": "https://other.example/simple"},
])  # fmt: skip
def test_the_key_changes_with_whatever_changes_the_environment(
    space: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    def plan(**changes: Any) -> EnvironmentPlan:
        (space / "included.txt").write_text(changes.pop("included", "b==1"))
        (space / "limits.txt").write_text(changes.pop("limits", "numpy<2"))
        (space / "pre-requirements.txt").write_text(changes.pop("before", "pip"))
        monkeypatch.setenv("UV_DEFAULT_INDEX", changes.pop("index", "https://one.example/simple"))
        text = changes.pop("requirements", "torch")
        return plan_for(space, f"{text}\n-r included.txt\n-c limits.txt\n", **changes)

    first = plan()
    assert plan().key == first.key
    assert plan(**change).key != first.key


def test_a_local_package_ties_the_key_to_its_tree_and_its_build_files(space: Path, tmp_path: Path) -> None:
    (space / "pyproject.toml").write_text("[project]\nname='x'\nversion='1'\n")
    key = plan_for(space, "-e .").key
    (space / "log.txt").write_text("written while the app runs")
    (space / "module.py").write_text("edited in place")
    assert plan_for(space, "-e .").key == key
    (space / "pyproject.toml").write_text("[project]\nname='x'\nversion='2'\n")
    assert plan_for(space, "-e .").key != key

    copied = plan_for(space, ".").key
    (space / "module.py").write_text("copied into the environment")
    assert plan_for(space, ".").key != copied

    other = tmp_path / "other"
    other.mkdir()
    for name in ("pyproject.toml", "module.py"):
        (other / name).write_bytes((space / name).read_bytes())
    assert plan_for(other, "-e .").key != plan_for(space, "-e .").key


def test_planning_runs_and_writes_nothing(space: Path) -> None:
    (space / "setup.py").write_text("open('executed', 'w')")
    make_plan(space, sdk="gradio", sdk_version=None, python_version=None, extra_packages=(str(space),))
    plan_for(space, "-e .\n")
    assert sorted(path.name for path in space.iterdir()) == ["requirements.txt", "setup.py"]
