"""The examples of a Gradio app: what a click on one fills in, and which function that is meant for.

Whatever makes them (`gr.Interface`, `gr.Examples`, `gr.ChatInterface`), examples are a component of the kind `dataset`,
and a function that its click calls fills other components in. What stands in the dataset is for the eye: of a file its
bare name (Gradio 3), of a choice its label (gradio `components/*.py`, `as_example`). So that function is called, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spacerun.smoke.gradio_config import Component, Config, Endpoint

_DATASET: Final = "dataset"
_CLICKS: Final = frozenset({"click", "select"})
# What a user does not do to see a result, but what comes along.
_PASSIVE: Final = frozenset({"change", "input", "blur", "focus", "load", "tick", "select", "key_up", "unload"})
_UNSEEN: Final = frozenset({"button", "state", "variable", "statustracker"})
# What the page sends for a component without a value; others send null, which few functions take.
_EMPTY: Final[Mapping[str, Any]] = {
    "textbox": "", "checkbox": False, "checkboxgroup": [], "chatbot": [], "state": None, "variable": None,
}  # fmt: skip


@dataclass(frozen=True)
class Example:
    """The first example of a dataset.

    Attributes:
        dataset: Id of the dataset.
        click: The function that a click on it calls; None in Gradio 2, whose page fills in the sample itself.
        fills: Ids of the components that it fills in.
        sample: The values that the dataset shows.
        endpoint: The function that it is meant for; None where none was found.
    """

    dataset: int
    click: Endpoint | None
    fills: tuple[int, ...]
    sample: tuple[Any, ...]
    endpoint: Endpoint | None


def find_examples(config: Config) -> list[Example]:
    """The first example of each dataset that has one, in their order."""
    return [
        _example(config, number, component, samples[0])
        for number, component in config.components.items()
        if component.kind == _DATASET
        and isinstance(samples := component.props.get("samples"), list)
        and samples
        and isinstance(samples[0], list)
    ]


def arguments(config: Config, endpoint: Endpoint, filled: Mapping[int, Any]) -> list[Any]:
    """What the page sends to a function: what was filled in, and of other components the value that they have."""
    return [
        filled[number] if number in filled else default(config.components.get(number)) for number in endpoint.inputs
    ]


def filled_in(config: Config, example: Example, values: Sequence[Any]) -> dict[int, Any]:
    """What a click on an example leaves in the components.

    Args:
        config: The app.
        example: The example.
        values: What the function of the click returned.
    """
    filled = {}
    for number, value in zip(example.fills, values, strict=False):
        update = value if isinstance(value, dict) and value.get("__type__") == "update" else {"value": value}
        filled[number] = update["value"] if "value" in update else default(config.components.get(number))
    return filled


def default(component: Component | None) -> Any:  # noqa: ANN401
    """The value that a component has before anybody touches it."""
    if component is None:
        return None
    value = component.props.get("value")
    return _EMPTY.get(component.kind) if value is None else value


def has_default(component: Component | None) -> bool:
    """Whether a component has a value before anybody touches it."""
    return component is not None and (component.props.get("value") is not None or component.kind in _EMPTY)


def _example(config: Config, number: int, component: Component, sample: list[Any]) -> Example:
    click = next((one for one in config.endpoints if _is_click(one, number)), None)
    shown = component.props.get("components")
    kinds = [item.get("name") if isinstance(item, dict) else item for item in shown] if isinstance(shown, list) else []
    outputs = click.outputs if click else config.endpoints[0].inputs if config.endpoints else ()
    fills = outputs[: len(kinds)]
    if [config.kind(one) for one in fills] != kinds or (click is None and config.release >= (3, 0)):
        fills = ()  # its click does something else
    return Example(number, click, fills, tuple(sample), _best(config, fills, click))


def _is_click(endpoint: Endpoint, dataset: int) -> bool:
    """Whether it is called when an example is clicked, and told which one; others are only called as well."""
    called = any(source == dataset and event in _CLICKS for source, event in endpoint.events)
    return endpoint.runs and called and dataset in endpoint.inputs


def _best(config: Config, fills: tuple[int, ...], click: Endpoint | None) -> Endpoint | None:
    """The function that takes most of what is filled in; of several, the one that most likely shows a result."""
    fitting = [one for one in config.endpoints if one is not click and _fits(config, one, fills)]
    return max(fitting, key=lambda one: _rank(one, config, fills, click), default=None)


def _fits(config: Config, endpoint: Endpoint, fills: tuple[int, ...]) -> bool:
    """Whether it can be called with what is filled in and what is there anyway, and returns something to look at."""
    others = [number for number in endpoint.inputs if number not in fills]
    return (
        endpoint.runs
        and not endpoint.endless
        and any(number in fills for number in endpoint.inputs)
        and all(has_default(config.components.get(number)) for number in others)
        and bool(_seen(config, endpoint.outputs))
        and (endpoint.public or _shows_more(config, endpoint, fills))
    )


def _rank(endpoint: Endpoint, config: Config, fills: tuple[int, ...], click: Endpoint | None) -> tuple[int, ...]:
    return (
        endpoint.public,
        _shows_more(config, endpoint, fills),
        sum(number in fills for number in endpoint.inputs),
        click is not None and endpoint.after == click.index,  # `run_on_click`
        any(event not in _PASSIVE for _, event in endpoint.events),
        -endpoint.index,
    )


def _shows_more(config: Config, endpoint: Endpoint, fills: tuple[int, ...]) -> bool:
    """Whether what it returns is shown elsewhere than where it came from."""
    return any(number not in fills for number in _seen(config, endpoint.outputs))


def _seen(config: Config, outputs: tuple[int, ...]) -> list[int]:
    return [number for number in outputs if config.kind(number) not in _UNSEEN]
