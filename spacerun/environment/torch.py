"""The PyTorch for this machine: the CUDA build that its GPU and driver can run, and the CPU build without a GPU."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from spacerun.environment import torch_index
from spacerun.environment.requirements import Kind
from spacerun.environment.torch_table import BUILDS, DEPENDENCIES, RELEASES, Build, Release
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spacerun.environment.requirements import Line
    from spacerun.gpu.devices import Device, DeviceReport

# What is built for one exact version of torch, and for the same CUDA.
FAMILY: Final = ("torch", "torchvision", "torchaudio")
CPU: Final = "cpu"
PYPI: Final = "PyPI"

_PINNED = re.compile(r"torch\s*(?:\[[^\]]*\])?\s*===?\s*(?P<version>\d+(?:\.\d+)+)(?:\+(?P<build>\w+))?\s*(?:;.*)?")
_WHEEL = re.compile(r"/torch-(?P<version>\d+(?:\.\d+)+)(?:(?:\+|%2B)(?P<build>\w+))?-cp")
_INDEX = re.compile(r"^(?:-f|--find-links|--extra-index-url|-i|--index-url)[\s=]+(?P<address>\S+)")
_BUILD_FOLDER = re.compile(r"/whl/(?:nightly/)?(?P<build>cu\d+|cpu)\b")


@dataclass(frozen=True)
class Card:
    """What decides which builds run here.

    Attributes:
        name: Of the GPU, for messages.
        capabilities: Compute capability of each GPU that the app sees; empty where the driver does not tell.
        driver: Version of the driver, None where unknown.
        cuda: Newest CUDA that the driver supports, None where unknown.
    """

    name: str
    capabilities: tuple[tuple[int, int], ...] = ()
    driver: tuple[int, ...] | None = None
    cuda: tuple[int, int] | None = None


@dataclass(frozen=True)
class Asked:
    """What the requirements say of torch.

    Attributes:
        version: The one version that they name, if they do.
        build: The build that they name (`cu116`), if they do.
        indexes: Lines that add PyTorch's index.
        named: Whether they name torch or one of its family at all.
    """

    version: str | None = None
    build: str | None = None
    indexes: tuple[str, ...] = ()
    named: bool = False


@dataclass(frozen=True)
class TorchChoice:
    """Which PyTorch is installed.

    Attributes:
        version: Version of torch, without its local part.
        build: `cpu`, `cu118`, … from PyTorch's index, `PyPI`, or `reused`: the machine's own.
        why: What decided, as a phrase.
        overrides: Requirements that stand in for whatever is asked of these packages.
        exempt: Packages that may be newer than the plan's date, and until when (a date).
        dropped: Lines of the requirements that are left out.
        raised_from: The version asked for, where this machine cannot run it.
        warning: What the user should know, as a sentence.
    """

    version: str
    build: str
    why: str
    overrides: tuple[str, ...] = ()
    exempt: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()
    raised_from: str | None = None
    warning: str | None = field(default=None, compare=False)


def card_of(gpus: Sequence[Device], report: DeviceReport) -> Card | None:
    """The GPUs that an app sees, as far as they matter to PyTorch; None without any."""
    if not gpus:
        return None
    capabilities = tuple(found for gpu in gpus if (found := _pair(gpu.compute_capability)))
    driver = tuple(int(part) for part in re.findall(r"\d+", report.driver or "")) or None
    return Card(gpus[0].name, capabilities, driver, _pair(report.cuda))


def runs_on(build: str, card: Card) -> bool:
    """Whether PyTorch's `build` (`cu118`) is known to run on `card`."""
    return build in BUILDS and not _obstacle(BUILDS[build], card)


def asked_of(lines: Iterable[Line]) -> Asked:
    """What requirement `lines` say of torch."""
    version = build = folder = None
    indexes: list[str] = []
    named = False
    for line in lines:
        named = named or line.name in FAMILY
        if line.kind is Kind.OPTION:
            match = _INDEX.match(line.text)
            if match and torch_index.is_torch_index(match["address"]):
                indexes.append(line.text)
                folder = found["build"] if (found := _BUILD_FOLDER.search(match["address"])) else folder
        elif match := _WHEEL.search(line.text) or (
            _PINNED.fullmatch(line.text.split(" --")[0].strip()) if line.name == "torch" else None
        ):
            version, build = match["version"], match["build"] or build
            named = True
    return Asked(version, build or folder, tuple(indexes), named)


