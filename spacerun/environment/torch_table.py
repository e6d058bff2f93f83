"""What is known of PyTorch's releases: their CUDA builds, the GPUs and drivers these need, and what belongs together.

Sources: https://pytorch.org/get-started/previous-versions/ (builds, and which torchvision and torchaudio go with
them), https://github.com/pytorch/pytorch/blob/main/RELEASE.md (release compatibility matrix and architectures; 2.11:
pull 175253, 2.12: issue 178665, 2.14: issue 190355, 2.15: issue 190385), the wheels on PyPI (days, and the CUDA
runtime that each requires), and "CUDA Compatibility", https://docs.nvidia.com/deploy/cuda-compatibility/ (drivers).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Build:
    """A CUDA that PyTorch is built for.

    Attributes:
        name: As in the index's address and the version: `cu118`.
        cuda: Its CUDA version.
        least: Lowest compute capability that the build's kernels are for.
        most: Highest major compute capability: within one, kernels of a lower minor run too.
        driver: Oldest driver of Linux on which it runs (minor version compatibility from CUDA 11 on).
    """

    name: str
    cuda: tuple[int, int]
    least: tuple[int, int]
    most: int
    driver: tuple[int, ...]


BUILDS: Final = {
    build.name: build
    for build in (
        Build("cu92", (9, 2), (3, 5), 7, (396, 26)),
        Build("cu101", (10, 1), (3, 5), 7, (418, 39)),
        Build("cu102", (10, 2), (3, 7), 7, (440, 33)),
        Build("cu110", (11, 0), (3, 7), 8, (450, 36, 6)),
        Build("cu111", (11, 1), (3, 7), 8, (450, 80, 2)),
        Build("cu113", (11, 3), (3, 7), 8, (450, 80, 2)),
        Build("cu116", (11, 6), (3, 7), 8, (450, 80, 2)),
        Build("cu117", (11, 7), (3, 7), 8, (450, 80, 2)),
        Build("cu118", (11, 8), (3, 7), 9, (450, 80, 2)),
        Build("cu121", (12, 1), (5, 0), 9, (525, 60, 13)),
        Build("cu124", (12, 4), (5, 0), 9, (525, 60, 13)),
        Build("cu126", (12, 6), (5, 0), 9, (525, 60, 13)),
        Build("cu128", (12, 8), (7, 5), 12, (525, 60, 13)),
        Build("cu129", (12, 9), (7, 5), 12, (525, 60, 13)),
        Build("cu130", (13, 0), (7, 5), 12, (580, 65, 6)),
        Build("cu132", (13, 2), (7, 5), 12, (580, 65, 6)),
    )
}


@dataclass(frozen=True)
class Release:
    """A release of PyTorch.

    Attributes:
        version: Of `torch`.
        day: When it reached PyPI.
        pypi: The build on PyPI for Linux on x86_64.
        builds: All builds, on PyTorch's own index.
        pythons: First and last minor version of Python 3.
        vision: The torchvision that goes with it.
        audio: The torchaudio that goes with it; empty where none is tied to it (from 2.12 on).
    """

    version: str
    day: str
    pypi: str
    builds: tuple[str, ...]
    pythons: tuple[int, int]
    vision: str
    audio: str

    @property
    def number(self) -> tuple[int, ...]:
        """The version, comparable."""
        return tuple(int(part) for part in self.version.split("."))


def _release(version: str, day: str, builds: str, pythons: tuple[int, int], vision: str, audio: str) -> Release:
    """`builds`: a star follows the one on PyPI."""
    names = builds.split()
    pypi = next(name for name in names if name.endswith("*"))
    return Release(version, day, pypi[:-1], tuple(name.rstrip("*") for name in names), pythons, vision, audio)


RELEASES: Final = (
    _release("1.6.0", "2020-07-28", "cu92 cu101 cu102*", (6, 8), "0.7.0", "0.6.0"),
    _release("1.7.0", "2020-10-27", "cu92 cu101 cu102* cu110", (6, 8), "0.8.1", "0.7.0"),
    _release("1.7.1", "2020-12-10", "cu92 cu101 cu102* cu110", (6, 9), "0.8.2", "0.7.2"),
    _release("1.8.0", "2021-03-04", "cu101 cu102* cu111", (6, 9), "0.9.0", "0.8.0"),
    _release("1.8.1", "2021-03-25", "cu101 cu102* cu111", (6, 9), "0.9.1", "0.8.1"),
    _release("1.9.0", "2021-06-15", "cu102* cu111", (6, 9), "0.10.0", "0.9.0"),
    _release("1.9.1", "2021-09-20", "cu102* cu111", (6, 9), "0.10.1", "0.9.1"),
    _release("1.10.0", "2021-10-21", "cu102* cu111 cu113", (6, 9), "0.11.1", "0.10.0"),
    _release("1.10.1", "2021-12-15", "cu102* cu111 cu113", (6, 9), "0.11.2", "0.10.1"),
    _release("1.10.2", "2022-01-27", "cu102* cu111 cu113", (6, 9), "0.11.3", "0.10.2"),
    _release("1.11.0", "2022-03-10", "cu102* cu113", (7, 10), "0.12.0", "0.11.0"),
    _release("1.12.0", "2022-06-28", "cu102* cu113 cu116", (7, 10), "0.13.0", "0.12.0"),
    _release("1.12.1", "2022-08-05", "cu102* cu113 cu116", (7, 10), "0.13.1", "0.12.1"),
    _release("1.13.0", "2022-10-28", "cu116 cu117*", (7, 11), "0.14.0", "0.13.0"),
    _release("1.13.1", "2022-12-15", "cu116 cu117*", (7, 11), "0.14.1", "0.13.1"),
    _release("2.0.0", "2023-03-15", "cu117* cu118", (8, 11), "0.15.1", "2.0.1"),
    _release("2.0.1", "2023-05-08", "cu117* cu118", (8, 11), "0.15.2", "2.0.2"),
    _release("2.1.0", "2023-10-04", "cu118 cu121*", (8, 11), "0.16.0", "2.1.0"),
    _release("2.1.1", "2023-11-15", "cu118 cu121*", (8, 11), "0.16.1", "2.1.1"),
    _release("2.1.2", "2023-12-14", "cu118 cu121*", (8, 11), "0.16.2", "2.1.2"),
    _release("2.2.0", "2024-01-30", "cu118 cu121*", (8, 12), "0.17.0", "2.2.0"),
    _release("2.2.1", "2024-02-22", "cu118 cu121*", (8, 12), "0.17.1", "2.2.1"),
    _release("2.2.2", "2024-03-27", "cu118 cu121*", (8, 12), "0.17.2", "2.2.2"),
    _release("2.3.0", "2024-04-24", "cu118 cu121*", (8, 12), "0.18.0", "2.3.0"),
    _release("2.3.1", "2024-06-05", "cu118 cu121*", (8, 12), "0.18.1", "2.3.1"),
    _release("2.4.0", "2024-07-24", "cu118 cu121* cu124", (8, 12), "0.19.0", "2.4.0"),
    _release("2.4.1", "2024-09-04", "cu118 cu121* cu124", (8, 12), "0.19.1", "2.4.1"),
    _release("2.5.0", "2024-10-17", "cu118 cu121 cu124*", (9, 13), "0.20.0", "2.5.0"),
    _release("2.5.1", "2024-10-29", "cu118 cu121 cu124*", (9, 13), "0.20.1", "2.5.1"),
    _release("2.6.0", "2025-01-29", "cu118 cu124* cu126", (9, 13), "0.21.0", "2.6.0"),
    _release("2.7.0", "2025-04-23", "cu118 cu126* cu128", (9, 13), "0.22.0", "2.7.0"),
    _release("2.7.1", "2025-06-04", "cu118 cu126* cu128", (9, 13), "0.22.1", "2.7.1"),
    _release("2.8.0", "2025-08-06", "cu126 cu128* cu129", (9, 13), "0.23.0", "2.8.0"),
    _release("2.9.0", "2025-10-15", "cu126 cu128* cu130", (10, 14), "0.24.0", "2.9.0"),
    _release("2.9.1", "2025-11-12", "cu126 cu128* cu130", (10, 14), "0.24.1", "2.9.1"),
    _release("2.10.0", "2026-01-21", "cu126 cu128* cu130", (10, 14), "0.25.0", "2.10.0"),
    _release("2.11.0", "2026-03-23", "cu126 cu128 cu130*", (10, 14), "0.26.0", "2.11.0"),
    _release("2.12.0", "2026-05-13", "cu126 cu130* cu132", (10, 14), "0.27.0", ""),
    _release("2.12.1", "2026-06-17", "cu126 cu130* cu132", (10, 14), "0.27.1", ""),
    _release("2.13.0", "2026-07-08", "cu126 cu130* cu132", (10, 14), "0.28.0", ""),
    _release("2.14.0", "2026-09-02", "cu126 cu130* cu132", (10, 14), "0.29.0", ""),
    _release("2.14.1", "2026-09-30", "cu126 cu130* cu132", (10, 14), "0.29.1", ""),
    _release("2.15.0", "2026-10-28", "cu130 cu132*", (11, 15), "0.29.2", ""),
)

# What later releases of torch require, which an older date would exclude.
DEPENDENCIES: Final = (
    "triton", "sympy", "mpmath", "typing-extensions", "filelock", "fsspec", "networkx", "jinja2", "markupsafe",
    "cuda-toolkit", "cuda-bindings", "cuda-pathfinder",
    *(f"nvidia-{part}{tail}" for part in (
        "cublas", "cuda-cupti", "cuda-nvrtc", "cuda-runtime", "cudnn", "cufft", "cufile", "curand", "cusolver",
        "cusparse", "cusparselt", "nccl", "nvjitlink", "nvshmem", "nvtx",
    ) for tail in ("", "-cu11", "-cu12", "-cu13")),
)  # fmt: skip
