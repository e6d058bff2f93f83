"""Annotations, summary and outputs for GitHub Actions, read as its runner and its Markdown read them."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt

from spacerun.smoke.reports.baseline import Comparison
from spacerun.smoke.reports.github import annotate, commands_stopped, outputs, report_to_actions, summarize
from spacerun.smoke.reports.markdown import summary, text
from tests.smoke.reports import fixture

if TYPE_CHECKING:
    from pathlib import Path

    from spacerun.smoke.result import Report

COMMANDS = {"error", "warning", "notice", "debug", "group", "endgroup", "set-output", "save-state", "add-mask", "echo"}
COMMANDS |= {"set-env", "add-path", "add-matcher", "remove-matcher", "stop-commands"}


class Runner:
    """Finds commands in what a step writes, by the rules of the runner's `ActionCommand.cs`."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, dict[str, str], str]] = []
        self.lines: list[str] = []
        self._token: str | None = None

    def read(self, written: str) -> Runner:
        for line in re.split(r"\r\n|\r|\n", written):
            self._read(line)
        assert self._token is None, "commands are stopped for ever"
        return self

    def _read(self, line: str) -> None:
        known = COMMANDS | ({self._token} if self._token else set())
        new = re.match(r"\s*::(?P<name>[^ :]*)(?: (?P<properties>.*?))?::(?P<data>.*)", line)
        old = re.search(r"##\[(?P<name>[^ \]]*)(?: (?P<properties>[^\]]*))?\](?P<data>.*)", line)
        command = next((one for one in (new, old) if one and one["name"] in known), None)
        if command is None or (self._token and command["name"] != self._token):
            self.lines.append(line)
        elif command["name"] == self._token:
            self._token = None
        elif command["name"] == "stop-commands":
            self._token = command["data"]
        else:
            pairs = (pair.split("=", 1) for pair in (command["properties"] or "").split(",") if "=" in pair)
            properties = {key: self._read_value(value, {"%3A": ":", "%2C": ","}) for key, value in pairs}
            self.commands.append((command["name"], properties, self._read_value(command["data"], {})))

    @staticmethod
    def _read_value(value: str, more: dict[str, str]) -> str:
        for code, character in {"%0D": "\r", "%0A": "\n", **more, "%25": "%"}.items():
            value = value.replace(code, character)
        return value

    def of(self, name: str) -> list[tuple[dict[str, str], str]]:
        return [(properties, data) for command, properties, data in self.commands if command == name]


