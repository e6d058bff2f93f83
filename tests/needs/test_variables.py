"""The variables that the code reads, those it does not start without, and its other habits."""

from __future__ import annotations

import pytest

from spacerun.needs.flow import Setting
from spacerun.needs.report import read_needs
from spacerun.source.project import read_project
from tests.needs.reading import read

REQUIRED = {
    "os.environ['KEY']": True,
    "def main():\n    return os.environ['KEY']\nmain()": True,
    "class A:\n    def __init__(self):\n        self.key = os.environ['KEY']\nA()": True,
    "key = os.getenv('KEY')\nif not key:\n    raise ValueError('no key')": True,
    "key = os.getenv('KEY')\nif key is None:\n    sys.exit('no key')": True,
    "if 'KEY' and not os.environ.get('KEY', ''):\n    raise SystemExit(1)": True,
    "assert os.getenv('KEY')": True,
    "assert os.getenv('KEY') is not None, 'no key'": True,
    "def need(name):\n    value = os.getenv(name)\n    if not value:\n        raise KeyError(name)\nneed('KEY')": True,
    "from openai import OpenAI\nOpenAI(api_key=os.getenv('KEY'))": True,
    "from groq import Groq\nGroq(api_key=os.environ.get('KEY'))": True,
    "from huggingface_hub import login\nlogin(token=os.getenv('KEY'))": True,
    "from huggingface_hub import login\nlogin(os.getenv('KEY'))": True,
    "from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    key: str\nS()": True,
    "os.getenv('KEY')": False,
    "os.environ.get('KEY', 'x')": False,
    "def click(x):\n    return os.environ['KEY']\nimport gradio as gr\ngr.Interface(click, 'text', 'text').launch()": False,
    "try:\n    os.environ['KEY']\nexcept KeyError:\n    pass": False,
    "os.environ['KEY'] = 'x'\nos.environ['KEY']": False,
    "os.environ.setdefault('KEY', 'x')\nos.environ['KEY']": False,
    "key = os.getenv('KEY')\nif not key:\n    print('no key')": False,
    "key = os.getenv('KEY')\nif key:\n    raise ValueError": False,
    "import x\nkey = os.getenv('KEY')\nif x.y and not key:\n    raise ValueError": False,
    "if os.getenv('SPACE_ID'):\n    os.environ['KEY']": False,
    "from huggingface_hub import InferenceClient\nInferenceClient(token=os.getenv('KEY'))": False,
    "from openai import OpenAI\nOpenAI(api_key=os.getenv('KEY') or 'none')": False,
    "from openai import OpenAI\nkey = os.getenv('KEY')\nclient = OpenAI(api_key=key) if key else None": False,
    "from openai import OpenAI\nkey = os.getenv('KEY')\nclient = key and OpenAI(api_key=key)": False,
    "import x\nfrom openai import OpenAI\nclient = OpenAI(api_key=os.getenv('KEY')) if x.y else None": False,
}


@pytest.mark.parametrize("code", REQUIRED)
def test_a_variable_is_required_where_the_app_does_not_start_without_it(code: str) -> None:
    rows = {row.name: row for row in read(f"import os, sys\n{code}\n").variables}
    required = {name for name, row in rows.items() if row.required}
    assert required == ({"KEY"} if REQUIRED[code] else set())


def test_a_client_that_reads_its_own_key_needs_it() -> None:
    (row,) = read("from openai import OpenAI\nclient = OpenAI()\n").variables
    assert (row.name, row.required, row.secret, row.places) == ("OPENAI_API_KEY", True, True, ("app.py:2",))


def test_one_of_the_keys_that_a_client_reads_is_enough() -> None:
    source = "from google import genai\nclient = genai.Client()\n"
    assert [row.required for row in read(source).variables] == [True]
    assert [row.required for row in read(source, variables={"GEMINI_API_KEY": "x"}).variables] == []


