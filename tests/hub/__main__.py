"""Start the loopback Hub by hand, or around one command.

python -m tests.hub --space owner/hello=examples/hello
python -m tests.hub --space owner/hello=examples/hello -- spacerun launch owner/hello
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.hub.faults import Bandwidth, Latency
from tests.hub.server import CDN_HOST, HUB_HOST, Exchange, Hub

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from tests.hub.repository import Kind

_KINDS: tuple[Kind, ...] = ("space", "model", "dataset")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted, or until the command has ended; its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command: list[str] = []
    if "--" in given:
        at = given.index("--")
        given, command = given[:at], given[at + 1 :]
    parser = _parser()
    options = parser.parse_args(given)
    published = {repo_id for kind in _KINDS for repo_id, _ in getattr(options, kind)}
    if unknown := {*options.private, *options.gated} - published:
        parser.error(f"not published: {', '.join(sorted(unknown))}")
    if command and shutil.which(command[0]) is None:
        parser.error(f"no such command: {command[0]}")
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loopback-hub-")))
        log = None if options.quiet or command else _log
        hub = stack.enter_context(Hub(root, port=options.port, log=log))
        _fill(hub, options)
        return _run(hub, command) if command else _serve(hub)


def _fill(hub: Hub, options: argparse.Namespace) -> None:
    for kind in _KINDS:
        for repo_id, folder in getattr(options, kind):
            private, gated = repo_id in options.private, repo_id in options.gated
            hub.publish(repo_id, folder, kind=kind, private=private, gated=gated)
    for token, user in options.token:
        hub.add_token(token, user)
    if options.bandwidth:
        hub.faults.add(Bandwidth(options.bandwidth))
    if options.latency:
        hub.faults.add(Latency(options.latency))


def _serve(hub: Hub) -> int:
    spaces = [hub.url(repo_id) for kind, repo_id in hub.registry.repos if kind == "space"]
    sys.stdout.write(f"export HF_ENDPOINT={hub.endpoint}\n")
    sys.stdout.flush()
    for address in spaces:
        _say(f"# try: spacerun launch {address.split('/spaces/')[1]}   or: git clone {address}")
    _say("# Ctrl-C ends the Hub")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    threading.Event().wait()
    return 0


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _run(hub: Hub, command: list[str]) -> int:
    # The terminal sends Ctrl-C to the command as well: it decides how to end, and we end after it.
    signal.signal(signal.SIGINT, lambda *_: None)
    with subprocess.Popen(command, env=os.environ | {"HF_ENDPOINT": hub.endpoint}) as process:
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        status = process.wait()
    return status if status >= 0 else 128 - status


def _log(exchange: Exchange) -> None:
    secret = " (with credentials)" if exchange.has_authorization else ""
    _say(f"{exchange.status} {exchange.method:4} {exchange.kind:4} {exchange.path} {exchange.bytes_sent} bytes{secret}")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.hub",
        description=f"A stand-in for huggingface.co on {HUB_HOST}, with its CDN on {CDN_HOST}.",
        epilog="With -- COMMAND the command runs with HF_ENDPOINT set, and its exit status is given back.",
    )
    for kind in _KINDS:
        parser.add_argument(
            f"--{kind}",
            action="append",
            default=[],
            type=_publication,
            metavar="OWNER/NAME=FOLDER",
            help=f"publish FOLDER as a {kind} (repeatable)",
        )
    for word, effect in (("private", "hide"), ("gated", "gate")):
        text = f"{effect} this repository from all but its owner (repeatable)"
        parser.add_argument(f"--{word}", action="append", default=[], metavar="OWNER/NAME", help=text)
    parser.add_argument(
        "--token",
        action="append",
        default=[],
        type=_pair,
        metavar="TOKEN=USER",
        help="accept TOKEN as USER's (repeatable)",
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--bandwidth", type=_size, metavar="10MB", help="width of the line, in bytes per second")
    parser.add_argument("--latency", type=float, metavar="SECONDS", help="delay of every answer")
    parser.add_argument("--quiet", "-q", action="store_true", help="do not log requests")
    return parser


def _pair(text: str) -> tuple[str, str]:
    left, separator, right = text.partition("=")
    if not (left and separator and right):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form LEFT=RIGHT")
    return left, right


def _publication(text: str) -> tuple[str, Path]:
    repo_id, folder = _pair(text)
    if not Path(folder).is_dir():
        raise argparse.ArgumentTypeError(f"{folder} is not a folder")
    return repo_id, Path(folder)


def _size(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)B?", text.upper())
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500KB or 10MB")
    return float(match[1]) * _UNITS[match[2]]


if __name__ == "__main__":
    raise SystemExit(main())
