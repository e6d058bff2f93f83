"""What Hugging Face's builder installs beside a Space's own requirements, by SDK and by day.

Hugging Face does not publish its builder. The rules are read from build logs that users pasted publicly, each named
with its day; between two logs the older rule holds, unless a release tells the day of the change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The base image has both. setuptools 82 (2026-02-08) dropped `pkg_resources`, which Gradio 3 and many apps import.
SEED: Final = ("pip", "setuptools<81")

# Log of 2023-04: `pip install datasets "huggingface-hub>=0.12.1" "protobuf<4" "click<8.1"`; protobuf and click stand in
# every later log too. huggingface_hub brought `requests` until 1.0 (2025-10-27); Gradio 5 and many apps import it
# without asking for it.
_BASE: Final = ("huggingface-hub", "requests", "protobuf<4", "click<8.1")
# Logs of 2023-10-16 and 2024-08: `"pydantic~=1.0"`; its reason is pydantic 2.0 (2023-06-30), with which Gradio up to
# 3.38 answers no prediction. Log of 2025-09: `pydantic==2.10.6`; its reason is pydantic 2.11
# (2025-03-27), whose schemas Gradio did not take. Gone in the logs of 2026-04.
_PYDANTIC: Final = (("2026-04-01", None), ("2025-03-27", "pydantic==2.10.6"), ("2023-06-30", "pydantic~=1.0"))
# `datasets` brings pyarrow and pandas, `hf-transfer` a compiled library: worth their download only where the code uses
# them. In the base layer by the logs of 2023-04 and 2024-08.
_ON_IMPORT: Final = (("datasets", "datasets", ""), ("hf_transfer", "hf-transfer", "2023-05-17"))

_SPACES_FIRST_RELEASE: Final = "2023-06-19"
# Log of 2023-10-16: `gradio[oauth]==3.47.1 uvicorn>=0.14.0 spaces==0.16.1` for a Space that does not import it.
_SPACES_FOR_ALL: Final = "2023-10-16"
_OLDEST_PYTHON_OF_SPACES: Final = 8
# Logs of 2024-08 and 2026-04: beside Gradio 4 only. fastapi 0.113 is of 2024-09-05.
_FASTAPI_OF_GRADIO_4: Final = "fastapi<0.113.0"
# Logs of 2026-04 to 2026-07.
_WEBSOCKETS_SINCE: Final = "2026-04-01"

# Gradio 4 and later pin the one client they work with; these only say `>=`.
_CLIENT_UNPAIRED: Final = ((3, 24), (4, 0))


# A switch of huggingface_hub and an argument of `launch` that make these import another package.
_SWITCHES: Final = ((b"HF_HUB_ENABLE_HF_TRANSFER", "hf_transfer"), (b"mcp_server", "mcp"))
_MOST_FILES: Final = 200
_LARGEST_FILE: Final = 1 << 20


@dataclass(frozen=True)
class Era:
    """What decides the builder's recipe.

    Attributes:
        sdk: `gradio`, `streamlit`, or another that brings no package of its own.
        version: Exact version of the SDK by the card, or None.
        pinned: Exact version of the SDK by the requirements, or None.
        day: Day of the build, ISO 8601.
        python: Python version, `3.10` or `3.10.13`.
        needed: Top-level modules that the code needs.
        named: Packages that the requirements name.
        bounded: Those of them with a version or an address.
    """

    sdk: str
    version: str | None
    pinned: str | None
    day: str
    python: str
    needed: frozenset[str]
    named: frozenset[str]
    bounded: frozenset[str]

    @property
    def release(self) -> tuple[int, ...]:
        """The SDK's version as numbers; empty where none is given."""
        version = self.version or self.pinned
        return _numbers(version) if version else ()


def switched_on(root: Path) -> frozenset[str]:
    """Modules that the code makes its libraries import, without importing them itself."""
    found: set[str] = set()
    for path in [*root.glob("*.py"), *root.glob("*/*.py")][:_MOST_FILES]:
        if path.is_file() and path.stat().st_size <= _LARGEST_FILE:
            content = path.read_bytes()
            found.update(module for switch, module in _SWITCHES if switch in content)
    return frozenset(found)


