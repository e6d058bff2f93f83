"""What comes of calling an app: an output, or why there is none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from spacerun.text import one_line

HIDDEN: Final = "the app raised an error that it hides; its log tells"
"""An app passes on the text of a `gr.Error`, that of other exceptions only after `launch(show_error=True)`."""

_LONGEST: Final = 120
_DEEPEST: Final = 50
_LONGEST_TEXT: Final = 300


class CallError(Exception):
    """A call that failed; the text says why, as a phrase.

    Attributes:
        answered: Whether the app itself told so; else it may be gone.
    """

    def __init__(self, text: str, *, answered: bool = True) -> None:
        super().__init__(one_line(text, 300) or "it failed without a word")
        self.answered = answered


class LateError(CallError):
    """A call that did not end in time; the function that it called may run on."""

    def __init__(self, seconds: float, streamed: int = 0) -> None:
        super().__init__(f"it did not end within {seconds:g} s" + (f"; {streamed} outputs came" if streamed else ""))


@dataclass(frozen=True)
class Output:
    """What a call returned.

    Attributes:
        value: What the function returned; a list where it has several outputs.
        count: How many outputs came, one after the other: a generator streams them, and `value` is the last.
        seconds: How long it took, in seconds.
    """

    value: Any
    count: int
    seconds: float

    @property
    def told(self) -> str:
        """As a phrase: `'Hello Ada!' in 0.3 s`."""
        streamed = f"{self.count} outputs streamed, the last " if self.count > 1 else ""
        took = f" in {self.seconds:.1f} s"
        return f"{streamed}{_shown(self.value, _LONGEST - len(streamed) - len(took))}{took}"


def plain(value: Any, depth: int = 0) -> Any:  # noqa: ANN401
    """`value` with each file as its bare name: where on which disk it lies is different in every run."""
    if depth > _DEEPEST:
        return None
    if isinstance(value, dict):
        if name := file_name(value):
            return name
        return {key: plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in value]
    return value


def file_name(value: dict[str, Any]) -> str | None:
    """The name of the file that `value` stands for; None where it stands for none.

    That is `path` from Gradio 4 on (`FileData`), and `name` before, there with `is_file`.
    """
    path = value.get("path") if "meta" in value or "orig_name" in value else None
    path = value.get("name") if value.get("is_file") else path
    return PurePosixPath(path).name or None if isinstance(path, str) else None


def unquoted(text: str) -> str:
    """What an app says is wrong, without the quotes that `str` of a `gr.Error` has until 5.0."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _shown(value: Any, limit: int) -> str:  # noqa: ANN401
    if isinstance(value, str):
        return one_line(repr(one_line(value, _LONGEST_TEXT)), limit)
    try:
        text = json.dumps(_shortened(value), ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = str(type(value).__name__)
    return one_line(text, limit)


def _shortened(value: Any, depth: int = 0) -> Any:  # noqa: ANN401
    """`value` without what nobody reads: the end of long texts, the bytes of a picture."""
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, dict):
        return {key: _shortened(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item, depth + 1) for item in value]
    if isinstance(value, str):
        return value.partition(",")[0] if value.startswith("data:") else value[:_LONGEST_TEXT]
    return value
