"""When a Space last changed in a way that bears on its packages: by the Hub's history, by git's, or by file times."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

from spacerun import hub
from spacerun.environment.as_of import Dated
from spacerun.lanes import each
from spacerun.paths import home, read_json, write_json
from spacerun.space.git import command, command_error, git_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from spacerun.space.find import FoundSpace
    from spacerun.space.tree import Checkout

# Each of these costs a request per probe; the entry file and its closest neighbours tell enough.
_MOST_SOURCES: Final = 4
_LARGEST_SOURCE: Final = 1 << 20
_CARD_LINE = re.compile(r"^(sdk|sdk_version|python_version)\s*:\s*([^#\n]*)", re.MULTILINE)
_IMPORT_LINE = re.compile(r"^[ \t]*(?:import|from)[ \t]+[\w.]+.*$", re.MULTILINE)
_README: Final = "README.md"


@dataclass(frozen=True)
class _Commit:
    id: str
    when: str


class _History(Protocol):
    def last_commits(self, paths: Sequence[str]) -> Mapping[str, _Commit]: ...

    def commits(self, newest: _Commit) -> Sequence[_Commit]: ...

    def read(self, commit: _Commit, path: str) -> bytes | None: ...


def last_change(
    checkout: Checkout, found: FoundSpace | None, *, app_file: str, requirements: Sequence[str], offline: bool
) -> Dated | None:
    """The last change of what decides the packages: requirement files, the card's versions, the code's imports.

    A correction of the README or of a sentence in the app, years later, is none. What is learned of a commit is kept.

    Args:
        checkout: The Space's files.
        found: The Space on the Hub; None for a local folder.
        app_file: Path of the entry file.
        requirements: Paths of the requirement files.
        offline: Ask nobody.

    Returns:
        None where nothing tells.
    """
    sources = _sources(checkout.directory, app_file)
    if found is None:
        return _of_folder(checkout.directory, sources, requirements)
    memory = home().cache / "history" / found.id.replace("/", "--") / f"{found.commit}.json"
    known = read_json(memory)
    if known:
        return Dated(known["what"], known["when"])
    change = None
    if not offline:
        change = _quietly(lambda: _find(_OnHub(found), checkout.directory, sources, requirements))
        if change:
            write_json(memory, {"what": change.what, "when": change.when})
    return change or _quietly(lambda: _commit_itself(checkout))


def _find(history: _History, directory: Path, sources: Sequence[str], requirements: Sequence[str]) -> Dated | None:
    last = history.last_commits([*requirements, *sources])
    floor_path = max((path for path in requirements if path in last), key=lambda path: last[path].when, default=None)
    floor = last[floor_path] if floor_path else None
    later = [path for path in sources if path in last and (floor is None or last[path].when > floor.when)]
    at_floor = Dated(f"{floor_path} changed", floor.when) if floor else None
    if not later:
        return at_floor
    now = {path: _facet(path, _content(directory / path)) for path in later}

    @cache
    def as_now(commit: _Commit) -> bool:
        then = each(lambda path: _facet(path, history.read(commit, path)), later, len(later))
        return dict(zip(later, then, strict=True)) == now

    if floor and as_now(floor):
        return at_floor
    newest = max((last[path] for path in later), key=lambda commit: commit.when)
    commits = [commit for commit in history.commits(newest) if floor is None or commit.when > floor.when] or [newest]
    # The oldest commit since which nothing relevant changed: as in `git bisect`.
    same, other = 0, len(commits)
    while other - same > 1:
        middle = (same + other) // 2
        same, other = (middle, other) if as_now(commits[middle]) else (same, middle)
    return Dated("the imports or the versions in the card changed", commits[same].when)


def _facet(path: str, content: bytes | None) -> frozenset[str] | None:
    """What of a file decides the packages: the card's versions, a source's imports."""
    if content is None:
        return None
    text = content.decode(errors="replace").replace("\r\n", "\n")
    if path == _README:
        return frozenset(f"{key}={value.strip().strip(chr(34) + chr(39))}" for key, value in _CARD_LINE.findall(text))
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset(line.strip() for line in _IMPORT_LINE.findall(text))
    return frozenset(_imports(tree))


def _imports(tree: ast.AST) -> Iterable[str]:
    # The names count, not only the modules: which version of a package has them is what the date decides.
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}:{alias.name}" for alias in node.names)


def _sources(directory: Path, app_file: str) -> tuple[str, ...]:
    beside = sorted(
        path.relative_to(directory).as_posix()
        for path in (directory / app_file).parent.glob("*.py")
        if path.is_file() and not path.is_symlink()
    )
    entry = [app_file] if app_file else []
    return (_README, *entry, *[path for path in beside if path != app_file][: _MOST_SOURCES - len(entry)])


def _content(path: Path) -> bytes | None:
    try:
        with path.open("rb") as stream:
            return stream.read(_LARGEST_SOURCE)
    except OSError:
        return None


def _quietly(look: Callable[[], Dated | None]) -> Dated | None:
    """The result of `look`; None where the Hub or git does not say, which only makes the date less exact."""
    try:
        return look()
    except (IndexError, command_error()):
        return None
    except Exception as error:
        if hub.is_no_answer(error):
            return None
        raise


@dataclass(frozen=True)
class _OnHub:
    """History by the Hub's API: `paths-info`, `commits` (one page) and `raw`."""

    space: FoundSpace

    def last_commits(self, paths: Sequence[str]) -> Mapping[str, _Commit]:
        infos = hub.api().get_paths_info(
            self.space.id, list(paths), revision=self.space.commit, repo_type="space", expand=True
        )
        return {
            info.path: _Commit(info.last_commit.oid, _utc(info.last_commit.date)) for info in infos if info.last_commit
        }

    def commits(self, newest: _Commit) -> Sequence[_Commit]:
        answer = self._get(f"{hub.endpoint()}/api/spaces/{self.space.id}/commits/{newest.id}")
        return [_Commit(item["id"], _utc(_parsed(item["date"]))) for item in answer.json()]

    def read(self, commit: _Commit, path: str) -> bytes | None:
        from huggingface_hub.errors import EntryNotFoundError

        try:
            answer = self._get(f"{hub.endpoint()}/spaces/{self.space.id}/raw/{commit.id}/{quote(path)}")
        except EntryNotFoundError:
            return None
        return bytes(answer.content)[:_LARGEST_SOURCE]

    def _get(self, address: str) -> Any:  # noqa: ANN401 - httpx's or httpx2's answer, by huggingface_hub's version
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        answer = get_session().get(address, headers=build_hf_headers(), timeout=hub.TIMEOUT_SECONDS)
        hf_raise_for_status(answer)
        return answer


