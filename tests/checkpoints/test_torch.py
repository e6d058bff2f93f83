"""Files of `torch.save`: as PyTorch wrote them, read without running what is in them."""

from __future__ import annotations

import io
import json
import os
import pickle as real_pickle
import random
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from spacerun.checkpoints.places import OnDisk
from spacerun.checkpoints.ranged import LARGEST_READ, TAIL_BYTES
from spacerun.checkpoints.reading import contents
from spacerun.checkpoints.tensors import UNKNOWN, Contents, Tensor
from spacerun.checkpoints.torch_pickle import MOST_INSTRUCTIONS, views
from spacerun.checkpoints.torch_zip import LARGEST_PICKLE
from spacerun.checkpoints.unreadable import UnreadableError
from tests.checkpoints.making import InMemory, name, number, pickle, read, tensor, text, torch_zip

FOLDER = Path(__file__).with_name("files")
TOLD: dict[str, dict[str, list[Any]]] = json.loads((FOLDER / "torch.json").read_text(encoding="utf-8"))
FILE = "pytorch_model.bin"


def real(file: str) -> Contents:
    return contents(OnDisk(FOLDER), file, (FOLDER / file).stat().st_size)


@pytest.mark.parametrize("file", TOLD)
def test_a_file_holds_what_pytorch_says(file: str) -> None:
    """State dicts, every type, tied and expanded weights, a checkpoint of training, whole models, TorchScript."""
    found = {t.name: [t.dtype, list(t.shape), t.stored_bytes] for t in real(file).tensors}
    assert found == TOLD[file]


def test_of_the_format_before_1_6_only_the_size_is_told() -> None:
    found = real("legacy.pt")
    assert (found.size_bytes, found.tensors) == ((FOLDER / "legacy.pt").stat().st_size, ())


def test_a_zip_file_of_another_program_tells_only_its_size() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("weights/0", bytes(1000))
    assert read(FILE, buffer.getvalue()) == Contents(len(buffer.getvalue()))


@pytest.mark.parametrize(("count", "requests"), [(300, 2), (4000, 3)])
def test_a_large_file_takes_few_requests(count: int, requests: int) -> None:
    """One more where the directory is longer than the end that is read first."""
    weights = {f"model.layers.{n}.weight": tensor(str(n), (100, 10)) for n in range(count)}
    content = torch_zip(pickle(weights), {str(n): 4000 for n in range(count)})
    place = InMemory({FILE: content})
    found = contents(place, FILE, len(content))
    assert [t.stored_bytes for t in found.tensors] == [4000] * count
    assert found.tensors[7] == Tensor("model.layers.7.weight", "F32", (100, 10), 4000)
    assert len(place.asked) == requests
    assert place.asked[0] == (len(content) - TAIL_BYTES, len(content))
    assert sum(stop - start for start, stop in place.asked) < len(content) / 5


def test_zip64_is_understood() -> None:
    """Of more than 65,535 entries, which needs it; PyTorch writes its records for more than 4 GB as well."""
    storages = {str(n): 4 for n in range(66_000)}
    content = torch_zip(pickle({"x": tensor("7", (1,))}), storages)
    assert b"PK\x06\x06" in content[-200:]
    assert read(FILE, content).tensors == (Tensor("x", "F32", (1,), 4),)


# -- pickles made by hand ----------------------------------------------------------------------------------------------


def told(content: bytes, storages: dict[str, int] | None = None) -> dict[str, tuple[str, tuple[int, ...], int]]:
    found = read(FILE, torch_zip(content, {"0": 400} if storages is None else storages))
    return {t.name: (t.dtype, t.shape, t.stored_bytes) for t in found.tensors}


STORAGES = {"data/0": (UNKNOWN, (400,), 400)}


def test_tied_weights_count_once_and_views_by_what_is_left() -> None:
    values = {
        "small": tensor("0", (10,)),
        "all": tensor("0", (10, 10)),
        "tied": tensor("0", (10, 10)),
        "part": tensor("0", (10,), offset=50),
        "other": tensor("1", (10,), "HalfStorage"),
        "lost": tensor("2", (10,)),
    }
    assert told(pickle(values), {"0": 400, "1": 20}) == {"all": ("F32", (10, 10), 400), "other": ("F16", (10,), 20)}


