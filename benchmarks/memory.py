"""Memory of published models: `spacerun check-gpu` next to hf-mem and `accelerate estimate-memory`, in one run.

    python -m benchmarks.memory [--venv FOLDER] [--model NAME...]

The loopback Hub of the tests serves each model with the header bytes of its publisher (`tests/true_shapes.py`). Every
command starts with empty caches and is asked for the weights alone; bytes and requests are what the Hub counted. The
truth in the column GB is

    stored     the bytes of the parameters in the files that are loaded, as they are
    float16    the publisher's number of parameters, two bytes each
    int8, nf4, nf4-dq
               the layers that transformers has bitsandbytes quantize, in the layout of bitsandbytes, and all others in
               two bytes (the Llama 3 8B that unsloth has published in nf4-dq takes 5.70 GB, as it does here)

The peers are installed by uv into --venv. hf-mem knows no other endpoint than huggingface.co: its client is given a
hook that sends its requests to the loopback Hub. It tells sizes as stored, so a row in another form has no answer.
accelerate's int4 stands in the row nf4; it has no double quantization.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests import true_shapes
from tests.command import SCRIPT
from tests.hub import Hub

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# What the issue asks for, then what its publishers have quantized.
MODELS = (
    *("llama-7b", "llama-13b", "llama-30b", "llama-65b", "llama-2-7b", "llama-2-70b", "llama-3-8b", "mistral-7b"),
    *("mpt-7b", "llava-1.5-13b", "sdxl-base", "sd-1.5", "whisper-large-v2", "whisper-large-v3"),
    *("llama-2-7b-gptq", "mistral-7b-awq", "llama-2-7b-bnb-4bit", "gpt-oss-20b", "qwen3-8b-fp8"),
)
FORMS = ("stored", "float16", "int8", "nf4", "nf4-dq")
TOOLS = ("spacerun", "hf-mem", "accelerate")
PEERS = ("hf-mem", "accelerate", "transformers", "torch")
# accelerate: the forms that its columns answer for, the column for a type of checkpoint, and its units by their size.
_COLUMNS = {"float16": "float16", "int8": "int8", "int4": "nf4"}
_STORED = {"F32": "float32", "F16": "float16", "BF16": "float16", "F8_E4M3": "int8", "I32": "int4", "U8": "int4"}
_UNITS = {"KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}

# hf-mem's command line, with the hook.
_HF_MEM = """\
import sys
import httpx2
from hf_mem import cli

hub = httpx2.URL(sys.argv.pop(1))

async def to_loopback(request):
    if request.url.host == "huggingface.co":
        request.url = request.url.copy_with(scheme=hub.scheme, host=hub.host, port=hub.port)
        request.headers["Host"] = f"{hub.host}:{hub.port}"

class Client(httpx2.AsyncClient):
    def __init__(self, **settings):
        super().__init__(**settings, event_hooks={"request": [to_loopback]})

httpx2.AsyncClient = Client
cli.main()
"""


@dataclass(frozen=True)
class Run:
    """One command: what it said of each form, in bytes, and what it took."""

    sizes: Mapping[str, float]
    seconds: float
    fetched: int
    requests: int
    problem: str


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, default=Path(tempfile.gettempdir()) / "spacerun-benchmark-peers")
    parser.add_argument("--model", nargs="+", default=MODELS, choices=true_shapes.names(), metavar="NAME")
    arguments = parser.parse_args()
    install_peers(arguments.venv)
    errors: dict[str, list[float]] = {tool: [] for tool in TOOLS}
    runs: dict[str, list[Run]] = {tool: [] for tool in TOOLS}
    rows = 0
    print(f"{'model':<20} {'form':<8} {'GB':>8}  " + "  ".join(f"{tool:>10} {'error':>7}" for tool in TOOLS))
    for name in arguments.model:
        with tempfile.TemporaryDirectory() as folder, Hub(Path(folder) / "hub") as hub:
            sizes = truth(true_shapes.load(name))
            done = ask_all(hub, name, arguments.venv)
        for form, size in sizes.items():
            rows += 1
            print(f"{name:<20} {form:<8} {size / 1e9:8.2f}  {compare(form, size, done, errors)}", flush=True)
        for tool in TOOLS:
            runs[tool] += done[tool]
            print(*(f"    {tool}: {run.problem}\n" for run in done[tool] if run.problem), sep="", end="")
    report(rows, errors, runs)


def truth(model: true_shapes.Model) -> dict[str, int]:
    """Bytes of the weights in each form in which the model can be loaded."""
    loaded = (weights for weights in model.weights if not weights.variant_of)
    stored = sum(tensor.size for weights in loaded for tensor in weights.tensors if not tensor.buffer)
    return {"stored": stored} | {form: model.loaded[form] for form in FORMS[1:] if form in model.loaded}


def compare(form: str, size: int, done: Mapping[str, Sequence[Run]], errors: Mapping[str, list[float]]) -> str:
    """The cells of one row; each tool's error is added to `errors`."""
    cells = []
    for tool in TOOLS:
        said = next((run.sizes[form] for run in done[tool] if form in run.sizes), None)
        if said is None:
            cells.append(f"{'-':>10} {'':>7}")
        else:
            errors[tool].append(abs(said / size - 1))
            cells.append(f"{said / 1e9:10.2f} {said / size - 1:+7.1%}")
    return "  ".join(cells)


