"""Find the tensors of published models: build each from its config on the meta device, and write what would be stored.

    uv venv /tmp/shapes && uv pip install --python /tmp/shapes torch transformers diffusers accelerate bitsandbytes
    /tmp/shapes/bin/python -m benchmarks.true_shapes [NAME...]

Reads the files of `tests/checkpoints/true_shapes` (see `tests/true_shapes.py`), keeps what was typed by hand, and
writes anew the lines of tensors: those of the real classes of transformers and diffusers, under the names of the
published files, and packed as the config's `quantization_config` says. Where there is a `loaded` line, it says what
the weights take once loaded in each form; which layers get quantized is transformers' own decision. Nothing is
downloaded. It ends with exit code 1 if a file has changed, so that it is a check as well. Written with transformers
5.24, diffusers 0.42 and bitsandbytes 0.50.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from itertools import groupby
from typing import TYPE_CHECKING, Any

import diffusers
import torch
import transformers
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers.core_model_loading import revert_weight_conversion
from transformers.integrations.bitsandbytes import replace_with_bnb_linear
from transformers.quantizers.base import get_keys_to_not_convert

from tests.true_shapes import FOLDER, names, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Shapes = dict[str, tuple[str, tuple[int, ...]]]

# Classes that are named otherwise today, or that saved the file although the config names another.
CLASSES = {"MPTForCausalLM": "MptForCausalLM", "BertForMaskedLM": "BertForPreTraining"}
# Names in the published files that today's transformers has changed, and no longer changes back.
RENAMED = {
    "CLIPTextModel": [(r"^(?!text_model\.)", "text_model.")],
    "StableDiffusionSafetyChecker": [(r"^vision_model\.(?!vision_model\.)", "vision_model.vision_model.")],
    "LlavaForConditionalGeneration": [(r"^vision_tower\.(?!vision_model\.)", "vision_tower.vision_model.")],
    "GPT2LMHeadModel": [(r"^transformer\.", "")],
    "BertForPreTraining": [(r"LayerNorm\.weight$", "LayerNorm.gamma"), (r"LayerNorm\.bias$", "LayerNorm.beta")],
}
_TYPED = ("#", "repo ", "json ", "hole ", "weights ", "published ", "loaded", "same ", "also ")
_NUMBER = re.compile(r"((?:[^.\s]+\.)*?)(\d+)\.(.*)")


def main() -> None:
    """Write the files of the models named, or of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=names(), metavar="NAME")
    changed = [name for name in parser.parse_args().names if rewrite(name)]
    sys.exit(f"changed: {', '.join(changed)}" if changed else 0)


def rewrite(name: str) -> bool:
    """Write the lines of one model that follow from its configs anew; whether anything changed."""
    path = FOLDER / f"{name}.txt"
    before = path.read_text(encoding="utf-8")
    documents = parse(before).json
    out: list[str] = []
    found: list[str] = []  # to be written once what belongs to their `weights` line is
    for line in before.splitlines():
        if not line.startswith(_TYPED):
            continue
        if not line.startswith(("published ", "loaded")):
            out += found
            found = []
        if line.startswith("weights "):
            _, file, dtype, *_ = line.split()
            config = json.loads(documents[re.sub(r"[^/]+$", "config.json", file)])
            found = stored(config, dtype)
        out.append(loaded(config) if line.startswith("loaded") else line)
    after = "\n".join([*out, *found, ""])
    path.write_text(after, encoding="utf-8")
    return before != after


def stored(config: dict[str, Any], dtype: str) -> list[str]:
    """The tensors of a checkpoint."""
    tensors = {name: (dtype, tuple(tensor.shape)) for name, tensor in published(build(config)).items()}
    if quantization := config.get("quantization_config"):
        tensors = packed(tensors, quantization)
    return collapse([" ".join([name, kind, *map(str, shape)]) for name, (kind, shape) in tensors.items()])


def build(config: dict[str, Any]) -> torch.nn.Module:
    """The model of a config, not quantized, and without memory for its weights."""
    config = {key: value for key, value in config.items() if key != "quantization_config"}
    with torch.device("meta"):
        if "_class_name" in config:
            return getattr(diffusers, config["_class_name"]).from_config(config)
        name = CLASSES.get(config["architectures"][0], config["architectures"][0])
        kind = getattr(transformers, name, StableDiffusionSafetyChecker)
        return kind(kind.config_class.from_dict(config))


