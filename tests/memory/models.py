"""Models of true shapes as the estimate sees them, without a Hub between."""

from __future__ import annotations

import json

from spacerun.checkpoints.tensors import Contents, Tensor
from spacerun.memory.estimate import Setting
from spacerun.memory.libraries import Period
from spacerun.memory.model import Model, Part
from spacerun.memory.sizes import Sizes
from spacerun.needs.load import Load
from spacerun.needs.precision import Precision
from tests import true_shapes

GIB = 1024**3
FORMS = {
    "float16": Precision("float16"),
    "bfloat16": Precision("bfloat16"),
    "int8": Precision("int8", "bitsandbytes-8bit"),
    "nf4": Precision("int4", "bitsandbytes-nf4"),
    "nf4-dq": Precision("int4", "bitsandbytes-nf4", double=True),
}


def setting(*, needs_gpu=True, sdpa=True, date=None, transformers=None, **sizes) -> Setting:
    """Assumptions; `max_new_tokens=256` is both usual and largest, `(256, 512)` is each."""
    pairs = {name: value if isinstance(value, tuple) else (value, value) for name, value in sizes.items()}
    usual = {name: value for name, (value, _) in pairs.items()}
    largest = {name: value for name, (_, value) in pairs.items()}
    return Setting(Period(date, transformers), Sizes(usual, largest), needs_gpu, sdpa)


def load(model_id="owner/name", *, dtype="float16", method=None, double=False, **given) -> Load:
    """A load call."""
    precision = given.pop("precision", None) or Precision(dtype, method, double)
    facts = {"kind": "hub", "library": "transformers", "role": "weights", "place": "app.py:1", "device": "cuda"}
    return Load(id=model_id, precision=precision, **{**facts, **given})


def true(name: str, form: str = "float16", *, change=None, **given) -> Model:
    """A model of true shapes."""
    model = true_shapes.load(name)
    model = model.changed(change) if change else model
    library = "diffusers" if "model_index.json" in model.json else "transformers"
    files = {
        weights.path: Contents(
            weights.size + 1000, tuple(Tensor(t.name, t.dtype, t.shape, t.size) for t in weights.tensors)
        )
        for weights in model.weights
        if not weights.variant_of
    }
    folders = sorted({name.rpartition("/")[0] for name in files}) if library == "diffusers" else [""]
    parts = tuple(
        Part(
            folder,
            {name: held for name, held in files.items() if library != "diffusers" or name.startswith(f"{folder}/")},
            json.loads(model.json.get(f"{folder}/config.json" if folder else "config.json", "{}")),
        )
        for folder in folders
    )
    return Model(model.repo, load(model.repo, precision=FORMS[form], **{"library": library, **given}), parts)


def plain(gib: float, model_id="owner/name", **given) -> Model:
    """A model of which nothing but its size in float16 is told, in GiB."""
    count = round(gib * GIB)
    tensor = Tensor("layers.0.weight", "F16", (count // 2048, 1024), count // 2048 * 2048)
    return Model(
        model_id, load(model_id, **given), (Part("", {"model.safetensors": Contents(count + 100, (tensor,))}),)
    )
