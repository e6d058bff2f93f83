"""A stand-in for gradio that listens to nothing and records what `launch` received."""

from gradio import blocks as blocks
from gradio import networking as networking
from gradio.blocks import Blocks
from gradio.blocks import calls as calls


class Interface(Blocks):
    def __init__(self, fn=None, inputs=None, outputs=None, **kwargs):
        Blocks.__init__(self, **kwargs)

    @classmethod
    def load(cls, name=None, **kwargs):
        return cls()

    @classmethod
    def from_pipeline(cls, pipeline, **kwargs):
        return cls()


class TabbedInterface(Blocks):
    def __init__(self, interfaces=(), names=()):
        Blocks.__init__(self)


class ChatInterface(Blocks):
    def __init__(self, fn=None, **kwargs):
        Blocks.__init__(self)


class Server:
    def launch(self, **kwargs):
        return Blocks().launch(**kwargs)


class Markdown:
    def __init__(self, text=""):
        self.text = text


def load(name, src=None):
    return Blocks()


__version__ = "0.0"
