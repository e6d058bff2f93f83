"""The calls that load weights, as data: `loaders.toml`."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spacerun import toml

if TYPE_CHECKING:
    from collections.abc import Mapping

_TABLE: Final = Path(__file__).with_name("loaders.toml")
# What `from_pretrained` and the like give that has no weights.
_WEIGHTLESS: Final = re.compile(
    r"(?:tokenizer(?:fast)?|processor(?:mixin)?|feature_?extractor|image_?processor|scheduler|config|vocab\w*|"
    r"discretescheduler|preprocessor|annotators?|collator|detokenizer)(?:_?cls|_?class)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Loader:
    """One kind of call that loads weights; `loaders.toml` says what the fields mean."""

    library: str
    calls: tuple[str, ...]
    id: tuple[str, ...] = ()
    at: int | None = None
    file: tuple[str, ...] = ()
    file_at: int | None = None
    default: str | None = None
    prefix: str = ""
    names: str = ""
    kind: str = "hub"
    role: str = "weights"
    downloads: bool = False
    base: bool = False


def loader_of(names: tuple[str, ...], method: str) -> Loader | None:
    """The loader that a call is.

    Args:
        names: What is called may be one of these, by its full name; empty where it cannot be traced.
        method: The last part of the name that is called, as it is written.
    """
    for name in names:
        last = name.rpartition(".")[2]
        for loader, pattern in _patterns().get(last, ()):
            if pattern.fullmatch(name):
                return loader
    return next((loader for loader, pattern in _patterns().get(method, ()) if pattern.fullmatch(method)), None)


def may_load(method: str) -> bool:
    """Whether a call whose name ends with `method` may load weights."""
    return method in _patterns()


def is_weightless(owner: str) -> bool:
    """Whether what `owner.from_pretrained` loads is a tokenizer, a configuration or the like."""
    return _WEIGHTLESS.search(owner.rpartition(".")[2]) is not None


@cache
def _patterns() -> Mapping[str, list[tuple[Loader, re.Pattern[str]]]]:
    """The loaders and the patterns of their names, by the last part of the name."""
    found: dict[str, list[tuple[Loader, re.Pattern[str]]]] = defaultdict(list)
    for row in toml.parse(_TABLE.read_text(encoding="utf-8"))["loader"]:
        loader = Loader(**{name: _frozen(value) for name, value in row.items()})
        for call in loader.calls:
            found[call.rpartition(".")[2]].append((loader, _pattern(call)))
    return found


def _pattern(call: str) -> re.Pattern[str]:
    """`a.*.b` fits `a.b` too."""
    return re.compile(re.escape(call).replace(r"\.\*\.", r"\.(?:.*\.)?").replace(r"\*\.", r"(?:.*\.)?"))


def _frozen(value: Any) -> Any:  # noqa: ANN401 - whatever TOML holds
    return tuple(value) if isinstance(value, list) else value
