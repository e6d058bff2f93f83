"""Make a tiny LLaMA and a LoRA adapter for it, both with random weights, and foretell the first token they generate.

    python tests/tiny_llama.py FOLDER PROMPT

Run by the Python of a Space's own environment, which has to hold torch, transformers, peft and sentencepiece. Writes
`FOLDER/base` and `FOLDER/adapter`, and prints what follows the prompt, with and without the adapter, as JSON. It is
computed from the weights alone: neither peft nor transformers' generation has a part in it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import sentencepiece
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, LlamaTokenizer

ORIGINAL_BASE = "decapoda-research/llama-7b-hf"
TEXT = """\
Alpacas are kept in herds that graze on the level heights of the Andes of Peru, Bolivia, Ecuador and Chile.
An instruction describes a task, paired with an input that provides further context; a response completes it.
"""
VOCABULARY = 384  # 256 bytes, three special tokens, and what the text yields
RANK, ALPHA = 4, 16


def main(folder: Path, prompt: str) -> dict[str, str]:
    """Make both; what follows `prompt`."""
    tokenizer = make_tokenizer(folder / "base", prompt)
    ids = torch.tensor([tokenizer(prompt)["input_ids"]])
    for seed in range(100):
        torch.manual_seed(seed)
        make_base(tokenizer).save_pretrained(folder / "base")
        adapt(LlamaForCausalLM.from_pretrained(folder / "base"), folder / "adapter")
        model = LlamaForCausalLM.from_pretrained(folder / "base").eval()
        without = following(model, tokenizer, ids, prompt)
        add_by_hand(model, folder / "adapter")
        adapted = following(model, tokenizer, ids, prompt)
        # Proof of the adapter needs a visible token that the base alone would not generate.
        if adapted.isalpha() and adapted != without:
            return {"adapted": adapted, "without": without}
    raise SystemExit("no seed gives a visible token that depends on the adapter")


def make_tokenizer(folder: Path, prompt: str) -> LlamaTokenizer:
    """A tokenizer of LLaMA's kind: pairs of bytes merged, whitespace kept, bytes for what it has not seen."""
    folder.mkdir(parents=True)
    text = folder.parent / "text.txt"
    text.write_text(TEXT + prompt, encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=VOCABULARY,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
    )
    (folder / "tokenizer.vocab").unlink()
    tokenizer = LlamaTokenizer(str(folder / "tokenizer.model"))
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_base(tokenizer: LlamaTokenizer) -> LlamaForCausalLM:
    """Two layers, of weights so far apart that rounding does not decide on the token."""
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            initializer_range=0.5,
        )
    )


def adapt(model: LlamaForCausalLM, folder: Path) -> None:
    """Save an adapter of `model` that changes what it says; a new one changes nothing."""
    config = LoraConfig(
        r=RANK, lora_alpha=ALPHA, lora_dropout=0.05, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"
    )
    adapted = get_peft_model(model, config)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    adapted.save_pretrained(folder)
    settings = folder / "adapter_config.json"
    settings.write_text(
        json.dumps(json.loads(settings.read_text()) | {"base_model_name_or_path": ORIGINAL_BASE}), encoding="utf-8"
    )


def add_by_hand(model: LlamaForCausalLM, folder: Path) -> None:
    """Add the adapter's product to the weights (Hu et al. 2021, equation 3, with the factor alpha / r)."""
    saved = torch.load(folder / "adapter_model.bin")
    factors = [name for name in saved if name.endswith(".lora_A.weight")]
    assert len(factors) == 2 * model.config.num_hidden_layers
    for name in factors:
        prefix = name[: -len(".lora_A.weight")]
        layer = model.get_submodule(prefix.replace("base_model.model.", "", 1))
        with torch.no_grad():
            layer.weight += ALPHA / RANK * saved[f"{prefix}.lora_B.weight"] @ saved[name]


def following(model: LlamaForCausalLM, tokenizer: LlamaTokenizer, ids: torch.Tensor, prompt: str) -> str:
    """The likeliest token after the prompt, as text."""
    with torch.no_grad():
        token = model(ids).logits[0, -1].argmax()
    text = tokenizer.decode(torch.cat([ids[0], token[None]]))
    return text.split(prompt.splitlines()[-1])[1].strip()


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2])))
