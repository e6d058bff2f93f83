"""Weights in memory, in the form that the code loads them in."""

from __future__ import annotations

import pytest

from spacerun.checkpoints.tensors import Contents, Tensor
from spacerun.memory.estimate import estimate
from spacerun.memory.libraries import Period, default_dtype
from spacerun.memory.model import Model, Part
from spacerun.memory.weights import weights_of
from tests import true_shapes
from tests.memory.models import FORMS, load, setting, true

# GB = 10⁹ bytes. Counts and float16: published parameters; int8 and nf4: linear layers quantized, embeddings and output
# layers in 16 bits, one float32 for 64 weights (QLoRA, section 3).
PUBLISHED = {
    ("llama-7b", "float16"): 13.48, ("llama-7b", "int8"): 7.00, ("llama-7b", "nf4"): 4.17,
    ("llama-7b", "nf4-dq"): 3.87, ("llama-13b", "float16"): 26.03, ("llama-13b", "int8"): 13.34,
    ("llama-13b", "nf4"): 7.79, ("llama-13b", "nf4-dq"): 7.20, ("llama-30b", "float16"): 65.06,
    ("llama-30b", "int8"): 32.96, ("llama-30b", "nf4"): 18.91, ("llama-30b", "nf4-dq"): 17.41,
    ("llama-65b", "float16"): 130.57, ("llama-65b", "int8"): 65.81, ("llama-65b", "nf4"): 37.48,
    ("llama-65b", "nf4-dq"): 34.46, ("llama-2-70b", "float16"): 137.95, ("llama-2-70b", "nf4"): 39.55,
    ("llama-3-8b", "float16"): 16.06, ("llama-3-8b", "int8"): 9.08, ("llama-3-8b", "nf4"): 6.03,
    ("mistral-7b", "float16"): 14.48, ("mistral-7b", "nf4"): 4.45, ("mpt-7b", "float16"): 13.30,
    ("mpt-7b", "nf4"): 4.04, ("llava-1.5-13b", "float16"): 26.70, ("sdxl-base", "float16"): 6.94,
    ("whisper-large-v2", "float16"): 3.09, ("whisper-large-v3", "float16"): 3.09, ("whisper-large-v2", "int8"): 1.61,
}  # fmt: skip


def taken(model: Model, **assumed) -> int:
    return estimate([model], setting(**assumed)).weights_bytes


@pytest.mark.parametrize(("name", "form"), PUBLISHED)
def test_weights_are_within_one_percent_of_what_is_published(name: str, form: str) -> None:
    assert taken(true(name, form)) / 1e9 == pytest.approx(PUBLISHED[name, form], rel=0.01)


MADE = [(name, form) for name in true_shapes.names() for form in true_shapes.load(name).loaded if form in FORMS]


@pytest.mark.parametrize(("name", "form"), MADE)
def test_weights_are_what_the_real_libraries_make_of_them(name: str, form: str) -> None:
    assert taken(true(name, form)) == pytest.approx(true_shapes.load(name).loaded[form], rel=0.01)


def test_another_shape_gives_another_answer() -> None:
    before = taken(true("llama-7b"))
    assert taken(true("llama-7b", change={"lm_head.weight": (64000, 4096)})) - before == 32000 * 4096 * 2


def test_embeddings_head_and_norms_stay_in_sixteen_bits_under_bitsandbytes() -> None:
    whole = Model(
        "owner/name",
        load(precision=FORMS["nf4"]),
        (Part("", {"model.safetensors": Contents(10**9, (
            Tensor("model.embed_tokens.weight", "F16", (1000, 64), 128000),
            Tensor("model.layers.0.mlp.up_proj.weight", "F16", (640, 64), 81920),
            Tensor("model.layers.0.norm.weight", "F16", (64,), 128),
            Tensor("lm_head.weight", "F16", (1000, 64), 128000),
        ))}),),
    )  # fmt: skip
    assert taken(whole) == 128000 + 640 * 64 * (0.5 + 4 / 64) + 128 + 128000


