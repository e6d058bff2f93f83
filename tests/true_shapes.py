"""Models as their publishers store them: names, types and shapes of every tensor, published as files with holes.

    repo = true_shapes.publish(hub, "llama-2-70b")                         # 138 GB that take no disk space
    repo = true_shapes.publish(hub, "gpt2", change={"wte.weight": (50304, 768)})

A model is a text file in `tests/checkpoints/true_shapes`, of lines that begin with one of

    repo ID                    its name on the Hub
    json PATH {...}            a small file: the fields of it that say what the model is
    weights PATH DTYPE [GB]    a safetensors file, in shards of at most GB gigabytes if that is given
    published BYTES            what the Hub says of these weights: `total_size` of the index, or the size of the file
    same PATH SOURCE DTYPE     the tensors of SOURCE in another type, as the variant `fp16`
    hole PATH BYTES            a file of which only the size matters
    loaded FORM=BYTES...       what these weights take once they are loaded in a form
    NAME DTYPE DIMENSION...    a tensor of these weights
    also NAME DTYPE ...        one more, typed by hand

The lines `loaded` and those of tensors were found by `python -m benchmarks.true_shapes`, the others typed by hand.

A name may hold ranges: `layers.{0..31}.mlp.up_proj.weight`. Tensors marked `buffer` are saved but are no parameters.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from tests.hub import Sparse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tests.hub import Hub
    from tests.hub.publishing import Content

FOLDER = Path(__file__).with_name("checkpoints") / "true_shapes"
# Bytes of an element; safetensors puts the tensors of the wider types first, in this order.
WIDTHS = {"I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "U8": 1}
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


@dataclass(frozen=True)
class Tensor:
    """One tensor as it is stored. A `buffer` is no parameter: a mask, a table of positions or frequencies."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    buffer: bool = False

    @property
    def elements(self) -> int:
        """How many numbers it holds; packed ones count as what they are packed in."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.elements * WIDTHS[self.dtype]


@dataclass(frozen=True)
class Weights:
    """The tensors of one safetensors file, or of its shards of at most `shard_bytes`."""

    path: str
    tensors: tuple[Tensor, ...]
    shard_bytes: int | None = None
    published: int | None = None
    loaded: Mapping[str, int] = field(default_factory=dict)
    variant_of: str | None = None

    @property
    def parameters(self) -> int:
        """Elements of all tensors but buffers."""
        return sum(tensor.elements for tensor in self.tensors if not tensor.buffer)

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.size for tensor in self.tensors)

    def files(self) -> dict[str, Content]:
        """What is published of them: the file, or shards and their index."""
        shards = list(_shards(self.tensors, self.shard_bytes))
        if len(shards) == 1:
            return {self.path: safetensors(self.tensors)}
        stem = self.path.removesuffix(".safetensors")
        names = [f"{stem}-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
        places = {tensor.name: Path(name).name for name, shard in zip(names, shards, strict=True) for tensor in shard}
        index = {"metadata": {"total_size": self.size}, "weight_map": dict(sorted(places.items()))}
        files: dict[str, Content] = {name: safetensors(shard) for name, shard in zip(names, shards, strict=True)}
        return files | {f"{self.path}.index.json": json.dumps(index, indent=2)}


@dataclass(frozen=True)
class Model:
    """A model repository."""

    repo: str
    json: Mapping[str, str]
    weights: tuple[Weights, ...]
    holes: Mapping[str, int]

    @property
    def parameters(self) -> int:
        """Parameters of all weights, without their variants."""
        return sum(weights.parameters for weights in self.weights if not weights.variant_of)

    @property
    def loaded(self) -> Mapping[str, int]:
        """Bytes of all weights by the form they are loaded in; empty where the publisher has quantized them."""
        totals: Counter[str] = Counter()
        for weights in self.weights:
            totals.update(weights.loaded)
        return totals

    @property
    def library(self) -> str:
        """The library that the Hub shows with the model."""
        marks = {"model_index.json": "diffusers", "modules.json": "sentence-transformers"}
        return next((library for path, library in marks.items() if path in self.json), "transformers")

    def of(self, path: str) -> Weights:
        """The weights at `path`."""
        return next(weights for weights in self.weights if weights.path == path)

    def changed(self, shapes: Mapping[str, Sequence[int]]) -> Model:
        """The model with other shapes for the tensors named; a name may hold ranges.

        Raises:
            KeyError: There is no tensor of that name.
        """
        wanted = {name: tuple(shape) for text, shape in shapes.items() for name in _names([text])}
        unknown = wanted.keys() - {tensor.name for weights in self.weights for tensor in weights.tensors}
        if unknown:
            raise KeyError(*sorted(unknown))
        return replace(self, weights=tuple(replace(w, tensors=_changed(w.tensors, wanted)) for w in self.weights))

    def files(self) -> dict[str, Content]:
        """What is published."""
        files: dict[str, Content] = {path: Sparse(b"", size) for path, size in self.holes.items()}
        files |= self.json
        files["README.md"] = f"---\nlibrary_name: {self.library}\n---\n"
        for weights in self.weights:
            files |= weights.files()
        return files


def names() -> list[str]:
    """The models there are."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def load(name: str) -> Model:
    """Read a model.

    Raises:
        FileNotFoundError: There is none of that name.
    """
    return parse((FOLDER / f"{name}.txt").read_text(encoding="utf-8"))


