from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spacerun.source.patch import restore
from spacerun.source.project import read_project
from spacerun.source.rewrite import Wanted, edit_project
from tests.source.projects import OWN, SPACES, UI, SpaceCase

STANDIN = Path(__file__).parent / "standin"
WANTED = Wanted(share=True, host="127.0.0.1")
every_space = pytest.mark.parametrize("case", SPACES, ids=lambda case: case.name)


def project(files: dict[str, str], entry: str = "app.py"):
    return read_project(entry, {name: text.encode() for name, text in files.items()}.get)


def rewrites(files: dict[str, str]):
    return [rewrite for edit in edit_project(project(files), WANTED) for rewrite in edit.rewrites]


def run(folder: Path, files: dict[str, bytes], entry: str) -> list[str]:
    """Write the files and run the entry file beside the stand-in; the `share` of each launch, in the order of time."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "bin").mkdir()
    for name in ("python", "python3"):
        (folder / "bin" / name).symlink_to(sys.executable)
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(STANDIN),
        "STANDIN_LOG": str(folder / "log"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, entry], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return (folder / "log").read_text().split()


@every_space
def test_the_calls_of_the_right_files_are_edited(case: SpaceCase):
    edits = edit_project(project(case.files, case.entry), WANTED)
    counts = {edit.file: sum(rewrite.how == "edit" for rewrite in edit.rewrites) for edit in edits}
    assert {file: count for file, count in counts.items() if count} == case.edited
    assert {edit.file for edit in edits if edit.edited != edit.original} == set(case.edited)


@every_space
def test_every_launch_receives_share_wherever_it_is(case: SpaceCase, tmp_path: Path):
    files = {name: text.encode() for name, text in case.files.items()}
    (tmp_path / "before").mkdir()
    (tmp_path / "after").mkdir()
    before = run(tmp_path / "before", files, case.entry)
    edits = edit_project(project(case.files, case.entry), WANTED)
    after = run(tmp_path / "after", files | {edit.file: edit.edited for edit in edits}, case.entry)
    assert len(before) == case.launches
    assert after == (["True"] * case.launches if case.edited else before)


@every_space
def test_editing_twice_and_restoring_each_file_are_exact(case: SpaceCase):
    once = edit_project(project(case.files, case.entry), WANTED)
    for edit in once:
        assert restore(edit.edited, edit) == case.files[edit.file].encode()
    files = case.files | {edit.file: edit.edited.decode() for edit in once}
    assert [edit.edited for edit in edit_project(project(files, case.entry), WANTED)] == [edit.edited for edit in once]


@pytest.mark.parametrize(
    ("server", "says"),
    [
        ("import uvicorn\nuvicorn.run('x')\n", "uvicorn"),
        ("import streamlit as st\nst.title('x')\n", "streamlit"),
        ("from flask import Flask\nFlask('x').run()\n", "flask"),
        ("from http.server import HTTPServer\n", "http"),
    ],
)
def test_a_space_of_another_server_starts_as_it_is(server, says):
    (rewrite,) = rewrites({"app.py": "import serve\n", "serve.py": server})
    assert (rewrite.after, rewrite.how) == ("starts as it is", "hook")
    assert (
        rewrite.why == f"No call in app.py and the 1 file that it leads to launches Gradio: {says} serves this Space."
    )


def test_gradio_within_another_server_is_named_with_its_line():
    source = "import gradio as gr, uvicorn\nfrom api import app\ngr.mount_gradio_app(app, gr.Blocks(), '/')\n"
    (rewrite,) = rewrites({"app.py": source, "api.py": "import fastapi\napp = fastapi.FastAPI()\n"})
    assert (rewrite.line, rewrite.after) == (3, "starts as it is")
    assert "mount_gradio_app in line 3" in rewrite.why


def test_a_launch_beside_another_server_is_edited():
    source = "import gradio as gr, fastapi\napp = fastapi.FastAPI()\ngr.Blocks().launch(prevent_thread_lock=True)\n"
    assert [rewrite.how for rewrite in rewrites({"app.py": source})] == ["edit"]


def test_a_launch_of_an_installed_package_is_named():
    source = "from evaluate.utils import launch_gradio_widget\nlaunch_gradio_widget(module)\n"
    (rewrite,) = rewrites({"app.py": source})
    assert (rewrite.line, rewrite.before) == (2, "launch_gradio_widget")
    assert "could not be traced to Gradio" in rewrite.why


def test_a_launch_handed_to_a_thread_is_left_to_the_hook_and_named():
    source = UI + "import threading\nthreading.Thread(target=demo.launch, kwargs={'share': False}).start()\n"
    (rewrite,) = rewrites({"app.py": source})
    assert (rewrite.line, rewrite.how) == (4, "hook")
    assert "handed to another function" in rewrite.why


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ("subprocess.run([sys.executable, '-I', 'go.py'])", "it starts Python with -I"),
        ("subprocess.run([sys.executable, '-Iu', '-m', 'go'])", "it starts Python with -Iu"),
        ("subprocess.run(['python3', '-sE', 'go.py'])", "it starts Python with -sE"),
        ("os.system('python3.11 -S go.py')", "it starts Python with -S"),
        ("os.execv(sys.executable, ['python', '-I', 'go.py'])", "it starts Python with -I"),
        ("subprocess.run([sys.executable, '-I', '-c', 'import go'])", "it starts Python with -I"),
        ("subprocess.run([sys.executable, 'go.py'], env={'A': 'b'})", "it gives its child an environment of its own"),
    ],
)
def test_a_child_out_of_the_hooks_reach_is_named(start, reason):
    found = project({"app.py": f"import os, subprocess, sys\n{start}\n", "go.py": OWN})
    (file, spawn), *more = found.out_of_reach
    assert (file, spawn.line, spawn.blind, more) == ("app.py", 2, reason, [])


@pytest.mark.parametrize(
    "start",
    [
        "subprocess.run([sys.executable, '-u', 'go.py'])",
        "subprocess.run([sys.executable, 'go.py', '-I'])",
        "subprocess.run([sys.executable, 'go.py'], env={**os.environ, 'A': 'b'})",
        "subprocess.run([sys.executable, 'go.py'], env=os.environ)",
        "subprocess.run(['ls', '-I', 'go.py'])",
        "subprocess.run([sys.executable, '-m', 'pip', 'install', '-I', 'x'])",
    ],
)
def test_other_children_are_not(start):
    assert project({"app.py": f"import os, subprocess, sys\n{start}\n", "go.py": OWN}).out_of_reach == ()


@pytest.mark.parametrize(
    "start",
    [
        "subprocess.run([sys.executable, '../go.py'])",
        "subprocess.run([sys.executable, '/etc/go.py'])",
        "subprocess.run([sys.executable, name + '.py'])",
        "subprocess.run([sys.executable, 'absent.py'])",
        "from ....... import go",
        "import importlib; importlib.import_module(name)",
        "exec(code)",
        "runpy.run_path()",
        "subprocess.run()",
        "os.system('python \\'go.py')",
    ],
)
def test_what_leads_elsewhere_is_not_followed(start):
    asked = []

    def read(name: str) -> bytes | None:
        asked.append(name)
        return f"import os, subprocess, sys\n{start}\n".encode() if name == "app.py" else None

    assert list(read_project("app.py", read).modules) == ["app.py"]
    assert not [name for name in asked if name.startswith(("/", "..")) or "\0" in name]


def test_only_so_many_files_are_read_and_the_rest_is_named():
    files = {f"m{number}.py": f"import m{number + 1}\n" for number in range(1000)}
    found = project(files | {"app.py": "import m0\n"})
    assert len(found.modules) == 400
    assert found.left_out == ("m399.py",)


def test_a_name_that_depends_on_itself_in_a_circle_is_settled():
    source = (
        "import gradio as gr\nclass P:\n    def launch(self): pass\n"
        "def a(n):\n    return b(n) if n else P()\n"
        "def b(n):\n    return a(n - 1) if n else gr.Blocks()\na(1).launch()\n"
    )
    assert [rewrite.how for rewrite in rewrites({"app.py": source})] == ["hook"]
    assert [rewrite.how for rewrite in rewrites({"app.py": source.replace("else P()", "else gr.Blocks()")})] == ["edit"]


def test_a_function_that_walks_a_tree_ends():
    source = (
        "import gradio as gr\ndef walk(t):\n    for k, v in t.items():\n        walk(v)\n        v.launch()\nwalk({})\n"
    )
    assert [rewrite.how for rewrite in rewrites({"app.py": source})] == ["hook"]


@pytest.mark.parametrize(
    "lines",
    [
        ["d = gr.Blocks()", *["if d: d = d.queue()", "d.launch()"] * 3000],
        ["def go(x):", *["    x.launch()"] * 2000, *["go(gr.Blocks())"] * 2000],
        ["a = []", *["a.append(gr.Blocks())", "a[0].launch()"] * 2000],
        [f"a{number} = a{number + 1} or a{number + 2}" for number in range(2000)] + ["a0.launch()"],
        [f"def f{number}(x): return f{number + 1}(x)" for number in range(2000)] + ["f0(gr.Blocks()).launch()"],
        ["x = " + "-" * 3000 + "1", "gr.Blocks().launch()"],
        ["x = " + "(" * 150 + ")" * 150, "gr.Blocks().launch()"],
        ["class A(B): pass", "class B(A): pass", "A().launch()"],
    ],
    ids=["bindings", "calls", "containers", "names", "functions", "signs", "parentheses", "classes"],
)
def test_a_source_made_to_take_long_does_not(lines):
    started = time.process_time()
    edits = edit_project(project({"app.py": "\n".join(["import gradio as gr", *lines, ""])}), WANTED)
    assert edits[0].edited
    assert time.process_time() - started < 30


def test_the_file_that_breaks_is_left_to_the_hook_and_the_others_are_edited():
    files = {"app.py": "import ui, bad\n", "ui.py": OWN, "bad.py": OWN + "gr.Blocks().launch(share=1, share=2)\n"}
    found = {rewrite.file: (rewrite.how, rewrite.why) for rewrite in rewrites(files)}
    assert found["ui.py"][0] == "edit"
    assert found["bad.py"][0] == "hook"
    assert "keyword argument repeated" in found["bad.py"][1]


def test_the_imports_of_all_files_are_known():
    assert {"gradio", "torch", "ui"} <= project({"app.py": "import ui\n", "ui.py": UI + "import torch.nn\n"}).imports


@pytest.mark.parametrize(
    ("ports", "port", "result"),
    [
        ((7860,), 7999, (7999,)),
        ((7860, 7861), 7999, (7860, 7861)),
        ((7860, 7860), 7999, (7999, 7999)),
        ((1,), None, (1,)),
    ],
)
def test_a_port_in_the_code_gives_way_where_it_is_the_only_one(ports, port, result):
    source = "import gradio as gr\n" + "".join(f"gr.Blocks().launch(server_port={number})\n" for number in ports)
    (edit,) = edit_project(project({"app.py": source}), Wanted(share=True, port=port))
    assert edit.edited.decode() == "import gradio as gr\n" + "".join(
        f"gr.Blocks().launch(share=True, server_port={number})\n" for number in result
    )
