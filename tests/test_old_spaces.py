"""Spaces of other days, really installed and asked: none of them names a version, and today's packages break each."""

from __future__ import annotations

import json
import urllib.request
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Command
    from tests.hub import Hub

pytestmark = pytest.mark.environment

APP = b"""\
import gradio as gr

def shout(text):
    return text.upper() + "!"

gr.Interface(shout, "text", "text").launch()
"""


def predict(url: str, text: str, *, fn_index: int = 0) -> tuple[int, str]:
    """Status and body of a prediction by the API that Gradio 3 and 4 share, without its queue's protocol."""
    body = json.dumps({"data": [text], "fn_index": fn_index, "session_hash": "s"}).encode()
    request = urllib.request.Request(f"{url}/api/predict/", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.status, answer.read().decode()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("version", "day", "expected"), [
    ("3.50.2", "2023-10-25", "2023-10-27"),
    pytest.param("4.44.0", "2024-09-12", "2024-09-14", marks=pytest.mark.slow),
])  # fmt: skip
def test_an_unpinned_space_runs_in_the_packages_of_its_day(
    hub: Hub, hub_command: Command, version: str, day: str, expected: str
) -> None:
    card = f"---\nsdk: gradio\nsdk_version: {version}\n---\n"
    edited = datetime.fromisoformat(day).replace(hour=12, tzinfo=timezone.utc)
    hub.publish("owner/old", {"README.md": card, "app.py": APP, "requirements.txt": "numpy\n"}, date=edited)
    # A correction of the README eighteen months later must not make the packages younger.
    later = edited.replace(year=edited.year + 2, month=4)
    hub.publish("owner/old", {"README.md": card + "\nNow with a description.\n"}, date=later)
    with hub_command.launch("owner/old", "--no-share") as launched:
        data = launched.data
        assert (data["as_of"], data["rung"]) == (f"{expected}T00:00:00Z", "as-of")
        assert {p["name"].lower(): p["version"] for p in data["packages"]}["gradio"] == version
        status, body = predict(data["url"], "hello")
        assert status == 200
        assert json.loads(body)["data"] == ["HELLO!"]
    with hub_command.launch("owner/old", "--no-share", "--offline") as again:
        assert again.data["environment"] == data["environment"]
        assert again.data["as_of"] == data["as_of"]
