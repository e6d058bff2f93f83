"""Every weight-loading call of every library, and the name of what it loads."""

from __future__ import annotations

import pytest

from spacerun.needs.loaders import _patterns
from tests.needs.reading import ids, loads

# library: (code, id, kind, role)
LIBRARIES = {
    "transformers": [
        ("from transformers import AutoModel as A\nA.from_pretrained('a/b')", "a/b", "hub", "weights"),
        ("import transformers as t\nt.models.llama.LlamaForCausalLM.from_pretrained(pretrained_model_name_or_path='a/b')",
         "a/b", "hub", "weights"),
        ("from transformers import pipeline\npipeline('ner', model='a/b')", "a/b", "hub", "weights"),
        ("from transformers import pipeline\npipeline('ner', 'a/b')", "a/b", "hub", "weights"),
        ("from transformers import pipeline\npipeline('sentiment-analysis')",
         "distilbert/distilbert-base-uncased-finetuned-sst-2-english", "hub", "weights"),
        ("from transformers import *\nBertModel.from_pretrained('bert-base-uncased')", "bert-base-uncased", "hub", "weights"),
        ("from transformers import AutoModel\nAutoModel.from_pretrained('./local/model.bin')", "local/model.bin", "file",
         "weights"),
        ("from optimum.onnxruntime import ORTModel\nORTModel.from_pretrained('a/b')", "a/b", "hub", "weights"),
    ],
    "diffusers": [
        ("from diffusers import DiffusionPipeline\nDiffusionPipeline.from_pretrained('a/b')", "a/b", "hub", "weights"),
        ("from diffusers.models import ControlNetModel\nControlNetModel.from_pretrained('a/b')", "a/b", "hub", "weights"),
        ("from diffusers import StableDiffusionPipeline as P\n"
         "P.from_single_file('https://huggingface.co/a/b/blob/main/x.safetensors')", "a/b", "hub", "weights"),
        ("from diffusers import DiffusionPipeline as P\np = P.from_pretrained('c/d')\np.load_lora_weights('a/b')", "a/b",
         "hub", "adapter"),
        ("from diffusers import DiffusionPipeline as P\np = P.from_pretrained('c/d')\n"
         "p.load_ip_adapter('a/b', subfolder='models', weight_name='ip.bin')", "a/b", "hub", "adapter"),
        ("from diffusers import DiffusionPipeline as P\np = P.from_pretrained('c/d')\np.load_textual_inversion('a/b')",
         "a/b", "hub", "adapter"),
    ],
    "sentence-transformers": [
        ("from sentence_transformers import SentenceTransformer\nSentenceTransformer('all-MiniLM-L6-v2')",
         "sentence-transformers/all-MiniLM-L6-v2", "hub", "weights"),
        ("from sentence_transformers import CrossEncoder\nCrossEncoder('cross-encoder/x')", "cross-encoder/x", "hub",
         "weights"),
        ("from langchain_huggingface import HuggingFaceEmbeddings\nHuggingFaceEmbeddings(model_name='a/b')", "a/b", "hub",
         "weights"),
        ("from langchain.embeddings import HuggingFaceEmbeddings\nHuggingFaceEmbeddings()",
         "sentence-transformers/all-mpnet-base-v2", "hub", "weights"),
        ("from FlagEmbedding import BGEM3FlagModel\nBGEM3FlagModel('BAAI/bge-m3')", "BAAI/bge-m3", "hub", "weights"),
    ],
    "peft": [
        ("from transformers import AutoModel\nfrom peft import PeftModel\n"
         "m = AutoModel.from_pretrained('c/d')\nPeftModel.from_pretrained(m, 'a/b')", "a/b", "hub", "adapter"),
        ("from peft import AutoPeftModelForCausalLM\nAutoPeftModelForCausalLM.from_pretrained('a/b')", "a/b", "hub",
         "adapter"),
    ],
    "timm": [
        ("import timm\ntimm.create_model('resnet50', pretrained=True)", "resnet50", "name", "weights"),
        ("import timm\ntimm.create_model('hf_hub:a/b', pretrained=True)", "a/b", "hub", "weights"),
    ],
    "open_clip": [
        ("import open_clip\nopen_clip.create_model_and_transforms('ViT-B-32', pretrained='openai')", "ViT-B-32/openai",
         "name", "weights"),
        ("import open_clip\nopen_clip.create_model_from_pretrained('hf-hub:a/b')", "a/b", "hub", "weights"),
    ],
    "clip": [("import clip\nclip.load('ViT-B/32')", "ViT-B/32", "name", "weights")],
    "whisper": [("import whisper\nwhisper.load_model('base')", "base", "name", "weights")],
    "faster-whisper": [
        ("from faster_whisper import WhisperModel\nWhisperModel('large-v2')", "Systran/faster-whisper-large-v2", "hub",
         "weights"),
        ("from faster_whisper import WhisperModel\nWhisperModel('a/b')", "a/b", "hub", "weights"),
        ("import whisperx\nwhisperx.load_model('medium', 'cuda')", "Systran/faster-whisper-medium", "hub", "weights"),
    ],
    "llama_cpp": [
        ("from llama_cpp import Llama\nLlama.from_pretrained(repo_id='a/b', filename='*q4_0.gguf')", "a/b", "hub", "weights"),
        ("from llama_cpp import Llama\nfrom huggingface_hub import hf_hub_download\n"
         "hf_hub_download('a/b', 'm.gguf', local_dir='models')\nLlama(model_path='./models/m.gguf')", "a/b", "hub", "weights"),
        ("from llama_cpp import Llama\nLlama('weights/m.gguf')", "weights/m.gguf", "file", "weights"),
    ],
    "vllm": [("from vllm import LLM\nLLM(model='a/b')", "a/b", "hub", "weights")],
    "ctransformers": [
        ("from ctransformers import AutoModelForCausalLM as A\nA.from_pretrained('a/b', model_file='m.gguf')", "a/b", "hub",
         "weights"),
    ],
    "auto_gptq": [
        ("from auto_gptq import AutoGPTQForCausalLM as A\nA.from_quantized('a/b')", "a/b", "hub", "weights"),
    ],
    "awq": [("from awq import AutoAWQForCausalLM as A\nA.from_quantized('a/b')", "a/b", "hub", "weights")],
    "ultralytics": [("from ultralytics import YOLO\nYOLO('yolov8n.pt')", "yolov8n.pt", "name", "weights")],
    "onnxruntime": [
        ("import onnxruntime as rt\nrt.InferenceSession('m/x.onnx')", "m/x.onnx", "file", "weights"),
    ],
    "torch.hub": [
        ("import torch\ntorch.hub.load('ultralytics/yolov5', 'yolov5s')", "ultralytics/yolov5:yolov5s", "name", "weights"),
        ("import torch\ntorch.hub.load_state_dict_from_url('https://x.org/a.pth')", "https://x.org/a.pth", "url", "weights"),
    ],
    "torch": [("import torch\ntorch.load('m.pth')", "m.pth", "file", "weights")],
    "keras": [
        ("from tensorflow.keras.models import load_model\nload_model('m.h5')", "m.h5", "file", "weights"),
        ("from huggingface_hub import from_pretrained_keras\nfrom_pretrained_keras('a/b')", "a/b", "hub", "weights"),
    ],
    "huggingface_hub": [
        ("from huggingface_hub import hf_hub_download\nhf_hub_download(repo_id='a/b', filename='m.pt')", "a/b", "hub",
         "weights"),
        ("from huggingface_hub import snapshot_download\nsnapshot_download('a/b')", "a/b", "hub", "weights"),
        ("from huggingface_hub import InferenceClient\nInferenceClient('a/b')", "a/b", "hub", "remote"),
        ("from huggingface_hub import InferenceClient\nInferenceClient(model='a/b')", "a/b", "hub", "remote"),
    ],
    "gradio": [
        ("import gradio as gr\ngr.load('models/a/b')", "a/b", "hub", "remote"),
        ("import gradio as gr\ngr.Interface.load('huggingface/a/b')", "a/b", "hub", "remote"),
    ],
    "joblib": [("import joblib\njoblib.load('m.joblib')", "m.joblib", "file", "weights")],
    "insightface": [("from insightface.app import FaceAnalysis\nFaceAnalysis()", "buffalo_l", "hub", "weights")],
    "TTS": [("from TTS.api import TTS\nTTS('tts_models/en/x')", "tts_models/en/x", "name", "weights")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("library", "code", "model", "kind", "role"),
    [(library, *row) for library, rows in LIBRARIES.items() for row in rows],
)
def test_every_library_that_loads_weights_is_read(library: str, code: str, model: str, kind: str, role: str) -> None:
    found = {load.id: load for load in loads(code)}
    assert model in found
    assert (found[model].kind, found[model].role, found[model].library) == (kind, role, library)


def test_every_loader_of_the_table_can_be_read() -> None:
    patterns = [pattern for rows in _patterns().values() for _, pattern in rows]
    assert len(patterns) > 80


@pytest.mark.parametrize(
    "code",
    [
        "from transformers import AutoTokenizer\nAutoTokenizer.from_pretrained('a/b')",
        "from transformers import AutoProcessor, AutoFeatureExtractor\nAutoProcessor.from_pretrained('a/b')",
        "from diffusers import EulerDiscreteScheduler as S\nS.from_pretrained('a/b', subfolder='scheduler')",
        "from transformers import AutoConfig\nAutoConfig.from_pretrained('a/b')",
        "from peft import PeftConfig\nPeftConfig.from_pretrained('a/b')",
        "def load(tokenizer_class):\n    tokenizer_class.from_pretrained('a/b')\nload(None)",
        "from huggingface_hub import hf_hub_download\nhf_hub_download('a/b', 'config.json')",
        "from huggingface_hub import snapshot_download\nsnapshot_download('a/b', repo_type='dataset')",
        "import timm\ntimm.create_model('resnet50', pretrained=False)",
        "import gradio as gr\ngr.load('spaces/a/b')",
        "# AutoModel.from_pretrained('a/b')\n'''AutoModel.from_pretrained('a/b')'''",
        "import playwright\npage.load('a/b')",
        "import gradio as gr\ndef f():\n    pass\nwith gr.Blocks() as demo:\n    demo.load(f)\n    demo.load(lambda: 1)",
        "def unused():\n    from transformers import AutoModel\n    AutoModel.from_pretrained('a/b')",
        "from transformers import AutoModel\nif False:\n    AutoModel.from_pretrained('a/b')",
    ],
)
def test_what_carries_no_weights_or_never_runs_is_left_out(code: str) -> None:
    assert ids(code) == []


def test_a_call_tells_which_files_are_loaded() -> None:
    (load,) = loads(
        """
        from diffusers import UNet2DConditionModel
        UNet2DConditionModel.from_pretrained("a/b", subfolder="unet", variant="fp16", revision="refs/pr/3")
        """
    )
    assert (load.subfolder, load.variant, load.revision) == ("unet", "fp16", "refs/pr/3")
    assert (load.place, load.at_start, load.choice) == ("app.py:3", True, False)


def test_a_load_on_a_click_and_a_load_at_the_start_are_told_apart() -> None:
    found = {
        load.id: load.at_start
        for load in loads(
            """
            import gradio as gr
            from transformers import pipeline
            def first(): return pipeline("ner", "a/start")
            def click(text): return pipeline("ner", "a/click")(text)
            model = first()
            gr.Interface(click, "text", "text").launch()
            """
        )
    }
    assert found == {"a/start": True, "a/click": False}


def test_a_path_that_the_code_downloads_to_is_known_for_what_it_holds() -> None:
    source = """
    import os, torch
    from huggingface_hub import snapshot_download
    from transformers import AutoModel
    snapshot_download("owner/whole", local_dir="./checkpoints")
    AutoModel.from_pretrained("./checkpoints/inner")
    os.system("wget https://example.org/x/net.pth -O weights/net.pth")
    torch.load("weights/net.pth")
    AutoModel.from_pretrained("weights/other")
    """
    assert ids(source) == ["https://example.org/x/net.pth", "owner/whole"]


def test_a_name_that_only_running_tells_is_told_as_unknown() -> None:
    source = """
    import sys
    from transformers import AutoModel
    AutoModel.from_pretrained(sys.stdin.readline())
    """
    (load,) = loads(source)
    assert (load.id, load.kind, load.place) == (None, "unknown", "app.py:4")
