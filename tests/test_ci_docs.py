"""What `docs/ci.md` tells users to copy is valid, and there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
import yaml

from spacerun.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "ci.md").read_text()
# The YAML files, by the path in their first line.
FILES = {
    block.partition("\n")[0].removeprefix("# "): block
    for block in re.findall(r"^```yaml\n(.+?)^```$", TEXT, re.MULTILINE | re.DOTALL)
}
ACTION = yaml.safe_load((ROOT / ".github" / "actions" / "smoke-test" / "action.yml").read_text())
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "smoke-test.yml").read_text())
CALLED = WORKFLOW[True]["workflow_call"]  # YAML 1.1 takes `on` for a truth value
SMOKE_TEST = typer.main.get_command(app).commands["smoke-test"]
OF_OTHERS = {"--hook-type", "--ci"}


def dictionaries(value: Any) -> Iterator[dict[str, Any]]:
    """Every dictionary in what a YAML file holds."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from dictionaries(inner)


STEPS = [
    step
    for text in FILES.values()
    for step in dictionaries(yaml.safe_load(text))
    if str(step.get("uses")).startswith("owner/spacerun/")
]


@pytest.mark.parametrize(("schema", "folder"), [("github-workflows", "workflows"), ("gitlab-ci", "")])
def test_files_to_copy_are_valid(tmp_path: Path, schema: str, folder: str) -> None:
    written = []
    for path, text in FILES.items():
        if Path(path).parent.name == folder and "pre-commit" not in path:
            written.append(tmp_path / f"{len(written)}.yml")
            written[-1].write_text(text)
    assert written
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", f"vendor.{schema}", *written]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_inputs_and_secrets_are_those_of_the_action_and_the_workflow() -> None:
    assert len(STEPS) == 3
    for step in STEPS:
        path, _, version = step["uses"].removeprefix("owner/spacerun/").partition("@")
        assert version == "v0"
        assert (ROOT / path).exists()
        known = ACTION["inputs"] if path.startswith(".github/actions/") else CALLED["inputs"]
        assert step["with"].keys() <= known.keys()
        assert step.get("secrets", {}).keys() <= CALLED["secrets"].keys()
    assert all(f"`{name}" in TEXT for name in [*ACTION["inputs"], *ACTION["outputs"]])


def test_hooks_are_those_of_the_repository() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    (repository,) = yaml.safe_load(FILES[".pre-commit-config.yaml"])["repos"]
    assert [hook["id"] for hook in repository["hooks"]] == [hook["id"] for hook in hooks]


def test_every_command_is_one_that_spacerun_takes() -> None:
    lines = re.findall(r"^.*spacerun smoke-test ([.-].*?)(?:'$|$| > .*| +#.*)", TEXT, re.MULTILINE)
    lines += [f". {step['with']['args']}" for step in STEPS if "args" in step["with"]]
    assert len(lines) == 8
    for line in lines:
        assert SMOKE_TEST.make_context("smoke-test", shlex.split(line)).params


def test_every_option_is_one_of_smoke_test() -> None:
    options = {option for parameter in SMOKE_TEST.params for option in parameter.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", TEXT)) <= options | OF_OTHERS


def test_the_contract_is_one_that_a_space_may_give(tmp_path: Path) -> None:
    from spacerun.smoke.contract import read_contract

    (contract,) = re.findall(r"^```toml\n(.+?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    (tmp_path / "spacerun.toml").write_text(contract)
    assert len(read_contract(tmp_path).calls) == 1
