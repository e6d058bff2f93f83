"""What an environment is to be made of, decided from the Space's files and its card. Nothing is executed or fetched."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spacerun.environment.as_of import LATEST, AsOf
from spacerun.environment.python_choice import NO_HINTS, Hints, choose_python
from spacerun.environment.requirements import Kind, Line, Requirements, parse_line, read_requirements
from spacerun.environment.uv import STAGE
from spacerun.errors import PackagesError, UsageError
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Part of every key: raised when the same plan would be built differently.
RECIPE: Final = 1

# The builder's base image has both; setuptools 82 dropped `pkg_resources`, which Gradio 3 and many apps import.
# Installed first and on their own, they supply and never constrain.
SEED: Final = ("pip", "setuptools<81")

# Settings of uv that change what gets installed.
_UV_SETTINGS: Final = (
    "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX",
    "UV_INDEX_STRATEGY", "UV_EXCLUDE_NEWER", "UV_RESOLUTION", "UV_PRERELEASE", "UV_TORCH_BACKEND", "UV_CONSTRAINT",
    "UV_OVERRIDE", "UV_NO_BINARY", "UV_NO_BUILD",
)  # fmt: skip
_EXACT_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?(\.(post|dev)\d+)?")
_PIN = re.compile(r"[\w.-]+\s*(?:\[[^\]]*\])?\s*==\s*(?P<version>[^\s,;*]+)\s*(?:;.*)?")
# What a local package is built from; other files in its folder may change while the app runs.
_BUILD_FILES: Final = frozenset({"pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in"})
_SOURCES: Final = frozenset({".py", ".pyx", ".pxd", ".c", ".cc", ".cpp", ".h", ".hpp", ".cu", ".cuh", ".rs"})
_MAX_SOURCES: Final = 20_000


@dataclass(frozen=True)
class InstallStep:
    """One call of uv.

    Attributes:
        name: What is installed, in a word.
        lines: Lines of its requirement file.
        constraints: Lines of its constraint file.
        otherwise: The steps to take instead if these requirements contradict each other.
    """

    name: str
    lines: tuple[Line, ...]
    constraints: tuple[str, ...] = ()
    otherwise: tuple[InstallStep, ...] = ()


@dataclass(frozen=True)
class EnvironmentPlan:
    """An environment to be made.

    Attributes:
        directory: The Space's files; relative paths in requirements count from here.
        python: Version wanted, to the minor (`3.10`) or to the patch.
        python_required: Whether the card or the user asked for it.
        python_fallbacks: Minor versions that serve as well where nobody asked, best first.
        python_why: What decided on it.
        gradio: Exact version of Gradio, where one is asked for.
        steps: What is installed, in order.
        split: Whether the card's SDK is installed after, and against, the requirements.
        sources: Files of the Space that were read, relative to `directory`.
        warnings: What the user should know about the choice.
        key: Hash of all that the environment is made from; equal plans share one environment.
        as_of: When packages are taken from.
    """

    directory: Path
    python: str
    python_required: bool
    python_fallbacks: tuple[str, ...]
    python_why: str
    gradio: str | None
    steps: tuple[InstallStep, ...]
    split: bool
    sources: tuple[str, ...]
    warnings: tuple[str, ...]
    key: str
    as_of: AsOf = LATEST


def make_plan(
    directory: Path,
    *,
    sdk: str,
    sdk_version: str | None,
    python_version: str | None,
    python_override: str | None = None,
    extra_packages: tuple[str, ...] = (),
    imports: frozenset[str] = frozenset(),
    hints: Hints = NO_HINTS,
    as_of: AsOf = LATEST,
) -> EnvironmentPlan:
    """Decide what the environment of the Space in `directory` is made of.

    The exact SDK version of the card wins over another pin in requirements.txt, as on Hugging Face's builder until
    2026: where both can be had in one resolution they are, else requirements come first and the SDK after them.

    Args:
        directory: The Space's files.
        sdk: `gradio`, `streamlit`, or another that brings no package of its own.
        sdk_version: Exact version of the SDK as the card writes it, or None.
        python_version: Python version as the card writes it, or None.
        python_override: Python version the user asks for instead.
        extra_packages: Requirements the user adds.
        imports: Top-level modules that the Space's code imports.
        hints: What else speaks for one Python or another.
        as_of: When packages are taken from; its rung may bring constraints of its own.

    Raises:
        PackagesError: A file or a version of the Space is not usable.
        UsageError: One of the user's own values is not.
    """
    root = directory.resolve()
    before = read_requirements(root, "pre-requirements.txt")
    own = read_requirements(root, "requirements.txt")
    extra = tuple(_extra(root, text) for text in extra_packages)
    version = _sdk_version(sdk, sdk_version)
    sdk_lines = tuple(_sdk_lines(root, sdk, version, {line.name for line in (*own.lines, *extra)}, imports))
    conflict = _conflict(sdk, version, own.lines)
    steps = tuple(_steps(root, before, own, extra, sdk_lines, split=conflict is not None))
    gradio = version if sdk == "gradio" and version else _pinned(own.lines, "gradio")
    python = choose_python(root, card=python_version, override=python_override, gradio=gradio, hints=hints)
    return EnvironmentPlan(
        directory=root,
        python=python.version,
        python_required=python.required,
        python_fallbacks=python.fallbacks,
        python_why=python.why,
        gradio=gradio,
        steps=steps,
        split=conflict is not None,
        sources=before.files + own.files,
        warnings=(conflict,) if conflict else (),
        key=_key(root, steps, {"python": python.version, "sdk": sdk, "gradio": gradio, "as_of": as_of.date}),
        as_of=as_of,
    )


def _sdk_version(sdk: str, text: str | None) -> str | None:
    if not text or sdk not in {"gradio", "streamlit"}:
        return None
    if not _EXACT_VERSION.fullmatch(text.strip()):
        raise PackagesError(
            f"The card asks for {sdk} {one_line(text, 60)!r}, which is not a version.",
            hint='Set sdk_version to an exact version such as "5.49.1" in README.md.',
            stage=STAGE,
        )
    return text.strip()


def _sdk_lines(
    root: Path, sdk: str, version: str | None, named: set[str | None], imports: frozenset[str]
) -> Iterator[Line]:
    """What the builder installs for the SDK: `gradio[oauth]==X "uvicorn>=0.14.0"`, and `spaces` where it is used."""
    if sdk == "gradio":
        if version or "gradio" not in named:
            yield parse_line(root, f"gradio[oauth]{'==' + version if version else ''}")
        yield parse_line(root, "uvicorn>=0.14.0")
    elif sdk == "streamlit" and (version or "streamlit" not in named):
        yield parse_line(root, f"streamlit{'==' + version if version else ''}")
    if "spaces" in imports and "spaces" not in named:
        yield parse_line(root, "spaces")


def _conflict(sdk: str, version: str | None, lines: Iterable[Line]) -> str | None:
    if not version:
        return None
    for line in lines:
        if line.name == sdk and not _allows(line, version):
            return (
                f"requirements.txt asks for {one_line(line.text, 80)!r}, the card for {sdk} {version}: "
                f"{sdk} {version} is installed, as on Hugging Face."
            )
    return None


def _allows(line: Line, version: str) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(_without_options(line))
    except InvalidRequirement:
        return False
    return requirement.url is None and requirement.specifier.contains(version, prereleases=True)


def _without_options(line: Line) -> str:
    return line.text.split(" --")[0].strip()


def _pinned(lines: Iterable[Line], name: str) -> str | None:
    for line in lines:
        if (
            line.name == name
            and (match := _PIN.fullmatch(_without_options(line)))
            and _EXACT_VERSION.fullmatch(match["version"])
        ):
            return match["version"]
    return None


def _extra(root: Path, text: str) -> Line:
    if text.startswith((".", "/")) and Path(text).exists():
        path = Path(text).resolve()
        return Line(str(path), Kind.LOCAL, path=path)
    line = parse_line(root, text.strip(), named_by="--with")
    if line.kind is Kind.OPTION or not text.strip():
        raise UsageError(f"--with takes a package, and {one_line(text)!r} is none.", stage=STAGE)
    if line.kind is Kind.PACKAGE:
        from packaging.requirements import InvalidRequirement, Requirement

        try:
            Requirement(line.text)
        except InvalidRequirement:
            raise UsageError(
                f"--with takes a package, and {one_line(text)!r} is none.",
                hint="Write it as in requirements.txt: --with 'numpy<2'",
                stage=STAGE,
            ) from None
    return line


def _steps(
    root: Path, before: Requirements, own: Requirements, extra: tuple[Line, ...], sdk: tuple[Line, ...], *, split: bool
) -> Iterator[InstallStep]:
    yield InstallStep("pip", tuple(parse_line(root, text) for text in SEED))
    if before.lines:
        yield InstallStep("pre-requirements.txt", before.lines, before.constraints)
    asked = own.lines + extra
    apart = (InstallStep("requirements.txt", asked, own.constraints), InstallStep("the SDK", sdk + extra))
    if not asked:
        if sdk:
            yield apart[1]
    elif not sdk:
        yield apart[0]
    elif split:
        yield from apart
    else:
        yield InstallStep("packages", asked + sdk, own.constraints, otherwise=apart)


def _key(root: Path, steps: Iterable[InstallStep], facts: dict[str, str | None]) -> str:
    steps = tuple(steps)
    local = sorted({line for step in steps for line in step.lines if line.path}, key=lambda line: line.text)
    made_from = {
        **facts,
        "recipe": RECIPE,
        "platform": [sys.platform, platform.machine()],
        "steps": [[[line.text for line in step.lines], step.constraints] for step in steps],
        "uv": {name: value for name in _UV_SETTINGS if (value := os.environ.get(name))},
        "local": [str(root), *(_fingerprint(line) for line in local)] if local else [],
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:20]


def _fingerprint(line: Line) -> str:
    """Hash of what a local requirement is built from; of its code only where that is copied (not editable)."""
    digest = hashlib.sha256()
    path = line.path
    if path is None or not path.exists():
        return ""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    for file in _build_files(path, code=not line.editable):
        digest.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode(errors="surrogateescape"))
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _build_files(folder: Path, *, code: bool) -> list[Path]:
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        for name in sorted(names):
            file = Path(parent) / name
            wanted = name in _BUILD_FILES or (code and file.suffix in _SOURCES)
            if wanted and file.is_file() and not file.is_symlink():
                found.append(file)
        if not code or len(found) > _MAX_SOURCES:
            break
    return found
