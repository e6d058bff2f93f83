"""What a Space imports, really imported by a Python of its own, from packages made for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from spacerun.smoke.imports import check_imports
from tests.environment.conftest import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from spacerun.smoke.result import Check

_SLEEP = f"import time; time.sleep(99.{os.getpid()})"
# Packages of the environment, each with the source of its `__init__`.
PACKAGES = {
    "sound": "from sound import deep\nNAME = 1\n",
    "sound/deep": "",
    "sound/lazy": "HIDDEN = 1\n",
    "raising": "raise RuntimeError('no \\x1b[31mway\\x1b[0m')\n",
    "leaving": "raise SystemExit(3)\n",
    "ending": "import os\nos._exit(0)\n",
    "dying": "import os, sys\nsys.stderr.write('terminate called\\n\\n')\nsys.stderr.flush()\nos.abort()\n",
    "slow": "import time\ntime.sleep(1.2)\n",
    "starting": f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', '{_SLEEP}'])\n",
    "hanging": "import starting, time\ntime.sleep(99)\n",
    "loud": "import sys\nprint('x' * 10**6)\nsys.stderr.write('y' * 10**6)\n",
    "threaded": "import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()\n",
    "reads": "import argparse\nargparse.ArgumentParser().parse_args()\n",
    "shadowed": "import queue\nqueue.Queue\n",
    "writes": "open('left-behind', 'w').close()\n",
    "needs_cuda": "raise ImportError('libcuda.so.1: cannot open shared object file: No such file or directory')\n",
    "needs_driver": "raise RuntimeError('Found no NVIDIA driver on your system. Please check')\n",
    "sees": "import os\nassert os.environ['MARK'] == '1'\nassert 'SECRET' not in os.environ\n",
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the packages."""
    folder = tmp_path_factory.mktemp("imports") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    for name, source in PACKAGES.items():
        file = site / name / "__init__.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    return folder / "bin/python"


@pytest.fixture
def check(python: Path, tmp_path: Path) -> Callable[..., dict[str, Check]]:
    """The checks of a Space by their names: `check(app="import x", helper="…", seconds=5)`."""

    def run(*, has_gpu: bool = True, seconds: float = 30.0, **files: str) -> dict[str, Check]:
        space = tmp_path / "space"
        for name, text in files.items():
            file = space / f"{name.replace('__', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        before = snapshot(space)
        variables = {"PATH": os.environ["PATH"], "MARK": "1", "PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode")}
        found = list(
            check_imports(python, space, "app.py", variables=variables, has_gpu=has_gpu, seconds=seconds),
        )
        assert snapshot(space) == before
        assert found[-1].name == "imports"
        return {check.name: check for check in found}

    return run


Checker = "Callable[..., dict[str, Check]]"


def test_modules_of_all_kinds_are_imported(check: Checker) -> None:
    found = check(
        app="import os, sound.deep\nfrom sound import NAME, lazy\nfrom sound.lazy import *\nimport helper, loud\n",
        helper="import xml.dom.minidom as dom, sees\n",
    )
    assert list(found) == ["imports"]
    assert found["imports"].ok
    # os, sound.deep, sound, sound.lazy, loud, xml.dom.minidom, sees
    assert found["imports"].detail.startswith("7 modules in ")


def test_what_is_missing_is_told_with_its_place(check: Checker) -> None:
    found = check(app="import sound\n\nimport absent.deep\nfrom sound import NAME, Missing, deep, lazy, Gone\n")
    assert not found["imports"].ok
    assert found["imports"].detail.startswith("0 of 2 modules in ")
    assert found["import absent.deep"].detail == "ModuleNotFoundError: No module named 'absent' (app.py:3)"
    detail = found["import sound"].detail
    assert detail.startswith("ImportError: cannot import name 'Missing' from 'sound'")
    assert "; ImportError: cannot import name 'Gone' from 'sound'" in detail
    assert detail.endswith("(app.py:1)")


def test_whatever_a_module_raises_is_its_failure_alone(check: Checker) -> None:
    found = check(app="import raising\nimport leaving\nimport reads\nimport sound\nimport threaded\n")
    assert found["import raising"].detail == "RuntimeError: no way (app.py:1)"
    assert found["import leaving"].detail == "SystemExit: 3 (app.py:2)"
    assert list(found) == ["import raising", "import leaving", "imports"]
    assert found["imports"].detail.startswith("3 of 5 modules in ")


