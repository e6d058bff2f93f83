"""Why an app ended, for people: known breakages, and figures where memory ran out."""

from __future__ import annotations

import contextlib
import os
import re
import time
import urllib.request
from pathlib import Path

import pytest

from spacerun import postmortem
from spacerun.app import gpu_memory, launch_detached, registry, supervise
from spacerun.cli.logs import logs
from spacerun.errors import AppCrashedError
from spacerun.gpu import devices
from spacerun.gpu.devices import Device, DeviceReport, GpuProcess
from spacerun.memory import ledger
from tests.app.conftest import wait_for

GIB = 2**30
UUID = "GPU-11111111-2222-3333-4444-555555555555"
ESTIMATE = {
    "signature": "0" * 16,
    "device": "NVIDIA A10G",
    "low_bytes": 13 * GIB,
    "expected_bytes": 14 * GIB,
    "high_bytes": 16 * GIB,
    "host_bytes": 3 * GIB,
    "advice": ["With load_in_8bit=True at app.py:9 it takes about 8.0 GiB.", "Two.", "Three.", "Four."],
}
OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 22.48 GiB"


def crash(space, listener, line, **settings):
    """The crash of an app whose last line that was, as it is told."""
    app = space("relapsing", CRASH_AFTER=1, LINES=line, **settings)
    explain = postmortem.explainer(app.spec)
    with pytest.raises(AppCrashedError) as caught:
        supervise(app.spec, app.environment, **listener.callbacks(), explain=explain)
    assert registry.load(app.spec.id).reason == caught.value.message
    return caught.value


def measured(app_id, gib):
    sizes = {name: ESTIMATE[name] for name in ("signature", "device", "low_bytes", "expected_bytes", "high_bytes")}
    when = "2026-11-26T10:00:00+00:00"
    entry = ledger.Entry(
        app=app_id, space="x/y", revision=None, peak_bytes=round(gib * GIB), how="processes", measured_at=when, **sizes
    )
    ledger.keep(entry)


def a10g(free, *holders):
    device = Device(0, UUID, "NVIDIA A10G", 24 * GIB, free, 24 * GIB - free, processes=holders)
    return lambda: DeviceReport((device, Device(1, "GPU-other", "NVIDIA H100", 80 * GIB, 80 * GIB, 0)))


@pytest.mark.parametrize(
    "line",
    [
        OOM,
        "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "RuntimeError: CUDA error: out of memory",
        "torch.AcceleratorError: CUDA error: out of memory",
    ],
)
def test_gpu_memory_that_ran_out_is_told_by_figures(space, listener, monkeypatch, line):
    holders = GpuProcess(4711, 9 * GIB, "python"), GpuProcess(12, 1000, "Xorg")
    monkeypatch.setattr(devices, "read_devices", a10g(15 * GIB, *holders))
    real = registry.new_id
    monkeypatch.setattr(registry, "new_id", lambda name: measured(made := real(name), 21.5) or made)
    error = crash(space, listener, line, gpus=(UUID,), estimate=ESTIMATE)
    assert error.message == "The app crashed (exit status 3): the memory of the GPU does not suffice."
    lines = error.hint.splitlines()
    assert lines[0].startswith("What helps: see what takes it (spacerun check-gpu)")
    assert lines[1:7] == [
        "It was expected to take about 14.0 GiB of GPU memory (13.0 GiB to 16.0 GiB) and it held 21.5 GiB at its most.",
        "Without it, GPU 0 (NVIDIA A10G) has 15.0 GiB of 24.0 GiB free; process 4711 (python) holds 9.0 GiB.",
        "With load_in_8bit=True at app.py:9 it takes about 8.0 GiB.",
        "Two.",
        "Three.",
        "Cards with more memory: RTX 5090 32 GB; A100 40 GB; L40S, A6000 48 GB.",
    ]
    assert lines[-1] == line
    assert [row["id"] for row in error.data["diagnosis"]] == ["gpu-memory"]


def test_without_figures_there_are_none(space, listener, monkeypatch):
    monkeypatch.setattr(devices, "read_devices", lambda: DeviceReport(()))
    error = crash(space, listener, OOM)
    assert error.hint.splitlines()[1] == "Its last lines:"


