"""From the text that a load call names to the model that it means: a repository, a file, an address, a plain name."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from spacerun.needs.access import is_model_id
from spacerun.needs.values import plain
from spacerun.source.literals import within_space

if TYPE_CHECKING:
    from spacerun.needs.flow import Flow
    from spacerun.needs.load import Load
    from spacerun.needs.loaders import Loader
    from spacerun.needs.values import Frame
    from spacerun.source.scopes import Use

Kind: TypeAlias = Literal["hub", "file", "url", "name", "unknown"]

_WEIGHTS: Final = (
    ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".onnx", ".gguf", ".ggml", ".h5", ".keras", ".pkl", ".pickle",
    ".joblib", ".msgpack", ".tflite", ".pb", ".model", ".npz", ".tar", ".engine", ".mar", ".t7", ".caffemodel",
    ".jit", ".torchscript", ".ftz", ".cbm", ".dat", ".sav",
)  # fmt: skip
_PAGE: Final = re.compile(
    r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<id>[^/]+/[^/]+)(?:/(?:resolve|blob|raw)/[^/]+/(?P<file>[^?#]+))?/?"
)
_API: Final = re.compile(r"https://[^/]+/(?:hf-inference/)?(?:models|pipeline/[^/]+)/(?P<id>[^/?#]+/[^/?#]+)")
_HUB_PREFIX: Final = re.compile(r"(?:hf[-_]hub:|local-dir:|timm/(?=.*hf[-_]hub:))")
_HF: Final = re.compile(r"hf://(?:models/)?(?P<id>[^/]+/[^/@]+)(?:@[^/]+)?(?:/(?P<file>.+))?")
# `transformers.pipeline` without a model (transformers/pipelines/__init__.py, SUPPORTED_TASKS).
_OF_TASK: Final = {
    "sentiment-analysis": "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
    "text-classification": "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
    "ner": "dbmdz/bert-large-cased-finetuned-conll03-english",
    "token-classification": "dbmdz/bert-large-cased-finetuned-conll03-english",
    "question-answering": "distilbert/distilbert-base-cased-distilled-squad",
    "summarization": "sshleifer/distilbart-cnn-12-6",
    "text-generation": "openai-community/gpt2",
    "text2text-generation": "google-t5/t5-base",
    "translation_en_to_fr": "google-t5/t5-base",
    "translation_en_to_de": "google-t5/t5-base",
    "fill-mask": "distilbert/distilroberta-base",
    "feature-extraction": "distilbert/distilbert-base-cased",
    "zero-shot-classification": "facebook/bart-large-mnli",
    "image-classification": "google/vit-base-patch16-224",
    "image-to-text": "ydshieh/vit-gpt2-coco-en",
    "image-segmentation": "facebook/detr-resnet-50-panoptic",
    "object-detection": "facebook/detr-resnet-50",
    "zero-shot-object-detection": "google/owlvit-base-patch32",
    "zero-shot-image-classification": "openai/clip-vit-base-patch32",
    "visual-question-answering": "dandelin/vilt-b32-finetuned-vqa",
    "document-question-answering": "impira/layoutlm-document-qa",
    "automatic-speech-recognition": "facebook/wav2vec2-base-960h",
    "audio-classification": "superb/wav2vec2-base-superb-ks",
    "zero-shot-audio-classification": "laion/clap-htsat-fused",
    "text-to-audio": "suno/bark-small",
    "text-to-speech": "suno/bark-small",
    "depth-estimation": "Intel/dpt-large",
    "table-question-answering": "google/tapas-base-finetuned-wtq",
    "video-classification": "MCG-NJU/videomae-base-finetuned-kinetics",
    "mask-generation": "facebook/sam-vit-huge",
}  # fmt: skip
# faster-whisper's own names that are no sizes (faster_whisper/utils.py, _MODELS).
_WHISPER: Final = {
    "large": "Systran/faster-whisper-large-v3",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-large-v2": "Systran/faster-distil-whisper-large-v2",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
}


def named(flow: Flow, loader: Loader, load: Load, text: str) -> Load | None:
    """`load` with the model that `text` means to `loader`; None where that has no weights, or is none."""
    text = text.strip()
    if is_unset(text):
        return None
    if loader.downloads and load.file and not is_weights(load.file):
        return None
    if loader.role == "remote":
        return _elsewhere(loader, load, text)
    if "://" in text:
        return _address(load, text)
    found: Load | None = None
    if (shorter := _HUB_PREFIX.sub("", text)) != text:
        file = load.file if loader.library not in {"timm", "open_clip"} else None
        found = replace(load, id=shorter, kind="hub", file=file)
    elif (path := _file(flow, loader, text)) is not None:
        known = flow.setting.exists(path) if path else False
        found = replace(load, id=path, kind="file", file=None) if known or is_weights(path) else None
    else:
        found = _plain_name(loader, load, text)
    return found


def _elsewhere(loader: Loader, load: Load, text: str) -> Load | None:
    """A model that runs elsewhere: `gr.load("models/owner/name")`, `InferenceClient("owner/name")`, an address."""
    if loader.library == "gradio" and "/" not in text:
        return None
    if match := _PAGE.fullmatch(text) or _API.match(text):
        text = match["id"]
    text = text.removeprefix("models/").removeprefix("huggingface/")
    return replace(load, id=text, kind="hub") if is_model_id(text) else None


def _address(load: Load, text: str) -> Load | None:
    """An address: of a file on the Hub, which is told by its model, or elsewhere."""
    match = _PAGE.fullmatch(text) or _HF.fullmatch(text)
    if match and is_model_id(match["id"]):
        file = match["file"]
        if file and not is_weights(file):
            return None
        return replace(load, id=match["id"], kind="hub", file=file or load.file)
    return replace(load, id=text, kind="url") if text.startswith(("http://", "https://")) else None


def _plain_name(loader: Loader, load: Load, text: str) -> Load | None:
    """A name without a place: the library's own, or a model's."""
    if loader.kind == "name":
        return replace(load, id=_own(loader, load, text), kind="name", file=None)
    if loader.names and "/" not in text:
        return replace(load, id=_WHISPER.get(text) or loader.names.format(text), kind="hub")
    if loader.prefix and "/" not in text:
        text = loader.prefix + text
    return replace(load, id=text, kind="hub") if is_model_id(text) else None


def _file(flow: Flow, loader: Loader, text: str) -> str | None:
    """The path that `text` is, if it is one: within the Space where it leads there, else as it is written."""
    path = within_space(text)
    if path and (flow.setting.exists(path)):
        return path
    deep = text.count("/") > 1 and loader.kind != "name"
    looks_so = text.startswith(("./", "../", "/", "~")) or deep or is_weights(text)
    if loader.kind == "file" or (looks_so and not (loader.kind == "name" and loader.library == "torch.hub")):
        if loader.library == "ultralytics" and "/" not in text:
            return None  # one of its own, which it downloads
        if loader.kind == "file" and not looks_so and is_model_id(text) and "/" in text and loader.library != "torch":
            return None
        return path or ""  # a path elsewhere is one that the app fills itself
    return None


def _own(loader: Loader, load: Load, text: str) -> str:
    """A name of the library's own: `ViT-B-32/openai`, `ultralytics/yolov5:yolov5s`."""
    if loader.library == "open_clip":
        return f"{text}/{load.file}" if load.file else text
    if loader.library == "torch.hub":
        return f"{text}:{load.file}" if load.file else text
    return text


