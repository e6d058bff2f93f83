"""The edit and the hook in really installed Gradio, from 2.9 to the newest."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uv

from spacerun.source.hook_files import HookSettings, install_hook, read_launched
from spacerun.source.rewrite import edit_launch_calls

_OLD = Path("~/.pyenv/versions/3.10.13/bin/python").expanduser()
OLD = str(_OLD) if _OLD.exists() else "3.10"
# The date matters: their dependencies of today do not let them start.
RELEASES = [
    pytest.param(sys.executable, ["gradio"], id="newest"),
    pytest.param(OLD, ["gradio==5.49.1"], id="5.49.1", marks=pytest.mark.slow),
    pytest.param(OLD, ["--exclude-newer", "2024-10-10", "gradio==4.44.0"], id="4.44.0", marks=pytest.mark.slow),
    pytest.param(OLD, ["--exclude-newer", "2023-11-19", "gradio==3.50.2"], id="3.50.2", marks=pytest.mark.slow),
    pytest.param(OLD, ["--exclude-newer", "2023-04-01", "gradio==3.20.1", "setuptools"], id="3.20.1"),
    pytest.param(
        OLD, ["--exclude-newer", "2022-05-15", "gradio==2.9.4", "setuptools"], id="2.9.4", marks=pytest.mark.slow
    ),
]
# What the hook does before the app's first line, and while Gradio is imported, in seconds.
TIMED = """
import sys, time
hook = sys.meta_path[0].find_spec.__func__.__globals__
patch, spent = hook["patch"], []
def timed(*args):
    started = time.perf_counter()
    patch(*args)
    spent.append(time.perf_counter() - started)
hook["patch"] = timed
import gradio
print("SPENT", sum(spent), flush=True)
"""
LAUNCHES = {
    "edit": "demo.launch(prevent_thread_lock=True, server_name='0.0.0.0')",
    "hook": "kw = {'share': False, 'server_name': '0.0.0.0'}\ndemo.launch(**kw, prevent_thread_lock=True)",
    "positional": "demo.launch(None, False, False, prevent_thread_lock=True, server_name='0.0.0.0')",
}
# The tunnel is the one part that needs the internet.
APP = """
import json, os
import gradio as gr
gr.networking.setup_tunnel = lambda *args, **kwargs: "https://0123456789abcdef.gradio.live"
demo = gr.Interface(lambda name: name, "text", "text")
{}
print("RESULT", json.dumps([demo.share, demo.share_url, demo.local_url]), flush=True)
os._exit(0)
"""


@pytest.mark.environment
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("python", "requirements"), RELEASES)
def test_share_and_host_arrive_by_the_edit_and_by_the_hook(tmp_path, python, requirements):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GRADIO_"))}
    installer, interpreter = uv.find_uv_bin(), tmp_path / "venv" / "bin" / "python"
    subprocess.run([installer, "venv", "-q", "--python", python, tmp_path / "venv"], env=environment, check=True)
    subprocess.run(
        [installer, "pip", "install", "-q", "--python", interpreter, *requirements], env=environment, check=True
    )
    for name, launch in LAUNCHES.items():
        if name == "positional" and "gradio==2.9.4" in requirements:
            continue  # its Interface.launch takes keywords only
        source = APP.format(launch).encode()
        (tmp_path / "app.py").write_bytes(source)
        if name == "edit":
            (tmp_path / "app.py").write_bytes(edit_launch_calls("app.py", source, share=True, host="127.0.0.1").edited)
        hook = install_hook(tmp_path / "hook", HookSettings(share=True, host="127.0.0.1"))
        environment |= {"PYTHONPATH": str(hook), "GRADIO_ANALYTICS_ENABLED": "False", "HF_HOME": str(tmp_path / "hf")}
        done = subprocess.run(
            [interpreter, "app.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        result = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        assert result, done.stdout + done.stderr
        share, share_url, local_url = json.loads(result[0].removeprefix("RESULT "))
        assert (share, share_url) == (True, "https://0123456789abcdef.gradio.live")
        assert urlsplit(local_url).hostname == "127.0.0.1"
        (launched,) = read_launched(hook)
        assert (launched.local_url, launched.share_url, launched.share) == (local_url, share_url, True)
        assert launched.changed == (() if name == "edit" else ("share", "server_name"))
    done = subprocess.run(
        [interpreter, "-X", "importtime", "-c", TIMED], env=environment, capture_output=True, text=True, check=True
    )
    started = int(re.findall(r"(\d+) \|\s+sitecustomize$", done.stderr, re.MULTILINE)[0]) / 1e6
    patched = float(done.stdout.rpartition("SPENT")[2])
    print(f"\n{requirements}: {started * 1000:.1f} ms at the start, {patched * 1000:.1f} ms at its import")
    assert started + patched < 0.1
