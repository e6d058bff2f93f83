"""Debian packages that packages.txt names, with stand-ins for dpkg-query, apt-get and sudo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spacerun.environment import system
from spacerun.environment.system import Consent, provide, read_system_packages
from tests.space.conftest import Heard

if TYPE_CHECKING:
    from pathlib import Path

DPKG = """#!/bin/sh
printf 'libc6\\tii \\t\\nlibgl1\\tii \\tlibgl1-mesa-glx (= 1), libx\\nffmpeg\\trc \\t\\n'
"""
# Knows ffmpeg once the lists are there, and no package whose name starts with x.
APT = """#!/bin/sh
echo "$@" >> {log}
case "$*" in *update*) touch {log}.lists; exit 0;; esac
[ -e {log}.lists ] || {{ echo "E: Unable to locate package ffmpeg" >&2; exit 100; }}
for word in "$@"; do case "$word" in x*) echo "E: Unable to locate package $word" >&2; bad=1;; esac; done
exit ${{bad:-0}}
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing but the stand-ins; returns the log of what apt-get was asked."""
    folder = tmp_path / "tools"
    folder.mkdir()
    log = tmp_path / "apt.log"
    log.touch()
    for name, text in {"dpkg-query": DPKG, "apt-get": APT.format(log=log)}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "touch").symlink_to("/usr/bin/touch")
    monkeypatch.setenv("PATH", str(folder))
    return log


def offered(space: Path, text: str, consent: Consent, *, answer: bool | None = None) -> Heard:
    (space / "packages.txt").write_text(text)
    heard = Heard()
    asked: list[str] = []

    def confirm(question: str) -> bool | None:
        asked.append(question)
        return answer

    provide(read_system_packages(space), consent, confirm=confirm, progress=heard)
    heard.notes += asked
    return heard


def test_names_are_read_as_xargs_gives_them_to_apt(tools: Path, space: Path) -> None:
    (space / "packages.txt").write_bytes(
        b"\xef\xbb\xbfffmpeg libsndfile1\r\n\r\n# no\r\nlibc6=2.31-13 # old\r\ngcc:amd64\r\n"
    )
    found = read_system_packages(space)
    assert found.names == ("ffmpeg", "libsndfile1", "libc6", "gcc")
    assert found.missing == ("ffmpeg", "libsndfile1", "gcc")


@pytest.mark.parametrize(
    "word", ["-oAPT::Update::Pre-Invoke::=sh", "a;reboot", "$(reboot)", "../x.deb", "/tmp/x.deb", "Über"]
)
def test_what_is_no_package_name_never_reaches_apt(tools: Path, space: Path, word: str) -> None:
    heard = offered(space, f"{word}\n", Consent.YES)
    assert "is no package's name" in heard.warnings[0]
    assert tools.read_text() == ""


def test_installed_provided_and_renamed_packages_are_not_missing(tools: Path, space: Path) -> None:
    heard = offered(space, "libc6\nlibgl1-mesa-glx\nlibx\n", Consent.YES)
    assert (heard.warnings, tools.read_text()) == ([], "")


def test_a_removed_package_counts_as_missing(tools: Path, space: Path) -> None:
    (space / "packages.txt").write_text("ffmpeg")
    assert read_system_packages(space).missing == ("ffmpeg",)


def test_yes_installs_what_is_missing_after_fetching_the_lists(
    tools: Path, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system.os, "geteuid", lambda: 0)
    heard = offered(space, "ffmpeg\nlibc6\nxnone\n", Consent.YES)
    install = "install --yes --no-install-recommends --"
    assert tools.read_text().splitlines() == [
        f"{install} ffmpeg xnone", "update", f"{install} ffmpeg xnone", f"{install} ffmpeg",
    ]  # fmt: skip
    assert "Installed system packages: ffmpeg." in heard.notes
    assert heard.warnings == ["System packages could not be installed: xnone."]


@pytest.mark.parametrize(("consent", "answer", "installed"), [
    (Consent.ASK, True, True), (Consent.ASK, False, False), (Consent.ASK, None, False), (Consent.NO, True, False),
])  # fmt: skip
def test_without_consent_nothing_is_installed_and_what_is_missing_is_said(
    tools: Path, space: Path, monkeypatch: pytest.MonkeyPatch, consent: Consent, answer: bool | None, installed: bool
) -> None:
    monkeypatch.setattr(system.os, "geteuid", lambda: 0)
    heard = offered(space, "ffmpeg\n", consent, answer=answer)
    assert bool(tools.read_text()) is installed
    assert any("missing: ffmpeg" in warning for warning in heard.warnings) is not installed


def test_without_root_the_missing_are_named_with_the_command(
    tools: Path, space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system.os, "geteuid", lambda: 1000)
    heard = offered(space, "ffmpeg\n", Consent.YES, answer=True)
    assert tools.read_text() == ""
    assert "takes root" in heard.warnings[0]
    assert "sudo apt-get install ffmpeg" in heard.warnings[0]


def test_a_system_without_dpkg_says_what_the_space_wants(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    heard = offered(space, "ffmpeg\n", Consent.YES)
    assert heard.warnings == ["The Space wants Debian packages, which this system does not have: ffmpeg."]


def test_no_file_and_an_empty_one_ask_for_nothing(tools: Path, space: Path) -> None:
    assert read_system_packages(space).names == ()
    assert offered(space, "\n# nothing\n", Consent.YES).warnings == []
