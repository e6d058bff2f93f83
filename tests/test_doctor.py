"""`spacerun doctor` on made-up machines: a PATH of fake tools, the loopback Hub, a fake NVML."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from spacerun import doctor, paths
from spacerun.containers import engine
from spacerun.doctor import machine, tools
from spacerun.errors import PrerequisiteError
from tests import fake_nvml
from tests.command import Command
from tests.hub import Html, Latency, Status

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command import Done
    from tests.hub import Hub

NAMES = ["git", "git-lfs", "uv", "python", "container", "gpu", "disk", "hub", "token", "leftovers"]
TOKEN = "hf_atokenthatnobodymaysee"

# A container engine of a few lines: it unpacks what is imported and really runs it.
ENGINE = """
PATH=/usr/bin:/bin
case "$1" in
import) mkdir "$0.image" && tar -x -C "$0.image" && echo sha256:0123 ;;
run) for program; do :; done; exec "$0.image$program" ;;
rmi) rm -r "$0.image" ;;
esac
"""
NO_DAEMON = """
if [ "$1" = --version ]; then echo "Docker version 27.3.1, build ce12230"; exit; fi
echo "Cannot connect to the Docker daemon at unix:///var/run/docker.sock." >&2
exit 1
"""


class Machine:
    """A PATH with fake tools and nothing else."""

    def __init__(self, command: Command, folder: Path) -> None:
        self.command = command
        self.bin = folder
        self.bin.mkdir()
        self.tool("git", "echo git version 2.45.1")
        self.tool("git-lfs", "echo 'git-lfs/3.7.1 (GitHub; linux amd64; go 1.25.1)'")

    def tool(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.bin / name).chmod(0o755)

    def doctor(self, *arguments: str, **variables: str) -> Done:
        settings = {"PATH": str(self.bin), "HF_HUB_OFFLINE": "1", **variables}
        return self.command.run("doctor", *arguments, timeout=60, **settings)

    def checks(self, *arguments: str, code: int = 0, **variables: str) -> dict[str, dict[str, Any]]:
        """The checks by name."""
        done = self.doctor("--json", *arguments, **variables)
        assert done.code == code, done.err
        document = done.document
        assert document["schema"] == "spacerun.doctor/1"
        assert document["ok"] is (code == 0)
        return {check["name"]: check for check in document["data"]["checks"]}


@pytest.fixture
def made_up(tmp_path: Path) -> Machine:
    return Machine(Command(tmp_path / "home"), tmp_path / "bin")


def test_a_machine_with_everything_is_looked_at_at_once(made_up: Machine, hub: Hub) -> None:
    hub.add_token(TOKEN, "ada")
    made_up.tool("podman", ENGINE)
    began = time.monotonic()
    checks = made_up.checks(HF_ENDPOINT=hub.endpoint, HF_TOKEN=TOKEN, HF_HUB_OFFLINE="0")
    assert time.monotonic() - began < 15  # 1.3 s on an idle machine
    assert list(checks) == NAMES
    assert all(set(check) == {"name", "status", "detail", "remedy"} for check in checks.values())
    assert {name: checks[name]["status"] for name in NAMES if name not in {"gpu", "disk"}} == dict.fromkeys(
        [name for name in NAMES if name not in {"gpu", "disk"}], "ok"
    )
    assert checks["git"]["detail"].startswith("2.45.1 ")
    assert f"3.{sys.version_info.minor}." in checks["python"]["detail"]
    assert all(check["remedy"] is None for check in checks.values() if check["status"] == "ok")


def test_missing_git_fails_with_the_command_that_mends_it(made_up: Machine) -> None:
    (made_up.bin / "git").unlink()
    made_up.tool("apt-get", "exit 100")
    remedy = "apt-get install -y git" if os.geteuid() == 0 else "sudo apt-get install -y git"
    done = made_up.doctor("--json")
    assert done.code == 13
    assert done.document["error"]["name"] == "prerequisite"
    assert done.document["error"]["hint"] == remedy
    checks = {check["name"]: check for check in done.document["data"]["checks"]}
    assert (checks["git"]["status"], checks["git"]["remedy"]) == ("missing", remedy)
    shown = made_up.doctor()
    assert shown.code == 13
    assert f"→ {remedy}" in shown.out
    assert "git is missing" in shown.err


@pytest.mark.parametrize("manager", ["dnf", "brew", "conda"])
def test_the_remedy_speaks_of_the_package_manager_that_is_there(made_up: Machine, manager: str) -> None:
    (made_up.bin / "git-lfs").unlink()
    made_up.tool(manager, "exit 1")
    remedy = made_up.checks()["git-lfs"]["remedy"]
    assert manager in remedy
    assert remedy.endswith(" git-lfs")


def test_missing_git_lfs_fails_nothing(made_up: Machine) -> None:
    (made_up.bin / "git-lfs").unlink()
    assert made_up.checks(code=0)["git-lfs"]["status"] == "missing"


@pytest.mark.parametrize(
    ("tool", "said", "status", "told"),
    [
        ("git", "git version 2.31.0", "ok", "2.31.0"),
        ("git", "git version 2.39.5 (Apple Git-154)", "ok", "2.39.5"),
        ("git-lfs", "git-lfs/3.3.0 (GitHub; linux amd64; go 1.19.8)", "remark", "CVE-2024-53263"),
        ("git-lfs", "git-lfs/3.6.1 (GitHub; linux amd64; go 1.23.3)", "ok", "3.6.1"),
    ],
)
def test_old_versions_are_named_and_fail_nothing(
    made_up: Machine, tool: str, said: str, status: str, told: str
) -> None:
    made_up.tool(tool, f"echo '{said}'")
    check = made_up.checks(code=0)[tool]
    assert check["status"] == status
    assert told in check["detail"]


def test_a_git_that_is_too_old_is_as_good_as_none(made_up: Machine) -> None:
    made_up.tool("git", "echo 'git version 2.25.1'")
    check = made_up.checks(code=13)["git"]
    assert check["status"] == "missing"
    assert "2.25.1 is old" in check["detail"]


def test_a_git_that_does_not_run_is_as_good_as_none(made_up: Machine) -> None:
    made_up.tool("git", "echo xcode-select: no developer tools >&2; exit 1")
    check = made_up.checks(code=13)["git"]
    assert check["status"] == "missing"
    assert "no developer tools" in check["detail"]


def test_missing_or_broken_uv_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent() -> Path:
        raise PrerequisiteError("uv is not installed.", hint="python -m pip install uv")

    monkeypatch.setattr(tools, "find_uv", absent)
    check = tools.uv()
    assert (check.status, check.remedy) == ("missing", "python -m pip install uv")
    with pytest.raises(PrerequisiteError, match="uv is missing") as raised:
        doctor.require([check])
    assert raised.value.hint == "python -m pip install uv"
    broken = tmp_path / "uv"
    broken.write_bytes(b"not a program")
    broken.chmod(0o755)
    monkeypatch.setattr(tools, "find_uv", lambda: broken)
    assert tools.uv().status == "missing"


# -- containers --------------------------------------------------------------------------------------------------------


def test_no_container_engine_is_a_remark(made_up: Machine) -> None:
    check = made_up.checks()["container"]
    assert check["status"] == "remark"
    assert "no docker and no podman" in check["detail"]


def test_a_docker_client_without_a_daemon_does_not_count(made_up: Machine) -> None:
    made_up.tool("docker", NO_DAEMON)
    check = made_up.checks()["container"]
    assert check["status"] == "remark"
    assert "docker is installed, but runs no container: Cannot connect to the Docker daemon" in check["detail"]


def test_podman_counts_where_docker_has_no_daemon(made_up: Machine) -> None:
    made_up.tool("docker", NO_DAEMON)
    made_up.tool("podman", ENGINE)
    check = made_up.checks()["container"]
    assert check["status"] == "ok"
    assert "podman runs containers" in check["detail"]
    assert not (made_up.bin / "podman.image").exists(), "the image is left"


def test_an_engine_that_imports_but_cannot_run_does_not_count(made_up: Machine) -> None:
    made_up.tool("podman", ENGINE.replace("run) ", "run) echo 'crun: cgroups are not writable' >&2; exit 126; "))
    check = made_up.checks()["container"]
    assert check["status"] == "remark"
    assert "crun: cgroups are not writable" in check["detail"]
    assert not (made_up.bin / "podman.image").exists(), "the image is left"


@pytest.mark.parametrize("name", ["x86_64", "aarch64"])
def test_the_program_in_the_container_is_sound(name: str, tmp_path: Path) -> None:
    program = tmp_path / "exit"
    program.write_bytes(engine.exit_program(name))
    program.chmod(0o755)
    assert program.stat().st_size < 150
    if platform.system() == "Linux" and platform.machine() == name:
        assert subprocess.run([program], check=False).returncode == 0
    else:
        assert program.read_bytes()[:4] == b"\x7fELF"


# -- what hangs --------------------------------------------------------------------------------------------------------


def test_nothing_that_hangs_holds_the_others_up(made_up: Machine, hub: Hub) -> None:
    made_up.tool("docker", "exec /bin/sleep 60")
    hub.faults.add(Latency(12))
    began = time.monotonic()
    checks = made_up.checks(HF_ENDPOINT=hub.endpoint, HF_TOKEN=TOKEN, HF_HUB_OFFLINE="0")
    assert time.monotonic() - began < 20
    assert "no answer within" in checks["container"]["detail"]
    assert checks["hub"]["status"] == checks["token"]["status"] == "remark"
    assert checks["git"]["status"] == "ok"


# -- Hub and token -----------------------------------------------------------------------------------------------------


def test_the_hub_is_asked_once_and_without_the_token(made_up: Machine, hub: Hub) -> None:
    made_up.checks(HF_ENDPOINT=hub.endpoint, HF_HUB_OFFLINE="0")
    assert [(request.path, request.has_authorization) for request in hub.requests] == [("/api/whoami-v2", False)]


@pytest.mark.parametrize(
    ("what", "told"), [("down", "cannot be reached"), ("html", "not the Hub's API"), ("busy", "answers with HTTP 503")]
)
def test_a_hub_that_does_not_answer_is_a_remark(made_up: Machine, hub: Hub, what: str, told: str) -> None:
    if what == "down":
        hub.go_offline()
    else:
        hub.faults.add(Html() if what == "html" else Status(503))
    check = made_up.checks(code=0, HF_ENDPOINT=hub.endpoint, HF_HUB_OFFLINE="0")["hub"]
    assert check["status"] == "remark"
    assert told in check["detail"]


def test_offline_asks_nobody(made_up: Machine, hub: Hub) -> None:
    checks = made_up.checks(HF_ENDPOINT=hub.endpoint, HF_TOKEN=TOKEN, HF_HUB_OFFLINE="1")
    assert checks["hub"]["remedy"] == "unset HF_HUB_OFFLINE"
    assert "HF_HUB_OFFLINE" in checks["token"]["detail"]
    assert hub.requests == []


@pytest.mark.parametrize(
    ("known", "given", "status", "told"),
    [(True, True, "ok", "valid, of ada"), (False, True, "missing", "does not accept"), (True, False, "remark", "none")],
)
def test_a_token_is_judged_and_never_shown(
    made_up: Machine, hub: Hub, known: bool, given: bool, status: str, told: str
) -> None:
    if known:
        hub.add_token(TOKEN, "ada")
    variables = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0"} | ({"HF_TOKEN": TOKEN} if given else {})
    check = made_up.checks(code=0, **variables)["token"]
    assert check["status"] == status
    assert told in check["detail"]
    for done in (made_up.doctor(**variables), made_up.doctor("--json", **variables)):
        assert TOKEN not in done.out + done.err


# -- GPUs and disk -----------------------------------------------------------------------------------------------------


def test_gpus_and_driver_are_told(made_up: Machine) -> None:
    gpus = [fake_nvml.Gpu("NVIDIA A10G", 23028, used_mib=500), fake_nvml.Gpu("NVIDIA L4", 24000)]
    check = made_up.checks(**_nvml(gpus))["gpu"]
    assert check["status"] == "ok"
    assert check["detail"].startswith("0 NVIDIA A10G (22.0 GiB free), 1 NVIDIA L4 (")
    assert "driver 550.54.14, CUDA up to 12.4" in check["detail"]


def test_a_driver_that_does_not_answer_is_a_remark_with_what_mends_it(made_up: Machine) -> None:
    check = made_up.checks(code=0, **_nvml([], fail_init=fake_nvml.LIB_RM_VERSION_MISMATCH))["gpu"]
    assert check["status"] == "remark"
    assert "different versions" in check["detail"]
    assert check["remedy"]


def test_disk_tells_what_is_used(made_up: Machine) -> None:
    made_up.command.home.mkdir(parents=True)
    (made_up.command.home / "something").write_bytes(os.urandom(3 << 20))
    assert "spacerun uses 3." in made_up.checks()["disk"]["detail"]


def test_a_disk_too_full_for_a_space_is_a_remark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPACERUN_HOME", str(tmp_path))
    monkeypatch.setattr(machine, "free_bytes", lambda _: 1 << 30)
    check = machine.disk()
    assert (check.status, check.remedy) == ("remark", "spacerun prune")
    assert f"1.0 GiB free for data in {tmp_path}" in check.detail


# -- --fix -------------------------------------------------------------------------------------------------------------

NEW_LFS = "git-lfs/3.7.1 (GitHub; linux amd64; go 1.25.1)"


def test_fix_installs_git_lfs_and_looks_again(made_up: Machine) -> None:
    (made_up.bin / "git-lfs").unlink()
    made_up.tool("sudo", 'shift\nexec "$@"')
    # As in an image without package lists: nothing can be installed before `update`.
    made_up.tool(
        "apt-get",
        f"""echo "$@" >>"$0.log"
        if [ "$1" = update ]; then : >"$0.lists"; exit; fi
        [ -e "$0.lists" ] || exit 100
        printf '#!/bin/sh\\necho "{NEW_LFS}"\\n' >"${{0%/*}}/git-lfs"
        /bin/chmod +x "${{0%/*}}/git-lfs"
        """,
    )
    assert made_up.checks("--fix")["git-lfs"]["status"] == "ok"
    calls = (made_up.bin / "apt-get.log").read_text().splitlines()
    assert calls == ["install -y git-lfs", "update", "install -y git-lfs"]


def test_without_fix_nothing_is_installed(made_up: Machine) -> None:
    (made_up.bin / "git-lfs").unlink()
    made_up.tool("sudo", ': >"$0.called"')
    made_up.tool("apt-get", ': >"$0.called"')
    made_up.checks()
    assert list(made_up.bin.glob("*.called")) == []


def test_fix_says_so_where_it_cannot(made_up: Machine) -> None:
    (made_up.bin / "git").unlink()
    made_up.tool("brew", "exit 1")
    done = made_up.doctor("--fix", "--json")
    assert done.code == 13
    assert any("git could not be installed" in warning for warning in done.document["warnings"])


def _half_made(home: Path) -> tuple[Path, Path]:
    environment = home / "cache" / "environments" / ("a" * 20)
    tree = home / "spaces" / "owner--name" / "trees" / ("b" * 40)
    for folder in (environment, tree):
        folder.mkdir(parents=True)
        (folder / "part").write_text("half")
    return environment, tree


def test_fix_removes_what_interrupted_launches_left(made_up: Machine) -> None:
    environment, tree = _half_made(made_up.command.home)
    whole = tree.with_name("c" * 40)
    whole.mkdir()
    whole.with_name(f"{whole.name}.json").write_text('{"commit": "c", "pointers": []}')
    before = made_up.checks()["leftovers"]
    assert before["detail"].endswith("1 half-made environments, 1 half-made clones")
    assert before["remedy"] == "spacerun doctor --fix"
    assert environment.exists()
    assert made_up.checks("--fix")["leftovers"]["status"] == "ok"
    assert not environment.exists()
    assert not tree.exists()
    assert whole.exists()


def test_fix_leaves_alone_what_is_being_made_right_now(made_up: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACERUN_HOME", str(made_up.command.home))
    environment, tree = _half_made(made_up.command.home)
    with paths.locked(f"environment-{environment.name}"), paths.locked("space-owner--name"):
        assert made_up.checks("--fix")["leftovers"]["status"] == "ok"
    assert environment.exists()
    assert tree.exists()


def _nvml(gpus: list[fake_nvml.Gpu], **options: Any) -> dict[str, str]:
    try:
        folder = fake_nvml.shared_folder()
        return fake_nvml.environment(folder, gpus, **options)
    except FileNotFoundError:
        pytest.skip("no C compiler (cc) to build the fake NVML with")