def is_unset(text: str) -> bool:
    """Whether a name has not been set yet where it is read: `lora/None`, `N/A`."""
    return text.rpartition("/")[2] in {"", "None", "A"}


def is_weights(name: str) -> bool:
    """Whether a file of this name holds weights, going by how it ends."""
    return name.lower().partition("?")[0].endswith(_WEIGHTS)


def default_of(loader: Loader, task: str | None) -> str | None:
    """The model that `pipeline(task)` takes."""
    return _OF_TASK.get(task or "") if loader.at == 1 and loader.library == "transformers" else None


def takes_weights(flow: Flow, loader: Loader, use: Use, frame: Frame | None) -> bool:
    """Whether a call asks for trained weights: `timm.create_model(name)` alone does not."""
    if loader.library == "timm":
        return _is_true(flow, use, frame, "pretrained", at=1) or bool(flow.arguments(use, frame, "checkpoint_path"))
    return True


def _is_true(flow: Flow, use: Use, frame: Frame | None, name: str, at: int) -> bool:
    given = flow.arguments(use, frame, name, at=at)
    return given is not None and plain(given) != [False]


def library_of(name: str) -> str:
    """The package of a call that no table names."""
    return name.partition(".")[0] if "." in name and not name.startswith(("local.", "builtins.")) else "other"
