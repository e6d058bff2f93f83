"""A plan fitted to the GPUs of this machine: the PyTorch in it, if it brings one, is one that runs here."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from spacerun.environment import torch_index
from spacerun.environment.plan import InstallStep
from spacerun.environment.requirements import Kind, normalize
from spacerun.environment.resolve import resolve
from spacerun.environment.store import load
from spacerun.environment.torch import CPU, FAMILY, TorchChoice, asked_of, card_of, choose_torch, newest_release
from spacerun.environment.torch_reuse import find_torch, needs_of, reusing
from spacerun.environment.uv import STAGE
from spacerun.errors import PackagesError
from spacerun.paths import home, read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spacerun.environment.plan import EnvironmentPlan
    from spacerun.environment.requirements import Line
    from spacerun.environment.torch import Asked, Card
    from spacerun.gpu.devices import Device, DeviceReport
    from spacerun.progress import Progress

# Raised when the same plan would be fitted differently.
_RULES: Final = 1
# What the builder adds by itself; none of it brings torch.
_WITHOUT_TORCH: Final = frozenset({
    "pip", "setuptools", "wheel", "gradio", "gradio-client", "streamlit", "uvicorn", "websockets", "fastapi", "spaces",
    "datasets", "huggingface-hub", "hf-transfer", "hf-xet", "requests", "protobuf", "click", "pydantic", "numpy",
    "pillow", "pandas", "matplotlib", "tqdm", "httpx", "altair", "starlette",
})  # fmt: skip
# Settings under which uv itself, or nobody, decides on an index.
_SETTLED: Final = ("UV_TORCH_BACKEND", "UV_NO_INDEX", "UV_OVERRIDE")
_RETRY_SECONDS: Final = 3600


def fit_torch(
    plan: EnvironmentPlan,
    gpus: Sequence[Device],
    report: DeviceReport,
    *,
    imports: frozenset[str],
    progress: Progress,
    offline: bool,
    reuse: bool = False,
) -> EnvironmentPlan:
    """`plan` with the PyTorch that runs on `gpus`; as it is where it brings none, or where uv is told otherwise.

    Which version it would bring is resolved first where the requirements do not name one. What was decided is
    remembered, so that a later launch decides the same without asking anybody.

    Args:
        plan: What is to be made.
        gpus: What the app will see.
        report: What the driver says of itself.
        imports: Top-level modules that the Space's code imports.
        progress: Told what was decided.
        offline: Use only what was learned before.
        reuse: Take the PyTorch that the machine has, where it is the one.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64" or any(os.environ.get(name) for name in _SETTLED):
        return plan
    lines = tuple(line for step in plan.steps for line in step.lines)
    if plan.locked:
        return plan
    if not _may_bring_torch(lines, imports):
        return plan
    card = card_of(gpus, report)
    memory = home().cache / "torch" / f"{_digest(plan.key, asdict(card) if card else None, torch_index.base())}.json"
    known = read_json(memory)
    choice = _remembered(known["choice"]) if known else None
    settled = known and (offline or not known["silent"] or _is_young(known) or _is_made(plan, choice))
    if not settled:
        choice = _choose(plan, lines, card, imports=imports, progress=progress, offline=offline)
        silent = torch_index.wheels(CPU, FAMILY[0], offline=True) is None
        write_json(memory, {"choice": asdict(choice) if choice else None, "silent": silent, "asked": time.time()})
    if choice is None:
        return plan
    borrowed = find_torch(choice, card, int(plan.python.split(".")[1])) if reuse else None
    if borrowed:
        choice = reusing(choice, borrowed)
        needs = needs_of(borrowed)
        steps = (InstallStep("what the machine's PyTorch requires", needs),) if needs else ()
        key = _digest(plan.key, asdict(borrowed))[:20]
        plan = replace(plan, steps=plan.steps + steps, borrowed=borrowed, key=key)
    if choice.warning:
        progress.warn(choice.warning)
    return _applied(plan, choice)


def _is_young(known: dict[str, Any]) -> bool:
    return bool(time.time() - known["asked"] < _RETRY_SECONDS)


def _is_made(plan: EnvironmentPlan, choice: TorchChoice | None) -> bool:
    """Whether the environment is there: better than another one, now that PyTorch's index may answer."""
    return load((_applied(plan, choice) if choice else plan).key) is not None


def _choose(
    plan: EnvironmentPlan,
    lines: tuple[Line, ...],
    card: Card | None,
    *,
    imports: frozenset[str],
    progress: Progress,
    offline: bool,
) -> TorchChoice | None:
    asked = asked_of(lines)
    minor = int(plan.python.split(".")[1])
    version = asked.version
    if version is None:
        progress.update(STAGE, "looking which PyTorch it takes")
        version = _resolved(plan, offline=offline) or _assumed(plan, lines, asked, imports, minor)
    if version is None:
        return None
    return choose_torch(asked, version, card, minor=minor, as_of=plan.as_of.date, offline=offline)


def _may_bring_torch(lines: tuple[Line, ...], imports: frozenset[str]) -> bool:
    if imports & set(FAMILY):
        return True
    return any(line.kind is not Kind.OPTION and line.name not in _WITHOUT_TORCH for line in lines)


def _resolved(plan: EnvironmentPlan, *, offline: bool) -> str | None:
    """The torch that uv would install, or None if none, or if that is only known after a build."""
    if offline:
        return None
    try:
        resolution = resolve(plan, None)
    except PackagesError:
        # The installation says what is wrong.
        return None
    found = next((package.version for package in resolution.packages if package.name == "torch"), None)
    return found.partition("+")[0] if found else None


def _assumed(
    plan: EnvironmentPlan, lines: tuple[Line, ...], asked: Asked, imports: frozenset[str], minor: int
) -> str | None:
    """The torch of the plan's day, if it is likely that something brings one: it overrides nothing if nothing does."""
    unknown = any(line.kind in {Kind.REMOTE, Kind.LOCAL} for line in lines)
    return newest_release(plan.as_of.date, minor) if asked.named or unknown or imports & set(FAMILY) else None


def _applied(plan: EnvironmentPlan, choice: TorchChoice) -> EnvironmentPlan:
    if not choice.overrides and not choice.dropped:
        return replace(plan, torch=choice)
    overridden = {_name(text) for text in choice.overrides}

    def applied(step: InstallStep) -> InstallStep:
        return replace(
            step,
            lines=tuple(line for line in step.lines if line.text not in choice.dropped),
            constraints=tuple(text for text in step.constraints if _name(text) not in overridden),
            otherwise=tuple(map(applied, step.otherwise)),
        )

    named = dict(choice.exempt) | dict(plan.package_dates)
    return replace(
        plan,
        steps=tuple(map(applied, plan.steps)),
        overrides=plan.overrides + choice.overrides,
        package_dates=tuple(named.items()) if plan.as_of.date else plan.package_dates,
        key=_digest(plan.key, choice.overrides, choice.dropped, choice.exempt)[:20],
        torch=choice,
    )


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9][\w.-]*", requirement)
    return normalize(match[0]) if match else ""


def _remembered(content: dict[str, Any] | None) -> TorchChoice | None:
    if content is None:
        return None
    exempt = tuple((name, until) for name, until in content["exempt"])
    lists = {name: tuple(content[name]) for name in ("overrides", "dropped")}
    return TorchChoice(**(content | lists | {"exempt": exempt}))


def _digest(*facts: object) -> str:
    return hashlib.sha256(json.dumps([_RULES, *facts]).encode()).hexdigest()
