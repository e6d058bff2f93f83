"""What changes the memory that a model takes, and whether the Space needs a GPU."""

from __future__ import annotations

import pytest

from tests.needs.reading import loads, read

HEAD = """
import torch
from transformers import AutoModel, AutoModelForCausalLM, BitsAndBytesConfig, pipeline
from diffusers import DiffusionPipeline, AutoencoderKL
cuda = torch.cuda.is_available()
"""

PRECISIONS = {
    "AutoModel.from_pretrained('a/b')": ("default", None),
    "AutoModel.from_pretrained('a/b', torch_dtype=torch.float16)": ("float16", None),
    "AutoModel.from_pretrained('a/b', dtype=torch.bfloat16)": ("bfloat16", None),
    "AutoModel.from_pretrained('a/b', torch_dtype='auto')": ("auto", None),
    "AutoModel.from_pretrained('a/b', torch_dtype='float16')": ("float16", None),
    "AutoModel.from_pretrained('a/b', torch_dtype=getattr(torch, 'bfloat16'))": ("bfloat16", None),
    "AutoModel.from_pretrained('a/b', torch_dtype=torch.float16 if cuda else torch.float32)": ("float16", None),
    "d = torch.half\nAutoModel.from_pretrained('a/b', torch_dtype=d)": ("float16", None),
    "AutoModel.from_pretrained('a/b').half()": ("float16", None),
    "m = AutoModel.from_pretrained('a/b')\nm = m.to(torch.bfloat16).cuda()": ("bfloat16", None),
    "m = AutoModel.from_pretrained('a/b')\nm.eval().to('cuda', dtype=torch.float16)": ("float16", None),
    "m = AutoModel.from_pretrained('a/b', torch_dtype=torch.float16)\nm.float()": ("float32", None),
    "torch.set_default_dtype(torch.float16)\nAutoModel.from_pretrained('a/b')": ("float16", None),
    "AutoModel.from_pretrained('a/b', variant='fp16')": ("default", None),
    "AutoModel.from_pretrained('a/b', revision='fp16')": ("default", None),
    "AutoModel.from_pretrained('a/b', load_in_8bit=True)": ("int8", "bitsandbytes-8bit"),
    "AutoModel.from_pretrained('a/b', load_in_8bit=cuda)": ("int8", "bitsandbytes-8bit"),
    "AutoModel.from_pretrained('a/b', load_in_4bit=True)": ("int4", "bitsandbytes-fp4"),
    "AutoModel.from_pretrained('a/b', load_in_8bit=False)": ("default", None),
    "q = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type='nf4')\n"
    "AutoModel.from_pretrained('a/b', quantization_config=q)": ("int4", "bitsandbytes-nf4"),
    "AutoModel.from_pretrained('a/b', quantization_config=BitsAndBytesConfig(load_in_8bit=True))": (
        "int8", "bitsandbytes-8bit"),
    "kw = dict(torch_dtype=torch.float16)\nAutoModel.from_pretrained('a/b', **kw)": ("float16", None),
    "pipeline('text-generation', model='a/b', torch_dtype=torch.bfloat16)": ("bfloat16", None),
    "pipeline('text-generation', model='a/b', model_kwargs={'load_in_8bit': True})": ("int8", "bitsandbytes-8bit"),
    "pipeline('text-generation', model='a/b', model_kwargs={'torch_dtype': torch.bfloat16})": ("bfloat16", None),
    "from transformers import QuantoConfig\n"
    "AutoModel.from_pretrained('a/b', quantization_config=QuantoConfig(weights='int8'))": ("int8", "quanto"),
    "from transformers import GPTQConfig\n"
    "AutoModel.from_pretrained('a/b', quantization_config=GPTQConfig(bits=4))": ("int4", "gptq"),
    "from faster_whisper import WhisperModel\nWhisperModel('a/b', compute_type='int8_float16')": ("int8", None),
    "def f(d):\n    AutoModel.from_pretrained('a/b', torch_dtype=d)\nf(torch.float16)": ("float16", None),
    "class C:\n    def __init__(self):\n        self.m = AutoModel.from_pretrained('a/b')\n        self.m.half()\nC()": (
        "float16", None),
}  # fmt: skip


@pytest.mark.parametrize("code", PRECISIONS)
def test_the_type_that_weights_are_in_is_read(code: str) -> None:
    (load,) = loads(HEAD + code)
    assert (load.id, load.precision.dtype, load.precision.method) == ("a/b", *PRECISIONS[code])


def test_nested_quantization_and_its_compute_type_are_read() -> None:
    (load,) = loads(
        f"{HEAD}q = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type='nf4', bnb_4bit_use_double_quant=True,"
        " bnb_4bit_compute_dtype=torch.bfloat16)\nAutoModelForCausalLM.from_pretrained('a/b', quantization_config=q)"
    )
    assert (load.precision.double, load.precision.compute) == (True, "bfloat16")


def test_what_is_done_to_a_pipeline_is_done_to_its_parts_and_to_the_base_of_an_adapter() -> None:
    found = {
        load.id: load.precision.dtype
        for load in loads(
            f"{HEAD}from peft import PeftModel\n"
            "vae = AutoencoderKL.from_pretrained('a/vae')\n"
            "pipe = DiffusionPipeline.from_pretrained('a/pipe', vae=vae)\n"
            "pipe.to('cuda', torch.float16)\n"
            "base = AutoModelForCausalLM.from_pretrained('a/base')\n"
            "model = PeftModel.from_pretrained(base, 'a/lora')\n"
            "model.half()\n"
        )
    }
    assert found == {"a/vae": "float16", "a/pipe": "float16", "a/base": "float16", "a/lora": "float16"}


