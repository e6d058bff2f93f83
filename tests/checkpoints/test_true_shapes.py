"""The models that memory is judged by have the counts and sizes of their publishers, and any client reads them."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import pytest
from huggingface_hub import HfApi

from tests import true_shapes
from tests.hub import Sparse

if TYPE_CHECKING:
    from tests.hub import Hub

# Parameters, as the papers, the model cards and the pages of the Hub have them.
PARAMETERS = {
    "llama-7b": 6_738_415_616,
    "llama-13b": 13_015_864_320,
    "llama-30b": 32_528_943_616,
    "llama-65b": 65_285_660_672,
    "llama-2-7b": 6_738_415_616,
    "llama-2-70b": 68_976_648_192,
    "llama-3-8b": 8_030_261_248,
    "mistral-7b": 7_241_732_096,
    "mixtral-8x7b": 46_702_792_704,
    "mpt-7b": 6_649_286_656,
    # Vicuna 13B, CLIP-L/336, a projector of two layers, and 64 rows of padding in the embeddings and the head.
    "llava-1.5-13b": 13_015_864_320 + 303_507_456 + 31_467_520 + 2 * 64 * 5120,
    "sdxl-base": 2_567_463_684 + 123_060_480 + 694_659_840 + 83_653_863,
    "whisper-large-v2": 1_543_304_960,
    "whisper-large-v3": 1_543_490_560,
    "gpt2": 124_439_808,
    "clip-vit-large-patch14": 427_616_513,
    "all-minilm-l6-v2": 22_713_216,
    "flan-t5-xl": 2_849_757_184,
    "falcon-7b": 7_217_189_760,
    "qwen2.5-7b": 7_615_616_512,
    "gemma-2-9b": 9_241_705_984,
}
UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_model_has_as_many_parameters_as_its_publisher_says(name: str) -> None:
    assert true_shapes.load(name).parameters == PARAMETERS[name]


def test_the_parts_of_stable_diffusion() -> None:
    model = true_shapes.load("sd-1.5")
    assert model.of(UNET).parameters == 859_520_964
    assert model.of("text_encoder/model.safetensors").parameters == 123_060_480
    assert model.of("vae/diffusion_pytorch_model.safetensors").parameters == 83_653_863


@pytest.mark.parametrize(
    ("name", "int8", "nf4", "double_quantized"),
    [
        ("llama-7b", 7.00, 4.17, 3.87),  # 3.87 GB is unsloth/llama-2-7b-bnb-4bit as well
        ("llama-13b", 13.34, 7.79, 7.20),
        ("llama-30b", 32.96, 18.91, 17.41),
        ("llama-65b", 65.81, 37.48, 34.46),
        ("llama-2-70b", 69.50, 39.55, 36.36),
        ("llama-3-8b", 9.08, 6.03, 5.70),  # 5.70 GB is unsloth/llama-3-8b-bnb-4bit as well
        ("mistral-7b", 7.50, 4.45, 4.13),
        ("mpt-7b", 6.86, 4.04, 3.74),
    ],
)
def test_quantized_sizes_are_those_worked_out_by_hand(
    name: str, int8: float, nf4: float, double_quantized: float
) -> None:
    loaded = true_shapes.load(name).loaded
    assert loaded["float16"] == 2 * PARAMETERS[name]
    # By hand, the scales of int8 were left out: four bytes for a row of thousands.
    assert loaded["int8"] / 1e9 == pytest.approx(int8, rel=2e-3)
    assert loaded["nf4"] / 1e9 == pytest.approx(nf4, abs=0.0051)
    assert loaded["nf4-dq"] / 1e9 == pytest.approx(double_quantized, abs=0.0051)


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        ("llama-2-7b-gptq", 3.90),
        ("mistral-7b-awq", 4.15),
        ("llama-2-7b-bnb-4bit", 3.87),
        ("qwen3-8b-fp8", 9.44),
        ("gpt-oss-20b", 13.76),
    ],
)
def test_a_quantized_checkpoint_has_the_size_that_the_hub_shows(name: str, gigabytes: float) -> None:
    assert sum(weights.size for weights in true_shapes.load(name).weights) / 1e9 == pytest.approx(gigabytes, abs=0.0051)


@pytest.mark.parametrize("name", true_shapes.names())
def test_the_weights_take_as_many_bytes_as_on_the_hub(name: str) -> None:
    for weights in true_shapes.load(name).weights:
        if weights.published is None:
            continue
        (first, *others) = weights.files().values()
        size = weights.size if others else first.size
        # Some files are older than the padding of the header, or say nothing of who wrote them.
        assert abs(size - weights.published) < 64, weights.path


def test_shards_are_cut_where_the_publisher_cut_them() -> None:
    files = true_shapes.load("flux-1-dev").files()
    sizes = [files[f"transformer/diffusion_pytorch_model-0000{n}-of-00003.safetensors"].size for n in (1, 2, 3)]
    assert sizes == [9_983_040_304, 9_949_328_904, 3_870_584_832]


@pytest.mark.parametrize("name", true_shapes.names())
def test_a_client_of_the_hub_reads_the_same_tensors(hub: Hub, name: str) -> None:
    model = true_shapes.load(name)
    repo = true_shapes.publish(hub, name)
    client = HfApi(endpoint=hub.endpoint)
    for weights in model.weights:
        if weights.path == "model.safetensors":
            files = client.get_safetensors_metadata(repo).files_metadata.values()
        else:
            paths = [path for path in weights.files() if path.endswith(".safetensors")]
            files = [client.parse_safetensors_file_metadata(repo, path) for path in paths]
        read = {
            name: (info.dtype, tuple(info.shape), info.data_offsets[1] - info.data_offsets[0])
            for file in files
            for name, info in file.tensors.items()
        }
        assert read == {tensor.name: (tensor.dtype, tensor.shape, tensor.size) for tensor in weights.tensors}
    assert hub.bytes_sent("cdn") < 10_000_000


def test_one_changed_shape_changes_what_a_client_reads(hub: Hub) -> None:
    repo = true_shapes.publish(hub, "gpt2", change={"wte.weight": (50304, 768)})
    read = HfApi(endpoint=hub.endpoint).get_safetensors_metadata(repo)
    assert read.parameter_count["F32"] == 124_439_808 + 12 * 1024 * 1024 + 47 * 768


def test_a_range_of_names_can_be_changed() -> None:
    before = true_shapes.load("llama-7b")
    after = before.changed({"model.layers.{0..31}.mlp.up_proj.weight": (11264, 4096)})
    assert after.parameters - before.parameters == 32 * 256 * 4096


def test_a_change_of_a_tensor_that_is_not_there_is_an_error(hub: Hub) -> None:
    with pytest.raises(KeyError, match=r"wte\.weihgt"):
        true_shapes.publish(hub, "gpt2", change={"wte.weihgt": (1, 1)})


def test_ranges_count_up_layer_by_layer() -> None:
    text = "weights a.safetensors F16\nl.{0..1}.x F16 2\nl.{0..1}.e.{0..1}.y F16 2 3 buffer\nz F32\n"
    (weights,) = true_shapes.parse(text).weights
    names = [tensor.name for tensor in weights.tensors]
    assert names == ["l.0.x", "l.0.e.0.y", "l.0.e.1.y", "l.1.x", "l.1.e.0.y", "l.1.e.1.y", "z"]
    assert (weights.parameters, weights.size) == (2 + 2 + 1, 2 * 2 * 2 + 4 * 2 * 6 + 4)


# -- files with holes --------------------------------------------------------------------------------------------------

HUGE = 130_000_000_000


def test_a_sparse_file_takes_no_disk_space_and_is_served_by_range(hub: Hub) -> None:
    hub.publish("owner/huge", {"model.safetensors": Sparse(b"head" * 1000, HUGE)}, kind="model")
    (oid,) = hub.repo("owner/huge", "model").lfs_objects
    stored = hub.objects.path(oid).stat()
    assert stored.st_size == HUGE
    assert stored.st_blocks * 512 < 1_000_000
    assert _read(hub, "bytes=3996-4003") == b"head" + b"\0" * 4
    assert _read(hub, f"bytes={HUGE - 2}-") == b"\0" * 2
    assert _read(hub, "bytes=-3") == b"\0" * 3


def test_a_sparse_file_read_whole_arrives_piece_by_piece(hub: Hub) -> None:
    hub.publish("owner/huge", {"model.safetensors": Sparse(b"head", HUGE)}, kind="model")
    with urllib.request.urlopen(hub.url("owner/huge", "model") + "/resolve/main/model.safetensors") as answer:
        assert int(answer.headers["Content-Length"]) == HUGE
        assert answer.read(6) == b"head\0\0"


def test_a_sparse_file_is_an_lfs_object_in_git_and_in_the_api(hub: Hub) -> None:
    hub.publish("owner/huge", {"notes.txt": Sparse(b"head", HUGE)}, kind="model")
    (file,) = HfApi(endpoint=hub.endpoint).get_paths_info("owner/huge", ["notes.txt"])
    assert (file.size, file.lfs.size) == (HUGE, HUGE)
    with urllib.request.urlopen(hub.url("owner/huge", "model") + "/raw/main/notes.txt") as answer:
        assert answer.read().decode().endswith(f"oid sha256:{file.lfs.sha256}\nsize {HUGE}\n")


def test_sparse_files_that_differ_in_head_or_size_are_different_objects(hub: Hub) -> None:
    contents = {"a": Sparse(b"x", 10), "b": Sparse(b"y", 10), "c": Sparse(b"x", 11), "d": Sparse(b"x", 10)}
    hub.publish("owner/four", contents, kind="model")
    assert len(hub.repo("owner/four", "model").lfs_objects) == 3


def _read(hub: Hub, span: str) -> bytes:
    url = hub.url("owner/huge", "model") + "/resolve/main/model.safetensors"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": span})) as answer:
        assert answer.status == 206
        return answer.read()
