"""Whether Gradio's API is sound."""

from __future__ import annotations

import pytest

from spacerun.app import registry, supervise
from spacerun.errors import ProbeError


@pytest.mark.parametrize("mode", ["broken", "prefix"])
def test_a_page_with_a_broken_api_is_no_answer(space, listener, mode):
    app = space("fake_gradio", sdk="gradio", MODE=mode)
    with pytest.raises(ProbeError, match="page loads, but its API is broken") as caught:
        supervise(app.spec, app.environment, **listener.callbacks())
    assert "newer packages" in caught.value.message
    assert registry.load(app.spec.id).status == "failed"
    assert app.leftovers() == []


@pytest.mark.parametrize(
    ("mode", "asked"),
    [
        ("sound", ["asked /run/predict"]),
        ("raising", ["asked /run/predict"]),
        ("login", []),  # nobody can call it yet
        ("old", []),  # Gradio 2 would run the Space's code
        ("none", []),  # not Gradio at all
    ],
)
def test_a_page_that_may_be_believed(space, foreground, mode, asked):
    app = space("fake_gradio", sdk="gradio", MODE=mode)
    run = foreground(app)
    assert run.read_until("READY").split()[2] == f"http://127.0.0.1:{app.spec.port}"
    run.process.terminate()
    run.wait()
    log = (registry.run_folder(app.spec.id) / "app.log").read_text().split("\n")
    assert [line for line in log if line.startswith("asked")] == asked


def test_only_a_gradio_space_is_asked_for_its_api(space, foreground):
    app = space("fake_gradio", sdk="docker", MODE="broken")
    assert foreground(app).read_until("READY")