@pytest.mark.parametrize(
    ("code", "device", "offload"),
    [
        ("DiffusionPipeline.from_pretrained('a/b').to('cuda')", "cuda", None),
        ("DiffusionPipeline.from_pretrained('a/b').to('cuda' if cuda else 'cpu')", "cuda", None),
        ("AutoModel.from_pretrained('a/b', device_map='auto')", "auto", None),
        ("AutoModel.from_pretrained('a/b', device_map={'': 'cpu'})", "cpu", None),
        ("pipeline('ner', model='a/b', device=0)", "cuda", None),
        ("pipeline('ner', model='a/b', device=-1)", "cpu", None),
        ("p = DiffusionPipeline.from_pretrained('a/b')\np.enable_model_cpu_offload()", None, "model"),
        ("p = DiffusionPipeline.from_pretrained('a/b')\np.enable_sequential_cpu_offload()", None, "sequential"),
    ],
)
def test_where_weights_are_is_read(code: str, device: str | None, offload: str | None) -> None:
    (load,) = loads(HEAD + code)
    assert (load.device, load.offload) == (device, offload)


def test_what_saves_memory_and_how_much_is_generated_is_read() -> None:
    needs = read(
        f"{HEAD}import gradio as gr\n"
        "p = DiffusionPipeline.from_pretrained('a/b')\np.enable_attention_slicing()\np.enable_vae_tiling()\n"
        "m = AutoModelForCausalLM.from_pretrained('a/c')\n"
        "def draw(prompt, width):\n    return p(prompt, height=1024, width=width)\n"
        "def talk(prompt):\n    return m.generate(prompt, max_new_tokens=256)\n"
        "gr.Interface(draw, ['text', gr.Slider(256, 2048, value=512)], 'image').launch()\ntalk('x')\n"
    )
    assert needs.loads[0].memory == ("enable_attention_slicing", "enable_vae_tiling")
    assert needs.sizes == {"height": 1024, "width": 2048, "max_new_tokens": 256}


NEEDS = {
    "AutoModel.from_pretrained('a/b').cuda()": True,
    "AutoModel.from_pretrained('a/b').to('cuda')": True,
    "torch.zeros(1, device='cuda')": True,
    "pipeline('ner', device=0)": True,
    "AutoModel.from_pretrained('a/b', load_in_8bit=True)": True,
    "AutoModel.from_pretrained('a/b', attn_implementation='flash_attention_2')": True,
    "p = DiffusionPipeline.from_pretrained('a/b')\np.enable_model_cpu_offload()": True,
    "from vllm import LLM\nLLM('a/b')": True,
    "import gradio as gr\ndef f(x):\n    return torch.ones(1).to('cuda')\ngr.Interface(f, 'text', 'text').launch()": True,
    "d = 'cuda'\nAutoModel.from_pretrained('a/b').to(d)": True,
    "d = 'cuda' if torch.cuda.is_available() else 'cpu'\nAutoModel.from_pretrained('a/b').to(d)": False,
    "if cuda:\n    AutoModel.from_pretrained('a/b').cuda()": False,
    "pipeline('ner', device=0 if cuda else -1)": False,
    "import spaces\n@spaces.GPU\ndef f(x):\n    return x\nf(1)": False,
    "AutoModel.from_pretrained('a/b', device_map='auto')": False,
    "def f():\n    if not cuda:\n        return 1\n    return torch.cuda.mem_get_info()\nf()": False,
    "try:\n    torch.ones(1).cuda()\nexcept RuntimeError:\n    pass": False,
    "def unused():\n    torch.ones(1).cuda()": False,
    "torch.cuda.empty_cache()": False,
}


@pytest.mark.parametrize("code", NEEDS)
@pytest.mark.parametrize("gpu", [True, False])
def test_a_space_needs_a_gpu_where_nothing_asks_for_one_first(code: str, gpu: bool) -> None:
    assert bool(read(HEAD + code, gpu=gpu).gpu_uses) is NEEDS[code]


@pytest.mark.parametrize(
    ("layers", "device"),
    [("", None), (", n_gpu_layers=-1", "cuda"), (", n_gpu_layers=0", "cpu"), (", gpu_layers=50", "cuda")],
)
def test_layers_on_the_gpu_put_llama_cpp_there(layers: str, device: str | None) -> None:
    (load,) = loads(f"from llama_cpp import Llama\nLlama.from_pretrained('a/b', filename='m.gguf'{layers})")
    assert load.device == device


def test_parts_that_a_pipeline_is_given_and_the_function_are_read() -> None:
    (load,) = loads(f"{HEAD}DiffusionPipeline.from_pretrained('a/b', safety_checker=None, torch_dtype=torch.float16)")
    assert (load.function, load.given) == ("from_pretrained", ("safety_checker", "torch_dtype"))


def test_the_usual_size_is_where_a_slider_stands() -> None:
    needs = read(
        f"{HEAD}import gradio as gr\nm = AutoModelForCausalLM.from_pretrained('a/c')\n"
        "def talk(prompt, length):\n    return m.generate(prompt, max_new_tokens=length)\n"
        "gr.Interface(talk, ['text', gr.Slider(1, 2048, value=256)], 'text').launch()\n"
    )
    assert (needs.sizes, needs.usual_sizes) == ({"max_new_tokens": 2048}, {"max_new_tokens": 256})