def test_a_module_that_ends_the_process_is_named_and_the_others_are_imported(check: Checker) -> None:
    found = check(app="import dying\nimport sound\nimport ending\nimport absent\n")
    assert "killed by SIGABRT, a native library gave up: terminate called (app.py:1)" in found["import dying"].detail
    assert found["import ending"].detail == "exit status 0 (app.py:3)"
    assert found["import absent"].detail.startswith("ModuleNotFoundError")
    assert found["imports"].detail.startswith("1 of 4 modules in ")


def test_a_module_that_hangs_is_killed_with_its_children(check: Checker) -> None:
    began = time.monotonic()
    found = check(app="import sound\nimport hanging\nimport raising\n", seconds=2.0)
    assert time.monotonic() - began < 10
    assert found["import hanging"].detail == "it was not done when its time was over (app.py:2)"
    assert found["imports"].detail.startswith("1 of 3 modules in ")
    assert not sleepers()


def test_what_a_module_starts_ends_with_its_import(check: Checker) -> None:
    found = check(app="import starting\n")
    assert (list(found), found["imports"].ok) == (["imports"], True)
    assert not sleepers()


def sleepers() -> list[psutil.Process]:
    """Processes that the packages started."""
    return [one for one in psutil.process_iter(["cmdline"]) if _SLEEP in (one.info["cmdline"] or ())]


def test_the_slowest_module_is_named(check: Checker) -> None:
    detail = check(app="import sound\nimport slow\n")["imports"].detail
    assert ", slow took 1." in detail


def test_nothing_of_the_space_is_executed_and_no_file_of_it_stands_in_for_a_module(check: Checker) -> None:
    evil = "raise RuntimeError('executed')\n"
    found = check(app="import helper, shadowed, writes\n" + evil, helper=evil, queue=evil, os=evil)
    assert (list(found), found["imports"].ok) == (["imports"], True)


def test_what_lacks_a_gpu_proves_nothing_without_one(check: Checker) -> None:
    app = "import needs_cuda\nfrom needs_driver import x\nimport raising\n"
    found = check(app=app, has_gpu=False)
    for name in ("import needs_cuda", "import needs_driver"):
        assert (found[name].ok, found[name].skipped) == (True, True)
        assert found[name].detail.startswith("needs a GPU, which is not here: ")
    assert not found["import raising"].ok
    found = check(app=app, has_gpu=True)
    assert not any(found[name].ok for name in found)


def test_what_is_not_imported_whenever_it_starts_is_left_alone(check: Checker) -> None:
    app = "try:\n    import absent\nexcept ImportError:\n    pass\nif 0:\n    import raising\n"
    app += "def f():\n    import dying\n"
    found = check(app=app + "import os\nos.system('git clone https://example.com/x')\nimport cloned\n")
    assert found["imports"].detail.startswith("1 module in ")


def test_a_space_that_imports_nothing_is_not_proven(check: Checker) -> None:
    found = check(app="print('hi')\n")
    assert (found["imports"].ok, found["imports"].skipped) == (True, True)


def test_a_python_that_does_not_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import os\n")
    for python in (tmp_path / "absent", Path("/bin/false")):
        (found,) = check_imports(python, tmp_path, "app.py", variables={}, has_gpu=False, seconds=5.0)
        assert not found.ok
        assert found.detail.startswith("its Python does not run: ")


@pytest.mark.parametrize("version", ["3.7", "3.8", "3.13"])
def test_it_runs_in_other_pythons(version: str, tmp_path: Path) -> None:
    pythons = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python"))
    if not pythons:
        pytest.skip(f"Python {version} is not here")
    (tmp_path / "app.py").write_text("import os.path\nfrom json import loads, nothing\n")
    variables = {"PATH": os.environ["PATH"]}
    found = list(check_imports(pythons[0], tmp_path, "app.py", variables=variables, has_gpu=False, seconds=30.0))
    assert [check.name for check in found] == ["import json", "imports"]
    assert "cannot import name 'nothing' from 'json'" in found[0].detail
    assert found[1].detail.startswith("1 of 2 modules in ")
