"""A file of `torch.save` (https://github.com/pytorch/pytorch, torch/serialization.py): a zip file.

It holds the bytes of each storage in an entry of its own, `data/0`, `data/1`, …, and in `data.pkl` how the tensors lie
in them.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Final, cast

from spacerun.checkpoints.ranged import LARGEST_READ, RangedFile
from spacerun.checkpoints.tensors import BITS, UNKNOWN, Contents, Tensor
from spacerun.checkpoints.unreadable import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zipfile import ZipFile, ZipInfo

    from spacerun.checkpoints.places import Place
    from spacerun.checkpoints.torch_pickle import View

LARGEST_PICKLE: Final = LARGEST_READ - 64 * 1024
_PICKLE: Final = "data.pkl"
_STORAGES: Final = "data/"
# Name, its own alignment and the entry's header before the bytes of an entry.
_ENTRY_HEADER_BYTES: Final = 1024


def read(place: Place, file: str, size_bytes: int) -> Contents:
    """What lies in a file of `torch.save`; no tensors where it is none, or an old one that is no zip file.

    Requests: one for its end, one for `data.pkl`, one more where the directory is long. Nothing of it is run.

    Args:
        place: Where it lies.
        file: Its path there.
        size_bytes: Its size.

    Raises:
        UnreadableError: It cannot be read, or contradicts itself.
    """
    import struct
    import zipfile

    ranged = RangedFile(place, file, size_bytes)
    try:
        archive = zipfile.ZipFile(cast("IO[bytes]", ranged))
    except zipfile.BadZipFile:
        return Contents(size_bytes)
    except (ValueError, NotImplementedError, struct.error, OverflowError) as error:
        raise UnreadableError("The directory of its zip file is broken.") from error
    entries = {entry.filename: entry for entry in archive.infolist()}
    pickle = next((name for name in entries if name == _PICKLE or name.endswith(f"/{_PICKLE}")), None)
    if pickle is None:
        return Contents(size_bytes)
    folder = pickle.removesuffix(_PICKLE) + _STORAGES
    # Of what is compressed, no more than its bytes in the file is believed.
    storages = {
        name.removeprefix(folder): min(entry.file_size, entry.compress_size)
        for name, entry in entries.items()
        if name.startswith(folder)
    }
    try:
        return Contents(size_bytes, _tensors(_views(archive, entries[pickle], ranged), storages))
    except ValueError as error:
        raise UnreadableError(f"It is no sound file of PyTorch: {error}.") from error


def _views(archive: ZipFile, entry: ZipInfo, ranged: RangedFile) -> list[tuple[str, View]]:
    """The tensors that the pickle names; none where it is not as `torch.save` writes it."""
    import struct
    import zipfile

    from spacerun.checkpoints.torch_pickle import views

    # PyTorch compresses nothing; what a stranger compressed may be a bomb.
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > LARGEST_PICKLE:
        return []
    try:
        ranged.seek(entry.header_offset)
        ranged.read(_ENTRY_HEADER_BYTES + entry.file_size)  # all that is needed now, in one request
        return views(archive.read(entry))
    except (ValueError, RuntimeError, NotImplementedError, EOFError, struct.error, zipfile.BadZipFile):
        return []


def _tensors(views: Iterable[tuple[str, View]], storages: dict[str, int]) -> tuple[Tensor, ...]:
    """The tensors, each byte of a storage counted once; where none are told, the storages."""
    largest: dict[tuple[str, int], tuple[str, View]] = {}
    for name, view in views:  # tied weights start at the same place
        key = view.storage, view.offset
        if view.storage in storages and (key not in largest or view.elements > largest[key][1].elements):
            largest[key] = name, view
    if not largest:
        return tuple(Tensor(f"{_STORAGES}{key}", UNKNOWN, (size,), size) for key, size in storages.items())
    left, found = dict(storages), []
    for name, view in largest.values():
        room = left[view.storage]
        if room or not view.elements:  # else all of the storage is another's
            tensor = _stored(name, view, room)
            left[view.storage] -= tensor.stored_bytes
            found.append(tensor)
    return tuple(found)


def _stored(name: str, view: View, room: int) -> Tensor:
    """The tensor; a view that is larger than its storage (`expand`) takes no more than that."""
    bits = BITS.get(view.dtype)
    if bits is None:
        return Tensor(name, UNKNOWN, (room,), room)
    size = -(-view.elements * bits // 8)
    shape = view.shape if size <= room else (room * 8 // bits,)
    return Tensor(name, view.dtype, shape, min(size, room))
