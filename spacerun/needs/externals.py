"""What well-known functions outside of the Space give: Python's own, PyTorch's questions about the machine."""

from __future__ import annotations

import ast
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from spacerun.needs import arithmetic, data_files, widgets
from spacerun.needs.values import (
    UNKNOWN,
    Const,
    Frame,
    Made,
    Mapping,
    Sequence,
    Unknown,
    Value,
    Values,
    elements,
    merge,
    texts,
    variables,
)
from spacerun.source.literals import ROOT, within_space

if TYPE_CHECKING:
    from collections.abc import Callable

    from spacerun.needs.flow import Flow
    from spacerun.source.scopes import Use


# Questions about a GPU of NVIDIA; there is no other kind of accelerator.
_GPU: Final = frozenset({
    "torch.cuda.is_available", "torch.cuda.is_bf16_supported", "torch.accelerator.is_available",
    "accelerate.utils.is_cuda_available", "transformers.utils.is_torch_cuda_available", "is_torch_cuda_available",
})  # fmt: skip
_NEVER: Final = frozenset({
    "torch.backends.mps.is_available", "torch.backends.mps.is_built", "torch.xpu.is_available",
    "transformers.utils.is_torch_npu_available", "torch.npu.is_available",
})  # fmt: skip
# They give their first argument back, as far as weights and texts are concerned.
_SAME: Final = frozenset({
    "builtins.str", "builtins.list", "builtins.tuple", "builtins.set", "builtins.sorted", "builtins.reversed",
    "builtins.frozenset", "builtins.dict", "builtins.iter", "os.path.abspath", "os.path.realpath", "os.path.normpath",
    "os.path.expanduser", "os.fspath", "pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "copy.copy",
    "copy.deepcopy", "types.MappingProxyType", "torch.device", "torch.compile", "torch.nn.DataParallel",
    "torch.jit.script", "torch.jit.optimize_for_inference", "accelerate.dispatch_model", "streamlit.cache_resource",
    "optimum.bettertransformer.BetterTransformer.transform", "intel_extension_for_pytorch.optimize",
    "functools.partial", "functools.lru_cache", "spaces.GPU", "collections.OrderedDict", "easydict.EasyDict",
    "omegaconf.OmegaConf.create", "munch.Munch", "munch.munchify", "addict.Dict", "ml_collections.ConfigDict",
})  # fmt: skip
_ENVIRONMENT: Final = frozenset({"os.getenv", "os.environ.get", "os.environ.pop", "os.environ.setdefault"})
_HERE: Final = frozenset({"os.getcwd", "pathlib.Path.cwd"})
_EXISTS: Final = frozenset({"os.path.exists", "os.path.isdir", "os.path.isfile", "os.path.lexists"})
_OBJECTS: Final = frozenset({"types.SimpleNamespace", "argparse.Namespace", "builtins.dict", "collections.namedtuple"})


def call(flow: Flow, name: str, use: Use, frame: Frame | None) -> Values:
    """What the call `use` of the function `name` gives.

    Args:
        flow: Follows expressions.
        name: Full name of the function.
        use: The call.
        frame: From where it is seen.
    """
    node = use.expression
    if name in _GPU or name in _NEVER:
        return (Const(value=name in _GPU and flow.setting.gpu),)
    assert isinstance(node, ast.Call)  # noqa: S101 - narrows the type
    known = _FUNCTIONS.get(name)
    if known and not any(isinstance(argument, ast.Starred) for argument in node.args):
        return known(flow, use, frame)
    if name in _SAME and node.args:
        return flow.values(use.of(node.args[0]), frame)
    if name in _SAME or name in _OBJECTS:
        items = (((Const(k.arg),), flow.values(use.of(k.value), frame)) for k in node.keywords if k.arg)
        return (Mapping(tuple(items)),)
    made = Made(use, name, frame)
    return widgets.shown(flow, made) if name.partition(".")[0] == "streamlit" else (made,)


def _first(flow: Flow, use: Use, frame: Frame | None) -> Values:
    return flow.arguments(use, frame, at=0) or ()


def _environment(flow: Flow, use: Use, frame: Frame | None) -> Values:
    default = flow.arguments(use, frame, "default", at=1)
    names = texts(flow.arguments(use, frame, "key", at=0) or ())
    return merge(flow.variable(name, (Const(None),) if default is None else default) for name in names) or UNKNOWN


def _path(flow: Flow, use: Use, frame: Frame | None) -> Values:
    call = use.expression
    assert isinstance(call, ast.Call)  # noqa: S101 - narrows the type
    return arithmetic.path([flow.values(use.of(argument), frame) for argument in call.args])


def _parent(flow: Flow, use: Use, frame: Frame | None) -> Values:
    return merge(
        (Const(value.value.rpartition("/")[0] or ".", value.variables),)
        if isinstance(value, Const) and isinstance(value.value, str)
        else (value,)
        for value in _first(flow, use, frame)
    )


def _base(flow: Flow, use: Use, frame: Frame | None) -> Values:
    return merge(
        (Const(value.value.rpartition("/")[2], value.variables),)
        if isinstance(value, Const) and isinstance(value.value, str)
        else UNKNOWN
        for value in _first(flow, use, frame)
    )


def _exists(flow: Flow, use: Use, frame: Frame | None) -> Values:
    """True for what the Space brings; what it lacks the app may yet fetch."""
    found = [within_space(text) for text in texts(_first(flow, use, frame))]
    return (
        (Const(value=True),)
        if found and all(path and flow.setting.read(path) is not None for path in found)
        else UNKNOWN
    )


