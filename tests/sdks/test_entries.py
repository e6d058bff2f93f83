"""Spaces whose entry file is no Python: really started, their port observed, their processes named and ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spacerun.source.project import read_project
from spacerun.source.rewrite import Wanted, edit_project
from tests.app.conftest import free_port
from tests.command import get

if TYPE_CHECKING:
    from tests.command import Command
    from tests.hub import Hub

SERVE = b"""\
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{os.getcwd()} {sys.prefix} {sys.argv[1]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
LAUNCH = b"import gradio as gr\ngr.Interface(str, 'text', 'text').launch()\n"


def card(entry: str) -> bytes:
    return f"---\nsdk: gradio\nsdk_version: 6.31.0\napp_file: {entry}\n---\n".encode()


@pytest.mark.environment
@pytest.mark.parametrize("entry", ["Makefile", "scripts/start.sh"])
def test_a_script_starts_the_app_with_the_python_of_the_space(hub: Hub, hub_command: Command, entry: str) -> None:
    port = free_port()
    files = {
        "Makefile": f"all:\n\tpython src/serve.py {port}\n".encode(),
        "scripts/start.sh": f"#!/bin/bash\nset -e\npython src/serve.py {port} &\nwait\n".encode(),
    }
    hub.publish("owner/script", {"README.md": card(entry), entry: files[entry], "src/serve.py": SERVE})
    with hub_command.launch("owner/script", "--no-share") as launched:
        data = launched.data
        assert data["url"] == f"http://127.0.0.1:{port}"
        folder, prefix, _ = get(data["url"])[1].decode().split()
        assert folder == data["directory"]
        assert prefix.startswith(data["environment"])
        # The port is the app's own choice: it is observed, and who listens there is named.
        (told,) = [warning for warning in launched.warnings if "not on" in warning]
        assert f"listens on port {port}" in told
        assert "serve.py (process " in told
        assert launched.interrupt() == 130


@pytest.mark.parametrize(
    ("entry", "content"),
    [
        ("run.sh", b"export A=1\nexec python -u src/app.py --flag\n"),
        ("run.sh", b"cd src && python app.py\n"),
        ("run.sh", b"# python other.py\npython \\\n  -m src.app\n"),
        ("start", b"#!/usr/bin/env bash\nuvicorn src.app:app --port 7860\n"),
        ("Makefile", b"PY = python3\nrun: deps\n\t@$(PY) src/app.py\n"),
        ("deploy.mk", b"run:\n\t-python3.10 ./src/app.py; true\n"),
    ],
)
def test_the_launch_call_behind_a_script_is_found(entry: str, content: bytes) -> None:
    project = read_project(entry, {entry: content, "src/app.py": LAUNCH, "other.py": LAUNCH}.get)
    edits = {edit.file: edit for edit in edit_project(project, Wanted(share=True))}
    assert edits["src/app.py"].edited == LAUNCH.replace(b".launch()", b".launch(share=True)")
    assert edits.get(entry) is None or edits[entry].edited == content
    assert "other.py" not in edits


def test_a_script_that_leads_to_no_python_says_so() -> None:
    project = read_project("run.sh", {"run.sh": b"exec ./server --port 7860\n"}.get)
    (edit,) = edit_project(project, Wanted(share=False))
    (rewrite,) = edit.rewrites
    assert rewrite.how == "hook"
    assert "run.sh" in rewrite.why
