"""JSON that a stranger wrote."""

from __future__ import annotations

import json
import threading
from typing import Any, Final

# Python before 3.10.7 takes hours for a number of a million digits (CVE-2020-10735); some tokenizers' have 31.
_MOST_DIGITS: Final = 400
# A text of 25 MB can take 900 MB while it is parsed; two at a time would not be done sooner.
_one_at_a_time: Final = threading.Lock()


def parse(text: bytes) -> Any:  # noqa: ANN401
    """The value that `text` is.

    Raises:
        ValueError: It is not JSON in UTF-8, or is too deep, or has absurd numbers.
    """
    try:
        with _one_at_a_time:
            return json.loads(text.decode(), parse_int=_number)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON") from error


def _number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError("a number is too long")
    return int(digits)
