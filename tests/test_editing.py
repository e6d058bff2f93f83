"""The edit in the clone: made, remembered, taken out again, and never mistaken for the user's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spacerun import editing
from spacerun.errors import RefusedError
from spacerun.space.tree import Checkout
from spacerun.space.update import changes
from tests.space.conftest import make_machine

if TYPE_CHECKING:
    from tests.hub import Hub
    from tests.space.conftest import Machine

PYTHON = Path(sys.executable)
APP = """\
import gradio as gr

TITLE = "one"

demo = gr.Interface(str, "text", "text", title=TITLE)
# a comment
# another comment
# and another
demo.launch()
"""
EDITED = APP.replace("demo.launch()", "demo.launch(share=True)")
FILES = {"README.md": "---\nsdk: gradio\n---\n", "app.py": APP, "other.txt": "other\n"}


@pytest.fixture
def machine(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return make_machine(hub, tmp_path, monkeypatch)


def edit(checkout: Checkout, *, share: bool = True, in_use: bool = False) -> editing.SourceEdit:
    decided = editing.decide(checkout, "app.py", share=share, host="127.0.0.1", in_use=in_use)
    return editing.apply(checkout, decided, PYTHON)


def app(checkout: Checkout) -> str:
    return (checkout.directory / "app.py").read_text()


def changed(checkout: Checkout) -> tuple[str, ...]:
    return changes(checkout, editing.unedited).paths


@pytest.fixture(params=["tree", "directory"])
def chosen(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "chosen" if request.param == "directory" else None


def test_the_edit_is_made_and_is_no_change_of_the_users(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", FILES)
    checkout = machine.get("owner/hello")
    decision = edit(checkout)
    assert app(checkout) == EDITED
    assert [(rewrite.how, rewrite.line) for rewrite in decision.rewrites] == [("edit", 9)]
    assert changed(checkout) == ()
    assert editing.unedited(checkout.directory) == {"app.py": APP.encode()}


def test_nothing_is_written_by_deciding(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", FILES)
    checkout = machine.get("owner/hello")
    editing.decide(checkout, "app.py", share=True, host="127.0.0.1", in_use=False)
    assert app(checkout) == APP
    assert editing.unedited(checkout.directory) == {}


def test_the_edit_follows_the_wish(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", FILES)
    checkout = machine.get("owner/hello")
    for share, text in ((True, EDITED), (True, EDITED), (False, APP), (True, EDITED), (False, APP)):
        edit(checkout, share=share)
        assert app(checkout) == text
        assert changed(checkout) == ()


def test_mode_and_line_ends_stay(hub: Hub, machine: Machine) -> None:
    from tests.hub import Executable

    raw = b"\xef\xbb\xbf" + APP.replace("\n", "\r\n").encode()
    hub.publish("owner/hello", {**FILES, "app.py": Executable(raw)})
    checkout = machine.get("owner/hello")
    edit(checkout)
    path = checkout.directory / "app.py"
    assert path.read_bytes() == raw.replace(b"launch()", b"launch(share=True)")
    assert os.access(path, os.X_OK)
    assert changed(checkout) == ()


def test_a_tree_in_use_is_left_to_the_hook(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", FILES)
    checkout = machine.get("owner/hello")
    decision = edit(checkout, in_use=True)
    assert app(checkout) == APP
    assert {rewrite.how for rewrite in decision.rewrites} == {"hook"}


def test_a_local_folder_is_left_to_the_hook(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    decision = edit(Checkout(str(tmp_path), None, tmp_path))
    assert (tmp_path / "app.py").read_text() == APP
    assert {rewrite.how for rewrite in decision.rewrites} == {"hook"}
    assert [path.name for path in tmp_path.iterdir()] == ["app.py"]


def test_what_the_spaces_python_cannot_compile_is_left_to_the_hook(hub: Hub, machine: Machine, tmp_path: Path) -> None:
    refusing = tmp_path / "python"
    refusing.write_text("#!/bin/sh\necho 'invalid syntax (app.py, line 1)'; exit 1\n")
    refusing.chmod(0o755)
    hub.publish("owner/hello", FILES)
    checkout = machine.get("owner/hello")
    decided = editing.decide(checkout, "app.py", share=True, host="127.0.0.1", in_use=False)
    decision = editing.apply(checkout, decided, refusing)
    assert app(checkout) == APP
    assert [rewrite.how for rewrite in decision.rewrites] == ["hook"]
    assert "does not compile" in decision.rewrites[0].why


def test_the_edit_goes_before_an_update_and_comes_again(hub: Hub, machine: Machine, chosen: Path | None) -> None:
    hub.publish("owner/hello", FILES)
    edit(machine.get("owner/hello", directory=chosen))
    newer = APP.replace("one", "two").replace("demo.launch()", "demo.launch(debug=True)")
    hub.publish("owner/hello", {"app.py": newer})
    after = machine.get("owner/hello", directory=chosen)
    assert app(after) == newer
    assert changed(after) == ()
    edit(after)
    assert app(after) == newer.replace("debug=True", "share=True, debug=True")
    assert machine.progress.notes == []


def test_a_change_beside_the_edit_is_the_users_and_carried_without_it(
    hub: Hub, machine: Machine, chosen: Path | None
) -> None:
    hub.publish("owner/hello", FILES)
    checkout = machine.get("owner/hello", directory=chosen)
    edit(checkout)
    path = checkout.directory / "app.py"
    path.write_text(EDITED.replace("one", "mine"))
    assert changed(checkout) == ("app.py",)
    assert editing.unedited(checkout.directory) == {"app.py": APP.replace("one", "mine").encode()}
    hub.publish("owner/hello", {"other.txt": "theirs\n"})
    after = machine.get("owner/hello", directory=chosen)
    assert app(after) == APP.replace("one", "mine")
    edit(after)
    assert app(after) == EDITED.replace("one", "mine")


def test_a_change_beside_the_edit_is_refused_when_upstream_changed_the_file(
    hub: Hub, machine: Machine, chosen: Path | None
) -> None:
    hub.publish("owner/hello", FILES)
    checkout = machine.get("owner/hello", directory=chosen)
    edit(checkout)
    (checkout.directory / "app.py").write_text(EDITED.replace("one", "mine"))
    hub.publish("owner/hello", {"app.py": APP.replace("one", "theirs")})
    with pytest.raises(RefusedError, match=r"app\.py was changed here"):
        machine.get("owner/hello", directory=chosen)
    assert app(checkout) == EDITED.replace("one", "mine")  # as it was, edit and all


def test_upstream_makes_the_same_change_as_the_user_beside_the_edit(
    hub: Hub, machine: Machine, chosen: Path | None
) -> None:
    hub.publish("owner/hello", FILES)
    checkout = machine.get("owner/hello", directory=chosen)
    edit(checkout)
    (checkout.directory / "app.py").write_text(EDITED.replace("one", "same"))
    commit = hub.publish("owner/hello", {"app.py": APP.replace("one", "same")})
    after = machine.get("owner/hello", directory=chosen)
    assert (after.commit, app(after), changed(after)) == (commit, APP.replace("one", "same"), ())


def test_a_change_of_the_edited_line_itself_is_the_users(hub: Hub, machine: Machine, chosen: Path | None) -> None:
    hub.publish("owner/hello", FILES)
    checkout = machine.get("owner/hello", directory=chosen)
    edit(checkout)
    mine = EDITED.replace("share=True", 'share=True, auth=("me", "secret")')
    (checkout.directory / "app.py").write_text(mine)
    assert changed(checkout) == ("app.py",)
    hub.publish("owner/hello", {"other.txt": "theirs\n"})
    after = machine.get("owner/hello", directory=chosen)
    edit(after)
    assert app(after) == mine


def test_what_the_user_types_between_decision_and_edit_is_kept(hub: Hub, machine: Machine) -> None:
    """An environment takes minutes to make; the file may be open in an editor."""
    hub.publish("owner/hello", FILES)
    checkout = machine.get("owner/hello")
    decided = editing.decide(checkout, "app.py", share=True, host="127.0.0.1", in_use=False)
    mine = APP.replace("one", "typed meanwhile")
    (checkout.directory / "app.py").write_text(mine)
    decision = editing.apply(checkout, decided, PYTHON)
    assert app(checkout) == mine
    assert [rewrite.how for rewrite in decision.rewrites] == ["hook"]
    edit(checkout)
    assert app(checkout) == mine.replace("launch()", "launch(share=True)")
    assert changed(checkout) == ("app.py",)


KILLED = """
import os, sys
from pathlib import Path
from spacerun import editing, paths
from spacerun.space.tree import checkout_of
checkout = checkout_of("owner/hello", Path(sys.argv[1]))
share, survive = sys.argv[2] == "True", int(sys.argv[3])
writes = 0
replace = Path.replace
def die(self, target):
    global writes
    writes += 1
    if writes > survive:
        os._exit(9)
    return replace(self, target)
