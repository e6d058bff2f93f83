"""Python source as bytes: decoded as Python does it, and places in the syntax tree as byte offsets."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from dataclasses import dataclass
from functools import cached_property

# Python ends a line at these three only; `str.splitlines` knows eight more.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_BOM = b"\xef\xbb\xbf"


class SourceError(Exception):
    """Source that this Python cannot read; its text says why, as one sentence without a full stop."""


@dataclass(frozen=True)
class Span:
    """A part of a file, in bytes from its beginning: `start` is the first, `end` the one behind the last."""

    start: int
    end: int


@dataclass(frozen=True)
class PythonText:
    """One source file.

    Attributes:
        raw: The bytes of the file.
        text: The same, decoded, without a byte order mark.
        encoding: Name of the codec; never one that writes a byte order mark.
    """

    raw: bytes
    text: str
    encoding: str

    @classmethod
    def decode(cls, raw: bytes) -> PythonText:
        """Decode `raw` by its byte order mark or encoding cookie (PEP 263).

        Raises:
            SourceError: The cookie is unknown or wrong, or the text does not encode to the same bytes again.
        """
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
            encoding = "utf-8" if encoding == "utf-8-sig" else encoding
            body = raw.removeprefix(_BOM)
            text = body.decode(encoding)
            exact = text.encode(encoding) == body
        except (SyntaxError, ValueError, LookupError) as error:
            raise SourceError(f"it cannot be decoded: {error}") from error
        if not exact:
            raise SourceError(f"its {encoding} text does not encode to the same bytes again")
        return cls(raw, text, encoding)

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree.

        Raises:
            SourceError: This Python cannot parse the text.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in a stranger's strings
            try:
                return ast.parse(self.text)
            except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
                raise SourceError(f"Python cannot compile it: {error}") from error

    def compile(self) -> None:
        """Compile the text: `ast.parse` accepts a repeated keyword argument, and a `return` outside functions.

        Raises:
            SourceError: This Python cannot compile it.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                compile(self.text, "<source>", "exec", dont_inherit=True)
            except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
                raise SourceError(f"Python cannot compile it: {error}") from error

    @cached_property
    def _lines(self) -> list[str]:
        return _LINE.findall(self.text)

    @cached_property
    def _starts(self) -> list[int]:
        starts = [len(self.raw) - len(self.raw.removeprefix(_BOM))]
        for line in self._lines:
            starts.append(starts[-1] + len(line.encode(self.encoding)))
        return starts

    def offset(self, line: int, column: int) -> int:
        """Bytes before the place that the syntax tree calls `line` (from 1) and `column` (in UTF-8 bytes)."""
        if line > len(self._lines):
            return self._starts[-1]
        before = self._lines[line - 1].encode()[:column].decode()
        return self._starts[line - 1] + len(before.encode(self.encoding))

    def span(self, node: ast.expr | ast.keyword) -> Span:
        """Where `node` stands."""
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return Span(self.offset(node.lineno, node.col_offset), self.offset(end_line, end_column))

    def line_start(self, line: int) -> int:
        """Offset of the first byte of `line` that is not white space."""
        text = self._lines[line - 1]
        return self._starts[line - 1] + len(text) - len(text.lstrip(" \t\f"))

    def whole_line(self, line: int) -> Span:
        """`line` without the white space before it, or the first line where there is no such line."""
        line = line if 0 < line <= len(self._lines) else 1
        return Span(self.line_start(line), self._starts[line])

    def show(self, raw: bytes) -> str:
        """`raw`, a part of this file, as text."""
        return raw.decode(self.encoding, "replace")
