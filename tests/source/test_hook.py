from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from spacerun.app.password import Password
from spacerun.source.hook_files import HookSettings, Launched, forbid_share, has_launched, install_hook, read_launched
from tests.source.pythons import OTHER_PYTHONS

STANDIN = Path(__file__).parent / "standin"
PYTHONS = [*OTHER_PYTHONS, Path(sys.executable)]
SHARE = HookSettings(share=True, host="127.0.0.1", port=None)
every_python = pytest.mark.parametrize("python", dict.fromkeys(PYTHONS), ids=str)

APP = "import gradio as gr\ndemo = gr.Blocks()\n{}\nimport json; print(json.dumps(gr.calls, default=str))\n"


class Run:
    """Runs an app under the hook, as the supervisor does."""

    def __init__(self, folder: Path) -> None:
        self.hook = folder / "hook"
        self.app = folder / "app.py"

    def __call__(
        self,
        source: str,
        settings: HookSettings = SHARE,
        *,
        python: Path = Path(sys.executable),
        path: tuple[Path, ...] = (STANDIN,),
        install: bool = True,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        if install:
            assert install_hook(self.hook, settings) == self.hook
        self.app.write_text(source)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPACERUN_", "PYTHON"))}
        kept["PYTHONPATH"] = os.pathsep.join(map(str, [self.hook, *path]))
        return subprocess.run(
            [python, self.app], env=kept | environment, capture_output=True, text=True, timeout=60, check=False
        )

    def calls(self, launch: str, settings: HookSettings = SHARE, **options) -> list[dict]:
        """What the stand-in's `launch` received."""
        done = self(APP.format(launch), settings, **options)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def launched(self) -> tuple[Launched, ...]:
        return read_launched(self.hook)


@pytest.fixture
def run(tmp_path) -> Run:
    return Run(tmp_path)


@every_python
@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "share=False",
        "share=None",
        "share=True",
        "None, False, False",
        "None, False, True",
        "**{'share': False}",
        "*[None] * 3",
    ],
)
def test_share_is_forced_however_the_code_gives_it(run, python, arguments):
    (call,) = run.calls(f"demo.launch({arguments})", python=python)
    assert call["share"] is True


@pytest.mark.parametrize("arguments", ["", "share=True", "None, False, True", "**{'share': True}"])
def test_share_is_turned_off_however_the_code_asks_for_it(run, arguments):
    (call,) = run.calls(f"demo.launch({arguments})", HookSettings(share=False, host=None))
    assert call["share"] is False


@pytest.mark.parametrize(("arguments", "share"), [("", None), ("share=True", True), ("None, False, False", False)])
def test_settings_of_none_leave_the_code_its_own(run, arguments, share):
    settings = HookSettings(share=None, host=None, port=None)
    (call,) = run.calls(f"demo.launch({arguments})", settings)
    assert call["share"] is share
    (call,) = run.calls("demo.launch(server_name='0.0.0.0', server_port=1)", settings)
    assert (call["server_name"], call["server_port"]) == ("0.0.0.0", 1)


