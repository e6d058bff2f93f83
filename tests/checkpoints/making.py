"""Files made by hand, in memory, and what is asked of them."""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
from typing import TYPE_CHECKING, Any

from spacerun.checkpoints.reading import contents

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spacerun.checkpoints.tensors import Contents


class InMemory:
    """A place whose files are bytes, each followed by a hole up to its size; `asked` has the span of each read."""

    name = None

    def __init__(self, files: Mapping[str, bytes], sizes: Mapping[str, int] | None = None) -> None:
        self.files = files
        self.sizes = {name: len(content) for name, content in files.items()} | dict(sizes or {})
        self.asked: list[tuple[int, int]] = []

    def read(self, file: str, start: int, stop: int) -> bytes:
        assert 0 <= start <= stop
        self.asked.append((start, stop))
        content = self.files[file][start:stop]
        return content + bytes(max(0, min(stop, self.sizes[file]) - start - len(content)))


def read(file: str, content: bytes, size: int | None = None) -> Contents:
    """What lies in a file of this content, followed by a hole up to `size`."""
    size = len(content) if size is None else size
    return contents(InMemory({file: content}, {file: size}), file, size)


def safetensors(header: Any, data: int = 0) -> bytes:
    """A safetensors file of any header, a value or text, and `data` zeros behind it."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(data)


def row(dtype: Any, shape: Any, start: Any, stop: Any) -> dict[str, Any]:
    """What a safetensors header says of a tensor."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


# -- pickles, instruction by instruction (pickletools) -----------------------------------------------------------------


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def tensor(key: str, shape: Iterable[int], storage: str = "FloatStorage", offset: int = 0) -> bytes:
    """A call of `_rebuild_tensor_v2`, as `torch.save` writes it."""
    shape = tuple(shape)
    dimensions = b"(" + b"".join(map(number, shape)) + b"t"
    count = number(min(math.prod(shape), 2**31 - 1))
    identity = b"(" + text("storage") + name("torch", storage) + text(key) + text("cpu") + count + b"tQ"
    hooks = name("collections", "OrderedDict") + b")R"
    return (
        name("torch._utils", "_rebuild_tensor_v2")
        + b"("
        + identity
        + number(offset)
        + dimensions * 2
        + b"\x89"
        + hooks
        + b"tR"
    )


def pickle(values: Mapping[str, bytes]) -> bytes:
    """A dictionary of what the instructions make."""
    return b"\x80\x02}(" + b"".join(text(key) + value for key, value in values.items()) + b"u."


def torch_zip(content: bytes, storages: Mapping[str, int], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A file as `torch.save` makes it, of a pickle and the sizes of the storages."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", content)
        for key, size in storages.items():
            archive.writestr(f"archive/data/{key}", bytes(size))
        archive.writestr("archive/version", b"3\n")
    return buffer.getvalue()
