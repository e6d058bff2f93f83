"""Which example a Gradio app shows, what that fills in, and which function it is meant for."""

from __future__ import annotations

from typing import Any

import pytest

from spacerun.smoke.examples import arguments, filled_in, find_examples
from spacerun.smoke.gradio_config import Config, parse_config
from tests.smoke.gradio.matrix import recorded

ALL = ("3.20.1", "3.50.2", "4.44.0", "5.49.1", "6.31.0")
URL = "http://127.0.0.1:7860"


def config_of(version: str, kind: str) -> Config:
    config = parse_config(URL, recorded(version, kind))
    assert config is not None
    return config


def kinds(config: Config, ids: tuple[int, ...]) -> list[str]:
    return [config.kind(number) for number in ids]


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("2.9.4", "predict"),
        ("3.0", None),
        ("3.20.1", "predict"),
        ("3.50.2", "predict"),
        ("4.44.0", "predict"),
        ("5.49.1", "predict"),
        ("6.31.0", "hello"),
    ],
)
def test_an_interface_of_every_version_is_called_with_its_first_example(version: str, name: str | None) -> None:
    config = config_of(version, "text")
    [example] = find_examples(config)
    assert example.sample == ("Ada", 2)
    assert kinds(config, example.fills) == ["textbox", "slider"]
    assert example.endpoint is not None
    assert (example.endpoint.index, example.endpoint.name) == (0, name)
    assert kinds(config, example.endpoint.inputs) == ["textbox", "slider"]
    assert (example.click is None) == (version == "2.9.4")


@pytest.mark.parametrize("version", ["2.9.4", "3.0", *ALL])
def test_an_example_that_is_a_file_is_meant_for_the_function_that_takes_it(version: str) -> None:
    config = config_of(version, "picture")
    [example] = find_examples(config)
    assert kinds(config, example.fills) == ["image"]
    assert example.endpoint is not None
    assert kinds(config, example.endpoint.inputs) == ["image"]


@pytest.mark.parametrize("version", ALL)
def test_what_an_example_leaves_out_has_the_value_that_it_has_on_the_page(version: str) -> None:
    config = config_of(version, "stream")
    [example] = find_examples(config)
    assert example.click is not None
    assert example.endpoint is not None
    filled = filled_in(config, example, ["abc"])
    assert arguments(config, example.endpoint, filled) == ["abc", 2]


@pytest.mark.parametrize("version", ["3.50.2", "4.44.0", "5.49.1", "6.31.0"])
def test_run_on_click_is_called_rather_than_what_is_kept_from_the_api(version: str) -> None:
    config = config_of(version, "on_click")
    [example] = find_examples(config)
    assert example.endpoint is not None
    kept, _, runs = config.endpoints
    assert kept.inputs == runs.inputs
    assert not kept.public
    assert example.endpoint == runs


@pytest.mark.parametrize(
    ("version", "name"), [("3.50.2", "chat"), ("4.44.0", "chat"), ("5.49.1", "chat"), ("6.31.0", "say")]
)
def test_a_chat_is_called_with_its_first_example(version: str, name: str) -> None:
    config = config_of(version, "chat")
    [example] = find_examples(config)
    assert example.endpoint is not None
    assert example.endpoint.name == name
    assert kinds(config, example.endpoint.inputs) == ["textbox", "state"]
    data = arguments(config, example.endpoint, filled_in(config, example, ["Hi there"]))
    assert data[0] == "Hi there"


TEXT, EMPTY_IMAGE, SHOWN, DATASET, BUTTON, SLIDER = range(1, 7)


def page(*functions: dict[str, Any], shown: tuple[str, ...] = ("textbox",), fills: tuple[int, ...] = (TEXT,)) -> Config:
    """A page of Gradio 5 with one example, whose click fills components in."""
    names = [{"name": one} for one in shown]
    components = [
        {"id": TEXT, "type": "textbox", "props": {}},
        {"id": EMPTY_IMAGE, "type": "image", "props": {}},
        {"id": SHOWN, "type": "textbox", "props": {"value": ""}},
        {"id": DATASET, "type": "dataset", "props": {"samples": [["a"]], "components": names}},
        {"id": BUTTON, "type": "button", "skip_api": True, "props": {"value": "Go"}},
        {"id": SLIDER, "type": "slider", "props": {"value": 3}},
    ]
    click = {"targets": [[DATASET, "click"]], "inputs": [DATASET], "outputs": list(fills), "backend_fn": True}
    dependencies = [
        {"id": number, "targets": [[BUTTON, "click"]], "backend_fn": True, "api_name": f"f{number}", **one}
        for number, one in enumerate(functions, 1)
    ]
    content = {"version": "5.0.0", "components": components, "dependencies": [click, *dependencies]}
    config = parse_config(URL, content)
    assert config is not None
    return config