def newest_release(before: str | None, minor: int) -> str | None:
    """The newest torch until the day of `before` (RFC 3339; None for today) that Python 3.`minor` can have."""
    fitting = [r for r in RELEASES if r.pythons[0] <= minor <= r.pythons[1] and (not before or r.day <= before[:10])]
    return fitting[-1].version if fitting else None


def choose_torch(
    asked: Asked, version: str, card: Card | None, *, minor: int, as_of: str | None, offline: bool
) -> TorchChoice:
    """The PyTorch to install on this machine (Linux on x86_64), given that `version` would be.

    PyPI's own wheel is taken where it runs here: it has an upload date and every mirror has it. Otherwise another
    build of the same version from PyTorch's index; only if there is none, the first later version that has one.

    Args:
        asked: What the requirements say.
        version: The version that would be installed.
        card: The GPUs of the app, or None for the CPU.
        minor: Minor version of Python 3.
        as_of: The plan's date, RFC 3339, or None.
        offline: Ask nobody.
    """
    choosing = _Choosing(asked, card, minor, as_of, offline=offline)
    release = next((r for r in RELEASES if r.version == version), None)
    if release is None:
        return TorchChoice(version, asked.build or PYPI, "as asked for; this release of PyTorch is not known here")
    return choosing.for_gpu(release, card) if card else choosing.for_cpu(release)


@dataclass(frozen=True)
class _Choosing:
    asked: Asked
    card: Card | None
    minor: int
    as_of: str | None
    offline: bool

    def for_cpu(self, release: Release) -> TorchChoice:
        why = "no GPU is used"
        if found := self._from_index(release, CPU):
            return TorchChoice(release.version, CPU, why, found)
        missing = self._silence() or f"PyTorch's index has no torch {release.version} for the CPU"
        return self._from_pypi(
            release, f"{why}, and {missing}", f"{missing}: torch {release.version} comes with CUDA from PyPI."
        )

    def for_gpu(self, asked: Release, card: Card) -> TorchChoice:
        own = BUILDS.get(self.asked.build or "")
        if own and own.name in asked.builds and not _obstacle(own, card):
            if found := self._from_index(asked, own.name):
                return TorchChoice(asked.version, own.name, f"asked for, and made for {_shown(card)}", found)
            if not self._silence():
                return TorchChoice(asked.version, own.name, f"asked for, and made for {_shown(card)}")
        obstacle = _obstacle(own or BUILDS[asked.pypi], card)
        for release in _from(asked, self.minor):
            for build in _by_preference(release, card):
                if release is asked and build.name == release.pypi:
                    return self._from_pypi(release, self._because(obstacle, card), self._left(own, release))
                if choice := self._try(asked, release, build, card, obstacle):
                    return choice
        warning = f"No PyTorch from {asked.version} on is known to run on {_shown(card)}: {obstacle}."
        return TorchChoice(asked.version, self.asked.build or PYPI, "nothing better is known", warning=warning)

    def _try(
        self, asked: Release, release: Release, build: Build, card: Card, obstacle: str | None
    ) -> TorchChoice | None:
        from_pypi = build.name == release.pypi
        overrides = _pins(release) if from_pypi else self._from_index(release, build.name)
        if not overrides:
            return None
        why = self._because(obstacle, card)
        name = PYPI if from_pypi else build.name
        dropped = self._dropped()
        if release is asked:
            return TorchChoice(release.version, name, why, overrides, dropped=dropped)
        return TorchChoice(
            version=release.version,
            build=name,
            why=why,
            overrides=overrides,
            exempt=self._exempt(release),
            dropped=dropped,
            raised_from=asked.version,
            warning=f"torch {asked.version} does not run on {_shown(card)} ({obstacle}): "
            f"torch {release.version} ({build.name}) is installed, the first that does{self._of_pypi()}.",
        )

    def _from_pypi(self, release: Release, why: str, warning: str | None) -> TorchChoice:
        """PyPI's wheel: as it is resolved, unless the requirements tie it to an index that it is not taken from."""
        tied = bool(self.asked.build)
        dropped = self._dropped()
        return TorchChoice(
            release.version, PYPI, why, _pins(release) if tied or dropped else (), dropped=dropped, warning=warning
        )

    def _from_index(self, release: Release, build: str) -> tuple[str, ...]:
        """Exact wheels of the family from PyTorch's index; empty if it has no torch of this version and build."""
        found: list[str] = []
        for project, version in zip(FAMILY, (release.version, release.vision, release.audio), strict=True):
            listed = torch_index.wheels(build, project, offline=self.offline) if version else None
            name = listed and (
                torch_index.fitting(listed, f"{version}+{build}", self.minor)
                or torch_index.fitting(listed, version, self.minor)
            )
            if listed and name:
                found.append(f"{project} @ {listed[name]}")
            elif project == FAMILY[0]:
                return ()
        return tuple(found)

    def _of_pypi(self) -> str:
        missing = self._silence()
        return f" on PyPI: {missing}" if missing else ""

    def _dropped(self) -> tuple[str, ...]:
        return self.asked.indexes if self.asked.indexes and self._silence() else ()

    def _left(self, own: Build | None, release: Release) -> str | None:
        """What is said where a build that runs here was asked for and cannot be had."""
        missing = self._silence() if own else None
        if own is None or missing is None:
            return None
        return f"{missing}: torch {release.version} comes from PyPI (CUDA {_dotted(own.cuda)} was asked for)."

    def _silence(self) -> str | None:
        """Why PyTorch's index is of no use, if it does not answer."""
        answer = torch_index.wheels(CPU, FAMILY[0], offline=self.offline)
        return f"PyTorch's index ({torch_index.base()}) does not answer" if answer is None else None

    def _exempt(self, release: Release) -> tuple[tuple[str, str], ...]:
        if not self.as_of or self.as_of[:10] > release.day:
            return ()
        from datetime import date, timedelta

        until = (date.fromisoformat(release.day) + timedelta(days=7)).isoformat()
        return tuple((name, until) for name in (*FAMILY, *DEPENDENCIES))

    def _because(self, obstacle: str | None, card: Card) -> str:
        return obstacle or f"made for {_shown(card)}"