def publish(hub: Hub, name: str, *, change: Mapping[str, Sequence[int]] | None = None) -> str:
    """Put a model on the Hub, if need be with other shapes for some of its tensors; its repository's name."""
    model = load(name).changed(change or {})
    hub.publish(model.repo, model.files(), kind="model")
    return model.repo


def parse(text: str) -> Model:
    """Read the text of a model."""
    repo, documents, holes = "", {}, {}
    weights: list[Weights] = []
    lines: dict[str, list[str]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        match word:
            case "#":
                pass
            case "repo":
                repo = rest
            case "json":
                path, _, documents_text = rest.partition(" ")
                documents[path] = documents_text
            case "hole":
                path, size = rest.split()
                holes[path] = int(size)
            case "weights":
                path, _, *limit = rest.split()
                weights.append(Weights(path, (), int(float(limit[0]) * 1e9) if limit else None))
            case "same":
                path, source, dtype = rest.split()
                weights.append(Weights(path, (), variant_of=f"{source} {dtype}"))
            case "published":
                weights[-1] = replace(weights[-1], published=int(rest))
            case "loaded":
                forms = (item.split("=") for item in rest.split())
                weights[-1] = replace(weights[-1], loaded={form: int(size) for form, size in forms})
            case _:
                lines.setdefault(weights[-1].path, []).append(line.removeprefix("also "))
    own = [replace(w, tensors=tuple(map(_tensor, _names(lines.get(w.path, ()))))) for w in weights]
    return Model(repo, documents, tuple(_variant(w, own) for w in own), holes)


def safetensors(tensors: Iterable[Tensor]) -> Sparse:
    """A safetensors file with a true header and no numbers."""
    order = list(WIDTHS)
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in sorted(tensors, key=lambda tensor: (order.index(tensor.dtype), tensor.name)):
        start, end = end, end + tensor.size
        header[tensor.name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    head = len(text).to_bytes(8, "little") + text
    return Sparse(head, len(head) + end)


def _names(texts: Sequence[str]) -> Iterator[str]:
    """Replace ranges by numbers; neighbours with the same beginning and range count up together, as layers do."""

    def beginning(text: str) -> str:
        match = _RANGE.search(text)
        return text[: match.end()] if match else ""

    for start, group in groupby(texts, beginning):
        members = list(group)
        if not start:
            yield from members
            continue
        found = _RANGE.search(start)
        for number in range(int(found[1]), int(found[2]) + 1):
            yield from _names([start[: found.start()] + str(number) + text[len(start) :] for text in members])


def _tensor(line: str) -> Tensor:
    name, dtype, *rest = line.split()
    buffer = rest[-1:] == ["buffer"]
    return Tensor(name, dtype, tuple(map(int, rest[: len(rest) - buffer])), buffer)


def _variant(weights: Weights, all_weights: Sequence[Weights]) -> Weights:
    """Fill in the tensors of a `same` line."""
    if not weights.variant_of:
        return weights
    source, dtype = weights.variant_of.split()
    origin = next(other for other in all_weights if other.path == source)
    # Integers stay what they are: tables of positions.
    tensors = tuple(t if t.dtype.startswith("I") else replace(t, dtype=dtype) for t in origin.tensors)
    return replace(weights, tensors=tensors, variant_of=source)


def _changed(tensors: Iterable[Tensor], shapes: Mapping[str, tuple[int, ...]]) -> tuple[Tensor, ...]:
    return tuple(replace(tensor, shape=shapes.get(tensor.name, tensor.shape)) for tensor in tensors)


def _shards(tensors: Iterable[Tensor], limit: int | None) -> Iterator[list[Tensor]]:
    """Fill shard after shard, as `save_pretrained` does."""
    shard: list[Tensor] = []
    for tensor in tensors:
        if limit and shard and sum(t.size for t in shard) + tensor.size > limit:
            yield shard
            shard = []
        shard.append(tensor)
    yield shard
