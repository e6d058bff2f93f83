"""Which files a load call fetches, and how many bytes these are, by the listing of the repository alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spacerun.needs.load import Load
from spacerun.needs.precision import Precision
from spacerun.needs.weights import bytes_of, fetched_files

LOAD = Load("a/b", "hub", "transformers", "weights", Precision(), "app.py:1")
DIFFUSERS = replace(LOAD, library="diffusers")

TRANSFORMERS = [
    "config.json",
    "tokenizer.json",
    "model.safetensors",
    "pytorch_model.bin",
    "tf_model.h5",
    "training_args.bin",
]
SHARDED = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
PIPELINE = [
    "model_index.json", "v1-5-pruned.ckpt", "unet/config.json", "unet/diffusion_pytorch_model.bin",
    "unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.non_ema.safetensors", "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors", "text_encoder/model.fp16.safetensors", "text_encoder/pytorch_model.bin",
    "tokenizer/vocab.json", "scheduler/scheduler_config.json",
]  # fmt: skip
GGUF = ["README.md", "m.Q4_K_M.gguf", "m.Q8_0.gguf"]

CASES = {
    "safetensors before anything else": (LOAD, TRANSFORMERS, ["model.safetensors"]),
    "PyTorch where there is nothing else": (LOAD, ["pytorch_model.bin", "optimizer.pt"], ["pytorch_model.bin"]),
    "all shards": (LOAD, [*SHARDED, "pytorch_model.bin"], SHARDED[:2]),
    "a variant": (replace(LOAD, variant="fp16"), ["model.fp16.safetensors", "model.safetensors"], ["model.fp16.safetensors"]),
    "a variant that is not there": (replace(LOAD, variant="fp16"), TRANSFORMERS, ["model.safetensors"]),
    "a pipeline, part by part": (
        DIFFUSERS, PIPELINE,
        ["text_encoder/model.safetensors", "unet/diffusion_pytorch_model.safetensors",
         "vae/diffusion_pytorch_model.safetensors"]),
    "a variant of a pipeline": (
        replace(DIFFUSERS, variant="fp16"), PIPELINE,
        ["text_encoder/model.fp16.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
         "vae/diffusion_pytorch_model.safetensors"]),
    "one part of a pipeline": (
        replace(DIFFUSERS, subfolder="vae"), PIPELINE, ["vae/diffusion_pytorch_model.safetensors"]),
    "one file": (replace(LOAD, file="m.Q8_0.gguf"), GGUF, ["m.Q8_0.gguf"]),
    "files of a pattern": (replace(LOAD, file="*Q4_K_M.gguf"), GGUF, ["m.Q4_K_M.gguf"]),
    "a file in a folder": (
        replace(LOAD, subfolder="models", file="ip.bin"), ["models/ip.bin", "models/ip.safetensors"], ["models/ip.bin"]),
    "a snapshot": (replace(LOAD, library="huggingface_hub"), GGUF, GGUF),
    "an adapter": (replace(LOAD, role="adapter"), ["adapter_config.json", "adapter_model.bin"], ["adapter_model.bin"]),
    "modules of sentence-transformers": (
        replace(LOAD, library="sentence-transformers"),
        ["model.safetensors", "1_Pooling/config.json", "2_Dense/model.safetensors", "onnx/model.onnx"],
        ["model.safetensors", "2_Dense/model.safetensors"]),
    "CTranslate2": (replace(LOAD, library="faster-whisper"), ["config.json", "model.bin", "vocabulary.txt"], ["model.bin"]),
    "a name of its own": (LOAD, ["config.json", "RealESRGAN_x2.pth"], ["RealESRGAN_x2.pth"]),
    "several names of their own": (LOAD, GGUF, None),
    "no weights": (LOAD, ["config.json"], None),
    "a file that is not there": (replace(LOAD, file="x.bin"), TRANSFORMERS, None),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
def test_the_files_that_are_loaded_are_told(what: str) -> None:
    load, names, expected = CASES[what]
    sizes = {name: 10**number for number, name in enumerate(names)}
    found = fetched_files(load, sizes)
    assert (list(found) if found else None) == expected
    assert bytes_of(found or (), sizes) == sum(sizes[name] for name in expected or ())