def published(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The parameters, tied ones once, under the names that they have in the published file."""
    found = dict(model.named_parameters())
    if isinstance(model, transformers.PreTrainedModel):
        found = revert_weight_conversion(model, found)
    for pattern, replacement in RENAMED.get(type(model).__name__, ()):
        found = {re.sub(pattern, replacement, key): tensor for key, tensor in found.items()}
    return found


def loaded(config: dict[str, Any]) -> str:
    """Bytes of the parameters in 16 bits, and with the layers quantized that transformers would have quantized."""
    model = build(config)
    total = sum(tensor.numel() for tensor in model.parameters())
    is_transformer = isinstance(model, transformers.PreTrainedModel)
    # Layers that overflow in 16 bits stay in 32, and are not quantized either.
    wide = set(model._keep_in_fp32_modules or ()) if is_transformer else set()  # noqa: SLF001 - told nowhere else
    more = 2 * sum(tensor.numel() for name, tensor in model.named_parameters() if wide & set(name.split(".")))
    kept = [*get_keys_to_not_convert(model), *wide] if is_transformer else None
    settings = transformers.BitsAndBytesConfig(load_in_4bit=True)
    layers = [m for m in replace_with_bnb_linear(model, kept, settings).modules() if type(m).__name__ == "Linear4bit"]
    quantized = sum(layer.in_features * layer.out_features for layer in layers)
    rows = sum(layer.out_features for layer in layers)
    rest = 2 * (total - quantized) + more
    sizes = {
        "float16": 2 * total + more,
        "int8": quantized + 4 * rows + rest,  # a scale of 32 bits for each row
        "nf4": quantized // 2 + quantized // 64 * 4 + rest,  # for each block of 64
        "nf4-dq": quantized // 2
        + quantized // 64
        + quantized // 64 // 256 * 4
        + rest,  # of 8 bits, and for 256 of those
    }
    return " ".join(["loaded", *(f"{form}={size}" for form, size in sizes.items())])


def packed(tensors: Shapes, quantization: dict[str, Any]) -> Shapes:
    """What becomes of the projections in the layers by quantization."""
    pack = {
        "gptq": _gptq,
        "awq": _awq,
        "bitsandbytes": _nf4,
        "fp8": _fp8,
        "mxfp4": _mxfp4,
    }[quantization["quant_method"]]
    pattern = r"experts\.\w+_proj$" if pack is _mxfp4 else r"layers\.\d+\..*_proj\.weight$"
    out: Shapes = {}
    for name, (dtype, shape) in tensors.items():
        if re.search(pattern, name):
            out |= {name.removesuffix("weight") + end: value for end, value in pack(dtype, *shape).items()}
        else:
            out[name] = (dtype, shape)
    return out


def _gptq(dtype: str, rows: int, columns: int) -> Shapes:
    """AutoGPTQ's QuantLinear: 4 bits, groups of 128."""
    return {
        "qweight": ("I32", (columns // 8, rows)),
        "qzeros": ("I32", (columns // 128, rows // 8)),
        "scales": (dtype, (columns // 128, rows)),
        "g_idx": ("I32", (columns,)),
        "bias": (dtype, (rows,)),
    }


def _awq(dtype: str, rows: int, columns: int) -> Shapes:
    """AutoAWQ's WQLinear_GEMM: 4 bits, groups of 128."""
    return {
        "qweight": ("I32", (columns, rows // 8)),
        "qzeros": ("I32", (columns // 128, rows // 8)),
        "scales": (dtype, (columns // 128, rows)),
    }


def _nf4(dtype: str, rows: int, columns: int) -> Shapes:
    """Bitsandbytes' Params4bit: blocks of 64, whose scales are quantized in blocks of 256."""
    blocks = rows * columns // 64
    state = {
        "quant_type": "nf4",
        "blocksize": 64,
        "dtype": {"BF16": "bfloat16", "F16": "float16"}[dtype],
        "shape": [rows, columns],
        "nested_blocksize": 256,
        "nested_dtype": "float32",
        "nested_offset": 0.040925998240709305,  # of so many digits
    }
    return {
        "weight": ("U8", (rows * columns // 2, 1)),
        "weight.absmax": ("U8", (blocks,)),
        "weight.nested_absmax": ("F32", (blocks // 256,)),
        "weight.nested_quant_map": ("F32", (256,)),
        "weight.quant_map": ("F32", (16,)),
        "weight.quant_state.bitsandbytes__nf4": ("U8", (len(json.dumps(state)),)),
    }


def _fp8(dtype: str, rows: int, columns: int) -> Shapes:
    """Blocks of 128 by 128 with a scale each."""
    return {"weight": ("F8_E4M3", (rows, columns)), "weight_scale_inv": (dtype, (-(-rows // 128), -(-columns // 128)))}


def _mxfp4(_: str, experts: int, columns: int, rows: int) -> Shapes:
    """Blocks of 32 with a scale each, stored transposed."""
    return {"_blocks": ("U8", (experts, rows, columns // 32, 16)), "_scales": ("U8", (experts, rows, columns // 32))}


def collapse(lines: Sequence[str]) -> list[str]:
    """Join lines that repeat with the next number: `h.0.x F32 8`, `h.1.x F32 8` is `h.{0..1}.x F32 8`."""
    out: list[str] = []
    for prefix, first, last, rest in _runs(lines):
        number = f"{first}" if first == last else f"{{{first}..{last}}}"
        out += [f"{prefix}{number}.{line}" for line in collapse(rest)] if rest else [prefix]
    return out


def _runs(lines: Sequence[str]) -> Iterator[tuple[str, int, int, list[str]]]:
    """What stands before the first number, the range of that number, and what follows it throughout the range."""
    run: tuple[str, int, int, list[str]] | None = None
    for (prefix, number), group in groupby(lines, _beginning):
        rest = [match[3] for line in group if (match := _NUMBER.match(line))]
        if run and rest and run[0] == prefix and run[2] + 1 == number and run[3] == rest:
            run = (prefix, run[1], number, rest)
            continue
        if run:
            yield run
        run = (prefix, number, number, rest)
    if run:
        yield run


def _beginning(line: str) -> tuple[str, int]:
    match = _NUMBER.match(line)
    return (match[1], int(match[2])) if match else (line, -1)


if __name__ == "__main__":
    main()
