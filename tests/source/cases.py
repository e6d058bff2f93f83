"""Sources that launch Gradio, or seem to, and how many of their calls the edit and the hook take care of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One entry file.

    Attributes:
        name: What is special about it.
        source: Its bytes.
        edits: Number of calls that the edit changes when a link is wanted.
        hooks: Number of rewrites left to the hook.
        runs: Whether it runs in the stand-in at all.
    """

    name: str
    source: bytes
    edits: int = 1
    hooks: int = 0
    runs: bool = True


_B = "import gradio as gr\nwith gr.Blocks() as demo:\n    gr.Markdown('x')\n"


def _after_blocks(name: str, rest: str, edits: int = 1, hooks: int = 0) -> Case:
    return Case(name, (_B + rest).encode(), edits, hooks)


def _text(name: str, source: str, edits: int = 1, hooks: int = 0, *, runs: bool = True) -> Case:
    return Case(name, source.encode(), edits, hooks, runs)


ARGUMENTS = [
    _after_blocks("no arguments", "demo.launch()\n"),
    _after_blocks("no newline at the end", "demo.launch()"),
    _after_blocks("blank between the parentheses", "demo.launch(  )\n"),
    _after_blocks("blank before the parentheses", "demo.launch ()\n"),
    _after_blocks("line break between the parentheses", "demo.launch(\n)\n"),
    _after_blocks("comment between the parentheses", "demo.launch(\n    # share=True, (\n)\n"),
    _after_blocks("comment right behind the parenthesis", "demo.launch(# ) (\n)\n"),
    _after_blocks("callee in parentheses with a comment", "(demo.launch # (\n)()\n"),
    _after_blocks("one keyword", "demo.launch(debug=True)\n"),
    _after_blocks("trailing comma", "demo.launch(debug=True,)\n"),
    _after_blocks("keywords on lines", "demo.launch(\n    debug=True,  # (here)\n    show_error=True,\n)\n"),
    _after_blocks("comment before the first keyword", "demo.launch(\n    # why, oh\n    debug=True\n)\n"),
    _after_blocks("nested parentheses", "demo.launch(auth=((('a')), (\"b\")), debug=(True))\n"),
    _after_blocks("line continuation", "demo \\\n  .queue() \\\n  .launch(debug= \\\n     True)\n"),
    _after_blocks("tabs", "if True:\n\tdemo.launch(\tdebug=True\t)\n"),
    _after_blocks("semicolons", "x = 1; demo.launch(); y = 2\n"),
    _after_blocks("share=True", "demo.launch(share=True)\n", 0),
    _after_blocks("share=True among others", "demo.launch(debug=True, share=True, show_error=True)\n", 0),
    _after_blocks("share=False", "demo.launch(share=False)\n"),
    _after_blocks("share=None", "demo.launch(share=None, debug=True)\n"),
    _after_blocks("share in parentheses", "demo.launch(share=(False))\n"),
    _after_blocks("share with blanks", "demo.launch(share = False )\n"),
    _after_blocks("share by a name", "wanted = False\ndemo.launch(share=wanted)\n"),
    _after_blocks(
        "share by an attribute", "import types\nargs = types.SimpleNamespace(s=0)\ndemo.launch(share=args.s)\n"
    ),
    _after_blocks("share by the environment", "import os\ndemo.launch(share=os.getenv('S', '') == '1', debug=True)\n"),
    _after_blocks("share by a conditional", "demo.launch(share=False if demo else True)\n"),
    _after_blocks("share over lines", "demo.launch(share=(\n    1 ==  # one\n    2\n))\n"),
    _after_blocks("share that binds a name", "demo.launch(share=(s := False))\nassert s is False\n", 0, 1),
    _after_blocks("one positional", "demo.launch(True)\n"),
    _after_blocks("one positional, trailing comma", "demo.launch(True ,  # yes, (\n)\n"),
    _after_blocks("one positional in parentheses", "demo.launch((True)  # yes, )\n)\n"),
    _after_blocks("a tuple as positional", "demo.launch((True,), (1, 2))\n"),
    _after_blocks("two positionals", "demo.launch(None, False)\n"),
    _after_blocks("two positionals and a keyword", "demo.launch(None, False, debug=True)\n"),
    _after_blocks("third positional False", "demo.launch(None, False, False)\n"),
    _after_blocks("third positional True", "demo.launch(None, False, True)\n", 0),
    _after_blocks("third positional None, a fourth", "demo.launch(None, False, None, True)\n"),
    _after_blocks("third positional an expression", "demo.launch(None, False, not demo)\n"),
    _after_blocks("keyword before *args", "more = [True]\ndemo.launch(debug=True, *more)\n", 0, 1),
    _after_blocks("*args", "more = [None, False, False]\ndemo.launch(*more)\n", 0, 1),
    _after_blocks("*args behind share", "more = [True]\ndemo.launch(None, False, False, *more)\n"),
    _after_blocks("**kwargs", "more = {'share': False}\ndemo.launch(**more)\n"),
    _after_blocks("**kwargs and a keyword", "more = {'show_error': True}\ndemo.launch(debug=True, **more)\n"),
    _after_blocks("**kwargs beside share", "more = {'show_error': True}\ndemo.launch(share=False, **more)\n"),
    _after_blocks("generator as the only argument", "demo.launch(x for x in ())\n", 0, 1),
    _after_blocks("server_name", "demo.launch(server_name='0.0.0.0', server_port=7860)\n"),
    _after_blocks("server_name and share=True", 'demo.launch(share=True, server_name="0.0.0.0")\n'),
    _after_blocks("server_name joined from two", "demo.launch(server_name='0.0' '.0.0')\n"),
    _after_blocks("server_name already right", "demo.launch(share=True, server_name='127.0.0.1')\n", 0),
    _after_blocks("server_name before share", "demo.launch(server_name='::', debug=True, share=False)\n"),
    _after_blocks("server_name None", "demo.launch(server_name=None)\n"),
    _after_blocks("Gradio 6 keywords", "demo.launch(theme=gr, css='a { b: c }', head='<x>', ssr_mode=False)\n"),
    _after_blocks("lambda as argument", "demo.launch(auth=lambda u, p: (u, p) == ('a', 'b'))\n", 1),
    _after_blocks("call as argument", "demo.launch(favicon_path=str('launch()'))\n"),
    _after_blocks("string with parentheses", "demo.launch(auth_message=') , share=True (')\n"),
]

