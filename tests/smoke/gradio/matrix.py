"""Every version of Gradio in an environment of its day, serving the apps of `apps.py`.

    python -m tests.smoke.gradio.matrix

writes what the apps of each version say of themselves into `configs.json`, for the tests that run without them.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import urllib.request
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacerun.environment.python import find_installed
from spacerun.environment.uv import find_uv
from tests.periods import PERIODS, Period

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

APPS = Path(__file__).with_name("apps.py")
CONFIGS = Path(__file__).with_name("configs.json")
VERSIONS = tuple(period for period in PERIODS if period.sdk == "gradio")
KINDS = (
    "text", "cached", "picture", "sound", "file", "labels", "stream", "on_click", "private", "stream_cached", "state",
    "chat", "chat_stream", "chat_more", "chat_files", "error", "hidden_error", "without", "files",
)  # fmt: skip
RECORDED = ("text", "stream", "on_click", "picture", "chat")
_RECORDED_VERSIONS = frozenset({"2.9.4", "3.0", "3.20.1", "3.50.2", "4.44.0", "5.49.1", "6.31.0"})
# What these versions need beside themselves, for they do not say so.
_BESIDE = {"3.36.0": ["pydantic<2", "fastapi<0.100"]}
# A picture of one pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301010018dd8d"
    "b00000000049454e44ae426082"
)


@dataclass(frozen=True)
class Served:
    """The apps of one version.

    Attributes:
        urls: Where each kind answers.
        missing: Kinds that this Gradio cannot have, each with the reason.
    """

    urls: dict[str, str]
    missing: dict[str, str]


def make_environment(period: Period, folder: Path) -> Path:
    """Install a version as of its own day; its Python."""
    interpreter = find_installed(period.python)
    assert interpreter is not None, f"Python {period.python} is needed"
    python = folder / "bin" / "python"
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_", "PYTHON"))}
    wanted = [f"gradio=={period.version}", *_BESIDE.get(period.version, [])]
    if period.version.startswith(("2.", "3.")):
        wanted.append("setuptools<66")
    day = period.last_changed.isoformat()
    for arguments in (
        ["venv", "-q", "--python", interpreter.path, folder],
        ["pip", "install", "-q", "--python", python, "--exclude-newer", day, *wanted],
    ):
        subprocess.run([find_uv(), *arguments], env=variables, check=True)
    return python


def fill(folder: Path) -> Path:
    """Make the files that the apps have as examples."""
    (folder / "sounds").mkdir(parents=True)
    (folder / "cat.png").write_bytes(PNG)
    with wave.open(str(folder / "sounds" / "beep.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(range(256)) * 8)
    return folder


@contextlib.contextmanager
def serving(python: Path, folder: Path, kinds: Sequence[str]) -> Iterator[Served]:
    """Serve apps from `folder` to the end of the block."""
    variables = {"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder), "GRADIO_ANALYTICS_ENABLED": "False"}
    log = folder / "log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [python, APPS, *kinds], cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=errors
        )
    served = Served({}, {})
    try:
        for raw in process.stdout:
            word, _, rest = raw.decode().strip().partition(" ")
            kind, _, what = rest.partition(" ")
            if word == "UP":
                served.urls[kind] = f"http://127.0.0.1:{what}"
            elif word == "NOT":
                served.missing[kind] = what
            elif word == "READY":
                break
        else:
            raise AssertionError(log.read_text(errors="replace")[-2000:])
        yield served
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def batches(period: Period, kinds: Sequence[str]) -> Iterator[Sequence[str]]:
    """What can be served by one process: Gradio 2 has one app in each."""
    yield from ([kind] for kind in kinds) if period.version.startswith("2.") else [kinds]


def recorded(version: str, kind: str) -> dict[str, Any]:
    """What an app of this version and kind said of itself when it was recorded."""
    return json.loads(CONFIGS.read_text())[version][kind]


def _brief(config: dict[str, Any]) -> dict[str, Any]:
    """The parts of a configuration that tell what it is, for what it looks like fills pages."""
    if "components" not in config:
        kept = ("version", "input_components", "output_components", "examples", "cached_examples", "queue")
        return {key: config[key] for key in kept if key in config}
    props = ("value", "samples", "components", "component_ids")
    component = ("id", "type", "skip_api")
    dependency = (
        "id", "targets", "trigger", "inputs", "outputs", "backend_fn", "queue", "api_name", "types", "trigger_after",
        "show_api", "api_visibility",
    )  # fmt: skip
    return {
        **{key: config[key] for key in ("version", "api_prefix", "protocol", "enable_queue") if key in config},
        "components": [
            {**{key: one[key] for key in component if key in one}, "props": _some(one.get("props", {}), props)}
            for one in config["components"]
        ],
        "dependencies": [{key: one[key] for key in dependency if key in one} for one in config["dependencies"]],
    }


def _some(props: dict[str, Any], wanted: Sequence[str]) -> dict[str, Any]:
    return {key: props[key] for key in wanted if props.get(key) is not None}


def main() -> None:
    """Record them all."""
    configs: dict[str, dict[str, Any]] = {}
    for period in (one for one in VERSIONS if one.version in _RECORDED_VERSIONS):
        found = configs[period.version] = {}
        with tempfile.TemporaryDirectory() as name:
            python = make_environment(period, Path(name) / "venv")
            folder = fill(Path(name) / "space")
            for kinds in batches(period, RECORDED):
                with serving(python, folder, kinds) as served:
                    for kind, url in served.urls.items():
                        with urllib.request.urlopen(f"{url}/config", timeout=20) as answer:
                            text = answer.read().decode().replace(str(folder), "/space").replace(url, "http://host")
                        found[kind] = _brief(json.loads(text))
        print(period.version, *found, flush=True)
    CONFIGS.write_text(_lines({version: _lines(found, json.dumps) for version, found in configs.items()}, str) + "\n")


def _lines(values: dict[str, Any], text: Callable[[Any], str]) -> str:
    """JSON with a line for each of `values`."""
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {text(value)}" for key, value in values.items()) + "\n}"


if __name__ == "__main__":
    main()
