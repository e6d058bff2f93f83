"""What a running Gradio says of itself: its components, and the functions behind them, in every version's shape.

Gradio 3 to 6 serve a graph (gradio `blocks.py`, `get_config`): components with an id each, and dependencies, each of
which ties an event to a function, its inputs and its outputs. Gradio 2 knows one function with a list of inputs and one
of outputs, and serves them without ids; they get some here, and its examples become what later versions call a dataset.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from spacerun.app import http
from spacerun.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = 20.0  # a big app takes a while to put its configuration together
_OK: Final = 200
_MOST: Final = 20_000  # of components, and of functions
_STATE: Final = frozenset({"state", "variable"})  # held by the server, one for each session


@dataclass(frozen=True)
class Component:
    """A component of the page.

    Attributes:
        kind: `textbox`, `image`, `dataset`, …
        props: Its settings, its value among them.
        hidden: Whether callers neither send nor get it: the state of a session, a button.
    """

    kind: str
    props: Mapping[str, Any] = field(default_factory=dict)
    hidden: bool = False

    @property
    def is_state(self) -> bool:
        """Whether the server itself holds its value."""
        return self.kind in _STATE


@dataclass(frozen=True)
class Endpoint:
    """A function of the app, with the event that calls it.

    Attributes:
        index: Its number in a request (`fn_index`).
        name: Its name in the API without a slash; None where it has none, or none that may be used.
        public: Whether the app's API tells of it.
        runs: Whether there is a function on the server.
        inputs: Ids of the components that it is given.
        outputs: Ids of the components that get what it returns.
        queue: Whether its calls wait in the queue, where the app has one.
        endless: Whether it is called again and again for as long as the page is open.
        events: What calls it: the id of a component, None for the end of another function, and the event.
        after: Number of the function at whose end it is called; None where it is called by itself.
    """

    index: int
    name: str | None
    public: bool
    runs: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    queue: bool = True
    endless: bool = False
    events: tuple[tuple[int | None, str], ...] = ()
    after: int | None = None

    @property
    def label(self) -> str:
        """As people call it."""
        return f"/{one_line(self.name, 60)}" if self.name else f"function {self.index}"


@dataclass(frozen=True)
class Config:
    """What the app says of itself.

    Attributes:
        url: Where it answers, without a trailing slash.
        version: Gradio's version; 3.0 tells none.
        components: By id.
        endpoints: Its functions, in their order.
        prefix: Path below which the API lies: `/gradio_api` from 5.0 on.
        protocol: How its queue is spoken to: `sse_v3`, `ws`, …
        queue: Whether there is a queue.
    """

    url: str
    version: str
    components: Mapping[int, Component]
    endpoints: tuple[Endpoint, ...]
    prefix: str = ""
    protocol: str = "ws"
    queue: bool = False

    @property
    def release(self) -> tuple[int, int]:
        """The first two parts of its version; (3, 0) where it tells none."""
        parts = self.version.split(".")
        try:
            return int(parts[0]), int(parts[1])
        except (IndexError, ValueError):
            return 3, 0

    def kind(self, component: int) -> str:
        """What kind of component has this id; empty for none."""
        found = self.components.get(component)
        return found.kind if found else ""


def read_config(url: str) -> Config | None:
    """What the app at `url` says of itself; None where no Gradio answers, or one that asks for a password.

    Args:
        url: Where the app answers, without a trailing slash.
    """
    return parse_config(url, get_json(url, "/config"))


def get_json(url: str, path: str) -> Any:  # noqa: ANN401
    """The JSON document at `path` of the app at `url`; None where there is none."""
    reply = ask(url, path)
    if reply is None or reply.status != _OK:
        return None
    return document(reply)


def ask(url: str, path: str, *, post: object = None, seconds: float = _SECONDS) -> http.Reply | None:
    """Request `path` of the app at `url`; see `http.ask`."""
    parts = urlsplit(url)
    return http.ask(parts.hostname or "", parts.port or 80, parts.path + path, post=post, seconds=seconds)


def document(reply: http.Reply) -> Any:  # noqa: ANN401
    """The body of `reply` as JSON; None where it is not, or where it is nested beyond all measure."""
    try:
        return reply.json()
    except RecursionError:
        return None


def parse_config(url: str, content: object) -> Config | None:
    """Read what `/config` holds; None where that is no Gradio's.

    Args:
        url: Where the app answers, without a trailing slash.
        content: The document.
    """
    if not isinstance(content, dict):
        return None
    version = one_line(str(content.get("version") or ""), 20)
    if version and isinstance(content.get("input_components"), list):
        return _of_gradio_2(url, version, content)
    components, dependencies = content.get("components"), content.get("dependencies")
    if not isinstance(components, list) or not isinstance(dependencies, list):
        return None
    return Config(
        url=url,
        version=version,
        components={found[0]: found[1] for item in components[:_MOST] if (found := _component(item))},
        endpoints=tuple(
            _endpoint(number, item) for number, item in enumerate(dependencies[:_MOST]) if isinstance(item, dict)
        ),
        prefix=_prefix(content.get("api_prefix")),
        protocol=str(content.get("protocol") or "ws"),
        queue=bool(content.get("enable_queue")),
    )


def _prefix(value: object) -> str:
    prefix = value.strip("/") if isinstance(value, str) else ""
    return f"/{prefix}" if prefix.isascii() and prefix.replace("_", "").replace("/", "").isalnum() else ""


def _component(item: object) -> tuple[int, Component] | None:
    if not isinstance(item, dict) or not isinstance(item.get("id"), int):
        return None
    props = item.get("props")
    kind = str(item.get("type") or "")
    hidden = bool(item.get("skip_api")) or kind in _STATE
    return item["id"], Component(kind, props if isinstance(props, dict) else {}, hidden)


def _endpoint(number: int, item: dict[str, Any]) -> Endpoint:
    visibility = item.get("api_visibility")  # from 6.0 on, in place of `show_api`
    name = item.get("api_name")
    private = name is False or visibility == "private"
    # What was left out of a page leaves gaps: from 4.26 on functions go by an id of their own.
    index = item.get("id")
    types = item.get("types")
    after = item.get("trigger_after")
    return Endpoint(
        index=index if isinstance(index, int) else number,
        name=(name.strip("/") or None) if isinstance(name, str) and not private else None,
        public=not private and item.get("show_api") is not False and visibility in {None, "public"},
        runs=bool(item.get("backend_fn")),
        inputs=_ids(item.get("inputs")),
        outputs=_ids(item.get("outputs")),
        queue=item.get("queue") is not False,
        endless=isinstance(types, dict) and bool(types.get("continuous")),
        events=tuple(_events(item)),
        after=after if isinstance(after, int) else None,
    )


def _ids(value: object) -> tuple[int, ...]:
    return tuple(item for item in value if isinstance(item, int)) if isinstance(value, list) else ()


def _events(item: dict[str, Any]) -> list[tuple[int | None, str]]:
    """Until 3.40 `targets` are ids and `trigger` is the event, then each target is a pair."""
    targets = item.get("targets")
    found: list[tuple[int | None, str]] = []
    for target in targets if isinstance(targets, list) else []:
        source, event = target if isinstance(target, list) and len(target) == 2 else (target, item.get("trigger"))  # noqa: PLR2004
        if isinstance(event, str) and (source is None or isinstance(source, int)):
            found.append((source, event))
    return found


def _of_gradio_2(url: str, version: str, content: dict[str, Any]) -> Config:
    given = [item for item in content["input_components"] if isinstance(item, dict)]
    returned = content.get("output_components")
    shown = [item for item in returned if isinstance(item, dict)] if isinstance(returned, list) else []
    components: dict[int, Component] = {}
    for number, item in enumerate([*given, *shown]):
        kind = str(item.get("name") or "")
        value = {"value": item["default"]} if "default" in item else {}
        components[number] = Component(kind, {**item, **value}, hidden=kind in _STATE)
    inputs = tuple(range(len(given)))
    examples = content.get("examples")
    if isinstance(examples, list) and examples:
        samples = [row if isinstance(row, list) else [row] for row in examples]
        kinds = [components[number].kind for number in inputs]
        components[len(components)] = Component("dataset", {"samples": samples, "components": kinds})
    outputs = tuple(range(len(given), len(given) + len(shown)))
    predict = Endpoint(0, "predict", public=True, runs=True, inputs=inputs, outputs=outputs, events=((None, "click"),))
    return Config(url=url, version=version, components=components, endpoints=(predict,))