RECEIVERS = [
    _text("Interface by name", "import gradio\ndemo = gradio.Interface(len, 'text', 'text')\ndemo.launch()\n"),
    _text("Interface launched at once", "import gradio as g\ng.Interface(len, 'text', 'text').launch()\n"),
    _text("from gradio import", "from gradio import Blocks as B\nwith B() as ui: pass\nui.launch()\n"),
    _text("from gradio import *", "from gradio import *\nInterface(len).launch()\n"),
    _text("a submodule", "from gradio.blocks import Blocks\nBlocks().launch()\n"),
    _text("a submodule by path", "import gradio.blocks\ngradio.blocks.Blocks().launch()\n"),
    _text("queue in the chain", "import gradio as gr\ngr.Interface(len).queue(max_size=2).launch(debug=True)\n"),
    _text("queue assigned", "import gradio as gr\ndemo = gr.Blocks()\ndemo = demo.queue()\ndemo.launch()\n"),
    _text("with on a name", "import gradio as gr\ndemo = gr.Blocks()\nwith demo:\n    pass\ndemo.launch()\n"),
    _text(
        "launched inside with", "import gradio as gr\nwith gr.Blocks() as demo:\n    demo.load()\n    demo.launch()\n"
    ),
    _text("with without as", "import gradio as gr\nwith (demo := gr.Blocks()):\n    pass\ndemo.launch()\n"),
    _text("TabbedInterface", "import gradio as gr\na = gr.Interface(len)\ngr.TabbedInterface([a], ['a']).launch()\n"),
    _text("ChatInterface", "import gradio as gr\nchat = gr.ChatInterface(fn=len)\nchat.launch()\n"),
    _text("gr.load", "import gradio as gr\ngr.load('models/gpt2').launch()\n"),
    _text("gr.Interface.load", "import gradio as gr\ngr.Interface.load('models/gpt2').launch()\n"),
    _text("gr.Server", "import gradio as gr\napp = gr.Server()\napp.launch(debug=True)\n"),
    _text("main guard", "import gradio as gr\ndemo = gr.Blocks()\nif __name__ == '__main__':\n    demo.launch()\n"),
    _text("inside main", "import gradio as gr\ndemo = gr.Blocks()\ndef main():\n    demo.launch()\nmain()\n"),
    _text("built in main", "import gradio as gr\ndef main():\n    demo = gr.Blocks()\n    demo.launch()\nmain()\n"),
    _text("function result", "import gradio as gr\ndef build():\n    return gr.Blocks()\nbuild().launch()\n"),
    _text(
        "function result by name and queue",
        "import gradio as gr\ndef build():\n    with gr.Blocks() as ui:\n        pass\n    return ui\n"
        "demo = build()\ndemo.queue().launch(\n    debug=True)\n",
    ),
    _text(
        "function result unpacked",
        "import gradio as gr\ndef build():\n    return gr.Blocks(), 3\ndemo, three = build()\ndemo.launch()\n",
    ),
    _text(
        "function with two returns",
        "import gradio as gr\ndef build(x):\n    if x:\n        return gr.Blocks()\n    return gr.Interface(len)\n"
        "build(1).launch()\n",
    ),
    _text(
        "attribute of self",
        "import gradio as gr\nclass App:\n    def __init__(self):\n        self.ui = gr.Blocks()\n"
        "    def run(self):\n        self.ui.launch()\nApp().run()\n",
    ),
    _text(
        "attribute of an object",
        "import gradio as gr\nclass App:\n    def __init__(self):\n        self.ui = gr.Blocks()\n"
        "app = App()\napp.ui.launch(share=False)\n",
    ),
    _text(
        "method that builds",
        "import gradio as gr\nclass App:\n    def build(self):\n        with gr.Blocks() as d:\n            pass\n"
        "        return d\n    def run(self):\n        self.build().queue().launch()\nApp().run()\n",
    ),
    _text(
        "property",
        "import gradio as gr\nclass App:\n    @property\n    def ui(self):\n        return gr.Blocks()\n"
        "App().ui.launch()\n",
    ),
    _text(
        "subclass",
        "import gradio as gr\nclass Mine(gr.Blocks):\n    def go(self):\n        self.launch()\n"
        "Mine().launch(debug=True)\nMine().go()\n",
        2,
    ),
    _text(
        "subclass with its own launch",
        "import gradio as gr\nclass Mine(gr.Blocks):\n    def launch(self):\n        super().launch(debug=True)\n"
        "Mine().launch()\n",
    ),
    _text("annotated parameter", "import gradio as gr\ndef go(ui: gr.Blocks):\n    ui.launch()\ngo(gr.Blocks())\n"),
    _text("annotated variable", "import gradio as gr\ndemo: gr.Blocks = gr.Blocks()\ndemo.launch()\n"),
    _text("dotted name", "import types, gradio as gr\ns = types.SimpleNamespace()\ns.d = gr.Blocks()\ns.d.launch()\n"),
    _text("method by name", "import gradio as gr\ngo = gr.Blocks().launch\ngo(debug=True)\n"),
    _text("lambda", "import gradio as gr\ndemo = gr.Blocks()\n(lambda: demo.launch())()\n"),
    _text("conditional receiver", "import gradio as gr\na = gr.Blocks()\nb = gr.Blocks()\n(a if a else b).launch()\n"),
    _text("conditional call", "import gradio as gr\nd = gr.Blocks()\nd.launch(debug=True) if d else d.launch()\n", 2),
    _text("None first", "import gradio as gr\ndemo = None\ndef go():\n    demo.launch()\ndemo = gr.Blocks()\ngo()\n"),
    _text(
        "global",
        "import gradio as gr\ndemo = None\ndef make():\n    global demo\n    demo = gr.Blocks()\nmake()\n"
        "demo.launch()\n",
    ),
    _text(
        "either branch",
        "import gradio as gr\nif len:\n    demo = gr.Blocks()\nelse:\n    demo = gr.Interface(len)\ndemo.launch()\n",
    ),
    _text("import in try", "try:\n    import gradio as gr\nexcept ImportError:\n    gr = None\ngr.Blocks().launch()\n"),
    _text("import in the function", "def go():\n    import gradio as gr\n    gr.Blocks().launch()\ngo()\n"),
    _text("async", "import asyncio, gradio as gr\nasync def go():\n    gr.Blocks().launch()\nasyncio.run(go())\n"),
    _text("comprehension", "import gradio as gr\ndemo = gr.Blocks()\n[demo.launch() for _ in range(2)]\n"),
    _text(
        "three calls",
        "import gradio as gr\na = gr.Blocks()\nb = gr.Interface(len)\na.launch(prevent_thread_lock=True)\n"
        "b.launch(share=False)\nb.launch(share=True)\n",
        2,
    ),
    _text("match", "import gradio as gr\nd = gr.Blocks()\nmatch 1:\n    case 1:\n        d.launch()\n"),
]

