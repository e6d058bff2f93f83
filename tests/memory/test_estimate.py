"""What is added to the weights, and how models add up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spacerun.memory.config import shape_of, shape_of_gguf
from spacerun.memory.estimate import estimate
from spacerun.memory.term import total
from tests import true_shapes
from tests.memory.models import GIB, plain, setting, true

KIB = 1024
# KiB for each token in 16 bits: `2 · layers · kv heads · head size · 2` by the published configs.
PER_TOKEN = {"llama-7b": 512, "mpt-7b": 512, "llama-13b": 800, "llama-30b": 1560, "llama-65b": 2560,
             "llama-2-70b": 320, "llama-3-8b": 128}  # fmt: skip


def term(model, kind, **assumed):
    (found,) = [row for row in estimate([model], setting(**assumed)).terms if row.kind == kind]
    return found.bytes


@pytest.mark.parametrize("name", PER_TOKEN)
def test_the_cache_of_keys_and_values_is_as_published(name: str) -> None:
    usual = 512 + 256  # a page of prompt, and the answer
    assert term(true(name), "cache", max_new_tokens=256).expected == PER_TOKEN[name] * KIB * usual


def test_the_cache_follows_the_code_and_not_the_most_that_the_model_can() -> None:
    few, many = (term(true("llama-3-8b"), "cache", max_new_tokens=count).expected for count in (128, 4096))
    assert many - few == 128 * KIB * (4096 - 128)


def test_a_slider_counts_as_it_stands_and_at_most_as_far_as_it_goes() -> None:
    span = term(true("llama-7b"), "cache", max_new_tokens=(128, 2048), num_beams=(2, 4))
    assert span.expected == 512 * KIB * (512 + 128) * 2
    assert span.high == 512 * KIB * (2048 + 2048) * 4


def test_a_sliding_window_bounds_the_cache() -> None:
    free = term(true("mistral-7b"), "cache", max_new_tokens=2048).expected
    bound = term(true("mistral-7b"), "cache", max_new_tokens=20000).expected
    assert free == 128 * KIB * (512 + 2048)
    assert bound == 128 * KIB * 4096


def test_half_of_the_layers_of_gemma_2_have_a_window() -> None:
    shape = shape_of(true("gemma-2-9b").parts[0].config)
    assert (shape.layers, shape.windowed_layers, shape.window) == (42, 21, 4096)


def test_the_shape_of_a_multimodal_model_is_that_of_its_language_model() -> None:
    shape = shape_of(true("llava-1.5-13b").parts[0].config)
    assert (shape.layers, shape.kv_width) == (40, 2 * 40 * 128)


def test_the_shape_in_a_gguf_file_is_read() -> None:
    facts = {"block_count": 32, "attention.head_count": 32, "attention.head_count_kv": [8] * 32,
             "embedding_length": 4096, "vocab_size": 128256}  # fmt: skip
    shape = shape_of_gguf(facts)
    assert (shape.layers, shape.kv_width, shape.vocabulary) == (32, 2 * 8 * 128, 128256)


@pytest.mark.parametrize("value", [-5, 10**30, "many", None, True, [], {"a": 1}, 1.5])
def test_a_hostile_config_gives_no_shape_and_no_error(value) -> None:
    names = ("num_hidden_layers", "num_attention_heads", "hidden_size", "vocab_size", "sliding_window", "head_dim",
             "attn_config", "layer_types", "text_config", "kv_lora_rank")  # fmt: skip
    shape = shape_of(dict.fromkeys(names, value))
    assert (shape.layers, shape.kv_width, shape.window) == (0, 0, 0)


def test_a_lora_adapter_adds_its_own_weights_to_its_base() -> None:
    base, adapter = plain(12, "a/base"), plain(0.1, "a/lora", role="adapter", place="app.py:2")
    both = estimate([base, adapter], setting())
    assert both.weights_bytes - estimate([base], setting()).weights_bytes == pytest.approx(0.1 * GIB, rel=0.001)


def test_models_that_live_together_add_up_and_candidates_count_as_the_largest() -> None:
    together = [plain(size, f"a/{size}", place=f"app.py:{size}") for size in (1, 2, 4)]
    assert estimate(together, setting()).weights_bytes == pytest.approx(7 * GIB, rel=0.001)
    chosen = [plain(size, f"a/{size}", place="app.py:1", choice=True) for size in (1, 2, 4)]
    found = estimate(chosen, setting())
    assert found.weights_bytes == pytest.approx(4 * GIB, rel=0.001)
    assert total(t.bytes for t in found.terms if t.kind == "weights").low == pytest.approx(1 * GIB, rel=0.001)
    assert found.confidence == "medium"


def test_text_encoders_and_vae_of_a_pipeline_are_counted() -> None:
    parts = {row.name: row.stored_bytes for row in true("sdxl-base").parts}
    assert {"text_encoder", "text_encoder_2", "unet", "vae"} <= parts.keys()
    assert estimate([true("sdxl-base")], setting()).weights_bytes == pytest.approx(3_468_837_867 * 2, rel=0.001)


def test_cpu_offload_keeps_the_largest_component_on_the_gpu() -> None:
    found = estimate([true("flux-1-dev", "bfloat16", offload="model")], setting())
    assert found.weights_bytes == pytest.approx(11_901_408_320 * 2, rel=0.001)
    assert found.host.expected == pytest.approx(33.74e9, rel=0.001)
    less = estimate([true("flux-1-dev", "bfloat16", offload="sequential")], setting())
    assert less.weights_bytes < 0.1 * found.weights_bytes


def test_what_runs_on_the_cpu_or_elsewhere_takes_no_gpu_memory() -> None:
    assert estimate([plain(4, device="cpu")], setting()).terms == ()
    assert estimate([plain(4, device="cpu")], setting()).host.expected == pytest.approx(4 * GIB, rel=0.001)
    assert estimate([plain(4, role="remote")], setting()).host.expected == 0


PLACES = [
    ({"device": "cuda"}, {}, True), ({"device": "auto"}, {}, True), ({"device": "cpu"}, {}, False),
    ({"device": None}, {"needs_gpu": False}, False), ({"device": None}, {"needs_gpu": True}, True),
    ({"device": None, "function": "pipeline"}, {"needs_gpu": False, "date": "2024-01-01"}, False),
    ({"device": None, "function": "pipeline"}, {"needs_gpu": False, "date": "2025-06-01"}, True),
    ({"device": None, "library": "sentence-transformers"}, {"needs_gpu": False}, True),
    ({"device": None, "library": "llama_cpp"}, {"needs_gpu": True}, False),
    ({"device": "cuda", "library": "llama_cpp"}, {}, True),
    ({"device": None, "offload": "model", "library": "diffusers"}, {"needs_gpu": False}, True),
]  # fmt: skip


@pytest.mark.parametrize(("given", "assumed", "on_gpu"), PLACES)
def test_where_a_library_puts_weights_by_itself(given, assumed, on_gpu) -> None:
    found = estimate([plain(2, **given)], setting(**assumed))
    assert (found.weights_bytes > 0) is on_gpu


def test_what_may_be_on_the_gpu_counts_at_most() -> None:
    found = estimate([plain(2, device=None)], setting(needs_gpu=False))
    assert (found.bytes.low, found.bytes.expected, found.uses_gpu) == (0, 0, False)
    assert found.bytes.high > 2 * GIB


def test_parts_of_one_model_loaded_by_several_calls_add_up() -> None:
    parts = [plain(1, subfolder="unet"), plain(2, subfolder="vae", place="app.py:2")]
    assert estimate(parts, setting()).weights["owner/name"] == pytest.approx(3 * GIB, rel=0.001)


def test_diffusion_takes_by_resolution() -> None:
    small, large = (estimate([true("sdxl-base")], setting(height=side, width=side)).bytes for side in (512, 1024))
    assert large.expected - small.expected == pytest.approx(3.4 * KIB * (1024**2 - 512**2), rel=0.01)


def test_tiling_bounds_what_decoding_takes() -> None:
    tiled = estimate([true("sdxl-base", memory=("enable_vae_tiling",))], setting(height=2048, width=2048)).bytes
    plainly = estimate([true("sdxl-base")], setting(height=2048, width=2048)).bytes
    assert tiled.expected < plainly.expected - 5 * GIB


def test_attention_scores_count_before_pytorch_2() -> None:
    sides = {"height": 768, "width": 768}
    new, old = (estimate([true("sd-1.5")], setting(sdpa=sdpa, **sides)).bytes for sdpa in (True, False))
    denoising = 1.1 * KIB * 768**2 + 2 * 8 * 9216 * 9216 * 2
    assert old.expected - new.expected == pytest.approx(denoising - 3.4 * KIB * 768**2, rel=0.001)
    sliced = true("sd-1.5", memory=("enable_attention_slicing",))
    assert estimate([sliced], setting(sdpa=False, **sides)).bytes == new


@pytest.mark.parametrize("name", ["whisper-large-v3", "all-minilm-l6-v2", "clip-vit-large-patch14", "llama-7b"])
def test_each_family_has_activations_of_its_own(name: str) -> None:
    rows = [row for row in estimate([true(name)], setting()).terms if row.kind == "activations"]
    assert len(rows) == 1
    assert 0 < rows[0].bytes.low <= rows[0].bytes.expected <= rows[0].bytes.high


def test_cuda_itself_counts_once() -> None:
    rows = estimate([plain(1, "a/b"), plain(1, "a/c", place="app.py:2")], setting()).terms
    assert [row.kind for row in rows].count("context") == 1


def test_every_term_has_a_formula_and_a_source_and_the_sums_agree() -> None:
    found = estimate([true("llama-7b"), true("sdxl-base", place="app.py:9")], setting(max_new_tokens=512))
    assert all(row.formula and row.source for row in found.terms)
    document = found.to_json()
    assert document["expected_bytes"] == document["weights_bytes"] + document["overhead_bytes"]
    assert document["expected_bytes"] == sum(row["bytes"]["expected"] for row in document["terms"])
    assert document["low_bytes"] <= document["expected_bytes"] <= document["high_bytes"]


@pytest.mark.parametrize("name", true_shapes.names())
def test_the_range_is_ordered_for_every_model(name: str) -> None:
    span = estimate([true(name)], setting(max_new_tokens=(64, 4096), height=(512, 2048), width=(512, 2048))).bytes
    assert 0 < span.low <= span.expected <= span.high


def test_what_cannot_be_told_is_said() -> None:
    broken = replace(plain(1), parts=(), problem="the Hub tells nothing of its files")
    found = estimate([broken, plain(2, "a/b", place="app.py:2")], setting(), unknown=["only running tells"])
    assert found.unknown == ("owner/name: the Hub tells nothing of its files", "only running tells")
    assert found.confidence == "low"
    assert estimate([], setting()).confidence == "high"


def test_a_device_map_lets_weights_lie_on_several_cards() -> None:
    assert estimate([plain(1, device="auto")], setting()).spread
    assert not estimate([plain(1)], setting()).spread