@pytest.mark.parametrize("shape", [(101,), (2**31 - 1, 2**31 - 1), (2**31 - 1,) * 60])
def test_a_tensor_larger_than_its_storage_is_as_large_as_that(shape: tuple[int, ...]) -> None:
    assert told(pickle({"x": tensor("0", shape)})) == {"x": ("F32", (100,), 400)}


@pytest.mark.parametrize("shape", [(-1,), (1,) * 65])
def test_a_shape_that_no_tensor_has_leaves_the_storages(shape: tuple[int, ...]) -> None:
    assert told(pickle({"x": tensor("0", shape)})) == STORAGES


def test_a_type_that_is_not_known_counts_by_its_bytes() -> None:
    assert told(pickle({"x": tensor("0", (5,), "QUInt4x2Storage")})) == {"x": (UNKNOWN, (400,), 400)}


class Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ran",)


SYSTEM = name("os", "system") + b"(" + text("touch ran") + b"tR"
ATTACKS = {
    "a call": SYSTEM,
    "an instance": b"(" + text("touch ran") + b"ios\nsystem\n",
    "an object": b"(" + name("os", "system") + text("touch ran") + b"o",
    "a new object": name("os", "system") + text("touch ran") + b"\x85\x81",
    "code": name("builtins", "exec") + b"(" + text("open('ran', 'w')") + b"tR",
    "an argument of a tensor": name("torch._utils", "_rebuild_tensor_v2") + b"(" + SYSTEM + b"tR",
    "a state": name("subprocess", "run") + b"}b",
    "as pickle writes it": real_pickle.dumps(Attack(), 2)[2:-1],
    "as pickle writes it today": real_pickle.dumps(Attack(), 4)[11:-1],
}


@pytest.mark.parametrize("what", ATTACKS)
def test_nothing_in_a_pickle_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.chdir(tmp_path)
    found = told(pickle({"attack": ATTACKS[what], "x": tensor("0", (10, 10))}))
    assert found == {"x": ("F32", (10, 10), 400)}
    assert list(tmp_path.iterdir()) == []


def test_a_pickle_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    values = {"x": name("a_module_that_is_not_there", "f") + b")R", "y": tensor("0", (10, 10))}
    content = torch_zip(pickle(values), {"0": 400})
    read(FILE, content)  # what the reader itself imports
    asked: list[str] = []
    original = builtins.__import__

    def noted(module: str, *rest: Any) -> Any:
        asked.append(module)
        return original(module, *rest)

    monkeypatch.setattr(builtins, "__import__", noted)
    read(FILE, content)
    monkeypatch.undo()
    assert not {"torch", "torch._utils", "collections", "a_module_that_is_not_there"} & set(asked)


def nested(count: int) -> bytes:
    """A tuple of two that are the same tuple of two, and so on: hashing or comparing it takes 2**count steps."""
    return b")" + b"2\x86" * count