_P = "class P:\n    def launch(self, headless=False, **other):\n        assert 'share' not in other\n"

FLOW = [
    _after_blocks("**kwargs written out with share", "demo.launch(**{'share': False, 'debug': True})\n"),
    _after_blocks("**kwargs written out without share", "demo.launch(**{'debug': True})\n"),
    _after_blocks(
        "**kwargs written out, share overridden", "m = {'share': False}\ndemo.launch(**{'share': True, **m})\n"
    ),
    _after_blocks("**kwargs that are a conditional", "m = {'debug': True}\ndemo.launch(** m if m else {})\n"),
    _after_blocks("**kwargs in parentheses", "demo.launch(**( {'debug': True} or {} ))\n"),
    _after_blocks("**kwargs of a call", "demo.launch(**dict(debug=True, share=False), )  # so\n"),
    _after_blocks("**kwargs behind two positionals", "m = {}\ndemo.launch(None, False, **m)\n"),
    _after_blocks("**kwargs behind three positionals", "m = {}\ndemo.launch(None, False, False, **m)\n"),
    _after_blocks("**kwargs between keywords", "m = {'share': None}\ndemo.launch(debug=True, **m, show_error=True)\n"),
    _after_blocks("**kwargs over lines", "m = {}\ndemo.launch(\n    **m,  # share?\n)\n"),
    _after_blocks("two **kwargs", "m = {'share': False}\ndemo.launch(**m, **{})\n", 0, 1),
    _after_blocks("*args and **kwargs", "m = [None, False]\ndemo.launch(*m, **{})\n", 0, 1),
    _after_blocks("server_port kept", "demo.launch(server_port=7861)\n"),
    _text("wrapper", "import gradio as gr\ndef go(ui, **more):\n    ui.launch(**more)\ngo(gr.Blocks(), share=False)\n"),
    _text("wrapper by keyword", "import gradio as gr\ndef go(*, ui=None):\n    ui.launch()\ngo(ui=gr.Blocks())\n"),
    _text("parameter with a default", "import gradio as gr\ndef go(ui=gr.Blocks()):\n    ui.launch()\ngo()\n"),
    _text(
        "parameter of a method",
        "import gradio as gr\nclass R:\n    def go(self, ui):\n        ui.launch()\nR().go(gr.Blocks())\n",
    ),
    _text(
        "parameter of a static method",
        "import gradio as gr\nclass R:\n    @staticmethod\n    def go(ui):\n        ui.launch()\nR.go(gr.Blocks())\n",
    ),
    _text(
        "parameter that is passed on",
        "import gradio as gr\ndef a(x):\n    b(x)\ndef b(y):\n    y.launch()\na(gr.Blocks())\n",
    ),
    _text(
        "annotation as a string", "import gradio as gr\ndef go(ui: 'gr.Blocks'):\n    ui.launch()\ngo(gr.Blocks())\n"
    ),
    _text(
        "annotation with None",
        "import gradio as gr\nfrom typing import Optional\ndef go(ui: Optional[gr.Blocks] = None):\n    ui.launch()\n"
        "go(gr.Blocks())\n",
    ),
    _text(
        "annotated result",
        "import gradio as gr\nmade = {}\ndef build() -> gr.Blocks:\n    return made.setdefault(1, gr.Blocks())\n"
        "build().launch()\n",
    ),
    _text("getattr", "import gradio as gr\ngetattr(gr.Blocks(), 'launch')(debug=True)\n"),
    _text("class by getattr", "import gradio as gr\ngetattr(gr, 'Blocks')().launch()\n"),
    _text(
        "partial by name",
        "from functools import partial\nimport gradio as gr\ngo = partial(gr.Blocks().launch, share=False)\n"
        "go(debug=True)\n",
    ),
    _text(
        "partial of a class",
        "from functools import partial\nimport gradio as gr\npartial(gr.Interface, len)().launch()\n",
    ),
    _text("lambda that builds", "import gradio as gr\nmake = lambda: gr.Blocks()\nmake().launch()\n"),
    _text(
        "lambda with a parameter",
        "import gradio as gr\nd = gr.Blocks()\ngo = lambda **k: d.launch(**k)\ngo(share=False)\n",
    ),
    _text("lambda called at once", "import gradio as gr\n(lambda: gr.Blocks())().launch()\n"),
    _text("dictionary", "import gradio as gr\napps = {'a': gr.Blocks(), 'n': 3}\napps['a'].launch()\n"),
    _text(
        "dictionary that is filled",
        "import gradio as gr\napps = {}\napps['a'] = gr.Blocks()\nname = 'a'\napps[name].launch()\n",
    ),
    _text("dictionary by get", "import gradio as gr\napps = {'a': gr.Blocks()}\napps.get('a').launch()\n"),
    _text("values of a dictionary", "import gradio as gr\nfor d in {'a': gr.Blocks()}.values():\n    d.launch()\n"),
    _text(
        "items of a dictionary",
        "import gradio as gr\napps = {'a': gr.Blocks()}\nfor n, d in apps.items():\n    d.launch()\n",
    ),
    _text("list that is filled", "import gradio as gr\napps = []\napps.append(gr.Blocks())\napps[-1].launch()\n"),
    _text(
        "list that grows",
        "import gradio as gr\napps = [gr.Blocks()]\napps += [gr.Interface(len)]\nfor a in apps: a.launch()\n",
    ),
    _text(
        "enumerate", "import gradio as gr\nfor i, d in enumerate([gr.Blocks()]):\n    d.launch(server_port=7860 + i)\n"
    ),
    _text("list of a comprehension", "import gradio as gr\nfor d in [gr.Blocks() for _ in 'ab']:\n    d.launch()\n"),
    _text(
        "container of an object",
        "import gradio as gr\nclass A:\n    def __init__(self):\n        self.all = {}\n"
        "        self.all['a'] = gr.Blocks()\n    def go(self):\n        self.all['a'].launch()\nA().go()\n",
    ),
    _text(
        "object that is called",
        "import gradio as gr\nclass A:\n    def __call__(self):\n        return gr.Blocks()\nA()().launch()\n",
    ),
    _text(
        "context manager of its own",
        "import gradio as gr\nclass A:\n    def __enter__(self):\n        return gr.Blocks()\n"
        "    def __exit__(self, *f):\n        pass\nwith A() as d:\n    d.launch()\n",
    ),
    _text(
        "class attribute", "import gradio as gr\nclass A:\n    ui = gr.Blocks()\nA.ui.launch()\nA().ui.launch()\n", 2
    ),
    _text(
        "inherited attribute",
        "import gradio as gr\nclass A:\n    def __init__(self):\n        self.ui = gr.Blocks()\n"
        "class B(A):\n    def go(self):\n        self.ui.launch()\nB().go()\n",
    ),
    _text(
        "queue in a loop", "import gradio as gr\nd = gr.Blocks()\nfor _ in range(2):\n    d = d.queue()\nd.launch()\n"
    ),
    _text(
        "Playwright in a list beside Gradio",
        _P + "import gradio as gr\nfor b in [P()]:\n    b.launch(headless=True)\ngr.Blocks().launch()\n",
    ),
]