def report(rows: int, errors: Mapping[str, Sequence[float]], runs: Mapping[str, Sequence[Run]]) -> None:
    """What it comes to for each tool."""
    print(f"\n{'':<12} {'rows':>8} {'error: median':>14} {'maximum':>8} {'seconds':>8} {'kB':>8} {'requests':>8}")
    for tool in TOOLS:
        found, done = errors[tool], runs[tool]
        median, most = (statistics.median(found), max(found)) if found else (math.nan, math.nan)
        seconds = statistics.median(run.seconds for run in done)
        fetched = statistics.median(run.fetched for run in done) / 1e3
        requests = statistics.median(run.requests for run in done)
        covered = f"{len(found)}/{rows}"
        print(f"{tool:<12} {covered:>8} {median:14.2%} {most:8.1%} {seconds:8.1f} {fetched:8.0f} {requests:8.0f}")


# -- the tools ---------------------------------------------------------------------------------------------------------


def ask_all(hub: Hub, name: str, venv: Path) -> dict[str, list[Run]]:
    """What every tool says of a model: spacerun is asked once for each form, the others once for all."""
    model = true_shapes.load(name)
    repo = true_shapes.publish(hub, name)
    stored = main_type(model)
    half = stored in {"F16", "BF16"}

    def of_spacerun(form: str) -> Callable[[str], dict[str, float]]:
        return lambda out: {form: json.loads(out)["data"]["required"]["weights_bytes"]}

    def of_hf_mem(out: str) -> dict[str, float]:
        size = json.loads(out)["memory"]
        return {"stored": size} | ({"float16": size} if half else {})

    def of_accelerate(out: str) -> dict[str, float]:
        columns = read_accelerate(out)
        return {"stored": columns[_STORED[stored]]} | {ours: columns[theirs] for theirs, ours in _COLUMNS.items()}

    check_gpu = [SCRIPT, "check-gpu", "--json", "--model", repo, "--dtype"]
    hf_mem = [venv / "bin" / "python", "-c", _HF_MEM, hub.endpoint, "--model-id", repo, "--json-output"]
    estimate = [venv / "bin" / "accelerate", "estimate-memory", repo]
    return {
        "spacerun": [ask(hub, [*check_gpu, form], of_spacerun(form)) for form in truth(model)],
        "hf-mem": [ask(hub, hf_mem, of_hf_mem)],
        "accelerate": [ask(hub, estimate, of_accelerate)],
    }


def ask(hub: Hub, command: Sequence[str | Path], read: Callable[[str], dict[str, float]]) -> Run:
    """Run a command with empty caches."""
    hub.clear_requests()
    with tempfile.TemporaryDirectory() as home:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "SPACERUN_"))}
        own = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": f"{home}/hf", "SPACERUN_HOME": f"{home}/spacerun"}
        began = time.monotonic()
        done = subprocess.run(command, env=clean | own, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - began
    sizes, problem = {}, ""
    try:
        # The exit code says whether it fits: on a machine without a GPU there is an answer as well.
        sizes = read(done.stdout)
    except (LookupError, TypeError, ValueError):
        problem = why(done)
    return Run(sizes, seconds, hub.bytes_sent(), len(hub.requests), problem)


def why(done: subprocess.CompletedProcess[str]) -> str:
    """What a command without an answer has said."""
    try:
        return json.loads(done.stdout)["error"]["message"]
    except (LookupError, TypeError, ValueError):
        return (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]


def main_type(model: true_shapes.Model) -> str:
    """The type that takes most of the bytes of a checkpoint."""
    sizes: Counter[str] = Counter()
    for weights in model.weights:
        for tensor in weights.tensors if not weights.variant_of else ():
            sizes[tensor.dtype] += tensor.size
    return sizes.most_common(1)[0][0]


def read_accelerate(out: str) -> dict[str, float]:
    """The column "Total Size" of the table that `accelerate estimate-memory` prints, in bytes."""
    found = re.findall(r"│\s*(float32|float16|int8|int4)\s*│[^│]*│\s*([\d.]+) (KB|MB|GB|TB)\s*│", out)
    return {dtype: float(number) * _UNITS[unit] for dtype, number, unit in found}


def install_peers(venv: Path) -> None:
    """Make the environment of the peers, unless it is there, and say which releases are in it."""
    uv, python = SCRIPT.with_name("uv"), venv / "bin" / "python"
    if not python.exists():
        subprocess.run([uv, "venv", "--quiet", venv], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PEERS], check=True)
    listing = [uv, "pip", "list", "--quiet", "--format", "json", "--python", python]
    packages = json.loads(subprocess.run(listing, capture_output=True, check=True).stdout)
    print(", ".join(f"{package['name']} {package['version']}" for package in packages if package["name"] in PEERS))


if __name__ == "__main__":
    main()