@every_python
@pytest.mark.parametrize("arguments", ["", "auth=('eve', 'x')", "*[None] * 6, ('eve', 'x')"])
def test_the_password_is_asked_for_whatever_the_code_asks(run, python, arguments):
    settings = HookSettings(share=None, host=None, auth=asdict(Password.parse("ada:pass:wörd")))
    logins = [("ada", "pass:wörd"), ("ada", "pass"), ("eve", "pass:wörd"), ("eve", "x"), ("", ""), ("ada\udc80", "")]
    done = run(
        f"import gradio as gr\ngr.Blocks().launch({arguments})\n"
        f"import json; print(json.dumps([gr.calls[0]['auth'](*login) for login in {logins!r}]))",
        settings,
        python=python,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [True, False, False, False, False, False]
    assert run.launched()[0].changed == ("auth",)
    assert (run.hook / "launch.json").stat().st_mode & 0o077 == 0
    assert not any("pass:w" in file.read_text() for file in run.hook.iterdir() if file.is_file())


@pytest.mark.parametrize("arguments", ["auth=('eve', 'x')", ""])
def test_without_a_password_the_codes_own_stands(run, arguments):
    (call,) = run.calls(f"demo.launch({arguments})", HookSettings(share=None, host=None))
    assert call["auth"] == (["eve", "x"] if arguments else None)


def test_a_launch_is_told_as_soon_as_it_begins(run):
    assert not has_launched(run.hook)
    run("print('no Gradio')")
    assert not has_launched(run.hook)
    done = run("import gradio as gr\ngr.Blocks().launch(share=1 / 0)")
    assert "ZeroDivisionError" in done.stderr
    assert not has_launched(run.hook)
    run.calls("demo.launch()")
    assert has_launched(run.hook)


def test_a_link_can_be_forbidden_for_the_next_start(run):
    assert [call["share"] for call in run.calls("demo.launch(share=True)")] == [True]
    forbid_share(run.hook)
    assert [call["share"] for call in run.calls("demo.launch(share=True)", install=False)] == [False]


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def busy_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.mark.parametrize("arguments", ["server_name='0.0.0.0', server_port=1", "*[None] * 9, '0.0.0.0', 1"])
def test_a_host_and_a_port_in_the_code_give_way(run, arguments, free_port):
    (call,) = run.calls(f"demo.launch({arguments})", HookSettings(share=None, host="127.0.0.1", port=free_port))
    assert (call["server_name"], call["server_port"]) == ("127.0.0.1", free_port)


@every_python
def test_a_busy_port_in_the_code_gives_way_to_the_spare_one(run, python, busy_port, free_port):
    settings = HookSettings(share=None, host="127.0.0.1", spare=free_port)
    (call,) = run.calls(f"demo.launch(server_port={busy_port})", settings, python=python)
    assert call["server_port"] == free_port
    (call,) = run.calls(f"demo.launch(server_port={free_port})", settings, python=python)
    assert call["server_port"] == free_port


def test_without_a_free_port_gradio_looks_for_one_itself(run, busy_port):
    settings = HookSettings(share=None, host="127.0.0.1", port=busy_port, spare=busy_port)
    (call,) = run.calls(f"demo.launch(server_port={busy_port})", settings)
    assert call["server_port"] is None


def test_a_second_app_keeps_its_own_port(run, free_port):
    """Both at the port that was asked for would end the second."""
    calls = run.calls(
        "import socket\ndemo.launch(server_port=1)\n"
        "s = socket.create_server(('127.0.0.1', gr.calls[0]['server_port']))\n"
        "demo.launch(server_port=2)",
        HookSettings(share=None, host="127.0.0.1", port=free_port),
    )
    assert [call["server_port"] for call in calls] == [free_port, 2]


@pytest.mark.parametrize("port", ["'7860'", "'x'", "-1", "70000", "3.5"])
def test_a_port_that_is_none_is_left_to_gradio(run, port):
    (call,) = run.calls(f"demo.launch(server_port={port})", HookSettings(share=None, host="127.0.0.1", spare=9))
    assert repr(call["server_port"]) == port or call["server_port"] == 9


@pytest.mark.parametrize("arguments", ["", "server_name=None, server_port=None", "*[None] * 11"])
def test_a_host_and_a_port_that_the_code_does_not_give_are_left_to_the_environment(run, arguments):
    (call,) = run.calls(f"demo.launch({arguments})", HookSettings(share=None, host="127.0.0.1", port=7861))
    assert (call["server_name"], call["server_port"]) == (None, None)


def test_all_other_arguments_arrive_as_given(run):
    (call,) = run.calls("demo.launch(True, False, None, True, auth=['a', 'b'], theme='soft')")
    assert call == {
        "inline": True, "inbrowser": False, "share": True, "debug": True, "auth": ["a", "b"], "auth_message": None,
        "prevent_thread_lock": False, "show_error": False, "server_name": None, "server_port": None, "theme": "soft",
    }  # fmt: skip


@every_python
def test_subclasses_and_their_own_launch_still_work(run, python):
    calls = run.calls(
        "class Own(gr.Blocks):\n    def launch(self, name):\n        return super().launch(auth_message=name)\n"
        "class Plain(gr.Interface): pass\nOwn().launch('mine')\nPlain().launch()\ngr.Server().launch(debug=True)",
        python=python,
    )
    assert [(call["share"], call["auth_message"]) for call in calls] == [(True, "mine"), (True, None), (True, None)]


@every_python
def test_the_signature_and_name_of_launch_stay(run, python):
    done = run(
        "import inspect, gradio as gr\nf = gr.Blocks.launch\n"
        "print(f.__name__, f.__doc__, list(inspect.signature(f).parameters)[:4], f.__module__)",
        python=python,
    )
    assert done.stdout == "launch Launch it. ['self', 'inline', 'inbrowser', 'share'] gradio.blocks\n"


def test_the_urls_are_reported_before_launch_blocks(run):
    """The app ends the moment it would sleep: only what was reported before is on disk."""
    done = run("import gradio as gr\n\ngr.Interface(len).launch(server_name='0.0.0.0')\n", STANDIN_DIES="1")
    assert done.returncode == 3
    (launched,) = run.launched()
    assert launched.share_url == "https://0123456789abcdef.gradio.live"
    assert launched.local_url == "http://127.0.0.1:7860/"
    assert launched.share is True
    assert launched.changed == ("share", "server_name")
    assert (launched.file, launched.line) == (str(run.app), 3)
    shown = {"file": str(run.app), "line": 3, "share": True, "by_hook": ["share", "server_name"]}
    assert launched.to_json() == shown


def test_each_launch_is_reported_once(run):
    run.calls("demo.launch(prevent_thread_lock=True)\ngr.Interface(len).launch(share=True)\ndemo.block_thread()")
    assert [(launched.line, launched.changed) for launched in run.launched()] == [(3, ("share",)), (4, ())]


def test_installing_again_forgets_the_earlier_reports(run):
    run.calls("demo.launch()")
    assert len(run.launched()) == 1
    run.calls("pass")
    assert run.launched() == ()


@every_python
def test_a_machine_that_is_offline_does_not_end_the_app(run, python):
    (call,) = run.calls("demo.launch()", python=python, STANDIN_OFFLINE="1")
    assert call["share"] is True
    assert [launched.share_url for launched in run.launched()] == [None]


@every_python
def test_child_processes_are_reached(run, python):
    child = "import gradio as gr; gr.Blocks().launch(); print(gr.calls[0][\\'share\\'])"
    done = run(f"import subprocess, sys\nsubprocess.check_call([sys.executable, '-c', '{child}'])\n", python=python)
    assert (done.returncode, done.stdout) == (0, "True\n")


def test_spawned_workers_are_reached(run):
    done = run(
        "import multiprocessing\ndef go(_):\n    import gradio as gr\n    gr.Blocks().launch()\n"
        "    return gr.calls[0]['share']\nif __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool: print(pool.map(go, [1]))\n"
    )
    assert (done.returncode, done.stdout) == (0, "[True]\n")


@every_python
@pytest.mark.parametrize(
    "start",
    [
        "import os, sys\nos.execv(sys.executable, [sys.executable, {path!r}])",
        "import os, sys\nos.spawnv(os.P_WAIT, sys.executable, [sys.executable, {path!r}])",
        "import os, sys\nos.system(sys.executable + ' ' + {path!r})",
        "exec(open({path!r}).read())",
        "exec('import gradio as gr; gr.Blocks().launch(); print(gr.calls[0][\\'share\\'])')",
        "import runpy\nrunpy.run_path({path!r}, run_name='__main__')",
    ],
    ids=["execv", "spawnv", "system", "exec of a file", "exec of text", "runpy"],
)
def test_launches_out_of_reach_of_an_edit_are_reached(run, python, start, tmp_path):
    path = tmp_path / "made.py"
    path.write_text("import gradio as gr\ngr.Blocks().launch(share=False)\nprint(gr.calls[0]['share'])\n")
    done = run(start.format(path=str(path)) + "\n", python=python)
    assert (done.returncode, done.stdout) == (0, "True\n")
    assert [launched.share for launched in run.launched()] == [True]


def test_a_file_that_the_app_overwrites_when_it_runs_is_reached(run, tmp_path):
    (tmp_path / "ui.py").write_text("raise SystemExit('the old one')\n")
    done = run(
        "from pathlib import Path\nPath(__file__).with_name('ui.py').write_text('import gradio as gr\\n'\n"
        "    'gr.Blocks().launch(share=False)\\nprint(gr.calls[0][\"share\"])')\nimport ui\n"
    )
    assert (done.returncode, done.stdout) == (0, "True\n")


def test_a_launch_inside_an_installed_package_is_reached_and_placed_there(run, tmp_path):
    package = tmp_path / "site" / "widgets"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "def launch_gradio_widget():\n    import gradio\n    gradio.Blocks().launch()\n"
    )
    done = run(
        "from widgets import launch_gradio_widget\nlaunch_gradio_widget()\n"
        "import gradio\nprint(gradio.calls[0]['share'])",
        path=(package.parent, STANDIN),
    )
    assert done.stdout == "True\n"
    assert [(launched.file, launched.line) for launched in run.launched()] == [(str(package / "__init__.py"), 3)]


