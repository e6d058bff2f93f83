"""What Hugging Face's builder brings beside a Space's own requirements, by SDK and by day."""

from __future__ import annotations

from typing import Any

import pytest

from spacerun.environment.recipe import Era, base_layer, package_dates, period_pins, sdk_packages

ALWAYS = ("huggingface-hub", "requests", "protobuf<4", "click<8.1")


def era(**changes: Any) -> Era:
    chosen: dict[str, Any] = {
        "sdk": "gradio", "version": "3.50.2", "pinned": None, "day": "2023-11-01", "python": "3.10",
        "needed": frozenset(), "named": frozenset(), "bounded": frozenset(),
    }  # fmt: skip
    return Era(**(chosen | changes))


@pytest.mark.parametrize(("day", "expected"), [
    ("2022-06-01", ALWAYS),
    ("2023-06-29", ALWAYS),
    ("2023-06-30", (*ALWAYS, "pydantic~=1.0")),
    ("2025-03-26", (*ALWAYS, "pydantic~=1.0")),
    ("2025-09-01", (*ALWAYS, "pydantic==2.10.6")),
    ("2026-05-01", ALWAYS),
])  # fmt: skip
def test_the_base_layer_is_that_of_the_day(day: str, expected: tuple[str, ...]) -> None:
    assert base_layer(era(day=day)) == expected


def test_large_base_packages_come_only_where_the_code_uses_them() -> None:
    used = era(day="2024-08-01", needed=frozenset({"datasets", "hf_transfer"}))
    assert {"datasets", "hf-transfer"} < set(base_layer(used))
    assert "datasets" not in base_layer(era(day="2024-08-01"))
    before_its_release = era(day="2023-01-01", needed=frozenset({"hf_transfer"}))
    assert "hf-transfer" not in base_layer(before_its_release)


def test_the_base_layer_leaves_alone_what_requirements_bound() -> None:
    assert "protobuf<4" not in base_layer(era(bounded=frozenset({"protobuf"})))
    assert "protobuf<4" in base_layer(era(named=frozenset({"protobuf"})))


def test_other_sdks_have_no_base_layer_and_streamlit_has_no_pydantic() -> None:
    assert base_layer(era(sdk="docker")) == ()
    assert base_layer(era(sdk="streamlit")) == ALWAYS
    assert sdk_packages(era(sdk="docker", version=None)) == ()
    assert sdk_packages(era(sdk="streamlit", version="1.10.0")) == ("streamlit==1.10.0",)
    assert sdk_packages(era(sdk="streamlit", version=None, named=frozenset({"streamlit"}))) == ()


@pytest.mark.parametrize(("version", "day", "expected"), [
    ("3.20.1", "2023-03-20", ("gradio[oauth]==3.20.1", "uvicorn>=0.14.0")),
    ("3.47.1", "2023-10-16", ("gradio[oauth]==3.47.1", "uvicorn>=0.14.0", "spaces")),
    ("4.40.0", "2024-08-05", ("gradio[oauth]==4.40.0", "uvicorn>=0.14.0", "fastapi<0.113.0", "spaces")),
    ("5.45.0", "2025-09-12", ("gradio[oauth]==5.45.0", "uvicorn>=0.14.0", "spaces")),
    ("6.9.0", "2026-06-01", ("gradio[oauth]==6.9.0", "uvicorn>=0.14.0", "websockets>=10.4", "spaces")),
    (None, "2023-03-20", ("gradio[oauth]", "uvicorn>=0.14.0")),
])  # fmt: skip
def test_the_sdk_comes_with_what_the_days_build_logs_show(
    version: str | None, day: str, expected: tuple[str, ...]
) -> None:
    assert sdk_packages(era(version=version, day=day)) == expected


def test_spaces_comes_if_imported_but_never_before_its_first_release_nor_on_a_python_without_it() -> None:
    imported = frozenset({"spaces"})
    assert "spaces" in sdk_packages(era(day="2023-07-01", needed=imported))
    assert "spaces" not in sdk_packages(era(day="2023-07-01"))
    assert "spaces" not in sdk_packages(era(day="2023-06-18", needed=imported))
    assert "spaces" not in sdk_packages(era(day="2024-01-01", needed=imported, python="3.7"))
    assert "spaces" not in sdk_packages(era(day="2024-01-01", named=frozenset({"spaces"})))


def test_a_server_for_agents_brings_the_extra_it_needs() -> None:
    assert sdk_packages(era(version="5.45.0", needed=frozenset({"mcp"})))[0] == "gradio[oauth,mcp]==5.45.0"


def test_gradio_3_is_paired_with_the_client_of_its_release() -> None:
    released = "2023-07-25T00:00:00Z"
    assert package_dates(era(version="3.38.0"), released) == (("gradio-client", released),)
    assert package_dates(era(version=None, pinned="3.38.0"), released) == (("gradio-client", released),)
    for own in (era(version="3.20.1"), era(version="4.44.0"), era(bounded=frozenset({"gradio-client"}))):
        assert package_dates(own, released) == ()
    assert package_dates(era(version="3.38.0"), None) == ()


@pytest.mark.parametrize(("version", "expected"), [
    ("3.20.1", {"pydantic<2", "pydantic<2.11", "starlette<1", "huggingface-hub<1"}),
    ("3.50.2", {"pydantic<2.11", "starlette<1", "huggingface-hub<1"}),
    ("4.44.0", {"pydantic<2.11", "starlette<1", "huggingface-hub<1"}),
    ("5.0.0", {"pydantic<2.11", "starlette<1", "huggingface-hub<1"}),
    ("5.49.1", set()),
    ("6.31.0", set()),
])  # fmt: skip
def test_pins_of_the_period_are_the_fewest_that_repair(version: str, expected: set[str]) -> None:
    assert set(period_pins(era(version=version))) == expected


def test_pins_of_the_period_never_contradict_requirements() -> None:
    assert period_pins(era(version="4.44.0", bounded=frozenset({"pydantic"}))) == ("starlette<1", "huggingface-hub<1")
