"""The Hub's refusals and failures as one sentence, a hint and the right kind of error."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from spacerun import hub as client
from spacerun.errors import ExitCode, FetchError, NotFoundError
from spacerun.progress import SilentProgress
from tests.hub import Cut, Html, Latency, Status

if TYPE_CHECKING:
    from tests.hub import Hub

TOKEN = "hf_theOwnersOwnToken"  # not a real one
STRANGER = "hf_someStrangersToken"


class Heard(SilentProgress):
    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def heard(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Heard:
    from huggingface_hub import constants

    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nonexistent/token")
    hub.publish("owner/hello", {"app.py": b"1"})
    hub.add_token(TOKEN, "owner")
    hub.add_token(STRANGER, "stranger")
    return Heard()


def ask(progress: Heard, space: str = "owner/hello", revision: str | None = None) -> str:
    from huggingface_hub.errors import HfHubHTTPError

    with client.hub_errors(f"Space {space}", revision=revision):
        info = client.retrying(
            lambda: client.api().space_info(space, revision=revision, timeout=5), HfHubHTTPError, progress
        )
        return str(info.sha)


def test_endpoint_is_read_as_huggingface_hub_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.endpoint() == "https://huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", "")
    assert client.endpoint() == "https://huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:8000/")
    assert client.endpoint() == "http://127.0.0.1:8000"


@pytest.mark.parametrize(("value", "offline"), [("1", True), ("true", True), ("YES", True), ("0", False), ("", False)])
@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_is_read_as_huggingface_hub_does(
    name: str, value: str, offline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert client.is_offline() is offline


def test_missing_and_private_look_alike_without_a_token(hub: Hub, heard: Heard) -> None:
    hub.publish("owner/secret", {"app.py": b"1"}, private=True)
    said = set()
    for space in ("owner/missing", "owner/secret"):
        with pytest.raises(NotFoundError) as raised:
            ask(heard, space)
        assert raised.value.exit_code == ExitCode.NOT_FOUND
        said.add(raised.value.message.replace(space, "X"))
        assert "hf auth login" in (raised.value.hint or "")
    assert said == {"Space X is missing or private (without a token the two look alike)."}


def test_a_token_that_may_and_one_that_may_not(hub: Hub, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = hub.publish("owner/secret", {"app.py": b"1"}, private=True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert ask(heard, "owner/secret") == commit
    monkeypatch.setenv("HF_TOKEN", STRANGER)
    with pytest.raises(NotFoundError, match="missing or private, and your token may not read it"):
        ask(heard, "owner/secret")


def test_a_token_that_the_hub_does_not_know(hub: Hub, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_expiredexpiredexpired")
    with pytest.raises(NotFoundError, match=r"^The Hub does not accept your token\.$") as raised:
        ask(heard)
    assert "hf auth login" in (raised.value.hint or "")


def test_gated(hub: Hub, heard: Heard) -> None:
    hub.publish("owner/gated", {"config.json": b"{}"}, kind="model", gated=True)
    with pytest.raises(NotFoundError, match="owner/gated is gated"), client.hub_errors("Model owner/gated"):
        client.api().auth_check("owner/gated")


def test_unknown_revision(heard: Heard) -> None:
    with pytest.raises(NotFoundError, match="Space owner/hello has no revision 'nope'"):
        ask(heard, revision="nope")


def test_retry_after_is_waited_for(hub: Hub, heard: Heard) -> None:
    rule = hub.faults.add(Status(429, retry_after=1), path="/api/spaces/*", times=2)
    began = time.monotonic()
    assert ask(heard)
    assert 2 <= time.monotonic() - began < 10
    assert rule.hits == 2
    assert heard.notes == ["The Hub asks to wait; trying again in 1 s."] * 2


@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), ("3600", 60.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 1.0)])
def test_how_long_is_waited(hub: Hub, heard: Heard, asked: str, waited: float, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(client.time, "sleep", slept.append)
    hub.faults.add(Status(429, retry_after=asked), path="/api/spaces/*", times=1)  # type: ignore[arg-type]
    assert ask(heard)
    assert waited in slept


def test_passing_failures_are_tried_again_four_times(hub: Hub, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(client.time, "sleep", slept.append)
    rule = hub.faults.add(Status(503), path="/api/spaces/*", times=3)
    assert ask(heard)
    rule.times = None
    slept.clear()
    with pytest.raises(FetchError, match=r"the Hub at http://127\.0\.0\.1:\d+ answered: .*503") as raised:
        ask(heard)
    assert rule.hits == 3 + 4
    assert [seconds for seconds in slept if seconds >= 1] == [1.0, 2.0, 4.0]
    assert raised.value.exit_code == ExitCode.FETCH
    assert "\n" not in raised.value.message


def test_a_server_error_that_does_not_pass_is_not_tried_again(hub: Hub, heard: Heard) -> None:
    rule = hub.faults.add(Status(418), path="/api/spaces/*")
    with pytest.raises(FetchError, match="418"):
        ask(heard)
    assert rule.hits == 1


@pytest.mark.parametrize("fault", [Html(), Cut(0.5)])
def test_an_answer_that_is_not_the_api(hub: Hub, heard: Heard, fault: Html | Cut) -> None:
    hub.faults.add(fault, path="/api/spaces/*")
    with pytest.raises(FetchError) as raised:
        ask(heard)
    assert "\n" not in raised.value.message
    assert hub.endpoint in raised.value.message
    assert raised.value.hint


def test_a_hub_that_cannot_be_reached(hub: Hub, heard: Heard) -> None:
    hub.go_offline()
    with pytest.raises(FetchError, match=r"^The Hub at http://127\.0\.0\.1:\d+ cannot be reached: ") as raised:
        ask(heard)
    assert "--offline" in (raised.value.hint or "")


def test_a_hub_that_does_not_answer_in_time(hub: Hub, heard: Heard) -> None:
    from huggingface_hub.errors import HfHubHTTPError

    hub.faults.add(Latency(3), path="/api/spaces/*")
    with pytest.raises(FetchError, match="cannot be reached"), client.hub_errors("Space owner/hello"):
        client.retrying(lambda: client.api().space_info("owner/hello", timeout=0.2), HfHubHTTPError, heard)


def test_errors_of_ours_pass_unchanged() -> None:
    error = FetchError("mine")
    with pytest.raises(FetchError) as raised, client.hub_errors("Space owner/hello"):
        raise error
    assert raised.value is error