Path.replace = die
decided = editing.decide(checkout, "app.py", share=share, host="127.0.0.1", in_use=False)
editing.apply(checkout, decided, Path(sys.executable))
"""


@pytest.mark.parametrize("survive", range(3))
@pytest.mark.parametrize("share", [True, False])
def test_a_kill_between_any_two_writes_leaves_no_edit_of_unknown_origin(
    hub: Hub, machine: Machine, share: bool, survive: int
) -> None:
    hub.publish("owner/hello", FILES)
    checkout = machine.get("owner/hello")
    edit(checkout, share=not share)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(checkout.directory), str(share), str(survive)],
        cwd=Path(__file__).parents[1],
        check=False,
    )
    assert done.returncode in {0, 9}
    assert app(checkout) in {APP, EDITED}
    assert changed(checkout) == ()
    assert editing.unedited(checkout.directory).get("app.py", APP.encode()) == APP.encode()
    edit(checkout, share=True)
    assert (app(checkout), changed(checkout)) == (EDITED, ())


def test_nothing_but_the_file_itself_is_left_in_the_tree(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", FILES)
    checkout = machine.get("owner/hello")
    before = sorted(path.name for path in checkout.directory.iterdir())
    edit(checkout)
    assert sorted(path.name for path in checkout.directory.iterdir()) == before
