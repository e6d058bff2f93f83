"""The ladder with real Gradio: Spaces duplicated years after their SDK's release, whose own day misleads."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Command
    from tests.hub import Hub

pytestmark = pytest.mark.slow

APP = b"import gradio as gr\ngr.Interface(lambda name: 'Hello, ' + name, 'text', 'text').launch()\n"


@pytest.mark.parametrize(
    ("version", "finding"), [("4.44.0", "hf-folder"), ("3.50.2", "template-response"), ("3.20.1", "template-response")]
)
def test_a_duplicated_space_starts_with_the_packages_of_its_sdks_release(
    version: str, finding: str, hub: Hub, hub_command: Command
) -> None:
    readme = f"---\nsdk: gradio\nsdk_version: {version}\n---\n".encode()
    name = "owner/duplicated-" + version.replace(".", "-")
    hub.publish(name, {"README.md": readme, "app.py": APP}, date=datetime(2026, 6, 1, tzinfo=timezone.utc))
    with hub_command.launch(name, "--no-share") as launched:
        attempts = launched.data["attempts"]
        assert [(a["rung"], a["outcome"], a["diagnosis"]) for a in attempts] == [
            ("as-of", "app_crashed", [finding]),
            ("sdk-release", "ok", []),
        ]
        assert predict(launched.data["url"]) == "Hello, Ada"
    with hub_command.launch(name, "--no-share") as again:
        assert [attempt["rung"] for attempt in again.data["attempts"]] == ["sdk-release"]


def predict(url: str) -> str:
    body = json.dumps({"data": ["Ada"], "fn_index": 0, "session_hash": "x"}).encode()
    for path in ("/run/predict", "/api/predict"):
        request = urllib.request.Request(url + path, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)["data"][0]
        except urllib.error.HTTPError:
            continue
    raise AssertionError("no prediction")
