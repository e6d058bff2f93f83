"""Lines that pip takes and uv refuses, or that never were right."""

from __future__ import annotations

from pathlib import Path

import pytest

from spacerun.environment.mending import Mended, mend
from spacerun.environment.requirements import parse_line


def mended(*texts: str) -> Mended:
    return mend([parse_line(Path("/space"), text) for text in texts])


def texts(*given: str) -> list[str]:
    return [line.text for line in mended(*given).lines]


@pytest.mark.parametrize(("given", "expected"), [
    ("sklearn", "scikit-learn"),
    ("sklearn==0.0", "scikit-learn"),
    ("sklearn==0.0.post5 ; python_version > '3'", "scikit-learn"),
    ("sklearn>=1.2", "scikit-learn>=1.2"),
    ("PIL", "pillow"),
    ("cv2", "opencv-python-headless"),
    ("tensorflow-gpu==2.11.0", "tensorflow==2.11.0"),
])  # fmt: skip
def test_wrong_names_are_put_right_and_said(given: str, expected: str) -> None:
    result = mended(given)
    assert [line.text for line in result.lines] == [expected]
    assert "is a wrong name" in result.notes[0]


@pytest.mark.parametrize("given", ["uuid", "asyncio==3.4.3", "typing", "Sqlite3", "distutils", "python==3.8"])
def test_names_of_the_standard_library_are_dropped_and_said(given: str) -> None:
    result = mended(given, "torch")
    assert [line.text for line in result.lines] == ["torch"]
    assert given.split("==", maxsplit=1)[0] in result.notes[0]


def test_right_names_stay_as_they_are() -> None:
    given = [
        "scikit-learn==1.2",
        "numpy<2 ; python_version < '3.13'",
        "git+https://h/x.git",
        "ffmpeg",
        "typing-extensions",
    ]
    assert texts(*given) == given
    assert mended(*given).notes == ()


def test_options_behind_a_requirement_are_ignored_as_pip_does_but_hashes_stay() -> None:
    assert texts("torch==2.0 --index-url https://x/simple") == ["torch==2.0"]
    assert texts("torch==2.0 -f https://x/simple") == ["torch==2.0"]
    assert texts("six --hash=sha256:ab --config-settings a=b") == ["six --hash=sha256:ab"]
    assert texts("six --hash=sha256:ab") == ["six --hash=sha256:ab"]
    assert "--index-url https://x/simple" in mended("torch --index-url https://x/simple").notes[0]


def test_options_that_uv_does_not_know_are_left_out_and_said() -> None:
    kept = ["--extra-index-url https://x/simple", "-i https://y/simple", "--no-binary :all:"]
    result = mended(*kept, "--no-cache-dir", "--trusted-host x.org", "--upgrade", "six")
    assert [line.text for line in result.lines] == [*kept, "six"]
    assert len(result.notes) == 3


def test_pre_asks_for_prereleases() -> None:
    assert mended("--pre", "six").prerelease
    assert not mended("six").prerelease
