"""Headers of safetensors files: every type, as safetensors itself and huggingface_hub read them, and hostile ones."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import safetensors as real
from huggingface_hub import HfApi
from safetensors.numpy import save

from spacerun.checkpoints.reading import contents
from spacerun.checkpoints.safetensors_header import FIRST_BYTES
from spacerun.checkpoints.tensors import BITS, Tensor
from spacerun.checkpoints.unreadable import UnreadableError
from tests.checkpoints.making import InMemory, read, row, safetensors

if TYPE_CHECKING:
    from tests.hub import Hub

ROOT = Path(__file__).parents[2]
FILE = "model.safetensors"
PYTORCH_ONLY = "C128"


def test_a_file_is_read_as_huggingface_hub_reads_it(hub: Hub) -> None:
    arrays = {
        "wte.weight": np.zeros((50, 8), np.float16),
        "scale": np.zeros((), np.float32),
        "ids": np.zeros((3, 1, 2), np.int64),
        "nothing": np.zeros((0, 4), np.float32),
        "mask": np.zeros(7, bool),
    }
    content = save(arrays, {"format": "pt"})
    hub.publish("owner/model", {FILE: content}, kind="model")
    found = read(FILE, content)
    assert found.size_bytes == len(content)
    assert {t.name: (t.shape, t.stored_bytes) for t in found.tensors} == {
        name: (array.shape, array.nbytes) for name, array in arrays.items()
    }
    theirs = HfApi(endpoint=hub.endpoint).parse_safetensors_file_metadata("owner/model", FILE)
    assert {t.name: (t.dtype, list(t.shape), t.stored_bytes) for t in found.tensors} == {
        name: (info.dtype, list(info.shape), info.data_offsets[1] - info.data_offsets[0])
        for name, info in theirs.tensors.items()
    }


@pytest.mark.parametrize("dtype", sorted(BITS.keys() - {PYTORCH_ONLY}))
def test_a_type_has_as_many_bits_as_for_safetensors_itself(dtype: str) -> None:
    size = BITS[dtype] * 4 // 8  # of four elements
    good = safetensors({"x": row(dtype, [2, 2], 0, size)}, size)
    ((_, theirs),) = real.deserialize(good)
    assert (theirs["dtype"], theirs["shape"]) == (dtype, [2, 2])
    assert read(FILE, good).tensors == (Tensor("x", dtype, (2, 2), size),)
    bad = safetensors({"x": row(dtype, [2, 2], 0, size + 1)}, size + 1)
    with pytest.raises(real.SafetensorError):
        real.deserialize(bad)
    with pytest.raises(UnreadableError, match="does not fit"):
        read(FILE, bad)


def test_a_type_that_is_not_known_counts_by_its_bytes() -> None:
    content = safetensors({"x": row("F3_E1M1", [2, 8], 0, 6), "y": row("F16", [1], 6, 8)}, 8)
    assert read(FILE, content).tensors == (Tensor("x", "F3_E1M1", (2, 8), 6), Tensor("y", "F16", (1,), 2))


def test_a_quantized_checkpoint_has_what_is_packed_in_it() -> None:
    """As bitsandbytes stores four bits: two in each byte, and the scales beside them."""
    rows = {
        "q_proj.weight": row("U8", [512, 1], 0, 512),
        "q_proj.weight.absmax": row("F32", [16], 512, 576),
        "q_proj.weight.quant_map": row("F32", [16], 576, 640),
    }
    found = read(FILE, safetensors(rows, 640))
    assert [(t.dtype, t.parameters, t.stored_bytes) for t in found.tensors] == [
        ("U8", 512, 512),
        ("F32", 16, 64),
        ("F32", 16, 64),
    ]


def test_a_short_header_takes_one_request_and_a_long_one_two() -> None:
    place = InMemory({FILE: safetensors({"x": row("F16", [4], 0, 8)})}, {FILE: 5_000_000_000})
    assert len(contents(place, FILE, 5_000_000_000).tensors) == 1
    assert place.asked == [(0, FIRST_BYTES)]
    many = safetensors({f"model.layers.{n}.weight": row("F16", [4], 8 * n, 8 * n + 8) for n in range(3000)})
    assert len(many) > FIRST_BYTES
    place = InMemory({FILE: many}, {FILE: 5_000_000_000})
    assert len(contents(place, FILE, 5_000_000_000).tensors) == 3000
    assert place.asked == [(0, FIRST_BYTES), (FIRST_BYTES, len(many))]


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "three bytes": b"abc",
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
    "a header as long as can be written": b"\xff" * 8 + b"{}",
    "a header longer than the file": safetensors({})[:8] + b"{",
    "not JSON": safetensors(b"{..."),
    "not UTF-8": safetensors(b'{"\xff": 1}'),
    "a list": safetensors([]),
    "null": safetensors(None),
    "deep": safetensors(b"[" * 1_000_000),
    "a number of a million digits": safetensors(b'{"x": [' + b"9" * 1_000_000 + b"]}"),
    "a tensor that is text": safetensors({"x": "y"}),
    "a tensor without a type": safetensors({"x": {"shape": [1], "data_offsets": [0, 1]}}, 1),
    "a type that is a list": safetensors({"x": row(["F32"], [1], 0, 4)}, 4),
    "a type that is long": safetensors({"x": row("F" * 1000, [1], 0, 4)}, 4),
    "a shape that is a number": safetensors({"x": row("F32", 1, 0, 4)}, 4),
    "a shape of lists": safetensors({"x": row("F32", [[0], 10**9], 0, 4)}, 4),
    "a shape of text": safetensors({"x": row("F32", ["a", 10**9], 0, 4)}, 4),
    "a shape of fractions": safetensors({"x": row("F32", [1.0], 0, 4)}, 4),
    "a shape of truth": safetensors({"x": row("F32", [True], 0, 4)}, 4),
    "a negative dimension": safetensors({"x": row("F32", [-1, -1], 0, 4)}, 4),
    "a shape of absurd size": safetensors({"x": row("F32", [10**30], 0, 4)}, 4),
    "a shape whose product is absurd": safetensors({"x": row("F32", [2**62] * 60, 0, 4)}, 4),
    "a shape of many dimensions": safetensors({"x": row("F32", [1] * 65, 0, 4)}, 4),
    "more parameters than bits": safetensors({"x": row("NEW", [2**62], 0, 4)}, 4),
    "offsets of absurd size": safetensors({"x": row("F32", [1], 10**30, 10**30 + 4)}, 4),
    "negative offsets": safetensors({"x": row("F32", [1], -4, 0)}, 4),
    "offsets the wrong way round": safetensors({"x": row("F32", [1], 4, 0)}, 4),
    "three offsets": safetensors({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}}, 8),
    "offsets that are text": safetensors({"x": row("F32", [1], "0", "4")}, 4),
    "bytes behind the end": safetensors({"x": row("F32", [2], 0, 8)}, 4),
    "bytes that belong to two": safetensors({"x": row("F32", [2], 0, 8), "y": row("F32", [2], 4, 12)}, 12),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_header_is_told_in_a_sentence(what: str) -> None:
    began = time.monotonic()
    with pytest.raises(UnreadableError, match=r"^It [^\n]*\.$"):
        read(FILE, HOSTILE[what])
    assert time.monotonic() - began < 2


def test_a_name_that_stands_twice_counts_once() -> None:
    header = b'{"x": %b, "x": %b}' % (
        json.dumps(row("F32", [4], 0, 16)).encode(),
        json.dumps(row("F32", [1], 0, 4)).encode(),
    )
    assert read(FILE, safetensors(header, 16)).tensors == (Tensor("x", "F32", (1,), 4),)


LARGEST = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, 2_000_000_000))
from spacerun.checkpoints.safetensors_header import LARGEST_HEADER
from spacerun.checkpoints.unreadable import UnreadableError
from tests.checkpoints.making import read, safetensors
start, unit = b'{"x": {"dtype": "U8", "data_offsets": [0, 1], "shape": [', sys.argv[1].encode()
content = safetensors(start + unit * ((LARGEST_HEADER - len(start) - 10) // len(unit)) + b"1]}}", 1)
try:
    read("model.safetensors", content)
except UnreadableError as error:
    print(error)
"""


