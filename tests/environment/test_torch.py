"""The right PyTorch for this card: chosen from the table, taken from a local index, and really installed."""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING, Any

import pytest

from spacerun.environment import torch_index
from spacerun.environment.build import build
from spacerun.environment.requirements import parse_line
from spacerun.environment.torch import Asked, Card, TorchChoice, asked_of, choose_torch
from spacerun.environment.torch_fit import fit_torch
from spacerun.environment.torch_table import BUILDS, RELEASES
from spacerun.gpu.devices import Device, DeviceReport
from spacerun.progress import SilentProgress
from tests.environment.conftest import Index, plan_for
from tests.environment.torch_server import TorchServer
from tests.fake_nvml import Gpu
from tests.fake_nvml import environment as nvml_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.command import Command

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="PyTorch's builds are chosen on x86_64 only"
)

OURS = sys.version_info.minor
T4 = Card("Tesla T4", ((7, 5),), (550, 54, 14), (12, 4))
A10G = Card("NVIDIA A10G", ((8, 6),), (550, 54, 14), (12, 4))
H100 = Card("NVIDIA H100", ((9, 0),), (550, 54, 14), (12, 4))
B200 = Card("NVIDIA B200", ((10, 0),), (570, 86, 15), (12, 8))
RTX_5090 = Card("NVIDIA GeForce RTX 5090", ((12, 0),), (580, 65, 6), (13, 0))
P100 = Card("Tesla P100", ((6, 0),), (580, 65, 6), (13, 0))
OLD_DRIVER = Card("NVIDIA A10G", ((8, 6),), (470, 57, 2), (11, 4))


@pytest.fixture(scope="module")
def shared_server() -> Iterator[TorchServer]:
    server = TorchServer()
    yield server
    server.close()


@pytest.fixture
def server(shared_server: TorchServer, monkeypatch: pytest.MonkeyPatch) -> TorchServer:
    monkeypatch.setenv(torch_index.BASE_VARIABLE, shared_server.base)
    shared_server.asked.clear()
    return shared_server


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(torch_index.BASE_VARIABLE, "http://127.0.0.1:9/whl")


def choose(version: str, card: Card | None, own: str | None = None, **changes: Any) -> TorchChoice:
    asked = Asked(version, own, (f"--extra-index-url {torch_index.base()}/{own}",) if own else ())
    chosen: dict[str, Any] = {"minor": 10, "as_of": None, "offline": False}
    return choose_torch(asked, version, card, **(chosen | changes))


@pytest.mark.parametrize(
    ("card", "asked", "own", "version", "build"),
    [
        # PyPI's wheel is made for the card: nothing is changed.
        (A10G, "2.0.1", None, "2.0.1", "PyPI"),
        (H100, "2.1.0", None, "2.1.0", "PyPI"),
        (T4, "1.12.1", None, "1.12.1", "PyPI"),
        # Another build of the same version.
        (H100, "2.0.1", None, "2.0.1", "cu118"),
        (A10G, "1.12.1", None, "1.12.1", "cu116"),
        (B200, "2.7.0", None, "2.7.0", "cu128"),
        (P100, "2.9.1", None, "2.9.1", "cu126"),
        # The driver is older than the build needs: CUDA 11 instead of 12.
        (OLD_DRIVER, "2.1.0", None, "2.1.0", "cu118"),
        # Raised as little as needed.
        (H100, "1.13.1", None, "2.0.0", "cu118"),
        (B200, "2.0.1", None, "2.7.0", "cu128"),
        (RTX_5090, "2.6.0", None, "2.7.0", "cu128"),
        (A10G, "1.10.2", None, "1.11.0", "cu113"),
        # What the Space itself asks for is kept where it runs, and only there.
        (A10G, "1.13.1", "cu116", "1.13.1", "cu116"),
        (H100, "1.13.1", "cu116", "2.0.0", "cu118"),
        (H100, "2.1.0", "cu121", "2.1.0", "cu121"),
        (B200, "2.7.1", "cu126", "2.7.1", "cu128"),
        # Without a GPU, the build that saves gigabytes.
        (None, "2.0.1", None, "2.0.1", "cpu"),
        (None, "1.13.1", "cu117", "1.13.1", "cpu"),
    ],
)
def test_the_build_suits_card_and_driver(
    server: TorchServer, card: Card | None, asked: str, own: str | None, version: str, build: str
) -> None:
    choice = choose(asked, card, own)
    assert (choice.version, choice.build) == (version, build)
    assert choice.raised_from == (asked if version != asked else None)
    assert bool(choice.warning) == (version != asked)
    if build == "PyPI":
        assert choice.overrides == ()
        assert server.asked == []
    else:
        torch = choice.overrides[0]
        assert torch.startswith(f"torch @ {server.base}/{build}/torch/torch-{version}%2B{build}-cp310-cp310-")
        assert "#sha256=" in torch
        release = next(release for release in RELEASES if release.version == version)
        assert f"torchvision-{release.vision}%2B{build}-" in choice.overrides[1]


