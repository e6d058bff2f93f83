"""Calls of apps that run: any server, the Gradio that the tests share, and, slowly, every version of Gradio."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spacerun.smoke import call_client
from spacerun.smoke.calls import check_calls, check_gradio
from spacerun.smoke.gradio_config import read_config
from spacerun.smoke.job import Call
from tests.smoke.gradio import matrix
from tests.smoke.subjects import serving, subject
from tests.test_launch import hello

if TYPE_CHECKING:
    from spacerun.smoke.result import Check
    from spacerun.smoke.subject import Subject
    from tests.command import Command
    from tests.periods import Period

JSON, TEXT = "application/json", "text/plain"
PAGES = {
    "/health": (200, JSON, b'{"ok": true, "load": 0.30000000000000004}'),
    "/count": (200, TEXT, b"42"),
    "/words": (200, TEXT, b"all is well\n"),
    "/broken": (500, JSON, b'{"detail": "no model"}'),
    "/silent": (503, TEXT, b""),
    "/a%20b?c=d&e=%2F": (200, TEXT, b"found"),
    "/gr%C3%BC%C3%9Fe": (200, TEXT, b"found"),
}


def made(calls: list[Call], **changes: Any) -> list[tuple[str, bool, str]]:
    """What comes of calls of a server without Gradio."""
    with serving(PAGES) as url:
        checks = list(check_calls(subject(url, **changes), None, calls))
    return [(check.name, check.ok, check.detail.partition(" in 0.")[0]) for check in checks]


def expecting(endpoint: str, expect: Any, data: Any = None) -> Call:
    return Call(endpoint, data, expect, has_expect=True)


def test_any_server_is_asked_and_its_answer_judged() -> None:
    assert made([
        Call("GET /health"),
        Call("POST /health"),
        Call("/words"),
        Call("words", {"a": 1}),
        expecting("/health", {"ok": True, "load": 0.3}),
        expecting("/count", 42),
        expecting("/count", "42"),
        expecting("/words", "/^all/"),
        expecting("/words", "all is well"),
    ]) == [
        ("call GET /health", True, 'HTTP 200, {"ok": true, "load": 0.30000000000000004}'),
        ("call POST /health", True, 'HTTP 200, {"ok": true, "load": 0.30000000000000004}'),
        ("call /words", True, "HTTP 200, 'all is well'"),
        ("call words", True, "HTTP 200, 'all is well'"),
        ("call /health", True, 'HTTP 200, {"ok": true, "load": 0.30000000000000004}'),
        ("call /count", True, "HTTP 200, 42"),
        ("call /count", True, "HTTP 200, 42"),
        ("call /words", True, "HTTP 200, 'all is well'"),
        ("call /words", False, '"all is well\\n" instead of "all is well"'),
    ]  # fmt: skip


def test_an_answer_that_is_an_error_fails_whatever_it_says() -> None:
    assert made([Call("/broken"), Call("/silent"), expecting("/nowhere", "/nothing/")]) == [
        ("call /broken", False, 'HTTP 500: {"detail": "no model"}'),
        ("call /silent", False, "HTTP 503"),
        ("call /nowhere", False, "HTTP 404: nothing here"),
    ]


def test_a_path_is_sent_as_it_is_written_down() -> None:
    assert made([expecting("GET /a%20b?c=d&e=%2F", "found"), expecting("/grüße", "found")]) == [
        ("call GET /a%20b?c=d&e=%2F", True, "HTTP 200, 'found'"),
        ("call /grüße", True, "HTTP 200, 'found'"),
    ]


def test_an_app_that_is_gone_is_said_to_have_ended() -> None:
    calls = [Call("/health"), Call("/health")]
    began = time.monotonic()
    checks = list(check_calls(subject("http://127.0.0.1:9", alive=lambda: False), None, calls))
    assert [check.ok for check in checks] == [False, False]
    assert checks[0].detail.startswith("the app ended during the call (")
    assert time.monotonic() - began < 1


def test_where_no_gradio_answers_there_is_no_configuration() -> None:
    login = {"/config": (401, JSON, b'{"detail": "Not authenticated"}')}
    text = {"/config": (200, TEXT, b'{"version": "5.0.0", "components": [], "dependencies": []}')}
    deep = {"/config": (200, JSON, b"[" * 200_000)}
    other = {"/config": (200, JSON, b'{"version": "5.0.0"}')}
    for pages in (login, text, deep, other, {}):
        with serving(pages) as url:
            assert read_config(url) is None


CONFIG = {"version": "5.0.0", "api_prefix": "/gradio_api", "components": [], "dependencies": []}


@pytest.mark.parametrize(
    ("status", "info", "check"),
    [
        (200, {"named_endpoints": {"/a": {}, "/b": {}}}, (True, False, "2 named endpoints")),
        (200, {"named_endpoints": {"/a": {}}}, (True, False, "1 named endpoint")),
        (200, {"named_endpoints": {}, "unnamed_endpoints": {"0": {}}}, (True, False, "no named endpoints")),
        (500, {"detail": "x"}, (False, False, "HTTP 500 instead of the description of its API")),
        (200, [], (False, False, "HTTP 200 instead of the description of its API")),
        (404, {}, (True, True, "Gradio 5.0.0 does not describe its API")),
    ],
)
def test_the_description_of_the_api_is_looked_at(status: int, info: object, check: tuple[bool, bool, str]) -> None:
    pages = {
        "/config": (200, JSON, json.dumps(CONFIG).encode()),
        "/gradio_api/info": (status, JSON, json.dumps(info).encode()),
    }
    with serving(pages) as url:
        config = read_config(url)
        assert config is not None
        first, second, third = check_gradio(subject(url), config)
    assert (first.name, first.ok, first.detail) == ("config", True, "Gradio 5.0.0, 0 components, 0 functions")
    assert (second.name, second.ok, second.skipped, second.detail) == ("api", *check)
    assert (third.name, third.ok, third.skipped) == ("examples", True, True)
    assert third.detail.startswith("the app has no examples to call; give calls with --call")


def test_without_a_client_in_its_environment_an_app_is_called_as_its_page_does() -> None:
    greet = {"inputs": [1], "outputs": [1], "backend_fn": True, "queue": False, "api_name": "greet", "targets": []}
    content = CONFIG | {"components": [{"id": 1, "type": "textbox"}], "dependencies": [greet]}
    pages = {
        "/config": (200, JSON, json.dumps(content).encode()),
        "/gradio_api/run/predict": (200, JSON, b'{"data": ["Hello"]}'),
    }
    with serving(pages) as url:
        app = subject(url, "gradio", python=Path(sys.executable))
        calls = [expecting("/greet", "Hello", ["Ada"]), expecting("/0", ["Hello"], "Ada")]
        assert [check.detail for check in check_calls(app, read_config(url), calls) if not check.ok] == []


def test_checks_are_made_as_they_are_asked_for() -> None:
    with serving({"/config": (200, JSON, json.dumps(CONFIG).encode())}) as url:
        config = read_config(url)
        assert config is not None
        checks = check_gradio(subject("http://127.0.0.1:9"), replace(config, url="http://127.0.0.1:9"))
        assert next(checks).ok
        assert not next(checks).ok


TABS = """\
import gradio as gr
from apps import error, files, picture, stream, text
tabs = {"Text": text(), "Stream": stream(), "Picture": picture(), "Error": error(), "Files": files()}
gr.TabbedInterface(list(tabs.values()), list(tabs)).queue().launch()
"""


SEEN = [
    (True, "example /hello", "'Hello Ada!!'"),
    (True, "example /count", "2 outputs streamed, the last 'abc1'"),
    (True, "example /size", '["(1, 1)", "image.webp"]'),
    (False, "example /refuse", "Nobody is called Ada"),
]


@pytest.mark.environment
def test_a_real_app_is_called_by_its_client_and_as_its_page_does(command: Command, tmp_path: Path) -> None:
    folder = matrix.fill(tmp_path / "space")
    for name, content in hello(**{"app.py": TABS, "apps.py": matrix.APPS.read_bytes()}).items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    (tmp_path / "secret.png").write_bytes(matrix.PNG)
    with command.launch(str(folder), "--no-share") as launched:
        python = next(Path(launched.data["environment"]).glob("venv-*/bin/python"))
        page = subject(launched.data["url"], "gradio", directory=folder, call_seconds=60.0)
        for app in (replace(page, python=python, variables={"HOME": str(tmp_path)}), page):
            config = read_config(app.url)
            assert config is not None
            first, second, *examples = check_gradio(app, config)
            assert first.detail.startswith(f"Gradio {config.version}, {len(config.components)} components, ")
            assert second.detail == "5 named endpoints"
            assert [(one.ok, one.name, one.detail.partition(" in ")[0]) for one in examples] == SEEN
            files = ["cat.png", "sounds/beep.wav", "cat.png"]
            [call] = check_calls(app, config, [expecting("/look", "(1, 1) True True Ada", [*files, "Ada"])])
            assert (call.ok, call.name) == (True, "call /look"), call.detail
        calls = [
            expecting("look", "/^.1, 1. True True $/", files),
            Call("/look", ["../secret.png", None, None]),
            Call("/hello", ["Ada", 2, 3]),
            Call("/look", []),
            Call("/nobody", []),
            expecting("GET /config", "/gradio_api/"),
        ]
        assert [(call.ok, call.detail.partition(" in ")[0]) for call in check_calls(page, config, calls)][:-1] == [
            (True, "'(1, 1) True True'"),
            (False, "there is no file ../secret.png"),
            (False, "it takes fewer arguments than are given: /hello(textbox, slider)"),
            (False, "it takes more arguments than are given: /look(image, audio, file, textbox)"),
            (False, "the app has no endpoint /nobody; there is /hello, /count, /size, /refuse, /look"),
        ]
        assert [call.ok for call in check_calls(page, config, calls[-1:])] == [True]


# Of each kind: whether its example works, and what is told of it.
EXPECTED = {
    "text": (True, "'Hello Ada!!'"),
    "cached": (True, "'Hello Ada!!'"),
    "picture": (True, '["(1, 1)", "'),
    "sound": (True, "'.wav True'"),
    "file": (True, "'True'"),
    "labels": (True, "'Hello Ada!'"),
    "stream": (True, "2 outputs streamed, the last 'abc1'"),
    "on_click": (True, "3 outputs streamed, the last 'abc2'"),
    "private": (True, "'ABC'"),
    "stream_cached": (True, "3 outputs streamed, the last 'abc2'"),
    "state": (True, "'abc5'"),
    "chat": (True, "'You said Hi there'"),
    "chat_stream": (True, "3 outputs streamed, the last 'Hi'"),
    "chat_more": (True, "'Ada: Hi'"),
    "chat_files": (True, "'You said Hi1'"),
    "error": (False, "Nobody is called Ada"),
    "hidden_error": (False, "the app raised an error that it hides; its log tells"),
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("period", matrix.VERSIONS, ids=lambda period: period.version)
def test_examples_are_called_in_every_version(period: Period, tmp_path: Path) -> None:
    python = matrix.make_environment(period, tmp_path / "venv")
    folder = matrix.fill(tmp_path / "space")
    wrong, seen = {}, set()
    for kinds in matrix.batches(period, matrix.KINDS):
        with matrix.serving(python, folder, kinds) as served:
            for kind, url in served.urls.items():
                app = subject(url, "gradio", directory=folder, python=python, call_seconds=60.0)
                for by, looked in (("client", app), ("page", replace(app, python=None))):
                    seen.add(kind)
                    if problem := problem_with(kind, looked):
                        wrong[f"{kind} by {by}"] = problem
    assert wrong == {}
    assert {"text", "picture", "sound", "file", "error", "without", "files"} <= seen
    assert ("stream" in seen) == (period.version > "3.0")
    assert ("chat" in seen) == (period.version >= "3.5")
    assert ("chat_files" in seen) == (period.version >= "4.4")


def problem_with(kind: str, app: Subject) -> str:
    """What is not as expected of an app of one kind; empty where nothing is."""
    config = read_config(app.url)
    assert config is not None
    config_check, api, *more = check_gradio(app, config)
    if kind == "text" and app.python and config.release > (3, 24):
        by_client = call_client.call(app, config, config.endpoints[0], ["Ada", 1])
        assert by_client.value == "Hello Ada!"
    if not config_check.ok or not api.ok:
        return f"{config_check} {api}"
    if kind == "files":
        sent = ["cat.png", "sounds/beep.wav", "cat.png", "Ada"]
        more = list(check_calls(app, config, [Call(str(config.endpoints[0].index), sent)]))
    if kind in {"without", "files"}:
        found = more[0].skipped if kind == "without" else "(1, 1) True True Ada" in more[0].detail
        return "" if found else str(more)
    ok, told = expected(kind, config.release)
    return "" if len(more) == 1 and _is_as_expected(more[0], ok, told) else str(more)


def expected(kind: str, release: tuple[int, int]) -> tuple[bool, str]:
    if kind == "error" and release < (3, 1):
        return False, "module 'gradio' has no attribute 'Error'"
    if kind == "hidden_error" and release < (3, 1):
        return False, "for the log alone"  # `show_error` was the default
    return EXPECTED[kind]


def _is_as_expected(check: Check, ok: bool, told: str) -> bool:
    return check.name.startswith("example ") and check.ok == ok and check.detail.startswith(told)