@dataclass(frozen=True)
class _InGit:
    """History by git in the user's own folder, whose configuration may be a stranger's."""

    directory: Path

    def last_commits(self, paths: Sequence[str]) -> Mapping[str, _Commit]:
        found = {path: self._log("-1", "HEAD", "--", f":(literal){path}") for path in paths}
        return {path: commits[0] for path, commits in found.items() if commits}

    def commits(self, newest: _Commit) -> Sequence[_Commit]:
        return self._log("--max-count=200", "--first-parent", newest.id)

    def read(self, commit: _Commit, path: str) -> bytes | None:
        try:
            # cat-file, not show: neither filters nor text converters of the repository run.
            said = self._git(
                "cat-file",
                "blob",
                f"{commit.id}:./{path}",
                stdout_as_string=False,
                strip_newline_in_stdout=False,
            )
        except command_error():
            return None
        return bytes(said)[:_LARGEST_SOURCE]

    def _log(self, *arguments: str) -> list[_Commit]:
        lines = str(self._git("log", "--no-show-signature", "--format=%H %ct", *arguments)).splitlines()
        parts = [line.split(" ") for line in lines if line]
        return [_Commit(sha, _utc(datetime.fromtimestamp(int(at), timezone.utc))) for sha, at in parts]

    def _git(self, *arguments: str, **options: bool) -> Any:  # noqa: ANN401 - text or bytes, as `options` say
        # `log.showSignature` would run the repository's own `gpg.program`.
        settings = {"log.showSignature": "false", "core.pager": "cat"}
        runner = command(self.directory, git_environment("https://", settings=settings))
        return runner.execute(["git", *arguments], **options)  # type: ignore[call-overload]


def _of_folder(directory: Path, sources: Sequence[str], requirements: Sequence[str]) -> Dated | None:
    """The last commit that bears on the packages, unless a file with such a change is not committed yet."""
    history = _InGit(directory)
    change = _quietly(lambda: _find(history, directory, sources, requirements))
    changed = [path for path in (*requirements, *sources) if change is None or _is_edited(history, directory, path)]
    times = {path: (directory / path).stat().st_mtime for path in changed if (directory / path).is_file()}
    if not times:
        return change
    newest = max(times, key=lambda path: times[path])
    edited = Dated(f"{newest} was written", _utc(datetime.fromtimestamp(times[newest], timezone.utc)))
    return max((edited, *([change] if change else [])), key=lambda one: one.when)


def _is_edited(history: _InGit, directory: Path, path: str) -> bool:
    committed = history.read(_Commit("HEAD", ""), path)
    content = _content(directory / path)
    if path == _README or path.endswith(".py"):
        return _facet(path, committed) != _facet(path, content)
    return committed != content


def _commit_itself(checkout: Checkout) -> Dated | None:
    """The day of the checked-out commit: later than what is asked for, or the same."""
    if checkout.git_dir is None or checkout.commit is None:
        return None
    runner = command(checkout.git_dir, git_environment("https://", settings={"log.showSignature": "false"}))
    at = str(runner.log("-1", "--format=%ct", checkout.commit)).strip()
    return Dated("the Space changed", _utc(datetime.fromtimestamp(int(at), timezone.utc)))


def _utc(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parsed(text: str) -> datetime:
    from huggingface_hub.utils import parse_datetime

    return parse_datetime(text)
