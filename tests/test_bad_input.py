"""Bad input gets one sentence, a hint and the right exit code, and never a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import spacerun
from tests.command import SCRIPT

if TYPE_CHECKING:
    from tests.command import Command, Done
    from tests.hub import Hub

pytestmark = pytest.mark.environment

PACKAGE = Path(spacerun.__file__).parent
FRONT = b"---\nsdk: gradio\nsdk_version: 6.31.0\n---\n"
SERVE = b"""\
import http.server, os
address = ("127.0.0.1", %s)
http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def launch(command: Command, space: str, *arguments: str, **variables: str) -> Done:
    done = command.run("launch", space, "--no-share", "--json", *arguments, **variables)
    assert str(PACKAGE) not in done.err  # no traceback of ours
    assert done.error["exit_code"] == done.code
    assert done.error["hint"]
    assert done.error["message"].count("\n") == 0
    return done


def expect(done: Done, code: int, name: str, stage: str | None, *words: str) -> None:
    assert (done.code, done.error["name"], done.error["stage"]) == (code, name, stage), done.error
    for word in words:
        assert word in done.error["message"] + done.error["hint"], done.error


def test_unknown_space(hub_command: Command) -> None:
    expect(launch(hub_command, "owner/nothing"), 3, "not_found", "find", "owner/nothing", "missing or private")


