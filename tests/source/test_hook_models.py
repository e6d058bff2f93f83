"""A model is replaced by the start-up hook where its name cannot be edited."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from spacerun.environment.python import find_installed
from spacerun.environment.uv import find_uv
from spacerun.source.hook_files import FetchedModel, HookSettings, install_hook
from tests.source.pythons import OTHER_PYTHONS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub import Hub

OLD, NEW = "lost/model", "found/model"
SETTINGS = HookSettings(share=None, host=None, models={OLD: FetchedModel(NEW)})
# Each way in which an app, or a library for it, asks the Hub for a model; `OLD` is nowhere to be had.
DOWNLOADS = """
import huggingface_hub, sys
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
old = sys.argv[1]
print(open(hf_hub_download(old, "config.json")).read())
print(open(hf_hub_download(repo_id=old, filename="config.json")).read())
print(open(snapshot_download(old) + "/config.json").read())
print(HfApi().model_info(old).id if hasattr(HfApi().model_info(old), "id") else HfApi().model_info(old).modelId)
print(huggingface_hub.model_info(old).sha == HfApi().model_info(repo_id=old).sha)
print(sorted(HfApi().list_repo_files(old)))
"""


def run(python: Path | str, code: str, hook: Path, hub: Hub, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPACERUN_", "PYTHON"))}
    variables = {"PYTHONPATH": str(hook), "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(hub.root / "home")}
    command = [python, "-c", code, *arguments]
    return subprocess.run(command, env=kept | variables, capture_output=True, text=True, timeout=60, check=False)


def assert_replaced(python: Path | str, hub: Hub, tmp_path: Path) -> None:
    hub.publish(NEW, {"config.json": b'{"a": 1}'}, kind="model")
    done = run(python, DOWNLOADS, install_hook(tmp_path / "hook", SETTINGS), hub, OLD)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ['{"a": 1}'] * 3 + [NEW, "True", "['.gitattributes', 'config.json']"]
    assert not [exchange for exchange in hub.requests if OLD in exchange.path]


def test_every_way_to_fetch_a_model_gets_its_replacement(hub: Hub, tmp_path: Path) -> None:
    assert_replaced(sys.executable, hub, tmp_path)


@pytest.mark.environment
@pytest.mark.parametrize("release", ["0.13.4", "0.25.2", "0.36.0", "1.0.0"])
def test_replacement_reaches_the_client_of_every_era(hub: Hub, tmp_path: Path, release: str) -> None:
    venv = tmp_path / "venv"
    subprocess.run([find_uv(), "venv", "--quiet", "--python", _python(), venv], check=True)
    install = [find_uv(), "pip", "install", "--quiet", "--python", venv]
    subprocess.run([*install, f"huggingface_hub=={release}"], check=True)
    assert_replaced(venv / "bin" / "python", hub, tmp_path)


def test_a_pinned_revision_is_fetched_where_the_code_asks_for_none(hub: Hub, tmp_path: Path) -> None:
    first = hub.publish(NEW, {"config.json": b'{"a": 1}'}, kind="model")
    second = hub.publish(NEW, {"config.json": b'{"a": 2}'}, kind="model")
    pinned = HookSettings(share=None, host=None, models={NEW: FetchedModel(NEW, first)})
    code = (
        "import sys; from huggingface_hub import HfApi, hf_hub_download as get, snapshot_download as whole\n"
        "_, name, second = sys.argv\n"
        "print(open(get(name, 'config.json')).read(), open(get(name, 'config.json', revision='main')).read())\n"
        "print(open(whole(name) + '/config.json').read(), HfApi().model_info(name).sha)\n"
        "print(open(get(name, 'config.json', revision=second)).read())\n"
    )
    done = run(sys.executable, code, install_hook(tmp_path / "hook", pinned), hub, NEW, second)
    assert done.stdout.splitlines() == ['{"a": 1} {"a": 1}', f'{{"a": 1}} {first}', '{"a": 2}'], done.stderr


def test_other_models_and_other_kinds_of_repositories_are_left_alone(hub: Hub, tmp_path: Path) -> None:
    hub.publish("other/model", {"config.json": b"{}"}, kind="model")
    hub.publish(OLD, {"config.json": b"data"}, kind="dataset")
    code = (
        "import sys; from huggingface_hub import hf_hub_download as get\n"
        "print(open(get('other/model', 'config.json')).read())\n"
        "print(open(get(sys.argv[1], 'config.json', repo_type='dataset')).read())\n"
    )
    done = run(sys.executable, code, install_hook(tmp_path / "hook", SETTINGS), hub, OLD)
    assert done.stdout.splitlines() == ["{}", "data"], done.stderr


def test_without_replacements_no_trace_of_them_is_in_the_hook(tmp_path: Path) -> None:
    install_hook(tmp_path / "hook", SETTINGS)
    hook = install_hook(tmp_path / "hook", HookSettings(share=None, host=None))
    assert sorted(path.name for path in hook.iterdir()) == ["launch.json", "sitecustomize.py"]


@pytest.mark.parametrize("python", OTHER_PYTHONS, ids=str)
def test_hook_for_models_is_read_by_every_python(python: Path, tmp_path: Path) -> None:
    hook = install_hook(tmp_path / "hook", SETTINGS)
    code = "import spacerun_models, sys; print(len(spacerun_models.FETCHING), sys.version_info[0])"
    variables = {"PYTHONPATH": str(hook), "PATH": os.environ["PATH"]}
    done = subprocess.run([python, "-c", code], env=variables, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["6", "3"], "")


def _python() -> str:
    """A Python that every client runs on."""
    found = find_installed("3.10") or find_installed("3.11")
    return str(found.path) if found else "3.10"
