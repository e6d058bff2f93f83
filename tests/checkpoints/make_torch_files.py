"""Make the small files of PyTorch under `files`, and what PyTorch itself says lies in them.

    python tests/checkpoints/make_torch_files.py FOLDER

Run by a Python that has torch, which is too large for the tests to install. Writes each file and `torch.json`: tensors
by name, with the type in the spelling of safetensors, the shape and the bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from torch import nn

NAMES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
    torch.complex64: "C64", torch.complex128: "C128", torch.uint16: "U16", torch.uint32: "U32", torch.uint64: "U64",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2", torch.float8_e8m0fnu: "F8_E8M0",
}  # fmt: skip


class Tiny(nn.Module):
    """A model of a class that only this file knows."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8, bias=False))
        self.head = nn.Linear(8, 20, bias=False)
        self.register_buffer("steps", torch.zeros(3, dtype=torch.int64))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(self.embedding(ids)))


def main(folder: Path) -> None:
    """Write the files."""
    torch.manual_seed(0)
    model = Tiny()
    told: dict[str, dict[str, list[object]]] = {}

    state = model.state_dict()
    half = {name: tensor.to(torch.float16 if "layers" in name else torch.bfloat16) for name, tensor in state.items()}
    for name, content in {"state_dict.bin": state, "half.pth": half}.items():
        torch.save(content, folder / name)
        told[name] = rows(content)

    every = {name: torch.zeros(2, 3, dtype=torch.int8).view(torch.uint8).to(torch.float32).to(dtype)
             for dtype, name in NAMES.items()}  # fmt: skip
    torch.save(every, folder / "every_type.pt")
    told["every_type.pt"] = rows(every)

    quantized = torch.quantize_per_tensor(torch.zeros(4, 5), 0.1, 0, torch.qint8)
    torch.save({"weight": quantized}, folder / "quantized.pt")
    told["quantized.pt"] = {"weight": ["I8", [4, 5], 20]}

    # A storage of 100 numbers: two names for all of it, a view of its end, and one row shown a thousand times.
    whole = torch.zeros(10, 10)
    shared = {"embedding": whole, "head": whole, "end": whole[9:], "wide": torch.zeros(1, 8).expand(1000, 8)}
    torch.save(shared, folder / "shared.bin")
    told["shared.bin"] = {"embedding": ["F32", [10, 10], 400], "wide": ["F32", [8], 32]}

    # A checkpoint of training: weights, the state of the optimizer, and objects of all kinds.
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(1, dtype=torch.int64)).sum().backward()
    optimizer.step()
    training = {
        "state_dict": state,
        "optimizer_states": [optimizer.state_dict()],
        "arguments": argparse.Namespace(rate=0.1, folder=Path("somewhere")),
        "seen": {1, 2, 3},
        "epoch": 3,
    }
    torch.save(training, folder / "training.ckpt")
    moments = optimizer.state_dict()["state"]
    told["training.ckpt"] = rows({f"state_dict.{name}": tensor for name, tensor in state.items()}) | rows(
        {f"optimizer_states.0.state.{n}.{name}": tensor for n, row in moments.items() for name, tensor in row.items()}
    )

    # Whole models, as their classes: only importing these could load them.
    module = {
        f"{'_modules.' if dot else ''}{place.replace('.', '._modules.')}{dot}{kind}.{name}": tensor
        for place, part in model.named_modules()
        for dot in ("." if place else "",)
        for kind in ("_parameters", "_buffers")
        for name, tensor in getattr(part, kind).items()
        if tensor is not None
    }
    torch.save({"model": model, "train_args": {"imgsz": 640}}, folder / "module.pt")
    told["module.pt"] = rows({f"model.{name}": tensor for name, tensor in module.items()})
    torch.save(state, folder / "protocol_5.pt", pickle_protocol=5)
    told["protocol_5.pt"] = rows(state)

    torch.jit.script(model).save(folder / "scripted.pt")
    told["scripted.pt"] = rows(state)  # under names of its own
    torch.save(state, folder / "legacy.pt", _use_new_zipfile_serialization=False)

    (folder / "torch.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def rows(tensors: dict[str, torch.Tensor]) -> dict[str, list[object]]:
    """What PyTorch says of each tensor."""
    return {
        name: [NAMES[tensor.dtype], list(tensor.shape), tensor.element_size() * tensor.nelement()]
        for name, tensor in tensors.items()
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
