"""Which Dockerfiles are Python, pip and a server, and what they come to without a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spacerun.containers.dockerfile import parse
from spacerun.containers.nocontainer import TranslationError, translate

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.containers.nocontainer import Translation

# The Dockerfile of Hugging Face's own guide ("Your first Docker Space: Text Generation with T5").
GUIDE = """\
FROM python:3.9

WORKDIR /code
COPY ./requirements.txt /code/requirements.txt
RUN pip install --no-cache-dir --upgrade -r /code/requirements.txt

RUN useradd -m -u 1000 user
USER user
ENV HOME=/home/user \\
	PATH=/home/user/.local/bin:$PATH
WORKDIR $HOME/app
COPY --chown=user . $HOME/app

CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "7860"]
"""
SHELL_FORM = """\
FROM python:3.11-slim
RUN apt-get update && apt-get clean && rm -rf /var/lib/apt/lists/*
ENV PORT=7860 MODE="quick" HF_HOME=/tmp/hf
WORKDIR /app
COPY . .
RUN pip install "fastapi>=0.100,<1" 'uvicorn[standard]' && pip install --upgrade pip
CMD exec gunicorn --bind 0.0.0.0:$PORT -w 1 src.main:app
"""
SUBFOLDER = """\
FROM docker.io/library/python:3.12.1-bookworm
WORKDIR /srv
COPY src/ .
RUN python3 -m pip install -r needs.txt streamlit==1.30.0
EXPOSE 8501
ENTRYPOINT ["streamlit", "run"]
CMD ["/srv/main.py", "--server.port=7860", "--server.address=0.0.0.0"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("requirements.txt", "main.py", "app.py", "src/main.py", "src/needs.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("# needed\nnumpy<2  # as ever\n" if name == "src/needs.txt" else "")
    return tmp_path


def translated(text: str, folder: Path) -> Translation:
    return translate(parse(text), folder, app_port=7860)


def test_the_dockerfile_of_hugging_face_s_guide(folder: Path) -> None:
    found = translated(GUIDE, folder)
    assert (found.python, found.packages) == ("3.9", ())
    assert found.command == ("uvicorn", "main:app", "--host", "{host}", "--port", "{port}")
    assert (found.folder, found.entry) == ("", "main.py")
    assert found.variables == {}, "HOME and PATH are the container's"


def test_a_command_in_the_shell_s_form(folder: Path) -> None:
    found = translated(SHELL_FORM, folder)
    assert (found.python, found.packages) == ("3.11", ("fastapi>=0.100,<1", "uvicorn[standard]"))
    assert found.command == ("gunicorn", "--bind", "{host}:{port}", "-w", "1", "src.main:app")
    assert found.variables == {"PORT": "{port}", "MODE": "quick"}
    assert found.entry == "src/main.py"


def test_a_folder_of_the_space_as_the_working_folder(folder: Path) -> None:
    found = translated(SUBFOLDER, folder)
    assert (found.python, found.folder, found.entry) == ("3.12.1", "src", "src/main.py")
    assert found.packages == ("streamlit==1.30.0", "numpy<2")
    assert found.command == (
        "streamlit", "run", "main.py", "--server.port={port}", "--server.address={host}",
    )  # fmt: skip


SIMPLE = "FROM python:3.10\nWORKDIR /app\nCOPY . .\n{line}\nCMD python app.py\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SIMPLE.replace("python:3.10", "nvidia/cuda:12.2.0-runtime-ubuntu22.04"), "base image is nvidia/cuda"),
        (SIMPLE.replace("python:3.10", "python:3.10 AS a\nFROM a"), "2 stages"),
        (SIMPLE.format(line="RUN apt-get install -y ffmpeg"), "runs apt-get install -y ffmpeg"),
        (SIMPLE.format(line="RUN git clone https://example.org/x"), "runs git clone"),
        (SIMPLE.format(line="RUN curl x | sh"), "more than plain commands"),
        (SIMPLE.format(line='RUN ["npm", "ci"]'), "npm"),
        (SIMPLE.format(line="RUN <<EOF\nmake\nEOF"), "runs make"),
        (SIMPLE.format(line="RUN pip install -e ."), "calls pip with -e"),
        (SIMPLE.format(line="RUN pip install ."), "as a package"),
        (SIMPLE.format(line="RUN pip install --extra-index-url https://example.org x"), "--extra-index-url"),
        (SIMPLE.format(line="RUN pip install -r other.txt"), "other.txt, which the Space has not"),
        (SIMPLE.format(line="RUN mkdir -p /app/cache"), "makes a folder"),
        (SIMPLE.format(line='SHELL ["/bin/bash", "-c"]'), "a line SHELL"),
        (SIMPLE.format(line="ONBUILD RUN x"), "a line ONBUILD"),
        (SIMPLE.format(line="ENV DATA=/data"), "names /data"),
        (SIMPLE.format(line="COPY --from=x /a /b"), "from another image"),
        (SIMPLE.replace("COPY . .", "COPY app.py /app/main.py").format(line=""), "laid out otherwise"),
        (SIMPLE.format(line="").replace("python app.py", "./start.sh"), "no Python server"),
        (SIMPLE.format(line="").replace("python app.py", "nginx & python app.py"), "a shell that does more"),
        (SIMPLE.format(line="").replace("python app.py", "python /opt/x.py"), "in the container only"),
        (SIMPLE.format(line="").replace("CMD python app.py", ""), "no command"),
        ("", "not named"),
    ],
)  # fmt: skip
def test_a_dockerfile_that_does_more_is_refused_with_the_reason(text: str, reason: str, folder: Path) -> None:
    with pytest.raises(TranslationError, match=reason):
        translated(text, folder)
