"""Calls of an app that runs: its own examples through its own functions, and whatever calls a user wrote down."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from spacerun.smoke import call_client, raw
from spacerun.smoke.call_http import request
from spacerun.smoke.call_outcome import CallError, LateError, Output
from spacerun.smoke.contract import HTTP_CALL, judge
from spacerun.smoke.examples import arguments, default, filled_in, find_examples, has_default
from spacerun.smoke.gradio_config import ask, document
from spacerun.smoke.gradio_files import as_sent
from spacerun.smoke.result import Check
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spacerun.smoke.examples import Example
    from spacerun.smoke.gradio_config import Config, Endpoint
    from spacerun.smoke.job import Call
    from spacerun.smoke.subject import Subject

_MOST_EXAMPLES: Final = 5
_MOST_TOLD: Final = 5
_SETTLE_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.1
_OK: Final = 200
_MISSING: Final = 404
_GIVE: Final = "give calls with --call or [tool.spacerun.smoke]"


def check_gradio(subject: Subject, config: Config) -> Iterator[Check]:
    """Look at an app that Gradio serves: what it says of itself, of its API, and its examples, which are called.

    Checks are made as they are asked for: `config`, `api`, then one for each example.

    Args:
        subject: The app.
        config: What it says of itself.
    """
    yield _check_config(config)
    yield _check_api(config)
    yield from _check_examples(_Caller(subject, config))


def check_calls(subject: Subject, config: Config | None, calls: Sequence[Call]) -> Iterator[Check]:
    """Make the calls that a user wrote down, each as it is asked for.

    Args:
        subject: The app.
        config: What it says of itself; None where no Gradio answers: a call is then a plain request.
        calls: The calls.
    """
    caller = _Caller(subject, config) if config and calls else None
    for call in calls:
        name = f"call {one_line(call.endpoint, 80)}"
        try:
            if caller is None or HTTP_CALL.fullmatch(call.endpoint):
                detail, wrong = request(subject, call)
            else:
                output = _call(caller, call)
                detail, wrong = output.told, judge(call, output.value)
        except CallError as error:
            yield Check(name, ok=False, detail=_why(subject, error))
        except RecursionError:
            yield Check(name, ok=False, detail="what it returns is nested beyond all measure")
        else:
            yield Check(name, ok=wrong is None, detail=wrong or detail)


class _Caller:
    """Calls functions of one app: by the client of its own environment, else as its page does."""

    def __init__(self, subject: Subject, config: Config) -> None:
        self.subject = subject
        self.config = config
        self.page = raw.Caller(config, subject.call_seconds)
        self._has_client = subject.python is not None

    def call(self, endpoint: Endpoint, data: Sequence[Any], *, written: bool = False) -> Output:
        """Call a function.

        Args:
            endpoint: Which.
            data: One value for each of its inputs.
            written: Whether it was written down, and not filled in by the app: files have to be sent first.

        Raises:
            CallError: It failed, or took too long.
        """
        inputs = [self.config.components.get(number) for number in endpoint.inputs]
        if self._has_client and self._is_for_clients(endpoint):
            sent = [
                value for value, component in zip(data, inputs, strict=True) if not (component and component.hidden)
            ]
            try:
                return call_client.call(self.subject, self.config, endpoint, sent)
            except call_client.Unusable:
                self._has_client = False
            except RecursionError:
                raise CallError("what it takes is nested beyond all measure") from None
        return self.page.call(endpoint, self.page.upload(list(data), self.subject.directory) if written else data)

    def _is_for_clients(self, endpoint: Endpoint) -> bool:
        """Whether a client may call it: not what its author keeps from the API, nor what takes a button or the like."""
        inputs = [self.config.components.get(number) for number in endpoint.inputs]
        odd = any(component and component.hidden and not component.is_state for component in inputs)
        return (endpoint.public or endpoint.name is not None) and not odd


def _check_config(config: Config) -> Check:
    version = config.version or "3.0"  # which does not tell
    functions = sum(endpoint.runs for endpoint in config.endpoints)
    components = f"{len(config.components)} component{'' if len(config.components) == 1 else 's'}"
    return Check(
        "config", ok=True, detail=f"Gradio {version}, {components}, {functions} function{'' if functions == 1 else 's'}"
    )


def _check_api(config: Config) -> Check:
    reply = ask(config.url, f"{config.prefix}/info")
    if reply is None:
        return Check("api", ok=False, detail="it does not answer when asked for the description of its API")
    if reply.status == _MISSING:
        detail = f"Gradio {config.version or '3.0'} does not describe its API"
        return Check("api", ok=True, detail=detail, skipped=True)
    described = document(reply)
    named = described.get("named_endpoints") if isinstance(described, dict) else None
    if reply.status != _OK or not isinstance(named, dict):
        return Check("api", ok=False, detail=f"HTTP {reply.status} instead of the description of its API")
    return Check("api", ok=True, detail=f"{len(named) or 'no'} named endpoint{'' if len(named) == 1 else 's'}")


def _check_examples(caller: _Caller) -> Iterator[Check]:
    found = find_examples(caller.config)
    if not found:
        yield Check("examples", ok=True, skipped=True, detail=f"the app has no examples to call; {_GIVE}")
        return
    fitting = [(example, example.endpoint) for example in found if example.endpoint]
    for number, (example, endpoint) in enumerate(fitting[:_MOST_EXAMPLES], 1):
        name = f"example {endpoint.label}"
        try:
            output = _try(caller, example, endpoint)
        except LateError as error:
            yield Check(name, ok=False, detail=_why(caller.subject, error))
            if left := len(fitting) - number:
                detail = f"the app is busy with that one still: {left} more sets of examples are not called"
                yield Check("examples", ok=True, skipped=True, detail=detail)
            return
        except CallError as error:
            yield Check(name, ok=False, detail=_why(caller.subject, error))
        else:
            yield Check(name, ok=True, detail=output.told)
    if lost := len(found) - len(fitting):
        of_them = "its examples fill" if lost == len(found) else f"{lost} of its {len(found)} sets of examples fill"
        yield Check("examples", ok=True, skipped=True, detail=f"no function takes what {of_them} in; {_GIVE}")
    if len(fitting) > _MOST_EXAMPLES:
        detail = f"only {_MOST_EXAMPLES} of its {len(found)} sets of examples are called"
        yield Check("examples", ok=True, skipped=True, detail=detail)


def _try(caller: _Caller, example: Example, endpoint: Endpoint) -> Output:
    """Click on an example, then call the function that it is meant for with what is filled in."""
    try:
        filled = _fill_in(caller, example)
    except LateError:
        raise
    except CallError as error:
        raise CallError(f"the example cannot be filled in: {error}") from error
    return caller.call(endpoint, arguments(caller.config, endpoint, filled))


def _fill_in(caller: _Caller, example: Example) -> dict[int, Any]:
    """What a click on the example fills in."""
    config = caller.config
    if example.click is None:
        return {
            number: as_sent(value, config.kind(number), config, caller.subject.directory)
            for number, value in zip(example.fills, example.sample, strict=False)
        }
    values, _ = caller.page.outputs(example.click, arguments(config, example.click, {example.dataset: 0}))
    return filled_in(config, example, values)


def _call(caller: _Caller, call: Call) -> Output:
    """Make a call that a user wrote down."""
    config = caller.config
    endpoint = _named(config, call.endpoint)
    given = iter([] if call.data is None else call.data if isinstance(call.data, list) else [call.data])
    data = []
    for number in endpoint.inputs:
        component = config.components.get(number)
        hidden = component is not None and component.hidden
        written = _NOTHING if hidden else next(given, _NOTHING)
        if written is not _NOTHING:
            data.append(as_sent(written, config.kind(number), config, caller.subject.directory))
        elif hidden or has_default(component):
            data.append(default(component))
        else:
            raise CallError(f"it takes more arguments than are given: {_signature(config, endpoint)}")
    if next(given, _NOTHING) is not _NOTHING:
        raise CallError(f"it takes fewer arguments than are given: {_signature(config, endpoint)}")
    return caller.call(endpoint, data, written=True)


_NOTHING: Final = object()


def _signature(config: Config, endpoint: Endpoint) -> str:
    kinds = [
        config.kind(number)
        for number in endpoint.inputs
        if not ((component := config.components.get(number)) and component.hidden)
    ]
    return one_line(f"{endpoint.label}({', '.join(kinds)})", 120)


def _named(config: Config, text: str) -> Endpoint:
    """The function that a user calls `text`: its name, or its number where it has no name."""
    wanted = text.strip("/")
    running = [endpoint for endpoint in config.endpoints if endpoint.runs]
    for endpoint in running:
        if endpoint.name == wanted:
            return endpoint
    for endpoint in running:
        if str(endpoint.index) == wanted:
            return endpoint
    names = [endpoint.label for endpoint in running if endpoint.name and endpoint.public][:_MOST_TOLD]
    there = f"; there is {', '.join(names)}" if names else ""
    raise CallError(f"the app has no endpoint /{one_line(wanted, 60)}{there}")


def _why(subject: Subject, error: CallError) -> str:
    """Why a call failed; that the app ended is known a moment later."""
    until = time.monotonic() + (0.0 if error.answered else _SETTLE_SECONDS)
    while subject.alive():
        if time.monotonic() > until:
            return str(error)
        time.sleep(_LOOK_SECONDS)
    return f"the app ended during the call ({error})"
