"""Modules that a Space imports and nothing provides are found without importing anything of it."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from spacerun.environment.imports_check import missing_imports, package_of
from tests.environment.conftest import snapshot

PYTHON = Path(sys.executable)


def names(folder: Path, entry: str = "app.py") -> dict[str, str]:
    return {item.module: f"{item.file}:{item.line}" for item in missing_imports(PYTHON, folder, entry)}


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_module_that_nothing_provides_is_named_with_its_place(space: Path) -> None:
    write(space, app="import os, json\nimport pytest\nimport absent_a.sub\nfrom absent_b import x\n")
    assert names(space) == {"absent_a": "app.py:3", "absent_b": "app.py:4"}


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    import absent_a\nexcept ImportError:\n    absent_a = None\n",
        "try:\n    import absent_a\nexcept (OSError, ModuleNotFoundError):\n    pass\n",
        "try:\n    import absent_a\nexcept:\n    pass\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import absent_a\n",
        "import os\nif os.name == 'nt':\n    import absent_a\n",
        "def later():\n    import absent_a\n",
        "import sys\nsys.modules['absent_a'] = sys\nimport absent_a\n",
        "import os\nos.system('pip install absent-a')\nimport absent_a\n",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', 'a'])\nimport absent_a\n",
        "import absent_a as (\n",
    ],
)
def test_what_need_not_be_there_is_not_named(space: Path, text: str) -> None:
    write(space, app=text)
    assert names(space) == {}


@pytest.mark.parametrize(
    "text",
    [
        "with open(__file__):\n    import absent_a\n",
        "if __name__ == '__main__':\n    import absent_a\n",
        "try:\n    import absent_a\nfinally:\n    pass\n",
        "try:\n    import absent_a\nexcept KeyError:\n    pass\n",
        "class A:\n    import absent_a\n",
    ],
)
def test_what_is_imported_whatever_happens_is_named(space: Path, text: str) -> None:
    write(space, app=text)
    assert list(names(space)) == ["absent_a"]


def test_the_spaces_own_modules_are_followed_and_never_missing(space: Path) -> None:
    write(
        space,
        app="import helper\nfrom pkg.deep import thing\nfrom elsewhere import x\n",
        helper="import absent_a\nif __name__ == '__main__':\n    import absent_never\n",
        pkg__deep="from . import sibling\nfrom .other import y\n",
        pkg__sibling="import absent_b\n",
        pkg__other="import absent_c\n",
        vendored__elsewhere="import absent_unreached\n",
    )
    assert names(space) == {
        "absent_a": "helper.py:1",
        "absent_b": "pkg/sibling.py:1",
        "absent_c": "pkg/other.py:1",
    }


def test_an_entry_in_a_folder_finds_its_neighbours(space: Path) -> None:
    write(space, src__app="import beside\nimport absent_a\n", src__beside="import absent_b\n")
    assert names(space, "src/app.py") == {"absent_a": "src/app.py:2", "absent_b": "src/beside.py:1"}


def test_nothing_of_the_space_is_run_or_written(space: Path) -> None:
    mark = space.parent / "ran"
    write(space, app="import helper\n" + (evil := f"open({str(mark)!r}, 'w')\n"), helper=evil, json=evil, ast=evil)
    before = snapshot(space)
    assert names(space) == {}
    assert not mark.exists()
    assert snapshot(space) == before


def test_it_takes_less_than_150_ms(space: Path) -> None:
    write(space, app="import helper, numpy, absent_a\n" * 200, helper="import absent_b\n" * 200)
    seconds = []
    for _ in range(5):
        began = processor_seconds()
        missing_imports(PYTHON, space, "app.py")
        seconds.append(processor_seconds() - began)
    assert min(seconds) < 0.15


def processor_seconds() -> float:
    """What this process and its children have taken: other work on the machine does not count."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def test_a_check_that_cannot_be_made_finds_nothing(space: Path) -> None:
    write(space, app="import absent_a\n")
    assert missing_imports(space / "no-python", space, "app.py") == ()
    assert names(space, "absent.py") == {}
    (space / "app.py").write_bytes(b"(" * 100_000)
    assert names(space) == {}


def test_packages_are_named_only_where_they_are_known() -> None:
    known = {"cv2": "opencv-python-headless", "PIL": "pillow", "sklearn": "scikit-learn", "yaml": "PyYAML"}
    assert {module: package_of(module) for module in known} == known
    assert package_of("requests") == "requests"
    assert package_of("my_internal_tool") is None
