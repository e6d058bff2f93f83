"""`check-gpu`: whether a Space, a model or a number of bytes fits the GPUs of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from spacerun.errors import FetchError, GpuMemoryError, NoGpuError, NotFoundError, SpacerunError, UsageError
from spacerun.gpu.devices import STAGE, read_devices
from spacerun.memory import ledger
from spacerun.memory.advice import Case, advice
from spacerun.memory.estimate import Setting, estimate, exactly
from spacerun.memory.libraries import Period
from spacerun.memory.sizes import Sizes
from spacerun.memory.verdict import Verdict, judge
from spacerun.needs.access import Access, ask, is_model_id
from spacerun.needs.load import Load
from spacerun.needs.models import ModelNeed
from spacerun.needs.precision import Precision
from spacerun.pipeline import locate
from spacerun.report import model_data
from spacerun.stages import fitting, sizing
from spacerun.text import one_line, size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spacerun.memory.ledger import Entry
    from spacerun.memory.verdict import Fit
    from spacerun.needs.access import HubModel
    from spacerun.progress import StageClock
    from spacerun.stages import Options

FORMS: Final = {
    "stored": Precision("auto"),
    "float32": Precision("float32"),
    "float16": Precision("float16"),
    "bfloat16": Precision("bfloat16"),
    "int8": Precision("int8", "bitsandbytes-8bit"),
    "nf4": Precision("int4", "bitsandbytes-nf4"),
    "nf4-dq": Precision("int4", "bitsandbytes-nf4", double=True),
}
"""In which form `--dtype` has the weights of a model."""

_PIPELINE: Final = "model_index.json"


@dataclass(frozen=True)
class Answer:
    """What `check-gpu` found out.

    Attributes:
        what: What was asked about, for people.
        case: The verdict, and what advice is given on.
        models: Each model as in `plan`.
        measured: The run of it that took the most here, if one was measured.
        hints: What its author ran it on, one sentence each.
    """

    what: str
    case: Case
    models: tuple[dict[str, Any], ...] = ()
    measured: Entry | None = None
    hints: tuple[str, ...] = ()

    @property
    def fit(self) -> Fit:
        """The verdict."""
        return self.case.fit

    @cached_property
    def advice(self) -> tuple[str, ...]:
        """What would make it fit, if it does not."""
        return advice(self.case) if self.fit.verdict in {Verdict.TOO_SMALL, Verdict.NO_GPU} else ()

    def to_json(self) -> dict[str, Any]:
        """The data of `check-gpu --json`."""
        return {
            **self.case.report.to_json(),
            **self.fit.to_json(),
            "models": list(self.models),
            "advice": [*self.advice, *self.hints],
            "measured": self.measured.to_json() if self.measured else None,
        }

    @cached_property
    def error(self) -> SpacerunError | None:
        """The failure that the verdict is, if it is one."""
        if self.fit.verdict is Verdict.NO_GPU:
            problem = self.case.report.problem
            why = problem.message if problem else "No GPU can be used."
            error: SpacerunError = NoGpuError(
                f"{self.what} needs a GPU. {why}", hint=problem.remedy if problem else None, data=self.to_json()
            )
        elif self.fit.verdict is Verdict.TOO_SMALL:
            error = GpuMemoryError(
                fitting.told(self.fit, self.what), hint="\n".join(self.advice) or None, data=self.to_json()
            )
        else:
            return None
        error.stage = STAGE
        return error


def check_space(options: Options, clock: StageClock) -> Answer:
    """Whether a Space fits, by what its code loads.

    Args:
        options: As for a launch.
        clock: Times the stages.
    """
    located = locate(options, clock)
    return Answer(
        what=located.name,
        case=fitting.case(located),
        models=tuple(model_data(located)),
        measured=ledger.measured(located.fit.estimate, located.name),
        hints=fitting.hints(located),
    )


def check_models(names: Sequence[str], form: str, gpu: str) -> Answer:
    """Whether models fit together, loaded by transformers or diffusers.

    Args:
        names: `owner/name`, or `owner/name/file` for one file of it, such as a GGUF.
        form: One of `FORMS`.
        gpu: `--gpu`.

    Raises:
        NotFoundError: A model is missing, private or gated.
        FetchError: The Hub does not answer.
        UsageError: A name is none of a model, or leaves open which of its files is meant.
    """
    if strangers := [name for name in names if not is_model_id("/".join(name.split("/", 2)[:2]))]:
        raise UsageError(
            f"--model {one_line(strangers[0], 100)} is no model on the Hub.", hint="Write it as owner/name."
        )
    split = {name: tuple(name.split("/", 2)) for name in names}
    ids = {name: "/".join(parts[:2]) for name, parts in split.items()}
    found = ask((model, None) for model in ids.values())
    needs = [_need(found[ids[name]], split[name][2:], form) for name in names]
    models = sizing.read_models(needs, None, None, offline=False)
    setting = Setting(Period(), Sizes(), needs_gpu=True)
    taken = estimate(models, setting)
    report = read_devices()
    fit = judge(taken, report, gpu, needs_gpu=True)
    rows = tuple(need.to_json() | {"weights_bytes": taken.weights.get(need.id)} for need in needs)
    again = "spacerun check-gpu" + "".join(f" --model {one_line(name, 100)}" for name in names)
    return Answer(" + ".join(one_line(name, 100) for name in names), Case(fit, report, command=again), rows)


def check_need(count: int, gpu: str) -> Answer:
    """Whether `count` bytes are free."""
    report = read_devices()
    fit = judge(exactly(count), report, gpu, needs_gpu=True)
    return Answer(
        f"What needs {size(count)}", Case(fit, report, command=f"spacerun check-gpu --need {count / 2**30:g}GiB")
    )


def _need(model: HubModel, file: tuple[str, ...], form: str) -> ModelNeed:
    if model.access is Access.UNKNOWN:
        raise FetchError(
            f"The Hub does not say anything of {one_line(model.id, 100)}.", hint="Check the network, then try again."
        )
    if not model.readable:
        raise NotFoundError(
            f"{one_line(model.id, 100)} is {'gated' if model.access is Access.GATED else 'missing or private'}.",
            hint=f"See {model.page}, and log in with: hf auth login",
        )
    if file and file[0] not in model.sizes:
        raise UsageError(f"{model.id} has no file {one_line(file[0], 100)}.", hint=f"See {model.page}/tree/main")
    several = [name for name in model.sizes if name.endswith(".gguf")]
    if not file and len(several) > 1:
        raise UsageError(
            f"{model.id} has {len(several)} GGUF files, of which one is loaded.",
            hint=f"Name it: spacerun check-gpu --model {model.id}/{one_line(several[0], 100)}",
        )
    library = "diffusers" if _PIPELINE in model.sizes else "transformers"
    load = Load(
        id=model.id,
        kind="hub",
        library="llama_cpp" if file and file[0].endswith(".gguf") else library,
        role="weights",
        precision=FORMS[form],
        place="--model",
        file=file[0] if file else None,
        device="cuda",
        at_start=True,
    )
    return ModelNeed(model.id, ("--model",), load, found=model)
