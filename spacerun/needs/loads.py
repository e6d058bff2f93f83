"""The models that the code of a Space loads: which, how, and where it says so."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from spacerun.needs import naming
from spacerun.needs.access import is_model_id
from spacerun.needs.changes import Changes, device_in
from spacerun.needs.fetched import Downloads
from spacerun.needs.load import Load, gathered
from spacerun.needs.loaders import Loader, is_weightless, loader_of, may_load
from spacerun.needs.naming import is_weights
from spacerun.needs.precision import Precision, precision_of
from spacerun.needs.values import (
    Const,
    Defined,
    External,
    Made,
    Member,
    Method,
    Object,
    Value,
    Values,
    certain,
    texts,
)
from spacerun.source.literals import within_space
from spacerun.source.scopes import Use, called_name, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spacerun.needs.flow import Flow
    from spacerun.needs.reach import Reach
    from spacerun.needs.values import Frame

# More candidates of one call than these are told as their number.
MOST_CANDIDATES: Final = 60
ANY_LOADER: Final = Loader("other", ())
# Libraries of no models, and those whose every load call the table names.
_NO_MODELS: Final = frozenset({
    "gradio", "streamlit", "os", "pathlib", "builtins", "huggingface_hub", "transformers", "datasets", "gradio_client",
    "fastapi", "flask", "requests", "openai", "anthropic", "groq", "litellm", "pydantic", "typing", "collections",
    "PIL",    "smolagents", "langchain_openai", "dash", "starlette", "google", "pandas", "apscheduler", "threading",
})  # fmt: skip
_MODEL_LIKE: Final = re.compile(r"model|encoder|pretrained|checkpoint|ckpt|weights", re.IGNORECASE)


def find_loads(flow: Flow, reach: Reach) -> tuple[Load, ...]:
    """Every model that the code of a Space loads, in the order of the text."""
    reader = _Reader(flow, reach)
    calls = ((use, use.expression) for use in reach.calls())
    read = (load for use, call in calls if isinstance(call, ast.Call) for load in reader.loads(use, call))
    return gathered([*read, *reader.addresses()])


def _labelled(call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    """The arguments of a call, each with the name that it goes by."""
    for node in call.args:
        yield (dotted(node) or "").rpartition(".")[2], node
    for keyword in call.keywords:
        yield keyword.arg or "", keyword.value


def _keywords(use: Use) -> list[ast.keyword]:
    return use.expression.keywords if isinstance(use.expression, ast.Call) else []


class _Reader:
    """Reads one load call."""

    def __init__(self, flow: Flow, reach: Reach) -> None:
        self._flow = flow
        self._reach = reach
        self._changes = Changes(flow, reach)
        self._downloads = Downloads(flow, reach)

    def addresses(self) -> Iterator[Load]:
        """Weights that the code fetches from an address."""
        for row in self._downloads.rows:
            if row.is_url and naming.is_weights(row.id):
                place = f"{row.use.scope.file}:{row.use.position[0]}"
                load = Load(None, "unknown", "other", "weights", Precision(), place, choice=True)
                named = naming.named(self._flow, ANY_LOADER, load, row.id)
                if named is not None:
                    yield named

    def loads(self, use: Use, call: ast.Call) -> Iterator[Load]:
        """What the call loads, from every way into it."""
        if not may_load(called_name(call)):
            yield from self._unlisted(use, call)
            return
        for frame in self._flow.callers.contexts(use.scope):
            if frame and self._flow.is_dead(use.blocks, use.scope, frame):
                continue
            functions = self._flow.values(use.of(call.func), frame)
            names = tuple(name for function in functions for name in _names(function))
            loader = loader_of(names, called_name(call))
            if loader is None or self._is_weightless(call, names):
                continue
            if any(isinstance(function, Defined) and not function.scope.is_class for function in functions):
                continue  # a function of the Space, which is read itself
            yield from self._of(loader, use, frame, name=names[0] if names else called_name(call))

    def _is_weightless(self, call: ast.Call, names: tuple[str, ...]) -> bool:
        owners = [name.rpartition(".")[0] for name in names]
        if isinstance(call.func, ast.Attribute):
            owners.append(dotted(call.func.value) or "")
        return called_name(call) == "from_pretrained" and any(map(is_weightless, owners))

    def _of(self, loader: Loader, use: Use, frame: Frame | None, name: str) -> Iterator[Load]:
        template = self._template(loader, use, frame, name)
        if template is None:
            return
        given = self._flow.arguments(use, frame, *loader.id, at=loader.at)
        if given is None or given == (Const(None),):
            default = loader.default or naming.default_of(loader, self._task(use, frame))
            if default:
                yield replace(template, id=default, kind="hub")
            return
        if any(map(self._is_told, given)):
            yield from self._bases(template, given)
            return
        files = self._files(loader, use, frame)
        names = [text for text in dict.fromkeys(texts(given)) if text.strip()]
        several = len(names) * len(files) > 1 or not certain(given)
        for text in names[:MOST_CANDIDATES]:
            for file in files[:MOST_CANDIDATES]:
                load = self._fetched(replace(template, file=file), text)
                if load is None:
                    load = naming.named(self._flow, loader, replace(template, file=file), text)
                    load = load if load and self._is_of_an_owner(load, text) else None
                if load is not None:
                    yield replace(load, choice=template.choice or several)
        if given and not names and loader.role != "remote" and not all(isinstance(v, Defined | Method) for v in given):
            yield replace(template, id=None, kind="unknown", choice=True)

    def _is_told(self, value: Value) -> bool:
        """Whether a value is something downloaded, or a model, which is told where it is made."""
        made = value.of if isinstance(value, Member) else value
        if isinstance(made, Made):
            last = made.name.rpartition(".")[2]
            return may_load(last) and loader_of((made.name,), last) is not None
        return isinstance(value, Object)

    def _bases(self, template: Load, given: Values) -> Iterator[Load]:
        """`PeftConfig.from_pretrained(adapter).base_model_name_or_path`: only the adapter tells which model."""
        for value in given:
            if isinstance(value, Member) and isinstance(value.of, Made) and value.name == "base_model_name_or_path":
                for adapter in texts(self._flow.arguments(value.of.call, value.of.frame, at=0) or ()):
                    if is_model_id(adapter) and not naming.is_unset(adapter):
                        yield replace(template, id=adapter, kind="hub", role="adapter", brings_base=True)

    def _fetched(self, template: Load, text: str) -> Load | None:
        """What the code has downloaded to the place that `text` names, if it has."""
        path = within_space(text) if "://" not in text else None
        row = self._downloads.at(path) if path is not None and not self._flow.setting.exists(path) else None
        if path is None or row is None or row.id == text:
            return None
        inner = path.removeprefix(row.path or "").strip("/")
        load = replace(template, id=row.id, kind="hub", file=row.file or (inner if is_weights(inner) else None))
        return naming.named(self._flow, ANY_LOADER, load, row.id) if row.is_url else load

    def _is_of_an_owner(self, load: Load, text: str) -> bool:
        """Whether `checkpoints/x` is a model, and not a place that the code fills itself."""
        path = within_space(text) if load.kind == "hub" and "://" not in text else None
        return path is None or "/" not in path or path.partition("/")[0] not in self._downloads.folders

    def _unlisted(self, use: Use, call: ast.Call) -> Iterator[Load]:
        """A class of a library that no table names, given what is called a model and looks like one."""
        name = called_name(call)
        if not name[:1].isupper() or not (call.args or call.keywords):
            return
        functions = self._flow.values(use.of(call.func))
        outside = [value.name for value in functions if isinstance(value, External)]
        if not outside or outside[0].partition(".")[0] in _NO_MODELS or "." not in outside[0] or is_weightless(name):
            return
        beside = any(isinstance(v, Made) for _, node in _labelled(call) for v in self._flow.values(use.of(node)))
        for label, node in _labelled(call):
            if _MODEL_LIKE.search(label) or (not label and beside):
                for text in texts(self._flow.values(use.of(node))):
                    template = self._template(ANY_LOADER, use, None, outside[0])
                    if template and "/" in text and is_model_id(text) and not naming.is_unset(text):
                        # Likely, and so never a reason to refuse.
                        load = replace(template, id=text, kind="hub", library="other", choice=True)
                        if not is_weights(text) and self._is_of_an_owner(load, text):
                            yield self._fetched(template, text) or load

    def _template(self, loader: Loader, use: Use, frame: Frame | None, name: str) -> Load | None:
        """All but the name; None for a call that loads no weights."""

        def text(*names: str) -> str | None:
            found = texts(self._flow.arguments(use, frame, *names) or ())
            return found[0] if len(found) == 1 else None

        kind = text("repo_type")
        if kind not in {None, "model"} or not naming.takes_weights(self._flow, loader, use, frame):
            return None
        change = self._changes.of(use)
        precision = precision_of(self._flow, use, frame)
        if change.dtype and precision.method is None:
            precision = Precision(change.dtype)
        return Load(
            id=None,
            kind="unknown",
            library=loader.library if loader.library != "other" else naming.library_of(name),
            role=loader.role,
            precision=precision,
            place=f"{use.scope.file}:{getattr(use.expression, 'lineno', 0)}",
            subfolder=text("subfolder"),
            variant=text("variant"),
            revision=text("revision"),
            device=self._device(use, frame) or change.device,
            offload=change.offload,
            brings_base=loader.base,
            choice=self._is_conditional(use, frame),
            at_start=self._reach.is_at_start(use),
            memory=change.memory,
            function=name.rpartition(".")[2],
            given=tuple(keyword.arg for keyword in _keywords(use) if keyword.arg),
        )

    def _files(self, loader: Loader, use: Use, frame: Frame | None) -> list[str | None]:
        given = self._flow.arguments(use, frame, *loader.file, at=loader.file_at) if loader.file else None
        return list(dict.fromkeys(texts(given or ()))) or [None]

    def _task(self, use: Use, frame: Frame | None) -> str | None:
        found = texts(self._flow.arguments(use, frame, "task", at=0) or ())
        return found[0] if len(found) == 1 else None

    def _device(self, use: Use, frame: Frame | None) -> str | None:
        mapped = self._flow.arguments(use, frame, "device_map")
        if mapped is not None and mapped != (Const(None),):
            return device_in(mapped) or "auto"
        given = self._flow.arguments(use, frame, "device")
        if given is None and (layers := self._flow.arguments(use, frame, "n_gpu_layers", "gpu_layers")) is not None:
            return "cpu" if layers == (Const(0),) else "cuda"  # llama.cpp; -1 is all of them
        return device_in(given) if given is not None else None

    def _is_conditional(self, use: Use, frame: Frame | None) -> bool:
        scopes = self._flow.project.scopes(use.scope.file)
        for block in use.blocks:
            test = scopes.tests.get(block) if scopes else None
            if test is None:
                if block > 0:
                    return True  # a handler of exceptions, a `case`
            elif not _is_memo(test[0].expression) and self._flow.decide(test[0], frame) is None:
                return True
        return False


def _is_memo(test: ast.expr) -> bool:
    """`if model is None:` around a load that happens once, whenever it does."""
    match test:
        case ast.Compare(ops=[ast.Is()], comparators=[ast.Constant(value=None)]):
            return True
        case ast.UnaryOp(op=ast.Not(), operand=ast.Name() | ast.Attribute()):
            return True
        case ast.Compare(ops=[ast.NotIn()]):
            return True
    return False


def _names(function: object) -> Iterator[str]:
    match function:
        case External(name=name):
            yield name
        case Member(of=Made(name=made), name=name):
            yield f"{made}.{name}"
        case Defined(scope=scope) if scope.is_class:
            yield getattr(scope.node, "name", "")
        case Method(function=scope):
            yield f"local.{getattr(scope.node, 'name', '')}"
