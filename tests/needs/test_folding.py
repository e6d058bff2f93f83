"""The name of a model, however it reaches the call that loads it."""

from __future__ import annotations

import pytest

from tests.needs.reading import ids, loads

LOAD = "from transformers import AutoModel\nload = AutoModel.from_pretrained\n"

WAYS = {
    "assignment": ("name = 'a/b'\nload(name)", ["a/b"]),
    "module constant in a function": ("NAME = 'a/b'\ndef f():\n    return load(NAME)\nf()", ["a/b"]),
    "several assignments": ("import x\nname = 'a/b'\nif x.y:\n    name = 'a/c'\nload(name)", ["a/b", "a/c"]),
    "the last assignment": ("name = 'a/old'\nname = 'a/new'\nload(name)", ["a/new"]),
    "f-string": ("size = 'large'\nload(f'a/b-{size}')", ["a/b-large"]),
    "concatenation": ("load('a/' + 'b')", ["a/b"]),
    "percent": ("load('%s/%s' % ('a', 'b'))", ["a/b"]),
    "format": ("load('{}/{name}'.format('a', name='b'))", ["a/b"]),
    "join": ("load('/'.join(['a', 'b']))", ["a/b"]),
    "methods of strings": ("load(' A/B '.strip().lower().replace('b', 'c'))", ["a/c"]),
    "split": ("owner, name = 'a/b'.split('/')\nload(owner + '/' + name)", ["a/b"]),
    "dictionary": ("M = {'x': 'a/b', 'y': 'a/c'}\nload(M['x'])", ["a/b"]),
    "dictionary, any key": ("import x\nM = {'x': 'a/b', 'y': 'a/c'}\nload(M[x.key])", ["a/b", "a/c"]),
    "dictionary in a dictionary": ("M = {'x': {'id': 'a/b', 'n': 1}}\nload(M['x']['id'])", ["a/b"]),
    "get": ("M = {'x': 'a/b'}\nload(M.get('z', 'a/c'))", ["a/c"]),
    "items": ("for key, value in {'x': 'a/b', 'y': 'a/c'}.items():\n    load(value)", ["a/b", "a/c"]),
    "list": ("M = ['a/b', 'a/c']\nload(M[1])", ["a/c"]),
    "loop": ("for name in ['a/b', 'a/c']:\n    load(name)", ["a/b", "a/c"]),
    "loop over pairs": ("for name, kind in [('a/b', 1), ('a/c', 2)]:\n    load(name)", ["a/b", "a/c"]),
    "comprehension": ("models = {n: load(n) for n in ['a/b', 'a/c']}", ["a/b", "a/c"]),
    "append": ("M = []\nM.append('a/b')\nfor m in M:\n    load(m)", ["a/b"]),
    "unpacking": ("a, b = 'a/b', 'a/c'\nload(b)", ["a/c"]),
    "conditional expression": ("import x\nload('a/b' if x.y else 'a/c')", ["a/b", "a/c"]),
    "or": ("name = None\nload(name or 'a/b')", ["a/b"]),
    "walrus": ("load(name := 'a/b')", ["a/b"]),
    "default of a parameter": ("def f(name='a/b'):\n    return load(name)\nf()", ["a/b"]),
    "argument of a call": ("def f(name):\n    return load(name)\nf('a/b')\nf(name='a/c')", ["a/b", "a/c"]),
    "argument over three calls": (
        "def f(n):\n    return load(n)\ndef g(n):\n    return f(n)\ndef h(n):\n    return g(n)\nh('a/b')", ["a/b"]),
    "lambda": ("f = lambda n: load(n)\nf('a/b')", ["a/b"]),
    "result of a function": ("def f():\n    return 'a/b'\nload(f())", ["a/b"]),
    "attribute of an object": (
        "class C:\n    def __init__(self, n):\n        self.n = n\n    def go(self):\n        load(self.n)\nC('a/b').go()", ["a/b"]),
    "two objects": (
        "class C:\n    def __init__(self, n):\n        self.m = load(n)\nC('a/b')\nC('a/c')", ["a/b", "a/c"]),
    "attribute of a class": ("class C:\n    NAME = 'a/b'\nload(C.NAME)", ["a/b"]),
    "base class": (
        "class B:\n    def __init__(self, n):\n        load(n)\nclass C(B):\n    def __init__(self):\n"
        "        super().__init__('a/b')\nC()", ["a/b"]),
    "dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass C:\n    name: str = 'a/b'\nc = C()\nload(c.name)", ["a/b"]),
    "enum": ("from enum import Enum\nclass M(Enum):\n    X = 'a/b'\nload(M.X.value)", ["a/b"]),
    "property": (
        "class C:\n    @property\n    def name(self):\n        return 'a/b'\nload(C().name)", ["a/b"]),
    "os.getenv with a default": ("import os\nload(os.getenv('MODEL', 'a/b'))", ["a/b"]),
    "os.environ.get": ("from os import environ\nload(environ.get('MODEL') or 'a/b')", ["a/b"]),
    "argparse": (
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--base-model', '-m', default='a/b')\n"
        "args = p.parse_args()\nload(args.base_model)", ["a/b"]),
    "argparse, known arguments": (
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--m', default='a/b')\n"
        "args, rest = p.parse_known_args()\nload(args.m)", ["a/b"]),
    "fire": ("import fire\ndef main(base: str = 'a/b'):\n    load(base)\nfire.Fire(main)", ["a/b"]),
    "click": (
        "import click\n@click.command()\n@click.option('--name', default='a/b')\ndef main(name):\n    load(name)\nmain()",
        ["a/b"]),
    "typer": ("import typer\ndef main(name: str = typer.Option('a/b')):\n    load(name)\ntyper.run(main)", ["a/b"]),
    "partial": ("from functools import partial\ndef f(n):\n    load(n)\nimport x\nx.go(partial(f, 'a/b'))\nf('a/b')", ["a/b"]),
    "thread": ("import threading\ndef f(n):\n    load(n)\nthreading.Thread(target=f, args=('a/b',)).start()", ["a/b"]),
    "keyword arguments in a dictionary": ("kw = {'pretrained_model_name_or_path': 'a/b'}\nload(**kw)", ["a/b"]),
    "keyword arguments handed on": (
        "def f(**kw):\n    return load(**kw)\nf(pretrained_model_name_or_path='a/b')", ["a/b"]),
    "global": ("name = ''\ndef init():\n    global name\n    name = 'a/b'\ninit()\nload(name)", ["a/b"]),
    "namespace": ("from types import SimpleNamespace\nc = SimpleNamespace(name='a/b')\nload(c.name)", ["a/b"]),
    "cast": ("from typing import cast\nload(cast(str, 'a/b'))", ["a/b"]),
    "path": ("import os\nload(os.path.join('a', 'b'))", ["a/b"]),
    "another name on import": ("from json import dumps as d\nname = 'a/b'\nload(name)", ["a/b"]),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_name_is_followed_to_the_call_that_loads_it(way: str) -> None:
    code, expected = WAYS[way]
    assert ids(LOAD + code) == expected


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        ("gr.Dropdown(['a/b', 'a/c'], value='a/b')", ["a/b", "a/c"]),
        ("gr.Radio(choices=['a/b', 'a/c'])", ["a/b", "a/c"]),
        ("gr.Dropdown([('Small', 'a/b'), ('Large', 'a/c')])", ["a/b", "a/c"]),
        ("gr.Dropdown(list({'a/b': 1, 'a/c': 2}.keys()))", ["a/b", "a/c"]),
        ("gr.State('a/b')", ["a/b"]),
    ],
)
@pytest.mark.parametrize(
    "event",
    [
        "gr.Interface(fn=run, inputs=[gr.Textbox(), {0}], outputs='text')",
        "choice = {0}\ntext = gr.Textbox()\nb = gr.Button()\nb.click(run, [text, choice], text)",
        "gr.ChatInterface(lambda message, history, name: run(message, name), additional_inputs=[{0}])",
    ],
)
def test_all_choices_of_a_dropdown_are_candidates(component: str, expected: list[str], event: str) -> None:
    source = f"{LOAD}import gradio as gr\ndef run(text, name):\n    return load(name)\n{event.format(component)}\n"
    found = loads(source)
    assert sorted(load.id for load in found) == expected
    assert all(load.choice for load in found) or len(expected) == 1


