"""Nothing of the user's is ever lost: changes survive updates, or the update is refused and nothing is written."""

from __future__ import annotations

import shlex
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from spacerun import editing
from spacerun.errors import ExitCode, RefusedError
from spacerun.space.update import changes
from tests.hub import Executable, Symlink
from tests.space.conftest import FILES, contents, everything, published

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.space.tree import Checkout
    from tests.hub import Hub
    from tests.space.conftest import Machine

WEIGHTS = bytes(range(256)) * 400
BASE: dict[str, str | bytes] = {
    **FILES,
    "a.bin": WEIGHTS,
    "b.bin": WEIGHTS[1:],
    "gone.txt": "delete me\n",
    "settings.json": "{}\n",
    "folder/inner.txt": "inner\n",
    ".gitignore": "*.log\nsecret.env\noutputs/\n",
}


@pytest.fixture(params=["tree", "directory"])
def chosen(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """A tree for each commit, or one folder of the user's brought from commit to commit."""
    return tmp_path / "chosen folder" if request.param == "directory" else None


def get(machine: Machine, chosen: Path | None) -> Checkout:
    return machine.get("owner/hello", directory=chosen)


def paths(checkout: Checkout) -> set[str]:
    return set(changes(checkout, editing.unedited).paths)


def test_an_unchanged_tree_is_brought_to_the_new_commit(hub: Hub, machine: Machine, chosen: Path | None) -> None:
    hub.publish("owner/hello", BASE)
    assert paths(get(machine, chosen)) == set()
    update = {
        "app.py": Executable(b"print(2)\n"),
        "data/notes.txt": None,
        "folder": "a file now\n",
        "folder/inner.txt": None,
        "settings.json": None,
        "settings.json/deep/x.txt": "a folder now\n",
        "a.bin": WEIGHTS[2:],
        "new/link": Symlink("../app.py"),
    }
    commit = hub.publish("owner/hello", {**update, "folder/inner.txt": None, "folder": "a file now\n"})
    after = get(machine, chosen)
    assert after.commit == commit
    expected = published({path: text for path, text in BASE.items() if path not in update})
    expected |= {"app.py": b"print(2)\n", "folder": b"a file now\n", "settings.json/deep/x.txt": b"a folder now\n"}
    expected |= {"a.bin": WEIGHTS[2:], "new/link": b"-> ../app.py"}
    assert contents(after.directory) == expected
    assert (after.directory / "app.py").stat().st_mode & 0o111
    assert not (after.directory / "data").exists()
    assert paths(after) == set()
    status = subprocess.run(
        ["git", "-C", str(after.directory), "status", "--porcelain", "--", ":!*.bin"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert status.stdout == ""


def test_changes_survive_an_update(hub: Hub, machine: Machine, chosen: Path | None) -> None:
    hub.publish("owner/hello", BASE)
    before = get(machine, chosen)
    tree = before.directory
    (tree / "settings.json").write_text('{"mine": true}\n')
    (tree / "b.bin").write_bytes(b"my own weights")
    (tree / "gone.txt").unlink()
    (tree / "new file ü.txt").write_text("new\n")
    (tree / "outputs").mkdir()
    (tree / "outputs/picture.png").write_bytes(b"\x89PNG")
    (tree / "secret.env").write_text("TOKEN=mine\n")
    (tree / "folder/inner.txt").chmod(0o755)
    (tree / "my link").symlink_to("/etc/hostname")
    (tree / "data/__pycache__").mkdir()
    (tree / "data/__pycache__/x.pyc").write_bytes(b"bytecode")
    mine = {"settings.json", "b.bin", "gone.txt", "new file ü.txt", "outputs/picture.png", "secret.env"}
    mine |= {"folder/inner.txt", "my link"}
    assert paths(before) == mine

    commit = hub.publish("owner/hello", {"app.py": b"print(2)\n", "a.bin": WEIGHTS[2:], "upstream.txt": "theirs\n"})
    after = get(machine, chosen)
    assert after.commit == commit
    expected = published(BASE) | {"app.py": b"print(2)\n", "a.bin": WEIGHTS[2:], "upstream.txt": b"theirs\n"}
    expected |= {"settings.json": b'{"mine": true}\n', "b.bin": b"my own weights", "new file ü.txt": b"new\n"}
    expected |= {"outputs/picture.png": b"\x89PNG", "secret.env": b"TOKEN=mine\n", "my link": b"-> /etc/hostname"}
    del expected["gone.txt"]
    found = contents(after.directory)
    found.pop("data/__pycache__/x.pyc", None)
    assert found == expected
    assert (after.directory / "folder/inner.txt").stat().st_mode & 0o777 == 0o755
    assert paths(after) == mine
    if chosen is None:
        assert tree != after.directory
        assert paths(before) == mine  # and the tree before is as it was
        assert machine.progress.notes == ["Carried 8 changed files over from the tree before."]


def test_changes_are_carried_from_update_to_update(hub: Hub, machine: Machine, chosen: Path | None) -> None:
    hub.publish("owner/hello", BASE)
    (get(machine, chosen).directory / "settings.json").write_text("mine")
    for number in range(3):
        hub.publish("owner/hello", {"app.py": f"print({number})\n"})
        after = get(machine, chosen)
        assert (after.directory / "settings.json").read_text() == "mine"
        assert (after.directory / "app.py").read_text() == f"print({number})\n"


def test_a_repository_inside_the_tree_survives(hub: Hub, machine: Machine, chosen: Path | None) -> None:
    """As apps make that clone their code when they start."""
    hub.publish("owner/hello", BASE)
    before = get(machine, chosen)
    nested = before.directory / "third-party"
    subprocess.run(["git", "init", "-q", str(nested)], check=True)
    (nested / "code.py").write_text("theirs")
    assert paths(before) == {"third-party/"}
    hub.publish("owner/hello", {"app.py": "2"})
    after = get(machine, chosen)
    assert (after.directory / "third-party/code.py").read_text() == "theirs"
    assert (after.directory / "third-party/.git").is_dir()


CONFLICTS = {
    "both changed": (lambda tree: (tree / "settings.json").write_text("mine\n"), {"settings.json": "theirs\n"}),
    "both made": (lambda tree: (tree / "new.txt").write_text("mine\n"), {"new.txt": "theirs\n"}),
    "an ignored file": (lambda tree: (tree / "secret.env").write_text("mine\n"), {"secret.env": "theirs\n"}),
    "deleted upstream": (lambda tree: (tree / "settings.json").write_text("mine\n"), {"settings.json": None}),
    "deleted here": (lambda tree: (tree / "settings.json").unlink(), {"settings.json": "theirs\n"}),
    "a large file": (lambda tree: (tree / "a.bin").write_bytes(b"mine"), {"a.bin": WEIGHTS[3:]}),
    "a name with blanks": (lambda tree: (tree / "it's new.txt").write_text("mine\n"), {"it's new.txt": "theirs\n"}),
    "a folder where upstream has a file": (
        lambda tree: ((tree / "thing").mkdir(), (tree / "thing/mine.txt").write_text("mine\n")),
        {"thing": "a file\n"},
    ),
    "a file where upstream has a folder": (
        lambda tree: (tree / "thing").write_text("mine\n"),
        {"thing/theirs.txt": "theirs\n"},
    ),
    "a folder that is a link upstream": (
        lambda tree: (tree / "folder/mine.txt").write_text("mine\n"),
        {"folder/inner.txt": None, "folder": Symlink("data")},
    ),
    "the mode": (lambda tree: (tree / "settings.json").write_text("mine\n"), {"settings.json": Executable(b"{}\n")}),
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_what_both_changed_is_refused_and_nothing_is_written(
    hub: Hub, machine: Machine, chosen: Path | None, name: str
) -> None:
    change, upstream = CONFLICTS[name]
    first = hub.publish("owner/hello", BASE)
    before = get(machine, chosen)
    change(before.directory)
    (before.directory / "also mine.txt").write_text("mine too\n")
    kept = {path: what for path, what in everything(before.directory).items() if not path.startswith(".git/")}
    second = hub.publish("owner/hello", {"app.py": "print(2)\n", **upstream})
    with pytest.raises(RefusedError, match=r"was changed here, and upstream as well since \w{8}: ") as raised:
        get(machine, chosen)
    assert raised.value.exit_code == ExitCode.REFUSED
    now = {path: what for path, what in everything(before.directory).items() if not path.startswith(".git/")}
    assert now == kept
    trees = machine.home / "spaces/owner--hello/trees"
    assert not trees.exists() or not (trees / second).exists()

    # The command that the hint names runs, and shows the difference.
    hint = raised.value.hint or ""
    command = hint.removeprefix("See both with: ").partition(" ; ")[0]
    assert command.startswith("git -C ")
    shown = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True).stdout
    assert "diff --git" in shown
    assert "+" in shown or "-" in shown
    # And the way out that it names is one: the commit before can still be launched, as it is here.
    assert f"owner/hello@{first}" in hint
    if chosen is None:
        assert machine.get(f"owner/hello@{first}").directory == before.directory


def test_the_same_change_on_both_sides_is_no_conflict(hub: Hub, machine: Machine, chosen: Path | None) -> None:
    hub.publish("owner/hello", BASE)
    tree = get(machine, chosen).directory
    (tree / "settings.json").write_text("same\n")
    (tree / "new.txt").write_text("new\n")
    (tree / "gone.txt").unlink()
    (tree / "a.bin").write_bytes(WEIGHTS[7:])
    commit = hub.publish(
        "owner/hello",
        {"settings.json": "same\n", "new.txt": "new\n", "gone.txt": None, "a.bin": WEIGHTS[7:], "app.py": "2"},
    )
    after = get(machine, chosen)
    assert after.commit == commit
    assert paths(after) == set()
    assert (after.directory / "a.bin").read_bytes() == WEIGHTS[7:]
    assert (after.directory / "app.py").read_text() == "2"


def test_a_conflict_solved_lets_the_update_through(hub: Hub, machine: Machine, chosen: Path | None) -> None:
    hub.publish("owner/hello", BASE)
    tree = get(machine, chosen).directory
    (tree / "settings.json").write_text("mine\n")
    commit = hub.publish("owner/hello", {"settings.json": "theirs\n"})
    with pytest.raises(RefusedError):
        get(machine, chosen)
    subprocess.run(["git", "-C", str(tree), "checkout", "--", "settings.json"], check=True, capture_output=True)
    assert get(machine, chosen).commit == commit
    assert (get(machine, chosen).directory / "settings.json").read_text() == "theirs\n"


def test_changes_in_a_tree_are_carried_whatever_happened_in_between(hub: Hub, machine: Machine, tmp_path: Path) -> None:
    """A folder of the user's was brought to the new commit first, or a plan only looked it up."""
    hub.publish("owner/hello", BASE)
    tree = machine.get("owner/hello").directory
    (tree / "settings.json").write_text("mine")
    hub.publish("owner/hello", {"app.py": "2"})
    machine.get("owner/hello", directory=tmp_path / "chosen")
    machine.find("owner/hello")
    assert (machine.get("owner/hello").directory / "settings.json").read_text() == "mine"


def test_changes_belong_to_the_revision_that_they_were_made_in(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", BASE)
    hub.publish("owner/hello", {"app.py": "branch"}, branch="dev")
    (machine.get("owner/hello@dev").directory / "settings.json").write_text("mine")
    hub.publish("owner/hello", {"app.py": "main"})
    assert (machine.get("owner/hello").directory / "settings.json").read_text() == "{}\n"
    hub.publish("owner/hello", {"app.py": "branch 2"}, branch="dev")
    assert (machine.get("owner/hello@dev").directory / "settings.json").read_text() == "mine"


# -- the user's own folder ---------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_ours_is_refused_and_stays_as_it_is(hub: Hub, machine: Machine, tmp_path: Path) -> None:
    hub.publish("owner/hello", FILES)
    plain, repository, file = tmp_path / "plain", tmp_path / "repository", tmp_path / "file"
    plain.mkdir()
    (plain / "thesis.txt").write_text("years of work")
    subprocess.run(["git", "init", "-q", str(repository)], check=True)
    file.write_text("a file")
    (tmp_path / "plain.json").write_text('{"commit": 1}')
    for folder in (plain, repository, file):
        before = everything(tmp_path)
        with pytest.raises(RefusedError, match=r"is not empty, and not a clone|is not a folder") as raised:
            machine.get("owner/hello", directory=folder)
        assert raised.value.exit_code == ExitCode.REFUSED
        after = everything(tmp_path)
        assert {path: after[path] for path in before if not path.startswith(("hub", "spacerun"))} == {
            path: what for path, what in before.items() if not path.startswith(("hub", "spacerun"))
        }


def test_an_empty_folder_and_a_new_one_are_taken(hub: Hub, machine: Machine, tmp_path: Path) -> None:
    hub.publish("owner/hello", FILES)
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "new/and deep"):
        checkout = machine.get("owner/hello", directory=folder)
        assert contents(folder) == published(FILES)
        assert checkout.directory == folder


def test_a_folder_named_relatively(hub: Hub, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path as RelativePath

    hub.publish("owner/hello", FILES)
    monkeypatch.chdir(tmp_path)
    checkout = machine.get("owner/hello", directory=RelativePath("here"))
    assert checkout.directory == tmp_path / "here"
    monkeypatch.chdir("/")
    assert contents(tmp_path / "here") == published(FILES)


def test_a_folder_of_another_space_is_refused(hub: Hub, machine: Machine, tmp_path: Path) -> None:
    hub.publish("owner/hello", FILES)
    hub.publish("other/space", FILES)
    machine.get("owner/hello", directory=tmp_path / "chosen")
    with pytest.raises(RefusedError, match=r"holds owner/hello, not other/space"):
        machine.get("other/space", directory=tmp_path / "chosen")


def test_a_folder_in_use_is_never_updated(hub: Hub, machine: Machine, tmp_path: Path) -> None:
    hub.publish("owner/hello", FILES)
    chosen = tmp_path / "chosen"
    machine.get("owner/hello", directory=chosen)
    machine.running_in.add(chosen)
    assert machine.get("owner/hello", directory=chosen).directory == chosen  # nothing to write
    hub.publish("owner/hello", {"app.py": "2"})
    before = everything(chosen)
    with pytest.raises(RefusedError, match="An app runs in") as raised:
        machine.get("owner/hello", directory=chosen)
    assert "spacerun stop" in (raised.value.hint or "")
    assert everything(chosen) == before


def test_a_tree_in_use_is_not_written_by_an_update(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", BASE)
    tree = machine.get("owner/hello").directory
    (tree / "settings.json").write_text("mine")
    machine.running_in.add(tree)
    before = everything(tree)
    hub.publish("owner/hello", {"app.py": "2"})
    after = machine.get("owner/hello")
    assert after.directory != tree
    assert everything(tree) == before


# -- how long it takes -------------------------------------------------------------------------------------------------


def test_many_new_files_take_time_in_proportion(hub: Hub, machine: Machine) -> None:
    hub.publish("owner/hello", BASE)
    checkout = machine.get("owner/hello")

    def seconds(count: int) -> float:
        for number in range(count):
            (checkout.directory / f"outputs/{number % 100}").mkdir(parents=True, exist_ok=True)
            (checkout.directory / f"outputs/{number % 100}/{number}.txt").write_text("x")
        began = time.perf_counter()
        assert len(paths(checkout)) == count
        return time.perf_counter() - began

    few, many = seconds(1000), seconds(8000)
    assert many < 8 * few + 1
    assert many < 6