def _from(asked: Release, minor: int) -> Iterator[Release]:
    for release in RELEASES:
        suits = release.pythons[0] <= minor <= release.pythons[1]
        if release is asked or (release.number > asked.number and suits):
            yield release


def _by_preference(release: Release, card: Card) -> list[Build]:
    """The builds that run on `card`: PyPI's first, then the newest that the driver was made for."""
    able = [build for name in release.builds if not _obstacle(build := BUILDS[name], card)]
    newer = [build for build in able if card.cuda and build.cuda > card.cuda]
    older = [build for build in reversed(able) if build not in newer]
    return sorted([*older, *newer], key=lambda build: build.name != release.pypi)


def _obstacle(build: Build, card: Card) -> str | None:
    """Why `build` does not run on `card`, or None if it does."""
    for capability in card.capabilities:
        if not (build.least <= capability and capability[0] <= build.most):
            return f"CUDA {_dotted(build.cuda)} builds have no kernels for compute capability {_dotted(capability)}"
    if card.driver and card.driver < build.driver:
        return f"driver {_dotted(card.driver)} is older than CUDA {_dotted(build.cuda)} needs ({_dotted(build.driver)})"
    return None


def _pins(release: Release) -> tuple[str, ...]:
    versions = zip(FAMILY, (release.version, release.vision, release.audio), strict=True)
    return tuple(f"{project}=={version}" for project, version in versions if version)


def _shown(card: Card) -> str:
    capability = f" (compute capability {_dotted(card.capabilities[0])})" if card.capabilities else ""
    return f"the {one_line(card.name, 60)}{capability}"


def _pair(text: str | None) -> tuple[int, int] | None:
    match = re.fullmatch(r"(\d+)\.(\d+)", text or "")
    return (int(match[1]), int(match[2])) if match else None


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
