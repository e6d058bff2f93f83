"""Breaks things for real: installs the combination that does not work, runs the line that fails, takes the log.

`python -m tests.diagnosis.provoke [NAME…]` does so and records what came out as fixtures.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from spacerun.environment.python import find_python
from spacerun.environment.uv import find_uv
from spacerun.progress import SilentProgress

FIXTURES = Path(__file__).with_name("fixtures")


@dataclass(frozen=True)
class Provocation:
    """A breakage and how to cause it.

    Attributes:
        name: Name of its fixture.
        finds: Identifier of the finding that explains it.
        code: What to run in the environment; where empty, the installation itself fails.
        python: Version of Python.
        packages: What to install, as of today.
        options: Options for `uv pip install`.
        slow: Whether the packages are a whole Gradio.
    """

    name: str
    finds: str
    code: str = ""
    python: str = "3.11"
    packages: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    slow: bool = False

    @property
    def command(self) -> str:
        """What a person would type."""
        parts = ["uv pip install", *self.options, *(repr(p) if "<" in p or ">" in p else p for p in self.packages)]
        install = " ".join(parts) if self.packages else ""
        code = f"python -c {self.code!r}" if self.code else ""
        return f"Python {self.python}: " + " && ".join(filter(None, (install, code)))


# A page is asked for as the launch does it: Gradio itself answers with the error and writes a traceback.
_ASK = """
import gradio as gr, threading, time, urllib.request
app = gr.Interface(lambda x: x, "text", "text")
app.launch(prevent_thread_lock=True)
try:
    urllib.request.urlopen(app.local_url).read()
except Exception as error:
    print(error)
