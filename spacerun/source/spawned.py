"""Python that a source starts beside its imports: child processes, `runpy`, `exec`, modules by name."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from spacerun.source.literals import UNKNOWN, literal_text
from spacerun.source.scopes import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.source.scope_walk import ModuleScopes

# Calls that start a program; the last part of the name tells enough, as what they start must be a file of the Space.
_STARTERS: Final = frozenset({
    "run", "Popen", "call", "check_call", "check_output", "getoutput", "getstatusoutput", "system", "popen",
    "create_subprocess_exec", "create_subprocess_shell", "execl", "execle", "execlp", "execlpe", "execv", "execve",
    "execvp", "execvpe", "spawnl", "spawnle", "spawnlp", "spawnv", "spawnve", "spawnvp", "posix_spawn", "spawn",
})  # fmt: skip
_PYTHON: Final = re.compile(r"(?:.*/)?python[\d.]*")
# `-I` and `-E` make Python blind to PYTHONPATH, `-S` to every sitecustomize; they may be joined: `-Iu`.
_BLIND: Final = re.compile(r"-[bBdiOqsuvx]*([IES])[A-Za-z]*")
# Options of Python that take the next word.
_WITH_VALUE: Final = frozenset({"-W", "-X", "--check-hash-based-pycs"})


@dataclass(frozen=True)
class Spawn:
    """Python code that a source starts.

    Attributes:
        line: Line of the call.
        script: The path of a file, as written; None for a module.
        module: The name of a module; None for a script.
        folder: The folder it is started in, as written.
        blind: Why the start-up hook does not reach it, as part of a sentence; None if it does.
    """

    line: int
    script: str | None = None
    module: str | None = None
    folder: str = ""
    blind: str | None = None


def spawns(scopes: ModuleScopes) -> Iterator[Spawn]:
    """What the calls in a module start, where it is written out."""
    file = scopes.module.file
    for use in scopes.calls:
        if isinstance(use.expression, ast.Call):
            yield from _started(use.expression, file)


def started_by(words: list[str], line: int, folder: str) -> Iterator[Spawn]:
    """What a command line of a script starts, which stands in `line` and is run in `folder`."""
    yield from _python(words, line, folder, None)


def _started(call: ast.Call, file: str) -> Iterator[Spawn]:
    name = dotted(call.func) or ""
    last = name.rpartition(".")[2]
    first = literal_text(call.args[0], file) if call.args else UNKNOWN
    if last == "run_path" or (last == "exec" and call.args):
        yield from _run_here(call, file)
    elif last in {"run_module", "import_module", "__import__"} and not first.startswith("."):
        yield Spawn(call.lineno, module=first)
    elif last in _STARTERS:
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        folder = literal_text(keywords["cwd"], file) if "cwd" in keywords else ""
        given = [*call.args, *([keywords["args"]] if "args" in keywords else [])]
        for words in _commands(given, file):
            yield from _python(words, call.lineno, folder, _without_path(keywords.get("env")))


def _run_here(call: ast.Call, file: str) -> Iterator[Spawn]:
    """`runpy.run_path("x.py")`, `exec(open("x.py").read())`: any text within that is the name of a source file."""
    for node in ast.walk(call.args[0]) if call.args else ():
        if isinstance(node, ast.expr):
            text = literal_text(node, file)
            if text.endswith(".py"):
                yield Spawn(call.lineno, script=text)
                return


def _commands(arguments: list[ast.expr], file: str) -> Iterator[list[str]]:
    """The command lines, word by word, in the arguments of a call that starts a program."""
    row = [literal_text(argument, file) for argument in arguments if not isinstance(argument, ast.List | ast.Tuple)]
    for argument in arguments:
        if isinstance(argument, ast.List | ast.Tuple):
            yield [literal_text(word, file) for word in argument.elts]
    for text in row:
        for part in re.split(r"[;&|\n]+", text) if " " in text else ():
            try:
                yield shlex.split(part)
            except ValueError:
                yield part.split()
    if len(row) > 1:
        yield row  # `os.execl(python, "python", "app2.py")`


def _python(words: list[str], line: int, folder: str, blind: str | None) -> Iterator[Spawn]:
    python = max((index for index, word in enumerate(words) if _PYTHON.fullmatch(word)), default=None)
    rest = words[python + 1 :] if python is not None else words
    while python is not None and rest and rest[0].startswith("-"):
        option = rest.pop(0)
        letters = _BLIND.fullmatch(option)
        if option == "-m" and rest:
            yield Spawn(line, module=rest[0], folder=folder, blind=blind)
            return
        if option == "-c":
            rest = []
        elif letters:
            blind = f"it starts Python with {option}"
        elif option in _WITH_VALUE and rest:
            rest.pop(0)
    script = next((word for word in rest if word.endswith(".py")), None)
    if script or (blind and python is not None):
        yield Spawn(line, script=script, folder=folder, blind=blind if python is not None else None)


def _without_path(environment: ast.expr | None) -> str | None:
    """Why a child that is given `environment` is out of the hook's reach."""
    if not isinstance(environment, ast.Dict) or None in environment.keys:
        return None  # unset, unknown, or `{**os.environ, …}`
    return "it gives its child an environment of its own"