def annotated(report: Report) -> Runner:
    written: list[str] = []
    annotate(report, written.append)
    return Runner().read("".join(written))


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of a step of a job, and its workspace."""
    for variable, name in (("GITHUB_STEP_SUMMARY", "summary.md"), ("GITHUB_OUTPUT", "output")):
        (tmp_path / name).touch()
        monkeypatch.setenv(variable, str(tmp_path / name))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    return tmp_path


def test_failures_are_errors_and_what_was_not_fully_tested_is_a_warning() -> None:
    runner = annotated(fixture.of(*fixture.SOUND))
    properties, message = runner.of("error")[0]
    assert properties == {"title": "facebook/MusicGen failed at start"}
    assert message.splitlines() == [
        "The app ended with status 1 before it answered.",
        "huggingface_hub 1.0 removed HfFolder, which Gradio 4.9 to 5.7 imports: take huggingface_hub below 1.0",
        "spacerun launch facebook/MusicGen --with 'huggingface_hub<1'",
    ]
    assert [properties["title"] for properties, _ in runner.of("error")] == [
        "facebook/MusicGen failed at start",
        "multimodalart/latentdiffusion failed at probe",
        "./examples/chat failed at environment",
    ]
    assert [properties["title"] for properties, _ in runner.of("warning")] == [
        "stabilityai/stable-diffusion-3-medium proven to imports",
        "openai/whisper network fault at clone",
        "argilla/argilla-template-space not run",
    ]


def test_nothing_is_said_where_all_passed() -> None:
    assert annotated(fixture.of(fixture.HELLO, fixture.WHISPER)).commands == []


def test_each_failure_has_its_log_in_a_group() -> None:
    runner = annotated(fixture.of(fixture.CRASHED))
    assert [command for command, _, _ in runner.commands] == ["error", "group", "endgroup"]
    assert runner.of("group") == [({}, "facebook/MusicGen failed at start")]
    assert [line for line in runner.lines if line][1:-1] == list(fixture.TRACEBACK)


def test_no_text_of_a_space_issues_a_command() -> None:
    runner = annotated(fixture.of(fixture.HOSTILE))
    assert [command for command, _, _ in runner.commands] == ["error", "group", "endgroup"]
    assert "::set-output name=ok::true" in runner.lines
    assert "text ##[add-mask]e" in runner.lines


def test_the_runner_of_this_test_would_be_fooled_by_such_lines() -> None:
    found = Runner().read("  ::set-output name=ok::true\ntext ##[add-mask]e\n::error file=a%2Cb::c")
    assert found.commands == [
        ("set-output", {"name": "ok"}, "true"),
        ("add-mask", {}, "e"),
        ("error", {"file": "a,b"}, "c"),
    ]


def test_what_commands_are_made_of_arrives_as_it_was() -> None:
    odd = replace(
        fixture.CRASHED, space="a/b,file=c::d:e%0A", message="50 % of it: a,b%0A::c", hint="x\r\ny", diagnosis=()
    )
    ((properties, message),) = annotated(fixture.of(odd)).of("error")
    assert properties == {"title": "a/b,file=c::d:e%0A failed at start"}
    assert message == "50 % of it: a,b%0A::c\nx\ny"


def test_commands_are_stopped_by_another_token_each_time_and_go_on_after_an_error() -> None:
    written: list[str] = []

    def fail() -> None:
        with commands_stopped(written.append):
            written.append("::add-mask::a\n")
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail()
    tokens = [line.strip().removeprefix("::stop-commands::") for line in written[::3]]
    assert len(set(tokens)) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", token) for token in tokens)
    assert Runner().read("".join(written)).commands == []


@pytest.mark.parametrize(("count", "told"), [(10, 10), (11, 9), (300, 9)])
def test_of_more_than_github_shows_the_last_annotation_counts_the_rest(count: int, told: int) -> None:
    errors = annotated(fixture.of(*[fixture.CRASHED] * count)).of("error")
    assert len(errors) == 10
    named = [message for properties, message in errors if properties["title"] == "facebook/MusicGen failed at start"]
    assert len(named) == told
    if count > told:
        assert errors[-1][1] == f"{count - told} more Spaces; the summary of the job has them all."


def placed(space: str, message: str = "It failed.", tail: tuple[str, ...] = ()) -> dict[str, str]:
    result = replace(fixture.CRASHED, space=space, message=message, tail=tail)
    ((properties, _),) = annotated(fixture.of(result)).of("error")
    return {key: value for key, value in properties.items() if key != "title"}


@pytest.fixture
def space(step: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Space in a folder of the repository."""
    folder = step / "spaces" / "chat"
    (folder / "lib").mkdir(parents=True)
    for name in ("README.md", "app.py", "requirements.txt", "lib/tools.py"):
        (folder / name).write_text("x\n", encoding="utf-8")
    (step / "secret.txt").write_text("x\n", encoding="utf-8")
    monkeypatch.chdir(step)
    return folder


@pytest.mark.parametrize("how", ["./spaces/chat", "absolute"])
def test_a_folder_of_the_repository_is_annotated_at_its_readme(space: Path, how: str) -> None:
    assert placed(str(space) if how == "absolute" else how) == {"file": "spaces/chat/README.md"}


def test_the_repository_itself_may_be_the_space(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(space)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(space))
    assert placed(".") == {"file": "README.md"}


def test_the_file_that_the_message_names_is_annotated(space: Path) -> None:
    assert placed("./spaces/chat", "requirements.txt asks for transformers==9.9, which does not exist.") == {
        "file": "spaces/chat/requirements.txt"
    }


