"""What is written of the commands is what they are."""

from __future__ import annotations

import re
from pathlib import Path

from spacerun.errors import ExitCode, SpacerunError
from tests import reference

ROOT = Path(__file__).parents[1]


def test_the_committed_reference_is_that_of_the_commands() -> None:
    assert reference.FILE.read_text() == reference.reference(), "run: python -m tests.reference"


def test_readme_names_every_command_and_no_other() -> None:
    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"^\| `spacerun ([a-z-]+)", readme, re.MULTILINE))
    assert named == set(re.findall(r"^## spacerun ([a-z-]+)", reference.reference(), re.MULTILINE))


def test_readme_names_every_exit_code_that_can_occur() -> None:
    code = "".join(path.read_text() for path in (ROOT / "spacerun").rglob("*.py") if path.name != "errors.py")
    raised = {error.exit_code for error in SpacerunError.__subclasses__() if f"{error.__name__}(" in code}
    possible = raised | {ExitCode.OK, ExitCode.INTERNAL, ExitCode.USAGE, ExitCode.INTERRUPTED}
    rows = re.findall(r"^\| (\d+) \| `(\w+)`", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert rows == [(str(int(code)), code.name.lower()) for code in sorted(possible)]