@pytest.mark.parametrize(
    ("name", "form", "gigabytes"),
    [
        ("llama-2-7b-gptq", "float16", 3.90), ("mistral-7b-awq", "float16", 4.15), ("gpt-oss-20b", "float16", 13.76),
        ("llama-2-7b-bnb-4bit", "float16", 3.86), ("qwen3-8b-fp8", "float16", 9.44), ("llama-2-7b-gptq", "nf4", 3.90),
    ],
)  # fmt: skip
def test_a_checkpoint_quantized_before_stays_as_it_is_stored(name: str, form: str, gigabytes: float) -> None:
    assert taken(true(name, form)) / 1e9 == pytest.approx(gigabytes, rel=0.01)


def test_four_bit_floats_may_be_unpacked_on_cards_that_do_not_know_them() -> None:
    (row,) = weights_of(true("gpt-oss-20b"), Period())
    assert row.bytes.high > 3.5 * row.bytes.expected


LIBRARIES = [
    ({"library": "transformers"}, {"date": "2023-05-01"}, "float32"),
    ({"library": "transformers"}, {"date": "2026-03-01"}, None),
    ({"library": "transformers"}, {"date": "2026-03-01", "transformers": (4, 57)}, "float32"),
    ({"library": "transformers"}, {"date": "2023-05-01", "transformers": (5, 0)}, None),
    ({"library": "transformers"}, {}, None),
    ({"library": "sentence-transformers"}, {"date": "2024-01-01"}, "float32"),
    ({"library": "diffusers"}, {}, "float32"),
    ({"library": "timm"}, {}, "float32"),
    ({"library": "open_clip"}, {}, "float32"),
    ({"library": "whisper"}, {}, "float32"),
    ({"library": "clip", "device": "cuda"}, {}, "float16"),
    ({"library": "clip", "device": "cpu"}, {}, "float32"),
    ({"library": "faster-whisper"}, {}, None),
    ({"library": "llama_cpp"}, {}, None),
    ({"library": "diffusers", "file": "flux-Q4_K.gguf"}, {}, None),
]


@pytest.mark.parametrize(("given", "period", "dtype"), LIBRARIES)
def test_what_a_library_loads_in_where_the_code_names_no_type(given, period, dtype) -> None:
    assert default_dtype(load(dtype="default", **given), Period(**period)) == dtype


def test_weights_of_unknown_type_lie_in_a_range() -> None:
    (row,) = weights_of(_unknown(), Period("2023-01-01"))
    assert (row.bytes.low, row.bytes.high) == (2000, 4000)
    assert not row.exact


def _unknown() -> Model:
    held = {"model.safetensors": Contents(9000, (Tensor("a.weight", "F32", (10, 100), 4000),))}
    return Model("owner/name", load(dtype="unknown"), (Part("", held),))


def test_a_file_that_is_not_read_counts_by_its_size_and_the_type_in_its_config() -> None:
    held = {"pytorch_model.bin": Contents(4_000_000)}
    config = {"torch_dtype": "float32"}
    assert taken(Model("owner/name", load(dtype="float16"), (Part("", held, config),))) == 2_000_000
    assert taken(Model("owner/name", load(dtype="float32"), (Part("", held, config),))) == 4_000_000
    assert taken(Model("owner/name", load(precision=FORMS["int8"]), (Part("", held, config),))) == 1_000_000


def test_what_training_left_in_a_checkpoint_is_not_loaded() -> None:
    rows = (
        Tensor("state_dict.a.weight", "F32", (10, 10), 400),
        Tensor("optimizer_states.0.state.0.exp_avg", "F32", (10, 10), 400),
    )
    assert taken(Model("a/b", load(dtype="float32"), (Part("", {"last.ckpt": Contents(900, rows)}),))) == 400


def test_a_gguf_file_stays_as_it_is_stored() -> None:
    held = {"model.Q4_K.gguf": Contents(10**6, (Tensor("blk.0.ffn_up.weight", "Q4_K", (100, 100), 5625),))}
    model = Model("owner/name", load(dtype="default", library="llama_cpp", file="model.Q4_K.gguf"), (Part("", held),))
    assert taken(model) == 5625


def test_parts_that_a_pipeline_is_given_are_not_loaded_again() -> None:
    whole = taken(true("sdxl-base"))
    without = taken(true("sdxl-base", given=("torch_dtype", "unet")))
    assert whole - without == pytest.approx(2_567_463_684 * 2)
