"""Streamlit Spaces of every period, really installed, started and visited."""

from __future__ import annotations

import socket
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.command import get

if TYPE_CHECKING:
    from tests.command import Command
    from tests.hub import Hub

pytestmark = pytest.mark.environment

TODAY = "1.67.0"
APP = b"""\
import pathlib
import sys

import streamlit as st

name = st.text_input("name", "Ada")
st.write("Hello, " + name + "!")
print("ran with", st.__version__, "on", sys.version.split()[0], flush=True)
"""
RAISING = b"""\
import streamlit as st

st.write("first")
CAPITALS = {"France": "Paris"}
st.write(CAPITALS["Atlantis"])
"""
# Of 2021 (two), 2022, 2023, 2024; each with the Python that was usual.
PERIODS = [
    ("0.84.0", "2021-07-20"),
    ("0.89.0", "2021-10-01"),
    ("1.10.0", "2022-06-20"),
    ("1.25.0", "2023-08-10"),
    ("1.40.0", "2024-11-20"),
]


def space(hub: Hub, name: str, app: bytes, version: str, day: str | None = None, **more: bytes) -> None:
    card = f"---\nsdk: streamlit\nsdk_version: {version}\n---\n"
    date = datetime.fromisoformat(day).replace(tzinfo=timezone.utc) if day else None
    hub.publish(name, {"README.md": card, "app.py": app, **more}, date=date)


def log_of(data: dict) -> str:
    return Path(data["log"]).read_text(errors="replace")


def test_a_space_of_today_answers_once_its_script_ran(hub: Hub, hub_command: Command) -> None:
    config = (
        b"[server]\nport = 9999\naddress = '0.0.0.0'\nbaseUrlPath = 'elsewhere'\nmaxUploadSize = 7\n"
        b"[client]\ntoolbarMode = 'minimal'\n"
    )
    app = APP + (
        b"print('secret', st.secrets['api']['word'], flush=True)\n"
        b"print('kept', st.get_option('server.maxUploadSize'), st.get_option('client.toolbarMode'), flush=True)\n"
    )
    files = {".streamlit/config.toml": config, ".streamlit/secrets.toml": b"[api]\nword = 'open sesame'\n"}
    space(hub, "owner/today", app, TODAY, **files, **{"packages.txt": b"libc6\nno-such-library\n"})
    plan = hub_command.run("plan", "owner/today", "--json").document["data"]
    assert plan["system_packages"] == ["libc6", "no-such-library"]
    assert ("streamlit", TODAY) in [(package["name"], package["version"]) for package in plan["packages"]]
    with hub_command.launch("owner/today", "--no-share") as launched:
        data = launched.data
        assert {p["name"]: p["version"] for p in data["packages"]}["streamlit"] == TODAY
        assert get(data["url"])[0] == 200
        # The script ran before it was said to answer, with what the Space's own settings say and no flag overrules.
        log = log_of(data)
        assert f"ran with {TODAY}" in log
        assert "secret open sesame" in log
        assert "kept 7 minimal" in log
        assert get(data["url"] + "/_stcore/health") == (200, b"ok")
        assert not any("0.0.0.0" in warning for warning in launched.warnings)
        # By a tunnel, a browser names the public address in both headers, and may then open the stream and upload.
        assert stream(data["url"], host="0123.gradio.live", origin="https://0123.gradio.live") == 101
        assert stream(data["url"], host="0123.gradio.live", origin="https://evil.example") == 403
        listed = hub_command.run("ps", "--json").document["data"]["apps"]
        assert [(row["sdk"], row["status"]) for row in listed] == [("streamlit", "running")]
        assert launched.interrupt() == 130


@pytest.mark.parametrize(
    ("app", "said"),
    [
        (RAISING, "its script raises KeyError: 'Atlantis'."),
        (b"import streamlit as st\nst.write('hello'\n", "SyntaxError"),
        (b"import streamlit as st\nimport nowhere_to_be_had\n", "No module named 'nowhere_to_be_had'"),
    ],
    ids=["raising", "syntax", "missing"],
)
def test_a_script_that_raises_is_a_failed_probe(hub: Hub, hub_command: Command, app: bytes, said: str) -> None:
    space(hub, "owner/raising", app, TODAY)
    done = hub_command.run("launch", "owner/raising", "--no-share", "--attempts", "1", "--json")
    assert (done.code, done.error["name"]) == (12, "probe_failed"), done.err
    assert said in done.error["message"]


def test_an_exception_that_the_app_shows_and_survives_is_its_own_affair(hub: Hub, hub_command: Command) -> None:
    app = APP + b"st.exception(ValueError('shown on purpose'))\nst.write('and on')\n"
    space(hub, "owner/shows", app, TODAY)
    with hub_command.launch("owner/shows", "--no-share") as launched:
        assert "ran with" in log_of(launched.data)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("version", "day"), PERIODS)
def test_a_space_of_its_day_runs_and_one_that_raises_is_told(
    hub: Hub, hub_command: Command, version: str, day: str
) -> None:
    space(hub, "owner/fine", APP, version, day)
    with hub_command.launch("owner/fine", "--no-share") as launched:
        assert f"ran with {version}" in log_of(launched.data)
        assert launched.data["rung"] == "as-of"
        print(version, launched.data["python"], launched.data["stages"])
    space(hub, "owner/raising", RAISING, version, day)
    done = hub_command.run("launch", "owner/raising", "--no-share", "--attempts", "1", "--json")
    assert (done.code, done.error["name"]) == (12, "probe_failed"), done.err
    assert "KeyError: 'Atlantis'" in done.error["message"]


def stream(url: str, *, host: str, origin: str) -> int:
    """The status with which Streamlit answers a browser that opens its WebSocket."""
    address = url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=20) as connection:
        connection.sendall(
            f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: streamlit\r\n\r\n".encode()
        )
        return int(connection.recv(4096).split()[1])
