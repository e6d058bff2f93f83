"""What one model takes: where its weights lie, and what it works with."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Final

from spacerun.memory import language, others, pictures
from spacerun.memory.config import Shape, shape_of, shape_of_gguf, text_part
from spacerun.memory.libraries import is_on_gpu
from spacerun.memory.term import NOTHING, Span, Term, total
from spacerun.memory.weights import Weights, weights_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spacerun.memory.estimate import Setting
    from spacerun.memory.model import Model

_SPEECH: Final = frozenset({"whisper", "wav2vec2", "hubert", "wav2vec2-bert", "seamless_m4t", "seamless_m4t_v2", "sew"})
_SPEECH_LIBRARIES: Final = frozenset({"whisper", "faster-whisper"})
_WRITES: Final = ("CausalLM", "ConditionalGeneration", "LMHead", "Seq2SeqLM", "ImageTextToText", "Vision2Seq")
_VLLM: Final = "vLLM takes 90 % of a card whatever its model needs."
# How much of the largest part sequential offloading keeps on the GPU: a layer, and the one that is fetched meanwhile.
_IN_FLIGHT: Final = 2


@dataclass(frozen=True)
class Cost:
    """What one model takes.

    Attributes:
        model: The model.
        of: How it is told.
        weights: All its weights.
        gpu: Those of them that lie on the GPU at once.
        host: Those that stay in main memory.
        working: What it works with on the GPU.
        formula: How the weights are calculated.
        in_turn: Whether its parts are moved to the GPU one after another, and so those of others like it.
        on_gpu: Whether it may use a GPU.
        exact: Whether every tensor was read, and the code says how they are kept.
        candidates: Of how many that the same call may load it is the largest.
        notes: What else a reader should know.
    """

    model: Model
    of: str
    weights: Span
    gpu: Span
    host: Span
    working: tuple[Term, ...]
    formula: str
    in_turn: bool = False
    on_gpu: bool = False
    exact: bool = False
    candidates: int = 1
    notes: tuple[str, ...] = ()


def cost_of(model: Model, setting: Setting) -> Cost:
    """What `model` takes."""
    load = model.load
    rows = weights_of(model, setting.period)
    whole = total(row.bytes for row in rows)
    likely, possible = is_on_gpu(load, setting.period, needs_gpu=setting.needs_gpu)
    working = _working(model, rows, setting) if possible and load.role != "adapter" else ()
    gpu, host, of = whole, NOTHING, model.id
    if load.offload and rows:
        gpu, of, working = _in_turn(model, rows, working)
        host = whole
    elif not likely:
        gpu, host = Span(0, 0, whole.high if possible else 0), whole
        working = tuple(term.but(Span(0, 0, term.bytes.high), "only if it is on the GPU") for term in working)
    return Cost(
        model=model,
        of=of,
        weights=whole,
        gpu=gpu,
        host=host,
        working=working,
        formula=_formula(rows),
        in_turn=bool(load.offload),
        on_gpu=possible,
        exact=bool(rows) and all(row.exact for row in rows),
        notes=(*model.notes, *((_VLLM,) if load.library == "vllm" else ())),
    )


def _formula(rows: Sequence[Weights]) -> str:
    parts = []
    for row in rows:
        count = f"{row.parameters:,} parameters" if row.parameters else "the files' bytes"
        parts.append(f"{row.part + ': ' if row.part else ''}{count}, {row.form}")
    return "; ".join(parts)


def _in_turn(model: Model, rows: Sequence[Weights], working: tuple[Term, ...]) -> tuple[Span, str, tuple[Term, ...]]:
    """What offloading leaves on the GPU: the part that works (`model`), or a few layers of it."""
    largest = max(rows, key=lambda row: row.bytes.expected)
    of = f"{model.id} ({largest.part})" if largest.part else model.id
    if model.load.offload == "model":
        # Where the decoder takes most it is alone on the GPU.
        room = largest.bytes.expected - min(row.bytes.expected for row in rows)
        shrunk = tuple(
            term.but(Span(*(max(0, count - room) for count in astuple(term.bytes))), "with only the decoder there")
            if term.of.endswith("(decoding)")
            else term
            for term in working
        )
        return largest.bytes, of, _larger(shrunk)
    layer = max(row.largest for row in rows)
    return Span(layer, _IN_FLIGHT * layer, max(3 * _IN_FLIGHT * layer, largest.bytes.high // 8)), of, _larger(working)


def _working(model: Model, rows: Sequence[Weights], setting: Setting) -> tuple[Term, ...]:
    load, sizes = model.load, setting.sizes
    whole = total(row.bytes for row in rows).expected
    config: Mapping[str, Any] = model.parts[0].config if model.parts else {}
    # Numbers are computed in four bytes only where weights are kept so.
    element = 4 if rows and rows[0].form == "float32" else 2
    if load.library == "diffusers" and (not load.subfolder or load.subfolder in pictures.DENOISERS):
        terms = pictures.working(model.id, model.parts, sizes, load.memory, sdpa=setting.sdpa)
        return terms if load.offload else _larger(terms)
    if load.library in _SPEECH_LIBRARIES or config.get("model_type") in _SPEECH:
        # CTranslate2's files do not tell, but hold two bytes for each.
        parameters = sum(row.parameters for row in rows) or sum(part.stored_bytes for part in model.parts) // 2
        return (others.speech(model.id, parameters),)
    shape = _shape(model)
    if shape and _writes(config, model):
        cache = language.cache(model.id, shape, sizes, element_bytes=element)
        return tuple(filter(None, (cache, language.sums(model.id, shape, sizes, element_bytes=element))))
    if shape and shape.layers and shape.width and load.library != "diffusers":
        return (others.texts(model.id, shape, sizes, element_bytes=element),)
    return (others.any_other(model.id, whole),) if whole else ()


def _larger(terms: Sequence[Term]) -> tuple[Term, ...]:
    """Of what is needed one after another, the most; at most the most of each."""
    if not terms:
        return ()
    larger = max(terms, key=lambda term: term.bytes.expected)
    low, high = max(term.bytes.low for term in terms), max(term.bytes.high for term in terms)
    return (Term(larger.kind, larger.of, Span(low, larger.bytes.expected, high), larger.formula, larger.source),)


def _shape(model: Model) -> Shape | None:
    for part in model.parts:
        for contents in part.files.values():
            if contents.facts:
                return shape_of_gguf(contents.facts)
        if part.config:
            return shape_of(part.config)
    return None


def _writes(config: Mapping[str, Any], model: Model) -> bool:
    """Whether it writes text, token by token."""
    if any(contents.facts for part in model.parts for contents in part.files.values()):
        return True
    names = config.get("architectures")
    kinds = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    return any(kind.endswith(_WRITES) or "LMHead" in kind for kind in kinds) or text_part(config) is not config
