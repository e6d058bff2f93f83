"""`tloen/alpaca-lora` as it was in March 2023: the packages of its day, two git requirements of that week, one token.

The Space in `tests/spaces/alpaca-lora` has the shape of the original: nothing is pinned but the SDK, transformers and
peft come from their main branches (LLaMA was merged four days before the Space's last commit and released four weeks
after it), and the base model has since gone from the Hub. The two repositories are made from what was released, with a
history of their own, and git is led to them by the user's `insteadOf`. Weights are tiny and random.

This installs PyTorch 2.0: two gigabytes to download the first time, five on the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import urllib.request
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spacerun.environment.python import find_installed
from spacerun.environment.uv import find_uv, uv_cache
from tests.command import get
from tests.hub.repository import create, git

if TYPE_CHECKING:
    from tests.command import Command
    from tests.hub import Hub

pytestmark = [pytest.mark.environment, pytest.mark.slow]

HERE = Path(__file__).parent
LAST_COMMIT = datetime(2023, 3, 20, 12, tzinfo=timezone.utc)
AS_OF = "2023-03-22T00:00:00Z"
BASE = "decapoda-research/llama-7b-hf"
REPLACEMENT = "huggyllama/llama-7b"
ADAPTER = "tloen/alpaca-lora-7b"
RELEASES = {"transformers": "4.28.0", "peft": "0.2.0"}
INSTRUCTION = "Tell me about alpacas."
PROMPT = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n"
    f"### Instruction:\n{INSTRUCTION}\n\n### Response:"
)
_INSTALL_SECONDS = 1500


@dataclass(frozen=True)
class History:
    """Commits of a repository's main branch: one works, the others break whoever installs them.

    Attributes:
        sound: The newest of the Space's day.
        merged_later: Of a branch: nearer to the Space's day, on main only seven weeks after it.
        newest: The one that a requirement without a revision means today.
    """

    sound: str
    merged_later: str
    newest: str


@pytest.mark.timeout(_INSTALL_SECONDS + 600)
def test_alpaca_lora_generates_in_the_packages_of_its_day_once_its_lost_base_model_is_replaced(
    hub: Hub, hub_command: Command, tmp_path: Path
) -> None:
    histories = serve_repositories(tmp_path / "github")
    hub_command.variables |= user(tmp_path / "user", tmp_path / "github")
    hub.publish("tloen/alpaca-lora", HERE / "spaces" / "alpaca-lora", date=LAST_COMMIT)

    launch = ("tloen/alpaca-lora", "--no-share", "--gpu", "none")
    planned = hub_command.run("plan", "tloen/alpaca-lora", "--json").document["data"]
    assert planned["as_of"] == AS_OF
    decisions = "\n".join(planned["decisions"])
    assert all(f"{name}.git is taken at {history.sound[:12]}" in decisions for name, history in histories.items())

    # As published, it asks for a base model that nobody can have: told before anything is installed.
    refused = hub_command.run("launch", *launch, "--json")
    assert (refused.code, refused.error["stage"]) == (3, "source")
    assert f"{BASE} (app.py:25) is missing or private" in refused.error["message"]
    assert "environment" not in refused.document["data"]
    # No choice of packages mends that.
    failed = hub_command.run("launch", *launch, "--force", "--json", timeout=_INSTALL_SECONDS)
    assert failed.error["name"] == "app_crashed", failed.err
    known = failed.document["data"]
    assert [finding["id"] for finding in known["diagnosis"]] == ["model-missing"], failed.err
    assert [attempt["rung"] for attempt in known["attempts"]] == ["as-of"]
    assert f"OSError: {BASE} is not a local folder" in Path(known["log"]).read_text()

    python = next(Path(known["environment"]).glob("venv-*/bin/python"))
    foretold = make_models(python, tmp_path / "models")
    hub.publish(REPLACEMENT, tmp_path / "models" / "base", kind="model")
    hub.publish(ADAPTER, tmp_path / "models" / "adapter", kind="model")

    # The plan says by itself what stands in for it.
    plan = hub_command.run("plan", "tloen/alpaca-lora", "--json").document["data"]
    assert plan["suggestions"] == {BASE: [REPLACEMENT]}
    assert [(row["id"], row["role"], row["access"]) for row in plan["models"]] == [
        (BASE, "weights", "missing_or_private"),
        (ADAPTER, "adapter", "public"),
    ]
    with hub_command.launch(*launch, "--replace-model", f"{BASE}={REPLACEMENT}") as launched:
        data = launched.data
        assert REPLACEMENT in (Path(data["directory"]) / "app.py").read_text(encoding="utf-8")
        assert [(row["id"], row["replaces"]) for row in data["models"]] == [(REPLACEMENT, BASE), (ADAPTER, None)]
        assert (data["rung"], data["as_of"], len(data["attempts"])) == ("as-of", AS_OF, 1)
        assert (data["environment"], data["python"][:5]) == (known["environment"], "3.10.")
        versions = {package["name"]: package["version"].partition("+")[0] for package in data["packages"]}
        assert versions.items() >= {"gradio": "3.20.1", "torch": "2.0.0", **RELEASES}.items()
        assert {name: installed_commit(python, name) for name in RELEASES} == {
            name: history.sound for name, history in histories.items()
        }
        assert get(data["url"])[0] == 200
        assert generate(data["url"], tokens=1) == foretold["adapted"] != foretold["without"]
    # Five gigabytes, which pytest would keep for three runs.
    shutil.rmtree(data["environment"])


def serve_repositories(folder: Path) -> dict[str, History]:
    """Bare repositories of transformers and peft, made from their releases."""
    sources = folder.with_name("sdists")
    requirements = [f"{name}=={version}" for name, version in RELEASES.items()]
    # pip runs their setup.py, which is made for the Python of their day, and keeps in its cache what it downloads.
    python = find_installed("3.10")
    pip = [find_uv(), "tool", "run", "--python", str(python.path) if python else "3.10", "pip"]
    options = ["--quiet", "--no-binary", ":all:", "--no-deps", "--dest", str(sources)]
    subprocess.run([*pip, "download", *options, *requirements], check=True)
    return {
        name: make_history(folder / f"{name}.git", read_sdist(sources / f"{name}-{version}.tar.gz"), name)
        for name, version in RELEASES.items()
    }


def read_sdist(path: Path) -> dict[str, bytes]:
    """The files of a source distribution, by path below its folder."""
    with tarfile.open(path) as archive:
        members = [member for member in archive if member.isfile()]
        return {member.name.partition("/")[2]: archive.extractfile(member).read() for member in members}


def make_history(repository: Path, files: dict[str, bytes], package: str) -> History:
    """Commits of 2023 in a new bare repository. The same files give the same commits."""
    create(repository)
    entry = f"src/{package}/__init__.py"

    def commit(mark: int, day: str, *parents: int, broken: str = "", tree: dict[str, bytes] | None = None) -> bytes:
        seconds = int(datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp())
        lines = [
            f"commit refs/heads/main\nmark :{mark}\ncommitter owner <owner@example.com> {seconds} +0000\n".encode()
        ]
        lines.append(data(day.encode()))
        lines += [f"{'merge' if at else 'from'} :{parent}\n".encode() for at, parent in enumerate(parents)]
        code = f"raise ImportError('{package}: {broken}')\n".encode() if broken else files[entry]
        changes = {**(tree or {}), entry: code}
        lines += [f"M 644 inline {path}\n".encode() + data(content) for path, content in changes.items()]
        return b"".join(lines)

    def data(content: bytes) -> bytes:
        return b"data %d\n" % len(content) + content + b"\n"

    stream = (
        commit(1, "2023-03-01", broken="a commit before LLaMA", tree=files)
        + commit(2, "2023-03-16", 1)
        + commit(3, "2023-03-19", 1, broken="a commit of a branch that was not merged yet")
        + commit(4, "2023-05-10", 2, 3, broken="a commit after the Space's day")
        + commit(5, "2023-07-01", 4, broken="the newest commit")
    )
    marks = b"".join(b"get-mark :%d\n" % mark for mark in (2, 3, 5))
    said = git(repository, "fast-import", "--quiet", "--force", "--done", stdin=stream + marks + b"done\n")
    return History(*said.decode().split())


def user(folder: Path, github: Path) -> dict[str, str]:
    """The variables of a user whose git finds Hugging Face's repositories in `github`."""
    folder.mkdir()
    (folder / ".gitconfig").write_text(f'[url "file://{github}/"]\n\tinsteadOf = https://github.com/huggingface/\n')
    pythons = subprocess.run([find_uv(), "python", "dir"], check=True, capture_output=True, text=True).stdout.strip()
    # What lies in the home of whoever runs this, and need not be downloaded again.
    return {
        "HOME": str(folder),
        "UV_CACHE_DIR": str(uv_cache()),
        "UV_PYTHON_INSTALL_DIR": pythons,
        "PYENV_ROOT": os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv"),
    }


def make_models(python: Path, folder: Path) -> dict[str, str]:
    """A tiny base model and an adapter in `folder`, and the token that they are to generate."""
    made = subprocess.run(
        [python, HERE / "tiny_llama.py", folder, PROMPT], check=True, capture_output=True, text=True, timeout=300
    )
    return json.loads(made.stdout.splitlines()[-1])


def installed_commit(python: Path, package: str) -> str:
    """The commit from which a package was installed (PEP 610)."""
    code = f"from importlib.metadata import distribution; print(distribution({package!r}).read_text('direct_url.json'))"
    said = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout
    return json.loads(said)["vcs_info"]["commit_id"]


def generate(url: str, *, tokens: int) -> Any:
    """What the Space's endpoint answers to the instruction, without sampling."""
    values = {"temperature": 0.1, "top_p": 0.75, "top_k": 40, "beams": 1, "tokens": tokens}
    body = json.dumps({"data": [INSTRUCTION, "", *values.values()]}).encode()
    request = urllib.request.Request(f"{url}/run/predict", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        assert answer.status == 200
        return json.load(answer)["data"][0]
