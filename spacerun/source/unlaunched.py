"""Why no call of a Space could be edited, and what serves the Space instead."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from spacerun.source.patch import Rewrite
from spacerun.source.scopes import dotted
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spacerun.source.project import Project
    from spacerun.source.scopes import Use

# Packages that serve HTTP by themselves; the first of these that is imported is named.
_SERVERS: Final = (
    "streamlit", "chainlit", "nicegui", "panel", "dash", "marimo", "uvicorn", "hypercorn", "gunicorn", "waitress",
    "fastapi", "flask", "sanic", "quart", "bottle", "tornado", "aiohttp", "starlette", "socketserver", "http",
)  # fmt: skip
_AS_IS: Final = "starts as it is"


def explain(project: Project, mounts: Sequence[Use], by_hook: str) -> Rewrite:
    """What to say of a Space in which no call could be traced to Gradio's `launch`.

    Args:
        project: Its modules.
        mounts: Its calls of `gradio.mount_gradio_app`.
        by_hook: What the start-up hook does should Gradio be launched all the same.
    """
    if mounts:
        file, line = mounts[0].scope.file, mounts[0].expression.lineno
        why = f"{file} puts Gradio into another server by mount_gradio_app in line {line}, and launches nothing itself."
        return Rewrite(file, line, "mount_gradio_app", _AS_IS, "hook", why)
    for scopes in project.all_scopes():
        for use in scopes.calls:
            name = dotted(use.expression.func) or "" if isinstance(use.expression, ast.Call) else ""
            last = name.rpartition(".")[2]
            if last == "launch" or ("launch" in last and "gradio" in last):
                why = (
                    f"{one_line(name, 80)}() could not be traced to Gradio: the start-up hook sees whether it launches."
                )
                return Rewrite(scopes.module.file, use.expression.lineno, one_line(name, 80), by_hook, "hook", why)
    server = next((server for server in _SERVERS if server in project.imports), None)
    if server and (server != "http" or _serves_http(project)):
        why = f"No call in {_searched(project)} launches Gradio: {server} serves this Space."
        return Rewrite(project.entry, 0, "", _AS_IS, "hook", why)
    why = f"No call in {_searched(project)} could be traced to Gradio's launch()."
    return Rewrite(project.entry, 0, "", by_hook, "hook", why)


def _searched(project: Project) -> str:
    others = len(project.modules) - 1
    if not others:
        return project.entry
    return f"{project.entry} and the {others} file{'s' if others > 1 else ''} that it leads to"


def _serves_http(project: Project) -> bool:
    return any(imported.module == "http.server" for scopes in project.all_scopes() for imported in scopes.imports)