def _length(flow: Flow, use: Use, frame: Frame | None) -> Values:
    return merge(
        (Const(len(value.elements)),)
        if isinstance(value, Sequence)
        else (Const(len(value.value), value.variables),)
        if isinstance(value, Const) and isinstance(value.value, str)
        else (Unknown(variables((value,))),)
        for value in _first(flow, use, frame)
    )


def _enumerated(flow: Flow, use: Use, frame: Frame | None) -> Values:
    rows = list(elements(_first(flow, use, frame)))
    return (Sequence(tuple((Sequence(((Const(number),), row)),) for number, row in enumerate(rows))),)


def _zipped(flow: Flow, use: Use, frame: Frame | None) -> Values:
    call = use.expression
    assert isinstance(call, ast.Call)  # noqa: S101 - narrows the type
    columns = [list(elements(flow.values(use.of(argument), frame))) for argument in call.args]
    return (Sequence(tuple((Sequence(row),) for row in zip(*columns, strict=False))),)


def _next(flow: Flow, use: Use, frame: Frame | None) -> Values:
    return next(elements(_first(flow, use, frame)), UNKNOWN)


def _attribute(flow: Flow, use: Use, frame: Frame | None) -> Values:
    names = texts(flow.arguments(use, frame, at=1) or ())
    call = use.expression
    assert isinstance(call, ast.Call)  # noqa: S101 - narrows the type
    nodes = [
        ast.copy_location(ast.Attribute(value=call.args[0], attr=name, ctx=ast.Load()), call)
        for name in names
        if name.isidentifier()
    ]
    # The nodes must outlive this call: values are known by the identity of nodes.
    call.__dict__.setdefault("_spacerun_attributes", []).extend(nodes)
    return merge(flow.values(use.of(node), frame) for node in nodes) or UNKNOWN


def _number(kind: type[int | float]) -> Callable[[Flow, Use, Frame | None], Values]:
    def convert(flow: Flow, use: Use, frame: Frame | None) -> Values:
        return tuple(_converted(kind, value) for value in _first(flow, use, frame))

    return convert


def _converted(kind: type[int | float], value: Value) -> Value:
    if isinstance(value, Const) and isinstance(value.value, str | int | float):
        with suppress(ValueError, OverflowError):
            return Const(kind(value.value), value.variables)
    return Unknown(variables((value,)))


def _truth(flow: Flow, use: Use, frame: Frame | None) -> Values:
    return arithmetic.negated(arithmetic.negated(_first(flow, use, frame)))


def _gpus(flow: Flow, _use: Use, _frame: Frame | None) -> Values:
    return (Const(1 if flow.setting.gpu else 0),)


def _device(flow: Flow, _use: Use, _frame: Frame | None) -> Values:
    return (Const("cuda" if flow.setting.gpu else "cpu"),)


def _third(flow: Flow, use: Use, frame: Frame | None) -> Values:
    return flow.arguments(use, frame, "string", at=2) or ()


def _either(flow: Flow, use: Use, frame: Frame | None) -> Values:
    return merge([_first(flow, use, frame), flow.arguments(use, frame, at=1) or ()])


_FUNCTIONS: Final[dict[str, Callable[[Flow, Use, Frame | None], Values]]] = {
    **dict.fromkeys(_ENVIRONMENT, _environment),
    **dict.fromkeys(_HERE, lambda *_: (Const(ROOT),)),
    **dict.fromkeys(_EXISTS, _exists),
    "builtins.open": _first,  # what is read from it is told by its path
    "os.path.join": _path,
    "os.path.dirname": _parent,
    "os.path.basename": _base,
    "builtins.super": lambda flow, use, _: flow.objects.above(use.scope),
    "builtins.len": _length,
    "builtins.enumerate": _enumerated,
    "builtins.zip": _zipped,
    "builtins.next": _next,
    "builtins.getattr": _attribute,
    "builtins.int": _number(int),
    "builtins.float": _number(float),
    "builtins.bool": _truth,
    "typing.cast": lambda flow, use, frame: flow.arguments(use, frame, "val", at=1) or UNKNOWN,
    "builtins.map": lambda flow, use, frame: flow.arguments(use, frame, at=1) or UNKNOWN,
    "builtins.filter": lambda flow, use, frame: flow.arguments(use, frame, at=1) or UNKNOWN,
    "builtins.min": _either,
    "builtins.max": _either,
    # A file's text with something put in is, for whoever asks what is loaded, that text.
    "re.sub": lambda flow, use, frame: tuple(filter(data_files.is_content, _third(flow, use, frame))) or UNKNOWN,
    "os.path.expandvars": _first,
    "random.choice": lambda flow, use, frame: merge(elements(_first(flow, use, frame))) or UNKNOWN,
    "torch.cuda.device_count": _gpus,
    "torch.cuda.current_device": lambda *_: (Const(0),),
    "json.load": data_files.read_json,
    "json.loads": data_files.read_json,
    "yaml.safe_load": data_files.read_yaml,
    "yaml.load": data_files.read_yaml,
    "yaml.full_load": data_files.read_yaml,
    "omegaconf.OmegaConf.load": data_files.read_yaml,
    "tomllib.load": data_files.read_toml,
    "toml.load": data_files.read_toml,
    "torch.get_default_device": _device,
}
