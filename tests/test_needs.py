"""What a Space loads and needs: told by `plan`, and refused by `launch` before anything is installed."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spacerun import toml
from tests.command import SCRIPT, get

if TYPE_CHECKING:
    from tests.command import Command
    from tests.hub import Hub

pytestmark = pytest.mark.environment

README = (Path(__file__).parents[1] / "examples" / "hello" / "README.md").read_bytes()
CONFIG = {"config.json": b"{}"}
# Answers without importing Gradio, with what it downloaded.
SERVE = b"""
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(ANSWER.encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"])), Answer).serve_forever()
"""
DOWNLOAD = b"""from huggingface_hub import hf_hub_download
MODEL = "lost/model"
ANSWER = open(hf_hub_download(MODEL, "weights.bin")).read()
"""


def space(code: bytes, **more: bytes) -> dict[str, bytes]:
    return {"README.md": README, "app.py": code, **more}


def test_plan_tells_models_access_secrets_and_habits_quickly(hub: Hub, hub_command: Command) -> None:
    for name in ("owner/choice-a", "owner/carded", "owner/parsed"):
        hub.publish(name, CONFIG, kind="model")
    weights = {
        "model.safetensors": b"\x02" + bytes(7) + b"{}" + os.urandom(499_990),
        "pytorch_model.bin": os.urandom(60_000),
        **CONFIG,
    }
    hub.publish("owner/base", weights, kind="model")
    sha = hub.repo("owner/base", "model").resolve("main")
    hub.publish("owner/gated", CONFIG, kind="model", gated=True)
    hub.publish("huggyllama/llama-7b", CONFIG, kind="model")
    code = b"""import os
import gradio as gr, torch
from transformers import AutoModelForCausalLM as M
M.from_pretrained("owner/base", torch_dtype=torch.bfloat16).cuda()
M.from_pretrained("owner/gated", load_in_8bit=True)
M.from_pretrained("decapoda-research/llama-7b-hf")
os.environ["API_KEY"], os.getenv("HF_TOKEN")
os.system("wget https://example.org/x.zip")
def run(text, name):
    return M.from_pretrained(name).generate(text, max_new_tokens=300)
gr.Interface(run, ["text", gr.Dropdown(["owner/choice-a", "owner/choice-b"])], "text").launch()
"""
    card = README.replace(
        b"---\n", b"---\nmodels:\n- owner/carded\npreload_from_hub:\n- owner/base config.json,w.bin\n", 1
    )
    hub.publish("owner/needy", {"README.md": card, "app.py": code})
    hub.set_info("owner/needy", models=["owner/base", "owner/parsed"])
    done = hub_command.run("plan", "owner/needy", "--json")
    assert done.code == 0, done.err
    data = done.document["data"]
    models = {row["id"]: row for row in data["models"]}
    assert {name: row["access"] for name, row in models.items()} == {
        "owner/base": "public",
        "owner/gated": "gated",
        "decapoda-research/llama-7b-hf": "missing_or_private",
        "owner/choice-a": "public",
        "owner/choice-b": "missing_or_private",
        "owner/carded": "public",
        "owner/parsed": "public",
    }
    base = models["owner/base"]
    assert (base["dtype"], base["revision"], base["source"], base["certain"]) == ("bfloat16", sha, "app.py:4", True)
    assert (base["download_bytes"], data["model_bytes"]) == (500_000, 500_000)
    assert data["download_bytes"] >= 500_000
    assert hub.bytes_sent("cdn") < 110_000  # the header of the file
    assert base["sources"] == ["app.py:4", "preload_from_hub", "the Hub"]
    assert (models["owner/gated"]["dtype"], models["owner/gated"]["quantization"]) == ("int8", "bitsandbytes-8bit")
    assert (models["owner/choice-a"]["certain"], models["owner/carded"]["source"]) == (False, "the card")
    assert data["secrets"] == [
        {"name": "API_KEY", "required": True, "where": "app.py:7", "secret": True},
        {"name": "HF_TOKEN", "required": False, "where": "app.py:7", "secret": True},
    ]
    assert data["suggestions"] == {"decapoda-research/llama-7b-hf": ["huggyllama/llama-7b"]}
    assert (data["needs_gpu"], data["sizes"]) == (True, {"max_new_tokens": 300})
    assert [(habit["kind"], habit["place"]) for habit in data["habits"]] == [("download", "app.py:8")]
    assert data["stages"]["source"] < 2

    shown, seconds = _first_shown(hub_command, "plan", "owner/needy", until=b"Named in")
    assert seconds < 4, "under two seconds on an idle machine"
    assert re.search(r"owner/base +bfloat16.* 488\.3 KiB +public +app.py:4, preload_from_hub", shown)
    assert "--replace-model decapoda-research/llama-7b-hf=huggyllama/llama-7b" in shown
    assert re.search(r"Needs a GPU +yes: \.cuda\(\) \(app\.py:4\)", shown)
    assert "API_KEY (app.py:7, required)" in shown


def _first_shown(command: Command, *arguments: str, until: bytes) -> tuple[str, float]:
    """What a command shows, and after how many seconds it has shown `until`."""
    began = time.monotonic()
    environment = command.environment({"COLUMNS": "200"})
    with subprocess.Popen(
        [SCRIPT, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as run:
        shown = b""
        while until not in shown and (line := run.stdout.readline()):
            shown += line
        seconds = time.monotonic() - began
        return (shown + run.stdout.read()).decode(), seconds


def test_a_missing_secret_ends_the_launch_before_anything_is_installed(hub: Hub, hub_command: Command) -> None:
    code = b"import os\nANSWER = os.environ['API_KEY']\nTOKEN = os.environ['HF_TOKEN']\n" + SERVE
    hub.publish("owner/secret", space(code, **{"requirements.txt": b"six==1.15.0\n"}))
    done = hub_command.run("launch", "owner/secret", "--no-share", "--json")
    assert (done.code, done.error["name"], done.error["stage"]) == (14, "missing_secret", "source")
    assert "API_KEY, HF_TOKEN, which app.py:2 reads" in done.error["message"]
    assert "--env API_KEY=… --env HF_TOKEN=…" in done.error["hint"]
    assert "--pass-token" in done.error["hint"]
    data = done.document["data"]
    assert (data["space"], [row["name"] for row in data["secrets"]]) == ("owner/secret", ["API_KEY", "HF_TOKEN"])
    assert "environment" not in data
    given = ("--env", "API_KEY=abc", "--env", "HF_TOKEN=")
    with hub_command.launch("owner/secret", "--no-share", *given) as launched:
        assert get(launched.data["url"]) == (200, b"abc")


def test_no_secret_that_is_given_is_shown(hub: Hub, hub_command: Command) -> None:
    hub.add_token("hf_usertoken000000", "someone")
    code = (
        b"import os\nfrom huggingface_hub import InferenceClient\nkey = os.environ['API_KEY']\n"
        b"os.system(f'wget https://example.org/{key}/x.zip?t={os.environ[\"HF_TOKEN\"]}')\n"
        b"InferenceClient('owner/' + key)\n"
    )
    hub.publish("owner/discreet", space(code))
    options = ("--env", "API_KEY=quite-secret", "--pass-token")
    for output in ((), ("--json",)):
        done = hub_command.run(
            "plan", "owner/discreet", *options, *output, HF_TOKEN="hf_usertoken000000", COLUMNS="200"
        )
        assert done.code == 0, done.err
        assert "wget https://example.org/" in done.out
        assert not re.search("quite-secret|hf_usertoken", done.out + done.err)


def test_the_token_that_is_passed_on_is_not_missing(hub: Hub, hub_command: Command) -> None:
    hub.add_token("hf_usertoken000000", "someone")
    hub.publish("owner/token", space(b"import os\nANSWER = str(len(os.environ['HF_TOKEN']))\n" + SERVE))
    with hub_command.launch("owner/token", "--no-share", "--pass-token", HF_TOKEN="hf_usertoken000000") as launched:
        assert get(launched.data["url"]) == (200, b"18")


def test_a_person_is_asked_for_a_missing_secret_and_it_is_not_shown(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/asks", space(b"import os\nANSWER = os.environ['API_KEY']\n" + SERVE))
    main, side = pty.openpty()
    process = subprocess.Popen(
        [SCRIPT, "launch", "owner/asks", "--no-share", "--detach"],
        env=hub_command.environment({"TERM": "dumb"}), stdin=side, stdout=side, stderr=side, start_new_session=True,
    )  # fmt: skip
    os.close(side)
    shown = ""
    answered = False
    deadline = time.monotonic() + 240
    while process.poll() is None and time.monotonic() < deadline:
        if select.select([main], [], [], 0.2)[0]:
            try:
                shown += os.read(main, 4096).decode(errors="replace")
            except OSError:
                break
        if "Its value: " in shown and not answered:  # the blank comes once the terminal shows nothing typed
            os.write(main, b"typed-secret\n")
            answered = True
    if process.poll() is None:
        process.kill()
    assert process.wait() == 0, shown
    assert "does not start without API_KEY (app.py:2)" in shown
    assert "typed-secret" not in shown
    (app,) = [row for row in hub_command.run("ps", "--json").document["data"]["apps"] if row["space"] == "owner/asks"]
    assert get(app["url"]) == (200, b"typed-secret")


def test_a_missing_model_ends_the_launch_before_anything_is_installed(hub: Hub, hub_command: Command) -> None:
    hub.publish("other/model", {"weights.bin": b"found"}, kind="model")
    hub.publish("owner/lost", space(DOWNLOAD + SERVE))
    done = hub_command.run("launch", "owner/lost", "--no-share", "--json")
    assert (done.code, done.error["name"], done.error["stage"]) == (3, "not_found", "source")
    assert "lost/model (app.py:3) is missing or private" in done.error["message"]
    assert "spacerun launch owner/lost --replace-model lost/model=other/model" in done.error["hint"]
    data = done.document["data"]
    assert [row["id"] for row in data["models"]] == ["lost/model"]
    assert "environment" not in data
    forced = hub_command.run("launch", "owner/lost", "--no-share", "--force", "--attempts", "1", "--json")
    assert forced.error["name"] == "app_crashed"


def test_a_gated_model_is_told_with_the_page_where_access_is_asked_for(hub: Hub, hub_command: Command) -> None:
    hub.add_token("hf_reader00000000", "reader")
    hub.publish("lost/model", {"weights.bin": b"gated"}, kind="model", gated=True, readers=["reader"])
    hub.publish("owner/gated", space(DOWNLOAD + SERVE))
    done = hub_command.run("launch", "owner/gated", "--no-share", "--json")
    assert (done.code, done.error["name"]) == (3, "not_found")
    assert f"Accept its terms at {hub.endpoint}/lost/model" in done.error["hint"]
    mine = hub_command.run("launch", "owner/gated", "--no-share", "--json", HF_TOKEN="hf_reader00000000")
    assert (mine.code, "the app gets no token" in mine.error["message"]) == (3, True)
    with hub_command.launch("owner/gated", "--no-share", "--pass-token", HF_TOKEN="hf_reader00000000") as launched:
        assert get(launched.data["url"]) == (200, b"gated")


def test_a_model_that_only_a_click_loads_is_no_reason_to_refuse(hub: Hub, hub_command: Command) -> None:
    code = (
        b"from transformers import pipeline\ndef click(x):\n    return pipeline('ner', 'lost/model')\nANSWER = 'up'\n"
    )
    hub.publish("owner/later", space(code + b"HANDLERS = {'click': click}\n" + SERVE))
    options = ("--no-share", "--attempts", "1")
    done = hub_command.run("plan", "owner/later", "--json")
    assert [row["at_start"] for row in done.document["data"]["models"]] == [False]
    launched = hub_command.run("launch", "owner/later", *options, "--detach", "--json")
    # transformers is not in its requirements: whatever becomes of the app, the model did not stop it.
    assert launched.document.get("error", {}).get("name") != "not_found"
    assert "lost/model (app.py:3) is missing or private" in launched.err


def test_a_model_is_replaced_by_an_edit_in_the_clone_and_by_the_hook_in_a_folder(
    hub: Hub, hub_command: Command, tmp_path: Path
) -> None:
    hub.publish("found/model", {"weights.bin": b"found"}, kind="model")
    hub.publish("owner/replaced", space(DOWNLOAD + SERVE))
    option = ("--replace-model", "lost/model=found/model")
    plan = hub_command.run("plan", "owner/replaced", *option, "--json").document["data"]
    assert '-MODEL = "lost/model"\n+MODEL = "found/model"' in plan["diff"]
    assert [(row["id"], row["replaces"], row["access"]) for row in plan["models"]] == [
        ("found/model", "lost/model", "public")
    ]
    with hub_command.launch("owner/replaced", "--no-share", *option) as launched:
        assert get(launched.data["url"]) == (200, b"found")
        app = Path(launched.data["directory"]) / "app.py"
        assert b'MODEL = "found/model"' in app.read_bytes()
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, content in space(DOWNLOAD.replace(b'"lost/model"', b'"/".join(["lost", "model"])') + SERVE).items():
        (folder / name).write_bytes(content)
    before = (folder / "app.py").read_bytes()
    with hub_command.launch(str(folder), "--no-share", *option) as launched:
        assert get(launched.data["url"]) == (200, b"found")
    assert (folder / "app.py").read_bytes() == before


def test_a_replacement_for_a_model_that_is_not_there_is_refused(hub: Hub, hub_command: Command) -> None:
    hub.publish("owner/other", space(DOWNLOAD + SERVE))
    done = hub_command.run("plan", "owner/other", "--replace-model", "no/such=found/model", "--json")
    assert (done.code, done.error["name"]) == (2, "usage")
    assert "It loads: lost/model" in done.error["hint"]
    assert hub_command.run("plan", "owner/other", "--replace-model", "nonsense", "--json").code == 2


def test_the_base_model_of_an_adapter_is_read_from_the_adapter(hub: Hub, hub_command: Command) -> None:
    config = b'{"base_model_name_or_path": "owner/base-of-it", "peft_type": "LORA"}'
    hub.publish("owner/adapter", {"adapter_config.json": config}, kind="model")
    hub.publish("owner/base-of-it", CONFIG, kind="model")
    code = b"from peft import AutoPeftModelForCausalLM as A\nA.from_pretrained('owner/adapter')\nANSWER = ''\n"
    hub.publish("owner/lora", space(code + SERVE))
    done = hub_command.run("plan", "owner/lora", "--json")
    rows = [(row["id"], row["source"], row["access"]) for row in done.document["data"]["models"]]
    assert rows == [
        ("owner/adapter", "app.py:2", "public"),
        ("owner/base-of-it", "adapter_config.json of owner/adapter", "public"),
    ]


def test_a_relaunch_asks_nothing_of_models_that_were_public_an_hour_ago(hub: Hub, hub_command: Command) -> None:
    hub.publish("lost/model", {"weights.bin": b"here"}, kind="model")
    hub.publish("owner/twice", space(DOWNLOAD + SERVE))
    with hub_command.launch("owner/twice", "--no-share"):
        pass
    hub.clear_requests()
    with hub_command.launch("owner/twice", "--no-share"):
        pass
    assert not [exchange for exchange in hub.requests if exchange.path.startswith("/api/models/")]


def test_a_lock_holds_the_revisions_of_models_and_fetches_them_again(
    hub: Hub, hub_command: Command, tmp_path: Path
) -> None:
    first = hub.publish("lost/model", {"weights.bin": b"first"}, kind="model")
    hub.publish("owner/pinned", space(DOWNLOAD + SERVE))
    lock = tmp_path / "space.lock"
    with hub_command.launch("owner/pinned", "--no-share", "--lock", str(lock)) as launched:
        assert get(launched.data["url"]) == (200, b"first")
    assert toml.parse(lock.read_text())["tool"]["spacerun"]["models"] == {"lost/model": first}
    hub.publish("lost/model", {"weights.bin": b"second"}, kind="model")
    with hub_command.launch("owner/pinned", "--no-share", "--locked", str(lock)) as launched:
        assert get(launched.data["url"]) == (200, b"first")
        assert [row["revision"] for row in launched.data["models"]] == [first]
    with hub_command.launch("owner/pinned", "--no-share") as launched:
        assert get(launched.data["url"]) == (200, b"second")
