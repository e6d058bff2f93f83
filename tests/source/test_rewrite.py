from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path

import pytest

from spacerun.source.compiling import compiles
from spacerun.source.launch_calls import find_launch_calls
from spacerun.source.patch import Edit, restore, unified_diff
from spacerun.source.project import read_project
from spacerun.source.rewrite import edit_launch_calls
from tests.source.cases import CASES, Case
from tests.source.pythons import OTHER_PYTHONS

STANDIN = Path(__file__).parent / "standin"
HOST = "127.0.0.1"
PLACED = re.compile("third positional|behind share|behind three|in parentheses")
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_call = pytest.mark.parametrize("case", [case for case in CASES if case.runs], ids=lambda case: case.name)


def edited(source: bytes, *, share: bool = True, host: str | None = HOST) -> Edit:
    return edit_launch_calls("app.py", source, share=share, host=host)


@pytest.fixture
def launched(monkeypatch):
    """Runs a source as `__main__` beside the stand-in; returns what each `launch` received."""

    def run(source: bytes) -> list[dict]:
        for name in [name for name in sys.modules if name.partition(".")[0] == "gradio"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.syspath_prepend(str(STANDIN))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(source, "app.py", "exec", dont_inherit=True), {"__name__": "__main__"})
        calls = [dict(call) for call in sys.modules["gradio"].calls] if "gradio" in sys.modules else []
        for name in [name for name in sys.modules if name.partition(".")[0] == "gradio"]:
            del sys.modules[name]
        return [
            {
                name: value if isinstance(value, str | bool | int | None | tuple) else type(value)
                for name, value in call.items()
            }
            for call in calls
        ]

    return run


def test_there_are_enough_cases_and_no_two_are_the_same():
    assert len(CASES) >= 120
    assert len({case.name for case in CASES}) == len({case.source for case in CASES}) == len(CASES)


@every_case
def test_as_many_calls_are_edited_and_left_to_the_hook_as_the_case_says(case: Case):
    edit = edited(case.source)
    hows = [rewrite.how for rewrite in edit.rewrites]
    assert (hows.count("edit"), hows.count("hook")) == (case.edits, case.hooks)
    assert (edit.edited != case.source) is (case.edits > 0)
    for rewrite in edit.rewrites:
        assert rewrite.why.endswith(".")
        assert rewrite.file == "app.py"
        assert rewrite.before != rewrite.after


@every_call
def test_launch_receives_share_and_the_host_and_everything_else_as_before(case: Case, launched):
    before, after = launched(case.source), launched(edited(case.source).edited)
    if case.hooks:
        assert after == before
    else:
        wanted = [{**call, "share": True, "server_name": call["server_name"] and HOST} for call in before]
        assert after == wanted
        assert after


@every_call
def test_without_share_no_launch_receives_true(case: Case, launched):
    before, after = launched(case.source), launched(edited(case.source, share=False, host=None).edited)
    if case.hooks:
        assert after == before
    else:
        assert [{**call, "share": bool(call["share"])} for call in after] == [
            {**call, "share": False} for call in before
        ]


@every_case
@pytest.mark.parametrize("share", [True, False])
def test_editing_twice_changes_nothing_more(case: Case, share: bool):
    once = edited(case.source, share=share)
    twice = edited(once.edited, share=share)
    assert twice.edited == once.edited
    assert not [rewrite for rewrite in twice.rewrites if rewrite.how == "edit"]


@every_case
def test_restoring_gives_the_exact_bytes(case: Case):
    edit = edited(case.source)
    assert restore(edit.edited, edit) == case.source


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.edits and b"share" not in case.source and not PLACED.search(case.name)],
    ids=lambda case: case.name,
)
def test_nothing_is_touched_but_by_inserting_share(case: Case):
    result = edited(case.source, host=None).edited
    # A blank is ours too where the author's own trailing comma was used.
    without = [re.subn(pattern, b"", result) for pattern in (rb"share=True, |, share=True|share=True", rb" share=True")]
    without.append(re.subn(rb'\*\*\{\*\*\(?(.*?)\)?, "share": True\}', rb"**\1", result))
    assert (case.source, case.edits) in without


@pytest.mark.parametrize("python", OTHER_PYTHONS, ids=str)
def test_the_edited_sources_compile_in_another_python(python: Path):
    for case in CASES[::5]:
        if case.edits and b"match" not in case.source and b":=" not in case.source:
            assert compiles(python, edited(case.source).edited, "app.py") is None


def test_the_reason_names_the_file_and_line():
    said = compiles(Path(sys.executable), b"a = 1\nlaunch(share=True, share=False)\n", "app.py")
    assert said == "keyword argument repeated: share (app.py, line 2)"


def test_a_python_that_is_not_there_does_not_compile():
    assert "no-such-python" in (compiles(Path("/no-such-python"), b"", "app.py") or "")


def test_compiling_runs_nothing(tmp_path):
    trace = tmp_path / "trace"
    (tmp_path / "sitecustomize.py").write_text(f"open({str(trace)!r}, 'w')")
    assert compiles(Path(sys.executable), f"open({str(trace)!r}, 'w')".encode(), "app.py") is None
    assert not trace.exists()


