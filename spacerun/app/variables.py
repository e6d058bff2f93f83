"""The environment variables of an app: what it needs to run, and none of the user's secrets."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from spacerun.app.machine import LIKE_HUB
from spacerun.errors import UsageError
from spacerun.text import names_secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spacerun.environment.store import Environment

_NAMES = frozenset({
    "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM", "TMPDIR", "LD_LIBRARY_PATH",
    "XDG_CACHE_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "TOKENIZERS_PARALLELISM", "CUDA_HOME", "CUDA_PATH",
})  # fmt: skip
_PREFIXES = (
    "LC_", "CUDA_", "NVIDIA_", "NCCL_", "HIP_", "ROCR_", "GRADIO_", "STREAMLIT_", "TORCH", "PYTORCH_", "TRANSFORMERS_",
    "DIFFUSERS_", "OMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "HF_", "HUGGINGFACE_",
)  # fmt: skip
_PROXIES = frozenset({"http_proxy", "https_proxy", "no_proxy", "all_proxy"})
# Inherited, these would make the app believe that it runs on Hugging Face: Gradio then refuses to share, and
# `spaces` looks for ZeroGPU (gradio `utils.get_space`, spaces `config.py`).
_NEVER = frozenset({"SPACE_ID", "SYSTEM", "SPACES_ZERO_GPU"})

# What every app has, whatever the values are.
_ALWAYS = {
    "PATH": "/usr/bin", "VIRTUAL_ENV": "/venv", "PYTHONPATH": "/hook", "HF_HOME": "/hf", "HF_HUB_CACHE": "/hf/hub",
    "HUGGINGFACE_HUB_CACHE": "/hf/hub", "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": "7860",
    "BROWSER": "true", "LANG": "C.UTF-8", "ACCELERATOR": "none", "CPU_CORES": "8", "MEMORY": "32Gi",
}  # fmt: skip
_DEFAULTS = {"LANG": "C.UTF-8", "GRADIO_ANALYTICS_ENABLED": "False"}
_TOKEN_NAMES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def own_variables(
    *,
    environment: Environment | None,
    hook: Path,
    hf_home: Path,
    host: str,
    port: int,
    cuda_visible_devices: str | None,
    hub: Mapping[str, str],
) -> dict[str, str]:
    """The variables of an app that spacerun makes; none of them is secret.

    The app gets an HF_HOME of its own, in which there is no token, and shares the user's caches.

    Args:
        environment: Its virtual environment, if it has one; compiled modules go beside it, for neither uv's cache nor
            the Space's folder is written to.
        hook: Folder of the start-up hook; first on PYTHONPATH, it also marks every process of the app.
        hf_home: Folder for its HF_HOME.
        host: Address that it shall bind.
        port: Port that it shall bind.
        cuda_visible_devices: UUIDs of its GPUs; "" for none; None to leave the user's own setting.
        hub: What Hugging Face tells its apps; see `machine.py`.
    """
    downloads = str(download_cache())
    variables = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(hook),
        "PYTHONUNBUFFERED": "1",
        "HF_HOME": str(hf_home),
        "HF_HUB_CACHE": downloads,
        "HUGGINGFACE_HUB_CACHE": downloads,  # its name before huggingface_hub 0.20
        "GRADIO_SERVER_NAME": host,
        "GRADIO_SERVER_PORT": str(port),
        "BROWSER": "true",  # so that `inbrowser=True` opens nothing: Python's `webbrowser` looks there first
        **_shared_caches(),
        **hub,
    }
    if environment:
        venv = environment.python.parent.parent
        variables |= {
            "PATH": os.pathsep.join([str(venv / "bin"), variables["PATH"]]),
            "VIRTUAL_ENV": str(venv),
            "PYTHONPYCACHEPREFIX": str(environment.bytecode),
        }
    if cuda_visible_devices is not None:
        variables |= {"CUDA_VISIBLE_DEVICES": cuda_visible_devices, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    return variables


def app_environment(own: Mapping[str, str], *, token: str | None, given: Mapping[str, str]) -> dict[str, str]:
    """All variables of an app: an allowlist of the user's, spacerun's own, and at last what the user gave.

    Args:
        own: From `own_variables`.
        token: The user's token if it is passed on, else None.
        given: Variables from `--env` and `--env-file`.
    """
    inherited = {name: value for name, value in os.environ.items() if _is_passed_on(name)}
    return _DEFAULTS | inherited | dict(own) | token_variables(token) | dict(given)


def given_names(token: str | None, given: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the variables that an app has from the user, as `app_environment` takes them."""
    return tuple(sorted({*token_variables(token), *given}))


def seen_by_app(given: Mapping[str, str], token: str | None, *, like_hub: bool = False) -> dict[str, str]:
    """What of the user's environment and of `--env` an app sees; see `app_environment`."""
    seen = {name: value for name, value in os.environ.items() if _is_passed_on(name)}
    return _ALWAYS | seen | (LIKE_HUB if like_hub else {}) | token_variables(token) | dict(given)


def token_variables(token: str | None) -> dict[str, str]:
    """The variables by which an app has the user's token; none where it is not passed on."""
    return dict.fromkeys(_TOKEN_NAMES, token) if token else {}


def download_cache() -> Path:
    """The user's own download cache (huggingface_hub `constants.py`: HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME)."""
    direct = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(direct).expanduser() if direct else _hf_home() / "hub"


def _shared_caches() -> dict[str, str]:
    """The user's caches of data sets and of downloaded chunks; code that a Space fetches has no part in them."""
    places = {"HF_DATASETS_CACHE": "datasets", "HF_XET_CACHE": "xet"}
    return {name: os.environ.get(name) or str(_hf_home() / folder) for name, folder in places.items()}


def _hf_home() -> Path:
    base = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    return Path(base).expanduser()


def given_variables(assignments: Sequence[str], files: Sequence[Path]) -> dict[str, str]:
    """The variables of `--env NAME[=VALUE]` and `--env-file FILE`; an assignment wins over a file.

    `NAME` alone takes the caller's own value. A file holds `NAME=VALUE` lines, empty lines and `#` comments.

    Raises:
        UsageError: A text is not an assignment, a file cannot be read, or a value is to be taken that is not set.
    """
    variables: dict[str, str] = {}
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--env-file {file} cannot be read: {error}.") from error
        for line in lines:
            text = line.strip().removeprefix("export ")
            if text and not text.startswith("#"):
                name, value = _assignment(text, f"--env-file {file}")
                variables[name] = value.strip().strip("'\"")
    for text in assignments:
        name, value = _assignment(text, "--env")
        variables[name] = value
    return variables


def _assignment(text: str, where: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    name = name.strip()
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise UsageError(f"{where}: {name!r} is not the name of a variable.", hint="Write it as NAME=VALUE.")
    if equals:
        return name, value
    if name not in os.environ:
        raise UsageError(f"{where}: {name} is not set here.", hint=f"Give its value: --env {name}=VALUE")
    return name, os.environ[name]


def _is_passed_on(name: str) -> bool:
    if name in _NAMES or name.lower() in _PROXIES:
        return True
    return name.startswith(_PREFIXES) and name not in _NEVER and not names_secret(name)