def test_a_crash_of_another_kind_has_its_own_explanation(space, listener):
    error = crash(
        space, listener, "ImportError: cannot import name 'HfFolder' from 'huggingface_hub'", estimate=ESTIMATE
    )
    assert "huggingface_hub 1.0 removed HfFolder" in error.message
    assert "GPU" not in error.hint


def test_an_unknown_crash_shows_the_last_lines(space, listener):
    error = crash(space, listener, "all was well")
    assert error.message == "The app crashed (exit status 3)."
    assert error.hint.splitlines() == ["Its last lines:", "a life begins", "all was well"]
    assert error.data["diagnosis"] == []


def test_a_kill_from_outside_is_not_laid_to_the_kernel(space, foreground, listener):
    app = space("crashes", SIGNAL=9)
    with pytest.raises(AppCrashedError) as caught:
        supervise(app.spec, app.environment, **listener.callbacks())
    error = caught.value
    postmortem.annotate(error, postmortem.findings(error), app.spec)
    assert "The kernel counts no process that it ended for memory" in error.hint


@pytest.fixture
def small_group():
    """A cgroup with little memory, of version 2 or 1, where the tests may make one."""
    bytes_ = str(96 * 2**20)
    for root, limit, swap, no_swap in (
        ("/sys/fs/cgroup", "memory.max", "memory.swap.max", "0"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", bytes_),
    ):
        group = Path(root) / f"spacerun-test-{os.getpid()}"
        if not (Path(root) / "cgroup.procs").exists() or not os.access(root, os.W_OK):
            continue
        group.mkdir()
        if (group / limit).exists():
            (group / limit).write_text(bytes_)
            with contextlib.suppress(OSError):
                (group / swap).write_text(no_swap)
            yield group
            wait_for(lambda group=group: not (group / "cgroup.procs").read_text())
        group.rmdir()
        return
    pytest.skip("no cgroup can be made here")


def test_main_memory_that_ran_out_is_told_by_figures(space, small_group, capsys):
    """The kernel really ends the app; a detached one leaves its reason for `ps`."""
    app = space("greedy", GROUP=small_group, estimate=ESTIMATE)
    record = launch_detached(app.spec, app.environment)
    with contextlib.suppress(OSError):
        urllib.request.urlopen(f"{record.url}/more", timeout=5).read()
    wait_for(lambda: not registry.supervised(record))
    ended = registry.load(app.spec.id)
    assert (ended.status, ended.exit_code) == ("crashed", 137)
    assert ended.reason.startswith("The app crashed (killed by SIGKILL")
    assert "The kernel ended a process because memory ran out" in ended.hint
    assert re.search(
        r"Of main memory there are \d.* GiB, of which .* are available without it; "
        r"it was expected to keep 3\.0 GiB of weights there; it held \d.* MiB at its most, as far as was seen\.",
        ended.hint,
    )
    logs(app.spec.id)
    said = capsys.readouterr()
    assert "The kernel ended a process because memory ran out" in " ".join(said.err.split())


class Meter:
    """Stands for `metering`, and for the meter that it gives."""

    def __init__(self, gib):
        self._gib = gib

    def __call__(self, _uuids):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def held(self):
        return {os.getpid(): round(self._gib * GIB)}

    def used(self):
        return 0


@pytest.mark.parametrize(("gib", "peak"), [(5.0, 10.0), (12.0, 12.0)])
def test_a_later_life_does_not_lower_the_peak_of_the_one_before(space, monkeypatch, gib, peak):
    spec = space("answers", gpus=(UUID,), estimate=ESTIMATE).spec
    measured(spec.id, 10.0)
    monkeypatch.setattr(gpu_memory, "_OFTEN_SECONDS", 0.01)
    monkeypatch.setattr(gpu_memory, "metering", Meter(gib))
    watch = gpu_memory.GpuMemoryWatch(spec, lambda pid: pid == os.getpid())
    watch.start()
    try:
        wait_for(lambda: ledger.of(spec.id).peak_bytes == peak * GIB and time.sleep(0.2) is None)
        assert ledger.of(spec.id).peak_bytes == peak * GIB
    finally:
        watch.stop()