def test_a_rewrite_shows_the_line_before_and_after_with_the_reasons():
    source = b"import gradio as gr\n\ndemo = gr.Blocks()\ndemo.launch(debug=True, share=False, server_name='0.0.0.0')\n"
    (rewrite,) = edited(source).rewrites
    assert rewrite.line == 4
    assert rewrite.before == "demo.launch(debug=True, share=False, server_name='0.0.0.0')"
    assert rewrite.after == 'demo.launch(debug=True, share=True, server_name="127.0.0.1")'
    assert rewrite.why == "Share was False; server_name='0.0.0.0' gives way to --host."


def test_the_reason_for_the_hook_says_what_is_in_the_way():
    source = b"import gradio as gr\nkw = {}\ngr.Blocks().launch(**kw, **kw)\n"
    (rewrite,) = edited(source).rewrites
    assert rewrite.after == "gr.Blocks().launch(**kw, **kw) with share=True"
    assert rewrite.why == "Not edited, because share may be in one of several **kwargs."


def test_where_nothing_may_be_written_the_hook_takes_every_rewrite():
    edit = edited(b"import gradio as gr\nkw = []\ngr.Blocks().launch(*kw)\ngr.Blocks().launch()\n")
    by_hook = edit.by_hook("The folder is yours.").rewrites
    assert [rewrite.how for rewrite in by_hook] == ["hook", "hook"]
    assert [rewrite.why for rewrite in by_hook] == [edit.rewrites[0].why, "The folder is yours."]
    assert by_hook[1].after == "gr.Blocks().launch(share=True)"


def test_the_share_form_of_each_call_is_named():
    source = (
        b"import gradio as gr\nd = gr.Blocks()\nx = []\nd.launch()\nd.launch(share=False)\nd.launch(share=x)\n"
        b"d.launch(1, 2, 3)\nd.launch(**x)\nd.launch(*x)\n"
    )
    calls = find_launch_calls(read_project("app.py", {"app.py": source}.get)).calls["app.py"]
    assert [call.share for call in calls] == [
        "absent", "literal", "expression", "positional", "in **kwargs", "in *args"
    ]  # fmt: skip
    assert [call.line for call in calls] == [4, 5, 6, 7, 8, 9]


def test_the_diff_shows_the_line_and_no_escape_of_the_author():
    source = "import gradio as gr\nt = '\x1b[31m\u202e'\ngr.Blocks().launch()\n".encode()
    diff = unified_diff(edited(source))
    assert diff == (
        "--- a/app.py\n+++ b/app.py\n@@ -1,3 +1,3 @@\n import gradio as gr\n t = ''\n"
        "-gr.Blocks().launch()\n+gr.Blocks().launch(share=True)\n"
    )


def test_the_diff_of_nothing_is_empty():
    assert unified_diff(edited(b"x = 1\n")) == ""


LONG = (
    b"import gradio as gr\n# a\n# b\n# c\n# d\ndemo = gr.Blocks()\n# e\n# f\n# g\n"
    b"demo.launch()\n# h\n# i\n# j\nlast = 1\n"
)


def test_what_the_user_changed_since_stays_when_our_edit_goes():
    edit = edited(LONG)
    changed = edit.edited.replace(b"# b\n", b"print('mine')\n").replace(b"last = 1", b"last = 2")
    assert restore(changed, edit) == LONG.replace(b"# b\n", b"print('mine')\n").replace(b"last = 1", b"last = 2")


def test_line_ends_survive_a_merge():
    source = LONG.replace(b"\n", b"\r\n")
    edit = edited(source)
    assert restore(edit.edited.replace(b"# b", b"# mine"), edit) == source.replace(b"# b", b"# mine")


def test_a_file_already_restored_by_the_user_stays():
    assert restore(LONG, edited(LONG)) == LONG


def test_a_change_to_the_same_line_is_a_conflict():
    edit = edited(LONG)
    assert restore(edit.edited.replace(b"share=True", b"share=True, debug=True"), edit) is None


def test_restoring_heeds_no_git_variables_of_the_caller(monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "absent"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "absent too"))
    edit = edited(LONG)
    assert restore(edit.edited.replace(b"# b", b"# mine"), edit) == LONG.replace(b"# b", b"# mine")


def test_a_change_beside_our_line_is_none_to_it():
    edit = edited(b"import gradio as gr\ngr.Blocks().launch()\n")
    assert restore(edit.edited + b"print('mine')\n", edit) == edit.original + b"print('mine')\n"
    assert restore(b"print('mine')\n" + edit.edited, edit) == b"print('mine')\n" + edit.original


def test_our_line_twice_is_the_users():
    edit = edited(b"import gradio as gr\ngr.Blocks().launch()\n")
    assert restore(edit.edited + b"gr.Blocks().launch(share=True)\n", edit) is None


def test_without_git_our_lines_are_put_back(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    edit = edited(LONG)
    assert restore(edit.edited + b"# mine\n", edit) == LONG + b"# mine\n"


@pytest.mark.parametrize("host", ["0.0.0.0", "::1", 'a"b\\c'])
def test_the_host_is_written_as_a_string_whatever_it_is(host, launched):
    source = b"import gradio as gr\ngr.Blocks().launch(server_name='10.0.0.1')\n"
    assert launched(edited(source, host=host).edited)[0]["server_name"] == host


def test_without_a_host_the_name_stays():
    source = b"import gradio as gr\ngr.Blocks().launch(share=True, server_name='0.0.0.0')\n"
    assert edited(source, host=None).edited == source