def test_unknown_revision(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/some", {"README.md": FRONT, "app.py": b""})
    expect(launch(hub_command, "owner/some@v9"), 3, "not_found", "find", "v9")


def test_private_without_token(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/private", {"README.md": FRONT, "app.py": b""}, private=True)
    expect(launch(hub_command, "owner/private"), 3, "not_found", "find", "private", "hf auth login")


def test_not_a_space(hub_command: Command) -> None:
    expect(launch(hub_command, "alpaca"), 2, "usage", None, "owner/alpaca")


def test_folder_of_the_same_name_is_hinted_at(hub_command: Command, tmp_path: Path) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    done = hub_command.run("launch", "owner/name", "--json", cwd=tmp_path)
    expect(done, 3, "not_found", "find", "./owner/name")


def test_sdk_missing_is_inferred(hub: Hub, hub_command: Command) -> None:
    port = b'int(os.environ["GRADIO_SERVER_PORT"])'
    hub.publish("owner/bare", {"app.py": b"import gradio as gr\n" + SERVE % port})
    with hub_command.launch("owner/bare", "--no-share") as launched:
        assert launched.data["sdk"] == "gradio"
        assert any("gradio" in warning for warning in launched.warnings)


def test_nothing_that_looks_like_an_app(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/void", {"notes.txt": b"nothing"})
    expect(launch(hub_command, "owner/void"), 3, "not_found", "source", "no app")


def test_invalid_front_matter_is_read_line_by_line(hub: Hub, hub_command: Command) -> None:
    readme = b"---\nsdk: gradio\nsdk_version: 6.31.0\ntitle: [unclosed\n---\n"
    hub.publish("owner/yaml", {"README.md": readme, "app.py": b"raise SystemExit(3)"})
    done = launch(hub_command, "owner/yaml")
    expect(done, 9, "app_crashed", "start")
    assert any("not valid YAML" in warning for warning in done.document["warnings"])
    assert done.document["data"]["log"]


def test_versions_that_yaml_reads_as_numbers_stay_text(hub: Hub, hub_command: Command) -> None:
    readme = b"---\nsdk: gradio\nsdk_version: 4.40\npython_version: 3.10\n---\n"
    hub.publish("owner/floats", {"README.md": readme, "app.py": b"import gradio\ngradio.Interface(str).launch()"})
    data = hub_command.run("plan", "owner/floats", "--json").document["data"]
    assert (data["python"], data["sdk_version"]) == ("3.10", "4.40")
    assert ("gradio", "4.40.0") in [(p["name"], p["version"]) for p in data["packages"]]


def test_app_file_missing(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/nofile", {"README.md": FRONT})
    expect(launch(hub_command, "owner/nofile"), 3, "not_found", "source", "app.py")


def test_app_file_outside_of_the_checkout(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/escape", {"README.md": b"---\nsdk: gradio\napp_file: ../../../x.py\n---\n", "app.py": b""})
    expect(launch(hub_command, "owner/escape"), 4, "refused", "source", "../../../x.py")


def test_requirements_that_do_not_resolve_show_uvs_explanation(hub: Hub, hub_command: Command) -> None:
    requirements = b"six==1.16.0\nsix==1.15.0\n"
    hub.publish("owner/conflict", {"README.md": FRONT, "app.py": b"", "requirements.txt": requirements})
    expect(launch(hub_command, "owner/conflict"), 6, "environment", "environment", "six==1.15.0", "six==1.16.0")


def test_app_that_exits_at_once_shows_the_last_lines_of_its_log(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/crash", {"README.md": FRONT, "app.py": b"raise RuntimeError('no weights \\x1b[31mhere')"})
    done = launch(hub_command, "owner/crash")
    expect(done, 9, "app_crashed", "start", "RuntimeError: no weights here")
    assert "\x1b" not in done.err


def test_app_that_never_answers(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/silent", {"README.md": FRONT, "app.py": b"import time\ntime.sleep(600)"})
    expect(launch(hub_command, "owner/silent", "--timeout", "3"), 10, "timeout", "start", "3")


def test_app_that_listens_on_another_port_than_asked(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/port", {"README.md": FRONT, "app.py": SERVE % b"0"})
    with hub_command.launch("owner/port", "--no-share", "--port", "7999") as launched:
        assert launched.data["port"] != 7999
        assert launched.data["url"].endswith(str(launched.data["port"]))
        assert any("7999" in warning for warning in launched.warnings)


def test_port_that_is_taken(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/taken", {"README.md": FRONT, "app.py": b""})
    port = hub.endpoint.rpartition(":")[2]
    expect(launch(hub_command, "owner/taken", "--port", port), 2, "usage", None, port)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="mounting a small disk needs root")
def test_no_space_left(hub: Hub, hub_command: Command, tmp_path: Path) -> None:
    hub.publish("owner/large", {"README.md": FRONT, "app.py": b"", "big.bin": os.urandom(8_000_000)})
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=False)
    assert mounted.returncode == 0
    try:
        done = launch(hub_command, "owner/large", SPACERUN_HOME=str(disk / "home"))
        # Large files and packages come beside each other: whichever sees it first tells it.
        expect(done, 13, "prerequisite", done.error["stage"], "disk", "spacerun prune")
        assert done.error["stage"] in {"lfs", "environment"}
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_no_git(hub: Hub, hub_command: Command, tmp_path: Path) -> None:
    hub.publish("owner/nogit", {"README.md": FRONT, "app.py": b""})
    expect(launch(hub_command, "owner/nogit", PATH=str(tmp_path)), 13, "prerequisite", "clone", "git", "nstall")


def test_python_that_is_not_to_be_had(hub: Hub, hub_command: Command) -> None:
    readme = b"---\nsdk: gradio\nsdk_version: 6.31.0\npython_version: 3.99\n---\n"
    hub.publish("owner/python", {"README.md": readme, "app.py": b""})
    expect(launch(hub_command, "owner/python", "--offline"), 3, "not_found", "find")
    expect(launch(hub_command, "owner/python", UV_PYTHON_DOWNLOADS="never"), 13, "prerequisite", "environment", "3.99")


def test_a_docker_space_without_a_dockerfile(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/docker", {"README.md": b"---\nsdk: docker\n---\n", "app.py": b"x = 1\n"})
    expect(launch(hub_command, "owner/docker"), 3, "not_found", "source", "Dockerfile")


def test_hub_that_answers_html(hub: Hub, hub_command: Command) -> None:
    from tests.hub import Html

    hub.publish("owner/html", {"README.md": FRONT, "app.py": b""})
    hub.faults.add(Html(), path="/api/spaces/*")
    expect(launch(hub_command, "owner/html"), 5, "fetch", "find", hub.endpoint)


def test_hub_out_of_reach(hub: Hub, hub_command: Command) -> None:
    hub.go_offline()
    expect(launch(hub_command, "owner/any"), 5, "fetch", "find", hub.endpoint)


def test_usage_error_of_the_command_line_exits_2() -> None:
    done = subprocess.run([SCRIPT, "launch", "--no-such-option"], capture_output=True, check=False)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_git_that_is_too_old(hub: Hub, hub_command: Command, tmp_path: Path) -> None:
    hub.publish("owner/oldgit", {"README.md": FRONT, "app.py": b""})
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.17.1\n")
    (tmp_path / "git").chmod(0o755)
    expect(launch(hub_command, "owner/oldgit", PATH=f"{tmp_path}:/bin"), 13, "prerequisite", "clone", "2.17", "2.31")
