"""A container of a Space: the command that runs it, and the commands that tell of it and end it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from spacerun.containers.build import is_clients
from spacerun.containers.engine import Engine, ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spacerun.containers.engine import Kind

LABEL: Final = "spacerun.app"
UID: Final = 1000
"""User id that Hugging Face runs containers as (Hub documentation, "Docker Spaces", permissions)."""

DATA: Final = "/data"
CACHE: Final = "/spacerun-cache"
_NETWORK_SECONDS: Final = 30.0

Network = Literal["own", "host"]


@dataclass(frozen=True)
class Container:
    """How to find the container of an app again; nothing in it is secret.

    Attributes:
        kind: Kind of its engine.
        engine: Absolute path of its engine.
        name: Its name.
        app_port: The port that the app listens on inside.
        network: Whether it has a network of its own, or the machine's.
    """

    kind: Kind
    engine: str
    name: str
    app_port: int
    network: Network

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Container:
        """The inverse of `to_json`."""
        return cls(**value)


@dataclass(frozen=True)
class Gpu:
    """A GPU, by its index, in the order of their buses, and by its UUID."""

    index: str
    uuid: str


@dataclass(frozen=True)
class Run:
    """What a container is run with.

    Attributes:
        container: Its name, engine and ports.
        app: Id of the app, by which a later command finds the container if its supervisor was killed.
        image: What it runs.
        host: Address of this machine at which its port is published.
        port: Port of this machine.
        folders: Folders of this machine that it sees (path inside: path here).
        variables: Variables with their values, none of them secret.
        names: Names of variables whose values come from the client's environment.
        gpus: The GPUs that it gets.
    """

    container: Container
    app: str
    image: str
    host: str
    port: int
    folders: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    gpus: tuple[Gpu, ...] = ()


def container_name(app: str) -> str:
    """The name of the container of app `app`."""
    return f"spacerun-{app}"


def run_argv(engine: Engine, run: Run) -> tuple[str, ...]:
    """The command that runs the container, and ends with it.

    What the image's author wrote is a stranger's. It runs as Hugging Face runs it, as user 1000, without capabilities,
    with no way to gain any (`sudo`, setuid programs), and sees no folder but the Space's own.
    """
    inline = [word for name, value in run.variables.items() for word in ("--env", f"{name}={value}")]
    named = [word for name in run.names for word in ("--env", name)]
    mounts = [word for inside, here in run.folders.items() for word in ("--volume", f"{here}:{inside}:z")]
    return (
        engine.path, "run", "--rm", "--pull=never", "--name", run.container.name, "--label", f"{LABEL}={run.app}",
        # The log is kept once, by whoever reads this command's output.
        "--log-driver=none",
        "--user", str(UID), *_user_namespace(engine), "--cap-drop=all", "--security-opt=no-new-privileges",
        *_published(run), *gpu_flags(engine, run.gpus), *mounts, *inline, *named, run.image,
    )  # fmt: skip


def gpu_flags(engine: Engine, gpus: Sequence[Gpu]) -> tuple[str, ...]:
    """How `engine` gives a container GPUs: NVIDIA Container Toolkit documentation, "CDI support" and "Docker"."""
    if not gpus:
        return ()
    if engine.kind == "podman":
        return tuple(word for gpu in gpus for word in ("--device", f"nvidia.com/gpu={gpu.index}"))
    # Docker reads the value as a line of CSV, in which commas must be quoted.
    return ("--gpus", '"device={}"'.format(",".join(gpu.uuid for gpu in gpus)))


def split_variables(given: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The user's variables as `Run.variables` and `Run.names`: those that the client itself goes by, and all others.

    Other values stay out of the list of processes, for they may be secret. Passed on by name, a `PATH` that is meant
    for the app would lead the client astray.
    """
    inline = {name: value for name, value in given.items() if is_clients(name)}
    return inline, tuple(sorted(name for name in given if name not in inline))


def stop_argv(container: Container, seconds: float) -> tuple[str, ...]:
    """The command that ends the container: SIGTERM, and SIGKILL after `seconds`."""
    return (container.engine, "stop", "--time", str(max(0, round(seconds))), container.name)


def remove_argv(container: Container) -> tuple[str, ...]:
    """The command that ends the container at once and removes it."""
    # podman would wait ten seconds for it to end by itself.
    at_once = ("--time", "0") if container.kind == "podman" else ()
    return (container.engine, "rm", "--force", *at_once, container.name)


def inspect_argv(container: Container) -> tuple[str, ...]:
    """The command that tells what is known of the container, as JSON."""
    return (container.engine, "inspect", "--type", "container", container.name)


def network_of(engine: Engine, image: str) -> Network:
    """The network that containers of `image` get: a machine's settings may force its own on them.

    Told by a container that is made and never started.
    """
    command = (engine.path, "create", "--pull=never", "--entrypoint", "/", image)
    status, said = ask(command, seconds=_NETWORK_SECONDS)
    if status:
        return "own"
    name = said.split()[-1]
    try:
        mode = ask((engine.path, "inspect", "--format", "{{.HostConfig.NetworkMode}}", name))[1]
    finally:
        ask((engine.path, "rm", "--force", name), seconds=_NETWORK_SECONDS)
    return "host" if mode == "host" else "own"


def _user_namespace(engine: Engine) -> tuple[str, ...]:
    """Let the container's user be this machine's: what it writes then belongs to the user (podman-run(1), --userns)."""
    return (f"--userns=keep-id:uid={UID},gid={UID}",) if engine.kind == "podman" and engine.rootless else ()


def _published(run: Run) -> tuple[str, ...]:
    if run.container.network == "host":
        return ()
    host = f"[{run.host}]" if ":" in run.host else run.host
    return ("--publish", f"{host}:{run.port}:{run.container.app_port}")