time.sleep(0.5)
"""

PROVOCATIONS = (
    Provocation("hf-folder", "hf-folder", "from huggingface_hub import HfFolder", packages=("huggingface_hub>=1",)),
    Provocation(
        "cached-download",
        "cached-download",
        "from huggingface_hub import cached_download",
        packages=("huggingface_hub<1",),
    ),
    Provocation(
        "hub-repository", "hub-name-gone", "from huggingface_hub import Repository", packages=("huggingface_hub>=1",)
    ),
    Provocation("pkg-resources", "pkg-resources", "import pkg_resources", packages=("setuptools>=82",)),
    Provocation("distutils", "distutils", "import distutils.version", python="3.12"),
    Provocation("imp", "imp", "import imp", python="3.12"),
    Provocation("pyaudioop", "pyaudioop", "import pydub", python="3.13", packages=("pydub",)),
    Provocation("numpy-abi", "numpy-abi", "import pandas", python="3.10", packages=("pandas==1.5.3", "numpy==2.0.2")),
    Provocation("numpy-alias", "numpy-alias", "import numpy; numpy.float", packages=("numpy==1.26.4",)),
    Provocation("numpy-float-", "numpy-alias", "import numpy; numpy.float_", packages=("numpy>=2",)),
    Provocation(
        "protobuf-descriptors",
        "protobuf-descriptors",
        "import google.rpc.status_pb2",
        packages=("googleapis-common-protos==1.52.0", "protobuf==5.29.5"),
    ),
    Provocation(
        "httpx-proxies",
        "httpx-proxies",
        "import openai; openai.OpenAI(api_key='x')",
        packages=("openai==1.30.0", "httpx==0.28.1"),
    ),
    Provocation("openai-key", "missing-secret", "import openai; openai.OpenAI()", packages=("openai",)),
    Provocation("environ-key", "missing-secret", "import os; os.environ['OPENAI_API_KEY']"),
    Provocation("soft-unicode", "soft-unicode", "import jinja2", packages=("jinja2==2.11.3", "markupsafe==2.1.5")),
    Provocation("base-settings", "pydantic-2", "from pydantic import BaseSettings", packages=("pydantic>=2",)),
    Provocation(
        "pydantic-annotation",
        "pydantic-2",
        "import pydantic\nclass M(pydantic.BaseModel):\n    x = 1",
        packages=("pydantic>=2",),
    ),
    Provocation("antialias", "pillow-10", "from PIL import Image; Image.ANTIALIAS", packages=("pillow>=10",)),
    Provocation(
        "unicodefun",
        "click-unicodefun",
        "import black; black.patched_main()",
        python="3.10",
        packages=("black==21.12b0", "click==8.1.7"),
    ),
    Provocation(
        "serializing", "client-serializing", "from gradio_client import serializing", packages=("gradio_client>=1",)
    ),
    Provocation(
        "address-in-use",
        "address-in-use",
        "import socket\na = socket.create_server(('127.0.0.1', 0))\nsocket.create_server(a.getsockname())",
    ),
    Provocation(
        "media-data",
        "client-name-gone",
        "from gradio_client import media_data",
        packages=("gradio_client>=1",),
    ),
    Provocation("scipy-triu", "scipy-linalg", "from scipy.linalg import triu", packages=("scipy>=1.13",)),
    Provocation(
        "llama-tokenizer",
        "transformers-name-gone",
        "from transformers import LLaMATokenizer",
        packages=("transformers",),
    ),
    Provocation(
        "no-program", "no-program", "import os, subprocess; os.environ['PATH'] = '/nowhere'\nsubprocess.run(['wget'])"
    ),
    Provocation(
        "offline",
        "no-network",
        "import os; os.environ['HF_HUB_OFFLINE'] = '1'\n"
        "import huggingface_hub; huggingface_hub.hf_hub_download('gpt2', 'config.json')",
        packages=("huggingface_hub",),
    ),
    Provocation("sndfile", "system-library", "import ctypes; ctypes.CDLL('libsndfile.so.99')"),
    Provocation("no-space", "no-space", "open('/dev/full', 'wb', buffering=0).write(b'x')"),
    Provocation(
        "ffprobe",
        "no-ffmpeg",
        "import os; os.environ['PATH'] = '/nowhere'\nimport pydub; pydub.AudioSegment.from_file(pydub.__file__)",
        packages=("pydub",),
    ),
    Provocation("collections-mapping", "collections-abc", "from collections import Mapping", python="3.10"),
    Provocation("union-syntax", "python-too-old", "def f(x: int | None) -> None: ...", python="3.9"),
    Provocation("tomllib", "python-too-old", "import tomllib", python="3.10"),
    Provocation(
        "lfs-pointer",
        "lfs-pointer",
        "import pickle; pickle.loads(b'version https://git-lfs.github.com/spec/v1\\noid sha256:0\\nsize 1\\n')",
    ),
    Provocation("local-requests", "no-module", "import requests", packages=("huggingface_hub>=2",)),
    Provocation(
        "cython-sources",
        "cython-3",
        python="3.10",
        packages=("pyyaml==5.4.1",),
        options=("--no-binary", "pyyaml", "--no-cache"),
    ),
    Provocation("use-2to3", "use-2to3", packages=("anyjson==0.3.3",)),
    Provocation("build-needs-module", "build-needs-module", python="3.10", packages=("pycocotools==2.0.0",)),
    Provocation("build-failed", "build-failed", packages=("mysqlclient==2.1.1",)),
    Provocation("flash-attn", "build-needs-torch", packages=("flash-attn==2.5.8",)),
    Provocation("requires-python", "requires-python", python="3.9", packages=("gradio==5.0.0",)),
    Provocation("conflict", "requirements-conflict", packages=("gradio==4.44.0", "pydantic==1.10.2")),
    Provocation("no-such-version", "no-such-version", packages=("tokenizers==0.12.99",)),
    Provocation(
        "no-wheel-for-python",
        "no-wheel-for-python",
        python="3.13",
        packages=("numpy==1.21.6",),
        options=("--only-binary", ":all:"),
    ),
    Provocation("sklearn-name", "sklearn-name", packages=("sklearn",)),
    Provocation("gradio-4.44.0", "hf-folder", "import gradio", packages=("gradio==4.44.0",), python="3.10", slow=True),
    Provocation(
        "gradio-3.20.1", "pkg-resources", "import gradio", packages=("gradio==3.20.1",), python="3.10", slow=True
    ),
    Provocation("gradio-3.50.2", "template-response", _ASK, packages=("gradio==3.50.2",), python="3.10", slow=True),
    Provocation("gradio-4.0.2", "template-response", _ASK, packages=("gradio==4.0.2",), python="3.10", slow=True),
    Provocation(
        "gradio-3.50.2-on-3.12", "distutils", "import gradio", packages=("gradio==3.50.2",), python="3.12", slow=True
    ),
    Provocation(
        "gradio-5.0.0-on-3.13",
        "pyaudioop",
        "import gradio",
        packages=("gradio==5.0.0", "huggingface_hub<1"),
        python="3.13",
        slow=True,
    ),
    Provocation(
        "gradio-4.44.0-pydantic-2.11",
        "pydantic-2.11",
        _ASK.replace('"text", "text")', "gr.Image(), gr.Dataframe())"),
        packages=("gradio==4.44.0", "huggingface_hub<1", "starlette<1", "pydantic>=2.11"),
        python="3.10",
        slow=True,
    ),
    Provocation("gradio-5.23.0", "no-module", "import gradio", packages=("gradio==5.23.0",), slow=True),
    Provocation(
        "gradio-inputs", "gradio-name-gone", "import gradio; gradio.inputs.Image()", packages=("gradio",), slow=True
    ),
    Provocation(
        "gradio-keyword",
        "gradio-keyword",
        "import gradio; gradio.Textbox(show_copy_button=True)",
        packages=("gradio",),
        slow=True,
    ),
    Provocation(
        "gradio-3.36",
        "client-serializing",
        "import gradio",
        packages=("gradio==3.36.0", "setuptools<81"),
        python="3.10",
        slow=True,
    ),
    Provocation(
        "streamlit-altair",
        "altair-5",
        "import streamlit",
        packages=("streamlit==1.12.0", "altair>=5", "protobuf<4"),
        python="3.10",
        slow=True,
    ),
)


def provoke(provocation: Provocation, folder: Path) -> str:
    """Cause the breakage in `folder` and return what was written about it.

    Raises:
        AssertionError: It did not break.
    """
    venv = folder / "env"
    python = venv / "bin" / "python"
    # uv breaks its lines at COLUMNS; spacerun runs it without (environment/uv.py).
    variables = {name: value for name, value in os.environ.items() if not name.endswith("KEY") and name != "COLUMNS"}
    variables |= {"HOME": str(folder), "UV_CACHE_DIR": _cache(), "NO_COLOR": "1", "GRADIO_ANALYTICS_ENABLED": "False"}
    found = find_python(provocation.python, required=True, offline=False, progress=SilentProgress())
    _run([find_uv(), "venv", "-q", venv, "--python", found.path], folder, variables)
    status, said = 0, ""
    if provocation.packages:
        install = [find_uv(), "pip", "install", "--python", python, *provocation.options, *provocation.packages]
        status, said = _run(install, folder, variables)
    if provocation.code:
        assert status == 0, said
        script = folder / "app.py"
        script.write_text(provocation.code)
        status, said = _run([python, script], folder, variables)
    assert status or "500" in said, said
    return (
        said.replace(str(folder.resolve()), "/space").replace(sys.base_prefix, "/python").replace(str(Path.home()), "~")
    )


def _cache() -> str:
    return os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv")


def _run(command: list[str | Path], folder: Path, variables: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=240,
        check=False,
    )
    return done.returncode, done.stdout.decode(errors="replace")


def main() -> None:
    """Record the fixtures of the provocations named in the arguments, or of all."""
    FIXTURES.mkdir(exist_ok=True)
    for provocation in PROVOCATIONS:
        if len(sys.argv) > 1 and provocation.name not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                text = provoke(provocation, Path(folder))
            except AssertionError as error:
                print(f"{provocation.name}: it did not break: {str(error)[-300:]}")
                continue
        (FIXTURES / f"{provocation.name}.log").write_text(text)
        print(f"{provocation.name}: {text.strip().splitlines()[-1][:150] if text.strip() else ''}")


if __name__ == "__main__":
    main()
