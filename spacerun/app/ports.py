"""Which port an app is asked to listen on."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from spacerun.app import processes, registry
from spacerun.errors import UsageError
from spacerun.paths import locked, machine_folder, read_json, write_json
from spacerun.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_PORT = 7860  # Gradio's, and the one that Hugging Face expects
LOCALHOST = "127.0.0.1"
_LAST_PORT = 65535


def allocate_port(host: str, asked: int | None, *, again: bool = False, first: int | None = None) -> int:
    """A port of `host` that an app can bind, kept for this process until `release_port` or its end.

    Args:
        host: Address or name to bind.
        asked: The port that the user wants; default: 7860, else the next that is free.
        again: Whether the same app may have had it a moment ago: what is left of its connections does not matter.
        first: Where to begin to look, if none is asked for; default: 7860.

    Raises:
        UsageError: The port asked for is taken or forbidden, `host` is not this machine's, or nothing is free.
    """
    if asked is not None and not 0 < asked <= _LAST_PORT:
        raise UsageError(
            f"{asked} is not a port.", hint=f"Ports are numbers from 1 to {_LAST_PORT}: --port {DEFAULT_PORT}"
        )
    first = first or DEFAULT_PORT
    with locked("ports", folder=machine_folder()):
        taken = _reservations()
        for port in range(first, _LAST_PORT + 1) if asked is None else (asked,):
            if str(port) not in taken and _can_bind(host, port, reuse=again):
                write_json(_file(), {**taken, str(port): [os.getpid(), processes.created(os.getpid())]})
                return port
    if asked is None:
        raise UsageError(f"No port of {host} from {first} on is free.", hint="Name one: --port N")
    holder = _holder(asked, taken)
    raise UsageError(
        f"Port {asked} is already in use{f' by {holder}' if holder else ''}.",
        hint="Leave out --port to get the next free one, or name another.",
        data={"port_taken": asked},
    )


def release_port(port: int) -> None:
    """Let other launches have `port`, which this process had allocated."""
    with locked("ports", folder=machine_folder()):
        taken = _reservations()
        if taken.get(str(port), (None,))[0] == os.getpid():
            del taken[str(port)]
            write_json(_file(), taken)


def _file() -> Path:
    return machine_folder() / "ports.json"


def _reservations() -> dict[str, list[float]]:
    """Ports promised to launches that live: port → [pid, creation time]. Apps may take minutes to bind theirs."""
    noted = read_json(_file()) or {}
    taken = {
        str(record.port): [record.supervisor_pid, record.supervisor_started]
        for record in registry.records(active=True)
        if record.status == "starting"
    }
    return {port: holder for port, holder in {**noted, **taken}.items() if processes.is_same(int(holder[0]), holder[1])}


def _can_bind(host: str, port: int, *, reuse: bool) -> bool:
    """Whether a bind succeeds; a plain one, without SO_REUSEADDR, as Gradio 3 refuses even a port in TIME_WAIT."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise UsageError(f"{one_line(host)!r} is not an address of this machine.", hint="--host 127.0.0.1") from error
    with socket.socket(family, kind, protocol) as probe:
        if reuse:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except PermissionError as error:
            raise UsageError(
                f"Port {port} needs administrator rights.", hint=f"Take one above 1023: --port {DEFAULT_PORT}"
            ) from error
        except OSError as error:
            import errno

            if error.errno == errno.EADDRNOTAVAIL:
                message = f"{one_line(host)!r} is not an address of this machine."
                raise UsageError(message, hint="--host 127.0.0.1") from error
            return False
    return True


def _holder(port: int, taken: dict[str, list[float]]) -> str | None:
    """Who listens on `port` or has it promised, as far as this user may see."""
    import psutil

    for record in registry.records(active=True):
        if record.port == port and (registry.alive(record) or record.status == "starting"):
            return f"the app {record.id} ({one_line(record.space)})"
    if str(port) in taken:
        return f"another launch (process {int(taken[str(port)][0])})"
    try:
        connections = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return None
    for connection in connections:
        if (
            connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and connection.pid
        ):
            return f"process {connection.pid} ({one_line(psutil.Process(connection.pid).name(), 40)})"
    return None
