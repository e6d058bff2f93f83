"""What every command shares: the JSON envelope, the exit code, and how a failure is told."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from spacerun.console import ConsoleProgress, in_notebook, stdout_console
from spacerun.crash_log import write_crash_log
from spacerun.errors import ExitCode, SpacerunError
from spacerun.text import printable

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import RenderableType

_SCHEMA_VERSION = 1
_WIDE = 10_000


class Session:
    """One run of a command.

    Used as a context manager around the command's body: a `SpacerunError` becomes one sentence and a hint on
    standard error (and with `--json` the error envelope on standard output) and its exit code; Ctrl-C becomes 130;
    anything else is a bug of ours and becomes a log file that is named.

    Args:
        command: Name of the command, as in `spacerun.<command>/1`.
        as_json: Print exactly one JSON document on standard output.
        quiet: Show results, warnings and errors only.
        verbose: Show what the tools underneath say.
    """

    def __init__(self, command: str, *, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.command = command
        self.as_json = as_json
        self.quiet = quiet
        self.progress = ConsoleProgress(quiet=quiet, verbose=verbose)
        self._emitted = False

    def emit(self, data: dict[str, Any]) -> None:
        """With `--json`, print the success envelope around `data`; without, nothing."""
        self._write({"ok": True, "data": data, "warnings": self.progress.warnings})

    def print(self, renderable: RenderableType = "", *, wide: bool = False) -> None:
        """Show a result on standard output; with `--json`, nothing.

        Args:
            renderable: The result.
            wide: Whether its lines are left as long as they are, for the terminal to break: nothing of it is cut.
        """
        if not self.as_json:
            self.progress.close()
            console = stdout_console()
            console.width = _WIDE if wide else console.width
            console.print(renderable)

    def interrupted(self, data: dict[str, Any]) -> NoReturn:
        """End as Ctrl-C does, with what is known in `data`."""
        self._fail(
            SpacerunError("Interrupted; all that was started has been stopped.", data=data), ExitCode.INTERRUPTED
        )

    def confirm(self, question: str) -> bool | None:
        """Ask the user; None where nobody is there to answer."""
        if not self._is_attended:
            return None
        import typer

        self.progress.close()
        return typer.confirm(printable(question), err=True)

    def ask(self, question: str) -> str | None:
        """Ask the user for a secret, which is not shown; None where nobody is there to answer, or nothing is given."""
        if not self._is_attended:
            return None
        import typer

        self.progress.close()
        value: str = typer.prompt(printable(question), hide_input=True, default="", show_default=False, err=True)
        return value or None

    @property
    def _is_attended(self) -> bool:
        """Whether somebody is there who can answer: a cell of a notebook has a terminal, but no keyboard."""
        return sys.stdin.isatty() and sys.stderr.isatty() and not (self.as_json or in_notebook())

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.progress.close()
        if isinstance(error, SpacerunError):
            self._fail(error, error.exit_code)
        if _is_interruption(error):
            self.interrupted({})
        if isinstance(error, BrokenPipeError):
            # The reader went away (`| head`); what is left in the buffer has no one to go to.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(ExitCode.OK)
        # Typer's own exits and usage errors are RuntimeErrors that know how to show themselves.
        if isinstance(error, Exception) and not hasattr(error, "exit_code"):
            log = write_crash_log(self.command, error)
            self._fail(
                SpacerunError(
                    f"Something went wrong inside spacerun: {type(error).__name__}.",
                    hint=f"Please report it with this file: {log}",
                ),
                ExitCode.INTERNAL,
            )

    def _fail(self, error: SpacerunError, code: ExitCode) -> NoReturn:
        self._write(
            {
                "ok": False,
                "error": {
                    "name": code.name.lower(),
                    "exit_code": int(code),
                    "message": printable(error.message),
                    "hint": printable(error.hint) if error.hint else None,
                    "stage": error.stage,
                },
                "data": error.data,
                "warnings": self.progress.warnings,
            }
        )
        from rich.text import Text

        where = f" [{error.stage}]" if error.stage else ""
        console = self.progress.console
        console.print(Text.assemble(("✗ ", "red bold"), (printable(error.message), "bold"), (where, "dim")))
        if self.progress.verbose and "uv" in error.data:
            console.print(printable(str(error.data["uv"])), style="dim", markup=False)
        if error.hint:
            console.print(Text.assemble(("→ ", "cyan"), printable(error.hint)))
        raise SystemExit(int(code))

    def _write(self, document: dict[str, Any]) -> None:
        if self.as_json and not self._emitted:
            self._emitted = True
            envelope = {"schema": f"spacerun.{self.command}/{_SCHEMA_VERSION}", **document}
            sys.stdout.write(json.dumps(envelope, indent=2) + "\n")
            sys.stdout.flush()


def _is_interruption(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind it: before 3.12 Python wraps what is raised while it makes a class ("What's New")."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None