def base_layer(era: Era) -> tuple[str, ...]:
    """What lies in the builder's image before anything of the Space: it supplies, and never constrains."""
    if era.sdk not in {"gradio", "streamlit"}:
        return ()
    return tuple(item for item in _base(era) if _name(item) not in era.bounded)


def _base(era: Era) -> Iterator[str]:
    yield from _BASE
    pydantic = next((item for since, item in _PYDANTIC if era.day >= since), None)
    if pydantic and era.sdk == "gradio":
        yield pydantic
    for module, package, since in _ON_IMPORT:
        if module in era.needed and era.day >= since:
            yield package


def sdk_packages(era: Era) -> tuple[str, ...]:
    """What the builder installs after, or with, the requirements."""
    return tuple(_sdk(era))


def _sdk(era: Era) -> Iterator[str]:
    exact = f"=={era.version}" if era.version else ""
    if era.sdk == "gradio":
        if exact or "gradio" not in era.named:
            yield f"gradio[{'oauth,mcp' if 'mcp' in era.needed else 'oauth'}]{exact}"
        yield "uvicorn>=0.14.0"
        if era.day >= _WEBSOCKETS_SINCE:
            yield "websockets>=10.4"
        if era.release[:1] == (4,) and "fastapi" not in era.bounded:
            yield _FASTAPI_OF_GRADIO_4
    elif era.sdk == "streamlit" and (exact or "streamlit" not in era.named):
        yield f"streamlit{exact}"
    if "spaces" not in era.named and _brings_spaces(era):
        yield "spaces"


def _brings_spaces(era: Era) -> bool:
    if era.day < _SPACES_FIRST_RELEASE or _numbers(era.python)[1] < _OLDEST_PYTHON_OF_SPACES:
        return False
    return "spaces" in era.needed or (era.sdk == "gradio" and era.day >= _SPACES_FOR_ALL)


def package_dates(era: Era, released: str | None) -> tuple[tuple[str, str], ...]:
    """Packages with a date of their own: the client that was there when a Gradio 3 was released, at `released`."""
    oldest, first_paired = _CLIENT_UNPAIRED
    if era.sdk == "gradio" and released and oldest <= era.release < first_paired and "gradio-client" not in era.bounded:
        return (("gradio-client", released),)
    return ()


def period_pins(era: Era) -> tuple[str, ...]:
    """The fewest bounds with which an SDK works beside packages that are newer than it.

    Found by installing each release beside the packages of 2026: pydantic 2 (2023-06-30) gives Gradio 3 broken
    schemas, pydantic 2.11 (2025-03-27) Gradio 4 and early 5; starlette 1.0 (2026-03-22) dropped
    `TemplateResponse(name, context)`; huggingface_hub 1.0 (2025-10-27) dropped `HfFolder`. Streamlit: altair 5
    (2023-05-08) dropped `vegalite.v4`, protobuf 4 (2022-05-27) does not load older generated code.
    """
    pins = [pin for first_sound, pin in _PINS.get(era.sdk, ()) if era.release and era.release < first_sound]
    return tuple(pin for pin in pins if _name(pin) not in era.bounded)


_PINS: Final[dict[str, tuple[tuple[tuple[int, ...], str], ...]]] = {
    "gradio": (
        ((3, 50), "pydantic<2"),
        ((5, 23), "pydantic<2.11"),
        ((5, 23), "starlette<1"),
        ((5, 8), "huggingface-hub<1"),
    ),
    "streamlit": (((1, 22), "altair<5"), ((1, 12), "protobuf<3.21")),
}


def _numbers(version: str) -> tuple[int, ...]:
    from packaging.version import Version

    return Version(version).release


def _name(requirement: str) -> str:
    from packaging.requirements import Requirement

    return Requirement(requirement).name
