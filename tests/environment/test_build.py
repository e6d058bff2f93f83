"""Environments really made by uv, from an index of tiny wheels."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spacerun.environment.as_of import AsOf, Rung
from spacerun.environment.build import build
from spacerun.environment.store import STATE_FILE, Environment, folder_of, list_environments, remove_environment
from spacerun.environment.uv import UnresolvableError
from spacerun.errors import ExitCode, PackagesError, PrerequisiteError
from spacerun.progress import SilentProgress
from tests.environment.conftest import BUILDER, Index, plan_for

if TYPE_CHECKING:
    from spacerun.environment.plan import EnvironmentPlan

# A local package whose build tells its process and then waits as long as `wait` exists.
BACKEND = """
import os, pathlib, time, zipfile
here = pathlib.Path(__file__).parent
def build_wheel(folder, *_):
    (here / "building").write_text(str(os.getpgid(0)))
    while (here / "wait").exists():
        time.sleep(0.05)
    with zipfile.ZipFile(pathlib.Path(folder) / "slow-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("slow.py", "")
        wheel.writestr("slow-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: slow\\nVersion: 1\\n")
        wheel.writestr("slow-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("slow-1.dist-info/RECORD", "")
    return "slow-1-py3-none-any.whl"
"""

# A package that keeps where its build was told to put things.
TELLING_BACKEND = """
import os, zipfile
def build_wheel(folder, *_):
    with zipfile.ZipFile(folder + "/lib-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("lib.py", f"config = {os.environ.get('DIST_EXTRA_CONFIG')!r}")
        wheel.writestr("lib-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: lib\\nVersion: 1\\n")
        wheel.writestr("lib-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("lib-1.dist-info/RECORD", "")
    return "lib-1-py3-none-any.whl"
"""
IN_TREE = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def made(plan: EnvironmentPlan, *, offline: bool = False) -> tuple[Environment, list[str]]:
    progress = SilentProgress()
    return build(plan, progress=progress, offline=offline), progress.warnings


def slow_package(space: Path) -> None:
    (space / "slow").mkdir()
    (space / "slow/backend.py").write_text(BACKEND)
    (space / "slow/pyproject.toml").write_text('[project]\nname = "slow"\nversion = "1"\n' + IN_TREE)


def importable(environment: Environment, code: str) -> str:
    done = subprocess.run([environment.python, "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_an_environment_holds_the_sdk_the_requirements_and_pip(index: Index, space: Path) -> None:
    index.wheel("extra-lib", "2.0")
    index.wheel("extra-lib", "3.0")
    environment, warnings = made(plan_for(space, "extra-lib<3\n"))
    assert environment.created
    assert not warnings
    assert dict(environment.packages) == BUILDER | {
        "extra-lib": "2.0", "gradio": "4.44.0", "pip": "26.0", "setuptools": "80.0.0", "uvicorn": "0.30.0",
    }  # fmt: skip
    assert (
        importable(environment, "import gradio, extra_lib; print(gradio.__version__, extra_lib.__version__)")
        == "4.44.0 2.0"
    )
    assert importable(environment, "import platform; print(platform.python_version())") == environment.python_version


def test_a_complete_environment_is_reused_without_any_process(
    index: Index, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = made(plan_for(space, ""))
    os.utime(first.directory / STATE_FILE, (1, 1))
    index.asked.clear()

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", forbidden)
    again, _ = made(plan_for(space, ""), offline=True)
    assert not again.created
    assert (again.python, again.packages) == (first.python, first.packages)
    assert index.asked == []
    assert list_environments()[0].last_used.timestamp() > 1


def test_the_cards_sdk_wins_over_another_pin(index: Index, space: Path) -> None:
    plan = plan_for(space, "gradio==3.50.2\n")
    environment, _ = made(plan)
    assert dict(environment.packages)["gradio"] == "4.44.0"
    assert environment.split
    assert "gradio==3.50.2" in plan.warnings[0]


def test_a_contradiction_that_only_uv_sees_is_solved_in_two_steps_with_a_warning(index: Index, space: Path) -> None:
    index.wheel("old-plugin", "1.0", requires=("gradio<4",))
    environment, (warning,) = made(plan_for(space, "old-plugin\n"))
    assert dict(environment.packages)["gradio"] == "4.44.0"
    assert dict(environment.packages)["old-plugin"] == "1.0"
    assert environment.split
    assert "old-plugin" in warning
    assert "gradio<4" in warning
    again, _ = made(plan_for(space))
    assert again.split
    assert not again.created


def test_requirements_that_do_not_resolve_are_explained_and_leave_nothing(index: Index, space: Path) -> None:
    plan = plan_for(space, "absent-package==9\n")
    with pytest.raises(UnresolvableError, match="absent-package was not found in the package registry") as caught:
        made(plan)
    assert caught.value.exit_code == ExitCode.ENVIRONMENT
    assert not folder_of(plan.key).exists()
    index.wheel("absent-package", "9")
    shutil.rmtree(os.environ["UV_CACHE_DIR"])
    assert made(plan)[0].created


def test_an_interruption_leaves_nothing(index: Index, space: Path) -> None:
    class Interrupting(SilentProgress):
        def update(self, stage: str, text: str, done: int | None = None, total: int | None = None) -> None:
            raise KeyboardInterrupt

    plan = plan_for(space, "")
    with pytest.raises(KeyboardInterrupt):
        build(plan, progress=Interrupting(), offline=False)
    assert not folder_of(plan.key).exists()


BUILD_IN_CHILD = """
import sys, pathlib
from spacerun.progress import SilentProgress
from spacerun.environment.build import build
from tests.environment.conftest import plan_for
print(build(plan_for(pathlib.Path(sys.argv[1])), progress=SilentProgress(), offline=False).created)
"""


def build_in_child(space: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILD_IN_CHILD, str(space)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_what_a_killed_build_left_is_removed_and_made_again(index: Index, space: Path) -> None:
    slow_package(space)
    plan = plan_for(space, "./slow\n")
    (space / "slow/wait").touch()
    killed = build_in_child(space)
    wait_for((space / "slow/building").exists)
    killed.kill()
    killed.communicate()
    left = folder_of(plan.key)
    (half_built,) = left.glob("venv-*")
    assert not (left / STATE_FILE).exists()
    assert [info.complete for info in list_environments()] == [False]

    orphans = int((space / "slow/building").read_text())
    (space / "slow/wait").unlink()
    environment, _ = made(plan)
    assert environment.created
    assert dict(environment.packages)["slow"] == "1"
    assert half_built not in environment.python.parents
    importable(environment, "import gradio, slow")
    wait_for(lambda: not group_lives(orphans))


def test_two_at_once_make_one_environment(index: Index, space: Path) -> None:
    (space / "requirements.txt").write_text("")
    both = [build_in_child(space) for _ in range(2)]
    answers = sorted(process.communicate(timeout=60)[0].strip() for process in both)
    assert answers == ["False", "True"]
    assert len(list(folder_of(plan_for(space).key).glob("venv-*"))) == 1


@pytest.mark.parametrize("requirements", ["lib\n", "./slow\nlib\n"], ids=["alone", "beside a local package"])
def test_packages_built_from_source_are_not_told_to_share_a_folder(
    index: Index, space: Path, requirements: str
) -> None:
    # Whatever lies in setuptools' `build/lib` gets into the wheel.
    index.source("lib", "1", {"backend.py": TELLING_BACKEND, "pyproject.toml": IN_TREE})
    slow_package(space)
    environment, _ = made(plan_for(space, requirements))
    assert importable(environment, "import lib; print(lib.config)") == "None"


def test_an_environment_whose_python_is_gone_is_made_again(index: Index, space: Path) -> None:
    plan = plan_for(space, "")
    environment, _ = made(plan)
    environment.python.unlink()
    environment.python.symlink_to("/nowhere/python3.10")
    again, _ = made(plan)
    assert again.created
    importable(again, "import gradio")


def test_settings_of_the_spaces_own_uv_do_not_count(index: Index, space: Path) -> None:
    (space / "uv.toml").write_text("this is not toml")
    (space / "pyproject.toml").write_text("[tool.uv]\nindex-url = 'http://127.0.0.1:9/simple'\n")
    assert made(plan_for(space, ""))[0].created


def test_no_variable_of_ours_reaches_the_index_a_space_names(
    index: Index, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAKED", "value-of-ours")
    made(plan_for(space, f"--extra-index-url {index.base}/${{LEAKED}}/simple\nuvicorn\n"))
    assert any("LEAKED" in path for path in index.asked)
    assert not any("value-of-ours" in path for path in index.asked)


def test_packages_come_as_of_the_date_asked_for(index: Index, space: Path) -> None:
    index.wheel("drifting", "1.0", day="2023-03-01")
    index.wheel("drifting", "2.0", day="2024-06-01")
    as_of = made(plan_for(space, "drifting\n", as_of=AsOf("2024-02-01T00:00:00Z", Rung.GIVEN, "")))[0]
    latest = made(plan_for(space, "drifting\n"))[0]
    assert dict(as_of.packages)["drifting"] == "1.0"
    assert dict(latest.packages)["drifting"] == "2.0"


def test_a_full_disk_is_told_before_anything_is_downloaded(
    index: Index, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(space)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
    with pytest.raises(
        PrerequisiteError, match=r"home/cache/environments has 1\.0 MiB \(1048576 bytes\) left"
    ) as caught:
        made(plan_for(space, ""))
    assert caught.value.exit_code == 13
    assert index.asked == []


def test_offline_uses_what_was_downloaded_before(index: Index, space: Path) -> None:
    made(plan_for(space, ""))
    index.asked.clear()
    environment, _ = made(plan_for(space, "uvicorn\n"), offline=True)
    assert environment.created
    assert index.asked == []
    with pytest.raises(PackagesError, match="offline") as caught:
        made(plan_for(space, "never-seen\n"), offline=True)
    assert "without --offline" in str(caught.value.hint)


def test_environments_are_listed_and_removed(index: Index, space: Path) -> None:
    older, newer = made(plan_for(space, ""))[0], made(plan_for(space, "uvicorn"))[0]
    os.utime(older.directory / STATE_FILE, (1_700_000_000, 1_700_000_000))
    first, second = list_environments()
    assert (first.key, second.key) == (older.key, newer.key)
    assert first.last_used.isoformat() == "2023-11-14T22:13:20+00:00"
    assert second.created_at.utcoffset() is not None
    assert second.python_version == newer.python_version
    assert second.size_bytes > 0
    remove_environment(older.key)
    assert not older.directory.exists()
    assert [info.key for info in list_environments()] == [newer.key]
    with pytest.raises(ValueError, match=r"\.\."):
        remove_environment("../../spaces")


def test_the_state_file_is_written_last(index: Index, space: Path) -> None:
    seen: list[bool] = []
    plan = plan_for(space, "")

    class Watching(SilentProgress):
        def update(self, stage: str, text: str, done: int | None = None, total: int | None = None) -> None:
            seen.append((folder_of(plan.key) / STATE_FILE).exists())

    environment = build(plan, progress=Watching(), offline=False)
    assert seen
    assert not any(seen)
    assert json.loads((environment.directory / STATE_FILE).read_text())["python_version"] == environment.python_version


def wait_for(condition: object, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def group_lives(group: int) -> bool:
    """Whether a process of the group runs; one that has ended may wait long for whoever adopted it."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                return True
    return False
