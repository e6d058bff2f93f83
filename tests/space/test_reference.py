"""Every way to name a Space, and what is said to every other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spacerun.errors import ExitCode, UsageError
from spacerun.space.reference import LocalRef, SpaceRef, SubdomainRef, parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ALPACA = SpaceRef("tloen", "alpaca-lora")
HUB = "https://huggingface.co/spaces/tloen/alpaca-lora"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tloen/alpaca-lora", ALPACA),
        ("tloen/alpaca-lora@main", SpaceRef("tloen", "alpaca-lora", "main")),
        ("tloen/alpaca-lora@v1.0", SpaceRef("tloen", "alpaca-lora", "v1.0")),
        (f"tloen/alpaca-lora@{COMMIT}", SpaceRef("tloen", "alpaca-lora", COMMIT)),
        ("tloen/alpaca-lora@refs/pr/3", SpaceRef("tloen", "alpaca-lora", "refs/pr/3")),
        ("tloen/alpaca-lora@feature/new-ui", SpaceRef("tloen", "alpaca-lora", "feature/new-ui")),
        ("O_w.n-3r/N.a_m-e9", SpaceRef("O_w.n-3r", "N.a_m-e9")),
        (HUB, ALPACA),
        (f"{HUB}/", ALPACA),
        (f"{HUB}.git", ALPACA),
        (f"{HUB}?logs=container#top", ALPACA),
        ("HTTPS://HuggingFace.co/spaces/tloen/alpaca-lora", ALPACA),
        ("http://huggingface.co/spaces/tloen/alpaca-lora", ALPACA),
        ("https://www.huggingface.co/spaces/tloen/alpaca-lora", ALPACA),
        ("https://hf.co/spaces/tloen/alpaca-lora", ALPACA),
        (f"{HUB}/tree/main", SpaceRef("tloen", "alpaca-lora", "main")),
        (f"{HUB}/tree/main/data", SpaceRef("tloen", "alpaca-lora", "main")),
        (f"{HUB}/tree/{COMMIT}", SpaceRef("tloen", "alpaca-lora", COMMIT)),
        (f"{HUB}/tree/refs%2Fpr%2F3", SpaceRef("tloen", "alpaca-lora", "refs/pr/3")),
        (f"{HUB}/tree/refs/pr/3/data", SpaceRef("tloen", "alpaca-lora", "refs/pr/3")),
        (f"{HUB}/tree/feature%2Fnew-ui", SpaceRef("tloen", "alpaca-lora", "feature/new-ui")),
        (f"{HUB}/blob/main/app.py", SpaceRef("tloen", "alpaca-lora", "main")),
        ("hf://spaces/tloen/alpaca-lora", ALPACA),
        ("hf://spaces/tloen/alpaca-lora@v1", SpaceRef("tloen", "alpaca-lora", "v1")),
        ("hf://spaces/tloen/alpaca-lora@refs/pr/3", SpaceRef("tloen", "alpaca-lora", "refs/pr/3")),
        ("hf://spaces/tloen/alpaca-lora@refs%2Fpr%2F3", SpaceRef("tloen", "alpaca-lora", "refs/pr/3")),
        ("https://tloen-alpaca-lora.hf.space", SubdomainRef("tloen-alpaca-lora")),
        ("https://tloen-alpaca-lora.hf.space/?__theme=dark", SubdomainRef("tloen-alpaca-lora")),
        ("https://owner-page.static.hf.space/index.html", SubdomainRef("owner-page")),
    ],
)
def test_forms_of_the_contract(text: str, expected: object) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", [".", "..", "./my-space", "../my-space", "./a@b", "./deep/er"])
def test_relative_folders(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse(text) == LocalRef(Path(f"{tmp_path}/{text}").resolve())


def test_absolute_folder_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse(f"{tmp_path}/my-space") == LocalRef(tmp_path / "my-space")
    assert parse("~/my-space") == LocalRef(tmp_path / "my-space")


def test_owner_and_name_always_mean_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tloen/alpaca-lora").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert parse("tloen/alpaca-lora") == ALPACA


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:8000", "https://hub.example.org", "https://example.org/hub"])
def test_addresses_on_the_hub_in_use(endpoint: str) -> None:
    assert parse(f"{endpoint}/spaces/tloen/alpaca-lora/tree/v1", endpoint=endpoint) == SpaceRef(
        "tloen", "alpaca-lora", "v1"
    )
    assert parse(f"{HUB}/tree/v1", endpoint=endpoint) == SpaceRef("tloen", "alpaca-lora", "v1")


def test_addresses_elsewhere_are_named() -> None:
    with pytest.raises(UsageError, match=r"example\.com is not the Hub in use \(huggingface\.co\)") as raised:
        parse("https://example.com/spaces/tloen/alpaca-lora")
    assert "HF_ENDPOINT" in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("alpaca-lora", "owner/alpaca-lora"),
        ("tloen/alpaca lora", "tloen/alpaca-lora"),
        ("tloen//alpaca-lora", "tloen/alpaca-lora"),
        ("tloen/alpaca-lora/", "tloen/alpaca-lora"),
        ("tloen/alpaca-lora.git", "tloen/alpaca-lora"),
        ("tloen/alpaca--lora", "tloen/alpaca-lora"),
        ("tloen/-alpaca-lora", "tloen/alpaca-lora"),
        ("spaces/tloen/alpaca-lora@v1", "tloen/alpaca-lora@v1"),
        ("huggingface.co/spaces/tloen/alpaca-lora", "tloen/alpaca-lora"),
        ("huggingface.co/spaces/tloen/alpaca-lora/tree/main", "tloen/alpaca-lora"),
        ("https://huggingface.co/tloen/alpaca-lora", "tloen/alpaca-lora"),
        (f"{HUB}/discussions/3", "tloen/alpaca-lora"),
        ("git@hf.co:spaces/tloen/alpaca-lora", "tloen/alpaca-lora"),
        ("ssh://git@hf.co/spaces/tloen/alpaca-lora", "tloen/alpaca-lora"),
        ("hf://tloen/alpaca-lora", "tloen/alpaca-lora"),
        ("hf://models/tloen/alpaca-lora-7b", "tloen/alpaca-lora-7b"),
        ("tloen-alpaca-lora.hf.space", "https://tloen-alpaca-lora.hf.space"),
        ("file:///srv/my%20space", "/srv/my space"),
        ("\x1b[31mtloen/x\u202e y", "tloen/x-y"),
        ("@v1", "owner/name"),
    ],
)
def test_anything_else_is_told_the_nearest_valid_form(text: str, nearest: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(text)
    assert raised.value.exit_code == ExitCode.USAGE
    assert "\n" not in raised.value.message
    assert "\x1b" not in raised.value.message + str(raised.value.hint)
    found = re.search(r"Did you mean `(.*?)`\?", raised.value.hint or "")
    assert found
    assert found[1] == nearest
    parse(nearest)  # it is a valid form indeed


def test_a_folder_without_dot_is_told_how_to_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep/er/my-space").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for text in ("deep", "deep/er/my-space"):
        with pytest.raises(UsageError) as raised:
            parse(text)
        assert f"`./{text}`" in (raised.value.hint or "")


@pytest.mark.parametrize("text", ["", "  ", "a/b\x00c"])
def test_nothing_is_no_space(text: str) -> None:
    with pytest.raises(UsageError, match="SPACE is empty"):
        parse(text)


@pytest.mark.parametrize(
    "revision",
    ["", "-x", "--upload-pack=touch x", "a..b", "a b", "a:b", "a^{}", "x~1", "x.lock", "x/", "x.", "@{1}", "x\ny"],
)
def test_revisions_that_git_would_misread(revision: str) -> None:
    with pytest.raises(UsageError, match="is not a revision of tloen/alpaca-lora") as raised:
        parse(f"tloen/alpaca-lora@{revision}")
    assert "tloen/alpaca-lora@main" in (raised.value.hint or "")
