"""What a Space imports from outside of itself, really imported in its own Python; nothing of the Space is executed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spacerun.app.processes import describe_exit
from spacerun.children import child
from spacerun.environment import imports_probe
from spacerun.smoke import imports_script
from spacerun.smoke.result import Check
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_POLL_SECONDS: Final = 0.02
_RESULT_BYTES: Final = 16 * 2**20
_LAST_WORDS: Final = 4096
_CHUNK: Final = 64 * 2**10
_SLOW_SECONDS: Final = 1.0
_MISSING_TOLD: Final = 5

# What packages say where there is no GPU, no driver, or where PyTorch was therefore installed without CUDA.
_NO_GPU: Final = re.compile(
    r"lib(?:cuda|nv|cublas|cudnn|cufft|curand|cusolver|cusparse|nccl|c10_cuda|torch_cuda)[-\w]*\.so"
    r"|Found no NVIDIA driver|CUDA driver|No CUDA GPUs are available|no CUDA-capable device|not compiled with CUDA"
    r"|0 active drivers|NVML Shared Library Not Found|CUDA_HOME environment variable is not set"
    r"|undefined symbol: \S*cuda",
    re.IGNORECASE,
)


@dataclass
class _Module:
    """A module that is imported.

    Attributes:
        place: The file and the line of the Space that import it first.
        ended: Whether its import came to an end.
        errors: What it raised, and what is missing from it.
        seconds: How long it took.
    """

    place: str
    ended: bool = False
    errors: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass
class _Progress:
    """How far the imports have come.

    Attributes:
        count: How many modules there are.
        modules: Those that were begun.
        finished: Whether none is left.
    """

    count: int = 0
    modules: dict[str, _Module] = field(default_factory=dict)
    finished: bool = False


def check_imports(
    python: Path, directory: Path, entry: str, *, variables: dict[str, str], has_gpu: bool, seconds: float
) -> Iterator[Check]:
    """Import all modules that the Space's code imports whenever it starts, but for its own.

    Each that cannot be imported, or that lacks a name that is taken from it, is a check of its own; the last one tells
    of all of them. They are imported in an empty folder: neither do the Space's files stand in for a module, nor
    is a folder of the user's written to.

    Args:
        python: Interpreter of the environment.
        directory: The Space's files.
        entry: Its entry file, relative to `directory`.
        variables: Environment of the process.
        has_gpu: Whether the app has a GPU here; without one, what fails for its lack proves nothing.
        seconds: How long all of it may take, in seconds.
    """
    began = time.monotonic()
    until = began + seconds
    progress, how = _Progress(), ""
    with tempfile.TemporaryDirectory(prefix="spacerun-imports-") as scratch:
        results, folder = Path(scratch, "results"), Path(scratch, "empty")
        folder.mkdir()
        while not progress.finished and time.monotonic() < until:
            known = len(progress.modules)
            arguments = [imports_script.__file__, imports_probe.__file__, str(directory), entry, str(results)]
            command = [str(python), *_flags(variables), *arguments, *progress.modules]
            how = _run(command, variables, folder, until)
            _read(results, progress)
            # A module that ends the process leaves those after it to another one.
            if len(progress.modules) == known:
                break
            _end_last(progress, how)
    if not progress.finished and not progress.modules:
        yield Check("imports", ok=False, detail=f"its Python does not run: {how}")
        return
    failed = [_failed(name, module, has_gpu=has_gpu) for name, module in progress.modules.items() if module.errors]
    yield from failed
    yield _summary(progress, failed, time.monotonic() - began)


def _flags(variables: dict[str, str]) -> list[str]:
    """Isolated, so that neither this package's folder nor the working directory is on `sys.path`."""
    prefix = variables.get("PYTHONPYCACHEPREFIX")
    return ["-I", "-X", f"pycache_prefix={prefix}"] if prefix else ["-I", "-B"]


def _run(command: list[str], variables: dict[str, str], folder: Path, until: float) -> str:
    """Run a command in `folder`, but not past `until`; how it ended."""
    streams: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    try:
        with child(command, cwd=folder, env=variables, **streams) as process:
            words = _last_words(process, until)
            status = process.poll()
    except OSError as error:
        return one_line(str(error))
    if status is None:
        return "it was not done when its time was over"
    return one_line(f"{describe_exit(status)}{': ' + words if words else ''}", 300)


def _last_words(process: subprocess.Popen[bytes], until: float) -> str:
    """The last line that a process writes to standard error until its end, or `until`."""
    assert process.stderr is not None  # noqa: S101 - narrows the type
    descriptor = process.stderr.fileno()
    os.set_blocking(descriptor, False)
    words = b""
    while time.monotonic() < until:
        is_over = process.poll() is not None  # asked before the last read
        chunk = b""
        with suppress(BlockingIOError):
            chunk = os.read(descriptor, _CHUNK)
        words = (words + chunk)[-_LAST_WORDS:]
        if is_over and not chunk:
            break
        if not chunk:
            time.sleep(_POLL_SECONDS)
    lines = words.decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _read(results: Path, progress: _Progress) -> None:
    """Note what the script told so far; see `imports_script`."""
    if not results.is_file():
        return
    with results.open("rb") as stream:
        lines = stream.read(_RESULT_BYTES).split(b"\n")
    for line in lines:
        # The last line may be cut short, and the packages run in the process that writes them.
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            _note(progress, json.loads(line))


def _note(progress: _Progress, told: dict[str, Any]) -> None:
    if "begins" in told:
        name = str(told["begins"])
        progress.modules.setdefault(name, _Module(one_line(f"{told['file']}:{told['line']}", 80)))
    elif "ends" in told:
        module = progress.modules[told["ends"]]
        module.errors = tuple(map(str, filter(None, (told["error"], *told["missing"]))))
        module.seconds = float(told["seconds"])
        module.ended = True
    else:
        progress.count = int(told.get("modules", progress.count))
        progress.finished = "finished" in told


def _end_last(progress: _Progress, how: str) -> None:
    """Note of the module whose import the process ended in how it did."""
    last = progress.modules[next(reversed(progress.modules))]
    if not last.ended:
        last.errors, last.ended = (how,), True


def _failed(name: str, module: _Module, *, has_gpu: bool) -> Check:
    """What is wrong with a module."""
    errors = module.errors
    more = f" and {len(errors) - _MISSING_TOLD} more" if len(errors) > _MISSING_TOLD else ""
    detail = f"{'; '.join(one_line(error, 300) for error in errors[:_MISSING_TOLD])}{more} ({module.place})"
    lacks_gpu = not has_gpu and all(_NO_GPU.search(error) for error in errors)
    if lacks_gpu:
        detail = f"needs a GPU, which is not here: {detail}"
    return Check(f"import {one_line(name, 80)}", ok=lacks_gpu, detail=detail, seconds=module.seconds, skipped=lacks_gpu)


def _summary(progress: _Progress, failed: list[Check], seconds: float) -> Check:
    modules = progress.modules
    if not modules:
        return Check("imports", ok=True, detail="its code imports no module from outside", skipped=True)
    whole = f"{progress.count} module{'' if progress.count == 1 else 's'}"
    sound = len(modules) - len(failed)
    detail = f"{whole if sound == progress.count else f'{sound} of {whole}'} in {seconds:.1f} s"
    slowest = max(modules, key=lambda name: modules[name].seconds)
    if modules[slowest].seconds >= _SLOW_SECONDS:
        detail += f", {one_line(slowest, 80)} took {modules[slowest].seconds:.1f} s"
    return Check("imports", ok=all(check.ok for check in failed), detail=detail, seconds=seconds)
