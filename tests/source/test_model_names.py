"""`--replace-model` edits a model's name where it stands, and not a byte besides."""

from __future__ import annotations

import pytest

from spacerun.source.model_names import replace_models
from spacerun.source.patch import restore
from spacerun.source.project import read_project
from spacerun.source.rewrite import Wanted, edit_project

OLD, NEW = "lost/llama-7b-hf", "found/llama-7b"


def edited(source: str, **files: str) -> tuple:
    raws = {"app.py": source.encode(), **{f"{name}.py": text.encode() for name, text in files.items()}}
    project = read_project("app.py", raws.get)
    edits = edit_project(project, Wanted(share=True))
    return replace_models(edits, project, {OLD: NEW})


def text_of(source: str) -> str:
    (edit,) = edited(source)
    return edit.edited.decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('M = "lost/llama-7b-hf"', 'M = "found/llama-7b"'),
        ("M = 'lost/llama-7b-hf'  # the base", "M = 'found/llama-7b'  # the base"),
        ('M = r"""lost/llama-7b-hf"""', 'M = r"""found/llama-7b"""'),
        ('load("models/lost/llama-7b-hf")', 'load("models/found/llama-7b")'),
        (
            'u = "https://huggingface.co/lost/llama-7b-hf/resolve/main/a.bin"',
            'u = "https://huggingface.co/found/llama-7b/resolve/main/a.bin"',
        ),
        ('MODELS = {"a": "lost/llama-7b-hf", "b": "x/y"}', 'MODELS = {"a": "found/llama-7b", "b": "x/y"}'),
        ('a = f("é", "lost/llama-7b-hf")', 'a = f("é", "found/llama-7b")'),
    ],
)
def test_a_name_that_stands_alone_is_replaced(before: str, after: str) -> None:
    assert text_of(f"{before}\r\n") == f"{after}\r\n"


@pytest.mark.parametrize(
    "source",
    [
        'M = "lost/llama-7b-hf-v2"',
        'M = "not-lost/llama-7b-hf"',
        'M = "lost/" "llama-7b-hf"',
        'M = f"{owner}/llama-7b-hf"',
        "# lost/llama-7b-hf",
        'print("see lost/llama-7b-hf for more")',
        'M = f"lost/llama-7b-hf"',
        "def broken(:\n 'lost/llama-7b-hf'",
    ],
)
def test_all_else_is_left_to_the_hook(source: str) -> None:
    assert text_of(f"{source}\n") == f"{source}\n"


def test_every_file_of_the_space_is_edited_beside_its_launch_call() -> None:
    source = f'import gradio as gr\nfrom base import M\nx = "{OLD}"\ngr.Interface(str, M, x).launch()\n'
    by_file = {edit.file: edit for edit in edited(source, base=f'M = "{OLD}"\n')}
    assert by_file["app.py"].edited.decode() == source.replace(OLD, NEW).replace("launch()", "launch(share=True)")
    assert by_file["base.py"].edited.decode() == f'M = "{NEW}"\n'
    rows = [(r.file, r.line, r.before, r.after, r.how) for edit in by_file.values() for r in edit.rewrites]
    assert ("app.py", 3, f'"{OLD}"', f'"{NEW}"', "edit") in rows
    assert ("base.py", 1, f'"{OLD}"', f'"{NEW}"', "edit") in rows
    assert all(restore(edit.edited, edit) == edit.original for edit in by_file.values())
