"""A stranger's text made safe to show, and sizes and counts made readable."""

from __future__ import annotations

import re

# C0 controls but tab and newline, DEL, C1 controls, and the bidirectional, invisible and tag characters that reorder
# or hide text (Unicode Technical Report 36, section 3).
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# What a file name that is not UTF-8 decodes to (PEP 383); a terminal cannot be sent it.
_UNDECODABLE = re.compile("[\ud800-\udfff]")
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{8,}\b")
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY", re.IGNORECASE)
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KkMGT])?(i?B|b)?")
_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_DURATION = re.compile(rf"(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?")
_UNITS = (86400, 3600, 60, 1)
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def printable(text: str) -> str:
    """`text` without terminal escapes, control and text-reordering characters, and with tokens redacted."""
    return _TOKEN.sub("hf_***", _UNDECODABLE.sub("\ufffd", _UNSAFE.sub("", _ANSI.sub("", text))))


def one_line(text: str, limit: int = 200) -> str:
    """`text` as one printable line of at most `limit` characters."""
    line = " ".join(printable(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def size(count: int) -> str:
    """`count` bytes for people, in binary units: `1.5 GiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:  # noqa: PLR2004
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def parse_size(text: str) -> int:
    """Bytes that `18GiB`, `18 GB`, `18G` or `18` mean; a number alone, and `G`, are binary: GiB.

    Raises:
        ValueError: `text` is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    power = " kmgt".index((match[2] or "g").lower())
    unit = 1000 if match[3] == "B" else 1024
    return round(float(match[1]) * float(unit) ** power)


def duration(seconds: float) -> str:
    """A time span for people, by its largest units: `90 s`, `30 min`, `2 h`, `1 h 30 min`."""
    minutes, rest = divmod(round(seconds, 1), 60)
    if minutes < 2 and (rest or not minutes):  # noqa: PLR2004 - 90 s is said so
        return f"{seconds:g} s"
    hours, minutes = divmod(int(minutes), 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (int(rest), "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def parse_duration(text: str) -> float:
    """Seconds that `90s`, `30m`, `2h`, `1d` or `1h30m` mean.

    Raises:
        ValueError: `text` is no such time span, or nothing.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = sum(float(part or 0) * unit for part, unit in zip(match.groups(), _UNITS, strict=True)) if match else 0.0
    if not seconds:
        raise ValueError(text)
    return seconds


def names_secret(variable: str) -> bool:
    """Whether an environment variable of this name is likely to hold a secret."""
    return _SECRET.search(variable) is not None
