# ruff: noqa: INP001 - a script beside its action.yml
"""The steps of the action that are its own: `plan` and `test`. Python's standard library is all that they take.

What a user gives comes by the environment, as `INPUT_…`: GitHub puts an expression into a script before a shell reads
it, so that whoever may write it may run anything. What comes of it goes to the file `$GITHUB_OUTPUT`; annotations and
the summary of the job come from spacerun itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SPACERUN = str(Path(sys.executable).with_name("spacerun"))
UV = str(Path(sys.executable).with_name("uv"))
# Of a plan, what decides which packages there are. Neither the commit nor the day do but by these: most commits of a
# Space change no package.
DECIDES = ("python", "torch", "packages", "known_after_install")
LEVELS = ("plan", "environment", "imports", "start", "calls")
USAGE = 2


def plan() -> int:
    """Set `key`, `prefix` and `folder`: by what name, and where, what was built is kept; nothing where nothing is."""
    command = [SPACERUN, "plan", "--no-share", "--json", "--quiet", "--"]
    with ThreadPoolExecutor(int(given("JOBS") or 1)) as pool:
        plans = sorted(filter(None, pool.map(lambda space: decided_by([*command, space]), spaces())))
    if not plans:
        return 0
    prefix = "-".join(["spacerun", *(os.environ.get(name, "") for name in ("RUNNER_OS", "RUNNER_ARCH", "ImageOS")), ""])
    digest = hashlib.sha256(json.dumps([plans, given("ARGS")]).encode()).hexdigest()[:32]
    folder = subprocess.run([UV, "cache", "dir"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    output({"key": prefix + digest, "prefix": prefix, "folder": folder})
    return 0


def decided_by(command: list[str]) -> str:
    """What decides on the packages of a Space; empty where there are none, or where no plan can be made."""
    done = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if done.returncode:
        return ""
    planned = json.loads(done.stdout)["data"]
    return json.dumps([planned[name] for name in DECIDES]) if planned["packages"] else ""


def test() -> int:
    """Test, and set `folder`, `report`, `html`, `proven` and `exit-code`, beside what spacerun sets; the exit code."""
    folder = Path(os.environ["RUNNER_TEMP"]) / "spacerun" / "report"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    report, junit, html = folder / "report.json", folder / "junit.xml", folder / "html"
    output({"folder": folder})
    try:
        command = [*command_line(), "--json", "--junit", str(junit), "--html", str(html), "--", *named()]
    except ValueError as error:
        return fail(f"args: {error}", USAGE)
    code = run(command, report)
    document = read(report)
    results = document.get("data", {}).get("results")
    if not results:
        told = document.get("error", {})
        return fail("\n".join(filter(None, (told.get("message"), told.get("hint")))) or "There is no report.", code)
    output({"report": report, "html": html / "index.html", "proven": proven(results), "exit-code": code})
    copy(html, given("HTML"))
    copy(junit, given("JUNIT"))
    return code


def command_line() -> list[str]:
    """The command without what it writes, and without the Spaces."""
    options = {name: given(name.upper()) for name in ("from", "until", "require", "jobs", "baseline")}
    if options["baseline"] and not Path(options["baseline"]).exists():
        sys.stdout.write(f"::notice::There is nothing to compare with yet: {data(options.pop('baseline'))}\n")
    pairs = [word for name, value in options.items() if value for word in (f"--{name}", value)]
    return [SPACERUN, "smoke-test", *pairs, *shlex.split(given("ARGS"))]


def named() -> list[str]:
    """The Spaces that `spaces` names."""
    return given("SPACES").split() or ([] if given("FROM") else ["."])


def spaces() -> list[str]:
    """All Spaces."""
    try:
        rows = Path(given("FROM")).read_text("utf-8").splitlines() if given("FROM") else []
    except (OSError, UnicodeDecodeError):
        rows = []  # `smoke-test` says it
    return [*named(), *(space for row in rows if (space := row.partition("#")[0].strip()))]


def run(command: list[str], out: Path) -> int:
    """Run a command to its end, and pass on to it what the runner sends to give up; its exit code."""
    with out.open("wb") as stream:
        process = subprocess.Popen(command, env=environment(), stdout=stream)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: process.send_signal(signal.SIGINT))
        code = process.wait()
    return code if code >= 0 else 128 - code


def environment() -> dict[str, str]:
    """The variables of spacerun: these inputs among them, of which no process list tells."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INPUT_")}
    hub = {"HF_TOKEN": given("TOKEN"), "HF_ENDPOINT": given("ENDPOINT")}
    return kept | {name: value for name, value in hub.items() if value}


def given(name: str) -> str:
    """An input of the action, without blanks around it."""
    return os.environ.get(f"INPUT_{name}", "").strip()


def read(report: Path) -> dict[str, Any]:
    """The JSON report, as far as there is one."""
    try:
        document: dict[str, Any] = json.loads(report.read_bytes())
    except ValueError:
        return {}
    return document


def proven(results: list[dict[str, Any]]) -> str:
    """The level that all Spaces reached; empty for none."""
    reached = [result["proven"] for result in results]
    return min(reached, key=LEVELS.index) if reached and all(reached) else ""


def copy(source: Path, target: str) -> None:
    """Write a report where the user wants it as well."""
    if not target or not source.exists():
        return
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def output(values: dict[str, object]) -> None:
    """Set outputs of the step; none of these values has more than one line."""
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as stream:
        stream.writelines(f"{name}={value}\n" for name, value in values.items())


def fail(message: str, code: int) -> int:
    """Say why there is nothing to report."""
    sys.stdout.write(f"::error title=spacerun::{data(message)}\n")
    output({"ok": "false", "exit-code": code})
    return code or 1


def data(message: str) -> str:
    """A message as the runner reads it ("Workflow commands for GitHub Actions")."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


if __name__ == "__main__":
    sys.exit({"plan": plan, "test": test}[sys.argv[1]]())