def test_a_streamlit_choice_is_followed() -> None:
    source = f"{LOAD}import streamlit as st\nload(st.sidebar.selectbox('Model', ['a/b', 'a/c']))\n"
    assert ids(source) == ["a/b", "a/c"]


def test_names_come_from_files_of_the_space() -> None:
    source = """
    import json, yaml
    from transformers import AutoModel
    with open("models.json") as stream:
        MODELS = json.load(stream)
    config = yaml.safe_load(open("config.yaml").read())
    AutoModel.from_pretrained(MODELS["small"])
    AutoModel.from_pretrained(config["model"]["id"])
    """
    files = {"models__json": '{"small": "a/json"}', "config__yaml": "model:\n  id: a/yaml\n"}
    assert ids(source, **files) == ["a/json", "a/yaml"]


def test_names_come_from_other_modules_of_the_space() -> None:
    source = """
    from config import settings, NAME as MODEL
    import lib.models as models
    from lib.models import *
    from transformers import AutoModel
    AutoModel.from_pretrained(MODEL)
    AutoModel.from_pretrained(settings.base)
    AutoModel.from_pretrained(models.TABLE["x"])
    AutoModel.from_pretrained(STARRED)
    """
    files = {
        "config__py": "class Settings:\n    base = 'a/settings'\nsettings = Settings()\nNAME = 'a/constant'\n",
        "lib__models__py": "TABLE = {'x': 'a/table'}\nSTARRED = 'a/starred'\n",
    }
    assert ids(source, **files) == ["a/constant", "a/settings", "a/starred", "a/table"]


def test_what_is_given_by_env_is_what_is_loaded() -> None:
    source = f"import os\n{LOAD}load(os.getenv('MODEL', 'a/b'))\n"
    assert ids(source, variables={"MODEL": "a/given"}) == ["a/given"]


def test_the_branch_of_this_machine_is_read() -> None:
    source = f"import torch\n{LOAD}if torch.cuda.is_available():\n    load('a/gpu')\nelse:\n    load('a/cpu')\n"
    assert ids(source, gpu=True) == ["a/gpu"]
    assert ids(source, gpu=False) == ["a/cpu"]
    device = f"import torch\n{LOAD}d = torch.device('cuda' if torch.cuda.is_available() else 'cpu')\n"
    assert ids(f"{device}load('a/gpu' if d.type == 'cuda' else 'a/cpu')\n", gpu=False) == ["a/cpu"]
