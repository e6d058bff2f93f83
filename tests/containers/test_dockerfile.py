"""Dockerfiles read without an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spacerun.containers.dockerfile import parse, read_dockerfile
from spacerun.containers.layout import entry_of, in_space, root_of
from spacerun.containers.nocontainer import words_of
from spacerun.containers.shell import BeyondError, commands
from spacerun.errors import NotFoundError

if TYPE_CHECKING:
    from pathlib import Path


def test_continued_lines_comments_and_here_documents() -> None:
    dockerfile = parse(
        "# syntax=docker/dockerfile:1\r\n"
        "FROM python:3.10\r\n"
        "RUN one && \\\r\n"
        "    # a comment in between\r\n"
        "\r\n"
        "    two\r\n"
        "RUN <<-'END'\r\n"
        "\tapt-get update\r\n"
        "\tEND\r\n"
        'CMD ["python", "app.py"]\r\n'
    )  # fmt: skip
    assert [row.name for row in dockerfile.instructions] == ["RUN", "RUN", "CMD"]
    assert dockerfile.instructions[0].text.split() == ["one", "&&", "two"]
    assert dockerfile.instructions[1].heredocs == ("apt-get update",)
    assert dockerfile.instructions[1].line == 7
    assert dockerfile.command == ("python", "app.py")


def test_another_escape_character() -> None:
    dockerfile = parse("# escape=`\nFROM x\nENV A=C:\\ `\n  B=2\n")
    assert dockerfile.environment == {"A": "C:\\", "B": "2"} or dockerfile.environment["B"] == "2"


def test_arguments_are_put_in_where_docker_does_so() -> None:
    text = (
        "ARG VERSION=3.10\nFROM python:${VERSION}-slim\nARG VERSION\nARG HOME_DIR=/srv\n"
        "ENV WHERE=$HOME_DIR/app PLAIN='a b' PORT=${PORT:-7860}\nWORKDIR $WHERE\nWORKDIR sub\n"
        "RUN echo $WHERE\nEXPOSE ${PORT} 9000/udp\n"
    )
    dockerfile = parse(text)
    assert dockerfile.base == "python:3.10-slim"
    assert dockerfile.environment == {"WHERE": "/srv/app", "PLAIN": "a b", "PORT": "7860"}
    assert dockerfile.directory == "/srv/app/sub"
    assert dockerfile.ports == (7860, 9000)
    assert dockerfile.instructions[-2].text == "echo $WHERE", "a shell does that itself"
    assert parse(text, {"VERSION": "3.12", "HOME_DIR": "/x"}).base == "python:3.12-slim"
    assert parse(text, {"HOME_DIR": "/x"}).directory == "/x/app/sub"


def test_stages_inherit_what_they_begin_with() -> None:
    dockerfile = parse(
        "FROM node:20 AS web\nRUN npm ci\nFROM python:3.11 AS base\nWORKDIR /code\nENV A=1\nCMD old\n"
        'FROM base\nENTRYPOINT ["python"]\nCOPY --from=web /dist ./dist\nCMD ["app.py"]\n'
    )  # fmt: skip
    assert (dockerfile.base, dockerfile.bases, dockerfile.stages) == ("python:3.11", ("python:3.11", "node:20"), 3)
    assert (dockerfile.directory, dockerfile.environment) == ("/code", {"A": "1"})
    assert dockerfile.copies[0].stage == "web"
    assert words_of(dockerfile) == ("python", "app.py")


def test_secrets_are_told_by_their_mounts() -> None:
    dockerfile = parse(
        "FROM x\nRUN --mount=type=cache,target=/c --mount=type=secret,id=A,required=true true\n"
        "RUN --mount=type=secret,id=B true\nRUN --mount=type=secret,target=/run/secrets/C,required true\n"
    )
    assert dockerfile.secrets == {"A": True, "B": False, "C": True}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('CMD ["uvicorn", "a:b"]', ("uvicorn", "a:b")),
        ("CMD python app.py --port ${PORT:-7860}", ("python", "app.py", "--port", "7860")),
        ("ENV PORT=80\nCMD exec python app.py $PORT", ("python", "app.py", "80")),
        ('CMD ["bash", "-c", "python app.py"]', ("python", "app.py")),
        ("ENTRYPOINT python app.py\nCMD ignored", ("python", "app.py")),
        ('CMD nginx\nENTRYPOINT ["python"]', ("python",)),
        ("", ()),
    ],
)  # fmt: skip
def test_the_command_of_an_image(lines: str, words: tuple[str, ...]) -> None:
    assert words_of(parse(f"FROM x\n{lines}\n")) == words


@pytest.mark.parametrize("line", ["a | b", "a > f", "a & b", "echo $(id)", "echo `id`", "(a)", "a || b", "a 'b"])
def test_a_shell_that_does_more_is_seen(line: str) -> None:
    with pytest.raises(BeyondError):
        commands(line)


def test_commands_of_a_line() -> None:
    assert commands("a 'b c' && d; e\n\nf >g".replace(" >g", "")) == [["a", "b c"], ["d"], ["e"], ["f"]]


@pytest.mark.parametrize(
    ("copies", "command", "entry", "root"),
    [
        ("COPY . .", "python app.py", "app.py", ""),
        ("COPY . /code", "python /code/app.py", "app.py", ""),
        ("COPY requirements.txt .\nCOPY --chown=user . $HOME/app", "python -m app", "app.py", ""),
        ("COPY ./src .", "uvicorn main:api", "src/main.py", "src"),
        ("COPY src /code/src", "python src/main.py", "src/main.py", ""),
        ("COPY src src\nCOPY app.py requirements.txt ./", "python -u app.py", "app.py", ""),
        ("COPY *.py ./", "gunicorn -b 0.0.0.0:7860 app:server", "app.py", ""),
        ("COPY app.py /code/main.py", "python main.py", "app.py", None),
        ("COPY . /elsewhere", "streamlit run app.py", None, None),
        ("COPY --from=web . .", "python app.py", None, None),
        ("COPY ../../etc .", "python passwd", None, None),
        ("COPY . .", "python -c x", None, ""),
        ("COPY . .", "python -m uvicorn src.main:api", "src/main.py", ""),
    ],
)
def test_what_lies_where(copies: str, command: str, entry: str | None, root: str | None, tmp_path: Path) -> None:
    for name in ("app.py", "requirements.txt", "src/main.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    dockerfile = parse(f"FROM python:3.10\nENV HOME=/x\nWORKDIR /code\n{copies.replace('$HOME/app', '/code')}\n")
    assert entry_of(dockerfile, tmp_path, command.split()) == entry
    assert root_of(dockerfile, tmp_path) == root
    assert in_space(dockerfile, tmp_path, "../../etc/passwd") is None


def test_a_missing_dockerfile_or_one_that_leads_out_of_the_space(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_dockerfile(tmp_path)
    (tmp_path / "Dockerfile").symlink_to("/etc/passwd")
    with pytest.raises(NotFoundError):
        read_dockerfile(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FROM",
        "CMD [",
        "FROM x\nCMD " + "[" * 5000,
        "FROM x\nCOPY\nCOPY a\nENV\nENV =\nWORKDIR\nEXPOSE x\nUSER\nARG\nRUN --mount\nRUN --mount=,\n",
        "FROM a AS b\nFROM b AS a\nFROM a\n",
        "\\\n" * 2000,
        "RUN <<A <<B\n",
        "FROM x\nENV A=" + "'" * 999 + '"\\' * 999,
        "FROM ${A:-${B}}\nENV A=${A:-$A}${",
        "\0\n\x1b[2J\nFROM \u202ex\n",
    ],
)
def test_what_is_no_dockerfile_is_read_all_the_same(text: str) -> None:
    dockerfile = parse(text)
    assert dockerfile.stages <= 3
    assert all(isinstance(name, str) for name in dockerfile.secrets)
