"""Many files at once: few bytes of each, remembered by commit, and a failure that harms nothing else."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save

from spacerun.checkpoints import places, store
from spacerun.checkpoints.places import OnDisk, OnHub
from spacerun.checkpoints.store import AT_ONCE, Read, read_all
from spacerun.checkpoints.tensors import Contents, Tensor
from spacerun.needs.access import ask
from spacerun.needs.load import Load
from spacerun.needs.models import ModelNeed
from spacerun.needs.precision import Precision
from spacerun.paths import home
from tests.checkpoints.making import InMemory, pickle, row, safetensors, tensor, torch_zip
from tests.checkpoints.test_gguf import ARCHITECTURE, BLOCKS, file, info
from tests.hub import Html, Latency, Sparse, Status

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub import Hub

REPO = "owner/model"
SHARDS = [f"model-{n:05}-of-00004.safetensors" for n in range(1, 5)]
GIGABYTES = 5_000_000_000


@pytest.fixture(autouse=True)
def _on_the_hub(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HOME", str(hub.root / "hf-home"))
    monkeypatch.setenv("SPACERUN_HOME", str(tmp_path / "home"))


def shard(number: int, tensors: int = 50, width: int = 100_000) -> bytes:
    """The header of a shard of `tensors` times 200 kB."""
    size = 2 * width
    return safetensors(
        {
            f"layers.{number}.{n}.weight": row("F16", [100, width // 100], n * size, (n + 1) * size)
            for n in range(tensors)
        }
    )


def publish(hub: Hub, repo: str = REPO) -> tuple[OnHub, dict[str, int]]:
    """A model of four shards, 40 MB in all."""
    shards = {name: Sparse(head := shard(n), len(head) + 10_000_000) for n, name in enumerate(SHARDS)}
    commit = hub.publish(repo, {**shards, "config.json": '{"hidden_size": 100}'}, kind="model")
    return OnHub(repo, commit), {name: content.size for name, content in shards.items()}


def asked(hub: Hub) -> int:
    return sum("agent-harnesses" not in e.path for e in hub.requests)


def test_of_a_sharded_model_only_headers_travel_and_only_once(hub: Hub) -> None:
    place, files = publish(hub)
    hub.clear_requests()
    first = read_all(place, files, configs=["config.json", "generation_config.json"])
    assert (first.problems, first.configs) == ({}, {"config.json": {"hidden_size": 100}})
    assert list(first.contents) == SHARDS
    assert sum(t.stored_bytes for c in first.contents.values() for t in c.tensors) == 40_000_000
    assert sum(t.parameters for c in first.contents.values() for t in c.tensors) == 20_000_000
    parts = [e for e in hub.requests if e.kind == "cdn"]
    assert [(e.status, e.bytes_sent <= 100_000, e.has_authorization) for e in parts] == [(206, True, False)] * 4
    assert hub.bytes_sent() < 405_000  # of 40 MB

    hub.clear_requests()
    assert read_all(place, files, configs=["config.json", "generation_config.json"]) == first
    assert asked(hub) == 0


def test_a_file_of_gigabytes_of_each_format_is_read_in_a_few_requests(hub: Hub) -> None:
    ckpt = torch_zip(
        pickle({f"l.{n}": tensor(str(n), (1000,)) for n in range(300)}), {str(n): 4000 for n in range(300)}
    )
    gguf = file([ARCHITECTURE, BLOCKS], [info("blk.0.weight", [256, 10], 12, 0)])
    contents: dict[str, bytes | Sparse] = {
        "model.safetensors": Sparse(shard(0), GIGABYTES),
        "model.gguf": Sparse(gguf, GIGABYTES),
        "pytorch_model.bin": ckpt,
        "legacy.pt": b"\x80\x02\x8a\nl" + bytes(2_000_000),
        "model.onnx": bytes(1000),
        "tf_model.h5": bytes(1000),
    }
    commit = hub.publish(REPO, contents, kind="model")
    hub.clear_requests()
    sizes = {name: c.size if isinstance(c, Sparse) else len(c) for name, c in contents.items()}
    found = read_all(OnHub(REPO, commit), sizes)
    assert found.problems == {}
    assert {name: (c.size_bytes, len(c.tensors)) for name, c in found.contents.items()} == {
        "model.safetensors": (GIGABYTES, 50),
        "model.gguf": (GIGABYTES, 1),
        "pytorch_model.bin": (len(ckpt), 300),
        "legacy.pt": (2_000_005, 0),
        "model.onnx": (1000, 0),
        "tf_model.h5": (1000, 0),
    }
    assert found.contents["model.gguf"].facts["block_count"] == 36
    assert found.contents["model.gguf"].tensors == (Tensor("blk.0.weight", "Q4_K", (10, 256), 1440),)
    sent = dict.fromkeys(contents, 0) | {"redirected": 0}
    for exchange in hub.requests:
        name = exchange.path.rpartition("/")[2]
        if name in sent:
            sent[name] += 1
    assert sent["model.onnx"] == sent["tf_model.h5"] == 0
    assert (sent["model.safetensors"], sent["model.gguf"], sent["pytorch_model.bin"], sent["legacy.pt"]) == (1, 1, 2, 1)
    assert hub.bytes_sent("cdn") < 600_000


def need(hub: Hub, load: Load) -> tuple[OnHub, dict[str, int]]:
    """A model and the files of it that a load call fetches, as the Hub tells them."""
    (found,) = ask([(str(load.id), None)]).values()
    model = ModelNeed(str(load.id), ("app.py:1",), load, found=found)
    assert model.files is not None
    return OnHub(found.name or found.id, found.revision), {name: found.sizes[name] for name in model.files}


def weights(**tensors: np.ndarray) -> bytes:
    return save(tensors)


def test_of_a_pipeline_the_variant_of_each_part_is_read(hub: Hub) -> None:
    full, half = np.zeros((4, 4), np.float32), np.zeros((4, 4), np.float16)
    hub.publish(
        REPO,
        {
            "model_index.json": "{}",
            "unet/config.json": '{"in_channels": 4}',
            "unet/diffusion_pytorch_model.safetensors": weights(conv=full),
            "unet/diffusion_pytorch_model.fp16.safetensors": weights(conv=half),
            "vae/diffusion_pytorch_model.safetensors": weights(decoder=full),
            "text_encoder/model.fp16.safetensors": weights(embedding=half),
            "v1-5-pruned.safetensors": weights(everything=full),
        },
        kind="model",
    )
    load = Load(REPO, "hub", "diffusers", "weights", Precision("float16"), "app.py:1", variant="fp16")
    found = read_all(*need(hub, load), configs=["unet/config.json", "vae/config.json"])
    assert {name: [t.dtype for t in c.tensors] for name, c in found.contents.items()} == {
        "unet/diffusion_pytorch_model.fp16.safetensors": ["F16"],
        "vae/diffusion_pytorch_model.safetensors": ["F32"],
        "text_encoder/model.fp16.safetensors": ["F16"],
    }
    assert (found.problems, found.configs) == ({}, {"unet/config.json": {"in_channels": 4}})


def test_of_an_adapter_its_own_weights_are_read(hub: Hub) -> None:
    hub.publish(
        REPO,
        {
            "adapter_config.json": '{"r": 8}',
            "adapter_model.safetensors": weights(lora_A=np.zeros((8, 64), np.float32)),
            "checkpoint-100/adapter_model.safetensors": weights(lora_A=np.zeros((8, 64), np.float32)),
        },
        kind="model",
    )
    load = Load(REPO, "hub", "peft", "adapter", Precision(None), "app.py:1")
    found = read_all(*need(hub, load), configs=["adapter_config.json"])
    assert {name: c.tensors for name, c in found.contents.items()} == {
        "adapter_model.safetensors": (Tensor("lora_A", "F32", (8, 64), 2048),)
    }
    assert found.configs == {"adapter_config.json": {"r": 8}}


def test_files_of_the_space_are_read_from_the_hub_and_from_disk(hub: Hub, tmp_path: Path) -> None:
    content = weights(x=np.zeros(10, np.float16))
    commit = hub.publish("owner/app", {"models/a.safetensors": content})
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.safetensors").write_bytes(content)
    expected = Read({"models/a.safetensors": Contents(len(content), (Tensor("x", "F16", (10,), 20),))}, {}, {})
    files = {"models/a.safetensors": len(content)}
    assert read_all(OnHub("owner/app", commit, "space"), files) == expected
    hub.clear_requests()
    assert read_all(OnDisk(tmp_path), files) == expected
    assert asked(hub) == 0


# -- what was read before ----------------------------------------------------------------------------------------------


def memory() -> list[Path]:
    return sorted((home().cache / "checkpoints").glob("*"))


def test_only_what_is_new_is_asked_for(hub: Hub) -> None:
    place, files = publish(hub)
    first = dict(list(files.items())[:2])
    read_all(place, first)
    hub.clear_requests()
    assert list(read_all(place, files, configs=["config.json"]).contents) == SHARDS
    assert len([e for e in hub.requests if e.kind == "cdn"]) == 2
    assert len(memory()) == 1
    hub.go_offline()
    assert read_all(place, files).problems == {}
    offline = OnHub(place.repo, place.revision, offline=True)
    assert len(read_all(offline, files, configs=["config.json"]).contents) == 4
    other = read_all(offline, {"another.safetensors": 1000})
    assert "nothing is asked" in other.problems["another.safetensors"]


def test_what_may_change_is_not_remembered(hub: Hub, tmp_path: Path) -> None:
    place, files = publish(hub)
    (tmp_path / "a.safetensors").write_bytes(shard(0, 1, 100) + bytes(200))
    read_all(OnHub(place.repo, None), files)
    read_all(OnHub(place.repo, "main"), files)
    read_all(OnDisk(tmp_path), {"a.safetensors": (tmp_path / "a.safetensors").stat().st_size})
    assert memory() == []


def test_a_size_that_is_another_is_not_believed(hub: Hub) -> None:
    place, files = publish(hub)
    read_all(place, files)
    hub.clear_requests()
    read_all(place, {SHARDS[0]: files[SHARDS[0]] + 1})
    assert asked(hub) > 0


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda _: b"\0\xff",
        lambda _: b"[" * 100_000,
        lambda document: document | {"format": 2},
        lambda document: document | {"place": "model owner/other " + "a" * 40},
        lambda document: document | {"contents": []},
        lambda document: document | {"contents": dict.fromkeys(SHARDS)},
        lambda document: document | {"contents": {name: {"size_bytes": 1} for name in SHARDS}},
        lambda document: (
            document
            | {
                "contents": {
                    name: {"size_bytes": row["size_bytes"], "tensors": [["x", "F16", [10], 10**12]], "facts": {}}
                    for name, row in document["contents"].items()
                }
            }
        ),
        lambda document: (
            document
            | {
                "contents": {
                    name: {"size_bytes": row["size_bytes"], "tensors": [["x", "F16", [-10], 1]], "facts": {}}
                    for name, row in document["contents"].items()
                }
            }
        ),
        lambda document: document | {"configs": 1},
    ],
)
def test_rubbish_in_the_memory_is_ignored(hub: Hub, change) -> None:
    place, files = publish(hub)
    first = read_all(place, files)
    (path,) = memory()
    changed = change(json.loads(path.read_bytes()))
    path.write_bytes(changed if isinstance(changed, bytes) else json.dumps(changed).encode())
    hub.clear_requests()
    assert read_all(place, files) == first
    assert len([e for e in hub.requests if e.kind == "cdn"]) == 4


def test_the_memory_is_bounded(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_REMEMBERED", 3)
    places_read = [publish(hub, f"owner/m{n}") for n in range(5)]
    for place, files in places_read:
        read_all(place, files)
        time.sleep(0.02)
    assert len(memory()) == 3
    hub.clear_requests()
    read_all(*places_read[-1])
    assert asked(hub) == 0
    read_all(*places_read[0])
    assert asked(hub) > 0


def test_a_memory_that_cannot_be_written_is_done_without(hub: Hub) -> None:
    place, files = publish(hub)
    home().cache.mkdir(parents=True)
    (home().cache / "checkpoints").write_text("a file, not a folder")
    assert read_all(place, files).problems == {}


# -- what fails --------------------------------------------------------------------------------------------------------


def test_one_broken_file_harms_no_other(hub: Hub) -> None:
    good = weights(x=np.zeros(10, np.float16))
    contents = {
        "good.safetensors": good,
        "bad.safetensors": b"rubbish!",
        "config.json": "{",
        "big.json": b" " * 1_100_000,
    }
    commit = hub.publish(REPO, contents, kind="model")
    files = {"good.safetensors": len(good), "bad.safetensors": 8, "gone.safetensors": 100}
    found = read_all(OnHub(REPO, commit), files, configs=["config.json", "big.json", "none.json"])
    assert list(found.contents) == ["good.safetensors"]
    assert found.configs == {}
    assert found.problems.keys() == {"bad.safetensors", "gone.safetensors", "config.json", "big.json"}
    assert all("\n" not in why and 5 < len(why) < 300 for why in found.problems.values())
    assert found.problems["config.json"] == "It is not JSON."


@pytest.mark.parametrize("kind", ["gated", "private", "missing"])
def test_a_model_that_may_not_be_read_is_one_reason_for_each_file(hub: Hub, kind: str) -> None:
    commit = "a" * 40
    if kind != "missing":
        commit = hub.publish(REPO, {"a.txt": b""}, kind="model", gated=kind == "gated", private=kind == "private")
    files = {f"model-{n}.safetensors": 1000 for n in range(100)}
    hub.clear_requests()
    found = read_all(OnHub(REPO, commit), files, configs=["config.json"])
    assert (found.contents, found.configs) == ({}, {})
    assert found.problems.keys() == {*files, "config.json"}
    (reason,) = set(found.problems.values())
    assert ("is gated" if kind == "gated" else "missing or private") in reason
    assert asked(hub) <= 3 * AT_ONCE  # those that were under way when the first was refused
    assert memory() == []


def test_a_silent_hub_is_waited_for_once(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    place, _ = publish(hub)
    monkeypatch.setattr(places, "TIMEOUT_SECONDS", 0.5)
    hub.faults.add(Latency(5), path="/owner/*")
    began = time.monotonic()
    found = read_all(place, {f"model-{n}.safetensors": 1000 for n in range(100)})
    assert time.monotonic() - began < 3
    assert len(found.problems) == 100


@pytest.mark.parametrize("fault", [Html(), Status(403)])
def test_answers_that_are_none_of_the_hubs_never_fail(hub: Hub, fault: Html | Status) -> None:
    place, files = publish(hub)
    hub.faults.add(fault)
    found = read_all(place, files, configs=["config.json"])
    assert found.contents == {}
    assert found.problems.keys() == {*files, "config.json"}


def test_eight_are_read_at_once(hub: Hub) -> None:
    contents = {f"part-{n}.safetensors": weights(x=np.full(10, n)) for n in range(16)}
    commit = hub.publish(REPO, contents, kind="model")
    read_all(OnHub("owner/none", "a" * 40), {"x.safetensors": 1})  # what a first request costs
    hub.faults.add(Latency(0.4), host="localhost")
    began = time.monotonic()
    found = read_all(OnHub(REPO, commit), {name: len(content) for name, content in contents.items()})
    assert found.problems == {}
    assert 0.8 <= time.monotonic() - began < 3  # 6.4 s one after another


def test_nowhere_more_is_read_than_the_headers_of_any_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_BYTES", 1_000_000)
    head = shard(0, tensors=1000, width=10_000)
    names = [f"{n}.safetensors" for n in range(500)]
    place = InMemory(dict.fromkeys(names, head), dict.fromkeys(names, GIGABYTES))
    found = read_all(place, dict.fromkeys(names, GIGABYTES))
    assert 0 < len(found.contents) < 20
    assert len(found.contents) + len(found.problems) == 500
    assert sum(stop - start for start, stop in place.asked) < 3_000_000


def test_nothing_is_left_running() -> None:
    before = threading.active_count()
    read_all(InMemory({"a.safetensors": safetensors({})}), {"a.safetensors": 10})
    time.sleep(0.1)
    assert threading.active_count() <= before