def chosen(config: Config) -> str | None:
    [example] = find_examples(config)
    return example.endpoint.name if example.endpoint else None


SHOWS = {"inputs": [TEXT], "outputs": [SHOWN]}


@pytest.mark.parametrize(
    ("functions", "name"),
    [
        ([SHOWS], "f1"),
        ([SHOWS, SHOWS], "f1"),  # the first
        ([{**SHOWS, "targets": [[TEXT, "change"]]}, SHOWS], "f2"),  # what a user does
        ([{**SHOWS, "outputs": [TEXT]}, {**SHOWS, "inputs": [TEXT, SLIDER]}], "f2"),  # what shows more
        ([{**SHOWS, "show_api": False}, SHOWS], "f2"),  # what the API tells of
        ([{**SHOWS, "show_api": False}], "f1"),
        ([{**SHOWS, "api_visibility": "undocumented"}, {**SHOWS, "api_visibility": "public"}], "f2"),
        ([{**SHOWS, "outputs": [TEXT], "show_api": False}], None),
        ([{**SHOWS, "outputs": [BUTTON]}], None),  # flags it
        ([{**SHOWS, "outputs": []}], None),
        ([{**SHOWS, "inputs": [TEXT, EMPTY_IMAGE]}], None),  # asks for more than there is
        ([{**SHOWS, "inputs": [SLIDER]}], None),
        ([{**SHOWS, "backend_fn": False}], None),
        ([{**SHOWS, "types": {"continuous": True}}], None),
        ([], None),
    ],
)
def test_of_several_functions_the_one_that_most_likely_shows_a_result_is_called(
    functions: list[dict[str, Any]], name: str | None
) -> None:
    assert chosen(page(*functions)) == name


def test_a_private_function_is_called_by_its_number_where_there_is_no_other() -> None:
    [example] = find_examples(page({**SHOWS, "api_name": False}))
    assert example.endpoint is not None
    assert (example.endpoint.name, example.endpoint.label) == (None, "function 1")


def test_more_of_what_is_filled_in_is_better_than_less() -> None:
    both = {"inputs": [TEXT, SLIDER], "outputs": [SHOWN]}
    config = page(SHOWS, both, shown=("textbox", "slider"), fills=(TEXT, SLIDER))
    assert chosen(config) == "f2"


def test_a_click_that_does_something_else_fills_nothing_in() -> None:
    assert chosen(page(SHOWS, shown=("audio",))) is None


def test_an_update_is_unpacked_and_one_without_a_value_leaves_what_is_there() -> None:
    config = page(SHOWS, shown=("textbox", "slider"), fills=(TEXT, SLIDER))
    [example] = find_examples(config)
    values = [{"__type__": "update", "value": "a"}, {"__type__": "update", "visible": True}]
    assert filled_in(config, example, values) == {TEXT: "a", SLIDER: 3}


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "text",
        {},
        {"version": "5.0.0"},
        {"components": 1, "dependencies": []},
        {"detail": "Not authenticated"},
    ],
)
def test_what_is_no_configuration_is_none(content: object) -> None:
    assert parse_config(URL, content) is None


@pytest.mark.parametrize(
    "content",
    [
        {"version": 5, "components": [1, None, {}, {"id": "x"}, {"id": 1, "props": 3}], "dependencies": [None, [], {}]},
        {"version": "x.y", "components": [{"id": 1, "type": "dataset", "props": {"samples": [3]}}], "dependencies": []},
        {
            "version": "5.1",
            "components": [{"id": 1, "type": "dataset", "props": {"samples": [["a"]], "components": "textbox"}}],
            "dependencies": [
                {"inputs": "x", "outputs": [None], "targets": [3, [], [1, 2, 3], [None, None]], "id": "y"}
            ],
        },
        {"version": "2.1", "input_components": [None, {}], "output_components": 7, "examples": ["a", None]},
        {"version": "2.1", "input_components": [], "examples": {"a": 1}},
        {"version": "5.1", "components": [], "dependencies": [], "api_prefix": "//evil.example/\r\n"},
    ],
)
def test_a_configuration_that_makes_no_sense_has_no_example_to_call(content: dict[str, Any]) -> None:
    config = parse_config(URL, content)
    assert config is not None
    assert config.prefix == ""
    assert [example.endpoint for example in find_examples(config) if example.endpoint] == []
