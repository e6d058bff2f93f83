"""Small Spaces of all SDKs and eras, eight that are sound and four that are broken, each in another stage."""

from __future__ import annotations

import base64
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.hub import Hub

# One red pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
# Answers one page, whatever SDK the card names: an environment of almost nothing is made for it.
PLAIN = """\
import http.server, os
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<title>plain</title>It works."
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
print("plain server", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["GRADIO_SERVER_PORT"])), Page).serve_forever()
"""
GREETS = """\
import gradio as gr
def greet(name):
    return f"Hello, {name}!"
gr.Interface(greet, "text", "text", examples=["Ada", "Grace"]).launch()
"""
COUNTS = """\
import time
import gradio as gr
def count(word, times):
    said = ""
    for _ in range(int(times)):
        said += word
        time.sleep(0.05)
        yield said
with gr.Blocks() as demo:
    word, times = gr.Textbox(label="word"), gr.Slider(1, 10, value=3, step=1)
    said, go = gr.Textbox(), gr.Button("Go")
    gr.Examples([["ha", 3], ["ho", 2]], [word, times])
    go.click(count, [word, times], said)
demo.queue().launch()
"""
SEES = """\
import gradio as gr
def size(picture):
    return f"{picture.shape[1]} x {picture.shape[0]}"
gr.Interface(size, gr.Image(), "text", examples=[["red.png"]]).launch()
"""
CHATS = """\
import gradio as gr
def answer(message, history):
    for end in range(1, len(message) + 1):
        yield message[:end].upper()
gr.ChatInterface(answer, examples=["hello", "how are you?"]).launch()
"""
MOUNTED = """\
import os
import gradio as gr, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/health")
def health():
    return {"ok": True}
demo = gr.Interface(lambda word: word[::-1], "text", "text", examples=["level"])
app = gr.mount_gradio_app(app, demo, path="/")
if __name__ == "__main__":
    uvicorn.run(app, host="0.0.0.0", port=7860)
"""
SHOWS = """\
import streamlit as st
st.title("Sums")
st.write(st.slider("a", 0, 9, 4) + 2)
"""
RAISES = """\
import gradio as gr
CAPITALS = {"France": "Paris"}
def capital(country):
    return CAPITALS[country]
gr.Interface(capital, "text", "text", examples=["Atlantis"]).launch(show_error=True)
"""
CRASHES = """\
import gradio as gr
from transformers_of_tomorrow import pipeline
"""
SITE = """\
<!doctype html><html><head><title>A site</title><link rel="stylesheet" href="style.css"></head>
<body><a href="more.html">more</a><img src="red.png" alt=""></body></html>
"""
NEEDS_GPU = """\
import gradio as gr
import numpy
from packaging.version import Version
def double(text):
    import torch
    return str(torch.tensor([float(text)]).cuda() * 2)
START = None
def load():
    import torch
    return torch.zeros(1).cuda()
model = load()
gr.Interface(double, "text", "text", examples=["1"]).launch()
"""


def card(sdk: str, version: str | None = None, **more: object) -> str:
    """A README's front matter."""
    rows = {"sdk": sdk, **({"sdk_version": version} if version else {}), **more}
    return "---\n" + "".join(f"{name}: {value}\n" for name, value in rows.items()) + "---\n"


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(hour=12, tzinfo=timezone.utc)


def publish_sound(hub: Hub, newest: str) -> list[str]:
    """Seven sound Spaces that need no container; `newest` is the newest Gradio."""
    made: dict[str, tuple[dict[str, str | bytes], str | None]] = {
        "owner/greets-2": ({"README.md": card("gradio", "2.9.4"), "app.py": GREETS}, "2022-04-20"),
        "owner/counts-3": ({"README.md": card("gradio", "3.50.2"), "app.py": COUNTS}, "2023-10-25"),
        "owner/sees-4": ({"README.md": card("gradio", "4.44.0"), "app.py": SEES, "red.png": PNG}, "2024-09-12"),
        "owner/chats": ({"README.md": card("gradio", newest), "app.py": CHATS}, None),
        "owner/mounted": (
            {
                "README.md": card("gradio", newest),
                "app.py": MOUNTED,
                "spacerun.toml": '[[tool.spacerun.smoke.calls]]\nendpoint = "GET /health"\nexpect = {ok = true}\n',
            },
            None,
        ),
        "owner/shows": ({"README.md": card("streamlit", "1.40.0"), "app.py": SHOWS}, "2024-11-20"),
        "owner/site": (
            {
                "README.md": card("static"),
                "index.html": SITE,
                "more.html": "<title>More</title><a href='index.html'>back</a>",
                "style.css": "body { background: url(red.png) }",
                "red.png": PNG,
            },
            None,
        ),
    }
    for name, (files, day) in made.items():
        hub.publish(name, files, date=_day(day) if day else None)
    return list(made)


def publish_broken(hub: Hub, newest: str) -> dict[str, tuple[str, str, str]]:
    """Four broken Spaces: name to exit code name, stage, and a word of the cause."""
    hub.publish(
        "owner/unresolvable",
        {"README.md": card("gradio", newest), "app.py": GREETS, "requirements.txt": "numpy==1.26.4\nnumpy>=2.1\n"},
    )
    hub.publish("owner/crashes", {"README.md": card("gradio", newest), "app.py": CRASHES})
    hub.publish("owner/raises", {"README.md": card("gradio", newest), "app.py": RAISES})
    hub.publish(
        "owner/loads-what-is-gone",
        {
            "README.md": card("gradio", newest),
            "requirements.txt": "transformers\n",
            "app.py": "import gradio as gr\nfrom transformers import AutoModel\n"
            'model = AutoModel.from_pretrained("nobody/gone-model")\n'
            'gr.Interface(lambda x: x, "text", "text").launch()\n',
        },
    )
    return {
        "owner/unresolvable": ("environment", "environment", "numpy"),
        "owner/crashes": ("app_crashed", "start", "transformers_of_tomorrow"),
        "owner/raises": ("probe_failed", "probe", "Atlantis"),
        "owner/loads-what-is-gone": ("not_found", "source", "nobody/gone-model"),
    }
