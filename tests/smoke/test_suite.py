"""Many tests: their order, what is tried again, what an interruption leaves, what is resumed and what is removed."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spacerun.errors import RefusedError, UsageError
from spacerun.paths import home
from spacerun.progress import SilentProgress
from spacerun.smoke import asking, pruning, suite
from spacerun.smoke.job import Call, Job, Level
from spacerun.smoke.result import Check, Result
from spacerun.smoke.runs import begun
from spacerun.smoke.suite import Settings, smoke_test
from spacerun.stages import Options

if TYPE_CHECKING:
    from collections.abc import Callable

    from spacerun.smoke.desk import Desk


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACERUN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(suite, "_PAUSES", (0.01,))


def jobs(*names: str) -> list[Job]:
    return [Job(f"owner/{name}") for name in names]


def result(job: Job, **changes: object) -> Result:
    return replace(Result(job.space, ok=True, proven="calls", exit_code=0, seconds=0.1, status="passed"), **changes)


def failed(job: Job) -> Result:
    return result(job, ok=False, status="failed", exit_code=9, stage="start", message="It crashed.")


def unreachable(job: Job) -> Result:
    return result(job, ok=False, status="network", exit_code=5, stage="clone", message="The Hub answered 503.")


class Elsewhere:
    """An executor that tests nothing: it does for each Space what a test says, as one on another machine would."""

    def __init__(self, does: Callable[[Job, Desk], Result] = lambda job, _: result(job)) -> None:
        self.does = does
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.stopped = threading.Event()
        self._lock = threading.Lock()

    def run(self, job: Job, desk: Desk) -> Result:
        with self._lock:
            self.asked.append(job.space)
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            return self.does(job, desk)
        finally:
            with self._lock:
                self.at_once -= 1

    def stop(self) -> None:
        self.stopped.set()


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.progress: list[SilentProgress] = []
        self.ends: list[str] = []

    def began(self, job: Job) -> SilentProgress:
        self.progress.append(SilentProgress())
        return self.progress[-1]

    def line(self, job: Job, text: str) -> None:
        pass

    def ended(self, job: Job, result: Result) -> None:
        self.ends.append(job.space)


def test_results_come_in_the_order_of_the_spaces_whatever_takes_longest() -> None:
    def does(job: Job, desk: Desk) -> Result:
        time.sleep(0.3 if job.space.endswith("slow") else 0.0)
        return result(job)

    heard = Heard()
    report = smoke_test(jobs("slow", "a", "b"), Settings(at_once=2), heard, executor=Elsewhere(does))
    assert [row.space for row in report.results] == ["owner/slow", "owner/a", "owner/b"]
    assert heard.ends == ["owner/a", "owner/b", "owner/slow"]
    assert report.ok


def test_no_more_run_at_once_than_asked_for() -> None:
    executor = Elsewhere(lambda job, _: time.sleep(0.05) or result(job))
    smoke_test(jobs(*"abcdefgh"), Settings(at_once=3), Heard(), executor=executor)
    assert executor.most_at_once == 3
    alone = Elsewhere(lambda job, _: time.sleep(0.01) or result(job))
    smoke_test(jobs(*"abcd"), Settings(), Heard(), executor=alone)
    assert alone.most_at_once == 1


def test_one_failing_space_never_stops_the_rest() -> None:
    executor = Elsewhere(lambda job, _: failed(job) if job.space.endswith("b") else result(job))
    report = smoke_test(jobs(*"abc"), Settings(), Heard(), executor=executor)
    assert [row.status for row in report.results] == ["passed", "failed", "passed"]


def test_fail_fast_tests_none_after_the_first_that_fails() -> None:
    executor = Elsewhere(lambda job, _: failed(job) if job.space.endswith("b") else result(job))
    report = smoke_test(jobs(*"abcd"), Settings(fail_fast=True), Heard(), executor=executor)
    assert executor.asked == ["owner/a", "owner/b"]
    assert [row.status for row in report.results] == ["passed", "failed", "not_run", "not_run"]
    assert executor.stopped.is_set()
    assert not report.interrupted


def test_a_network_fault_is_tried_again_and_named() -> None:
    tries: list[str] = []

    def does(job: Job, desk: Desk) -> Result:
        tries.append(job.space)
        return unreachable(job) if len(tries) < 3 else result(job)

    heard = Heard()
    (row,) = smoke_test(jobs("a"), Settings(retries=2), heard, executor=Elsewhere(does)).results
    assert row.ok
    assert row.retries == ("clone: The Hub answered 503.",) * 2
    assert "It is tried again in" in heard.progress[0].warnings[0]


def test_a_network_fault_that_stays_is_no_broken_space() -> None:
    (row,) = smoke_test(
        jobs("a"), Settings(retries=1), Heard(), executor=Elsewhere(lambda j, _: unreachable(j))
    ).results
    assert (row.status, row.ok, len(row.retries)) == ("network", False, 1)


def test_what_is_broken_is_not_tried_again() -> None:
    executor = Elsewhere(lambda job, _: failed(job))
    smoke_test(jobs("a"), Settings(retries=5), Heard(), executor=executor)
    assert executor.asked == ["owner/a"]


def test_two_that_insist_on_one_port_are_tested_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "_PORT_SECONDS", 5.0)
    port = threading.Lock()

    def does(job: Job, desk: Desk) -> Result:
        if not port.acquire(blocking=False):
            return replace(failed(job), port_taken=True)
        time.sleep(0.2)
        port.release()
        return result(job)

    executor = Elsewhere(does)
    report = smoke_test(jobs(*"abc"), Settings(at_once=3), Heard(), executor=executor)
    assert [row.status for row in report.results] == ["passed"] * 3
    assert len(executor.asked) > 3


def test_the_port_that_spaces_insist_on_is_given_to_none_that_takes_any() -> None:
    (job,) = wanted("owner/a")
    assert asking.options_from_json(job).first_port == 7861


def test_a_port_that_somebody_else_has_fails_a_space_in_the_end() -> None:
    executor = Elsewhere(lambda job, _: replace(failed(job), port_taken=True))
    (row,) = smoke_test(jobs("a"), Settings(), Heard(), executor=executor).results
    assert (row.status, executor.asked) == ("failed", ["owner/a"])


def interrupted_run(*names: str, at: str) -> tuple[Elsewhere, object]:
    """Run tests, and send what Ctrl-C sends while `at` runs."""
    executor = Elsewhere()

    def does(job: Job, desk: Desk) -> Result:
        if job.space.endswith(at):
            os.kill(os.getpid(), signal.SIGINT)
            assert executor.stopped.wait(10), "whoever runs tests was not told to stop"
            return result(job, ok=False, status="not_run")
        return result(job)

    executor.does = does
    return executor, smoke_test(jobs(*names), Settings(), Heard(), executor=executor)


def test_an_interruption_ends_what_runs_and_tells_what_is_known() -> None:
    executor, report = interrupted_run(*"abcd", at="c")
    assert report.interrupted
    assert [row.status for row in report.results] == ["passed", "passed", "not_run", "not_run"]
    assert executor.asked == ["owner/a", "owner/b", "owner/c"]


def test_resume_takes_over_what_is_known_and_tests_the_rest() -> None:
    interrupted_run(*"abcd", at="c")
    executor = Elsewhere()
    report = smoke_test(jobs(*"abcd"), Settings(), Heard(), resume=True, executor=executor)
    assert executor.asked == ["owner/c", "owner/d"]
    assert report.ok
    assert len(report.results) == 4


def test_without_resume_and_after_a_run_to_its_end_all_are_tested() -> None:
    interrupted_run(*"ab", at="b")
    again = Elsewhere()
    smoke_test(jobs(*"ab"), Settings(), Heard(), executor=again)
    assert again.asked == ["owner/a", "owner/b"]
    anew = Elsewhere()
    smoke_test(jobs(*"ab"), Settings(), Heard(), resume=True, executor=anew)
    assert anew.asked == ["owner/a", "owner/b"]


def test_resume_tests_again_what_the_network_failed_for() -> None:
    executor = Elsewhere()

    def does(job: Job, desk: Desk) -> Result:
        if job.space.endswith("b"):
            os.kill(os.getpid(), signal.SIGINT)
            executor.stopped.wait(10)
        return unreachable(job)

    executor.does = does
    smoke_test(jobs(*"ab"), Settings(retries=0), Heard(), executor=executor)
    again = Elsewhere()
    smoke_test(jobs(*"ab"), Settings(retries=0), Heard(), resume=True, executor=again)
    assert again.asked == ["owner/a", "owner/b"]


def test_other_options_are_another_run() -> None:
    interrupted_run(*"ab", at="b")
    executor = Elsewhere()
    other = [replace(job, until=Level.PLAN) for job in jobs(*"ab")]
    smoke_test(other, Settings(), Heard(), resume=True, executor=executor)
    assert executor.asked == ["owner/a", "owner/b"]


def test_the_same_run_twice_at_once_is_refused() -> None:
    with (
        begun(jobs("a"), resume=False),
        pytest.raises(RefusedError, match="under way already"),
        begun(jobs("a"), resume=False),
    ):
        pass


def test_no_variable_of_a_job_is_written_to_disk(tmp_path: Path) -> None:
    secret = [Job("owner/a", {"variables": {"KEY": "s3cr3t-91"}})]
    smoke_test(secret, Settings(), Heard(), executor=Elsewhere())
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"s3cr3t-91" in path.read_bytes()]


def test_a_bug_in_one_thread_ends_the_run_with_it() -> None:
    def does(job: Job, desk: Desk) -> Result:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        smoke_test(jobs("a", "b"), Settings(), Heard(), executor=Elsewhere(does))


# -- disk --------------------------------------------------------------------------------------------------------------


def make(kind: str, name: str) -> Path:
    folders = {
        "space": home().spaces / name.replace("/", "--") / "trees",
        "environment": home().environments / name,
    }
    folders[kind].mkdir(parents=True)
    (folders[kind] / "something").write_text("x")
    return folders[kind]


KEYS = [f"{number:020x}" for number in range(4)]


def test_prune_after_removes_what_a_test_brought_and_nothing_that_was_there() -> None:
    before = make("environment", KEYS[0])
    made: dict[str, Path] = {}

    def does(job: Job, desk: Desk) -> Result:
        desk.uses("environment", KEYS[0])
        desk.uses("environment", KEYS[1])
        desk.uses("space", job.space)
        made["environment"], made["space"] = make("environment", KEYS[1]), make("space", job.space)
        return result(job)

    smoke_test(jobs("a"), Settings(prune_after=True), Heard(), executor=Elsewhere(does))
    assert before.exists()
    assert not made["environment"].exists()
    assert not made["space"].exists()


def test_what_another_test_still_uses_is_left_to_it() -> None:
    shared = make_later = home().environments / KEYS[2]
    first_over, seen = threading.Event(), {}

    def does(job: Job, desk: Desk) -> Result:
        desk.uses("environment", KEYS[2])
        if job.space.endswith("a"):
            make("environment", KEYS[2])
        else:
            assert first_over.wait(10)
            seen["while it runs"] = make_later.exists()
        return result(job)

    class Watch(Heard):
        def ended(self, job: Job, result: Result) -> None:
            super().ended(job, result)
            threading.Timer(0.2, first_over.set).start()

    smoke_test(jobs(*"ab"), Settings(at_once=2, prune_after=True), Watch(), executor=Elsewhere(does))
    assert seen == {"while it runs": True}
    assert not shared.exists()


def test_a_model_that_a_test_downloaded_is_removed_and_the_users_own_stays() -> None:
    def download(name: str) -> Path:
        folder = Path(os.environ["HF_HOME"]) / "hub" / f"models--{name.replace('/', '--')}"
        commit = "c" * 40
        (folder / "blobs").mkdir(parents=True)
        (folder / "snapshots" / commit).mkdir(parents=True)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(commit)
        (folder / "blobs" / "b").write_bytes(b"weights")
        (folder / "snapshots" / commit / "model.safetensors").symlink_to("../../blobs/b")
        return folder

    mine = download("owner/mine")
    pruner = pruning.Pruner()
    pruner.uses("test", "model", "owner/mine")
    pruner.uses("test", "model", "owner/theirs")
    theirs = download("owner/theirs")
    pruner.done("test")
    assert (mine.exists(), theirs.exists()) == (True, False)


# -- what is asked for -------------------------------------------------------------------------------------------------


def wanted(*spaces: str, **more: object) -> list[Job]:
    defaults = {"until": None, "require": None, "calls": (), "screenshot": False, "seconds": 60.0}
    return asking.jobs(spaces, Options(space=""), **(defaults | more))


def test_folders_are_told_by_their_full_path_and_each_space_is_tested_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [job.space for job in wanted(".", "owner/a", str(tmp_path), "owner/a")] == [str(tmp_path), "owner/a"]


def test_a_wrong_name_is_told_before_anything_is_tested() -> None:
    with pytest.raises(UsageError):
        wanted("owner/a", "not a space")


def test_a_list_of_spaces_has_comments_and_empty_lines(tmp_path: Path) -> None:
    file = tmp_path / "spaces.txt"
    file.write_text("# nightly\nowner/a\n\n  owner/b@main  # the second\n")
    assert asking.read_spaces(file) == ["owner/a", "owner/b@main"]
    file.write_text("# none\n")
    with pytest.raises(UsageError, match="names no Space"):
        asking.read_spaces(file)
    with pytest.raises(UsageError, match="cannot be read"):
        asking.read_spaces(tmp_path / "none.txt")


def test_no_call_is_left_out_silently() -> None:
    with pytest.raises(UsageError, match="makes no calls"):
        wanted("owner/a", until=Level.START, calls=(Call("/predict"),))
    with pytest.raises(UsageError, match="ends before"):
        wanted("owner/a", until=Level.PLAN, require=Level.START)
    with pytest.raises(UsageError, match="no Space to test"):
        wanted()


def test_a_job_and_a_result_survive_json() -> None:
    (job,) = wanted("owner/a", until=Level.CALLS, calls=(Call("/predict", ["x"], "y", has_expect=True),))
    assert Job.from_json(job.to_json()) == job
    whole = replace(
        failed(job), checks=(Check("page", ok=False, detail="404"),), tail=("a", "b"), stages={"clone": 1.0}
    )
    assert Result.from_json(whole.to_json()) == whole