@pytest.mark.parametrize("unit", ["[],", "1,"])
def test_the_largest_header_takes_neither_minutes_nor_all_memory(unit: str) -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", LARGEST, unit], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert "a tensor has an impossible shape" in done.stdout, done.stderr
    assert time.monotonic() - began < 60


def test_changed_bytes_of_a_header_never_do_harm() -> None:
    good = save({f"layer.{n}.weight": np.zeros((n + 1, 4), np.float16) for n in range(8)})
    header = int.from_bytes(good[:8], "little")
    chance = random.Random(1)
    outcomes: set[str] = set()
    for _ in range(5000):
        content = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            content[chance.randrange(8 + header)] = chance.randrange(256)
        outcomes.add(outcome(bytes(content)))
    assert outcomes == {"read", "told"}


def outcome(content: bytes) -> str:
    try:
        found = read(FILE, content)
    except UnreadableError:
        return "told"
    assert all(t.stored_bytes >= 0 for t in found.tensors)
    assert sum(t.stored_bytes for t in found.tensors) <= len(content)
    assert sum(t.parameters for t in found.tensors) <= 8 * len(content)
    return "read"


@pytest.mark.parametrize("value", [None, 1, -1, 2**63, 1.5, "1", [], {}, True, [1], "F32"])
@pytest.mark.parametrize("where", ["dtype", "shape", "data_offsets", "x"])
def test_values_of_any_kind_in_any_place_never_do_harm(where: str, value: Any) -> None:
    header: dict[str, Any] = {"x": row("F32", [1], 0, 4)}
    if where == "x":
        header["x"] = value
    else:
        header["x"][where] = value
    assert outcome(safetensors(header, 4)) in {"read", "told"}
