"""The environment of an app: close to Hugging Face's, without its traps and without the user's secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spacerun.app import machine
from spacerun.app.machine import LIKE_HUB, hub_variables, machine_variables
from spacerun.app.variables import app_environment, given_names, own_variables, seen_by_app
from spacerun.environment.store import Environment
from spacerun.memory import host

VENV = Path(sys.prefix)


def own(tmp_path, **changes):
    asked = {
        "environment": Environment(tmp_path, VENV / "bin" / "python", "3.11.7", "key", False, ()),
        "hook": tmp_path / "hook",
        "hf_home": tmp_path / "space-hf-home",
        "host": "127.0.0.1",
        "port": 7861,
        "cuda_visible_devices": None,
        "hub": machine_variables(()),
    }
    return own_variables(**{**asked, **changes})


def environment(tmp_path, *, token=None, given=(), **changes):
    return app_environment(own(tmp_path, **changes), token=token, given=dict(given))


def inside(variables, code, directory=None):
    """What Python prints in such an environment, started as the app is."""
    done = subprocess.run(
        [variables["VIRTUAL_ENV"] + "/bin/python", "-c", code],
        env=variables,
        cwd=directory,
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.strip()


def test_it_is_never_told_that_it_runs_on_hugging_face(tmp_path, monkeypatch):
    for name in ("SPACE_ID", "SYSTEM", "SPACES_ZERO_GPU", "SPACE_HOST", "SPACE_AUTHOR_NAME", "SPACE_TITLE"):
        monkeypatch.setenv(name, "spaces")
    variables = environment(tmp_path)
    assert not [name for name in variables if name.startswith(("SPACE", "SYSTEM"))]


def test_like_hub_tells_it_all(tmp_path):
    variables = environment(tmp_path, hub=machine_variables(()) | hub_variables("Tloen/alpaca_LoRA", "Alpaca 🦙"))
    assert {name: variables[name] for name in LIKE_HUB} == {
        "SPACE_ID": "Tloen/alpaca_LoRA",
        "SPACE_AUTHOR_NAME": "Tloen",
        "SPACE_REPO_NAME": "alpaca_LoRA",
        "SPACE_TITLE": "Alpaca 🦙",
        "SPACE_HOST": "tloen-alpaca-lora.hf.space",
        "SYSTEM": "spaces",
    }
    folder = hub_variables("/home/me/My Space", "")
    assert (folder["SPACE_ID"], folder["SPACE_TITLE"]) == ("local/My Space", "My Space")
    assert folder["SPACE_HOST"] == "local-my-space.hf.space"


@pytest.mark.parametrize(
    ("gpus", "name"),
    [
        ([], "none"),
        (["Tesla T4"], "t4-medium"),
        (["NVIDIA L4"], "l4x1"),
        (["NVIDIA L4"] * 4, "l4x4"),
        (["NVIDIA L40S"], "l40sx1"),
        (["NVIDIA A10G"], "a10g-large"),
        (["NVIDIA A10G"] * 2, "a10g-largex2"),
        (["NVIDIA A100-SXM4-80GB"], "a100-large"),
        (["NVIDIA H100 80GB HBM3"] * 8, "h100x8"),
        (["NVIDIA A100-SXM4-80GB MIG 1g.10gb"], "a100-sxm4-80gb-mig-1g-10gb"),
        (["NVIDIA GeForce RTX 4090"], "rtx-4090"),
        (["NVIDIA GeForce RTX 4090"] * 2, "rtx-4090x2"),
        (["NVIDIA A10G", "Tesla T4"], "a10gx2"),
        (["\x1b[31m"], "31m"),
    ],
)
def test_the_accelerator_has_hugging_faces_name_or_its_own(gpus, name):
    assert machine_variables(gpus)["ACCELERATOR"] == name


def test_the_cores_and_the_memory_are_those_of_this_container(tmp_path, monkeypatch):
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    everything = len(os.sched_getaffinity(0))
    assert machine._cores(tmp_path) == everything
    (group / "cpu.max").write_text("max 100000\n")
    assert machine._cores(tmp_path) == everything
    (group / "cpu.max").write_text("50000 100000\n")
    assert machine._cores(tmp_path) == 1
    (group / "cpu.max").unlink()
    (group / "cpu").mkdir()
    (group / "cpu/cpu.cfs_period_us").write_text("100000\n")
    for quota, cores in (("-1", everything), ("110000", min(2, everything)), ("10", 1)):
        (group / "cpu/cpu.cfs_quota_us").write_text(quota)
        assert machine._cores(tmp_path) == cores
    (group / "memory.max").write_text(f"{3 * 2**30 + 5}\n")
    assert host.total_bytes(tmp_path) == 3 * 2**30 + 5
    monkeypatch.setattr(machine, "total_bytes", lambda: host.total_bytes(tmp_path))
    assert machine_variables(())["MEMORY"] == "3Gi"
    (group / "memory.max").write_text("max\n")
    assert host.total_bytes(tmp_path) > 0


def test_the_environments_programs_come_first_and_nothing_is_inherited_that_changes_python(tmp_path, monkeypatch):
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONOPTIMIZE", "LD_PRELOAD", "DISPLAY"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PYTHONPATH", "/mine")
    variables = environment(tmp_path)
    assert variables["PATH"].split(os.pathsep)[0] == f"{VENV}/bin"
    assert variables["PYTHONPATH"] == str(tmp_path / "hook")
    assert not {"PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONSTARTUP", "LD_PRELOAD"} & variables.keys()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "helper.py").write_text("x = 1")
    assert inside(variables, "import shutil; print(shutil.which('python'))") == f"{VENV}/bin/python"
    inside(variables, "import helper", tmp_path / "tree")
    assert [file.name for file in (tmp_path / "tree").iterdir()] == ["helper.py"]
    assert list((tmp_path / "pycache").rglob("helper*.pyc"))


def test_no_browser_opens(tmp_path, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("BROWSER", "/mine/browser %s")
    code = "import webbrowser; print(webbrowser.get().name, webbrowser.open('http://x'))"
    assert inside(environment(tmp_path), code) == "true True"


def test_downloads_are_shared_and_the_login_is_not(tmp_path, monkeypatch):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "token").write_text("hf_secret1234567890")
    monkeypatch.setenv("HF_HOME", str(mine))
    monkeypatch.setenv("HF_TOKEN_PATH", str(mine / "token"))
    variables = environment(tmp_path)
    code = "from huggingface_hub import constants as c, get_token; print(c.HF_HUB_CACHE, c.HF_XET_CACHE, get_token())"
    assert inside(variables, code) == f"{mine}/hub {mine}/xet None"
    assert variables["HF_DATASETS_CACHE"] == f"{mine}/datasets"
    with_token = environment(tmp_path, token="hf_secret1234567890")
    assert inside(with_token, code).endswith(" hf_secret1234567890")


def test_what_the_user_gives_wins_and_only_its_names_are_kept(tmp_path):
    given = {"BROWSER": "mine", "KEY": "s3cr3t"}
    variables = environment(tmp_path, token="hf_x", given=given)
    assert (variables["BROWSER"], variables["KEY"], variables["HF_TOKEN"]) == ("mine", "s3cr3t", "hf_x")
    assert given_names("hf_x", given) == ("BROWSER", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "KEY")
    assert "s3cr3t" not in json.dumps(own(tmp_path))


def test_the_code_is_read_for_what_it_will_see(tmp_path):
    seen = seen_by_app({}, None)
    assert {"ACCELERATOR", "CPU_CORES", "MEMORY"} <= seen.keys()
    assert not LIKE_HUB.keys() & seen.keys()
    assert LIKE_HUB.keys() <= seen_by_app({}, None, like_hub=True).keys()
    assert set(own(tmp_path)) - seen.keys() <= {
        "PYTHONPYCACHEPREFIX", "PYTHONUNBUFFERED", "HF_DATASETS_CACHE", "HF_XET_CACHE"
    }  # fmt: skip
