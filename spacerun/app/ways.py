"""Other ways in, where there is no share link: ssh, and the proxies of notebooks and clouds."""

from __future__ import annotations

import getpass
import ipaddress
import os
import socket
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TENSORBOARD: Final = 6006
_SSH: Final = "22"


@dataclass(frozen=True)
class Way:
    """One way in.

    Attributes:
        where: What it belongs to.
        text: What to do: an address to open, or a command to type on the machine in front of oneself.
        url: The address, where it is known in full.
    """

    where: str
    text: str
    url: str | None = None

    def to_json(self) -> dict[str, str | None]:
        """A dictionary for JSON."""
        return asdict(self)


def ways_in(url: str, variables: Mapping[str, str] = os.environ) -> list[Way]:
    """The ways from elsewhere to what listens on this machine, as far as the environment tells where this is.

    Args:
        url: Its address on this machine.
        variables: Environment in which spacerun was called.
    """
    address = urlsplit(url)
    host, port = address.hostname or "127.0.0.1", address.port or 80
    hosted = [way for find in _PLACES if (way := find(port, variables)) is not None]
    ssh = _ssh(host, port, variables)
    return [*hosted[:1], *([ssh] if ssh else [])]


def _ssh(host: str, port: int, variables: Mapping[str, str]) -> Way | None:
    """`SSH_CONNECTION` holds the client's address and port, then the server's (ssh(1), "ENVIRONMENT")."""
    parts = variables.get("SSH_CONNECTION", "").split()
    if len(parts) != 4:  # noqa: PLR2004
        return None
    client, _, server, server_port = parts
    option = f" -p {server_port}" if server_port != _SSH else ""
    target = f"[{host}]" if ":" in host else host
    here = f"{getpass.getuser()}@{_ssh_name(client, server)}"
    return Way("ssh", f"ssh -N -L {port}:{target}:{port}{option} {here}, then open http://127.0.0.1:{port}")


def _ssh_name(client: str, server: str) -> str:
    """What to call this machine from there: a private address means nothing to a caller from the internet."""
    try:
        seen_from_outside = ipaddress.ip_address(server).is_private and ipaddress.ip_address(client).is_global
    except ValueError:
        seen_from_outside = True  # with a scope, as of a link-local address
    return socket.gethostname() if seen_from_outside else server


def _colab(port: int, variables: Mapping[str, str]) -> Way | None:
    """Colab (`google.colab.output.serve_kernel_port_as_window`): its page makes the address, not the machine."""
    if not {"COLAB_RELEASE_TAG", "COLAB_BACKEND_VERSION"} & variables.keys():
        return None
    code = f"from google.colab import output; output.serve_kernel_port_as_window({port})"
    return Way("Colab", f"start it with --detach, then in another cell: {code}")


def _runpod(port: int, variables: Mapping[str, str]) -> Way | None:
    """RunPod ("Expose ports": https://[POD_ID]-[INTERNAL_PORT].proxy.runpod.net, bound to 0.0.0.0)."""
    pod = variables.get("RUNPOD_POD_ID")
    if not pod:
        return None
    url = f"https://{pod}-{port}.proxy.runpod.net"
    return Way("RunPod", f"{url}, with --host 0.0.0.0, and {port} among the pod's HTTP ports", url)


def _lightning(port: int, variables: Mapping[str, str]) -> Way | None:
    """Lightning Studios (lightning `app/core/constants.py`, LIGHTNING_CLOUDSPACE_HOST: https://PORT-HOST)."""
    host = variables.get("LIGHTNING_CLOUDSPACE_HOST")
    if not host:
        return None
    url = f"https://{port}-{host}"
    return Way("Lightning", url, url)


def _paperspace(port: int, variables: Mapping[str, str]) -> Way | None:
    """Paperspace notebooks forward one port, TensorBoard's ("Notebooks", "TensorBoard")."""
    name = variables.get("PAPERSPACE_FQDN")
    if not name:
        return None
    url = f"https://tensorboard-{name}"
    if port != _TENSORBOARD:
        return Way("Paperspace", f"{url}, with --port {_TENSORBOARD}")
    return Way("Paperspace", url, url)


def _sagemaker(port: int, variables: Mapping[str, str]) -> Way | None:
    """SageMaker Studio ("Amazon SageMaker Studio", JupyterLab: /jupyterlab/default is the base of its Jupyter)."""
    kind = variables.get("SAGEMAKER_APP_TYPE", "").lower()
    if kind not in {"jupyterlab", "jupyterserver"}:
        return None
    base = "jupyterlab" if kind == "jupyterlab" else "jupyter"
    return _behind_jupyter("SageMaker", f"/{base}/default/", port, origin="")


def _jupyterhub(port: int, variables: Mapping[str, str]) -> Way | None:
    """JupyterHub ("Services", JUPYTERHUB_SERVICE_PREFIX; since 5.0 JUPYTERHUB_PUBLIC_URL has the host, too)."""
    prefix = variables.get("JUPYTERHUB_SERVICE_PREFIX")
    if not prefix:
        return None
    public = urlsplit(variables.get("JUPYTERHUB_PUBLIC_URL", ""))
    origin = f"{public.scheme}://{public.netloc}" if public.netloc else ""
    return _behind_jupyter("JupyterHub", prefix, port, origin)


def _behind_jupyter(where: str, prefix: str, port: int, origin: str) -> Way:
    """By jupyter-server-proxy ("Accessing Arbitrary Ports": <base>/proxy/<port>); the app sees no prefix."""
    path = f"{prefix.rstrip('/')}/proxy/{port}/"
    place = f"{origin}{path}" if origin else f"{path} on the host of the notebook's own address"
    text = f"{place} (needs jupyter-server-proxy; a Gradio page that stays empty: --env GRADIO_ROOT_PATH={path[:-1]})"
    return Way(where, text, f"{origin}{path}" if origin else None)


# The first that is found counts: a cloud may run a JupyterHub of its own.
_PLACES: Final[tuple[Callable[[int, Mapping[str, str]], Way | None], ...]] = (
    _colab,
    _runpod,
    _lightning,
    _paperspace,
    _sagemaker,
    _jupyterhub,
)
