"""Edits in a clone: several files, remembered, and taken out without losing anyone's work."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from spacerun import editing
from spacerun.paths import read_json, write_atomic, write_json
from spacerun.source.rewrite import Wanted
from spacerun.space.tree import Checkout, TreeState, read_state, state_file, write_state

PYTHON = Path(sys.executable)
APP = b"import gradio as gr\nimport ui\n# a\n# b\n# c\ngr.Blocks().launch()\n# d\n# e\n# f\n"
UI = b"import gradio as gr\ngr.Blocks().launch(share=False)\n"
EDITED_APP, EDITED_UI = APP.replace(b"launch()", b"launch(share=True)"), UI.replace(b"False", b"True")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A clone of a Space with two files that launch."""
    monkeypatch.setenv("SPACERUN_HOME", str(tmp_path / "home"))
    tree = tmp_path / "tree"
    (tree / ".git").mkdir(parents=True)
    (tree / "app.py").write_bytes(APP)
    (tree / "ui.py").write_bytes(UI)
    write_state(tree, TreeState("0" * 40))
    return Checkout("owner/name", "0" * 40, tree, tree / ".git")


def decide(checkout: Checkout, *, share: bool = True, in_use: bool = False) -> editing.SourceEdit:
    return editing.decide(checkout, "app.py", Wanted(share, "127.0.0.1"), in_use=in_use)


def launch(checkout: Checkout, *, share: bool = True) -> editing.SourceEdit:
    return editing.apply(checkout, decide(checkout, share=share), PYTHON)


def contents(checkout: Checkout) -> tuple[bytes, bytes]:
    return (checkout.directory / "app.py").read_bytes(), (checkout.directory / "ui.py").read_bytes()


def test_every_file_is_edited_and_known_without_its_edit(checkout: Checkout) -> None:
    decision = decide(checkout)
    assert contents(checkout) == (APP, UI)
    applied = editing.apply(checkout, decision, PYTHON)
    assert contents(checkout) == (EDITED_APP, EDITED_UI)
    assert [(r.file, r.how) for r in applied.rewrites] == [("app.py", "edit"), ("ui.py", "edit")]
    assert editing.unedited(checkout.directory) == {"app.py": APP, "ui.py": UI}


def test_a_second_launch_edits_nothing_twice(checkout: Checkout) -> None:
    launch(checkout)
    before = state_file(checkout.directory).read_bytes()
    assert launch(checkout).rewrites[0].before == "gr.Blocks().launch()"
    assert contents(checkout) == (EDITED_APP, EDITED_UI)
    assert state_file(checkout.directory).read_bytes() == before


def test_what_is_no_longer_wanted_goes_from_every_file(checkout: Checkout) -> None:
    launch(checkout)
    launch(checkout, share=False)
    assert contents(checkout) == (APP, UI)
    assert editing.unedited(checkout.directory) == {}


def test_a_file_that_no_longer_belongs_to_the_app_gets_its_own_text_back(checkout: Checkout) -> None:
    launch(checkout)
    (checkout.directory / "app.py").write_bytes(EDITED_APP.replace(b"import ui\n", b"import os\n"))
    launch(checkout)
    assert contents(checkout) == (EDITED_APP.replace(b"import ui\n", b"import os\n"), UI)
    assert set(editing.unedited(checkout.directory)) == {"app.py"}


def test_the_users_own_changes_stay_in_every_file(checkout: Checkout) -> None:
    launch(checkout)
    (checkout.directory / "app.py").write_bytes(EDITED_APP.replace(b"# a\n", b"print('mine')\n"))
    (checkout.directory / "ui.py").write_bytes(EDITED_UI.replace(b"True", b"True, debug=True"))
    assert editing.unedited(checkout.directory) == {
        "app.py": APP.replace(b"# a\n", b"print('mine')\n"),
        "ui.py": EDITED_UI.replace(b"True", b"True, debug=True"),  # on the very line: the user's now
    }
    launch(checkout, share=False)
    assert contents(checkout)[0] == APP.replace(b"# a\n", b"print('mine')\n")
    assert b"debug=True" in contents(checkout)[1]


