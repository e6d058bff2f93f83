"""What engines are told, without one: the flags that need other hardware or another machine among them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from spacerun.containers import build as builds
from spacerun.containers.build import Build, build_argv, decide_build, kept_back, prebuilt_image, pull_argv, tag
from spacerun.containers.control import read_state
from spacerun.containers.dockerfile import parse
from spacerun.containers.engine import Engine
from spacerun.containers.run import (
    Container,
    Gpu,
    Run,
    gpu_flags,
    inspect_argv,
    remove_argv,
    run_argv,
    split_variables,
    stop_argv,
)
from spacerun.errors import MissingSecretError

if TYPE_CHECKING:
    from pathlib import Path

PODMAN = Engine("podman", "/usr/bin/podman", rootless=True)
DOCKER = Engine("docker", "/usr/bin/docker")
CONTAINER = Container("podman", "/usr/bin/podman", "spacerun-x-1234", 7860, "own")
RUN = Run(CONTAINER, "x-1234", "localhost/spacerun/o-x:abc", "127.0.0.1", 7861)


def pairs(argv: tuple[str, ...], option: str) -> list[str]:
    return [argv[number + 1] for number, word in enumerate(argv) if word == option]


@pytest.mark.parametrize("engine", [PODMAN, DOCKER])
def test_a_stranger_s_container_gets_as_little_as_it_can(engine: Engine) -> None:
    argv = run_argv(engine, replace(RUN, folders={"/data": "/home/u/data"}))
    assert argv[:2] == (engine.path, "run")
    assert {"--rm", "--pull=never", "--cap-drop=all", "--security-opt=no-new-privileges"} <= set(argv)
    assert pairs(argv, "--user") == ["1000"]
    assert pairs(argv, "--publish") == ["127.0.0.1:7861:7860"]
    assert pairs(argv, "--volume") == ["/home/u/data:/data:z"]
    assert not any("privileged" in word and "no-new" not in word for word in argv)
    assert not any(word.startswith(("--network", "--pid", "--ipc", "--cap-add")) for word in argv)
    assert argv[-1] == RUN.image
    assert f"spacerun.app={RUN.app}" in pairs(argv, "--label")


def test_what_a_rootless_container_writes_belongs_to_the_user() -> None:
    assert "--userns=keep-id:uid=1000,gid=1000" in run_argv(PODMAN, RUN)
    assert not any("userns" in word for word in run_argv(replace(PODMAN, rootless=False), RUN))
    assert not any("userns" in word for word in run_argv(DOCKER, RUN))


def test_the_port_is_published_where_host_says_and_not_at_all_on_the_machine_s_own_network() -> None:
    assert pairs(run_argv(DOCKER, replace(RUN, host="0.0.0.0")), "--publish") == ["0.0.0.0:7861:7860"]
    assert pairs(run_argv(DOCKER, replace(RUN, host="::1")), "--publish") == ["[::1]:7861:7860"]
    shared = replace(RUN, container=replace(CONTAINER, network="host"))
    assert pairs(run_argv(PODMAN, shared), "--publish") == []


def test_gpus_by_the_flags_of_each_engine() -> None:
    gpus = (Gpu("0", "GPU-a"), Gpu("1:0", "MIG-b"))
    assert gpu_flags(PODMAN, gpus) == ("--device", "nvidia.com/gpu=0", "--device", "nvidia.com/gpu=1:0")
    assert gpu_flags(DOCKER, gpus) == ("--gpus", '"device=GPU-a,MIG-b"')
    assert gpu_flags(DOCKER, ()) == gpu_flags(PODMAN, ()) == ()
    assert "--gpus" in run_argv(DOCKER, replace(RUN, gpus=gpus))


def test_no_value_of_the_user_stands_in_the_list_of_processes() -> None:
    inline, names = split_variables({"HF_TOKEN": "hf_secret", "GREETING": "hello", "PATH": "/opt/bin"})
    assert (inline, names) == ({"PATH": "/opt/bin"}, ("GREETING", "HF_TOKEN"))
    argv = run_argv(PODMAN, replace(RUN, variables=inline, names=names))
    assert pairs(argv, "--env") == ["PATH=/opt/bin", "GREETING", "HF_TOKEN"]
    assert "hf_secret" not in " ".join(argv)


def test_ending_a_container() -> None:
    assert stop_argv(CONTAINER, 5.0) == ("/usr/bin/podman", "stop", "--time", "5", "spacerun-x-1234")
    assert remove_argv(CONTAINER) == ("/usr/bin/podman", "rm", "--force", "--time", "0", "spacerun-x-1234")
    docker = replace(CONTAINER, kind="docker", engine="docker")
    assert remove_argv(docker) == ("docker", "rm", "--force", "spacerun-x-1234")
    assert inspect_argv(docker) == ("docker", "inspect", "--type", "container", "spacerun-x-1234")


def test_a_published_port_is_read_from_the_engine_s_answer() -> None:
    def answer(ports: object, *, running: bool = True) -> dict[str, object]:
        state = {"Running": running, "Pid": 1, "StartedAt": "2020-01-01T00:00:00.123456789Z"}
        return {"State": state, "NetworkSettings": {"Ports": ports}}

    published = {"7860/tcp": [{"HostIp": "127.0.0.1", "HostPort": "7861"}]}
    state = read_state(answer(published), 7860)
    assert state is not None
    assert state.published == ("127.0.0.1", 7861)
    assert state.pid is None, "a process of this machine that began at another time is none of the container's"
    assert read_state(answer({"7860/tcp": [{"HostIp": "", "HostPort": "1"}]}), 7860).published == ("0.0.0.0", 1)
    for nothing in (None, {}, {"7860/tcp": None}, {"80/tcp": [{"HostIp": "", "HostPort": "80"}]}):
        assert read_state(answer(nothing), 7860).published is None
    assert read_state(answer(published, running=False), 7860) is None


# -- images ------------------------------------------------------------------------------------------------------------


def space(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM x\n")
    (folder / "sub" / "app.py").write_text("x = 1\n")
    (folder / "link").symlink_to("sub/app.py")
    return folder


def test_the_name_of_an_image_follows_from_all_that_it_is_made_from(tmp_path: Path) -> None:
    first, second = space(tmp_path / "a"), space(tmp_path / "b")
    one = tag(Build("Owner/My.Space", first, {}))
    assert one.startswith("localhost/spacerun/owner-my-space:")
    assert one == tag(Build("Owner/My.Space", second, {})), "where it lies does not matter"
    (second / ".git").mkdir()
    (second / ".git" / "index").write_text("x")
    assert one == tag(Build("Owner/My.Space", second, {})), "git's own files are not the Space's"
    names = {one, tag(Build("Owner/My.Space", first, {"A": "1"})), tag(Build("Owner/My.Space", first, {"A": "2"}))}

    def changed() -> str:
        return tag(Build("Owner/My.Space", second, {}))

    (second / "sub" / "app.py").chmod(0o755)
    names.add(changed())
    (second / "sub" / "app.py").write_text("x = 2\n")
    names.add(changed())
    (second / "Dockerfile").write_text("FROM y\n")
    names.add(changed())
    (second / "link").unlink()
    (second / "link").symlink_to("sub")
    names.add(changed())
    assert len(names) == 7


def test_variables_become_build_arguments_and_secrets_are_mounted(tmp_path: Path) -> None:
    dockerfile = parse("FROM x\nARG COLOR\nARG OTHER\nARG API_KEY\nRUN --mount=type=secret,id=HF_TOKEN true\n")
    given = {"COLOR": "green", "API_KEY": "k", "HF_TOKEN": "hf_secret", "UNUSED": "1"}
    build = decide_build("o/x", tmp_path, dockerfile, given)
    assert (build.arguments, build.secrets) == ({"COLOR": "green"}, ("HF_TOKEN",))
    assert kept_back(dockerfile, given) == ("API_KEY",), "in the history of an image anybody can read it"
    argv = build_argv(PODMAN, build, "localhost/spacerun/o-x:1")
    assert pairs(argv, "--build-arg") == ["COLOR"]
    assert pairs(argv, "--secret") == ["id=HF_TOKEN,env=HF_TOKEN"]
    assert not {"green", "hf_secret"} & set(" ".join(argv).replace("=", " ").split())
    assert argv[-1] == str(tmp_path), "the checkout is the context"
    assert "--progress=plain" in build_argv(DOCKER, build, "x")


def test_a_secret_that_the_build_requires_is_asked_for(tmp_path: Path) -> None:
    dockerfile = parse("FROM x\nRUN --mount=type=secret,id=TOKEN,required=true true\n")
    with pytest.raises(MissingSecretError, match="TOKEN"):
        decide_build("o/x", tmp_path, dockerfile, {})


def test_the_image_that_hugging_face_built() -> None:
    assert prebuilt_image("Owner/My_Space.v2") == "registry.hf.space/owner-my-space-v2:latest"
    argv = pull_argv(DOCKER, "registry.hf.space/o-x:latest")
    assert argv == ("/usr/bin/docker", "pull", "--platform=linux/amd64", "registry.hf.space/o-x:latest")


def test_an_engine_s_client_sees_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/user/1000/docker.sock")
    monkeypatch.setenv("CONTAINERS_CONF", "/etc/x.conf")
    monkeypatch.setenv("DOCKER_PASSWORD", "p")
    variables = builds.client_variables()
    assert {"DOCKER_HOST", "CONTAINERS_CONF", "PATH"} <= variables.keys()
    assert not {"HF_TOKEN", "DOCKER_PASSWORD"} & variables.keys()
