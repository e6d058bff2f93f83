"""What else the code does that whoever launches it wants to know: places, downloads, ports, shells, ZeroGPU, sizes."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from spacerun.needs.fetched import STARTERS
from spacerun.needs.values import External, Unknown, plain, texts
from spacerun.source.scopes import Use, called_name, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.needs.flow import Flow
    from spacerun.needs.reach import Reach
    from spacerun.source.scopes import Scope

HabitKind: TypeAlias = Literal["data", "download", "install", "port", "oauth", "zero-gpu", "shell", "submodule"]

_PACKAGES: Final = frozenset({"os", "subprocess", "commands", "builtins", "asyncio"})
_FETCHES: Final = re.compile(
    r"\b(?:wget|curl|aria2c|gdown|git\s+(?:lfs\s+)?(?:clone|pull)|huggingface-cli\s+download|hf\s+download)\b"
)
_INSTALLS: Final = re.compile(
    r"\b(?:pip3?\s+install|apt(?:-get)?\s+install|conda\s+install|npm\s+(?:ci|install)|uv\s+pip)\b"
)
_RETRIEVERS: Final = frozenset({
    "urllib.request.urlretrieve", "wget.download", "gdown.download", "gdown.cached_download",
    "torch.hub.download_url_to_file", "git.Repo.clone_from", "modelscope.snapshot_download",
})  # fmt: skip
_PORTS: Final = ("server_port", "port")
_SERVERS: Final = frozenset({"launch", "run", "serve", "serve_forever"})
# What a call of a model or pipeline takes that its memory depends on.
_SIZES: Final = frozenset({
    "max_new_tokens", "max_length", "max_tokens", "height", "width", "num_frames", "num_images_per_prompt",
    "batch_size",    "num_beams", "n_ctx", "max_model_len", "chunk_length_s",
})  # fmt: skip
# Where Hugging Face mounts storage, and where it keeps the Space itself (Hub documentation, "Spaces Overview").
_FOLDERS: Final = re.compile(r"/(?:data|home/user)(?:/|$)")
_LARGEST_SIZE: Final = 10**9
_MOST_LINES: Final = 1000


@dataclass(frozen=True)
class Habit:
    """One thing that the code does.

    Attributes:
        kind: `data`: uses a folder of Hugging Face's, /data or /home/user; `download`: fetches by itself; `install`:
            installs packages while it runs; `port`: names a port; `oauth`: asks for a Hugging Face login; `zero-gpu`:
            is made for ZeroGPU; `shell`: runs what a visitor types; `submodule`: another repository is part of it.
        place: Where, as `file:line`.
        text: What, as it is written.
    """

    kind: HabitKind
    place: str
    text: str


def find_habits(flow: Flow, reach: Reach) -> tuple[Habit, ...]:
    """What the code of a Space does, in the order of the text."""
    found: dict[Habit, None] = {}
    for use in reach.calls():
        if isinstance(use.expression, ast.Call):
            found.update(dict.fromkeys(_of_call(flow, use, use.expression)))
    for scopes in flow.project.all_scopes():
        for scope in scopes.scopes:
            if scope in reach.scopes:
                found.update(dict.fromkeys(_of_scope(flow, scope)))
    return (*found, *_submodules(flow.setting.read(".gitmodules") or b""))


def _submodules(raw: bytes) -> Iterator[Habit]:
    for number, line in enumerate(raw.decode(errors="replace").splitlines()[:_MOST_LINES], 1):
        key, equals, value = (part.strip() for part in line.partition("="))
        if equals and key == "url":
            yield Habit("submodule", f".gitmodules:{number}", value)


def find_sizes(flow: Flow, reach: Reach) -> tuple[dict[str, int], dict[str, int]]:
    """The values that the code gives to each size that memory depends on: tokens, pixels, frames.

    Returns:
        The largest of each; and the usual one, which is where a slider stands before it is moved.
    """
    largest: dict[str, int] = {}
    usual: dict[str, int] = {}
    for use in reach.calls():
        call = use.expression
        for keyword in call.keywords if isinstance(call, ast.Call) else ():
            if keyword.arg in _SIZES:
                given = plain(flow.values(use.of(keyword.value)))
                values = [int(v) for v in given if isinstance(v, int | float) and 1 < v < _LARGEST_SIZE]
                if values:
                    largest[keyword.arg] = max(largest.get(keyword.arg, 0), *values)
                    usual[keyword.arg] = max(usual.get(keyword.arg, 0), min(values))
    return largest, usual


def _place(use: Use) -> str:
    return f"{use.scope.file}:{use.position[0]}"


def _of_call(flow: Flow, use: Use, call: ast.Call) -> Iterator[Habit]:
    full = dotted(call.func) or ""
    name = called_name(call)
    functions = flow.values(use.of(call.func))
    outside = [value.name for value in functions if isinstance(value, External)]
    if name in STARTERS and any(function.partition(".")[0] in _PACKAGES for function in outside):
        yield from _of_command(flow, use, call)
    if any(function in _RETRIEVERS for function in outside):
        where = texts(flow.arguments(use, None, "url", "id", at=0) or ())
        yield Habit("download", _place(use), where[0] if where else ast.unparse(call))
    if name in _SERVERS:
        for value in plain(flow.arguments(use, None, *_PORTS) or ()):
            if type(value) is int:
                yield Habit("port", _place(use), str(value))
    if name in {"LoginButton", "LogoutButton"} or full.endswith("OAuthProfile"):
        yield Habit("oauth", _place(use), ast.unparse(call))


def _of_command(flow: Flow, use: Use, call: ast.Call) -> Iterator[Habit]:
    if not call.args:
        return
    values = flow.values(use.of(call.args[0]))
    written = " ".join(texts(values)) or " ".join(
        str(node.value) for node in ast.walk(call.args[0]) if isinstance(node, ast.Constant)
    )
    if _FETCHES.search(written):
        yield Habit("download", _place(use), written)
    if _INSTALLS.search(written):
        yield Habit("install", _place(use), written)
    in_shell = dotted(call.func) in {"os.system", "os.popen"} or True in plain(flow.arguments(use, None, "shell") or ())
    if in_shell and any(isinstance(value, Unknown) for value in values) and _from_visitor(flow, use, call.args[0]):
        yield Habit("shell", _place(use), ast.unparse(call))


def _from_visitor(flow: Flow, use: Use, command: ast.expr) -> bool:
    """Whether a parameter of a function that Gradio calls stands in the command."""
    scope: Scope | None = use.scope
    names = {node.id for node in ast.walk(command) if isinstance(node, ast.Name)}
    return bool(scope and names.intersection(scope.parameters) and flow.callers.is_handed_over(scope))


def _of_scope(flow: Flow, scope: Scope) -> Iterator[Habit]:
    for node in getattr(scope.node, "decorator_list", []):
        use = Use(node, scope.parent or scope, ())
        function = node.func if isinstance(node, ast.Call) else node
        if External("spaces.GPU") in flow.values(use.of(function)):
            yield Habit("zero-gpu", f"{scope.file}:{node.lineno}", f"@{ast.unparse(node)}")
    annotations = getattr(getattr(scope.node, "args", None), "args", [])
    for argument in annotations:
        if argument.annotation and "OAuth" in ast.unparse(argument.annotation):
            yield Habit("oauth", f"{scope.file}:{argument.lineno}", ast.unparse(argument))
    if scope.parent is None:
        for node in ast.walk(scope.node):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _FOLDERS.match(node.value):
                yield Habit("data", f"{scope.file}:{node.lineno}", node.value)
