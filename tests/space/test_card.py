"""README cards as strangers write them: read as text, inferred where missing, harmless where hostile."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from spacerun.errors import ExitCode, NotFoundError, RefusedError, UsageError
from spacerun.space.card import SpaceCard, read_card

if TYPE_CHECKING:
    from pathlib import Path

CARD = "---\ntitle: Alpaca LoRA\nsdk: gradio\nsdk_version: 3.20.1\napp_file: app.py\n---\n# Alpaca\n"


def space(folder: Path, readme: str | bytes | None, **files: str) -> Path:
    if readme is not None:
        (folder / "README.md").write_bytes(readme.encode() if isinstance(readme, str) else readme)
    for name, text in (files or {"app.py": "import gradio\n"}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def front(text: str) -> str:
    return f"---\nsdk: gradio\n{text}\n---\n"


def test_a_card_as_the_hub_writes_it(tmp_path: Path) -> None:
    card = "---\ntitle: Alpaca LoRA\nemoji: 🦙\ncolorFrom: gray\nsdk: gradio\nsdk_version: 3.20.1\napp_file: app.py\n"
    card += "suggested_hardware: a10g-small\n"
    card += "preload_from_hub:\n- gpt2 model.safetensors\nhf_oauth: true\npinned: false\n"
    card += "python_version: '3.9'\nstartup_duration_timeout: 1h\nmodels:\n- tloen/alpaca-lora-7b\n---\n"
    assert read_card(space(tmp_path, card)) == SpaceCard(
        sdk="gradio",
        sdk_version="3.20.1",
        python_version="3.9",
        app_file="app.py",
        title="Alpaca LoRA",
        models=("tloen/alpaca-lora-7b",),
        preloads=("gpt2 model.safetensors",),
        suggested_hardware="a10g-small",
        oauth=True,
        startup_seconds=3600.0,
        warnings=(),
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("4.40", "4.40"),
        ("3.10", "3.10"),
        ("5", "5"),
        ("'4.44.1'", "4.44.1"),
        ('"3.50.2"', "3.50.2"),
        ("4.0.0b1", "4.0.0b1"),
        ("3.20.1  # pinned", "3.20.1"),
        ("null", None),
        ("", None),
        ("latest", None),
    ],
)
def test_versions_stay_text(tmp_path: Path, written: str, read: str | None) -> None:
    card = read_card(space(tmp_path, front(f"sdk_version: {written}\npython_version: {written}")))
    assert (card.sdk_version, card.python_version) == (read, read)
    assert card.warnings == ()


@pytest.mark.parametrize("written", ["'>=4.0'", "four", "4.0; rm -rf /", "[4, 0]", "--pre", "4.0 --index-url http://x"])
def test_what_is_no_version_is_never_passed_on(tmp_path: Path, written: str) -> None:
    assert read_card(space(tmp_path, front(f"sdk_version: {written}"))).sdk_version is None


@pytest.mark.parametrize(
    "raw",
    [
        CARD.replace("\n", "\r\n").encode(),
        CARD.replace("\n", "\r").encode(),
        b"\xef\xbb\xbf" + CARD.encode(),
        CARD.encode("utf-16"),
        b"\xff\xfe" + CARD.encode("utf-16-le"),
        b"\xfe\xff" + CARD.encode("utf-16-be"),
        ("\n\n" + CARD).encode(),
        CARD.replace("---\n#", "---   \n#").encode(),
        CARD.replace("---\n#", "...\n#").encode(),
    ],
)
def test_encodings_and_line_ends(tmp_path: Path, raw: bytes) -> None:
    card = read_card(space(tmp_path, raw))
    assert (card.sdk, card.sdk_version, card.title, card.warnings) == ("gradio", "3.20.1", "Alpaca LoRA", ())


def test_nul_bytes_and_broken_utf8(tmp_path: Path) -> None:
    card = read_card(space(tmp_path, CARD.encode().replace(b"LoRA", b"Lo\x00RA\xff\xfe")))
    assert card.sdk_version == "3.20.1"
    assert card.title
    assert "\x00" not in card.title
    assert card.warnings == ("The README holds NUL bytes.",)


@pytest.mark.parametrize("readme", [None, "", "# Hello\n", "Hello\n" + CARD, "---\n---\n", "---\nsdk: gradio\n"])
def test_without_front_matter_the_files_tell(tmp_path: Path, readme: str | None) -> None:
    card = read_card(space(tmp_path, readme))
    assert (card.sdk, card.app_file, card.sdk_version) == ("gradio", "app.py", None)
    assert "The README names no sdk; its files look like gradio." in card.warnings


@pytest.mark.parametrize(
    "block",
    [
        "title: a: b\nsdk: gradio\nsdk_version: 4.40\n",
        "\tsdk: streamlit\nsdk: gradio\nsdk_version: 4.40\n",
        "title: 'unclosed\nsdk: gradio\nsdk_version: 4.40\n",
        "title: \x1b[31mred\nsdk: gradio\nsdk_version: 4.40\n",
        "emoji: @\nsdk: gradio\nsdk_version: '4.40' # x\n",
    ],
)
def test_invalid_yaml_still_gives_its_plain_lines(tmp_path: Path, block: str) -> None:
    card = read_card(space(tmp_path, f"---\n{block}---\n"))
    assert (card.sdk, card.sdk_version) == ("gradio", "4.40")
    assert any("is not valid YAML" in warning for warning in card.warnings)


@pytest.mark.parametrize("block", ["- sdk\n- gradio\n", "just text\n", "42\n"])
def test_yaml_that_is_no_mapping(tmp_path: Path, block: str) -> None:
    card = read_card(space(tmp_path, f"---\n{block}---\n"))
    assert card.sdk == "gradio"
    assert card.warnings


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        front(BOMB),
        front("x: " + "[" * 100_000),
        front("x: " + "{a: " * 30_000),
        front("x:\n" + "- " * 15_000),
        front("\n".join(f"k{number}: v" for number in range(20_000))),
        "---\n" * 60_000,
        "\n" * 250_000,
        front("x: !!python/object/apply:os.system ['touch ran']"),
        CARD + "x" * 50_000_000,
    ],
    ids=["aliases", "lists", "maps", "items", "keys", "dashes", "lines", "object", "giant"],
)
def test_a_hostile_or_giant_card_is_read_in_a_moment(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    space(tmp_path, text)
    began = time.perf_counter()
    card = read_card(tmp_path)
    assert time.perf_counter() - began < 2
    assert card.sdk == "gradio"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("files", "sdk", "app_file"),
    [
        ({"app.py": "import gradio as gr\n"}, "gradio", "app.py"),
        ({"app.py": "print(1)\n", "Dockerfile": "FROM x\n"}, "gradio", "app.py"),
        ({"app.py": "# streamlit\nimport os\nimport streamlit as st\n"}, "streamlit", "app.py"),
        ({"app.py": "from streamlit import write\n"}, "streamlit", "app.py"),
        ({"Dockerfile": "FROM x\n", "index.html": "<p>"}, "docker", ""),
        ({"index.html": "<p>"}, "static", "index.html"),
    ],
)
def test_the_sdk_is_inferred_from_the_files(tmp_path: Path, files: dict[str, str], sdk: str, app_file: str) -> None:
    card = read_card(space(tmp_path, "# No front matter\n", **files))
    assert (card.sdk, card.app_file) == (sdk, app_file)
    assert f"The README names no sdk; its files look like {sdk}." in card.warnings


def test_the_sdk_is_inferred_from_the_named_file(tmp_path: Path) -> None:
    card = read_card(space(tmp_path, "---\napp_file: ui/main.py\n---\n", **{"ui/main.py": "import streamlit\n"}))
    assert (card.sdk, card.app_file) == ("streamlit", "ui/main.py")


def test_nothing_looks_like_an_app(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"holds no app: neither a README that names one, nor app.py") as raised:
        read_card(space(tmp_path, None, **{"notes.txt": "x"}))
    assert raised.value.exit_code == ExitCode.NOT_FOUND


def test_an_sdk_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"names the SDK 'shiny'"):
        read_card(space(tmp_path, "---\nsdk: Shiny\n---\n"))


@pytest.mark.parametrize("sdk", ["gradio", "Gradio", "streamlit", "static"])
def test_the_usual_entry_file_of_each_sdk(tmp_path: Path, sdk: str) -> None:
    card = read_card(space(tmp_path, f"---\nsdk: {sdk}\n---\n", **{"app.py": "", "index.html": ""}))
    assert card.app_file == ("index.html" if sdk == "static" else "app.py")


def test_docker_needs_no_entry_file(tmp_path: Path) -> None:
    assert read_card(space(tmp_path, "---\nsdk: docker\napp_file: app.py\n---\n", Dockerfile="FROM x\n")).app_file == ""


@pytest.mark.parametrize("sdk", ["sdk: gradio\n", ""])
@pytest.mark.parametrize(
    "app_file", ["../../x", "../secret.py", "/etc/passwd", "a/../../secret.py", "out.py", "out/secret.py"]
)
def test_an_entry_file_outside_is_refused(tmp_path: Path, app_file: str, sdk: str) -> None:
    (tmp_path / "secret.py").write_text("import streamlit\n")
    folder = tmp_path / "space"
    folder.mkdir()
    (folder / "out.py").symlink_to("../secret.py")
    (folder / "out").symlink_to("..")
    with pytest.raises(RefusedError, match="app_file leads outside of the Space") as raised:
        read_card(space(folder, f"---\n{sdk}app_file: {app_file}\n---\n"))
    assert raised.value.exit_code == ExitCode.REFUSED


@pytest.mark.parametrize("app_file", ["main.py", "folder", "a" * 5000, "loop.py", "./missing/app.py"])
def test_an_entry_file_that_is_missing(tmp_path: Path, app_file: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop.py").symlink_to("loop.py")
    with pytest.raises(NotFoundError, match=r"The entry file .* is not in the Space"):
        read_card(space(tmp_path, f"---\nsdk: gradio\napp_file: {app_file}\n---\n"))


def test_an_entry_file_by_a_link_inside(tmp_path: Path) -> None:
    (tmp_path / "main.py").symlink_to("app.py")
    assert read_card(space(tmp_path, front("app_file: main.py"))).app_file == "main.py"


def test_a_readme_that_leads_outside_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("---\nsdk: static\n---\n")
    folder = tmp_path / "space"
    folder.mkdir()
    (folder / "README.md").symlink_to("../secret.md")
    assert read_card(space(folder, None)).sdk == "gradio"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("30m", 1800), ("1h", 3600), ("90", 90), ("45s", 45), ("1.5h", 5400), ("1d", 86400), ("", 1800), ("900d", 86400)],
)
def test_startup_duration_timeout(tmp_path: Path, written: str, seconds: float) -> None:
    card = read_card(space(tmp_path, front(f"startup_duration_timeout: {written}")))
    assert card.startup_seconds == seconds
    assert card.warnings == ()


@pytest.mark.parametrize("written", ["soon", "-5m", "0m", "1e9h", "[1h]x", "1h30"])
def test_startup_duration_timeout_that_is_none(tmp_path: Path, written: str) -> None:
    card = read_card(space(tmp_path, front(f"startup_duration_timeout: '{written}'")))
    assert card.startup_seconds == 1800
    assert any("startup_duration_timeout is not a duration" in warning for warning in card.warnings)


def test_a_title_cannot_play_with_the_terminal(tmp_path: Path) -> None:
    title = r'"\e[31mred\e[0m \u202Egnp.exe\u2066\n\r\a hf_abcdefghijklmn \e]0;owned\a \U000E0041"'
    shown = read_card(space(tmp_path, front(f"title: {title}"))).title
    assert shown == "red gnp.exe hf_***"
