"""Whether a Space fits: the console script, a loopback Hub with models of true shapes, GPUs of a fake driver."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import fake_nvml, true_shapes
from tests.fake_nvml import Gpu, Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.command import Command, Done
    from tests.hub import Hub

README = "---\nsdk: gradio\nsdk_version: 4.44.0\n---\n"
# Answers without Gradio, and tells which GPUs it sees; the model is loaded when somebody asks, which nobody does.
APP = """\
import http.server, json, os, threading
def answer(text):
    from transformers import AutoModelForCausalLM
    model = AutoModelForCausalLM.from_pretrained("{model}", torch_dtype="float16").to("cuda")
    return model.generate(text, max_new_tokens=256)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({{k: v for k, v in os.environ.items() if k.startswith("CUDA")}}).encode())
threading.Timer(10**6, answer).daemon = True
address = ("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"]))
http.server.HTTPServer(address, Handler).serve_forever()
"""
LLAMA = "huggyllama/llama-7b"
MIB = 1024**2
GIB = 1024**3


@pytest.fixture
def gpus(hub_command: Command, nvml_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """Give the machine GPUs; the file with which `fake_nvml.change` changes them."""

    def give(*devices: Gpu, **more: Any) -> Path:
        file = tmp_path / "gpus"
        hub_command.variables |= fake_nvml.environment(nvml_folder, devices, file=file, **more)
        fake_nvml.change(file, devices)
        return file

    return give


def a10g(used_mib: int = 512, **given: Any) -> Gpu:
    return Gpu("NVIDIA A10G", 23028, used_mib, **given)


def t4(used_mib: int = 300, **given: Any) -> Gpu:
    return Gpu("Tesla T4", 15360, used_mib, **given)


def space(hub: Hub, name: str, code: str, **files: str | bytes) -> str:
    hub.publish(name, {"README.md": README, "app.py": code, "requirements.txt": "transformers==4.40.0\n", **files})
    return name


def checked(command: Command, *arguments: str) -> tuple[Done, dict[str, Any]]:
    done = command.run("check-gpu", *arguments, "--json")
    return done, done.document["data"]


# -- sizes -------------------------------------------------------------------------------------------------------------


def test_check_gpu_tells_what_a_space_takes_from_header_bytes_alone(hub, hub_command, gpus) -> None:
    true_shapes.publish(hub, "llama-7b")
    gpus(a10g())
    done, data = checked(hub_command, space(hub, "owner/header-bytes", APP.format(model=LLAMA)))
    assert (done.code, data["verdict"]) == (0, "fits")
    required = data["required"]
    assert required["weights_bytes"] == pytest.approx(6_738_415_616 * 2, rel=0.001)
    assert required["expected_bytes"] == required["weights_bytes"] + required["overhead_bytes"]
    assert required["low_bytes"] < required["expected_bytes"] < required["high_bytes"]
    assert [(row["id"], row["weights_bytes"]) for row in data["models"]] == [(LLAMA, required["weights_bytes"])]
    assert data["devices"][0]["total_bytes"] == 23028 * MIB
    assert (data["driver"], data["cuda"]) == ("550.54.14", "12.4")
    assert hub.bytes_sent("cdn") < 400_000


def test_a_second_check_asks_the_cdn_for_nothing(hub, hub_command, gpus) -> None:
    true_shapes.publish(hub, "llama-7b")
    gpus(a10g())
    name = space(hub, "owner/asked-twice", APP.format(model=LLAMA))
    _, first = checked(hub_command, name)
    sent = hub.bytes_sent("cdn")
    _, second = checked(hub_command, name)
    assert hub.bytes_sent("cdn") == sent
    assert first["required"] == second["required"]


def test_changing_one_shape_changes_the_answer(hub, hub_command, gpus) -> None:
    gpus(a10g())
    true_shapes.publish(hub, "mistral-7b")
    _, before = checked(hub_command, "--model", "mistralai/Mistral-7B-v0.1")
    true_shapes.publish(hub, "mistral-7b", change={"lm_head.weight": (64000, 4096)})
    _, after = checked(hub_command, "--model", "mistralai/Mistral-7B-v0.1")
    assert after["required"]["weights_bytes"] - before["required"]["weights_bytes"] == 32000 * 4096 * 2


@pytest.mark.parametrize(("form", "gigabytes"), [("float16", 13.48), ("int8", 7.00), ("nf4", 4.17), ("nf4-dq", 3.87)])
def test_check_gpu_of_a_model_in_a_form(hub, hub_command, gpus, form: str, gigabytes: float) -> None:
    true_shapes.publish(hub, "llama-7b")
    gpus(a10g())
    done, data = checked(hub_command, "--model", LLAMA, "--dtype", form)
    assert done.code == 0
    assert data["required"]["weights_bytes"] / 1e9 == pytest.approx(gigabytes, rel=0.01)


def test_components_of_a_diffusers_pipeline_are_read(hub, hub_command, gpus) -> None:
    true_shapes.publish(hub, "sdxl-base")
    gpus(a10g())
    _, data = checked(hub_command, "--model", "stabilityai/stable-diffusion-xl-base-1.0", "--dtype", "float16")
    assert data["required"]["weights_bytes"] == pytest.approx(3_468_837_867 * 2, rel=0.001)


def test_a_model_that_is_missing_or_gated_is_exit_3(hub, hub_command, gpus) -> None:
    gpus(a10g())
    assert hub_command.run("check-gpu", "--model", "owner/nowhere", "--json").error["exit_code"] == 3
    hub.publish("owner/closed", {"config.json": "{}", "model.safetensors": b"x"}, kind="model", gated=True)
    error = hub_command.run("check-gpu", "--model", "owner/closed", "--json").error
    assert (error["name"], "gated" in error["message"]) == ("not_found", True)


def test_what_is_no_model_or_leaves_the_file_open_is_exit_2(hub, hub_command, gpus) -> None:
    gpus(a10g())
    assert hub_command.run("check-gpu", "--model", "../../etc/passwd", "--json").error["exit_code"] == 2
    hub.publish("owner/several", {"a.Q4.gguf": b"x" * 200, "b.Q8.gguf": b"y" * 300}, kind="model")
    error = hub_command.run("check-gpu", "--model", "owner/several", "--json").error
    assert (error["exit_code"], "--model owner/several/a.Q4.gguf" in error["hint"]) == (2, True)
    named = hub_command.run("check-gpu", "--model", "owner/several/b.Q8.gguf", "--json").document["data"]
    assert named["required"]["weights_bytes"] == 300


def test_a_hub_that_does_not_answer_is_exit_5(hub_command, gpus) -> None:
    gpus(a10g())
    done = hub_command.run("check-gpu", "--model", LLAMA, "--json", HF_ENDPOINT="http://127.0.0.1:9")
    assert done.error["exit_code"] == 5


def test_a_gated_model_is_read_with_the_users_token_and_counts_by_its_size_without(hub, hub_command, gpus) -> None:
    gpus(a10g())
    repo = true_shapes.publish(hub, "llama-2-7b")
    hub.publish(repo, {"README.md": "Ask."}, kind="model", gated=True, readers=["reader"])
    hub.add_token("hf_reader00000000", "reader")
    name = space(hub, "owner/gated-sizes", APP.format(model=repo))
    _, without = checked(hub_command, name)
    assert hub.bytes_sent("cdn") == 0
    assert without["required"]["confidence"] == "low"
    assert "counted by its size" in without["required"]["notes"][0]
    hub_command.variables["HF_TOKEN"] = "hf_reader00000000"
    _, data = checked(hub_command, name)
    assert data["required"]["confidence"] == "high"
    for found in (without, data):
        assert found["required"]["weights_bytes"] / 1e9 == pytest.approx(13.48, rel=0.01)


def test_weights_in_the_space_itself_are_read_without_fetching_them(hub, hub_command, gpus) -> None:
    gpus(a10g())
    files = true_shapes.load("bert-base-cased").files()
    (file,) = (content for name, content in files.items() if "safetensors" in name)
    code = (
        "import torch\nfrom safetensors.torch import load_file\n"
        "weights = load_file('model.safetensors', device='cuda')\n"
    )
    _, data = checked(hub_command, space(hub, "owner/own-weights", code, **{"model.safetensors": file}))
    (model,) = data["models"]
    assert model["weights_bytes"] == pytest.approx(433e6, rel=0.01)
    assert hub.bytes_sent("cdn") < 150_000


def test_the_base_model_of_an_adapter_is_counted(hub, hub_command, gpus) -> None:
    gpus(a10g())
    true_shapes.publish(hub, "llama-7b")
    adapter = {"adapter_config.json": json.dumps({"base_model_name_or_path": LLAMA}), "adapter_model.bin": b"x" * 9000}
    hub.publish("owner/lora", adapter, kind="model")
    code = (
        "from peft import AutoPeftModelForCausalLM\n"
        "model = AutoPeftModelForCausalLM.from_pretrained('owner/lora', load_in_4bit=True, device_map='auto')\n"
    )
    done, data = checked(hub_command, space(hub, "owner/adapted", code))
    assert done.code == 0, done.err
    assert data["required"]["weights_bytes"] / 1e9 == pytest.approx(4.17, rel=0.01)


def test_the_largest_of_a_dropdown_counts(hub, hub_command, gpus) -> None:
    gpus(a10g())
    for name in ("gpt2", "bert-base-cased", "llama-7b"):
        true_shapes.publish(hub, name)
    code = (
        "import gradio as gr\nfrom transformers import AutoModel\n"
        "def run(name):\n"
        "    return AutoModel.from_pretrained(name, torch_dtype='float16').to('cuda')\n"
        f"gr.Interface(run, gr.Dropdown(['openai-community/gpt2', '{LLAMA}']), 'text').launch()\n"
    )
    _, data = checked(hub_command, space(hub, "owner/dropdown", code))
    assert data["required"]["weights_bytes"] / 1e9 == pytest.approx(13.48, rel=0.01)
    assert data["required"]["low_bytes"] < 2e9
    assert data["required"]["confidence"] == "medium"


def test_explain_shows_every_term_with_formula_and_source(hub, hub_command, gpus) -> None:
    true_shapes.publish(hub, "llama-7b")
    gpus(a10g())
    name = space(hub, "owner/explained", APP.format(model=LLAMA))
    done = hub_command.run("check-gpu", name, "--explain", COLUMNS="200")
    assert done.code == 0, done.err
    formulas = ("6,738,415,616 parameters, float16", "32 layers × 8192 numbers", "CUDA, cuBLAS")
    assert max(map(len, hub_command.run("check-gpu", name, "--explain", COLUMNS="50").out.splitlines())) <= 50
    for text in (*formulas, "blog/llama31", "together"):
        assert text in done.out


# -- verdict -----------------------------------------------------------------------------------------------------------


def test_too_small_is_exit_8_with_advice_before_anything_is_installed(hub, hub_command, gpus) -> None:
    true_shapes.publish(hub, "llama-7b")
    gpus(t4(9000, processes=[Process(1, 8800)]))
    name = space(hub, "owner/too-small", APP.format(model=LLAMA))
    done = hub_command.run("launch", name, "--no-share", "--json")
    assert (done.code, done.error["name"], done.error["stage"]) == (8, "gpu_memory", "check-gpu")
    data = done.document["data"]
    assert data["gpu"]["verdict"] == "too_small"
    assert data["advice"][0].startswith("Process 1 ")
    assert any("load_in_4bit=True at app.py:4" in line for line in data["advice"])
    assert "--force" in done.error["hint"]
    assert "environment" not in data.get("stages", {})
    assert hub.bytes_sent("cdn") < 400_000
    check, checked_data = checked(hub_command, name)
    assert (check.code, checked_data["verdict"], checked_data["advice"]) == (8, "too_small", data["advice"])


def test_a_space_that_needs_a_gpu_is_exit_7_without_one(hub, hub_command) -> None:
    true_shapes.publish(hub, "llama-7b")
    name = space(hub, "owner/no-gpu-here", APP.format(model=LLAMA))
    for command in ("launch", "check-gpu"):
        done = hub_command.run(command, name, "--json")
        assert (done.code, done.error["name"]) == (7, "no_gpu"), done.err
    data = done.document["data"]
    assert (data["devices"], data["verdict"]) == ([], "no_gpu")
    assert data["required"]["weights_bytes"] / 1e9 == pytest.approx(13.48, rel=0.01)
    assert any("Cards that have enough" in line for line in data["advice"])
    assert hub_command.run("plan", name, "--json").document["data"]["gpu"]["verdict"] == "no_gpu"


def test_gpu_none_leaves_a_space_that_needs_one_without(hub, hub_command, gpus) -> None:
    true_shapes.publish(hub, "llama-7b")
    gpus(a10g())
    done = hub_command.run("launch", space(hub, "owner/none", APP.format(model=LLAMA)), "--gpu", "none", "--json")
    assert (done.code, "--gpu none" in done.error["message"]) == (7, True)


def test_a_space_without_models_needs_no_gpu(hub, hub_command) -> None:
    done, data = checked(hub_command, space(hub, "owner/no-models", "print('hello')\n"))
    assert (done.code, data["verdict"], data["devices"]) == (0, "not_needed", [])


def test_unknown_never_blocks(hub, hub_command, gpus) -> None:
    gpus(Gpu("NVIDIA GeForce GT 1030", 2048, 100))
    hub.publish("owner/strange", {"weights.xyz": b"x" * 1000}, kind="model")
    done, data = checked(hub_command, space(hub, "owner/unknown-size", APP.format(model="owner/strange")))
    assert (done.code, data["verdict"]) == (0, "unknown")
    assert any("owner/strange" in line for line in data["required"]["unknown"])


# alpaca-lora loads LLaMA 7B in 8 bits, with four beams.
ALPACA = {6144: "too_small", 8188: "too_small", 12288: "tight", 15360: "tight", 24564: "fits"}


@pytest.mark.parametrize(("mib", "verdict"), ALPACA.items())
def test_alpaca_lora_on_cards_of_6_to_24_gigabytes(hub, hub_command, gpus, mib: int, verdict: str) -> None:
    true_shapes.publish(hub, "llama-7b")
    hub.publish("tloen/alpaca-lora-7b", {"adapter_config.json": "{}", "adapter_model.bin": b"x" * 9000}, kind="model")
    hub.publish("tloen/alpaca-lora", Path(__file__).parent / "spaces" / "alpaca-lora")
    gpus(Gpu("NVIDIA GeForce", mib, 300))
    replaced = ("--replace-model", f"decapoda-research/llama-7b-hf={LLAMA}")
    done, data = checked(hub_command, "tloen/alpaca-lora", *replaced)
    assert data["verdict"] == verdict, done.err
    assert done.code == (8 if verdict == "too_small" else 0)
    assert data["required"]["weights_bytes"] / 1e9 == pytest.approx(7.0, rel=0.01)


def test_what_the_author_ran_it_on_is_a_hint(hub, hub_command, gpus) -> None:
    gpus(a10g())
    code = "import spaces\n@spaces.GPU(size='xlarge')\ndef f():\n    pass\nf()\n"
    card = README.replace("sdk: gradio\n", "sdk: gradio\nsuggested_hardware: l40sx1\n")
    _, data = checked(hub_command, space(hub, "owner/hinted", code, **{"README.md": card}))
    assert any("l40sx1, which has 48 GB" in line for line in data["advice"])
    assert any("ZeroGPU, which gives it at most 96 GB" in line for line in data["advice"])


@pytest.mark.parametrize(("size", "code"), [("20GiB", 0), ("21 GiB", 0), ("23G", 8), ("30000MiB", 8)])
def test_a_need_in_bytes_is_compared_with_what_is_free(hub_command, gpus, size: str, code: int) -> None:
    gpus(a10g())
    assert hub_command.run("check-gpu", "--need", size, "--json").code == code


def test_a_need_without_a_gpu_is_exit_7_and_nonsense_is_exit_2(hub_command) -> None:
    assert hub_command.run("check-gpu", "--need", "1GiB", "--json").error["exit_code"] == 7
    assert hub_command.run("check-gpu", "--need", "much").code == 2
    assert hub_command.run("check-gpu", "--need", "1GiB", "--ledger").code == 2


def test_plan_tells_verdict_and_weights(hub, hub_command, gpus) -> None:
    true_shapes.publish(hub, "llama-7b")
    gpus(t4())
    name = space(hub, "owner/planned-memory", APP.format(model=LLAMA))
    data = hub_command.run("plan", name, "--json").document["data"]
    assert data["gpu"]["verdict"] == "tight"
    assert data["models"][0]["weights_bytes"] == data["gpu"]["required"]["weights_bytes"]
    assert "is tight: it takes about 13." in hub_command.run("plan", name, COLUMNS="200").out


def test_main_memory_that_does_not_suffice_is_exit_13(hub, hub_command) -> None:
    true_shapes.publish(hub, "llama-65b")
    code = (
        "from transformers import AutoModelForCausalLM\n"
        "model = AutoModelForCausalLM.from_pretrained('huggyllama/llama-65b')\n"
    )
    error = hub_command.run("launch", space(hub, "owner/main-memory", code), "--no-share", "--json").error
    assert (error["exit_code"], error["stage"]) == (13, "check-gpu")
    assert "main memory" in error["message"]


def test_a_disk_that_does_not_suffice_is_exit_13(hub, hub_command, gpus) -> None:
    from tests.hub import Sparse

    gpus(a10g())
    files = {"config.json": "{}", "model.gguf": Sparse(b"not GGUF", 10**13)}
    hub.publish("owner/vast", files, kind="model")
    code = "from huggingface_hub import hf_hub_download\npath = hf_hub_download('owner/vast', 'model.gguf')\n"
    error = hub_command.run("launch", space(hub, "owner/disk", code), "--no-share", "--json").error
    assert (error["exit_code"], error["stage"]) == (13, "check-gpu")
    assert "9.1 TiB" in error["message"]


# -- the app gets the card, and is measured ----------------------------------------------------------------------------


def seen(url: str) -> dict[str, str]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError("it did not come true in time")


@pytest.mark.environment
def test_launch_gives_the_freest_card_that_fits_by_uuid(hub, hub_command, gpus) -> None:
    true_shapes.publish(hub, "llama-7b")
    gpus(t4(14000), a10g(20000), a10g(1000), t4())
    name = space(hub, "owner/freest", "import gradio\n" + APP.format(model=LLAMA))
    with hub_command.launch(name, "--no-share") as launched:
        uuid = launched.data["gpu"]["devices"][2]["uuid"]
        assert launched.data["gpu"]["used"] == [uuid]
        variables = seen(launched.data["url"])
        assert variables == {"CUDA_VISIBLE_DEVICES": uuid, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def test_code_that_names_a_second_gpu_sees_all_in_their_order(hub, hub_command, gpus) -> None:
    true_shapes.publish(hub, "llama-7b")
    gpus(a10g(9000), a10g(100))
    code = APP.format(model=LLAMA).replace('to("cuda")', 'to("cuda:1")')
    _, data = checked(hub_command, space(hub, "owner/second", code))
    assert data["used"] == [device["uuid"] for device in data["devices"]]


def test_a_model_that_stays_on_the_cpu_needs_no_gpu(hub, hub_command, gpus) -> None:
    true_shapes.publish(hub, "gpt2")
    gpus(Gpu("NVIDIA GeForce GT 1030", 2048, 2000))
    code = "from transformers import AutoModel\nmodel = AutoModel.from_pretrained('openai-community/gpt2')\n"
    done, data = checked(hub_command, space(hub, "owner/on-the-cpu", code))
    assert (done.code, data["verdict"]) == (0, "not_needed")
    assert data["required"]["host_bytes"] == pytest.approx(124_439_808 * 4, rel=0.01)


@pytest.mark.environment
def test_force_starts_what_does_not_fit(hub, hub_command, gpus) -> None:
    true_shapes.publish(hub, "llama-7b")
    gpus(t4(9000))
    name = space(hub, "owner/forced", "import gradio\n" + APP.format(model=LLAMA))
    with hub_command.launch(name, "--no-share", "--force") as launched:
        assert any("does not fit" in line or "takes about" in line for line in launched.warnings)
        assert "--force" in "".join(launched.warnings)
        assert seen(launched.data["url"])["CUDA_VISIBLE_DEVICES"].startswith("GPU-")


@pytest.mark.environment
def test_the_ledger_keeps_the_real_peak_and_check_gpu_uses_it(hub, hub_command, gpus) -> None:
    true_shapes.publish(hub, "llama-7b")
    file = gpus(a10g(1000))
    name = space(hub, "owner/ledger", "import gradio\n" + APP.format(model=LLAMA))
    with hub_command.launch(name, "--no-share") as launched:
        pid = launched.data["pid"]
        for used in (14_500, 14_200):  # the second is less: the peak stays
            fake_nvml.change(file, [a10g(1000 + used, processes=[Process(pid, used), Process(1, 999)])])
            until(lambda: entries(hub_command))
            time.sleep(2.5)
    fake_nvml.change(file, [a10g(1000)])
    (entry,) = [row for row in entries(hub_command) if row["space"] == name]
    assert (entry["peak_bytes"], entry["how"]) == (14_500 * MIB, "processes")
    assert entry["low_bytes"] < entry["expected_bytes"] < entry["high_bytes"]
    _, data = checked(hub_command, name)
    assert data["measured"]["peak_bytes"] == 14_500 * MIB
    assert (data["required"]["expected_bytes"], data["required"]["confidence"]) == (14_500 * MIB, "measured")
    shown = hub_command.run("check-gpu", name, COLUMNS="200").out
    assert f"Measured 14.2 GiB here on {entry['measured_at'][:10]}" in shown
    with hub_command.launch(name, "--no-share") as again:
        held = Process(again.data["pid"], 13_000)
        fake_nvml.change(file, [a10g(14_000, processes=[held])])
        second = until(lambda: [row for row in entries(hub_command) if row["app"] == again.data["id"]])
    assert second[0]["expected_bytes"] == entry["expected_bytes"] != entry["peak_bytes"]
    table = hub_command.run("check-gpu", "--ledger", COLUMNS="200").out
    assert name in table
    assert "14.2 GiB" in table


@pytest.mark.environment
def test_the_ledger_measures_the_card_where_processes_are_not_told(hub, hub_command, gpus) -> None:
    """As in a container: the driver tells process ids of the host."""
    true_shapes.publish(hub, "llama-7b")
    file = gpus(a10g(1000))
    name = space(hub, "owner/ledger-in-container", "import gradio\n" + APP.format(model=LLAMA))
    with hub_command.launch(name, "--no-share"):
        fake_nvml.change(file, [a10g(1000 + 13_000, processes=[Process(4_000_000, 13_000)])])
        until(lambda: [row for row in entries(hub_command) if row["space"] == name])
    (entry,) = [row for row in entries(hub_command) if row["space"] == name]
    assert (entry["peak_bytes"], entry["how"]) == (13_000 * MIB, "device")


def entries(command: Command) -> list[dict[str, Any]]:
    return command.run("check-gpu", "--ledger", "--json").document["data"]["ledger"]
