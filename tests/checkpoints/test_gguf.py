"""Headers of GGUF files: as the `gguf` package writes and reads them, vocabularies of megabytes, and hostile ones."""

from __future__ import annotations

import random
import struct
import time
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
import pytest

from spacerun.checkpoints.gguf_header import FIRST_BYTES, LARGEST_HEADER, TYPES
from spacerun.checkpoints.reading import contents
from spacerun.checkpoints.tensors import Tensor
from spacerun.checkpoints.unreadable import UnreadableError
from tests.checkpoints.making import InMemory, read

if TYPE_CHECKING:
    from pathlib import Path

FILE = "model.gguf"
KINDS = gguf.GGMLQuantizationType
REMOVED = {31, 32, 33}  # from the package, which had them until its version 0.10


def write(path: Path, *, vocabulary: int = 100, endianess: gguf.GGUFEndian = gguf.GGUFEndian.LITTLE) -> Path:
    """A small LLaMA of many types, as llama.cpp's converters write it."""
    writer = gguf.GGUFWriter(path, "llama", endianess=endianess)
    writer.add_block_count(2)
    writer.add_context_length(4096)
    writer.add_embedding_length(256)
    writer.add_head_count(8)
    writer.add_head_count_kv([2, 4])
    writer.add_key_length(32)
    writer.add_value_length(32)
    writer.add_sliding_window(512)
    writer.add_rope_freq_base(10000.0)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"token {number}" for number in range(vocabulary)])
    writer.add_token_types([1] * vocabulary)
    writer.add_token_merges([f"to ken{number}" for number in range(vocabulary)])
    writer.add_chat_template("x" * 5000)
    writer.add_tensor("token_embd.weight", np.zeros((vocabulary, 256), np.float16))
    writer.add_tensor("output_norm.weight", np.zeros(256, np.float32))
    for number, kind in enumerate((KINDS.Q8_0, KINDS.Q4_0)):
        packed = gguf.quants.quantize(np.ones((512, 256), np.float32), kind)
        writer.add_tensor(f"blk.{number}.ffn_up.weight", packed, raw_dtype=kind)
    writer.add_tensor("blk.1.attn_q.weight", np.zeros((256, 144), np.uint8), raw_dtype=KINDS.Q4_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


FACTS = {
    "general.architecture": "llama",
    "block_count": 2,
    "context_length": 4096,
    "embedding_length": 256,
    "attention.head_count": 8,
    "attention.head_count_kv": [2, 4],
    "attention.key_length": 32,
    "attention.value_length": 32,
    "attention.sliding_window": 512,
    "rope.freq_base": 10000.0,
    "vocab_size": 100,
}


def as_theirs(path: Path) -> dict[str, tuple[str, tuple[int, ...], int]]:
    return {
        tensor.name: (tensor.tensor_type.name, tuple(reversed(tensor.shape.tolist())), int(tensor.n_bytes))
        for tensor in gguf.GGUFReader(path).tensors
    }


def as_ours(tensors: tuple[Tensor, ...]) -> dict[str, tuple[str, tuple[int, ...], int]]:
    return {tensor.name: (tensor.dtype, tensor.shape, tensor.stored_bytes) for tensor in tensors}


def test_a_file_is_read_as_the_gguf_package_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path / FILE)
    found = read(FILE, path.read_bytes())
    assert as_ours(found.tensors) == as_theirs(path)
    assert as_ours(found.tensors)["blk.1.attn_q.weight"] == ("Q4_K", (256, 256), 256 * 144)
    assert found.facts == FACTS


def test_every_type_has_the_blocks_of_the_gguf_package() -> None:
    theirs = {int(kind): (kind.name, *size) for kind, size in gguf.GGML_QUANT_SIZES.items()}
    newest = max(TYPES)
    assert {kind: row for kind, row in TYPES.items() if kind not in REMOVED} == {
        kind: row for kind, row in theirs.items() if kind <= newest
    }
    assert {TYPES[kind][1:] for kind in REMOVED} == {theirs[KINDS.Q4_0][1:]}


def test_the_other_byte_order_is_understood(tmp_path: Path) -> None:
    path = write(tmp_path / FILE, endianess=gguf.GGUFEndian.BIG)
    found = read(FILE, path.read_bytes())
    assert as_ours(found.tensors) == as_theirs(path)
    assert found.facts == FACTS


