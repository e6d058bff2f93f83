"""The README card of a Space, read as text (Spaces configuration reference), or inferred where it is missing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spacerun.errors import NotFoundError, RefusedError, UsageError
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST_CARD = 256 * 1024
# PyYAML's time grows with the square of the nesting.
_LARGEST_BLOCK = 32 * 1024
_MOST_BRACKETS = 500
_DEFAULT_STARTUP_SECONDS = 30 * 60.0
_LONGEST_STARTUP_SECONDS = 24 * 3600.0
_DEFAULT_APP_FILE = {"gradio": "app.py", "streamlit": "app.py", "static": "index.html"}
_SDKS = frozenset({"gradio", "streamlit", "docker", "static"})
# Those that Hugging Face adds to its answers, each with what may follow; other names are ignored there, too.
_HEADERS = {
    "cross-origin-embedder-policy": {"require-corp", "credentialless", "unsafe-none"},
    "cross-origin-opener-policy": {"same-origin", "same-origin-allow-popups", "unsafe-none"},
    "cross-origin-resource-policy": {"same-site", "same-origin", "cross-origin"},
}
_LONGEST_COMMAND = 1000
_DEFAULT_APP_PORT = 7860
_LAST_PORT = 65535
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)*(?:(?:a|b|rc|\.post|\.dev)[0-9]+)*")
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(s|m|h|d)?\s*")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, None: 1}
_KEY_LINE = re.compile(r"^([a-z_]+):[ \t]*([^#\n]*?)[ \t]*(?:#.*)?$", re.MULTILINE)


@dataclass(frozen=True)
class SpaceCard:
    """What the card says, or what the files imply.

    Attributes:
        sdk: `gradio`, `streamlit`, `docker` or `static`.
        sdk_version: Exact version of the SDK, as text.
        python_version: `3.x` or `3.x.y`, as text.
        app_file: Path of the entry file, relative to the working tree; empty for docker.
        title: For people.
        models: Model ids that the card names.
        preloads: Lines of `preload_from_hub`.
        suggested_hardware: Flavor of Hugging Face's hardware that its author suggests.
        oauth: Whether its users log in with their Hugging Face account.
        startup_seconds: How long the Space may take to start, in seconds.
        warnings: What was wrong with the card, one sentence each.
        build_command: Command by which a static Space is built before it is served; empty for none.
        headers: Further headers of each answer of a static Space, in lower case.
        app_port: Port that a docker Space listens on inside of its container.
        run_as: How a docker Space is run where not by an image built here: `prebuilt` or `nocontainer`.
    """

    sdk: str
    sdk_version: str | None
    python_version: str | None
    app_file: str
    title: str | None
    models: tuple[str, ...]
    preloads: tuple[str, ...]
    suggested_hardware: str | None
    oauth: bool
    startup_seconds: float
    warnings: tuple[str, ...]
    build_command: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    app_port: int = _DEFAULT_APP_PORT
    run_as: str = ""

    @property
    def runner(self) -> str:
        """Name of the module of `spacerun.sdks` that builds and starts it."""
        return self.run_as or self.sdk


def read_card(directory: Path) -> SpaceCard:
    """Read the card of the Space in `directory`.

    Raises:
        RefusedError: `app_file` lies outside of the working tree.
        NotFoundError: The entry file is missing, or nothing in the folder looks like an app.
        UsageError: The SDK is none that exists.
    """
    warnings: list[str] = []
    values = _front_matter(directory, warnings)
    sdk = _scalar(values, "sdk").lower()
    app_file = _scalar(values, "app_file")
    if app_file:
        _refuse_outside(directory, app_file)
    if not sdk:
        sdk = _infer_sdk(directory, app_file)
        warnings.append(f"The README names no sdk; its files look like {sdk}.")
    if sdk not in _SDKS:
        raise UsageError(
            f"The README names the SDK {one_line(sdk)!r}, which Hugging Face does not have.",
            hint="`sdk:` is one of gradio, docker, static, streamlit.",
        )
    app_file = "" if sdk == "docker" else app_file or _DEFAULT_APP_FILE[sdk]
    build_command = _scalar(values, "app_build_command")[:_LONGEST_COMMAND] if sdk == "static" else ""
    if app_file and not build_command:  # else it may be what is built
        _require_file(directory, app_file)
    return SpaceCard(
        sdk=sdk,
        sdk_version=_version(values, "sdk_version", warnings),
        python_version=_version(values, "python_version", warnings),
        app_file=app_file,
        title=one_line(_scalar(values, "title")) or None,
        models=tuple(_list(values, "models")),
        preloads=tuple(_list(values, "preload_from_hub")),
        suggested_hardware=one_line(_scalar(values, "suggested_hardware"), 40) or None,
        oauth=_scalar(values, "hf_oauth").lower() in {"true", "yes", "on"},
        startup_seconds=_duration(_scalar(values, "startup_duration_timeout"), warnings),
        headers=_headers(values.get("custom_headers"), warnings),
        app_port=_port(_scalar(values, "app_port"), warnings),
        warnings=tuple(warnings),
        build_command=build_command,
    )


def _front_matter(directory: Path, warnings: list[str]) -> Mapping[str, object]:
    """The YAML block between the first two `---` lines, every scalar as text; empty where there is none."""
    import yaml

    text = _card_text(directory, warnings)
    match = re.match(r"\s*---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", text, re.DOTALL)
    if match is None:
        if text.strip():
            warnings.append("The README has no front matter.")
        return {}
    block = match[1]
    if len(block) > _LARGEST_BLOCK or sum(map(block.count, "[{")) > _MOST_BRACKETS:
        warnings.append("The README's front matter is far too long; only its plain lines are read.")
        return _plain_lines(block)
    try:
        # Implicit types would turn `sdk_version: 4.40` into 4.4, and an alias can blow up to gigabytes.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(block, Loader=yaml.BaseLoader)):
            warnings.append("The README's front matter uses YAML aliases; only its plain lines are read.")
        else:
            values = yaml.load(block, Loader=yaml.BaseLoader)  # noqa: S506 - builds nothing but text, lists, dicts
            if isinstance(values, dict):
                return values
            warnings.append("The README's front matter is not a list of `key: value` lines.")
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        where = getattr(getattr(error, "problem_mark", None), "line", None)
        line = f" in line {where + 2}" if where is not None else ""
        warnings.append(f"The README's front matter is not valid YAML{line}; only its plain lines are read.")
    return _plain_lines(block)


def _plain_lines(block: str) -> Mapping[str, object]:
    return {key: value.strip("'\"") for key, value in _KEY_LINE.findall(block)}


def _card_text(directory: Path, warnings: list[str]) -> str:
    path = directory / "README.md"
    try:
        if not _is_inside(directory, path) or not path.is_file():
            return ""
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST_CARD)
    except OSError:
        return ""
    if b"\0" in raw and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        warnings.append("The README holds NUL bytes.")
    encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return raw.decode(encoding, "replace").replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")


def _infer_sdk(directory: Path, app_file: str) -> str:
    entry = directory / (app_file or "app.py")
    if _is_file(entry) and _is_inside(directory, entry):
        source = entry.read_bytes()[: 1 << 20]
        return "streamlit" if re.search(rb"^\s*(?:import|from)\s+streamlit\b", source, re.MULTILINE) else "gradio"
    if (directory / "Dockerfile").is_file():
        return "docker"
    if (directory / "index.html").is_file():
        return "static"
    raise NotFoundError(
        f"{directory} holds no app: neither a README that names one, nor app.py, Dockerfile or index.html.",
        hint="Name the entry file in README.md: a line `app_file: main.py` between two lines `---`.",
    )


def _refuse_outside(directory: Path, app_file: str) -> None:
    if Path(app_file).is_absolute() or not _is_inside(directory, directory / app_file):
        raise RefusedError(
            f"The README's app_file leads outside of the Space: {one_line(app_file)}.",
            hint="An entry file is a relative path such as app.py; tell the Space's author.",
        )


def _require_file(directory: Path, app_file: str) -> None:
    _refuse_outside(directory, app_file)
    if not _is_file(directory / app_file):
        raise NotFoundError(
            f"The entry file {one_line(app_file)} is not in the Space.",
            hint="Name the right one in README.md: a line `app_file: main.py` between two lines `---`.",
        )


def _is_inside(directory: Path, path: Path) -> bool:
    try:
        return path.resolve().is_relative_to(directory.resolve())
    except RuntimeError:  # a loop of links, before Python 3.13; it leads nowhere
        return True


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than the file system allows
        return False


def _scalar(values: Mapping[str, object], key: str) -> str:
    value = values.get(key)
    return value.strip() if isinstance(value, str) else ""


def _list(values: Mapping[str, object], key: str) -> list[str]:
    value = values.get(key)
    return [item.strip() for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _headers(value: object, warnings: list[str]) -> tuple[tuple[str, str], ...]:
    headers = {}
    for name, content in value.items() if isinstance(value, dict) else ():
        key, text = str(name).strip().lower(), str(content).strip().lower()
        if text in _HEADERS.get(key, ()):
            headers[key] = text
        else:
            warnings.append(f"The README's custom_headers hold {one_line(f'{name}: {content}', 80)!r}; it is ignored.")
    return tuple(headers.items())


def _port(text: str, warnings: list[str]) -> int:
    if not text:
        return _DEFAULT_APP_PORT
    if not text.isdecimal() or not 0 < int(text[:6]) <= _LAST_PORT:
        warnings.append(f"The README's app_port is not a port: {one_line(text, 40)!r}; {_DEFAULT_APP_PORT} is taken.")
        return _DEFAULT_APP_PORT
    return int(text)


def _version(values: Mapping[str, object], key: str, warnings: list[str]) -> str | None:
    text = _scalar(values, key)
    if not text or text.lower() in {"null", "~", "latest"}:
        return None
    if not _VERSION.fullmatch(text):
        warnings.append(f"The README's {key} is not a version: {one_line(text, 40)!r}; it is ignored.")
        return None
    return text


def _duration(text: str, warnings: list[str]) -> float:
    if not text:
        return _DEFAULT_STARTUP_SECONDS
    match = _DURATION.fullmatch(text)
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if not seconds:
        warnings.append(f"The README's startup_duration_timeout is not a duration: {one_line(text, 40)!r}.")
        return _DEFAULT_STARTUP_SECONDS
    return min(seconds, _LONGEST_STARTUP_SECONDS)