@pytest.mark.parametrize(
    "launch",
    [
        "import asyncio\nasync def go():\n    demo.launch(prevent_thread_lock=True, share=False)\nasyncio.run(go())",
        "import asyncio\nasyncio.run(asyncio.to_thread(demo.launch, share=False))",
        "import threading\nt = threading.Thread(target=demo.launch, kwargs={'share': False})\nt.start(); t.join()",
        "import concurrent.futures as f\nf.ThreadPoolExecutor().submit(demo.launch, None, False, False).result()",
        "import functools\nfunctools.partial(demo.launch, None, False, False)()",
        "gr.Blocks.launch(demo, share=False)",
        "getattr(demo, 'lau' + 'nch')(None, False, None)",
    ],
    ids=["async", "to_thread", "thread", "executor", "partial", "unbound", "getattr"],
)
def test_launches_that_are_handed_on_are_reached(run, launch):
    (call,) = run.calls(launch)
    assert call["share"] is True
    assert len(run.launched()) == 1


def test_children_of_an_isolated_python_are_not_reached(run):
    """What the warning about `python -I` says is so."""
    child = f"import sys; sys.path.insert(0, {str(STANDIN)!r})\nimport gradio as g\ng.Blocks().launch(share=False)\n"
    child += "print(g.calls[0]['share'])"
    done = run(f"import subprocess, sys\nsubprocess.check_call([sys.executable, '-I', '-c', {child!r}])\n")
    assert (done.stdout, run.launched()) == ("False\n", ())


