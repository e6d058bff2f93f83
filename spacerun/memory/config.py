"""The shape of a model by its `config.json` or the metadata of its GGUF file, under whatever names these give it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# The names that families of transformers use for one thing (transformers, `configuration_*.py`, `attribute_map`).
_LAYERS: Final = ("num_decoder_layers", "decoder_layers", "num_hidden_layers", "n_layer", "n_layers", "num_layers")
_HEADS: Final = ("decoder_attention_heads", "num_attention_heads", "n_head", "n_heads", "num_heads")
_KV_HEADS: Final = ("num_key_value_heads", "n_head_kv", "num_kv_heads", "multi_query_group_num")
_HEAD_SIZE: Final = ("head_dim", "d_kv", "kv_channels", "attention_head_dim")
_WIDTH: Final = ("hidden_size", "n_embd", "d_model", "dim")
_INNER: Final = ("intermediate_size", "ffn_hidden_size", "n_inner", "d_ff", "decoder_ffn_dim", "ffn_dim")
_NESTED: Final = ("text_config", "language_config", "llm_config", "decoder")
# A config is a stranger's text: no real model is larger.
_LARGEST: Final = 10_000_000
# Layers of each kind where no `layer_types` says it (gemma2: every other one; gemma3: 5 of 6).
_PATTERNS: Final = {"gemma2": 2, "gemma3": 6, "gemma3_text": 6, "cohere2": 4}


@dataclass(frozen=True)
class Shape:
    """What a language model's memory at work depends on; counts, 0 where unknown.

    Attributes:
        layers: Layers that keep keys and values.
        kv_width: Numbers that one layer keeps for one token: keys and values of all heads.
        heads: Attention heads.
        width: Size of the hidden state.
        inner: Size of the feed-forward layer.
        vocabulary: Tokens that there are.
        window: Tokens that a layer with a sliding window keeps; 0 for none.
        windowed_layers: How many of the layers have that window.
    """

    layers: int = 0
    kv_width: int = 0
    heads: int = 0
    width: int = 0
    inner: int = 0
    vocabulary: int = 0
    window: int = 0
    windowed_layers: int = 0


def text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a multimodal config that describes the language model; the config itself otherwise."""
    for name in _NESTED:
        inner = config.get(name)
        if isinstance(inner, dict) and _first(inner, _LAYERS + _WIDTH):
            return inner
    return config


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The shape by a `config.json`."""
    own = text_part(config)
    layers, heads, width = _first(own, _LAYERS), _first(own, _HEADS), _first(own, _WIDTH)
    window, windowed = _window(own, layers)
    return Shape(
        layers=layers,
        kv_width=_kv_width(own, heads, width),
        heads=heads,
        width=width,
        inner=_first(own, _INNER) or 4 * width,
        vocabulary=count(own, "vocab_size") or count(config, "vocab_size"),
        window=window,
        windowed_layers=windowed,
    )


def shape_of_gguf(facts: Mapping[str, Any]) -> Shape:
    """The shape by the metadata of a GGUF file (ggml, docs/gguf.md, "LLM")."""
    layers, heads = count(facts, "block_count"), _number(facts, "attention.head_count")
    width = count(facts, "embedding_length")
    size = width // heads if heads else 0
    keys, values = count(facts, "attention.key_length") or size, count(facts, "attention.value_length") or size
    kv_heads = _number(facts, "attention.head_count_kv") or heads
    return Shape(
        layers=layers,
        kv_width=kv_heads * (keys + values),
        heads=heads,
        width=width,
        inner=count(facts, "feed_forward_length") or 4 * width,
        vocabulary=count(facts, "vocab_size"),
    )


def _number(facts: Mapping[str, Any], name: str) -> int:
    """A count, or the largest of a list that has one for each layer."""
    value = facts.get(name)
    if isinstance(value, list):
        return max((count({name: item}, name) for item in value), default=0)
    return count(facts, name)


def _kv_width(own: Mapping[str, Any], heads: int, width: int) -> int:
    if count(own, "kv_lora_rank"):
        # DeepSeek's compressed cache is expanded before it is kept (transformers, modeling_deepseek_v3.py).
        keys = count(own, "qk_nope_head_dim") + count(own, "qk_rope_head_dim")
        return heads * (keys + count(own, "v_head_dim"))
    size = _first(own, _HEAD_SIZE) or (width // heads if heads else 0)
    return 2 * _kv_heads(own, heads) * size


def _kv_heads(own: Mapping[str, Any], heads: int) -> int:
    attention = own.get("attn_config")  # MPT, DBRX
    nested = count(attention, "kv_n_heads") if isinstance(attention, dict) else 0
    if own.get("multi_query") is True and not own.get("new_decoder_architecture"):
        return 1  # Falcon 7B, StarCoder
    return nested or _first(own, _KV_HEADS) or heads


def _window(own: Mapping[str, Any], layers: int) -> tuple[int, int]:
    """Tokens of the sliding window, and the number of layers that have it."""
    window = count(own, "sliding_window")
    if not window or own.get("use_sliding_window") is False:
        return 0, 0
    kinds = own.get("layer_types")
    if isinstance(kinds, list):
        return window, min(sum(kind == "sliding_attention" for kind in kinds), layers)
    every = count(own, "sliding_window_pattern") or _PATTERNS.get(str(own.get("model_type")), 0)
    return window, layers - layers // every if every > 1 else layers


def count(config: Mapping[str, Any], name: str) -> int:
    """A count in a config, 0 where it is none that can be."""
    value = config.get(name)
    return value if type(value) is int and 0 < value <= _LARGEST else 0


def _first(config: Mapping[str, Any], names: tuple[str, ...]) -> int:
    return next((found for name in names if (found := count(config, name))), 0)