def test_a_raise_says_what_and_why(server: TorchServer) -> None:
    choice = choose("1.13.1", H100, as_of="2023-02-01T00:00:00Z")
    assert choice.warning == (
        "torch 1.13.1 does not run on the NVIDIA H100 (compute capability 9.0) (CUDA 11.7 builds have no kernels for "
        "compute capability 9.0): torch 2.0.0 (cu118) is installed, the first that does."
    )
    assert dict(choice.exempt)["nvidia-cublas-cu11"] == dict(choice.exempt)["torch"] == "2023-03-22"
    assert choose("1.13.1", H100, as_of="2024-02-01T00:00:00Z").exempt == ()


def test_where_the_index_does_not_answer_pypis_wheel_is_taken_and_that_is_said(silent: None) -> None:
    cpu = choose("2.0.1", None)
    assert (cpu.build, cpu.overrides) == ("PyPI", ())
    assert "does not answer: torch 2.0.1 comes with CUDA from PyPI" in str(cpu.warning)
    own = choose("1.13.1", A10G, "cu116")
    assert (own.build, own.overrides[0], own.dropped) == (
        "PyPI",
        "torch==1.13.1",
        (f"--extra-index-url {torch_index.base()}/cu116",),
    )
    assert "does not answer" in str(own.warning)
    raised = choose("1.13.1", H100)
    assert (raised.version, raised.build, raised.overrides) == (
        "2.1.0", "PyPI", ("torch==2.1.0", "torchvision==0.16.0", "torchaudio==2.1.0"),
    )  # fmt: skip
    assert "the first that does on PyPI: PyTorch's index" in str(raised.warning)


def test_an_environment_made_while_the_index_was_silent_is_kept(
    index: Index, server: TorchServer, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_torch(index)
    monkeypatch.setenv(torch_index.BASE_VARIABLE, server.base)
    with monkeypatch.context() as away:
        away.setattr(torch_index, "_listing", lambda _: None)
        first, _ = fit(space, "brings-torch\n", ())
        build(first, progress=SilentProgress(), offline=False)
    monkeypatch.setattr("spacerun.environment.torch_fit._RETRY_SECONDS", 0)
    monkeypatch.setattr(torch_index, "_RETRY_SECONDS", 0)
    again, _ = fit(space, "brings-torch\n", ())
    assert again.key == first.key
    assert server.asked == []


def test_a_silent_index_is_asked_once_in_ten_minutes(server: TorchServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(torch_index.BASE_VARIABLE, "http://127.0.0.1:9/whl")
    assert torch_index.wheels("cpu", "torch", offline=False) is None
    calls: list[str] = []
    monkeypatch.setattr(torch_index, "_listing", calls.append)
    assert torch_index.wheels("cu118", "torch", offline=False) is None
    assert calls == []


def test_what_the_index_said_is_known_offline(server: TorchServer) -> None:
    first = choose("2.0.1", None)
    server.asked.clear()
    assert choose("2.0.1", None, offline=True) == first
    assert server.asked == []


def test_a_card_for_which_nothing_is_built_is_told(server: TorchServer) -> None:
    ancient = Card("Tesla K10", ((3, 0),), (470, 57, 2), (11, 4))
    choice = choose("2.0.1", ancient)
    assert (choice.build, choice.overrides) == ("PyPI", ())
    assert "No PyTorch from 2.0.1 on is known to run on the Tesla K10" in str(choice.warning)


def test_an_unknown_release_is_left_as_it_is(server: TorchServer) -> None:
    assert choose("99.0", H100).overrides == ()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("torch==2.0.1",), ("2.0.1", None, True)),
        (("torch == 1.13.1+cu117 ; sys_platform == 'linux'",), ("1.13.1", "cu117", True)),
        (("torch==1.13.1 --hash=sha256:0",), ("1.13.1", None, True)),
        (("--extra-index-url https://download.pytorch.org/whl/cu116", "torchvision"), (None, "cu116", True)),
        (("-f https://download.pytorch.org/whl/torch_stable.html", "torch>=1.8"), (None, None, True)),
        (
            ("https://download.pytorch.org/whl/cu118/torch-2.0.1%2Bcu118-cp310-cp310-linux_x86_64.whl",),
            ("2.0.1", "cu118", True),
        ),
        (("--extra-index-url https://other.example/whl/cu116", "torchmetrics==1.0"), (None, None, False)),
    ],
)
def test_what_requirements_say_of_torch(space: Path, lines: tuple[str, ...], expected: tuple[Any, ...]) -> None:
    asked = asked_of(parse_line(space, line) for line in lines)
    assert (asked.version, asked.build, asked.named) == expected
    assert all("download.pytorch.org" in line for line in asked.indexes)


