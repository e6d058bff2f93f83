"""A composite action as GitHub's runner runs it, as far as one machine can: its scripts, its files, its expressions.

Of the actions that it uses, those of the cache and the upload are stood in for by folders; the others do nothing.
Sources: GitHub's "Metadata syntax", "Workflow commands" and "Expressions"; actions/cache and actions/upload-artifact.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping
    from pathlib import Path

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(r"'(?:[^']|'')*'|[A-Za-z_][\w.-]*(?:\(\))?|&&|\|\||[!=]=|!|[()]")
_OPERATORS = {"&&": " and ", "||": " or ", "!": " not ", "==": "==", "!=": "!=", "(": "(", ")": ")"}
_STATUS = re.compile(r"\b(always|success|failure|cancelled)\(\)")
_HEREDOC = re.compile(r"(?P<name>[\w-]+)<<(?P<end>.+)")


@dataclass
class Used:
    """What came of an action.

    Attributes:
        ok: Whether no step failed.
        outputs: Its outputs.
        log: What its scripts wrote, as the log of the job shows it.
        steps: What became of each step, by its `id`, else its `name`, else what it uses: `success`, `failure`,
            `skipped`.
        summary: What its scripts added to the summary of the job.
        step_outputs: The outputs of its steps, by their `id`.
    """

    ok: bool = True
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    steps: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    step_outputs: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class Runner:
    """A machine that jobs run on.

    Attributes:
        folder: For all that it keeps.
        workspace: Where the repository of the job is checked out.
        variables: The environment of the jobs.
        hosted: Whether it is one of GitHub's own.
        caches: Folders kept by `actions/cache`, by key, the newest last.
        artifacts: Folders uploaded by `actions/upload-artifact`, by name.
    """

    folder: Path
    workspace: Path
    variables: dict[str, str]
    hosted: bool = True
    caches: dict[str, Path] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)

    @property
    def temp(self) -> Path:
        """`RUNNER_TEMP`."""
        return self.folder / "temp"

    def use(self, action: Path, inputs: Mapping[str, str] | None = None, *, without: Container[str] = ()) -> Used:
        """Run the action in folder `action`, but for the steps whose `id` or `name` is one of `without`."""
        self.temp.mkdir(parents=True, exist_ok=True)
        return _Use(self, action, dict(inputs or {}), without).run()

    def command(self, action: Path, script: Path, files: Mapping[str, Path], more: Mapping[str, str]) -> dict[str, Any]:
        """How `subprocess` runs a script of `action`, as `shell: bash` does."""
        environment = self.variables | {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(action),
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temp),
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            "RUNNER_ENVIRONMENT": "github-hosted" if self.hosted else "self-hosted",
        }
        return {
            "args": ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            "cwd": self.workspace,
            "env": environment | {name: str(path) for name, path in files.items()} | dict(more),
        }


class _Use:
    def __init__(self, runner: Runner, action: Path, inputs: dict[str, str], without: Container[str]) -> None:
        self.runner = runner
        self.action = action
        self.without = without
        self.metadata = yaml.safe_load((action / "action.yml").read_text())
        defaults = {name: str(given.get("default", "")) for name, given in self.metadata["inputs"].items()}
        assert inputs.keys() <= defaults.keys()
        self.inputs = defaults | inputs
        self.used = Used()

    def run(self) -> Used:
        for number, step in enumerate(self.metadata["runs"]["steps"]):
            name = step.get("id") or step.get("name") or step["uses"]
            if name in self.without or not self._wanted(step):
                self.used.steps[name] = "skipped"
                continue
            kept: dict[str, str] = {}
            ok = self._script(step, number, kept) if "run" in step else self._action(step, kept)
            self.used.step_outputs[step.get("id", "")] = kept
            self.used.steps[name] = "success" if ok else "failure"
            self.used.ok = self.used.ok and ok
        for name, output in self.metadata["outputs"].items():
            self.used.outputs[name] = self._filled(output["value"])
        return self.used

    def _wanted(self, step: dict[str, Any]) -> bool:
        condition = str(step.get("if", "success()")).removeprefix("${{").removesuffix("}}")
        if not _STATUS.search(condition):
            condition = f"success() && ({condition})"
        return bool(self._value(condition))

    def _script(self, step: dict[str, Any], number: int, kept: dict[str, str]) -> bool:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "a script that is put together from what users give"
        names = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_PATH")
        files = {name: self.runner.folder / f"{number}-{name}" for name in names}
        for file in files.values():
            file.write_text("")
        script = self.runner.folder / f"{number}.sh"
        script.write_text(step["run"])
        more = {name: self._filled(value) for name, value in step.get("env", {}).items()}
        done = subprocess.run(
            **self.runner.command(self.action, script, files, more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        kept |= dict(outputs(files["GITHUB_OUTPUT"].read_text()))
        self.used.log += done.stdout
        self.used.summary += files["GITHUB_STEP_SUMMARY"].read_text()
        return done.returncode == 0

    def _action(self, step: dict[str, Any], kept: dict[str, str]) -> bool:
        given = {name: self._filled(str(value)) for name, value in step.get("with", {}).items()}
        stand_in = {
            "actions/cache/restore": partial(self._restore, given, kept),
            "actions/cache/save": partial(self._save, given),
            "actions/upload-artifact": partial(self._upload, given),
        }.get(step["uses"].split("@")[0])
        if stand_in:
            stand_in()
        return True

    def _restore(self, given: dict[str, str], kept: dict[str, str]) -> None:
        exact = given["key"] in self.runner.caches
        starts = (given["key"], *given.get("restore-keys", "").split())
        found = [given["key"]] if exact else [key for key in self.runner.caches if key.startswith(starts)]
        kept["cache-hit"] = str(exact).lower() if found else ""
        if found:
            shutil.copytree(self.runner.caches[found[-1]], given["path"], symlinks=True, dirs_exist_ok=True)

    def _save(self, given: dict[str, str]) -> None:
        place = self.runner.folder / f"cache-{len(self.runner.caches)}"
        shutil.copytree(given["path"], place, symlinks=True)
        self.runner.caches[given["key"]] = place

    def _upload(self, given: dict[str, str]) -> None:
        place = self.runner.folder / "artifacts" / given["name"]
        shutil.copytree(given["path"], place, dirs_exist_ok=True)
        self.runner.artifacts[given["name"]] = place

    def _filled(self, text: str) -> str:
        return _EXPRESSION.sub(lambda found: str(self._value(found[1])), text)

    def _value(self, expression: str) -> Any:
        assert not _TOKEN.sub("", expression).strip(), expression
        code = "".join(_OPERATORS.get(word) or repr(self._word(word)) for word in _TOKEN.findall(expression))
        return eval(code, {"__builtins__": {}})

    def _word(self, word: str) -> str | bool:
        if word.startswith("'"):
            return word[1:-1].replace("''", "'")
        status = {"always()": True, "success()": self.used.ok, "cancelled()": False}
        return status[word] if word in status else self._context(*word.split("."))

    def _context(self, name: str, key: str, *more: str) -> str:
        match name, more:
            case "inputs", ():
                return self.inputs[key]
            case "runner", () if key == "environment":
                return "github-hosted" if self.runner.hosted else "self-hosted"
            case "steps", ("outputs", output):
                return self.used.step_outputs.get(key, {}).get(output, "")
            case "steps", ("outcome",):
                return self.used.steps[key]
        raise AssertionError((name, key, *more))


def outputs(text: str) -> Iterator[tuple[str, str]]:
    """What a file `$GITHUB_OUTPUT` sets."""
    lines = iter(text.splitlines())
    for line in lines:
        if heredoc := _HEREDOC.fullmatch(line):
            rows = iter(partial(next, lines), heredoc["end"])
            yield heredoc["name"], "\n".join(rows)
        else:
            name, equals, value = line.partition("=")
            assert equals, f"the runner refuses {line!r}"
            yield name, value


def variables(**more: str) -> dict[str, str]:
    """The environment of a job that is none of ours; `more` is set beside that."""
    ours = ("GITHUB_", "RUNNER_", "INPUT_", "ACTIONS_", "VIRTUAL_ENV", "PYTHON")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more
