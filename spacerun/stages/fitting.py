"""The stage that tells whether a Space fits this machine, before anything big is fetched."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

from spacerun.app.variables import download_cache
from spacerun.errors import GpuMemoryError, NoGpuError, PrerequisiteError, SpacerunError
from spacerun.gpu.devices import STAGE, read_devices, select
from spacerun.memory import ledger
from spacerun.memory.advice import Case, advice, devices_told
from spacerun.memory.cards import flavor_gib, zero_gib
from spacerun.memory.estimate import Setting, estimate
from spacerun.memory.host import available_bytes
from spacerun.memory.libraries import Period
from spacerun.memory.sizes import Sizes
from spacerun.memory.verdict import Fit, Verdict, judge
from spacerun.report import located_data
from spacerun.stages.needing import missing_bytes
from spacerun.text import size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spacerun.environment.plan import EnvironmentPlan
    from spacerun.memory.estimate import Estimate
    from spacerun.memory.model import Model
    from spacerun.memory.term import Span
    from spacerun.needs.report import Needs
    from spacerun.progress import StageClock
    from spacerun.stages import Checked, Located, Options

_SECOND_GPU: Final = re.compile(r"cuda:[1-9]")
# PyTorch 2.0 and its attention without a score matrix came out on this day.
_SDPA: Final = "2023-03-15"
# One version of each period of transformers that loads or places weights in its own way (`memory/libraries.py`).
_PERIODS: Final = ("5.24.0", "4.57.0", "4.46.0")


def fit(
    name: str, models: Sequence[Model], needs: Needs, plan: EnvironmentPlan, checked: Checked, choice: str
) -> tuple[Fit, Setting]:
    """What a Space takes, and whether that is free on the devices that `--gpu choice` leaves it."""
    setting = Setting(
        period=_period(plan),
        sizes=Sizes(needs.usual_sizes, needs.sizes),
        needs_gpu=bool(needs.gpu_uses),
        names_others=any(_SECOND_GPU.search(use.what) for use in needs.gpu_uses),
        sdpa=plan.as_of.date is None or plan.as_of.date[:10] > _SDPA,
    )
    unknown = [f"only running tells what is loaded at {load.place}" for load in needs.loads if load.id is None]
    taken = estimate(models, setting, unknown=unknown)
    taken = ledger.corrected(taken, name)
    return _judged(taken, checked, choice, setting), setting


def require(located: Located, options: Options, clock: StageClock) -> None:
    """Refuse what cannot run on this machine, unless `--force` is given.

    Raises:
        NoGpuError: The Space needs a GPU and gets none.
        GpuMemoryError: Too little GPU memory is free.
        PrerequisiteError: Too little main memory or disk is.
    """
    for problem in problems(located, options):
        if not options.force:
            problem.data = located_data(located) | problem.data
            raise problem
        clock.progress.warn(f"{problem.message} It is started all the same (--force).")
    if located.fit.verdict is Verdict.TIGHT:
        taken = ranged(located.fit.estimate.bytes)
        clock.progress.warn(f"{_free(located.fit)}, and {located.name} takes {taken}: it may run out of memory.")


def renewed(located: Located, options: Options, clock: StageClock) -> Located:
    """`located` with its GPUs chosen anew: making the environment takes minutes, in which others may have come.

    Raises:
        GpuMemoryError: What was free is free no more.
    """
    if not located.fit.gpus:
        return located
    checked = replace(located.checked, devices=read_devices())
    fit = _judged(located.fit.estimate, checked, options.gpu, located.setting)
    now = replace(located, checked=checked, fit=fit)
    if fit.verdict is Verdict.TOO_SMALL and located.fit.verdict is not Verdict.TOO_SMALL:
        require(now, options, clock)
    return now


def problems(located: Located, options: Options) -> list[SpacerunError]:
    """What keeps a Space from running here, the worst first."""
    found = [_no_gpu(located, options), _too_small(located), _main_memory(located), _disk(located)]
    return [problem for problem in found if problem]


def case(located: Located) -> Case:
    """What advice is to be given on."""
    return Case(
        fit=located.fit,
        report=located.checked.devices,
        models=located.sized,
        setting=located.setting,
        command=f"spacerun launch {located.name}",
        variables=tuple(row.name for row in located.needs.variables),
    )


def hints(located: Located) -> tuple[str, ...]:
    """What the author of a Space ran it on, one sentence each."""
    found = []
    hardware = located.card.suggested_hardware
    if (memory := flavor_gib(hardware)) is not None:
        found.append(f"Its author suggests {hardware}, which has {memory} GB of GPU memory.")
    zero = [habit.text for habit in located.needs.habits if habit.kind == "zero-gpu"]
    if zero:
        found.append(f"It was made for ZeroGPU, which gives it at most {max(map(zero_gib, zero))} GB.")
    return tuple(found)


def told(fit: Fit, what: str = "It") -> str:
    """The verdict on `what`, as a sentence."""
    match fit.verdict:
        case Verdict.NOT_NEEDED:
            return "No GPU is needed."
        case Verdict.NO_GPU:
            return f"A GPU is needed, with {ranged(fit.estimate.bytes)} free."
        case Verdict.UNKNOWN:
            return (
                f"How much GPU memory it takes cannot be told: {'; '.join(fit.estimate.unknown) or 'no model is seen'}."
            )
        case Verdict.FITS:
            return f"{what} fits: it takes {ranged(fit.estimate.bytes)}. {_free(fit)}."
        case Verdict.TIGHT:
            return f"{what} is tight: it takes {ranged(fit.estimate.bytes)}. {_free(fit)}."
    return f"{what} does not fit: it takes {ranged(fit.estimate.bytes)}. {_free(fit)}."


def _judged(taken: Estimate, checked: Checked, choice: str, setting: Setting) -> Fit:
    if choice == "auto" and setting.names_others:
        # `cuda:1` counts in the order in which the app sees them.
        choice = ",".join(device.label for device in select(checked.devices, "auto")) or "auto"
    return judge(taken, checked.devices, choice, needs_gpu=setting.needs_gpu)


def _no_gpu(located: Located, options: Options) -> SpacerunError | None:
    if located.fit.verdict is not Verdict.NO_GPU:
        return None
    use = located.needs.gpu_uses[0]
    needs = f"{located.name} needs a GPU ({use.what} at {use.place})"
    if options.gpu == "none":
        return NoGpuError(f"{needs}, and --gpu none leaves it none.", hint="Leave out --gpu none, or add --force.")
    problem = located.checked.devices.problem
    why = problem.message if problem else "No GPU can be used."
    remedy = problem.remedy if problem else "spacerun check-gpu tells more."
    return NoGpuError(f"{needs}. {why}", hint=f"{remedy} To start it all the same: --force", stage=STAGE)


def _too_small(located: Located) -> SpacerunError | None:
    if located.fit.verdict is not Verdict.TOO_SMALL:
        return None
    told = advice(case(located))
    return GpuMemoryError(
        f"{located.name} takes {ranged(located.fit.estimate.bytes)} of GPU memory. {_free(located.fit)}.",
        hint="\n".join([*told, "To start it all the same: --force"]),
        stage=STAGE,
        data={"advice": list(told)},
    )


def _main_memory(located: Located) -> SpacerunError | None:
    needed, free = located.fit.estimate.host.low, available_bytes()
    if needed <= free:
        return None
    return PrerequisiteError(
        f"{located.name} keeps {size(needed)} of weights in main memory, and {size(free)} is available.",
        hint="End other programs, or take a machine with more memory. To start it all the same: --force",
        stage=STAGE,
    )


def _disk(located: Located) -> SpacerunError | None:
    """Whether the models that it surely loads find room in the download cache."""
    cache = download_cache()
    needed = missing_bytes(located)
    folder = next(parent for parent in (cache, *cache.parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    if needed <= free:
        return None
    return PrerequisiteError(
        f"{located.name} downloads {size(needed)} of models into {cache}, where {size(free)} is free.",
        hint="Make room (spacerun prune, hf cache prune), or point HF_HOME at a larger disk. "
        "To start it all the same: --force",
        stage=STAGE,
    )


def _free(fit: Fit) -> str:
    has = "have" if len(fit.gpus) > 1 else "has"
    free = "an unknown amount" if fit.free_bytes is None else size(max(0, fit.free_bytes))
    return f"{devices_told(fit.gpus)} {has} {free} free"


def ranged(span: Span) -> str:
    """A range of bytes for people."""
    if span.low == span.high:
        return size(span.expected)
    return f"about {size(span.expected)} ({size(span.low)} to {size(span.high)})"


def _period(plan: EnvironmentPlan) -> Period:
    """Of when the packages are, and which transformers is pinned."""
    for step in plan.steps:
        for line in step.lines:
            if line.name == "transformers" and (version := _pinned(line.text)):
                return Period(plan.as_of.date, version)
    return Period(plan.as_of.date)


def _pinned(text: str) -> tuple[int, int] | None:
    try:
        specifier = Requirement(text).specifier
    except InvalidRequirement:
        return None
    if not specifier or specifier.contains(_PERIODS[0]):
        return None  # the date decides
    exact = [row.version for row in specifier if row.operator == "==" and not row.version.endswith("*")]
    newest = exact or [version for version in _PERIODS if specifier.contains(version)]
    if not newest:
        return (0, 0)  # older than all that matters
    release = Version(newest[0])
    return release.major, release.minor
