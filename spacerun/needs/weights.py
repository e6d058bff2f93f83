"""Which files of a repository a load call fetches, by their names: what is downloaded before a model can be used."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from spacerun.needs.naming import is_weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spacerun.needs.load import Load

# What libraries save weights as, the first that is there is loaded (transformers/utils/__init__.py,
# diffusers/utils/constants.py, peft/utils/constants.py, huggingface_hub/constants.py).
_STEMS: Final = ("model", "pytorch_model", "diffusion_pytorch_model", "adapter_model", "pytorch_lora_weights",
                 "open_clip_model", "open_clip_pytorch_model", "flax_model", "tf_model", "learned_embeds")  # fmt: skip
_FORMATS: Final = (".safetensors", ".bin", ".gguf", ".pt", ".pth", ".ckpt", ".onnx", ".msgpack", ".h5", ".keras")
_SHARD: Final = re.compile(r"-\d{5}-of-\d{5}$")
# A pipeline of diffusers has this file, and each of its parts in a folder.
_INDEX: Final = "model_index.json"


def fetched_files(load: Load, sizes: Mapping[str, int]) -> tuple[str, ...] | None:
    """The files of a repository that `load` fetches; None where their names do not tell.

    Args:
        load: The load call.
        sizes: Sizes in bytes of the repository's files, by path.
    """
    if load.file:
        named = [name for name in sizes if fnmatchcase(name, load.file) or name == f"{load.subfolder}/{load.file}"]
        return tuple(named) or None
    if load.library == "huggingface_hub":
        return tuple(sizes) or None  # a snapshot
    if load.subfolder:
        folders = [load.subfolder]
    elif _INDEX in sizes and load.role == "weights":
        folders = sorted({name.rpartition("/")[0] for name in sizes if name.count("/") == 1})
    elif load.library == "sentence-transformers":
        folders = ["", *sorted({name.rpartition("/")[0] for name in sizes if re.match(r"\d+_\w+/", name)})]
    else:
        folders = [""]
    found = [name for folder in folders for name in _of_folder(folder, sizes, load.variant)]
    return tuple(found) or None


def _of_folder(folder: str, sizes: Mapping[str, int], variant: str | None) -> Sequence[str]:
    """The weights in one folder, in the format that is preferred."""
    prefix = f"{folder}/" if folder else ""
    names = [name for name in sizes if name.rpartition("/")[0] == folder and is_weights(name)]
    by_stem: dict[tuple[str, str | None, str], list[str]] = {}
    for name in names:
        stem, _, form = name.removeprefix(prefix).rpartition(".")
        plain, shown = _parts(stem)
        by_stem.setdefault((plain, shown, f".{form}"), []).append(name)
    for wanted in dict.fromkeys((variant, None)):
        for form in _FORMATS:
            for stem in _STEMS:
                if (found := by_stem.get((stem, wanted, form))) is not None:
                    return found
    # A name of its own: one file alone is the one.
    return names if len(names) == 1 else []


def _parts(stem: str) -> tuple[str, str | None]:
    """`model.fp16-00001-of-00002` is `model` in the variant `fp16`."""
    plain = _SHARD.sub("", stem)
    name, dot, variant = plain.partition(".")
    return (name, variant or None) if dot else (plain, None)


def bytes_of(files: Iterable[str], sizes: Mapping[str, int]) -> int:
    """Sum of the sizes of `files`, in bytes."""
    return sum(sizes[name] for name in files)