def test_the_table_is_sound() -> None:
    numbers = [release.number for release in RELEASES]
    assert numbers == sorted(numbers)
    assert [release.day for release in RELEASES] == sorted(release.day for release in RELEASES)
    for release in RELEASES:
        assert release.pypi in release.builds
        assert set(release.builds) <= BUILDS.keys()
        # The cornerstones.
        hopper = [name for name in release.builds if BUILDS[name].most >= 9]
        assert bool(hopper) == (release.number >= (2, 0))
        blackwell = [name for name in release.builds if BUILDS[name].most >= 10]
        assert bool(blackwell) == (release.number >= (2, 7))


def gpu(capability: str) -> Device:
    return Device(0, "GPU-0", "NVIDIA H100", 80 << 30, 80 << 30, 0, compute_capability=capability)


def fit(space: Path, text: str, gpus: tuple[Device, ...], **changes: Any) -> tuple[Any, list[str]]:
    progress = SilentProgress()
    plan = fit_torch(
        plan_for(space, text, **changes),
        gpus,
        DeviceReport(gpus, "550.54.14", "12.4"),
        imports=frozenset(),
        progress=progress,
        offline=False,
    )
    return plan, progress.warnings


def installed(space: Path, text: str, *gpus: Device) -> dict[str, str]:
    plan, _ = fit(space, text, gpus)
    return dict(build(plan, progress=SilentProgress(), offline=False).packages)


def add_torch(index: Index) -> None:
    for version, vision in (("2.0.1", "0.15.2"), ("2.1.0", "0.16.0")):
        index.wheel("torch", version, day="2023-06-01")
        index.wheel("torchvision", vision, requires=(f"torch=={version}",), day="2023-06-01")
    index.wheel("brings-torch", "1", requires=("torch==2.0.1",), day="2023-06-01")


@pytest.mark.skipif(OURS > 11, reason="torch 2.0.1 is for Python 3.8 to 3.11")
def test_the_cpu_build_is_really_installed_with_its_family(index: Index, server: TorchServer, space: Path) -> None:
    add_torch(index)
    packages = installed(space, "torch==2.0.1\ntorchvision\n")
    assert (packages["torch"], packages["torchvision"]) == ("2.0.1+cpu", "0.15.2+cpu")


@pytest.mark.skipif(OURS > 11, reason="torch 2.0.1 is for Python 3.8 to 3.11")
def test_torch_that_another_package_brings_is_fitted_too(index: Index, server: TorchServer, space: Path) -> None:
    add_torch(index)
    packages = installed(space, "brings-torch\n", gpu("9.0"))
    assert packages["torch"] == "2.0.1+cu118", "PyPI's 2.0.1 is built for CUDA 11.7, which does not know Hopper"
    assert "torchvision" not in packages