BYTES = [
    Case("CRLF", (_B + "demo.launch(\n    debug=True,\n)\n").replace("\n", "\r\n").encode()),
    Case("CR", (_B + "demo.launch(\n    debug=True,\n)\n").replace("\n", "\r").encode()),
    Case("byte order mark", b"\xef\xbb\xbf" + _B.encode() + b"demo.launch()\n"),
    Case("byte order mark, call in line one", b"\xef\xbb\xbfimport gradio; gradio.Blocks().launch()\n"),
    Case("latin-1", ("# -*- coding: latin-1 -*-\n" + _B + "t = 'äöü'; demo.launch() # é\n").encode("latin-1")),
    Case("shift_jis", ("# coding: shift_jis\n" + _B + "t = 'ソ表示'; demo.launch(debug=True)\n").encode("shift_jis")),
    Case("gbk", ("# coding: gbk\n" + _B + "t = '启动'; demo.launch(server_name='0.0.0.0')  # 启\n").encode("gbk")),
    _after_blocks("multi-byte text before the call", "t = '日本語 🚀 é'; demo.launch()\n"),
    _after_blocks("multi-byte text in the call", "demo.launch(auth_message='日本語 🚀', share=False)\n"),
    _after_blocks("emoji on the line of the parenthesis", "demo.launch(auth_message='''🚀\n🚀🚀''' ) # 🚀\n"),
    _after_blocks("form feed", "\x0cx = 1\n\x0c\ndemo.launch()\n"),
    _after_blocks("line separators that are none to Python", "t = 'a\u2028b\x0bc\x85d'\ndemo.launch()\n"),
    _after_blocks("invalid escape", "import warnings\nt = '\\d'\ndemo.launch()\n"),
    _after_blocks("trailing blanks", "demo.launch()   \n   \n"),
]