@every_python
def test_nothing_is_heard_without_gradio(run, python):
    done = run("import sys\nprint('json' in sys.modules, 'inspect' in sys.modules)\n", python=python, path=())
    assert (done.returncode, done.stdout, done.stderr) == (0, "False False\n", "")
    assert not (run.hook / "launched.jsonl").exists()


def test_a_missing_gradio_is_missing_as_ever(run):
    done = run("import gradio\n", path=())
    assert "ModuleNotFoundError: No module named 'gradio'" in done.stderr


def test_a_gradio_that_fails_to_import_fails_with_its_own_error(run, tmp_path):
    broken = tmp_path / "broken" / "gradio"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("from gradio.blocks import Blocks")
    (broken / "blocks.py").write_text("from huggingface_hub_absent import HfFolder")
    done = run(
        "try:\n    import gradio\nexcept ImportError as error:\n    print(error)\n"
        "try:\n    import gradio\nexcept ImportError as error:\n    print(error)\n",
        path=(broken.parent,),
    )
    assert (done.stdout, done.stderr) == ("No module named 'huggingface_hub_absent'\n" * 2, "")


def test_a_gradio_of_unknown_shape_is_left_alone(run, tmp_path):
    odd = tmp_path / "odd" / "gradio"
    odd.mkdir(parents=True)
    (odd / "__init__.py").write_text("from gradio.blocks import Blocks\ncalls = []")
    (odd / "blocks.py").write_text("class Blocks:\n    def launch(self, *anything): print(anything)")
    done = run("import gradio\ngradio.Blocks().launch(1, 2)\n", path=(odd.parent,))
    assert (done.returncode, done.stdout, done.stderr) == (0, "(1, 2)\n", "")