@pytest.mark.parametrize("writes", range(4))
@pytest.mark.parametrize("share", [True, False])
def test_a_kill_at_any_moment_loses_nothing(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, writes: int, share: bool
) -> None:
    """Killed before the given write of a second launch, whose edits differ from those of the first."""
    editing.apply(checkout, editing.decide(checkout, "app.py", Wanted(share=True, host="::1"), in_use=False), PYTHON)
    (checkout.directory / "ui.py").write_bytes(EDITED_UI + b"# mine\n")
    left = writes

    def mortal(write):
        def dying(*arguments, **options):
            nonlocal left
            if not left:
                raise KeyboardInterrupt
            left -= 1
            write(*arguments, **options)

        return dying

    with monkeypatch.context() as patched:
        patched.setattr(editing, "write_atomic", mortal(write_atomic))
        patched.setattr("spacerun.space.tree.write_json", mortal(write_json))
        with contextlib.suppress(KeyboardInterrupt):
            launch(checkout, share=share)
    assert {"app.py": APP, "ui.py": UI + b"# mine\n"} | dict(editing.unedited(checkout.directory)) == {
        "app.py": APP,
        "ui.py": UI + b"# mine\n",
    }
    launch(checkout, share=False)
    assert contents(checkout) == (APP, UI + b"# mine\n")


def test_the_record_of_an_older_version_is_still_understood(checkout: Checkout) -> None:
    launch(checkout)
    raw = read_json(state_file(checkout.directory))
    (pair,) = raw.pop("edits")["app.py"]
    write_json(state_file(checkout.directory), raw | {"edit": {"file": "app.py", **pair}})
    assert editing.unedited(checkout.directory) == {"app.py": APP}
    state = read_state(checkout.directory)
    assert state is not None
    assert set(state.edits) == {"app.py"}


@pytest.mark.parametrize("local", [True, False])
def test_a_local_folder_and_a_tree_in_use_are_never_written(checkout: Checkout, local: bool) -> None:
    place = replace(checkout, git_dir=None) if local else checkout
    applied = editing.apply(place, decide(place, in_use=not local), PYTHON)
    assert contents(checkout) == (APP, UI)
    assert {rewrite.how for rewrite in applied.rewrites} == {"hook"}
    assert [edit.edited for edit in applied.edits] == [EDITED_APP, EDITED_UI]


def test_a_link_is_left_alone_wherever_it_leads(checkout: Checkout, tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_bytes(UI)
    (checkout.directory / "ui.py").unlink()
    (checkout.directory / "ui.py").symlink_to(outside)
    launch(checkout)
    assert (outside.read_bytes(), contents(checkout)[0]) == (UI, EDITED_APP)
    (checkout.directory / "ui.py").unlink()
    (checkout.directory / "real.py").write_bytes(UI)
    (checkout.directory / "ui.py").symlink_to("real.py")
    linked = launch(checkout).edits[1]
    assert (linked.file, linked.rewrites[0].how) == ("ui.py", "hook")
    assert (checkout.directory / "real.py").read_bytes() == UI


def test_an_edit_that_the_spaces_python_refuses_is_left_to_the_hook(checkout: Checkout, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nfor last; do :; done\n[ $last = app.py ] && exit 0\necho too old\nexit 1\n")
    python.chmod(0o755)
    applied = editing.apply(checkout, decide(checkout), python)
    assert contents(checkout) == (EDITED_APP, UI)
    assert [(r.how, r.why) for r in applied.rewrites][1] == ("hook", "The edit does not compile: too old.")


def test_the_mode_of_a_file_stays(checkout: Checkout) -> None:
    (checkout.directory / "app.py").chmod(0o755)
    launch(checkout)
    assert (checkout.directory / "app.py").stat().st_mode & 0o777 == 0o755


def test_children_that_the_hook_does_not_reach_are_warned_of(checkout: Checkout) -> None:
    source = b"import subprocess, sys\nsubprocess.run([sys.executable, '-I', 'ui.py'])\n"
    (checkout.directory / "app.py").write_bytes(source)
    (warning,) = decide(checkout).warnings
    assert warning.startswith(
        "app.py:2 starts Python where the start-up hook does not reach: it starts Python with -I."
    )
