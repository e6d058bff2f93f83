"""What would be installed, learned without running or fetching anything of the Space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spacerun.environment.python import find_installed
from spacerun.environment.resolve import Resolution, resolve
from spacerun.environment.uv import UnresolvableError
from tests.environment.conftest import BUILDER, Index, plan_for, snapshot

if TYPE_CHECKING:
    from pathlib import Path


def resolved(space: Path, requirements: str) -> Resolution:
    plan = plan_for(space, requirements)
    return resolve(plan, find_installed(plan.python))


def versions(resolution: Resolution) -> dict[str, str]:
    return {package.name: package.version for package in resolution.packages}


def test_packages_come_with_versions_sizes_and_hashes(index: Index, space: Path) -> None:
    resolution = resolved(space, "uvicorn\n")
    own = {"gradio": "4.44.0", "pip": "26.0", "setuptools": "80.0.0", "uvicorn": "0.30.0"}
    assert versions(resolution) == own | BUILDER
    (gradio,) = [package for package in resolution.packages if package.name == "gradio"]
    assert gradio.size_bytes == len(index.files["gradio-4.44.0-py3-none-any.whl"])
    assert gradio.url == f"{index.base}/files/gradio-4.44.0-py3-none-any.whl"
    assert len(gradio.sha256 or "") == 64
    assert resolution.download_bytes == sum(package.size_bytes or 0 for package in resolution.packages)
    assert resolution.unknown == ()


def test_no_wheel_is_downloaded(index: Index, space: Path) -> None:
    index.wheel("big-model", "1")
    resolved(space, "big-model\n")
    assert "/files/big_model-1-py3-none-any.whl.metadata" in index.asked
    assert not any(path.endswith(".whl") for path in index.asked)


def test_what_needs_a_build_is_unknown_and_never_executed(index: Index, space: Path) -> None:
    index.source_only("docopt", "0.6")
    index.wheel("parent", "1", requires=("sourced>=1", "uvicorn"))
    index.source_only("sourced", "1.0")
    for folder in (space, space / "vendored"):
        folder.mkdir(exist_ok=True)
        (folder / "setup.py").write_text("open('executed', 'w')\nraise SystemExit('setup.py was run')\n")
    requirements = "-e .\n./vendored\ngit+https://evil.invalid/x.git\nnamed @ https://evil.invalid/named-1.tar.gz\ndocopt\nparent\n"
    (space / "requirements.txt").write_text(requirements)
    before = snapshot(space)
    resolution = resolved(space, requirements)
    assert set(resolution.unknown) == {
        "-e .",
        "./vendored",
        "git+https://evil.invalid/x.git",
        "named",
        "docopt",
        "sourced",
    }
    assert versions(resolution)["parent"] == "1"
    assert "sourced" not in versions(resolution)
    assert snapshot(space) == before


def test_a_contradiction_is_resolved_as_build_would_install_it(index: Index, space: Path) -> None:
    index.wheel("old-plugin", "1.0", requires=("gradio<4",))
    resolution = resolved(space, "old-plugin\n")
    assert resolution.split
    assert versions(resolution)["gradio"] == "4.44.0"
    assert versions(resolution)["old-plugin"] == "1.0"


def test_requirements_that_do_not_resolve_are_explained(index: Index, space: Path) -> None:
    with pytest.raises(UnresolvableError, match="absent-package"):
        resolved(space, "absent-package\n")


def test_a_python_that_is_not_installed_is_resolved_for_all_the_same(index: Index, space: Path) -> None:
    index.wheel("only-on-older", "1")
    plan = plan_for(space, "only-on-older; python_version < '3.8'\nuvicorn\n", python_version="3.7")
    assert versions(resolve(plan, None))["only-on-older"] == "1"
