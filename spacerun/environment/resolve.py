"""What a plan would install, with sizes, without building or running anything."""

from __future__ import annotations

import re
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spacerun import toml
from spacerun.environment.build import step_options, write_requirements
from spacerun.environment.plan import BASE_LAYER
from spacerun.environment.requirements import Kind, normalize
from spacerun.environment.uv import UnresolvableError, run_uv
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spacerun.environment.plan import EnvironmentPlan, InstallStep
    from spacerun.environment.python import Interpreter

_DOING: Final = "The packages cannot be resolved"
_NEEDS_BUILD = re.compile(r"Wheels are required for `([^`]+)`|\ball versions of (\S+) have no usable wheels")
_MAX_UNKNOWN: Final = 20


@dataclass(frozen=True)
class ResolvedPackage:
    """A package that would be installed.

    Attributes:
        name: Normalized name.
        version: Exact version.
        size_bytes: Bytes to download if it is not in uv's cache; None where the index does not say.
        url: Where it comes from, if it is a file of an index.
        sha256: Its hash, where the index gives one.
    """

    name: str
    version: str
    size_bytes: int | None
    url: str | None
    sha256: str | None


@dataclass(frozen=True)
class Resolution:
    """What a plan would install.

    Attributes:
        packages: By name.
        unknown: Requirements whose version is known only after they are built: from git, a URL, the Space's own files,
            or published as source only.
        download_bytes: Sum of the sizes known, in bytes; what uv's cache holds already counts too.
        split: Whether the SDK is installed after, and against, the requirements.
    """

    packages: tuple[ResolvedPackage, ...]
    unknown: tuple[str, ...]
    download_bytes: int
    split: bool


def resolve(plan: EnvironmentPlan, interpreter: Interpreter | None, *, build: bool = False) -> Resolution:
    """Resolve `plan` through uv, which reads package metadata from the index and nothing else.

    Args:
        plan: What to resolve.
        interpreter: The Python to resolve for; None where the one wanted is not installed yet.
        build: Whether to build what can only be known so, which runs strangers' code.

    Raises:
        UnresolvableError: The requirements contradict each other.
        PackagesError: The index does not answer, or uv fails otherwise.
    """
    with tempfile.TemporaryDirectory(prefix="spacerun-resolve-") as folder:
        resolver = _Resolver(plan, interpreter, Path(folder), build=build)
        for step in plan.steps:
            resolver.resolve_or_split(step)
    packages = tuple(resolver.packages[name] for name in sorted(resolver.packages))
    return Resolution(
        packages=packages,
        unknown=tuple(resolver.unknown),
        download_bytes=sum(package.size_bytes or 0 for package in packages),
        split=resolver.split,
    )


class _Resolver:
    def __init__(self, plan: EnvironmentPlan, interpreter: Interpreter | None, folder: Path, *, build: bool) -> None:
        self.plan = plan
        # Without it, our own Python lends its platform, and uv takes the version as told.
        ours = ["--python", sys.executable, "--python-version", plan.python]
        self.target = ["--python", str(interpreter.path)] if interpreter else ours
        self.folder = folder
        self.build = build
        self.packages: dict[str, ResolvedPackage] = {}
        self.unknown: dict[str, None] = {}
        self.sourceonly: list[str] = []
        self.split = plan.split

    def resolve_or_split(self, step: InstallStep) -> None:
        try:
            self.resolve(step)
        except UnresolvableError:
            if not step.otherwise:
                raise
            for part in step.otherwise:
                self.resolve(part)
            self.split = self.split or step.name != BASE_LAYER

    def resolve(self, step: InstallStep) -> None:
        """Resolve `step` on top of the ones before it."""
        if not self.build:
            aside = [line for line in step.lines if line.kind in {Kind.LOCAL, Kind.REMOTE}]
            self.unknown.update((line.name or one_line(line.text), None) for line in aside)
            step = replace(step, lines=tuple(line for line in step.lines if line not in aside))
        if not any(line.kind is not Kind.OPTION for line in step.lines):
            return
        for package in self._without_sources(step):
            self.packages[package.name] = package

    def _without_sources(self, step: InstallStep) -> Iterable[ResolvedPackage]:
        """Resolve; each time a package turns out to be published as source only, again without that package."""
        while True:
            try:
                return self._compile(step)
            except UnresolvableError as error:
                names = {
                    normalize(name) for match in _NEEDS_BUILD.findall(str(error.data["uv"])) for name in match if name
                }
                new = sorted(names - set(self.sourceonly))
                if self.build or not new or len(self.sourceonly) > _MAX_UNKNOWN:
                    raise
                self.sourceonly += new
                self.unknown.update(dict.fromkeys(new))

    def _compile(self, step: InstallStep) -> Iterable[ResolvedPackage]:
        overrides = self.folder / "left-out.txt"
        # An override whose marker is never true takes the package out, wherever it is asked for.
        overrides.write_text("".join(f"{name} ; python_version < '0'\n" for name in self.sourceonly), encoding="utf-8")
        # What the steps before chose is kept where it satisfies, as in an environment that holds it already.
        lock = self.folder / "pylock.toml"
        arguments: list[str | Path] = ["pip", "compile", write_requirements(step, self.folder)]
        arguments += step_options(self.plan, step, self.folder)
        arguments += ["--format", "pylock.toml", "--output-file", lock, "--overrides", overrides, "--quiet"]
        arguments += [*self.target, "--no-python-downloads"]
        if not self.build:
            arguments += ["--no-build"]
        run_uv(arguments, doing=_DOING, cwd=self.plan.directory)
        return [_package(item) for item in toml.parse(lock.read_text(encoding="utf-8")).get("packages", ())]


def _package(item: dict[str, Any]) -> ResolvedPackage:
    # Several wheels of one version can suit this machine; they differ little, the largest is an upper bound.
    files = item.get("wheels") or [item[kind] for kind in ("sdist", "archive") if kind in item]
    largest: dict[str, Any] = max(files, key=lambda file: file.get("size") or 0, default={})
    return ResolvedPackage(
        name=item["name"],
        version=item.get("version", ""),
        size_bytes=largest.get("size"),
        url=largest.get("url"),
        sha256=largest.get("hashes", {}).get("sha256"),
    )