def test_a_value_that_is_given_is_not_missing() -> None:
    source = "import os\nkey = os.getenv('API_KEY')\nif not key:\n    raise ValueError\nos.environ['OTHER_KEY']\n"
    rows = {row.name: row.required for row in read(source).variables}
    assert rows == {"API_KEY": True, "OTHER_KEY": True}
    given = {row.name: row.required for row in read(source, variables={"API_KEY": "x", "OTHER_KEY": "y"}).variables}
    assert given == {"API_KEY": False, "OTHER_KEY": False}


def test_every_variable_is_told_with_its_place_and_whether_it_is_a_secret() -> None:
    source = """
    import os
    import streamlit as st
    from os import environ as e
    token, port = e.get("HF_TOKEN"), os.getenv("PORT", "7860")
    key = st.secrets["service_password"]
    """
    rows = {row.name: (row.secret, row.places) for row in read(source).variables}
    assert rows == {
        "HF_TOKEN": (True, ("app.py:5",)),
        "PORT": (False, ("app.py:5",)),
        "service_password": (True, ("app.py:6",)),
    }


HABITS = {
    "import os\nos.system('wget https://x.org/a.zip')": ("download", "wget https://x.org/a.zip"),
    "import subprocess\nsubprocess.run(['git', 'clone', 'https://x.org/a'])": ("download", "git clone https://x.org/a"),
    "import gdown\ngdown.download('https://x.org/a')": ("download", "https://x.org/a"),
    "import os\nos.system('pip install -q flash-attn')": ("install", "pip install -q flash-attn"),
    "open('/data/log.txt', 'w')": ("data", "/data/log.txt"),
    "os.chdir('/home/user/app')": ("data", "/home/user/app"),
    "import gradio as gr\ngr.Blocks().launch(server_port=8080)": ("port", "8080"),
    "import gradio as gr\ngr.LoginButton()": ("oauth", "gr.LoginButton()"),
    "import gradio as gr\ndef f(p: gr.OAuthProfile | None):\n    pass\nf(None)": ("oauth", "p: gr.OAuthProfile | None"),
    "import spaces\n@spaces.GPU(duration=60, size='xlarge')\ndef f():\n    pass\nf()": (
        "zero-gpu", "@spaces.GPU(duration=60, size='xlarge')"),
    "from spaces import GPU\n@GPU\ndef f():\n    pass\nf()": ("zero-gpu", "@GPU"),
    "import gradio as gr, subprocess\ndef f(cmd):\n    return subprocess.check_output(cmd, shell=True)\n"
    "gr.Interface(f, 'text', 'text').launch()": ("shell", "subprocess.check_output(cmd, shell=True)"),
}  # fmt: skip


@pytest.mark.parametrize("code", HABITS)
def test_a_habit_is_told(code: str) -> None:
    assert HABITS[code] in [(habit.kind, habit.text) for habit in read(code).habits]


def test_streamlits_secrets_are_told_and_never_required() -> None:
    (row,) = read("import streamlit as st\nkey = st.secrets['API_KEY']\n").variables
    assert (row.name, row.required, row.secret) == ("API_KEY", False, True)


def test_submodules_are_told() -> None:
    modules = b'[submodule "x"]\n\tpath = x\n\turl = https://example.org/x.git\n'
    raws = {"app.py": b"", ".gitmodules": modules}
    needs = read_needs(read_project("app.py", raws.get), Setting(gpu=False, read=raws.get))
    habits = [(h.kind, h.place, h.text) for h in needs.habits]
    assert habits == [("submodule", ".gitmodules:3", "https://example.org/x.git")]


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "import gradio as gr, subprocess\ndef f(cmd):\n    return subprocess.run(['ls', cmd])\n"
        "gr.Interface(f, 'text', 'text').launch()",
        "text = 'wget is a program'",
        "folder = '/database'",
    ],
)
def test_what_is_no_habit_is_not_told(code: str) -> None:
    assert read(code).habits == ()