def test_version_2_is_as_version_3(tmp_path: Path) -> None:
    content = bytearray(write(tmp_path / FILE).read_bytes())
    content[4:8] = struct.pack("<I", 2)
    assert read(FILE, bytes(content)).facts == FACTS


@pytest.mark.parametrize("version", [1, 4])
def test_of_another_version_only_the_size_is_told(tmp_path: Path, version: int) -> None:
    content = bytearray(write(tmp_path / FILE).read_bytes())
    content[4:8] = struct.pack("<I", version)
    found = read(FILE, bytes(content))
    assert (found.size_bytes, found.tensors, found.facts) == (len(content), (), {})


def test_a_split_file_is_read_part_by_part(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / FILE, "llama", split_max_tensors=2)
    writer.add_block_count(2)
    for number in range(5):
        writer.add_tensor(f"blk.{number}.weight", np.zeros((4, 32), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    parts = sorted(tmp_path.glob("model-0000?-of-00003.gguf"))
    assert len(parts) == 3
    found = [read(part.name, part.read_bytes()) for part in parts]
    names = [tensor.name for part in found for tensor in part.tensors]
    assert names == [f"blk.{number}.weight" for number in range(5)]
    assert [part.facts.get("block_count") for part in found] == [2, None, None]


# -- files made by hand ------------------------------------------------------------------------------------------------


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def entry(key: str, kind: int, value: bytes) -> bytes:
    return string(key) + struct.pack("<I", kind) + value


def info(name: str, dimensions: list[int], kind: int, offset: int) -> bytes:
    shape = struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
    return string(name) + shape + struct.pack("<IQ", kind, offset)


def file(entries: list[bytes], infos: list[bytes], data: int = 0, counts: tuple[int, int] | None = None) -> bytes:
    tensors, keys = counts or (len(infos), len(entries))
    header = b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + b"".join(entries) + b"".join(infos)
    return header + bytes(-len(header) % 32) + bytes(data)


ARCHITECTURE = entry("general.architecture", 8, string("qwen3"))
BLOCKS = entry("qwen3.block_count", 4, struct.pack("<I", 36))


def test_a_vocabulary_of_megabytes_is_read_in_few_requests() -> None:
    words = b"".join(string(f"token {number}") for number in range(250_000))
    entries = [
        ARCHITECTURE,
        entry("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 250_000) + words),
        entry("tokenizer.ggml.scores", 9, struct.pack("<IQ", 6, 250_000) + bytes(1_000_000)),
        BLOCKS,
    ]
    header = file(entries, [info("x", [8], 0, 0)])
    size = 5_000_000_000
    assert 5_000_000 < len(header) < 8_000_000
    place = InMemory({FILE: header}, {FILE: size})
    began = time.monotonic()
    found = contents(place, FILE, size)
    assert time.monotonic() - began < 3
    assert found.facts == {"general.architecture": "qwen3", "block_count": 36, "vocab_size": 250_000}
    assert found.tensors == (Tensor("x", "F32", (8,), 32),)
    assert place.asked[0] == (0, FIRST_BYTES)
    assert [start for start, _ in place.asked[1:]] == [stop for _, stop in place.asked[:-1]]  # nothing twice
    assert len(place.asked) <= 8
    assert place.asked[-1][1] < 2 * len(header)


def test_a_type_that_is_not_known_leaves_the_size_and_the_facts() -> None:
    content = file([ARCHITECTURE, BLOCKS], [info("a", [64], 0, 0), info("b", [64], 42, 256)], 1000)
    found = read(FILE, content)
    assert (found.size_bytes, found.tensors) == (len(content), ())
    assert found.facts == {"general.architecture": "qwen3", "block_count": 36}


def test_only_what_is_small_and_of_the_architecture_is_a_fact() -> None:
    entries = [
        ARCHITECTURE,
        entry("qwen3.long", 8, string("x" * 10_000)),
        entry("qwen3.short", 8, string("x")),
        entry("qwen3.many", 9, struct.pack("<IQ", 4, 5000) + bytes(20_000)),
        entry("qwen3.flags", 9, struct.pack("<IQ", 7, 2) + b"\1\0"),
        entry("llama.block_count", 4, struct.pack("<I", 1)),
        entry("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 2) + string("a") + string("b")),
    ]
    assert read(FILE, file(entries, [])).facts == {
        "general.architecture": "qwen3",
        "short": "x",
        "flags": [True, False],
        "vocab_size": 2,
    }


def array(kind: int, count: int, rest: bytes = b"") -> bytes:
    return entry("x", 9, struct.pack("<IQ", kind, count) + rest)


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "another format": b"PK\3\4" + bytes(100),
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
    "an end within the header": file([ARCHITECTURE], [])[:40],
    "more entries than bytes": file([], [], counts=(0, 2**64 - 1)),
    "more tensors than bytes": file([], [], counts=(2**64 - 1, 0)),
    "a thousand entries that are not there": file([], [], counts=(0, 1000)),
    "an endless key": file([struct.pack("<Q", 2**64 - 1)], []),
    "a key of a million letters": file([entry("x" * 1_000_000, 0, b"\0")], []),
    "an endless text": file([entry("x", 8, struct.pack("<Q", 2**63))], []),
    "an endless array of numbers": file([array(4, 2**64 - 1)], []),
    "an endless array of texts": file([array(8, 2**64 - 1)], []),
    "an endless array of arrays": file([array(9, 2**64 - 1)], []),
    "an array of arrays": file([array(9, 1, struct.pack("<IQ", 0, 0))], []),
    "a type of value that there is not": file([entry("x", 99, b"")], []),
    "an array of a type that there is not": file([array(99, 1)], []),
    "a tensor of many dimensions": file([], [info("x", [1] * 65, 0, 0)], 100),
    "a tensor of a billion dimensions": file([], [string("x") + struct.pack("<I", 10**9)]),
    "a shape whose product is absurd": file([], [info("x", [2**63, 2**63, 2**63, 2**63], 0, 0)], 100),
    "a dimension that no tensor has": file([], [info("x", [2**63], 24, 0)], 100),
    "a row that is no number of blocks": file([], [info("x", [33], 2, 0)], 100),
    "an offset behind the end": file([], [info("x", [8], 0, 2**63)], 100),
    "bytes behind the end": file([], [info("x", [32], 0, 0)], 100),
    "bytes that belong to two": file([], [info("x", [8], 0, 0), info("y", [8], 0, 16)], 100),
    "no alignment": file([entry("general.alignment", 4, struct.pack("<I", 0))], [info("x", [8], 0, 0)], 100),
    "an alignment that is text": file([entry("general.alignment", 8, string("a"))], [info("x", [8], 0, 0)], 100),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_header_is_told_in_a_sentence(what: str) -> None:
    began = time.monotonic()
    with pytest.raises(UnreadableError, match=r"^Its? [^\n]*\.$"):
        read(FILE, HOSTILE[what])
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("kind", [0, 8])
def test_no_more_than_the_largest_header_is_read_of_a_huge_file(kind: int) -> None:
    """Zeros are texts without a letter."""
    head = file([array(kind, 2**63)], [])
    place = InMemory({FILE: head}, {FILE: 500_000_000_000})
    began = time.monotonic()
    with pytest.raises(UnreadableError, match="its header does not end"):
        contents(place, FILE, 500_000_000_000)
    assert time.monotonic() - began < 30
    assert sum(stop - start for start, stop in place.asked) <= LARGEST_HEADER


def test_changed_bytes_of_a_header_never_do_harm(tmp_path: Path) -> None:
    good = write(tmp_path / FILE, vocabulary=3).read_bytes()
    header = gguf.GGUFReader(tmp_path / FILE).data_offset
    chance = random.Random(2)
    outcomes: set[str] = set()
    for _ in range(5000):
        content = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            content[chance.randrange(header)] = chance.choice([0, 1, 127, 255, chance.randrange(256)])
        try:
            found: Any = read(FILE, bytes(content))
        except UnreadableError:
            outcomes.add("told")
            continue
        outcomes.add("read")
        assert all(tensor.stored_bytes >= 0 for tensor in found.tensors)
        assert sum(tensor.stored_bytes for tensor in found.tensors) <= len(content)
    assert outcomes == {"read", "told"}
