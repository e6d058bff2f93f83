"""`plan` shows what `launch` would do, and executes nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Command
    from tests.hub import Hub

pytestmark = pytest.mark.environment

FRONT = b"---\nsdk: gradio\nsdk_version: 6.31.0\npython_version: 3.10\n---\n"
APP = b"import gradio as gr\ngr.Interface(str, 'text', 'text').launch()\n"


def test_plan_tells_all_that_launch_would_do(hub: Hub, hub_command: Command) -> None:
    files = {
        "README.md": FRONT,
        "app.py": APP,
        "big.bin": os.urandom(300_000),
        "packages.txt": b"ffmpeg\n# no\nlibgl1\n",
    }
    commit = hub.publish("owner/planned", {**files, "requirements.txt": b"six==1.16.0\n"})
    done = hub_command.run("plan", "owner/planned", "--json")
    assert done.code == 0, done.err
    data = done.document["data"]
    assert (data["space"], data["revision"], data["sdk"]) == ("owner/planned", commit, "gradio")
    versions = {package["name"]: package["version"] for package in data["packages"]}
    assert (versions["gradio"], versions["six"]) == ("6.31.0", "1.16.0")
    assert data["system_packages"] == ["ffmpeg", "libgl1"]
    assert data["download_bytes"] > 300_000
    assert data["disk_bytes"] > data["download_bytes"]
    assert (
        "-gr.Interface(str, 'text', 'text').launch()\n+gr.Interface(str, 'text', 'text').launch(share=True)"
        in data["diff"]
    )
    assert [(r["line"], r["how"]) for r in data["rewrites"]] == [(2, "edit")]
    # Nothing but small text files came: the large file is still a pointer, and nothing was edited or installed.
    tree = Path(data["directory"])
    assert (tree / "big.bin").read_bytes().startswith(b"version https://git-lfs")
    assert (tree / "app.py").read_bytes() == APP
    assert hub.bytes_sent("cdn") == 0
    assert "environment" not in data


def test_plan_runs_nothing_of_the_space_nor_of_its_requirements(hub: Hub, hub_command: Command, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    touch = f"open({str(marker)!r}, 'w')\n".encode()
    setup = touch + b"from setuptools import setup\nsetup(name='local', version='1')\n"
    files = {"README.md": FRONT, "app.py": touch + APP, "setup.py": setup, "sitecustomize.py": touch}
    hub.publish("owner/active", {**files, "requirements.txt": b"-e .\nsix\n", "pre-requirements.txt": b"."})
    done = hub_command.run("plan", "owner/active", "--json")
    assert done.code == 0, done.err
    assert done.document["data"]["known_after_install"]
    assert not marker.exists()


def test_plan_of_a_local_folder_shows_the_edit_that_the_hook_makes(command: Command, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(FRONT)
    (tmp_path / "app.py").write_bytes(APP)
    shown = command.run("plan", str(tmp_path))
    assert shown.code == 0, shown.err
    assert "+gr.Interface(str, 'text', 'text').launch(share=True)" in shown.out
    assert "never written to" in shown.out
    assert (tmp_path / "app.py").read_bytes() == APP


def test_plan_without_share_shows_no_edit(command: Command, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(FRONT)
    (tmp_path / "app.py").write_bytes(APP)
    data = command.run("plan", str(tmp_path), "--no-share", "--json").document["data"]
    assert (data["diff"], data["rewrites"]) == ("", [])


def test_plan_escapes_what_a_hostile_card_says(hub: Hub, hub_command: Command) -> None:
    readme = FRONT.replace(b"sdk:", b'title: "\\e[31mred\\u202e"\nsdk:')
    hub.publish("owner/hostile", {"README.md": readme, "app.py": APP, "packages.txt": b"\x1b[2Jcurl\n"})
    done = hub_command.run("plan", "owner/hostile", COLUMNS="80", TERM="xterm", FORCE_COLOR="")
    assert done.code == 0, done.err
    assert "\x1b[2J" not in done.out
    assert "\u202e" not in done.out + done.err
