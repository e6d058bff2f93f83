"""The command reference, made from the command line itself.

python -m tests.reference   (writes docs/commands.md)
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from spacerun.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = Path(__file__).parents[1] / "docs" / "commands.md"
_HEAD = """\
# Commands

Made from `spacerun --help` by `python -m tests.reference`: change the code, not this file.

"""


def reference() -> str:
    """All of it, as Markdown."""
    group: Any = typer.main.get_command(app)
    commands = [(name, command) for name, command in group.commands.items() if not command.hidden]
    index = "".join(f"- [`{name}`](#spacerun-{name}): {_summary(command)}\n" for name, command in commands)
    return _HEAD + index + "".join(f"\n{_section(name, command)}" for name, command in commands)


def _section(name: str, command: Any) -> str:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option" and not param.hidden]
    usage = " ".join(["spacerun", name, *(["[OPTIONS]"] if options else []), *map(_placeholder, arguments)])
    lines = [f"## spacerun {name}", "", inspect.cleandoc(command.help), "", "```console", f"$ {usage}", "```"]
    if arguments or options:
        lines += ["", "| | | variable |", "|---|---|---|"]
        lines += [_row(f"`{_placeholder(argument)}`", argument) for argument in arguments]
        lines += [_row(_spelling(option), option) for option in options]
    return "\n".join(lines) + "\n"


def _summary(command: Any) -> str:
    return inspect.cleandoc(command.help).split("\n\n")[0].replace("\n", " ")


def _placeholder(argument: Any) -> str:
    word = (argument.metavar or argument.name.upper()).removesuffix("…")
    word += "…" if argument.nargs == -1 else ""
    return word if argument.required else f"[{word}]"


def _spelling(option: Any) -> str:
    names = sorted(option.opts, key=len, reverse=True)
    value = "" if option.is_flag else f" {option.metavar or option.name.upper()}"
    return ", ".join([f"`{names[0]}{value}`", *(f"`{name}`" for name in [*names[1:], *option.secondary_opts])])


def _row(what: str, param: Any) -> str:
    text = " ".join(_sentences(param))
    cells = (what, text, f"`{param.envvar}`" if param.envvar else "")
    return "| " + " | ".join(re.sub(r"(?<!\\)\|", r"\|", cell) for cell in cells) + " |"


def _sentences(param: Any) -> Iterator[str]:
    yield param.help or ""
    if param.param_type_name == "option" and param.show_default:
        if param.is_flag and param.secondary_opts:
            yield f"Default: `{(param.opts if param.default else param.secondary_opts)[0]}`."
        elif not param.is_flag and param.default is not None:
            yield f"Default: `{param.default}`."


if __name__ == "__main__":
    FILE.write_text(reference())
