"""Gradio apps with examples, as this Gradio can have them: `apps.py KIND…` serves each at a port of its own.

Prints `UP KIND PORT` for each that is served, `NOT KIND REASON` for what this Gradio cannot do, then `READY`.
Runs with any Gradio from 2.9 on.
"""

import socket
import sys
import time
from pathlib import Path

import gradio as gr

VERSION = tuple(int(part) for part in gr.__version__.split(".")[:2])
OLD = VERSION < (3, 0)
NAMES = VERSION >= (3, 13)


def named(name):
    return {"api_name": name} if NAMES else {}


def queued(demo):
    return demo.queue()


def hello(name, times):
    return "Hello " + name + "!" * int(times)


def count(word, limit):
    for number in range(int(limit)):
        time.sleep(0.02)
        yield word + str(number)


def size(picture):
    return str(picture.size), picture


def length(path):
    return Path(path).suffix + " " + str(Path(path).stat().st_size > 100)


def exists(path):
    return str(Path(path if isinstance(path, str) else path.name).exists())


def refuse(name):
    raise gr.Error("Nobody is called " + name)


def broken(name):
    raise ValueError("for the log alone")


def say(message, history):
    return "You said " + (message if isinstance(message, str) else message["text"] + str(len(message["files"])))


def spell(message, history):
    for end in range(1, 4):
        yield message[:end]


def say_as(message, history, who):
    return who + ": " + message


def text():
    times = gr.inputs.Slider(1, 5, default=2) if OLD else gr.Slider(1, 5, value=2)
    return gr.Interface(hello, ["text", times], "text", examples=[["Ada", 2], ["Grace", 3]])


def cached():
    return gr.Interface(hello, ["text", "number"], "text", examples=[["Ada", 2]], cache_examples=True)


def picture():
    image = gr.inputs.Image(type="pil") if OLD else gr.Image(type="pil")
    return gr.Interface(size, image, ["text", "image"], examples=[["cat.png"]])


def sound():
    audio = gr.inputs.Audio(type="filepath") if OLD else gr.Audio(type="filepath")
    return gr.Interface(length, audio, "text", examples=[["sounds/beep.wav"]])


def file():
    return gr.Interface(exists, gr.inputs.File() if OLD else gr.File(), "text", examples=[["cat.png"]])


def labels():
    # Shown by its name, and taken by its value.
    return gr.Interface(hello, [gr.Dropdown([("Ada L.", "Ada")]), gr.Number()], "text", examples=[["Ada", 1]])


def stream():
    with gr.Blocks() as demo:
        word = gr.Textbox()
        limit = gr.Number(value=2)
        shown = gr.Textbox()
        gr.Button("Go").click(count, [word, limit], shown)
        gr.Examples([["abc"], ["def"]], [word])
    return queued(demo)


def on_click():
    with gr.Blocks() as demo:
        word = gr.Textbox()
        limit = gr.Number(value=2)
        shown = gr.Textbox()
        word.submit(count, [word, limit], shown, **named(False))
        gr.Examples([["abc", 3]], [word, limit], shown, count, run_on_click=True)
    return queued(demo)


def private():
    with gr.Blocks() as demo:
        word = gr.Textbox()
        shown = gr.Textbox()
        gr.Button("Go").click(lambda word: word.upper(), word, shown, **named(False))
        gr.Examples(["abc"], word)
    return demo


def stream_cached():
    with gr.Blocks() as demo:
        word = gr.Textbox()
        limit = gr.Number(value=2)
        shown = gr.Textbox()
        gr.Button("Go").click(count, [word, limit], shown, **named("count"))
        gr.Examples([["abc", 3]], [word, limit], shown, count, cache_examples=True)
    return queued(demo)


def state():
    with gr.Blocks() as demo:
        seen = gr.State(5)
        word = gr.Textbox()
        shown = gr.Textbox()
        gr.Button("Go").click(lambda seen, word: (seen + 1, word + str(seen)), [seen, word], [seen, shown])
        gr.Examples(["abc"], word)
    return demo


def chat():
    return queued(gr.ChatInterface(say, examples=["Hi there", "Bye"]))


def chat_stream():
    return queued(gr.ChatInterface(spell, examples=["Hi there", "Bye"]))


def chat_more():
    return queued(gr.ChatInterface(say_as, examples=[["Hi", "Ada"]], additional_inputs=[gr.Textbox("nobody")]))


def chat_files():
    return queued(gr.ChatInterface(say, multimodal=True, examples=[{"text": "Hi", "files": ["cat.png"]}]))


def error():
    return gr.Interface(refuse, "text", "text", examples=[["Ada"]])


def hidden_error():
    return gr.Interface(broken, "text", "text", examples=[["Ada"]])


def without():
    return gr.Interface(hello, ["text", "number"], "text")


def files():
    """Is called with files."""
    if OLD:
        inputs = [gr.inputs.Image(type="pil"), gr.inputs.Audio(type="filepath"), gr.inputs.File(), "text"]
    else:
        inputs = [gr.Image(type="pil"), gr.Audio(type="filepath"), gr.File(), "text"]

    def look(picture, sound, file, text):
        return f"{picture.size} {exists(sound)} {exists(file)} {text}"

    return gr.Interface(look, inputs, "text")


def serve(make):
    demo = make()
    quiet = {"quiet": True} if VERSION >= (3, 20) else {}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    demo.launch(prevent_thread_lock=True, server_name="127.0.0.1", server_port=port, **quiet)
    return port


def main():
    for kind in sys.argv[1:]:
        try:
            port = serve(globals()[kind])
        except (AttributeError, TypeError, ValueError) as reason:
            print("NOT", kind, " ".join(str(reason).split()), flush=True)
        else:
            print("UP", kind, port, flush=True)
    print("READY", flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
