"""Modules that a Space imports at its start and that its environment lacks, found before the start."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spacerun.environment import imports_probe
from spacerun.environment.uv import clean_environment
from spacerun.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS: Final = 20.0
_MAX_TOLD: Final = 20

# Packages whose name is not that of their module.
_RENAMED: Final = {
    "absl": "absl-py", "attr": "attrs", "audioop": "audioop-lts", "Bio": "biopython", "bs4": "beautifulsoup4",
    "controlnet_aux": "controlnet-aux", "Crypto": "pycryptodome", "curl_cffi": "curl-cffi",
    "cv2": "opencv-python-headless", "dateutil": "python-dateutil", "docx": "python-docx",
    "dotenv": "python-dotenv", "duckduckgo_search": "duckduckgo-search", "edge_tts": "edge-tts",
    "face_recognition": "face-recognition", "faiss": "faiss-cpu", "fitz": "PyMuPDF", "flash_attn": "flash-attn",
    "flask_cors": "flask-cors", "flask_sqlalchemy": "flask-sqlalchemy", "git": "GitPython",
    "github": "PyGithub", "hf_transfer": "hf-transfer", "hydra": "hydra-core", "IPython": "ipython",
    "jose": "python-jose", "jwt": "PyJWT", "langchain_chroma": "langchain-chroma",
    "langchain_community": "langchain-community", "langchain_core": "langchain-core",
    "langchain_google_genai": "langchain-google-genai", "langchain_groq": "langchain-groq",
    "langchain_huggingface": "langchain-huggingface", "langchain_openai": "langchain-openai",
    "langchain_text_splitters": "langchain-text-splitters", "lightning_fabric": "lightning",
    "llama_cpp": "llama-cpp-python", "magic": "python-magic", "mpl_toolkits": "matplotlib", "nacl": "PyNaCl",
    "open_clip": "open-clip-torch", "OpenSSL": "pyOpenSSL", "PIL": "pillow", "pkg_resources": "setuptools<81",
    "pl_bolts": "lightning-bolts", "pptx": "python-pptx", "psycopg2": "psycopg2-binary", "pyaudio": "PyAudio",
    "pyaudioop": "audioop-lts", "pytorch_lightning": "pytorch-lightning", "qdrant_client": "qdrant-client",
    "ruamel": "ruamel.yaml", "segment_anything": "segment-anything",
    "sentence_transformers": "sentence-transformers", "serial": "pyserial", "skimage": "scikit-image",
    "sklearn": "scikit-learn", "slugify": "python-slugify", "speech_recognition": "SpeechRecognition",
    "stable_baselines3": "stable-baselines3", "telegram": "python-telegram-bot",
    "tensorflow_hub": "tensorflow-hub", "torch_geometric": "torch-geometric", "umap": "umap-learn",
    "usb": "pyusb", "websocket": "websocket-client", "whisper": "openai-whisper", "yaml": "PyYAML",
    "youtube_transcript_api": "youtube-transcript-api", "yt_dlp": "yt-dlp", "zmq": "pyzmq",
}  # fmt: skip

# Well-known packages called like their module. Any other name may be anybody's package, and is left to the user.
_SAME_NAME: Final = frozenset({
    "accelerate", "aiofiles", "aiohttp", "albumentations", "altair", "anthropic", "appdirs", "asteroid", "av",
    "bitsandbytes", "bokeh", "boto3", "cachetools", "chess", "chromadb", "click", "cohere", "colorama", "dash",
    "datasets", "decord", "demucs", "diffusers", "duckdb", "easydict", "easyocr", "einops", "emoji", "evaluate",
    "fastai", "fastapi", "ffmpy", "filelock", "fire", "flask", "folium", "fsspec", "ftfy", "gdown", "gensim",
    "gradio", "gradio_client", "groq", "gspread", "gtts", "h5py", "httpx", "huggingface_hub", "imageio",
    "imutils", "insightface", "jieba", "jinja2", "joblib", "jsonschema", "keras", "kornia", "langchain",
    "langdetect", "langgraph", "librosa", "lightning", "loguru", "loralib", "lpips", "lxml", "markdown",
    "markdown2", "matplotlib", "mediapipe", "mistralai", "mlflow", "moviepy", "networkx", "nltk", "numba",
    "numpy", "omegaconf", "onnx", "onnxruntime", "openai", "openpyxl", "optimum", "orjson", "packaging",
    "pandas", "pdfplumber", "peft", "playwright", "plotly", "prettytable", "prophet", "psutil", "pyarrow",
    "pycocotools", "pydantic", "pydub", "pymupdf4llm", "pypdf", "PyPDF2", "pyproj", "pytesseract", "qrcode",
    "rdkit", "regex", "rembg", "replicate", "reportlab", "requests", "resampy", "rich", "sacremoses",
    "safetensors", "scipy", "seaborn", "sentencepiece", "shap", "shapely", "soundfile", "spaces", "spacy",
    "sqlalchemy", "statsmodels", "streamlit", "supabase", "sympy", "tabulate", "tenacity", "tensorboard",
    "tensorflow", "textblob", "tiktoken", "timm", "tokenizers", "toml", "torch", "torchaudio", "torchmetrics",
    "torchvision", "tqdm", "transformers", "trimesh", "trl", "typer", "ultralytics", "unidecode", "uvicorn",
    "wandb", "websockets", "werkzeug", "wikipedia", "wordcloud", "xformers", "xgboost", "yfinance",
})  # fmt: skip


@dataclass(frozen=True)
class MissingImport:
    """A module that is imported and that nothing provides.

    Attributes:
        module: Its top-level name.
        file: The Space's file that imports it, relative to its folder.
        line: The line there, from 1.
        package: The package that holds it; None where that is not known for certain.
    """

    module: str
    file: str
    line: int
    package: str | None

    def __str__(self) -> str:
        return f"{one_line(self.module, 60)} ({one_line(self.file, 80)}:{self.line})"


def missing_imports(python: Path, directory: Path, entry: str) -> tuple[MissingImport, ...]:
    """What the Space in `directory` imports whenever it starts, and its environment, its files and Python do not have.

    Nothing of the Space is imported or run. Imports that are conditional, or guarded by `except ImportError`, do not
    count; neither does what comes after the code itself runs pip.

    Args:
        python: Interpreter of the environment.
        directory: The Space's files.
        entry: Its entry file, relative to `directory`.
    """
    try:
        done = subprocess.run(
            [python, "-I", "-B", imports_probe.__file__, directory, entry],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=True,
        )
        found = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()  # the start itself will tell
    return tuple(
        MissingImport(item["module"], item["file"], item["line"], package_of(item["module"]))
        for item in found[:_MAX_TOLD]
    )


def package_of(module: str) -> str | None:
    """The package that holds `module`, where that is known for certain."""
    top = module.partition(".")[0]
    return _RENAMED.get(top) or (top if top in _SAME_NAME else None)
