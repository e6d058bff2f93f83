"""Child processes of ours."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from spacerun.children import own_module

if TYPE_CHECKING:
    from pathlib import Path


def test_no_file_in_the_working_folder_is_taken_for_a_module_of_ours(tmp_path: Path) -> None:
    for name in ("json", "runpy", "spacerun", "psutil", "typing"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of the Space was run')\n")
    command = own_module("spacerun", "--version")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("spacerun ")