BOMBS: dict[str, bytes] = {
    "nothing": b"",
    "no instruction": b"\xff\xff",
    "an end in the middle": pickle({"x": tensor("0", (1,))})[:-40],
    "a pop of nothing": b"\x80\x02000.",
    "a mark that is not there": b"\x80\x02t.",
    "a value that was not kept": b"\x80\x02h\x07.",
    "an item of nothing": b"\x80\x02s.",
    "a place of absurd size": b"\x80\x02Nr\xff\xff\xff\x7fN.",
    "a text of absurd size": b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.",
    "bytes of absurd size": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.",
    "a number of a million digits": b"\x80\x02L" + b"9" * 1_000_000 + b"L\n.",
    "a number of ten million bits": b"\x80\x02}\x8b" + struct.pack("<i", 1_250_000) + b"\xff" * 1_250_000 + b"Ns.",
    "a key that cannot be hashed in a life": b"\x80\x02}" + nested(100) + b"Ns.",
    "a set of such": b"\x80\x04\x8f(" + nested(100) + b"\x90.",
    "a tuple in itself": b"\x80\x02]q\0h\0a.",
    "a deep list": b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
    "a deep tuple": b"\x80\x02)" + b"\x85" * 500_000 + b".",
    "too many instructions": b"\x80\x02" + b"N0" * MOST_INSTRUCTIONS + b"N.",
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_pickle_that_cannot_be_followed_leaves_the_storages(what: str) -> None:
    began = time.monotonic()
    assert told(BOMBS[what]) == STORAGES
    assert time.monotonic() - began < 10


def test_names_stay_short_however_deep_a_tensor_lies() -> None:
    depth = 20_000
    inner = (
        b"".join(text("k" * 100) + b"}" for _ in range(depth)) + text("x") + tensor("0", (10, 10)) + b"s" * (depth + 1)
    )
    began = time.monotonic()
    ((found, _),) = views(b"\x80\x02}" + inner + b".")
    assert found.endswith("kkk.x")
    assert len(found) == 500
    assert time.monotonic() - began < 5


def test_a_long_key_used_often_costs_nothing() -> None:
    often = b"(" + text("k" * 5_000_000) + b"q\0" + b"0" + b"".join(b"h\0" + b")" for _ in range(100_000)) + b"u."
    began = time.monotonic()
    assert views(b"\x80\x02}" + often) == []
    assert time.monotonic() - began < 5


# -- zip files made by hand --------------------------------------------------------------------------------------------


def test_a_compressed_pickle_is_not_unpacked() -> None:
    bomb = torch_zip(pickle({"x": tensor("0", (10, 10))}) + b"\0" * 50_000_000, {"0": 400}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    began = time.monotonic()
    found = read(FILE, bomb)
    assert [t.name for t in found.tensors] == ["data/0"]
    assert found.tensors[0].stored_bytes <= len(bomb)
    assert time.monotonic() - began < 1


def test_of_a_pickle_larger_than_any_only_the_directory_is_read() -> None:
    content = torch_zip(pickle({"x": tensor("0", (10, 10))}) + bytes(LARGEST_PICKLE), {"0": 400})
    place = InMemory({FILE: content})
    assert [t.name for t in contents(place, FILE, len(content)).tensors] == ["data/0"]
    assert sum(stop - start for start, stop in place.asked) <= TAIL_BYTES


def test_storages_that_are_larger_than_the_file_are_told_in_a_sentence() -> None:
    content = torch_zip(pickle({"x": number(1)}), {"0": 400, "1": 400})
    huge = struct.pack("<II", 0x7FFFFFFF, 0x7FFFFFFF)
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"archive/data/1"))
    broken = content[: entry + 20] + huge + content[entry + 28 :]
    with pytest.raises(UnreadableError, match="more bytes than it has"):
        read(FILE, broken)


def test_a_directory_larger_than_any_is_not_read() -> None:
    size = 100_000_000_000
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, 0x7FFFFFFF, 1000, 0)
    place = InMemory({FILE: b""}, {FILE: size})
    original = place.read

    def with_end(file: str, start: int, stop: int) -> bytes:
        found = original(file, start, stop)
        return found[: -len(end)] + end if stop == size else found

    place.read = with_end  # type: ignore[method-assign]
    with pytest.raises(UnreadableError, match="larger than it can be"):
        contents(place, FILE, size)
    assert sum(stop - start for start, stop in place.asked) <= LARGEST_READ


@pytest.mark.parametrize("file", ["state_dict.bin", "training.ckpt", "module.pt"])
def test_changed_bytes_never_do_harm(file: str) -> None:
    good = (FOLDER / file).read_bytes()
    start = good.index(b"\x80\x02")
    ends = (start, start + 2500), (len(good) - 1500, len(good))  # the pickle, and the directory
    chance = random.Random(3)
    outcomes: set[str] = set()
    for _ in range(1500):
        content = bytearray(good)
        first, last = chance.choice(ends)
        for _ in range(chance.randrange(1, 4)):
            content[chance.randrange(first, min(last, len(good)))] = chance.choice(
                [0, 255, 0x2E, chance.randrange(256)]
            )
        try:
            found = read(FILE, bytes(content))
        except UnreadableError:
            outcomes.add("told")
            continue
        outcomes.add(
            "tensors" if any(t.dtype != UNKNOWN for t in found.tensors) else "storages" if found.tensors else "size"
        )
        assert sum(t.stored_bytes for t in found.tensors) <= len(content)
    assert {"tensors", "storages", "size"} <= outcomes


def test_pickles_of_random_instructions_never_do_harm() -> None:
    import pickletools

    codes = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]
    chance = random.Random(4)
    for _ in range(3000):
        body = b"".join(
            chance.choice(codes) + chance.choice([b"", b"\0", b"\1", b"x\n", b"\1\0\0\0", tensor("0", (2,))])
            for _ in range(chance.randrange(1, 40))
        )
        try:
            found = views(b"\x80\x02" + tensor("0", (2,)) + body + b".")
        except ValueError:
            continue
        assert isinstance(found, list)
