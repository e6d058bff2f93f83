"""A fake `libnvidia-ml.so.1` for tests: compiled here, loaded by the unmodified nvidia-ml-py over ctypes.

The library is found through `LD_LIBRARY_PATH`, which the dynamic linker reads when a process starts: give
`environment(...)` to a subprocess, it has no effect within the test's own process.

    env = os.environ | fake_nvml.environment(folder, [Gpu("NVIDIA A10G", 23028, used_mib=512)])
    subprocess.run([sys.executable, "-m", "spacerun", "check-gpu"], env=env)
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SOURCE = Path(__file__).with_name("fake_nvml.c")
_LIBRARY = "libnvidia-ml.so.1"

# NVML error codes (nvml.h, nvmlReturn_enum).
NOT_SUPPORTED = 3
NO_PERMISSION = 4
DRIVER_NOT_LOADED = 9
LIBRARY_NOT_FOUND = 12
FUNCTION_NOT_FOUND = 13
GPU_IS_LOST = 15
RESET_REQUIRED = 16
LIB_RM_VERSION_MISMATCH = 18
UNKNOWN = 999


@dataclass(frozen=True)
class Process:
    """A process on a GPU or MIG instance; `used_mib` None is NVML's "not available"."""

    pid: int
    used_mib: int | None
    graphics: bool = False


@dataclass(frozen=True)
class MigInstance:
    """A MIG instance; sizes in MiB."""

    name: str
    total_mib: int
    used_mib: int = 0
    gpu_instance: int = 1
    compute_instance: int = 0
    uuid: str | None = None
    processes: Sequence[Process] = ()


@dataclass(frozen=True)
class Gpu:
    """A GPU; sizes in MiB, `pci` as `dddd:bb:dd`. `fails` maps a query to the NVML error code that it gives.

    Queries are `handle`, `name`, `uuid`, `pci`, `memory`, `utilization`, `temperature`, `power`, `limit`, `cc`, `mig`
    and `processes`; `temperature_v1` is the older of two functions alone. Temperature and power that are not given
    are not supported.
    """

    name: str = "NVIDIA A10G"
    total_mib: int = 23028
    used_mib: int = 512
    compute_capability: str = "8.6"
    uuid: str | None = None
    pci: str | None = None
    utilization: int = 0
    temperature: int | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    processes: Sequence[Process] = ()
    mig: Sequence[MigInstance] | None = None
    fails: Mapping[str, int] = field(default_factory=dict)


