"""Who may read each model, asked at once before any download, and what may stand in for one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from spacerun.needs.access import Access, ask, is_model_id
from spacerun.needs.replacements import candidates
from tests.hub import Latency, Status

if TYPE_CHECKING:
    from tests.hub import Hub

CONFIG = {"config.json": b"{}"}


@pytest.fixture(autouse=True)
def _on_the_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HOME", str(hub.root / "hf-home"))


def test_each_kind_of_access_is_told(hub: Hub) -> None:
    public = hub.publish("owner/public", CONFIG, kind="model")
    hub.publish("owner/gated", CONFIG, kind="model", gated=True)
    hub.publish("owner/private", CONFIG, kind="model", private=True)
    found = ask((name, None) for name in ("owner/public", "owner/gated", "owner/private", "owner/none", "not//an id"))
    assert {model.id: (model.access, model.readable) for model in found.values()} == {
        "owner/public": (Access.PUBLIC, True),
        "owner/gated": (Access.GATED, False),
        "owner/private": (Access.MISSING, False),
        "owner/none": (Access.MISSING, False),
        "not//an id": (Access.MISSING, False),
    }
    assert found["owner/public"].revision == public
    assert found["owner/gated"].page == f"{hub.endpoint}/owner/gated"


def test_a_token_reads_what_its_user_may(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_token("hf_reader00000000", "reader")
    hub.publish("owner/gated", CONFIG, kind="model", gated=True, readers=["reader"])
    hub.publish("owner/closed", CONFIG, kind="model", gated=True)
    hub.publish("owner/private", CONFIG, kind="model", private=True, readers=["reader"])
    monkeypatch.setenv("HF_TOKEN", "hf_reader00000000")
    found = ask((name, None) for name in ("owner/gated", "owner/closed", "owner/private"))
    assert [(model.access, model.readable) for model in found.values()] == [
        (Access.GATED, True),
        (Access.GATED, False),
        (Access.MISSING, True),
    ]


def test_a_renamed_model_and_a_revision_are_followed(hub: Hub) -> None:
    first = hub.publish("owner/old", CONFIG, kind="model")
    hub.tag("owner/old", "v1", kind="model")
    hub.publish("owner/old", {"new.txt": b"x"}, kind="model")
    hub.rename("owner/old", "owner/new", kind="model")
    (model,) = ask([("owner/old", "v1")]).values()
    assert (model.access, model.name, model.revision) == (Access.PUBLIC, "owner/new", first)
    (unknown,) = ask([("owner/new", "no-such")]).values()
    assert (unknown.access, unknown.revision) == (Access.PUBLIC, None)


def test_models_are_asked_for_at_once(hub: Hub) -> None:
    names = [f"owner/m{number}" for number in range(8)]
    for name in names:
        hub.publish(name, CONFIG, kind="model")
    hub.faults.add(Latency(0.5), path="/api/models/owner/*")
    began = time.monotonic()
    found = ask((name, None) for name in names)
    assert {model.access for model in found.values()} == {Access.PUBLIC}
    assert time.monotonic() - began < 2.5  # 4 s one after another


@pytest.mark.parametrize("fault", [Status(500), Status(429)])
def test_a_hub_that_fails_makes_a_model_unknown_and_nothing_else(hub: Hub, fault: Status) -> None:
    hub.publish("owner/public", CONFIG, kind="model")
    hub.faults.add(fault, path="/api/models/owner/public")
    (model,) = ask([("owner/public", None)]).values()
    assert (model.access, model.readable) == (Access.UNKNOWN, None)


def test_a_hub_out_of_reach_makes_a_model_unknown(hub: Hub) -> None:
    hub.go_offline()
    (model,) = ask([("owner/public", None)]).values()
    assert model.access is Access.UNKNOWN
    assert candidates("owner/lost") == ()


def test_a_lost_model_of_public_record_is_replaced_by_its_known_successor(hub: Hub) -> None:
    (first, *_) = candidates("decapoda-research/llama-7b-hf")
    assert first.id == "huggyllama/llama-7b"
    assert first.source.startswith("https://")


def test_the_hubs_search_finds_models_of_the_same_name(hub: Hub) -> None:
    for name, downloads in {
        "popular/Nice-Model": 900,
        "other/nice-model-fp16": 50,
        "third/nice-model-extended": 5000,
        "hidden/nice-model": 9000,
    }.items():
        hub.publish(name, CONFIG, kind="model", private=name.startswith("hidden"))
        hub.set_info(name, kind="model", downloads=downloads)
    found = candidates("lost/nice-model-hf")
    assert [item.id for item in found] == ["popular/Nice-Model", "other/nice-model-fp16"]
    assert {item.source for item in found} == {"the Hub's search"}


@pytest.mark.parametrize("text", ["gpt2", "bert-base-uncased", "openai/whisper-large-v3", "a/b.c_d-e"])
def test_an_id_of_a_model_is_known_as_one(text: str) -> None:
    assert is_model_id(text)


@pytest.mark.parametrize("text", ["", "/a/b", "./x", "../x", "a/b/c", "a b/c", "a--b/c", "https://x/y", "-a/b"])
def test_what_is_no_id_of_a_model_is_known_as_none(text: str) -> None:
    assert not is_model_id(text)
