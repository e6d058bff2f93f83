"""`--reuse-torch`: the PyTorch of a notebook image serves an environment, and is never touched."""

from __future__ import annotations

import io
import platform
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from spacerun.environment import torch_index
from spacerun.environment.build import build
from spacerun.environment.store import remove_environment
from spacerun.environment.torch_fit import fit_torch
from spacerun.environment.uv import find_uv
from spacerun.gpu.devices import Device, DeviceReport
from spacerun.progress import SilentProgress
from tests.environment.conftest import Index, plan_for, snapshot
from tests.environment.torch_server import stub_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command import Command

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="PyTorch's builds are chosen on x86_64 only"
)

VERSION, VISION, BUILD = ("2.9.1", "0.24.1", "cu128") if sys.version_info >= (3, 12) else ("2.0.1", "0.15.2", "cu118")
A10G = Device(0, "GPU-0", "NVIDIA A10G", 24 << 30, 24 << 30, 0, compute_capability="8.6")


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The site-packages of a conda environment with a CUDA torch in it."""
    prefix = tmp_path / "conda"
    site = prefix / f"lib/python3.{sys.version_info.minor}/site-packages"
    site.mkdir(parents=True)
    packages: dict[str, tuple[str, tuple[str, ...]]] = {
        "torch": (f"{VERSION}+{BUILD}", ("sympy", "nvidia-cublas-cu12", "opt-einsum ; extra == 'opt'")),
        "torchvision": (f"{VISION}+{BUILD}", (f"torch=={VERSION}",)),
        "nvidia_cublas_cu12": ("12.1", ()),
        "unrelated": ("1", ()),
    }
    for name, (version, requires) in packages.items():
        with zipfile.ZipFile(io.BytesIO(stub_wheel(name, version, requires))) as wheel:
            wheel.extractall(site)
    monkeypatch.setenv("CONDA_PREFIX", str(prefix))
    monkeypatch.setenv(torch_index.BASE_VARIABLE, "http://127.0.0.1:9/whl")
    return site


@pytest.fixture(autouse=True)
def _published(index: Index) -> None:
    index.wheel("torch", VERSION, requires=("sympy",))
    index.wheel("torchvision", VISION, requires=(f"torch=={VERSION}",))
    index.wheel("torch", "2.1.0" if VERSION == "2.0.1" else "2.10.0")
    index.wheel("sympy", "1.12")


def fitted(space: Path, text: str, *, reuse: bool = True) -> Any:
    return fit_torch(
        plan_for(space, text),
        (A10G,),
        DeviceReport((A10G,), "550.54.14", "12.4"),
        imports=frozenset(),
        progress=SilentProgress(),
        offline=False,
        reuse=reuse,
    )


def run(python: Path, code: str) -> str:
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_machines_torch_is_used_and_nothing_of_it_downloaded(index: Index, space: Path, notebook: Path) -> None:
    plan = fitted(space, f"torch=={VERSION}\ntorchvision\n")
    assert plan.torch.build == "reused"
    assert str(notebook) in plan.torch.why
    environment = build(plan, progress=SilentProgress(), offline=False)
    packages = dict(environment.packages)
    assert (packages["torch"], packages["torchvision"]) == (f"{VERSION}+{BUILD}", f"{VISION}+{BUILD}")
    assert packages["sympy"] == "1.12", "what torch requires beside its own kind is installed"
    assert "unrelated" not in packages
    code = "import torch, torchvision, sympy, importlib.metadata as m; print(m.version('torch'), torch.__file__)"
    version, file = run(environment.python, code).split()
    assert version == f"{VERSION}+{BUILD}"
    assert "/borrowed/torch/" in file
    assert run(environment.python, "import importlib.util as u; print(u.find_spec('unrelated'))") == "None"
    assert not [path for path in index.asked if path.startswith("/files/torch") and not path.endswith(".metadata")]


def test_the_machines_torch_is_never_changed(index: Index, space: Path, notebook: Path) -> None:
    before = snapshot(notebook)
    plan = fitted(space, f"torch=={VERSION}\n")
    environment = build(plan, progress=SilentProgress(), offline=False)
    # An app that installs another torch at run time.
    subprocess.run(
        [find_uv(), "pip", "install", "--python", environment.python, "--no-deps", f"torch>{VERSION}"],
        check=True,
        capture_output=True,
    )
    assert "/borrowed/" not in run(environment.python, "import torch; print(torch.__file__)")
    assert snapshot(notebook) == before
    remove_environment(plan.key)
    assert snapshot(notebook) == before


@pytest.mark.parametrize("case", ["another version", "off", "another CUDA", "without kernels for the card"])
def test_a_torch_that_does_not_satisfy_the_plan_is_left_alone(
    index: Index, space: Path, notebook: Path, case: str
) -> None:
    text = f"torch=={VERSION}\n"
    if case == "another version":
        text = "torch==2.1.0\n" if VERSION == "2.0.1" else "torch==2.10.0\n"
    if case in {"another CUDA", "without kernels for the card"}:
        info = notebook / f"torch-{VERSION}+{BUILD}.dist-info" / "METADATA"
        # Driver 550 does not run CUDA 13; there is no `cu999`.
        local = "cu130" if case == "another CUDA" else "cu999"
        info.write_text(info.read_text().replace(f"+{BUILD}", f"+{local}"))
    plan = fitted(space, text, reuse=case != "off")
    assert plan.borrowed is None
    assert plan.torch.build != "reused"


def test_plan_says_that_it_is_reused_and_reuse_torch_off_turns_it_off(
    index: Index, space: Path, notebook: Path, command: Command
) -> None:
    minor = sys.version_info.minor
    (space / "README.md").write_text(f"---\nsdk: gradio\nsdk_version: 4.44.0\npython_version: '3.{minor}'\n---\n")
    (space / "app.py").write_text("import gradio as gr, torch\ngr.Interface(str, 'text', 'text').launch()\n")
    (space / "requirements.txt").write_text(f"torch=={VERSION}\n")
    reused = command.run("plan", str(space), "--json")
    assert reused.code == 0, reused.err
    assert reused.document["data"]["torch"]["build"] == "reused"
    assert "torch" not in {item["name"] for item in reused.document["data"]["packages"]}
    off = command.run("plan", str(space), "--json", "--reuse-torch", "off")
    assert off.document["data"]["torch"]["build"] == "PyPI"
    assert "torch" in {item["name"] for item in off.document["data"]["packages"]}