def build(folder: Path, *, old_driver: bool = False) -> Path:
    """Compile the library into `folder` unless it is there, and give its path.

    Args:
        folder: Where to put it; safe to share between processes.
        old_driver: Leave out the functions that drivers of the 450 branch do not have.

    Raises:
        FileNotFoundError: No C compiler (`cc`) on PATH.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("cc")
    target = folder / ("old" if old_driver else "new") / _LIBRARY
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        # Whoever compiles at the same time makes the same file: each puts its own in place in one step.
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            made = Path(scratch) / _LIBRARY
            flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-Wl,-soname,{_LIBRARY}"]
            variant = ["-DOLD_DRIVER"] if old_driver else []
            subprocess.run([compiler, *flags, *variant, "-o", str(made), str(_SOURCE)], check=True)
            made.replace(target)
    return target


def shared_folder() -> Path:
    """A folder for `build` that all tests of this user share; a changed source gets another one."""
    digest = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"fake-nvml-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(folder)
    return folder


def settings(
    gpus: Sequence[Gpu],
    *,
    driver: str = "550.54.14",
    cuda: int = 12040,
    reserved_mib: int = 0,
    fail_init: int | None = None,
) -> dict[str, str]:
    """The machine as `NVML_STUB_*` variables."""
    instances, processes = [], []
    for index, gpu in enumerate(gpus):
        processes += [_process(str(index), process) for process in gpu.processes]
        for ordinal, mig in enumerate(gpu.mig or ()):
            sizes = f"{mig.total_mib}|{mig.used_mib}|{mig.gpu_instance}|{mig.compute_instance}"
            instances.append(f"{index}|{mig.name}|{sizes}" + (f"|uuid={mig.uuid}" if mig.uuid else ""))
            processes += [_process(f"{index}.{ordinal}", process) for process in mig.processes]
    return {
        "NVML_STUB_GPUS": ";".join(_gpu(gpu) for gpu in gpus),
        "NVML_STUB_MIG": ";".join(instances),
        "NVML_STUB_PROCS": ";".join(processes),
        "NVML_STUB_DRIVER": driver,
        "NVML_STUB_CUDA": str(cuda),
        "NVML_STUB_RESERVED_MIB": str(reserved_mib),
        "NVML_STUB_FAIL_INIT": str(fail_init or 0),
    }


def environment(
    folder: Path,
    gpus: Sequence[Gpu] = (),
    *,
    driver: str = "550.54.14",
    cuda: int = 12040,
    reserved_mib: int = 0,
    fail_init: int | None = None,
    old_driver: bool = False,
    wide_v3: bool = False,
    file: Path | None = None,
) -> dict[str, str]:
    """Variables under which a new process finds the fake library and in it this machine.

    Args:
        folder: Where the library is compiled to, or already lies (`shared_folder()` for one per user).
        gpus: The GPUs, in the order in which NVML tells them.
        driver: Version of the driver.
        cuda: Newest CUDA that the driver supports, as NVML tells it: 12040 is 12.4.
        reserved_mib: Memory of each GPU that the driver keeps for itself, in MiB.
        fail_init: NVML error code with which the library refuses to start; one that has started goes on.
        old_driver: Use the library of an old driver.
        wide_v3: Be a driver of 535.43 to 535.86, which writes a longer structure than it should.
        file: Where `change` will write; read anew by the library at every call.
    """
    path = [str(build(folder, old_driver=old_driver).parent), os.environ.get("LD_LIBRARY_PATH", "")]
    variables = settings(gpus, driver=driver, cuda=cuda, reserved_mib=reserved_mib, fail_init=fail_init)
    variables["LD_LIBRARY_PATH"] = ":".join(filter(None, path))
    if wide_v3:
        variables["NVML_STUB_WIDE_V3"] = "1"
    if file is not None:
        variables["NVML_STUB_FILE"] = str(file)
    return variables


def change(file: Path, gpus: Sequence[Gpu], *, fail_init: int | None = None) -> None:
    """From now on, a process that was started with `environment(..., file=file)` sees these GPUs."""
    text = "".join(f"{name}={value}\n" for name, value in settings(gpus, fail_init=fail_init).items())
    scratch = file.with_name(f".{file.name}.tmp")
    scratch.write_text(text)
    scratch.replace(file)


def _gpu(gpu: Gpu) -> str:
    parts = [gpu.name, str(gpu.total_mib), str(gpu.used_mib), gpu.compute_capability, f"util={gpu.utilization}"]
    parts += [f"uuid={gpu.uuid}"] if gpu.uuid else []
    parts += [f"pci={gpu.pci}"] if gpu.pci else []
    parts += [f"temp={gpu.temperature}"] if gpu.temperature is not None else []
    parts += [f"power={round(gpu.power_watts * 1000)}"] if gpu.power_watts is not None else []
    parts += [f"limit={round(gpu.power_limit_watts * 1000)}"] if gpu.power_limit_watts is not None else []
    parts += ["mig=1"] if gpu.mig is not None else []
    parts += [f"fail.{what}={code}" for what, code in gpu.fails.items()]
    return "|".join(parts)


def _process(gpu: str, process: Process) -> str:
    used = "-" if process.used_mib is None else str(process.used_mib)
    return f"{gpu}:{process.pid}:{used}" + (":graphics" if process.graphics else "")