@pytest.mark.parametrize("content", [None, "", "[]", '{"share": '])
def test_settings_that_cannot_be_read_change_nothing(run, content):
    install_hook(run.hook, SHARE)
    settings = run.hook / "launch.json"
    settings.unlink() if content is None else settings.write_text(content)
    (call,) = run.calls("demo.launch(debug=True)", install=False)
    assert (call["share"], call["debug"]) == (None, True)


@every_python
def test_the_sitecustomize_behind_it_still_runs_and_is_the_one_imported(run, python, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import sys\nsys.own = (__name__, __file__)\nvalue = 5\n")
    done = run(
        "import sys, sitecustomize, gradio as gr\ngr.Blocks().launch()\n"
        "print(sys.own, sitecustomize.value, gr.calls[0]['share'])",
        python=python,
        path=(own, STANDIN),
    )
    assert (done.stdout, done.stderr) == (f"('sitecustomize', '{own}/sitecustomize.py') 5 True\n", "")


def test_a_failing_sitecustomize_behind_it_fails_as_ever_and_the_hook_holds(run, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("raise ValueError('mine')\n")
    done = run("import gradio as gr\ngr.Blocks().launch()\nprint(gr.calls[0]['share'])", path=(own, STANDIN))
    assert done.stdout == "True\n"
    assert "ValueError: mine" in done.stderr


def test_a_hook_within_a_hook_counts_first(run, tmp_path):
    """An app that was started by an app: both folders are on its path."""
    outer = install_hook(tmp_path / "outer", HookSettings(share=False, host=None))
    (call,) = run.calls("demo.launch()", path=(outer, STANDIN))
    assert call["share"] is True
    assert len(run.launched()) == 1
    assert read_launched(outer) == ()


def test_the_same_folder_twice_on_the_path_does_no_harm(run, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(run.hook)
    (call,) = run.calls("demo.launch()", path=(run.hook, link, STANDIN))
    assert call["share"] is True
    assert len(run.launched()) == 1


def test_reloading_gradio_keeps_the_settings(run):
    (call,) = run.calls(
        "import importlib\nimportlib.reload(gr.blocks)\ngr.blocks.Blocks().launch()\ngr.calls = gr.blocks.calls"
    )
    assert call["share"] is True


@every_python
def test_it_costs_less_than_20_ms(run, python):
    install_hook(run.hook, SHARE)
    command = [python, "-X", "importtime", "-c", "pass"]
    environment = {**os.environ, "PYTHONPATH": str(run.hook)}
    times = []
    for _ in range(5):
        said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
        times.append(int(re.findall(r"(\d+) \|\s+sitecustomize$", said, re.MULTILINE)[0]))
    print(f"{python}: {min(times) / 1000:.1f} ms")
    assert min(times) < 20_000  # microseconds


def test_a_report_of_anything_else_is_left_out(tmp_path):
    good = {"local_url": "http://x/", "file": "/a.py", "line": 3, "pid": 4, "changed": "x", "share": "yes"}
    lines = [b"\xff", b"[1]", b"{}", b'{"problem": "x"}', b"[" * 10_000, json.dumps(good).encode(), b'{"local_url": 3}']
    (tmp_path / "launched.jsonl").write_bytes(b"\n".join(lines))
    assert read_launched(tmp_path) == (Launched("http://x/", None, None, (), "/a.py", 3, 4),)


def test_without_a_report_nothing_was_launched(tmp_path):
    assert read_launched(tmp_path / "absent") == ()