def test_the_innermost_line_of_the_spaces_own_is_annotated(space: Path) -> None:
    tail = (
        f'  File "{space}/app.py", line 3, in <module>',
        f'  File "{space}/lib/tools.py", line 41, in load',
        '  File "/usr/lib/python3.10/json/decoder.py", line 355, in raw_decode',
        "ValueError: no",
    )
    assert placed("./spaces/chat", tail=tail) == {"file": "spaces/chat/lib/tools.py", "line": "41"}


@pytest.mark.parametrize(
    "name", ["../../secret.txt", "/etc/passwd.txt", "none.py", "lib", "a" * 199 + ".py", "loop.py"]
)
def test_no_other_file_is_annotated(space: Path, name: str) -> None:
    (space / "loop.py").symlink_to("loop.py")
    assert placed("./spaces/chat", f"{name} is bad.", (f'File "{name}", line 1',)) == {"file": "spaces/chat/README.md"}


def test_spaces_of_the_hub_and_folders_elsewhere_have_no_file(
    space: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert placed("spaces/chat") == {}
    assert placed(str(tmp_path_factory.mktemp("elsewhere"))) == {}
    (space / "README.md").unlink()
    assert placed("./spaces/chat") == {}


def rendered(markdown: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)


def tags(markdown: str) -> set[str]:
    return set(re.findall(r"<([a-z]+\d?)", rendered(markdown)))


def test_the_summary_has_totals_a_table_and_the_logs_of_failures(step: Path) -> None:
    summarize(fixture.of(*fixture.SOUND), Comparison(newly_broken=("facebook/MusicGen",)))
    told = (step / "summary.md").read_text(encoding="utf-8")
    page = unescape(rendered(told))
    assert "<h3>Smoke test: 5 passed, 1 proven to imports, 3 failed, 1 network fault, 1 not run, in 3 min 12 s" in page
    assert "<strong>Newly broken</strong>: facebook/MusicGen" in page
    assert page.count("<tr>") == 1 + len(fixture.SOUND)
    assert f"<td>{fixture.NO_GPU}</td>" in page
    assert page.count("<details>") == 4
    assert f"<pre>{chr(10).join(fixture.TRACEBACK)}</pre>" in page


def test_the_summary_of_a_hostile_space_is_text_alone(step: Path) -> None:
    summarize(fixture.of(fixture.HOSTILE), Comparison(gone=(fixture.HOSTILE.space,)))
    told = (step / "summary.md").read_text(encoding="utf-8")
    ours = "h3 ul li strong table thead tbody tr th td details summary p br pre"
    assert tags(told) == set(ours.split())
    rows = [line for line in told.splitlines() if line.startswith("| ")]
    assert {row.count("|") for row in rows} == {7}
    assert "hf_abcdefgh" not in told


@pytest.mark.parametrize(
    "hostile",
    [
        "[a](https://b.example) ![c](https://d.example/e.png) [f][g] <https://h.example>",
        "<b>a</b> <!-- b --> <img src=x onerror=y> &lt;i&gt; </td></table>",
        "`a` **b** __c__ *d* _e_ ~~f~~ $g$ | h | \\| i \\",
        "# a",
        "1. a",
        "> a",
    ],
)
def test_markdown_in_a_text_is_shown_as_it_is(hostile: str) -> None:
    page = rendered(f"| a | b |\n| --- | --- |\n| {text(hostile)} | c |\n")
    assert tags(f"| a | b |\n| --- | --- |\n| {text(hostile)} | c |\n") == {
        *("table", "thead", "tbody", "tr", "th", "td")
    }
    cell = re.search(r"<td>(.*)</td>\n<td>c</td>", page)
    assert cell
    assert unescape(cell[1]) == hostile


def test_nothing_is_left_that_github_makes_links_of() -> None:
    """Tried with cmark-gfm itself, whose `autolink.c` these are the marks for: `:`, `www.` and `@` in one text."""
    told = text("https://a.example www.b.example c@d.example @e owner/name#1 mailto:f@g.example")
    assert not re.search(r"[:#]\w|:/|www\.|@", re.sub(r"&#\d+;", "", told))
    assert told.count("&#64;<!-- -->") == 3


def test_a_summary_that_is_too_long_is_cut_between_its_parts_and_says_so() -> None:
    whole = summary(fixture.many(500), None, 10**9)
    for limit in (1000, 20_000, 100_000, len(whole.encode()) - 1):
        cut = summary(fixture.many(500), None, limit)
        assert limit - 1500 < len(cut.encode()) <= limit
        assert cut.endswith("> More was left out: GitHub shows no more than 1 MiB. The HTML report has all of it.\n")
        assert cut.count("<details>") == cut.count("</details>")
    assert summary(fixture.many(500), None, len(whole.encode()) + 200) == whole
    assert summary(fixture.many(500), None, 10) == ""


def test_the_summary_leaves_room_for_what_the_step_wrote_before(step: Path) -> None:
    (step / "summary.md").write_text("x" * (1024**2 - 5000), encoding="utf-8")
    summarize(fixture.many(100))
    told = (step / "summary.md").read_text(encoding="utf-8")
    assert told.startswith("xxx")
    assert "More was left out" in told
    assert len(told.encode()) <= 1024**2


def read_outputs(file: Path) -> dict[str, str]:
    """As the runner does (`FileCommandManager.cs`): `name=value`, or `name<<delimiter` up to that line."""
    values = {}
    lines = iter(file.read_text(encoding="utf-8").splitlines())
    for line in lines:
        if "<<" in line and line.find("<<") < (line.find("=") if "=" in line else len(line)):
            name, delimiter = line.split("<<", 1)
            values[name] = "\n".join(iter(lambda: next(lines), delimiter))
        else:
            name, value = line.split("=", 1)
            values[name] = value
    return values


def test_outputs_are_counts_and_names(step: Path) -> None:
    (step / "output").write_text("earlier=1\n", encoding="utf-8")
    outputs(fixture.REPORT, Comparison(newly_broken=("facebook/MusicGen",)))
    assert read_outputs(step / "output") == {
        "earlier": "1",
        "ok": "false",
        "spaces": "12",
        "passed": "5",
        "partial": "1",
        "failed": "4",
        "network": "1",
        "not_run": "1",
        "seconds": "192.3",
        "failed_spaces": "facebook/MusicGen\nmultimodalart/latentdiffusion\n./examples/chat\n"
        'evil/<script>"><img src=x onerror=alert(1)>|`*_[a](javascript:b)',
        "newly_broken": "facebook/MusicGen",
    }


def test_a_space_cannot_set_an_output(step: Path) -> None:
    outputs(fixture.of(replace(fixture.CRASHED, space="a/b\nok=true\nend-1\nfailed=0")))
    values = read_outputs(step / "output")
    assert values["ok"] == "false"
    assert values["failed"] == "1"
    assert values["failed_spaces"] == "a/b ok=true end-1 failed=0"


def test_in_a_job_all_of_it_is_written(step: Path) -> None:
    written: list[str] = []
    report_to_actions(fixture.of(fixture.CRASHED), None, written.append)
    assert Runner().read("".join(written)).of("error")
    assert "facebook/MusicGen" in (step / "summary.md").read_text(encoding="utf-8")
    assert read_outputs(step / "output")["failed"] == "1"


@pytest.mark.parametrize("value", [None, "false", ""])
def test_elsewhere_nothing_is_written(step: Path, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv("GITHUB_ACTIONS")
    else:
        monkeypatch.setenv("GITHUB_ACTIONS", value)
    written: list[str] = []
    report_to_actions(fixture.REPORT, None, written.append)
    assert written == []
    assert (step / "summary.md").read_bytes() == (step / "output").read_bytes() == b""


def test_a_summary_that_cannot_be_written_is_a_warning_and_the_outputs_are_set(
    step: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step / "none" / "summary.md"))
    written: list[str] = []
    report_to_actions(fixture.of(fixture.HELLO), None, written.append)
    assert written == ["::warning::The summary of the smoke test cannot be written: No such file or directory.\n"]
    assert read_outputs(step / "output")["ok"] == "true"


def test_a_runner_without_such_files_is_no_error(step: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    monkeypatch.delenv("GITHUB_OUTPUT")
    written: list[str] = []
    report_to_actions(fixture.of(fixture.HELLO), None, written.append)
    assert written == []
