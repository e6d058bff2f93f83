"""What every test may use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests import fake_nvml
from tests.command import Command
from tests.hub import Hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow; run them with --slow -m slow"))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the git, Hugging Face or spacerun settings of whoever runs it."""
    for name in list(os.environ):
        if name.startswith(("GIT_", "HF_", "HUGGING", "SPACERUN_")):
            monkeypatch.delenv(name)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """An empty Hub of its own for each test."""
    with Hub(tmp_path / "hub") as running:
        yield running


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose environments are shared by the tests of one worker: each takes seconds to make."""
    return tmp_path_factory.mktemp("shared") / "home"


@pytest.fixture
def command(shared_home: Path) -> Iterator[Command]:
    """The console script; apps that a test left running are stopped."""
    script = Command(shared_home)
    yield script
    script.run("stop", "--all")


@pytest.fixture
def hub_command(command: Command, hub: Hub) -> Command:
    """The console script on the loopback Hub."""
    command.variables["HF_ENDPOINT"] = hub.endpoint
    return command


@pytest.fixture(scope="session")
def nvml_folder() -> Path:
    """Folder of the fake NVML library, compiled once."""
    return fake_nvml.shared_folder()