@pytest.mark.skipif(OURS > 11, reason="torch 2.0.1 is for Python 3.8 to 3.11")
def test_the_spaces_own_build_gives_way_with_its_index(index: Index, server: TorchServer, space: Path) -> None:
    add_torch(index)
    text = f"--extra-index-url {server.base}/cu117\ntorch==2.0.1+cu117\ntorchvision==0.15.2+cu117\n"
    packages = installed(space, text, gpu("9.0"))
    assert (packages["torch"], packages["torchvision"]) == ("2.0.1+cu118", "0.15.2+cu118")


def test_the_spaces_build_and_index_fall_to_pypi_where_it_does_not_answer(
    index: Index, silent: None, space: Path
) -> None:
    add_torch(index)
    plan, warnings = fit(space, f"--extra-index-url {torch_index.base()}/cu117\ntorch==2.0.1+cu117\n", ())
    assert "does not answer" in warnings[0]
    assert dict(build(plan, progress=SilentProgress(), offline=False).packages)["torch"] == "2.0.1"


def test_a_plan_without_torch_asks_nobody(index: Index, server: TorchServer, space: Path) -> None:
    plan = plan_for(space, "requests\nnumpy\n")
    fitted, _ = fit(space, "requests\nnumpy\n", ())
    assert fitted == plan
    assert (server.asked, index.asked) == ([], [])


def test_uvs_own_setting_wins(server: TorchServer, space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_TORCH_BACKEND", "cu126")
    fitted, _ = fit(space, "torch==2.0.1\n", ())
    assert fitted.torch is None
    assert server.asked == []


@pytest.mark.skipif(OURS > 11, reason="torch 2.0.1 is for Python 3.8 to 3.11")
def test_the_decision_is_remembered_and_the_key_follows_the_card(
    index: Index, server: TorchServer, space: Path
) -> None:
    add_torch(index)
    without, _ = fit(space, "brings-torch\n", ())
    hopper, _ = fit(space, "brings-torch\n", (gpu("9.0"),))
    ampere, _ = fit(space, "brings-torch\n", (gpu("8.6"),))
    assert len({without.key, hopper.key, ampere.key}) == 3
    assert ampere.key == plan_for(space, "brings-torch\n").key, "nothing is changed where PyPI's wheel runs"
    index.asked.clear()
    server.asked.clear()
    again, _ = fit(space, "brings-torch\n", (gpu("9.0"),))
    assert again == hopper
    assert (index.asked, server.asked) == ([], [])


def test_plan_shows_the_raise_for_the_card_that_nvml_reports(
    index: Index, server: TorchServer, space: Path, command: Command, nvml_folder: Path
) -> None:
    add_torch(index)
    for version in ("1.13.1", "2.2.0", "2.5.0"):
        index.wheel("torch", version, day="2023-01-01")
    (space / "README.md").write_text(f"---\nsdk: gradio\nsdk_version: 4.44.0\npython_version: '3.{OURS}'\n---\n")
    (space / "app.py").write_text("import gradio as gr, torch\ngr.Interface(str, 'text', 'text').launch()\n")
    (space / "requirements.txt").write_text("torch==1.13.1\n")
    machine = nvml_environment(nvml_folder, [Gpu("NVIDIA H100 80GB HBM3", 81559, compute_capability="9.0")])
    done = command.run("plan", str(space), "--json", **machine)
    assert done.code == 0, done.err
    chosen = done.document["data"]["torch"]
    expected = ("2.0.0", "cu118") if OURS <= 11 else (("2.2.0", "PyPI") if OURS == 12 else ("2.5.0", "PyPI"))
    assert (chosen["version"], chosen["build"], chosen["raised_from"]) == (*expected, "1.13.1")
    assert any("torch 1.13.1 does not run on the NVIDIA H100" in warning for warning in done.document["warnings"])
    alone = command.run("plan", str(space), "--json", "--gpu", "none", **machine)
    if OURS <= 11:
        assert alone.document["data"]["torch"]["build"] == "cpu"


def test_the_environment_of_this_test_holds_no_setting_of_uv() -> None:
    assert not [name for name in os.environ if name.startswith("UV_TORCH")]