NOT_OURS = [
    _text("nothing", "", 0, 1),
    _text("no gradio", "print('launch()')\n", 0, 1),
    _after_blocks(
        "Playwright beside Gradio",
        "class P:\n    def launch(self, headless):\n        assert headless\n"
        "chromium = P()\nchromium.launch(headless=True)\ndemo.launch()\n",
    ),
    _after_blocks("an app's own function", "def launch(): pass\nlaunch()\n", 0, 1),
    _after_blocks("an app's own method", "class R:\n    def launch(self): pass\nR().launch()\ndemo.launch()\n"),
    _after_blocks("in a comment and a string", "# demo.launch()\nt = 'demo.launch()'\n", 0, 1),
    _after_blocks("in an f-string", "t = f'{demo.launch(prevent_thread_lock=True)}'\n", 0, 1),
    _after_blocks(
        "a module of that name", "import types\nmp = types.SimpleNamespace(launch=len)\nmp.launch([])\n", 0, 1
    ),
    _after_blocks(
        "a name that was something else",
        "class P:\n    def launch(self): pass\nx = P()\nx.launch()\nx = demo\nx.launch()\n",
    ),
    _after_blocks(
        "a name that may be something else",
        "class P:\n    def launch(self, **k): pass\nx = gr.Blocks()\nif demo:\n    x = P()\nx.launch()\n",
        0,
        1,
    ),
    _text("a parameter", "import gradio as gr\ndef go(ui):\n    ui.launch()\ngo(gr.Blocks())\n"),
    _text("a list", "import gradio as gr\nfor d in [gr.Blocks()]:\n    d.launch()\n"),
    _text("partial", "import functools, gradio as gr\nfunctools.partial(gr.Blocks().launch, debug=True)()\n"),
    _text(
        "a generator function",
        "import gradio as gr\ndef build():\n    yield\n    return gr.Blocks()\nb = build()\n",
        0,
        1,
    ),
    _text("a list of two things", _P + "import gradio as gr\nfor x in [P(), gr.Blocks()]:\n    x.launch()\n", 0, 1),
    _text(
        "a list to which something else is added",
        _P + "import gradio as gr\nall = [gr.Blocks()]\ndef more():\n    all.append(P())\nmore()\nall[1].launch()\n",
        0,
        1,
    ),
    _text(
        "a name that changes in a loop",
        _P + "import gradio as gr\nx = gr.Blocks()\nfor _ in range(2):\n    x.launch()\n    x = P()\n",
        0,
        1,
    ),
    _text(
        "a parameter of a callback",
        "import gradio as gr\ndef go(x):\n    x.launch()\nlist(map(go, [gr.Blocks()]))\n",
        0,
        1,
    ),
    _text(
        "a decorated function",
        _P + "import gradio as gr\ndef swap(f):\n    return lambda x: f(P())\n@swap\ndef go(x):\n    x.launch()\n"
        "go(gr.Blocks())\n",
        0,
        1,
    ),
    _text(
        "a context manager that gives something else",
        _P + "import gradio as gr\nclass A(gr.Blocks):\n    def __enter__(self):\n        return P()\n"
        "with A() as d:\n    d.launch()\n",
        0,
        1,
    ),
    _text(
        "partial with a positional",
        "from functools import partial\nimport gradio as gr\npartial(gr.Blocks().launch, None)()\n",
        0,
        1,
    ),
    _text("repeated keyword", "import gradio as gr\ngr.Blocks().launch(share=True, share=False)\n", 0, 1, runs=False),
    _text("does not parse", "import gradio as gr\ngr.Blocks().launch(\n", 0, 1, runs=False),
    _text("Python 2", "import gradio as gr\nprint 'x'\ngr.Blocks().launch()\n", 0, 1, runs=False),
    Case("NUL byte", b"import gradio as gr\x00\ngr.Blocks().launch()\n", 0, 1, runs=False),
    Case(
        "wrong encoding", b"# coding: utf-8\nt = '\xff'\nimport gradio as gr\ngr.Blocks().launch()\n", 0, 1, runs=False
    ),
    Case("unknown encoding", b"# coding: klingon\nimport gradio as gr\ngr.Blocks().launch()\n", 0, 1, runs=False),
    Case(
        "nested too deeply",
        b"x = " + b"-" * 20_000 + b"1\nimport gradio as gr\ngr.Blocks().launch()\n",
        0,
        1,
        runs=False,
    ),
]

CASES = [*ARGUMENTS, *RECEIVERS, *FLOW, *BYTES, *NOT_OURS]
