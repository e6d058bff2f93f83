"""Spaces of several files, and in which of them launch calls are edited."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SpaceCase:
    """The files of one Space.

    Attributes:
        name: What is special about it.
        files: Their text by path.
        edited: Files with the number of their calls that are edited.
        entry: The entry file.
        launches: How often Gradio is launched when the entry file runs.
    """

    name: str
    files: dict[str, str] = field(repr=False)
    edited: dict[str, int]
    entry: str = "app.py"
    launches: int = 1


UI = "import gradio as gr\ndemo = gr.Blocks()\n"
OWN = "import gradio as gr\ngr.Blocks().launch()\n"
BUILD = "import gradio as gr\ndef build():\n    with gr.Blocks() as ui:\n        pass\n    return ui\n"
WAIT = "import subprocess, sys\n"

SPACES = [
    SpaceCase("import runs it", {"app.py": "import ui\n", "ui.py": OWN}, {"ui.py": 1}),
    SpaceCase(
        "launched in a function of a module",
        {"app.py": "import ui\nui.main()\n", "ui.py": UI + "def main():\n    demo.launch(debug=True)\n"},
        {"ui.py": 1},
    ),
    SpaceCase("object from a module", {"app.py": "from ui import demo\ndemo.launch()\n", "ui.py": UI}, {"app.py": 1}),
    SpaceCase(
        "object under another name",
        {"app.py": "from ui import demo as d\nd.queue().launch()\n", "ui.py": UI},
        {"app.py": 1},
    ),
    SpaceCase("attribute of a module", {"app.py": "import ui\nui.demo.launch()\n", "ui.py": UI}, {"app.py": 1}),
    SpaceCase("module under another name", {"app.py": "import ui as u\nu.demo.launch()\n", "ui.py": UI}, {"app.py": 1}),
    SpaceCase("function of a module", {"app.py": "import ui\nui.build().launch()\n", "ui.py": BUILD}, {"app.py": 1}),
    SpaceCase(
        "function of a package",
        {"app.py": "from pkg import build\nbuild().launch(share=False)\n", "pkg/__init__.py": BUILD},
        {"app.py": 1},
    ),
    SpaceCase(
        "re-exported by a package",
        {
            "app.py": "from pkg import build\nbuild().launch()\n",
            "pkg/__init__.py": "from .ui import build\n",
            "pkg/ui.py": BUILD,
        },
        {"app.py": 1},
    ),
    SpaceCase(
        "module of a package",
        {"app.py": "from pkg import ui\nui.build().launch()\n", "pkg/__init__.py": "", "pkg/ui.py": BUILD},
        {"app.py": 1},
    ),
    SpaceCase(
        "dotted module", {"app.py": "import pkg.ui\npkg.ui.build().launch()\n", "pkg/ui.py": BUILD}, {"app.py": 1}
    ),
    SpaceCase(
        "package without __init__",
        {"app.py": "from pkg.sub import ui\nui.build().launch()\n", "pkg/sub/ui.py": BUILD},
        {"app.py": 1},
    ),
    SpaceCase(
        "a package's __init__ launches",
        {"app.py": "import pkg.other\n", "pkg/__init__.py": OWN, "pkg/other.py": ""},
        {"pkg/__init__.py": 1},
    ),
    SpaceCase(
        "relative imports",
        {
            "app.py": "from pkg.a.main import go\ngo()\n",
            "pkg/__init__.py": "",
            "pkg/a/__init__.py": "",
            "pkg/a/main.py": "from ..ui import build\nfrom . import extra\ndef go():\n    build().launch()\n",
            "pkg/a/extra.py": "",
            "pkg/ui.py": BUILD,
        },
        {"pkg/a/main.py": 1},
    ),
    SpaceCase("star import", {"app.py": "from ui import *\ndemo.launch()\n", "ui.py": UI}, {"app.py": 1}),
    SpaceCase(
        "gradio from a module", {"app.py": "from ui import gr\ngr.Blocks().launch()\n", "ui.py": UI}, {"app.py": 1}
    ),
    SpaceCase(
        "class of a module",
        {
            "app.py": "from ui import App\nApp().run()\nApp().ui.launch()\n",
            "ui.py": "import gradio as gr\nclass App:\n    def __init__(self):\n        self.ui = gr.Blocks()\n"
            "    def run(self):\n        self.ui.launch()\n",
        },
        {"app.py": 1, "ui.py": 1},
        launches=2,
    ),
    SpaceCase(
        "subclass of a subclass in a module",
        {
            "app.py": "from ui import Base\nclass Mine(Base): pass\nMine().launch()\n",
            "ui.py": "import gradio as gr\nclass Base(gr.Blocks): pass\n",
        },
        {"app.py": 1},
    ),
    SpaceCase(
        "parameter given by another module",
        {
            "app.py": "import gradio as gr\nfrom runner import run\nrun(gr.Blocks(), debug=True)\n",
            "runner.py": "def run(ui, **more):\n    ui.launch(**more)\n",
        },
        {"runner.py": 1},
    ),
    SpaceCase(
        "parameter of a constructor in a module",
        {
            "app.py": "import gradio as gr\nfrom runner import Runner\nRunner(gr.Blocks()).run()\n",
            "runner.py": "class Runner:\n    def __init__(self, ui):\n        self.ui = ui\n"
            "    def run(self):\n        self.ui.launch()\n",
        },
        {"runner.py": 1},
    ),
    SpaceCase(
        "src on sys.path",
        {
            "app.py": "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))"
            "\nimport ui\nui.build().launch()\n",
            "lib/ui.py": BUILD,
        },
        {"app.py": 1},
    ),
    SpaceCase(
        "src on sys.path by pathlib",
        {
            "app.py": "import sys\nfrom pathlib import Path\nsys.path.append(str(Path(__file__).parent / 'src'))"
            "\nfrom pkg.ui import main\nmain()\n",
            "src/pkg/ui.py": OWN.replace("gr.B", "def main(): gr.B"),
        },
        {"src/pkg/ui.py": 1},
    ),
    SpaceCase(
        "a folder put on sys.path by a module that is read later",
        {
            "app.py": "import paths\nimport ui\n",
            "paths.py": "import sys\nsys.path.append(__file__.replace('paths.py', 'deep'))\nsys.path.append('deep')\n",
            "deep/ui.py": OWN,
        },
        {"deep/ui.py": 1},
    ),
    SpaceCase(
        "entry in a folder",
        {"src/app.py": "import ui\nui.build().launch()\n", "src/ui.py": BUILD},
        {"src/app.py": 1},
        entry="src/app.py",
    ),
    SpaceCase(
        "import by name", {"app.py": "import importlib\nimportlib.import_module('ui')\n", "ui.py": OWN}, {"ui.py": 1}
    ),
    SpaceCase(
        "import in circles",
        {
            "app.py": "import a\na.d.launch()\n",
            "a.py": "import b\nd = b.d\n",
            "b.py": "import a\nimport gradio as gr\nd = gr.Blocks()\n",
        },
        {"app.py": 1},
    ),
    SpaceCase(
        "runpy.run_path",
        {"app.py": "import runpy\nrunpy.run_path('go.py', run_name='__main__')\n", "go.py": OWN},
        {"go.py": 1},
    ),
    SpaceCase(
        "runpy.run_module",
        {"app.py": "import runpy\nrunpy.run_module('pkg.go', run_name='__main__')\n", "pkg/go.py": OWN},
        {"pkg/go.py": 1},
    ),
    SpaceCase("exec of a file", {"app.py": "exec(open('go.py').read())\n", "go.py": OWN}, {"go.py": 1}),
    SpaceCase(
        "exec of a file by pathlib",
        {
            "app.py": "from pathlib import Path\n"
            "exec(compile((Path(__file__).parent / 'go.py').read_text(), 'go', 'exec'))\n",
            "go.py": OWN,
        },
        {"go.py": 1},
    ),
    SpaceCase(
        "subprocess.run",
        {"app.py": WAIT + "subprocess.run([sys.executable, 'go.py'], check=True)\n", "go.py": OWN},
        {"go.py": 1},
    ),
    SpaceCase(
        "Popen with options",
        {
            "app.py": WAIT + "subprocess.Popen(args=(sys.executable, '-u', '-W', 'ignore', 'go.py', '--x')).wait()\n",
            "go.py": OWN,
        },
        {"go.py": 1},
    ),
    SpaceCase(
        "a module as a child",
        {"app.py": WAIT + "subprocess.check_call([sys.executable, '-m', 'pkg.go'])\n", "pkg/go.py": OWN},
        {"pkg/go.py": 1},
    ),
    SpaceCase(
        "a package as a child",
        {
            "app.py": WAIT + "subprocess.check_call([sys.executable, '-m', 'pkg'])\n",
            "pkg/__main__.py": OWN,
            "pkg/__init__.py": "",
        },
        {"pkg/__main__.py": 1},
    ),
    SpaceCase(
        "os.system", {"app.py": "import os\nos.system('cd . && python go.py --a 1')\n", "go.py": OWN}, {"go.py": 1}
    ),
    SpaceCase(
        "os.system by an f-string",
        {"app.py": "import os, sys\nos.system(f'{sys.executable} go.py')\n", "go.py": OWN},
        {"go.py": 1},
    ),
    SpaceCase(
        "a shell command",
        {"app.py": "import subprocess\nsubprocess.run('python3 -u \"sub/go.py\"', shell=True)\n", "sub/go.py": OWN},
        {"sub/go.py": 1},
    ),
    SpaceCase(
        "in a folder of its own",
        {
            "app.py": WAIT + "subprocess.run([sys.executable, 'go.py'], cwd='sub')\n",
            "sub/go.py": "import ui\n",
            "sub/ui.py": OWN,
        },
        {"sub/ui.py": 1},
    ),
    SpaceCase(
        "os.execv",
        {"app.py": "import os, sys\nos.execv(sys.executable, [sys.executable, 'go.py'])\n", "go.py": OWN},
        {"go.py": 1},
    ),
    SpaceCase(
        "os.execl",
        {"app.py": "import os, sys\nos.execl(sys.executable, 'python', 'go.py')\n", "go.py": OWN},
        {"go.py": 1},
    ),
    SpaceCase(
        "a path from __file__",
        {
            "app.py": WAIT + "import os\nhere = os.path\n"
            "subprocess.run([sys.executable, os.path.join(os.path.dirname(__file__), 'go.py')])\n",
            "go.py": OWN,
        },
        {"go.py": 1},
    ),
    SpaceCase(
        "child and parent",
        {"app.py": WAIT + "subprocess.run([sys.executable, 'go.py'])\n" + OWN, "go.py": OWN},
        {"app.py": 1, "go.py": 1},
        launches=2,
    ),
    SpaceCase(
        "both as they should be",
        {"app.py": "import ui\n", "ui.py": "import gradio as gr\ngr.Blocks().launch(share=True)\n"},
        {},
    ),
    SpaceCase(
        "a method of that name in a module",
        {
            "app.py": "from robot import Robot\nfrom ui import demo\nRobot().launch()\ndemo.launch()\n",
            "robot.py": "class Robot:\n    def launch(self): pass\n",
            "ui.py": UI,
        },
        {"app.py": 1},
    ),
    SpaceCase(
        "a parameter that is two things",
        {
            "app.py": "import gradio as gr\nfrom runner import run\nclass P:\n    def launch(self): pass\n"
            "run(P())\nrun(gr.Blocks())\n",
            "runner.py": "def run(ui):\n    ui.launch()\n",
        },
        {},
    ),
    SpaceCase(
        "a local module that a broken one imports",
        {
            "app.py": "try:\n    import broken\nexcept SyntaxError:\n    pass\nimport ui\n",
            "broken.py": "def (\n",
            "ui.py": OWN,
        },
        {"ui.py": 1},
    ),
]
