"""What a component of a user interface, or an option of a command line, gives: its choices, else its first value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spacerun.needs.values import UNKNOWN, Const, Made, Sequence, Value, Values, elements, merge

if TYPE_CHECKING:
    from spacerun.needs.flow import Flow

# Gradio's and Streamlit's components that offer choices; where these stand among the positional arguments.
_CHOICES: Final = {"Dropdown": 0, "Radio": 0, "CheckboxGroup": 0, "selectbox": 1, "radio": 1, "multiselect": 1,
                   "select_slider": 1, "pills": 1, "segmented_control": 1}  # fmt: skip
# Those that hold one value, which the user may change.
_HOLDERS: Final = {"Textbox": 0, "Text": 0, "Slider": 2, "Number": 0, "Checkbox": 0, "State": 0, "text_input": 1,
                   "text_area": 1, "slider": 3, "number_input": 3, "checkbox": 1, "toggle": 1}  # fmt: skip
# Where those that hold a number say how large it may become.
_LARGEST: Final = {"Slider": 1, "slider": 2, "number_input": 2, "Number": None}
# `typer.Option("default")`, `Field("default")`, `field(default=…)`: what stands for a default.
_DEFAULTS: Final = frozenset({"Option", "Argument", "Field", "field", "Query", "Body", "Form"})


def shown(flow: Flow, value: Value) -> Values:
    """What `value` gives if it is a component or a declared default; itself otherwise."""
    if not isinstance(value, Made):
        return (value,)
    kind = value.name.rpartition(".")[2]
    if kind in _DEFAULTS:
        found = flow.arguments(value.call, value.frame, "default", at=0 if kind != "field" else None)
        return UNKNOWN if found is None else found
    if kind in _CHOICES and _is_interface(value.name):
        choices = flow.arguments(value.call, value.frame, "choices", "options", at=_CHOICES[kind]) or ()
        # A choice may be written as (what is shown, what it is worth).
        worth = [_second(choice) for choice in elements(choices)]
        return merge(worth) or UNKNOWN
    if kind in _HOLDERS and _is_interface(value.name):
        found = flow.arguments(value.call, value.frame, "value", "default", at=_HOLDERS[kind])
        largest = flow.arguments(value.call, value.frame, "maximum", "max_value", at=_LARGEST.get(kind)) or ()
        free = UNKNOWN if kind.lower().startswith("text") else ()
        return UNKNOWN if found is None else merge([found, largest, free])
    return (value,)


def _is_interface(name: str) -> bool:
    return name.partition(".")[0] in {"gradio", "streamlit"}


def _second(choice: Values) -> Values:
    return merge(
        value.elements[1] if isinstance(value, Sequence) and len(value.elements) == 2 else (value,)  # noqa: PLR2004
        for value in choice
        if isinstance(value, Const | Sequence)
    )
