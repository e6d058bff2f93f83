"""Options that several commands share. Each can also be given as `SPACERUN_<OPTION>`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from spacerun.environment.system import Consent

Space = Annotated[
    str,
    typer.Argument(
        metavar="SPACE",
        help="owner/name, owner/name@REVISION, a Space's address, or a folder such as ./my-space.",
        show_default=False,
    ),
]
AppName = Annotated[
    str, typer.Argument(metavar="ID|SPACE", help="An app, as `spacerun ps` shows it, or its Space.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", envvar="SPACERUN_JSON", help="Print one JSON document on stdout.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", envvar="SPACERUN_QUIET", help="Show results, warnings and errors only.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", envvar="SPACERUN_VERBOSE", help="Show what the tools underneath say.")
]
Offline = Annotated[
    bool, typer.Option("--offline", envvar="SPACERUN_OFFLINE", help="Use what is on this disk; no network.")
]
Share = Annotated[
    bool,
    typer.Option(
        "--share/--no-share",
        envvar="SPACERUN_SHARE",
        help="Make a public link. Whoever has the link can use the app, unless --auth asks for a password.",
    ),
]
RequireShare = Annotated[
    bool,
    typer.Option("--require-share", envvar="SPACERUN_REQUIRE_SHARE", help="Fail (exit 11) without a working link."),
]
ShareTimeout = Annotated[
    float,
    typer.Option(
        "--share-timeout",
        envvar="SPACERUN_SHARE_TIMEOUT",
        metavar="SECONDS",
        min=1,
        help="How long the link may take to appear, and from then on to answer. It is tried twice.",
    ),
]
Auth = Annotated[
    str | None,
    typer.Option(
        "--auth",
        envvar="SPACERUN_AUTH",
        metavar="USER:PASSWORD",
        help="Ask everybody for this name and password. SPACERUN_AUTH keeps them out of the list of processes.",
        show_default=False,
    ),
]
Qr = Annotated[
    bool,
    typer.Option("--qr", envvar="SPACERUN_QR", help="Show a QR code of the public link, or else of the local one."),
]
Host = Annotated[
    str, typer.Option("--host", envvar="SPACERUN_HOST", help="Address that the app listens on; replaces the code's.")
]
Port = Annotated[
    int | None,
    typer.Option(
        "--port",
        envvar="SPACERUN_PORT",
        min=1,
        max=65535,
        help="Port that the app listens on. Default: 7860, else the next free one.",
        show_default=False,
    ),
]
Gpu = Annotated[
    str,
    typer.Option("--gpu", envvar="SPACERUN_GPU", metavar="auto|none|INDEX,…|UUID", help="Which GPUs the app may see."),
]
Python = Annotated[
    str | None,
    typer.Option(
        "--python",
        envvar="SPACERUN_PYTHON",
        metavar="X.Y",
        help="Python version instead of the card's.",
        show_default=False,
    ),
]
AsOf = Annotated[
    str,
    typer.Option(
        "--as-of",
        envvar="SPACERUN_AS_OF",
        metavar="auto|latest|DATE",
        help="Take packages as they were on this day. auto: the day of the Space's last relevant change.",
    ),
]
SystemPackages = Annotated[
    Consent,
    typer.Option(
        "--system-packages",
        envvar="SPACERUN_SYSTEM_PACKAGES",
        help="Whether the Debian packages in packages.txt may be installed.",
    ),
]
With = Annotated[
    list[str] | None,
    typer.Option(
        "--with", envvar="SPACERUN_WITH", metavar="PACKAGE", help="Install this too. Repeatable.", show_default=False
    ),
]
Env = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        "-e",
        envvar="SPACERUN_ENV",
        metavar="NAME[=VALUE]",
        help="Give the app a variable; NAME alone passes yours on. Repeatable.",
        show_default=False,
    ),
]
EnvFile = Annotated[
    list[Path] | None,
    typer.Option(
        "--env-file",
        envvar="SPACERUN_ENV_FILE",
        metavar="FILE",
        help="Give the app the variables in FILE. Repeatable.",
        show_default=False,
    ),
]
PassToken = Annotated[
    bool,
    typer.Option("--pass-token", envvar="SPACERUN_PASS_TOKEN", help="Give the app your Hugging Face token."),
]
Dir = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        envvar="SPACERUN_DIR",
        metavar="DIR",
        help="Clone into this folder and keep it up to date, your edits included.",
        show_default=False,
    ),
]
Lock = Annotated[
    Path | None,
    typer.Option(
        "--lock",
        envvar="SPACERUN_LOCK",
        metavar="FILE",
        help="Write down in FILE all that the environment holds, with hashes.",
        show_default=False,
    ),
]
Locked = Annotated[
    Path | None,
    typer.Option(
        "--locked",
        envvar="SPACERUN_LOCKED",
        metavar="FILE",
        help="Make exactly the environment that FILE, written with --lock, describes; or refuse.",
        show_default=False,
    ),
]
ReuseTorch = Annotated[
    Literal["auto", "off"],
    typer.Option(
        "--reuse-torch",
        envvar="SPACERUN_REUSE_TORCH",
        help="Use the PyTorch that this machine has where it is the one wanted, instead of downloading another.",
    ),
]
ReplaceModel = Annotated[
    list[str] | None,
    typer.Option(
        "--replace-model",
        envvar="SPACERUN_REPLACE_MODEL",
        metavar="OLD=NEW",
        help="Load the model NEW wherever the Space names OLD. Repeatable.",
        show_default=False,
    ),
]
Attempts = Annotated[
    int,
    typer.Option(
        "--attempts",
        envvar="SPACERUN_ATTEMPTS",
        min=1,
        max=6,
        help="How often to start it, each time with other packages, if it fails for a reason that these may mend.",
    ),
]
Restart = Annotated[
    Literal["no", "on-failure"],
    typer.Option(
        "--restart",
        envvar="SPACERUN_RESTART",
        help="on-failure: start it again when it crashes after it had answered, later each time, until it crashed 5 "
        "times within 10 minutes.",
    ),
]
IdleTimeout = Annotated[
    str | None,
    typer.Option(
        "--idle-timeout",
        envvar="SPACERUN_IDLE_TIMEOUT",
        metavar="DURATION",
        help="Stop it, and free its GPU, once nobody was connected to it for so long: 90s, 30m, 2h.",
        show_default=False,
    ),
]
LikeHub = Annotated[
    bool,
    typer.Option(
        "--like-hub",
        envvar="SPACERUN_LIKE_HUB",
        help="Tell the app that it runs on Hugging Face (SPACE_ID, SYSTEM=spaces). Gradio then makes no public link.",
    ),
]
NoContainer = Annotated[
    bool,
    typer.Option(
        "--no-container",
        envvar="SPACERUN_NO_CONTAINER",
        help="Run a docker Space without a container, if its Dockerfile is Python, pip and a server.",
    ),
]
Prebuilt = Annotated[
    bool,
    typer.Option(
        "--prebuilt",
        envvar="SPACERUN_PREBUILT",
        help="Run a docker Space from the image that Hugging Face built, instead of building one.",
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        envvar="SPACERUN_FORCE",
        help="Start although memory does not suffice, or a model that it needs cannot be had.",
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        envvar="SPACERUN_TIMEOUT",
        metavar="SECONDS",
        min=1,
        help="Time until the app must answer. Default: the card's, else 30 minutes.",
        show_default=False,
    ),
]
